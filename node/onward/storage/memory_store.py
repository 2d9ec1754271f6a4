"""The store in memory: the body that simulation uses, and the model that LevelDB is tested against.

It holds one map, and for each staged batch what it replaced. A crash puts that back, newest batch
first, so what remains is exactly the batches that were flushed.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Iterator

from onward import limits
from onward.errors import invariant
from onward.ledger.store import WriteBatch
from onward.storage.memory_files import no_gate
from onward.storage.store import Entries, checked_rows

_CHUNK_KEYS_MAX = 1024


class SortedKeys:
    """An ordered set of keys: chunks of bounded size, so that an insertion moves little."""

    def __init__(self) -> None:
        self._chunks: list[list[bytes]] = []
        self._last: list[bytes] = []  # the greatest key of each chunk

    def add(self, key: bytes) -> None:
        """Insert a key that is not in the set."""
        if not self._chunks:
            self._chunks.append([key])
            self._last.append(key)
            return
        at = min(bisect_left(self._last, key), len(self._chunks) - 1)
        chunk = self._chunks[at]
        insort(chunk, key)
        self._last[at] = chunk[-1]
        if len(chunk) > _CHUNK_KEYS_MAX:
            half = len(chunk) // 2
            self._chunks.insert(at + 1, chunk[half:])
            del chunk[half:]
            self._last.insert(at, chunk[-1])

    def remove(self, key: bytes) -> None:
        """Take out a key that is in the set."""
        at = bisect_left(self._last, key)
        chunk = self._chunks[at]
        del chunk[bisect_left(chunk, key)]
        if chunk:
            self._last[at] = chunk[-1]
        else:
            del self._chunks[at]
            del self._last[at]

    def between(self, start: bytes, end: bytes) -> Iterator[bytes]:
        """The keys with `start <= key < end`, ascending."""
        for at in range(bisect_left(self._last, start), len(self._chunks)):
            chunk = self._chunks[at]
            low = bisect_left(chunk, start) if chunk[0] < start else 0
            high = bisect_left(chunk, end) if chunk[-1] >= end else len(chunk)
            for index in range(low, high):
                yield chunk[index]
            if high < len(chunk):
                return

    def between_backwards(self, start: bytes, end: bytes) -> Iterator[bytes]:
        """The keys with `start <= key < end`, descending."""
        first = min(bisect_left(self._last, end), len(self._chunks) - 1)
        for at in range(first, -1, -1):
            chunk = self._chunks[at]
            low = bisect_left(chunk, start) if chunk[0] < start else 0
            high = bisect_left(chunk, end) if chunk[-1] >= end else len(chunk)
            for index in range(high - 1, low - 1, -1):
                yield chunk[index]
            if low > 0:
                return


class MemoryStore:
    """A `DurableStore` whose durable part is what was flushed."""

    def __init__(self) -> None:
        self.gate: Callable[[str], None] = no_gate
        self._values: dict[bytes, bytes] = {}
        self._keys = SortedKeys()
        self._staged: deque[tuple[Entries, int]] = deque()  # what each batch replaced, and its size
        self._staged_bytes = 0
        self._changes = 0

    @property
    def full(self) -> bool:
        """True when no further batch may be staged."""
        return (
            len(self._staged) >= limits.STORE_STAGED_BATCHES_MAX
            or self._staged_bytes >= limits.STORE_STAGED_BYTES_MAX
        )

    def get(self, key: bytes) -> bytes | None:
        """The value of `key`, staged writes included."""
        return self._values.get(key)

    def scan(
        self, start: bytes, end: bytes, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Entries in order. Going on after a later write is refused: LevelDB would not show it."""
        changes = self._changes
        keys = (
            self._keys.between_backwards(start, end) if reverse else self._keys.between(start, end)
        )
        for key in keys:
            yield key, self._values[key]
            invariant(changes == self._changes, "a scan of the store outlived a write")

    def put(self, batch: WriteBatch) -> None:
        """Make a batch visible; it is lost in a crash until it is flushed."""
        invariant(not self.full, "too many batches are staged in the store")
        _, size = checked_rows(batch)
        replaced = tuple((key, self._values.get(key)) for key, _ in batch.entries)
        self._apply(batch.entries)
        self._staged.append((replaced, size))
        self._staged_bytes += size

    def flush_next(self, extra: Entries = ()) -> None:
        """Make the oldest staged batch durable, together with `extra`."""
        self.gate("flush")
        invariant(self._staged, "nothing is staged in the store")
        _, size = self._staged.popleft()
        self._staged_bytes -= size
        self._apply(extra)

    def close(self) -> None:
        """Nothing is open."""

    def crash(self) -> int:
        """Lose every staged batch; how many there were."""
        self.gate = no_gate
        lost = len(self._staged)
        while self._staged:
            replaced, _ = self._staged.pop()
            self._apply(replaced)
        self._staged_bytes = 0
        return lost

    def _apply(self, entries: Entries) -> None:
        self._changes += 1
        values, keys = self._values, self._keys
        for key, value in entries:
            if value is None:
                if values.pop(key, None) is not None:
                    keys.remove(key)
            else:
                if key not in values:
                    keys.add(key)
                values[key] = value
