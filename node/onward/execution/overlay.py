"""Writes that may yet be dropped, over state that is read through them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from typing import Protocol

from onward import limits
from onward.ledger.store import STATE, Store


class State(Protocol):
    """Read access to the state: text keys in code-point order, non-empty values."""

    def get(self, key: str) -> bytes | None:
        """The value of `key`, or None."""

    def scan(self, start: str, end: str, limit: int) -> list[tuple[str, bytes]]:
        """The first `limit` entries with `start <= key < end`."""


class StoredState:
    """The state as the store has it (UTF-8 byte order is code-point order)."""

    __slots__ = ("_prefix", "_store")

    def __init__(self, store: Store, prefix: bytes = STATE) -> None:
        """`prefix` separates the state from the store's other rows."""
        self._store = store
        self._prefix = prefix

    def get(self, key: str) -> bytes | None:
        """The value of `key`, or None."""
        return self._store.get(self._prefix + key.encode())

    def scan(self, start: str, end: str, limit: int) -> list[tuple[str, bytes]]:
        """The first `limit` entries with `start <= key < end`."""
        found: list[tuple[str, bytes]] = []
        if limit <= 0:
            return found
        skip = len(self._prefix)
        for key, value in self._store.scan(
            self._prefix + start.encode(), self._prefix + end.encode()
        ):
            found.append((key[skip:].decode(), value))
            if len(found) == limit:
                break
        return found


class CachedState(StoredState):
    """The stored state, with what was read or written of late at hand.

    Whoever hands the store a block's writes says so to `settle`: there must be no other writer.

    There are two generations, and what was asked for is in the younger one; when that is full, the
    older one goes. (Letting the oldest go one by one looks cheap and is not: to find the first key
    of a dict is to walk over all that have left before it.)
    """

    __slots__ = (
        "_generation_bytes_max",
        "_is_absent",
        "_old",
        "_old_bytes",
        "_young",
        "_young_bytes",
    )

    def __init__(
        self,
        store: Store,
        *,
        bytes_max: int = limits.STATE_CACHE_BYTES_MAX,
        is_absent: Callable[[str], bool] | None = None,
    ) -> None:
        """Nothing is at hand yet. `bytes_max`: of keys and values.

        `is_absent` knows without the store that a key has no value, if it says so.
        """
        super().__init__(store)
        self._generation_bytes_max = bytes_max // 2
        self._is_absent = is_absent
        self._young: dict[str, bytes] = {}
        self._old: dict[str, bytes] = {}
        self._young_bytes = self._old_bytes = 0

    @property
    def size_bytes(self) -> int:
        """How many bytes of keys and values are at hand."""
        return self._young_bytes + self._old_bytes

    def get(self, key: str) -> bytes | None:
        """The value of `key`, or None."""
        value = self._young.get(key)
        if value is not None:
            return value
        value = self._old.get(key)
        if value is None:
            if self._is_absent is not None and self._is_absent(key):
                return None
            value = super().get(key)
        if value is not None:
            self._keep(key, value)
        return value

    def settle(self, writes: Mapping[str, bytes | None]) -> None:
        """These writes are in the store now."""
        for key, value in writes.items():
            before = self._young.pop(key, None)
            if before is not None:
                self._young_bytes -= len(key) + len(before)
            before = self._old.pop(key, None)
            if before is not None:
                self._old_bytes -= len(key) + len(before)
            if value is not None:
                self._keep(key, value)

    def _keep(self, key: str, value: bytes) -> None:
        size = len(key) + len(value)
        if self._young_bytes + size > self._generation_bytes_max:
            if size > self._generation_bytes_max:
                return
            self._old, self._old_bytes = self._young, self._young_bytes
            self._young, self._young_bytes = {}, 0
        self._young[key] = bytes(value)  # plain, as the store would give it back
        self._young_bytes += size


class Overlay:
    """Buffered writes over a state: reads see them, and all of them can be dropped."""

    __slots__ = ("_below", "writes")

    def __init__(self, below: State) -> None:
        """`below` is never written."""
        self._below = below
        self.writes: dict[str, bytes | None] = {}

    def get(self, key: str) -> bytes | None:
        """The value of `key` with the writes applied, or None."""
        if key in self.writes:
            return self.writes[key]
        return self._below.get(key)

    def put(self, key: str, value: bytes) -> None:
        """Set `key`."""
        self.writes[key] = value

    def delete(self, key: str) -> None:
        """Remove `key`."""
        self.writes[key] = None

    def absorb(self, writes: Mapping[str, bytes | None]) -> None:
        """Take writes that stood above this overlay."""
        self.writes.update(writes)

    def scan(self, start: str, end: str, limit: int) -> list[tuple[str, bytes]]:
        """The first `limit` entries with `start <= key < end`, writes applied."""
        if limit <= 0:
            return []
        touched = sorted(key for key in self.writes if start <= key < end)
        if not touched:
            return self._below.scan(start, end, limit)
        # Each deleted key may hide one entry of the state below.
        hidden = sum(1 for key in touched if self.writes[key] is None)
        below = self._below.scan(start, end, limit + hidden)
        keys = [key for key, _ in below]
        merged = dict(below)
        for key in touched:
            value = self.writes[key]
            if value is None:
                merged.pop(key, None)
            else:
                if key not in merged:
                    keys.insert(bisect_left(keys, key), key)
                merged[key] = value
        return [(key, merged[key]) for key in keys if key in merged][:limit]
