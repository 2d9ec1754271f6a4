from __future__ import annotations

import asyncio

import pytest

from onward import limits
from onward.consensus.messages import ChainRequest
from onward.errors import InvariantError
from onward.ledger.transaction import CheckedEnvelope
from onward.replica.effects import BatchChecked, Received, Submitted
from onward.runtime.inbox import Inbox
from onward.types import Digest, ValidatorIndex

ONE, TWO = ValidatorIndex(1), ValidatorIndex(2)
MESSAGE = ChainRequest(from_height=1)
CHECKED = BatchChecked(head=Digest(bytes(32)), opened=((),))


def submitted(size: int = 10) -> Submitted:
    return Submitted(envelopes=(CheckedEnvelope(data=bytes(size), transactions=()),))


async def test_events_come_out_as_they_went_in() -> None:
    inbox = Inbox()
    await inbox.receive(ONE, MESSAGE, 100)
    inbox.tell(CHECKED)
    assert inbox.offer(submitted())
    assert inbox.take() == Received(peer=ONE, message=MESSAGE)
    assert inbox.take() == CHECKED
    assert inbox.take() == submitted()
    assert inbox.take() is None


async def test_peer_that_floods_holds_up_only_itself() -> None:
    inbox = Inbox()
    flooding = asyncio.create_task(inbox.receive(ONE, MESSAGE, limits.PEER_INBOX_BYTES_MAX))
    await asyncio.sleep(0)
    assert not flooding.done()
    await inbox.receive(TWO, MESSAGE, 100)
    inbox.take()
    await flooding


async def test_peers_messages_are_bounded_in_number() -> None:
    inbox = Inbox()
    for _ in range(limits.PEER_INBOX_MESSAGES_MAX - 1):
        await inbox.receive(ONE, MESSAGE, 1)
    held = asyncio.create_task(inbox.receive(ONE, MESSAGE, 1))
    await asyncio.sleep(0)
    assert not held.done()
    inbox.take()
    await held


async def test_submissions_are_refused_when_they_are_too_many_or_too_large() -> None:
    inbox = Inbox()
    assert inbox.offer(submitted(limits.MEMPOOL_BYTES_MAX))
    assert not inbox.offer(submitted(1))
    inbox.take()
    for _ in range(limits.INBOX_SUBMISSIONS_MAX):
        assert inbox.offer(submitted(1))
    assert not inbox.offer(submitted(1))


async def test_stopping_node_takes_no_submission() -> None:
    inbox = Inbox()
    inbox.close()
    assert not inbox.offer(submitted())


async def test_waiting_ends_with_an_event_a_wake_or_the_time() -> None:
    inbox = Inbox()
    await inbox.wait(0.001)
    for end in (inbox.wake, lambda: inbox.tell(CHECKED)):
        waiting = asyncio.create_task(inbox.wait(None))
        await asyncio.sleep(0)
        end()
        await waiting


async def test_error_that_ends_the_node_reaches_the_driver() -> None:
    inbox = Inbox()
    inbox.check()
    inbox.fail(InvariantError("first"))
    inbox.fail(InvariantError("second"))
    await inbox.wait(None)
    with pytest.raises(InvariantError, match="first"):
        inbox.check()
