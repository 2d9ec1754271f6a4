"""The store in LevelDB: staged batches in memory, each of them one synced write.

LevelDB does not promise that a synced write makes earlier unsynced ones durable: when it changes
its log file, the old one is never synced (docs/adr/0004-durability.md). So every batch is written
with a sync, on the writer thread, while the loop already reads it from here.

A scan takes its view under the lock, staged batches and a snapshot of the database together; a
batch that is in both gives the same entries twice, and the staged one wins.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from heapq import merge
from pathlib import Path
from threading import Lock
from typing import Any

import plyvel

from onward import limits
from onward.errors import CorruptionError, RejectCode, RejectedError, invariant
from onward.ledger.store import WriteBatch
from onward.storage.store import Entries, checked_size


class _Staged:
    """A batch on its way to the disk."""

    __slots__ = ("entries", "number", "size")

    def __init__(self, number: int, entries: Entries, size: int) -> None:
        self.number = number
        self.entries = entries
        self.size = size

    def between(self, start: bytes, end: bytes, *, reverse: bool) -> Iterator[_Row]:
        """The entries in range with this batch's age behind the key: younger first."""
        low = bisect_left(self.entries, start, key=_key_of)
        high = bisect_left(self.entries, end, key=_key_of)
        indexes = range(high - 1, low - 1, -1) if reverse else range(low, high)
        for index in indexes:
            key, value = self.entries[index]
            yield key, self.number, value


_Row = tuple[bytes, int, bytes | None]  # key, number of its batch (0: the database), value


class LevelStore:
    """A `DurableStore` over one LevelDB directory."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        """Open the database. Raises `CorruptionError` or `RejectedError` where it cannot."""
        self._db = _open(path, create=create)
        self._lock = Lock()
        self._staged: deque[_Staged] = deque()
        self._latest: dict[bytes, tuple[int, bytes | None]] = {}  # newest staged value of a key
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
        staged = self._latest.get(key)
        if staged is not None:
            return staged[1]
        try:
            value: bytes | None = self._db.get(key)
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
            staged = tuple(self._staged)
            rows: Iterator[tuple[bytes, bytes]] = self._db.iterator(
                start=start, stop=end, reverse=reverse
            )
        if not staged:
            return rows
        return _merged(rows, staged, start, end, reverse=reverse)

    def put(self, batch: WriteBatch) -> None:
        """Stage a batch."""
        invariant(not self.full, "too many batches are staged in the store")
        size = checked_size(batch)
        with self._lock:
            self._number += 1
            self._staged.append(_Staged(self._number, batch.entries, size))
            self._staged_bytes += size
            number = self._number
            self._latest.update((key, (number, value)) for key, value in batch.entries)

    def flush_next(self, extra: Entries = ()) -> None:
        """Write the oldest staged batch with a sync, then drop it from memory."""
        invariant(self._staged, "nothing is staged in the store")
        staged = self._staged[0]
        self._write(staged.entries + extra)
        with self._lock:
            self._staged.popleft()
            self._staged_bytes -= staged.size
            latest = self._latest
            for key, _ in staged.entries:
                if latest[key][0] == staged.number:
                    del latest[key]

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def _write(self, entries: Entries) -> None:
        writes = self._db.write_batch(sync=True)
        for key, value in entries:
            if value is None:
                writes.delete(key)
            else:
                writes.put(key, value)
        try:
            writes.write()
        except plyvel.Error as error:
            raise CorruptionError(f"database: {error}") from None


def _open(path: Path, *, create: bool) -> Any:
    try:
        return plyvel.DB(
            str(path),
            create_if_missing=create,
            error_if_exists=create,
            write_buffer_size=limits.STORE_WRITE_BUFFER_BYTES,
            lru_cache_size=limits.STORE_CACHE_BYTES,
            max_open_files=limits.STORE_OPEN_FILES_MAX,
            bloom_filter_bits=10,
        )
    except plyvel.CorruptionError as error:
        raise CorruptionError(f"database: {error}") from None
    except plyvel.Error as error:
        raise RejectedError(RejectCode.STATE, f"database cannot be opened: {error}") from None


def _key_of(entry: tuple[bytes, bytes | None]) -> bytes:
    return entry[0]


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
