"""What both bodies of the store promise, and what only LevelDB has to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from onward import limits
from onward.errors import CorruptionError, InvariantError, RejectedError
from onward.ledger.store import WriteBatch
from onward.storage.leveldb import LevelStore
from onward.storage.memory_store import MemoryStore
from onward.storage.store import DurableStore


@pytest.fixture(params=["memory", "leveldb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DurableStore]:
    body: DurableStore = (
        MemoryStore() if request.param == "memory" else LevelStore(tmp_path / "db", create=True)
    )
    yield body
    body.close()


def _batch(**entries: bytes | None) -> WriteBatch:
    return WriteBatch(entries=tuple(sorted((k.encode(), v) for k, v in entries.items())))


def test_a_staged_batch_is_read_at_once_and_a_later_one_hides_it(store: DurableStore) -> None:
    store.put(_batch(a=b"1", b=b"1", c=b"1"))
    store.flush_next()
    store.put(_batch(a=b"2", b=None, d=b"2"))
    store.put(_batch(a=b"3"))
    assert (store.get(b"a"), store.get(b"b"), store.get(b"d")) == (b"3", None, b"2")
    assert list(store.scan(b"a", b"z")) == [(b"a", b"3"), (b"c", b"1"), (b"d", b"2")]
    assert list(store.scan(b"a", b"d", reverse=True)) == [(b"c", b"1"), (b"a", b"3")]
    store.flush_next()
    assert store.get(b"a") == b"3"


def test_what_joins_a_flush_is_read_afterwards(store: DurableStore) -> None:
    store.put(_batch(a=b"1"))
    store.flush_next(((b"place", b"7"),))
    assert store.get(b"place") == b"7"


def test_an_empty_range_has_no_entries(store: DurableStore) -> None:
    store.put(_batch(a=b"1", b=b"1"))
    for start, end in ((b"b", b"a"), (b"a", b"a"), (b"c", b"d")):
        assert list(store.scan(start, end)) == list(store.scan(start, end, reverse=True)) == []


def test_a_batch_may_be_in_any_order_and_is_scanned_in_the_one_order(store: DurableStore) -> None:
    """One unsorted batch must not hide keys from scans."""
    store.put(WriteBatch(entries=((b"b", b"1"), (b"d", None), (b"a", b"1"), (b"c", b"1"))))
    store.put(WriteBatch(entries=((b"d", b"2"), (b"b", b"2"))))
    expected = [(b"a", b"1"), (b"b", b"2"), (b"c", b"1"), (b"d", b"2")]
    for flushes in range(3):
        assert list(store.scan(b"a", b"z")) == expected
        assert list(store.scan(b"b", b"d", reverse=True)) == expected[2:0:-1]
        if flushes < 2:
            store.flush_next()


def test_a_key_that_stands_twice_and_an_empty_value_are_bugs(store: DurableStore) -> None:
    """Which of the two values is meant is nobody's to guess."""
    for entries in (((b"a", b"1"), (b"a", b"2")), ((b"b", b"1"), (b"a", b""))):
        with pytest.raises(InvariantError):
            store.put(WriteBatch(entries=entries))
    assert store.get(b"a") is None


def test_at_most_so_many_batches_are_staged(store: DurableStore) -> None:
    for number in range(limits.STORE_STAGED_BATCHES_MAX):
        assert not store.full
        store.put(_batch(a=b"%d" % number))
    with pytest.raises(InvariantError, match="too many batches are staged"):
        store.put(_batch(a=b"one more"))
    full = [store.full]
    store.flush_next()
    full.append(store.full)
    store.put(_batch(a=b"one more"))
    assert full == [True, False]


def test_at_most_so_many_bytes_are_staged(
    store: DurableStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "STORE_STAGED_BYTES_MAX", 10)
    full = []
    for batch in (_batch(a=b"x" * 8), _batch(b=b"y")):
        store.put(batch)
        full.append(store.full)
    assert full == [False, True], "nine bytes, then eleven"


def test_flushing_nothing_is_a_bug(store: DurableStore) -> None:
    with pytest.raises(InvariantError, match="nothing is staged"):
        store.flush_next()


def test_a_scan_of_the_model_must_not_outlive_a_write() -> None:
    """LevelDB would go on with its snapshot: a caller who does this depends on the body."""
    store = MemoryStore()
    store.put(_batch(a=b"1", b=b"1"))
    rows = store.scan(b"a", b"z")
    assert next(rows) == (b"a", b"1")
    store.put(_batch(aa=b"1"))
    with pytest.raises(InvariantError, match="outlived a write"):
        next(rows)


def test_a_scan_of_leveldb_is_a_snapshot(tmp_path: Path) -> None:
    store = LevelStore(tmp_path / "db", create=True)
    store.put(_batch(a=b"1", b=b"1"))
    rows = store.scan(b"a", b"z")
    store.flush_next()
    store.put(_batch(aa=b"2", b=None))
    store.flush_next()
    assert list(rows) == [(b"a", b"1"), (b"b", b"1")]
    store.close()


def test_every_batch_is_written_with_a_sync(tmp_path: Path) -> None:
    """LevelDB may lose an unsynced write although later ones survive: a hole in the chain."""
    store = LevelStore(tmp_path / "db", create=True)
    database = store._db
    syncs: list[bool] = []

    class Spy:
        def write_batch(self, *, sync: bool) -> object:
            syncs.append(sync)
            return database.write_batch(sync=sync)

    store._db = Spy()
    for number in range(3):
        store.put(_batch(a=b"%d" % number))
        store.flush_next()
    store._db = database
    store.close()
    assert syncs == [True, True, True]


@pytest.mark.parametrize("count", [5, 500])
def test_a_rotten_byte_of_a_table_is_never_read_as_if_it_were_good(
    tmp_path: Path, count: int
) -> None:
    """A row that reads wrong lies to a client, or forks this node off and blames the contract."""
    rows = {b"%04d" % number: b"value of %04d" % number * 3 for number in range(count)}
    store = LevelStore(tmp_path / "db", create=True)
    store.put(WriteBatch(entries=tuple(rows.items())))
    store.flush_next()
    store._db.compact_range()
    store.close()
    (table,) = (tmp_path / "db").glob("*.ldb")
    good = table.read_bytes()
    found = 0
    for position in range(0, len(good) - 48, len(good) // 60):
        rotten = bytearray(good)
        rotten[position] ^= 1 << position % 8
        table.write_bytes(rotten)
        for way in ("get", "scan", "back"):
            try:
                store = LevelStore(tmp_path / "db")
                if way == "get":
                    read = {key: store.get(key) for key in rows}
                else:
                    read = dict(store.scan(b"", b"z", reverse=way == "back"))
                assert read == rows, f"{way} with byte {position} of {len(good)} changed"
            except CorruptionError:
                found += 1
            finally:
                store.close()
    assert found > 100


def test_reads_on_the_loop_miss_nothing_while_the_writer_flushes(tmp_path: Path) -> None:
    """A key is in memory until the database has it: there is no moment when it is in neither."""
    store = LevelStore(tmp_path / "db", create=True)
    rounds, keys = 30, 40
    failures: list[str] = []

    def flush() -> None:
        done = 0
        while done < rounds and not failures:
            if store._staged:
                store.flush_next()
                done += 1

    writer = Thread(target=flush)
    writer.start()
    for number in range(rounds):
        value = b"%d" % number
        store.put(WriteBatch(entries=tuple((b"%02d" % key, value) for key in range(keys))))
        if any(store.get(b"%02d" % key) != value for key in range(keys)):
            failures.append(f"get in round {number}")
        if {found for _, found in store.scan(b"", b"z")} != {value}:
            failures.append(f"scan in round {number}")
    writer.join()
    store.close()
    assert failures == []


def test_a_database_is_not_created_by_opening_it_nor_opened_twice(tmp_path: Path) -> None:
    with pytest.raises(RejectedError, match="cannot be opened"):
        LevelStore(tmp_path / "none")
    store = LevelStore(tmp_path / "db", create=True)
    with pytest.raises(RejectedError, match="cannot be opened"):
        LevelStore(tmp_path / "db")
    store.close()
    with pytest.raises(RejectedError, match="cannot be opened"):
        LevelStore(tmp_path / "db", create=True)
