"""What the disk asks of a store beyond reading: staging now, durability later."""

from __future__ import annotations

from operator import lt
from typing import Protocol

from onward.errors import invariant
from onward.ledger.store import Store, WriteBatch

Entries = tuple[tuple[bytes, bytes | None], ...]


class DurableStore(Store, Protocol):
    """A store whose writes are visible at once and durable, one batch after the other, later.

    `get`, `scan` and `put` belong to one thread, the loop; `flush_next` may run on another.
    """

    @property
    def full(self) -> bool:
        """True when no further batch may be staged before one is flushed."""

    def put(self, batch: WriteBatch) -> None:
        """Stage a batch: reads see it at once, a crash loses it."""

    def flush_next(self, extra: Entries = ()) -> None:
        """Make the oldest staged batch durable; on return it is.

        `extra` joins it in the same atomic write. Its keys are the storage room's own and appear
        in no staged batch.
        """

    def close(self) -> None:
        """Release the database. Staged batches are lost, as in a crash."""


def checked_size(batch: WriteBatch) -> int:
    """Bytes of keys and values. Keys out of order or an empty value are a bug of the caller's.

    Scans merge staged batches by order: one unsorted batch would hide keys without an error.
    """
    keys = [key for key, _ in batch.entries]
    invariant(all(map(lt, keys, keys[1:])), "the keys of a write batch are not ascending")
    size = sum(map(len, keys))
    for key, value in batch.entries:
        if value is not None:
            invariant(value, f"the store holds no empty values: {key!r}")
            size += len(value)
    return size
