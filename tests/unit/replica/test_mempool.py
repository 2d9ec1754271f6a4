"""When a lane is sealed: soon on an idle network, with company on a busy one."""

from __future__ import annotations

import pytest
from tests.support.cluster import make_genesis, registration, submitted

from onward import limits
from onward.ledger.transaction import CheckedEnvelope
from onward.mempool import Mempool

NOW = 1_000


@pytest.fixture(scope="module")
def envelopes() -> tuple[CheckedEnvelope, ...]:
    genesis, _ = make_genesis(4)
    made = [registration(genesis, number)[0] for number in range(3)]
    return tuple(submitted(envelope).envelopes[0] for envelope in made)


def test_the_more_batches_wait_for_their_block_the_longer_the_next_one_gathers(
    envelopes: tuple[CheckedEnvelope, ...],
) -> None:
    """A block takes so many batches of a lane; filled with small ones it would be a small block."""
    mempool = Mempool()
    assert mempool.ready_at_ms(pending=0) is None
    mempool.add(envelopes[0], NOW)
    mempool.add(envelopes[1], NOW + 3)
    assert mempool.ready_at_ms(pending=0) == NOW + limits.SEAL_AGE_MS_MAX
    assert mempool.ready_at_ms(pending=1) == NOW + limits.SEAL_AGE_PENDING_MS
    assert mempool.ready_at_ms(pending=4) == NOW + 4 * limits.SEAL_AGE_PENDING_MS


def test_a_full_batch_waits_for_nothing(
    envelopes: tuple[CheckedEnvelope, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SEAL_BYTES_TARGET", len(envelopes[0].data) + 1)
    mempool = Mempool()
    mempool.add(envelopes[0], NOW)
    assert mempool.ready_at_ms(pending=9) != NOW
    mempool.add(envelopes[1], NOW + 3)
    assert mempool.ready_at_ms(pending=9) == NOW


def test_bytes_on_their_way_are_not_taken_in_again(
    envelopes: tuple[CheckedEnvelope, ...],
) -> None:
    mempool = Mempool()
    assert mempool.add(envelopes[0], NOW)
    assert not mempool.add(envelopes[0], NOW)
    (taken,) = mempool.take()
    assert taken == envelopes[0]
    assert not mempool.add(envelopes[0], NOW)
    mempool.forget(envelopes[0].tx_hashes)
    assert mempool.add(envelopes[0], NOW)
