"""A validator's home on a real disk.

lock         held by the process that runs on this home
journal/     the vote journal
batches/     the batch log
pages/       the page log
database/    LevelDB
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from onward.consensus.journal import JournalRecord
from onward.errors import RejectCode, RejectedError
from onward.ledger.store import WriteBatch
from onward.storage.disk import NodeDisk
from onward.storage.home_files import HomeFiles
from onward.storage.leveldb import LevelStore

DATABASE = "database"


def create_home(
    home: Path, chain_id: bytes, journal: Sequence[JournalRecord], genesis: WriteBatch
) -> None:
    """Set up a new validator's home in an existing folder; nobody else ever creates a journal.

    `journal` is empty for a validator that begins with the chain. Raises `RejectedError` where a
    home stands already.
    """
    files = _locked(home)
    try:
        if (home / DATABASE).exists():
            raise RejectedError(RejectCode.STATE, f"a validator's home stands in {home} already")
        store = LevelStore(home / DATABASE, create=True)
        disk = NodeDisk(files, store, chain_id)
        try:
            disk.create(journal, genesis)
        finally:
            store.close()
    finally:
        files.close()


def open_home(home: Path, chain_id: bytes) -> NodeDisk:
    """The disk in a home, locked, not recovered. Raises `RejectedError`, `CorruptionError`."""
    if not (home / DATABASE).is_dir():  # LevelDB would leave an empty one behind
        raise RejectedError(RejectCode.NOT_FOUND, f"there is no database in {home}")
    files = _locked(home)
    try:
        return NodeDisk(files, LevelStore(home / DATABASE), chain_id)
    except BaseException:
        files.close()
        raise


def _locked(home: Path) -> HomeFiles:
    if not home.is_dir():
        raise RejectedError(RejectCode.NOT_FOUND, f"there is no home {home}")
    files = HomeFiles(home)
    files.lock()
    return files
