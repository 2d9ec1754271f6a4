from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from onward import limits
from onward.consensus.messages import (
    EMPTY_PACKET,
    ChainRequest,
    Packet,
    Vote,
    VoteKind,
    decode_frame,
    encode_frame,
)
from onward.ledger.block import Batch, LanePoint
from onward.rpc.outbox import Outbox, Outgoing, merge, weight_of
from onward.types import NIL


def vote(view: int) -> Vote:
    return Vote(kind=VoteKind.NULLIFY, view=view, digest=NIL, signer=1, signature=bytes(64))


def packet(*views: int) -> Packet:
    return replace(EMPTY_PACKET, votes=tuple(vote(view) for view in views))


def batch(size: int) -> Batch:
    return Batch(
        author=0, epoch=0, seq=1, previous=NIL, envelopes=(bytes(size),), signature=bytes(64)
    )


async def test_packets_that_wait_together_leave_as_one() -> None:
    outbox = Outbox()
    for item in (packet(1), packet(2, 1), packet(3)):
        outbox.put(Outgoing(item))
    (sent,) = await outbox.get()
    assert sent.message == packet(1, 2, 3)
    assert decode_frame(sent.frame()) == sent.message
    assert not len(outbox)
    assert outbox.bytes == 0


async def test_packet_never_overtakes_the_batch_before_it() -> None:
    """A proposal names batches that the peer must hold when it votes."""
    outbox = Outbox()
    for message in (packet(1), batch(10), packet(2)):
        outbox.put(Outgoing(message))
    assert [item.message for item in await outbox.get()] == [packet(1), batch(10), packet(2)]
    assert outbox.bytes == 0


async def test_what_travels_together_fits_into_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other side would take a longer one for the word of a liar."""
    Outgoing(batch(1)).frame()  # the codec reads the limits once, with the first message
    monkeypatch.setattr(limits, "PEER_MESSAGE_BYTES_MAX", 3_000)
    monkeypatch.setattr(limits, "PEER_FRAMES_MAX", 3)
    outbox = Outbox()
    for size in (1_000, 1_000, 1_000, 5_000, 1, 1, 1, 1):
        outbox.put(Outgoing(batch(size)))
    taken = [[len(item.frame()) // 1_000 for item in await outbox.get()] for _ in range(5)]
    assert taken == [[1, 1], [1], [5], [0, 0, 0], [0]]


async def test_full_outbox_pushes_out_the_oldest_and_keeps_its_bound() -> None:
    outbox = Outbox(bytes_max=5_000)
    for size in range(1_000, 1_010):
        outbox.put(Outgoing(batch(size)))
        assert outbox.bytes <= 5_000
    assert outbox.dropped == 7
    left = [len(item.message.envelopes[0]) for item in await outbox.get()]  # type: ignore[union-attr]
    assert left == [1_007, 1_008, 1_009]


async def test_reader_waits_until_something_comes() -> None:
    outbox = Outbox()
    reading = asyncio.create_task(outbox.get())
    await asyncio.sleep(0)
    assert not reading.done()
    outbox.put(Outgoing(ChainRequest(from_height=1)))
    assert [item.message for item in await reading] == [ChainRequest(from_height=1)]


def test_merged_packet_says_what_both_said() -> None:
    older = replace(packet(1), status=4, height=9, tips=(LanePoint(seq=1, head=NIL),))
    newer = replace(packet(2), height=10)
    assert merge(older, newer) == replace(older, votes=(vote(1), vote(2)), height=10)
    assert merge(older, replace(newer, tips=(LanePoint(seq=2, head=NIL),))) == replace(
        older, votes=(vote(1), vote(2)), height=10, tips=(LanePoint(seq=2, head=NIL),)
    )


def test_packets_whose_union_is_too_large_stay_apart() -> None:
    full = packet(*range(limits.PACKET_VOTES_MAX))
    assert merge(full, packet(0)) == full
    assert merge(full, packet(limits.PACKET_VOTES_MAX)) is None
    assert merge(packet(1), batch(1)) is None


def test_weight_is_no_less_than_the_bytes_of_usual_messages() -> None:
    for message in (packet(*range(1, 50)), batch(5_000), ChainRequest(from_height=2**40)):
        size = len(encode_frame(message))
        assert size <= weight_of(message) <= 2 * size + 200
