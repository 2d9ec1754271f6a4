"""LevelDB with its staging says the same as a dictionary, whatever is put and asked for."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from onward.ledger.store import WriteBatch
from onward.storage.leveldb import LevelStore
from onward.storage.memory_store import MemoryStore
from onward.storage.store import DurableStore

KEYS = st.binary(min_size=1, max_size=2).map(lambda key: bytes(byte % 4 for byte in key))
BATCHES = st.dictionaries(KEYS, st.none() | st.binary(min_size=1, max_size=3), max_size=6).map(
    lambda entries: WriteBatch(entries=tuple(sorted(entries.items())))
)
EXTRAS = st.lists(st.sampled_from([b"\xf0", b"\xf1"]), unique=True).map(
    lambda keys: tuple((key, b"place") for key in sorted(keys))
)
STEPS = st.one_of(
    st.tuples(st.just("put"), BATCHES),
    st.tuples(st.just("flush"), EXTRAS),
    st.tuples(st.just("crash"), st.none()),
    st.tuples(st.just("scan"), st.tuples(KEYS, KEYS)),
)


def _everything(store: DurableStore, start: bytes, end: bytes) -> list[list[tuple[bytes, bytes]]]:
    return [
        list(store.scan(start, end)),
        list(store.scan(start, end, reverse=True)),
        list(islice(store.scan(start, end), 1)),
    ]


@settings(max_examples=60)
@given(st.lists(STEPS, max_size=30))
def test_leveldb_and_the_model_agree(steps: list[tuple[str, object]]) -> None:
    """The simulation runs on the memory store: where they differ it proves nothing of nodes."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "db"
        level: LevelStore = LevelStore(path, create=True)
        memory = MemoryStore()
        staged = 0
        for action, argument in steps:
            if action == "put" and isinstance(argument, WriteBatch):
                level.put(argument)
                memory.put(argument)
                staged += 1
            elif action == "flush" and staged and isinstance(argument, tuple):
                level.flush_next(argument)
                memory.flush_next(argument)
                staged -= 1
            elif action == "crash":
                level.close()
                level = LevelStore(path)
                assert memory.crash() == staged
                staged = 0
            elif action == "scan" and isinstance(argument, tuple):
                start, end = argument
                assert _everything(level, start, end) == _everything(memory, start, end)
                assert level.get(start) == memory.get(start)
            assert list(level.scan(b"", b"\xff")) == list(memory.scan(b"", b"\xff"))
        level.close()


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.integers(0, 3_000), st.integers(0, 3_000))
def test_the_sorted_keys_of_the_model_are_those_of_a_sorted_list(
    seed: int, one: int, other: int
) -> None:
    """Chunks split and vanish; order and range stay right."""
    memory = MemoryStore()
    chance = Random(seed)
    numbers = chance.sample(range(3_000), 3_000)
    middle = chance.randrange(3_000)
    gone = set(range(middle, min(3_000, middle + 1_500))) | set(chance.sample(numbers, 50))
    low, high = sorted((one, other))
    for at in range(0, 3_000, 500):
        rows = sorted((b"%04d" % number, b"v") for number in numbers[at : at + 500])
        memory.put(WriteBatch(entries=tuple(rows)))
    memory.put(WriteBatch(entries=tuple((b"%04d" % number, None) for number in sorted(gone))))
    expected = [(b"%04d" % number, b"v") for number in range(low, high) if number not in gone]
    start, end = b"%04d" % low, b"%04d" % high
    assert list(memory.scan(start, end)) == expected
    assert list(memory.scan(start, end, reverse=True)) == expected[::-1]
