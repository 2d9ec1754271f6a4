"""Many envelopes at once: each has its own result, once, whatever becomes of its neighbours."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.unit.gateway.test_door import (
    FakeNode,
    body,
    sealed,
    verdict,
)
from tests.unit.gateway.test_door import (
    gateway as gateway,  # noqa: PLC0414  # a fixture
)
from tests.unit.gateway.test_door import (
    node as node,  # noqa: PLC0414  # a fixture
)

from onward import limits
from onward.gateway.door import Gateway
from onward.ledger.transaction import body_hash
from onward.replica.answers import Submission


class Results:
    """What was told, by place."""

    def __init__(self) -> None:
        self.found: dict[int, Any] = {}
        self.told = asyncio.Event()

    def tell(self, place: int, result: Any) -> None:
        assert place not in self.found, "told twice"
        self.found[place] = result
        self.told.set()

    def codes(self) -> dict[int, str]:
        return {
            place: (item.verdicts[0].code if item.verdicts else "taken in")
            if isinstance(item, Submission)
            else str(item.code)
            for place, item in sorted(self.found.items())
        }


async def test_good_ones_go_in_together_and_bad_ones_alone_are_refused(
    gateway: Gateway, node: FakeNode
) -> None:
    results = Results()
    envelopes = [sealed(body(1)), b"", sealed(body(2))]
    await gateway.submit_many(envelopes, 60_000, results.tell)
    assert results.codes() == {1: "E_FORMAT"}
    (event,) = node.inbox
    assert [item.data for item in event.envelopes] == [envelopes[0], envelopes[2]]
    gateway.finished([verdict(body_hash(body(2))), verdict(body_hash(body(1)), "E_DEPTH")])
    assert results.codes() == {0: "E_DEPTH", 1: "E_FORMAT", 2: "OK"}
    assert gateway.in_flight == 0


async def test_same_envelope_twice_goes_in_once_and_is_answered_twice(
    gateway: Gateway, node: FakeNode
) -> None:
    results = Results()
    await gateway.submit_many([sealed(), sealed()], 60_000, results.tell)
    assert len(node.inbox[0].envelopes) == 1
    gateway.finished([verdict(body_hash(body()))])
    assert results.codes() == {0: "OK", 1: "OK"}


async def test_many_signatures_leave_turns_to_others(gateway: Gateway, node: FakeNode) -> None:
    """Votes wait behind them otherwise."""
    count = 4 * limits.VERIFY_CHUNK_ENVELOPES + 1
    results, turns = Results(), 0
    submitting = asyncio.create_task(
        gateway.submit_many([sealed(body(number)) for number in range(count)], 60_000, results.tell)
    )
    while not submitting.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns >= 4
    assert sum(len(event.envelopes) for event in node.inbox) == count


@pytest.mark.parametrize("wait_ms", [0, 60_000])
async def test_no_room_is_told_to_each_and_nothing_is_left_behind(
    gateway: Gateway, node: FakeNode, wait_ms: int
) -> None:
    node.full = True
    results = Results()
    await gateway.submit_many([sealed(body(1)), sealed(body(2))], wait_ms, results.tell)
    assert results.codes() == {0: "E_BUSY", 1: "E_BUSY"}
    assert gateway.in_flight == 0


async def test_who_does_not_wait_is_told_what_is_known(gateway: Gateway) -> None:
    results = Results()
    await gateway.submit_many([sealed(body(1)), sealed(body(1))], 0, results.tell)
    assert results.codes() == {0: "taken in", 1: "taken in"}


async def test_a_wait_ends_and_the_late_verdict_is_not_told_a_second_time(
    gateway: Gateway,
) -> None:
    results = Results()
    await gateway.submit_many([sealed(body(1))], 1, results.tell)
    await results.told.wait()
    assert results.codes() == {0: "E_UNAVAILABLE"}
    gateway.finished([verdict(body_hash(body(1)))])
    assert results.codes() == {0: "E_UNAVAILABLE"}


async def test_stopping_node_tells_all_of_them(gateway: Gateway) -> None:
    results = Results()
    await gateway.submit_many([sealed(body(1)), sealed(body(2))], 60_000, results.tell)
    gateway.close()
    assert results.codes() == {0: "E_UNAVAILABLE", 1: "E_UNAVAILABLE"}
    await gateway.submit_many([sealed(body(3))], 60_000, lambda _, result: results.tell(3, result))
    assert results.codes()[3] == "E_UNAVAILABLE"
