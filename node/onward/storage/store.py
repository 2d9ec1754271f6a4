"""What the disk asks of a store beyond reading: staging now, durability later."""

from __future__ import annotations

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


def checked_rows(batch: WriteBatch) -> tuple[dict[bytes, bytes | None], int]:
    """A batch as a map, and the bytes of its keys and values.

    A key that stands twice or an empty value is a bug of the caller's.
    """
    rows = dict(batch.entries)
    invariant(len(rows) == len(batch.entries), "a write batch names a key twice")
    values = [value for value in rows.values() if value is not None]
    invariant(all(values), "the store holds no empty values")
    return rows, sum(map(len, rows)) + sum(map(len, values))
