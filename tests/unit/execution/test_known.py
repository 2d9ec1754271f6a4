"""The filter before the replay check: a transaction that it forgets would be executed twice."""

from __future__ import annotations

from hashlib import sha256

import pytest
from tests.unit.execution.worlds import T0, Chain, DictStore, body

from onward import limits
from onward.execution.block import AtHand, BlockExecution
from onward.execution.known import KnownTransactions
from onward.ledger.chain import read_tip
from onward.ledger.store import TRANSACTION, WriteBatch, transactions_key

HEIGHTS, EACH = 50, 7


def tx(height: int, number: int) -> bytes:
    return sha256(b"%d/%d" % (height, number)).digest()


def log_of(heights: int) -> DictStore:
    """Every third block has no transactions, and so no row of them."""
    store = DictStore()
    for height in range(1, heights + 1):
        hashes = b"".join(tx(height, number) for number in range(EACH))
        if height % 3:
            store.write(WriteBatch(entries=((transactions_key(height), hashes),)))
    return store


def new_ones(known: KnownTransactions, height: int) -> int:
    return sum(known.certainly_new(tx(0, number), height) for number in range(200))


def test_no_transaction_of_the_log_is_ever_taken_for_new() -> None:
    """Also while the filter is being filled, and while it lags behind."""
    store = log_of(HEIGHTS)
    known = KnownTransactions(store)
    for height in (20, 21, 22, 22, 24, 50, 50, 50, 50):
        known.follow(height)
        for at in range(1, height + 1):
            if at % 3:
                assert not any(known.certainly_new(tx(at, n), height) for n in range(EACH))
    assert new_ones(known, 50) == 200
    assert new_ones(known, 51) == 0, "it has not seen block 51"


def test_what_is_new_is_known_once_all_heights_are_taken_in() -> None:
    """Some with each block, so that no block waits for a long chain."""
    known = KnownTransactions(log_of(HEIGHTS))
    calls = 0
    while not new_ones(known, HEIGHTS):
        known.follow(HEIGHTS)
        calls += 1
    assert calls == -(-HEIGHTS // limits.TRANSACTION_FILTER_HEIGHTS_PER_BLOCK)


def test_a_full_filter_asks_the_database_more_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TRANSACTION_FILTER_BYTES", 64)
    known = KnownTransactions(log_of(HEIGHTS))
    for _ in range(HEIGHTS):
        known.follow(HEIGHTS)
    assert new_ones(known, HEIGHTS) < 150


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
        hand.state.settle(work.writes)
        chain.last, chain.lane = ordered.block, ordered.block.cut[0]
    assert len(asked) == 4, "once for each replay"
