"""The store in LevelDB: staged batches in memory, each of them one synced write.

LevelDB does not promise that a synced write makes earlier unsynced ones durable: when it changes
its log file, the old one is never synced (docs/adr/0004-durability.md). So every batch is written
with a sync, on the writer thread, while the loop already reads it from here.

Unasked, LevelDB hands out rotten bytes, skips what a rotten index or filter hides, and gives them
new checksums when it merges tables. So every read checks, and the database is opened twice: once as
it is, which takes in its logs and forgives a torn last write, then paranoid.

A scan takes its view under the lock, staged batches and a snapshot of the database together; a
batch that is in both gives the same entries twice, and the staged one wins.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from heapq import merge
from itertools import chain
from pathlib import Path
from threading import Lock
from typing import Any

import plyvel

from onward import limits
from onward.errors import CorruptionError, RejectCode, RejectedError, invariant
from onward.ledger.store import WriteBatch
from onward.storage.store import Entries, checked_rows


class _Staged:
    """A batch on its way to the disk. Its rows stay as they are."""

    __slots__ = ("_keys", "number", "rows", "size")

    def __init__(self, number: int, rows: dict[bytes, bytes | None], size: int) -> None:
        self.number = number
        self.rows = rows
        self.size = size
        self._keys: list[bytes] = []  # ascending, once a scan has asked for them

    def between(self, start: bytes, end: bytes, *, reverse: bool) -> Iterator[_Row]:
        """The entries in range with this batch's age behind the key: younger first."""
        if not self._keys:
            self._keys = sorted(self.rows)
        keys = self._keys[bisect_left(self._keys, start) : bisect_left(self._keys, end)]
        for key in reversed(keys) if reverse else keys:
            yield key, self.number, self.rows[key]


_Row = tuple[bytes, int, bytes | None]  # key, number of its batch (0: the database), value


class LevelStore:
    """A `DurableStore` over one LevelDB directory."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        """Open the database. Raises `CorruptionError` or `RejectedError` where it cannot."""
        if not create:
            _open(path, create=False, paranoid=False).close()
        self._db = _open(path, create=create, paranoid=True)
        self._lock = Lock()
        # Youngest first. Replaced as a whole, so that a read goes through one state of it.
        self._staged: tuple[_Staged, ...] = ()
        self._staged_bytes = 0
        self._number = 0

    @property
    def full(self) -> bool:
        """True when no further batch may be staged."""
        return (
            len(self._staged) >= limits.STORE_STAGED_BATCHES_MAX
            or self._staged_bytes >= limits.STORE_STAGED_BYTES_MAX
        )

    def get(self, key: bytes) -> bytes | None:
        """The value of `key`. A batch leaves memory once the database has it: none is missed."""
        for staged in self._staged:
            if key in staged.rows:
                return staged.rows[key]
        try:
            value: bytes | None = self._db.get(key, verify_checksums=True)
        except plyvel.Error as error:
            raise CorruptionError(f"database: {error}") from None
        return value

    def scan(
        self, start: bytes, end: bytes, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """A snapshot's entries in order."""
        if start >= end:
            return iter(())
        with self._lock:
            staged = self._staged
            rows = self._db.iterator(start=start, stop=end, reverse=reverse, verify_checksums=True)
        checked = _checked(self._db, rows, start, end, reverse=reverse)
        if not staged:
            return checked
        return _merged(checked, staged, start, end, reverse=reverse)

    def put(self, batch: WriteBatch) -> None:
        """Stage a batch."""
        invariant(not self.full, "too many batches are staged in the store")
        rows, size = checked_rows(batch)
        with self._lock:
            self._number += 1
            self._staged = (_Staged(self._number, rows, size), *self._staged)
            self._staged_bytes += size

    def flush_next(self, extra: Entries = ()) -> None:
        """Write the oldest staged batch with a sync, then drop it from memory."""
        invariant(self._staged, "nothing is staged in the store")
        oldest = self._staged[-1]
        self._write(chain(oldest.rows.items(), extra))
        with self._lock:
            self._staged = self._staged[:-1]
            self._staged_bytes -= oldest.size

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def _write(self, entries: Iterable[tuple[bytes, bytes | None]]) -> None:
        writes = self._db.write_batch(sync=True)
        put = writes.put
        for key, value in entries:
            if value is None:
                writes.delete(key)
            else:
                put(key, value)
        try:
            writes.write()
        except plyvel.Error as error:
            raise CorruptionError(f"database: {error}") from None


def _checked(
    database: Any, rows: Iterator[tuple[bytes, bytes]], start: bytes, end: bytes, *, reverse: bool
) -> Iterator[tuple[bytes, bytes]]:
    """A database's rows, its own errors told as ours.

    An iterator that meets a rotten block goes on behind it, and says so with the next row that it
    finds in range: not when there is none. So at the end another one makes the last step again.
    """
    last = end if reverse else start
    try:
        for row in rows:
            yield row
            last = row[0]
        with database.raw_iterator(verify_checksums=True) as again:
            again.seek(last)
            if again.valid():
                (again.prev if reverse else again.next)()
            elif reverse:
                again.seek_to_last()
    except plyvel.Error as error:
        raise CorruptionError(f"database: {error}") from None


def _open(path: Path, *, create: bool, paranoid: bool) -> Any:
    """LevelDB on a folder. `paranoid`: it checks all that it reads or merges, and its logs."""
    try:
        return plyvel.DB(
            str(path),
            create_if_missing=create,
            error_if_exists=create,
            paranoid_checks=paranoid,
            write_buffer_size=limits.STORE_WRITE_BUFFER_BYTES,
            lru_cache_size=limits.STORE_CACHE_BYTES,
            max_open_files=limits.STORE_OPEN_FILES_MAX,
            bloom_filter_bits=10,
            max_file_size=limits.STORE_FILE_BYTES,
            compression=None,  # it costs more processor time than all the rest of a write
        )
    except plyvel.CorruptionError as error:
        raise CorruptionError(f"database: {error}") from None
    except plyvel.Error as error:
        raise RejectedError(RejectCode.STATE, f"database cannot be opened: {error}") from None


def _rank(row: _Row) -> tuple[bytes, int]:
    return row[0], -row[1]


def _rank_backwards(row: _Row) -> tuple[bytes, int]:
    return row[0], row[1]


def _merged(
    rows: Iterator[tuple[bytes, bytes]],
    staged: tuple[_Staged, ...],
    start: bytes,
    end: bytes,
    *,
    reverse: bool,
) -> Iterator[tuple[bytes, bytes]]:
    """One entry per key, from the youngest batch that names it; deleted keys are left out."""
    sources = [batch.between(start, end, reverse=reverse) for batch in staged]
    ground: Iterator[_Row] = ((key, 0, value) for key, value in rows)
    ranked = merge(ground, *sources, key=_rank_backwards if reverse else _rank, reverse=reverse)
    previous: bytes | None = None
    for key, _, value in ranked:
        if key != previous:
            previous = key
            if value is not None:
                yield key, value
