"""The filter before the replay check: a transaction that it forgets would be executed twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256

import pytest
from tests.unit.execution.worlds import T0, Chain, DictStore, body

from onward import limits
from onward.errors import CorruptionError
from onward.execution.block import AtHand, BlockExecution
from onward.execution.known import KnownTransactions
from onward.ledger.chain import Tip, read_tip
from onward.ledger.log import LogFrontier
from onward.ledger.store import KNOWN_KEY, TRANSACTION, WriteBatch, transactions_key

HEIGHTS, EACH = 50, 7


def tx(height: int, number: int) -> bytes:
    return sha256(b"%d/%d" % (height, number)).digest()


def transactions_at(height: int) -> int:
    """Every third block has none, and so no row of them."""
    return EACH if height % 3 else 0


def log_of(heights: int) -> DictStore:
    store = DictStore()
    for height in range(1, heights + 1):
        hashes = b"".join(tx(height, number) for number in range(transactions_at(height)))
        if hashes:
            store.write(WriteBatch(entries=((transactions_key(height), hashes),)))
    return store


def tip_at(height: int) -> Tip:
    size = height + sum(map(transactions_at, range(1, height + 1)))
    edge = (bytes(32),) * size.bit_count()
    frontier = LogFrontier(size=size, edge=edge).encode()
    return Tip(height=height, digest=bytes(32), time_ms=0, state_map=bytes(40), frontier=frontier)


def new_ones(known: KnownTransactions, height: int) -> int:
    return sum(known.certainly_new(tx(0, number), height) for number in range(200))


def expect_none_new(known: KnownTransactions, height: int) -> None:
    for at in range(1, height + 1):
        assert not any(known.certainly_new(tx(at, n), height) for n in range(transactions_at(at)))


@pytest.fixture
def kept_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TRANSACTION_FILTER_KEPT_EVERY", 60)
    monkeypatch.setattr(limits, "TRANSACTION_FILTER_ADDED_MAX", 30)


def kept_at(store: DictStore, height: int) -> bytes:
    """What a filter that has followed this far stores."""
    known = KnownTransactions(store)
    for _ in range(height):
        known.follow(tip_at(height))
    data = known.to_keep(height)
    assert data is not None
    store.write(WriteBatch(entries=((KNOWN_KEY, data),)))
    return data


def test_no_transaction_of_the_log_is_ever_taken_for_new(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also while the filter is being filled, and while it lags behind."""
    monkeypatch.setattr(limits, "TRANSACTION_FILTER_ADDED_MAX", 40)
    known = KnownTransactions(log_of(HEIGHTS))
    for height in (20, 21, 22, 22, 24, 50, 50, 50, 50):
        known.follow(tip_at(height))
        expect_none_new(known, height)
    assert new_ones(known, 50) == 200
    assert new_ones(known, 51) == 0, "it has not seen block 51"


@pytest.mark.parametrize("at_once", [1, 10, 40, 1_000])
def test_what_is_new_is_known_once_all_heights_are_taken_in(
    monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """Some with each block, so that no block waits for a long chain."""
    monkeypatch.setattr(limits, "TRANSACTION_FILTER_ADDED_MAX", at_once)
    known = KnownTransactions(log_of(HEIGHTS))
    calls = 0
    while not new_ones(known, HEIGHTS):
        expect_none_new(known, HEIGHTS)
        known.follow(tip_at(HEIGHTS))
        calls += 1
    rows = sum(1 for height in range(1, HEIGHTS + 1) if transactions_at(height))
    assert calls == -(-rows // -(-at_once // EACH))


def test_a_full_filter_asks_the_database_more_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes most new ones for known ones then, and still no known one for a new one."""
    monkeypatch.setattr(limits, "TRANSACTION_FILTER_BYTES", 64)
    known = KnownTransactions(log_of(HEIGHTS))
    known.follow(tip_at(HEIGHTS))
    assert 0 < new_ones(known, HEIGHTS) < 150
    expect_none_new(known, HEIGHTS)


@pytest.mark.usefixtures("kept_early")
def test_a_start_goes_on_from_the_filter_that_is_stored() -> None:
    """A million hashes take a start longer than anything else that it does."""
    store = log_of(HEIGHTS)
    kept_at(store, 40)
    asked: list[bytes] = []
    honest = store.scan

    def scan(start: bytes, end: bytes, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        asked.append(start)
        return honest(start, end, reverse=reverse)

    store.scan = scan  # type: ignore[method-assign]
    known = KnownTransactions(store)
    for height in (44, 44, 50, 50):
        known.follow(tip_at(height))
        expect_none_new(known, height)
    assert new_ones(known, 50) == 200
    assert min(asked) == transactions_key(41)
    assert known.to_keep(50) is None, "not so much was added since"


@pytest.mark.usefixtures("kept_early")
def test_a_filter_is_stored_when_enough_was_added_and_it_is_whole() -> None:
    known = KnownTransactions(log_of(HEIGHTS))
    stored = []
    for height in range(1, HEIGHTS + 1):
        known.follow(tip_at(height))
        assert known.to_keep(height + 1) is None, "it has not seen that block"
        if known.to_keep(height) is not None:
            stored.append(height)
    assert stored == [13, 26, 40]
    behind = KnownTransactions(log_of(HEIGHTS))
    for _ in range(4):
        behind.follow(tip_at(HEIGHTS))
        assert behind.to_keep(HEIGHTS) is None, "a part of the filter would forget the rest"


@pytest.mark.usefixtures("kept_early")
def test_a_stored_filter_with_a_changed_byte_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bit that is lost is a transaction that may be executed twice."""
    monkeypatch.setattr(limits, "TRANSACTION_FILTER_BYTES", 256)
    store = log_of(HEIGHTS)
    good = kept_at(store, 40)
    for position in range(len(good)):
        rotten = bytearray(good)
        rotten[position] ^= 1 << position % 8
        store.rows[KNOWN_KEY] = bytes(rotten)
        with pytest.raises(CorruptionError, match="filter of transactions"):
            KnownTransactions(store).follow(tip_at(HEIGHTS))


def test_a_filter_of_another_chain_or_of_a_later_height_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Good bytes in the wrong home: they say nothing about this log."""
    monkeypatch.setattr(limits, "TRANSACTION_FILTER_KEPT_EVERY", 30)
    other = DictStore()
    for height in range(1, 31):
        other.rows[transactions_key(height)] = tx(height, 99)
    longer = KnownTransactions(other)
    tip = replace(tip_at(30), frontier=LogFrontier(size=60, edge=(bytes(32),) * 4).encode())
    longer.follow(tip)
    store = log_of(HEIGHTS)
    store.rows[KNOWN_KEY] = longer.to_keep(30) or b""
    known = KnownTransactions(store)
    with pytest.raises(CorruptionError, match="the log has"):
        known.follow(tip_at(HEIGHTS))
    assert new_ones(known, HEIGHTS) == 0
    with pytest.raises(CorruptionError, match="not what was written"):
        KnownTransactions(store).follow(tip_at(29))


def test_a_filter_of_another_size_is_filled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TRANSACTION_FILTER_KEPT_EVERY", 60)
    store = log_of(HEIGHTS)
    kept_at(store, 40)
    monkeypatch.setattr(limits, "TRANSACTION_FILTER_BYTES", 2 * limits.TRANSACTION_FILTER_BYTES)
    known = KnownTransactions(store)
    known.follow(tip_at(HEIGHTS))
    assert new_ones(known, HEIGHTS) == 200
    expect_none_new(known, HEIGHTS)


@pytest.mark.parametrize("damage", ["gone", "short", "cut"])
def test_a_log_whose_rows_do_not_name_all_transactions_is_refused(damage: str) -> None:
    """What is missing there would be new to the filter, though the database has its verdict."""
    store = log_of(HEIGHTS)
    row = store.rows.pop(transactions_key(20))
    if damage != "gone":
        store.rows[transactions_key(20)] = row[: -32 if damage == "short" else -1]
    known = KnownTransactions(store)
    for _ in range(2):  # whoever asks again gets the same answer
        with pytest.raises(CorruptionError, match="transactions"):
            known.follow(tip_at(HEIGHTS))
        assert new_ones(known, HEIGHTS) == 0


@pytest.mark.parametrize("restarts", [False, True])
def test_a_transaction_of_an_earlier_block_is_void_and_new_ones_cost_no_read(
    *, restarts: bool
) -> None:
    """With the filter that all blocks share, and with one that a start has to fill again."""
    chain = Chain()
    hand = AtHand(chain.store)
    asked: list[bytes] = []
    honest = chain.store.get

    def get(key: bytes) -> bytes | None:
        if key.startswith(TRANSACTION):
            asked.append(key)
        return honest(key)

    for index in range(5):
        if restarts:
            hand = AtHand(chain.store)
        tip = read_tip(chain.store)
        assert tip is not None
        envelopes = (chain.envelope(body(salt=0)), chain.envelope(body(salt=index + 1)))
        ordered = chain.ordered(*envelopes, time_ms=T0 + index + 1)
        chain.store.get = get  # type: ignore[method-assign]
        work = BlockExecution(chain.store, tip, ordered, chain.contract_for, hand)
        assert work.run(10)
        chain.store.get = honest  # type: ignore[method-assign]
        result = work.finish()
        codes = [item.result.code for item in result.bodies]
        assert codes == ["E_REPLAY" if index else "OK", "OK"]
        chain.store.write(result.writes)
        hand.settle(work.writes, result.tip)
        chain.last, chain.lane = ordered.block, ordered.block.cut[0]
    assert len(asked) == 4, "once for each replay"


def test_a_block_stores_the_filter_and_a_start_reads_no_height_below_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "TRANSACTION_FILTER_KEPT_EVERY", 3)
    chain = Chain()
    kept: list[bytes | None] = []
    for index in range(9):
        chain.execute(chain.envelope(body(salt=index)), time_ms=T0 + index + 1)
        kept.append(chain.store.get(KNOWN_KEY))
    stored = [data for index, data in enumerate(kept) if data and data != kept[index - 1]]
    assert [int.from_bytes(data[:8], "big") for data in stored] == [3, 6], "each with the next one"
    for height in range(1, 7):
        del chain.store.rows[transactions_key(height)]
    done = chain.execute(chain.envelope(body(salt=0)), chain.envelope(body(salt=99)))
    assert [item.result.code for item in done.bodies] == ["E_REPLAY", "OK"]
    assert chain.store.get(KNOWN_KEY) != kept[-1], "three more since height 6"
