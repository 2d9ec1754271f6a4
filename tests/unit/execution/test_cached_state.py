"""What is kept at hand must be what the store has: a stale value would fork this node off."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward import limits
from onward.execution.overlay import CachedState, StoredState
from onward.ledger.store import STATE, WriteBatch
from onward.storage.memory_store import MemoryStore

KEYS = st.sampled_from(["isa/a", "isa/b", "isa/c", "sys/d"])
BLOCKS = st.lists(st.dictionaries(KEYS, st.one_of(st.none(), st.binary(min_size=1, max_size=40))))


def write(store: MemoryStore, writes: dict[str, bytes | None]) -> None:
    entries = tuple((STATE + key.encode(), value) for key, value in sorted(writes.items()))
    store.put(WriteBatch(entries=entries))
    store.flush_next()


@given(blocks=BLOCKS, asked=st.lists(KEYS), room=st.integers(0, 120))
def test_reads_are_those_of_the_store_whatever_is_remembered(
    blocks: list[dict[str, bytes | None]], asked: list[str], room: int
) -> None:
    store = MemoryStore()
    cached, stored = CachedState(store, bytes_max=room), StoredState(store)
    for writes in blocks:
        for key in asked:
            assert cached.get(key) == stored.get(key)
        write(store, writes)
        cached.settle(writes)
        for key in ("isa/a", "isa/b", "isa/c", "sys/d"):
            assert cached.get(key) == stored.get(key)
        assert cached.scan("isa/", "isa0", 9) == stored.scan("isa/", "isa0", 9)
        assert cached.size_bytes <= room


def test_what_is_at_hand_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    write(store, {"isa/a": b"1"})
    cached = CachedState(store)
    assert cached.get("isa/a") == b"1"
    monkeypatch.setattr(store, "get", None)
    assert cached.get("isa/a") == b"1"


def test_what_is_asked_for_again_outlives_what_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """The record of a busy organisation would else be read anew for each generation."""
    store = MemoryStore()
    write(store, {"isa/a": b"1"})
    cached = CachedState(store, bytes_max=60)  # five values in a generation
    cached.get("isa/a")
    monkeypatch.setattr(store, "get", None)
    for number in range(30):
        cached.settle({f"isa/{number % 10}": b"2"})
        assert cached.get("isa/a") == b"1"


def test_the_default_bound_is_a_named_limit() -> None:
    store = MemoryStore()
    cached = CachedState(store)
    value = bytes(limits.STATE_VALUE_BYTES_MAX)
    for number in range(limits.STATE_CACHE_BYTES_MAX // len(value) + 2):
        cached.settle({f"isa/{number}": value})
    assert len(value) < cached.size_bytes <= limits.STATE_CACHE_BYTES_MAX
