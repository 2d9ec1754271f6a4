"""Copies of a validator's data, which take up room only where they come to differ.

Two kinds of files are never written to again, and become hard links: tables of the database that
were finished before its log began, and every segment of the batch log but the newest. A table that
is younger is copied: a crash in the middle of a compaction leaves tables that the database does not
know, and it would overwrite one in place when it comes to its number again, in all copies at once.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from onward.storage.home import DATABASE
from onward.storage.page_log import FOLDER as PAGES

_TABLE, _LOG = ".ldb", ".log"
_BATCHES = "batches"
_JOURNAL = "journal"


def copy_data(source: Path, target: Path) -> None:
    """Make `target` the same as `source`, on which no node runs; what was there is removed."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(mode=0o700, parents=True)
    unchanging = {
        DATABASE: _finished_tables(source / DATABASE),
        _BATCHES: set(sorted(item.name for item in (source / _BATCHES).iterdir())[:-1]),
        PAGES: set(sorted(item.name for item in (source / PAGES).iterdir())[:-1]),
        _JOURNAL: set(),
    }
    for folder, linked in unchanging.items():
        (target / folder).mkdir(mode=0o700)
        for file in (source / folder).iterdir():
            copy = target / folder / file.name
            if file.name in linked:
                copy.hardlink_to(file)
            else:
                shutil.copy2(file, copy)


def _finished_tables(database: Path) -> set[str]:
    """The tables with a lower number than every log: the manifest counts on from there."""
    files = [file for file in database.iterdir() if file.stem.isdecimal()]
    oldest = min((int(file.stem) for file in files if file.suffix == _LOG), default=0)
    return {file.name for file in files if file.suffix == _TABLE and int(file.stem) < oldest}
