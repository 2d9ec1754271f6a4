"""Reads through pending writes are the reads that would follow their commit."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from tests.unit.execution.worlds import DictStore

from onward.execution.overlay import Overlay, StoredState
from onward.ledger.store import STATE

KEYS = st.sampled_from(["a", "a/1", "a/2", "ab", "b", "é", "z", "\U0001f600"])
STATES = st.dictionaries(KEYS, st.binary(min_size=1, max_size=2))
WRITES = st.dictionaries(KEYS, st.none() | st.binary(min_size=1, max_size=2))


def store_of(state: dict[str, bytes]) -> DictStore:
    store = DictStore()
    store.rows = {STATE + key.encode(): value for key, value in state.items()}
    return store


# A deleted key hides a row of the store, and no limit takes anything from the end.
@example(
    state={"a": b"1", "b": b"2", "z": b"3"},
    lower={"a": None},
    upper={"b": None},
    start="a",
    end="\U0001f600",
    limit=1,
)
@example(
    state={"a": b"1", "b": b"2"},
    lower={},
    upper={"a": b"3", "b": b"4"},
    start="a",
    end="z",
    limit=-1,
)
@given(state=STATES, lower=WRITES, upper=WRITES, start=KEYS, end=KEYS, limit=st.integers(-1, 9))
def test_scan_merges_two_overlays_with_the_store(
    state: dict[str, bytes],
    lower: dict[str, bytes | None],
    upper: dict[str, bytes | None],
    start: str,
    end: str,
    limit: int,
) -> None:
    """A limit that is counted before deletions are applied would hide rows from a contract."""
    below = Overlay(StoredState(store_of(state)))
    below.absorb(lower)
    overlay = Overlay(below)
    for key, value in upper.items():
        if value is None:
            overlay.delete(key)
        else:
            overlay.put(key, value)
    merged: dict[str, bytes | None] = {**state, **lower, **upper}
    expected = [
        (key, value)
        for key, value in sorted(merged.items())
        if value is not None and start <= key < end
    ]
    assert overlay.scan(start, end, limit) == expected[: max(0, limit)]
    assert {key: overlay.get(key) for key in merged} == merged


@given(keys=st.sets(st.text(max_size=3).filter(lambda text: text.isprintable())))
def test_stored_order_is_code_point_order(keys: set[str]) -> None:
    """UTF-16 order would differ: the overlay sorts text, the store sorts bytes."""
    store = store_of(dict.fromkeys(keys, b"1"))
    rows = StoredState(store).scan("", "\U0010ffff", 1_000)
    assert [key for key, _ in rows] == sorted(key for key in keys if key < "\U0010ffff")
