"""What waits to be sent to one peer: bounded in bytes, first in first out.

Order is kept because a proposal may name a batch that went before it. A packet that comes while
another one stands last in the queue merges into it: knowledge is a set, so their union says the
same in one frame. What does not fit pushes out the oldest: the peer asks again for whatever it
misses.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TypeVar

from onward import limits
from onward.consensus.messages import (
    ChainPage,
    Evidence,
    Fetch,
    Packet,
    PeerMessage,
    encode_frame,
)
from onward.ledger.block import Batch

T = TypeVar("T")

# Close upper bounds of encoded sizes; exact ones would mean encoding everything twice.
_VOTE_BYTES = 128
_POINT_BYTES = 48
_BLOCK_BYTES = 320
_FIXED_BYTES = 64
_PAGE_BYTES = limits.PEER_MESSAGE_BYTES_MAX


class Outgoing:
    """A message and its frame, encoded once for however many peers it goes to."""

    __slots__ = ("_frame", "message", "weight")

    def __init__(self, message: PeerMessage) -> None:
        self.message = message
        self.weight = weight_of(message)
        self._frame: bytes | None = None

    def frame(self) -> bytes:
        """The canonical bytes."""
        if self._frame is None:
            self._frame = encode_frame(self.message)
        return self._frame


class Outbox:
    """One peer's queue. `dropped` counts messages pushed out since the process began."""

    def __init__(self, bytes_max: int = limits.PEER_OUTBOX_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._queue: deque[Outgoing] = deque()
        self._filled = asyncio.Event()
        self.bytes = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._queue)

    def put(self, outgoing: Outgoing) -> None:
        """Queue a message, merging packets and pushing out the oldest when there is no room."""
        last = self._queue[-1] if self._queue else None
        if last is not None:
            merged = merge(last.message, outgoing.message)
            if merged is not None:
                self._queue.pop()
                self.bytes -= last.weight
                outgoing = Outgoing(merged)
        self._queue.append(outgoing)
        self.bytes += outgoing.weight
        while self.bytes > self._bytes_max and len(self._queue) > 1:
            self.bytes -= self._queue.popleft().weight
            self.dropped += 1
        self._filled.set()

    async def get(self) -> list[Outgoing]:
        """The oldest messages, as many as travel together, when there is one."""
        while not self._queue:
            self._filled.clear()
            await self._filled.wait()
        together: list[Outgoing] = []
        room = limits.PEER_MESSAGE_BYTES_MAX
        while self._queue and len(together) < limits.PEER_FRAMES_MAX:
            room -= self._queue[0].weight
            if together and room < 0:
                break
            outgoing = self._queue.popleft()
            self.bytes -= outgoing.weight
            together.append(outgoing)
        return together

    def clear(self) -> None:
        """Forget everything: the connection it waited for is gone."""
        self._queue.clear()
        self.bytes = 0


def weight_of(message: PeerMessage) -> int:
    """About how many bytes a message takes; never much less than it does."""
    match message:
        case Packet():
            lanes = sum(len(block.cut) for block in message.blocks)
            signatures = sum(len(item.signatures) for item in message.certificates)
            return (
                _FIXED_BYTES
                + _BLOCK_BYTES * len(message.blocks)
                + _POINT_BYTES * (lanes + len(message.tips))
                + _VOTE_BYTES
                * (
                    signatures
                    + len(message.certificates)
                    + len(message.votes)
                    + len(message.checkpoints)
                )
            )
        case Batch():
            return _FIXED_BYTES * 4 + sum(len(item) + 8 for item in message.envelopes)
        case ChainPage():
            return _PAGE_BYTES if message.entries else _FIXED_BYTES
        case Fetch():
            return _FIXED_BYTES + 36 * (len(message.blocks) + len(message.batches))
        case Evidence():
            return _FIXED_BYTES + 4 * _VOTE_BYTES
        case _:
            return _FIXED_BYTES


def merge(older: PeerMessage, newer: PeerMessage) -> Packet | None:
    """The union of two packets of one sender, or None where there is none that fits in a packet."""
    if not (isinstance(older, Packet) and isinstance(newer, Packet)):
        return None
    merged = Packet(
        status=max(older.status, newer.status),
        height=max(older.height, newer.height),
        blocks=_union(older.blocks, newer.blocks),
        certificates=_union(older.certificates, newer.certificates),
        votes=_union(older.votes, newer.votes),
        tips=newer.tips or older.tips,
        checkpoints=_union(older.checkpoints, newer.checkpoints),
    )
    fits = (
        len(merged.blocks) <= limits.PACKET_BLOCKS_MAX
        and len(merged.certificates) <= limits.PACKET_CERTIFICATES_MAX
        and len(merged.votes) <= limits.PACKET_VOTES_MAX
        and len(merged.checkpoints) <= limits.PACKET_CHECKPOINTS_MAX
    )
    return merged if fits else None


def _union(older: tuple[T, ...], newer: tuple[T, ...]) -> tuple[T, ...]:
    """Both, each once, in the order of their first place."""
    if not older or not newer:
        return older or newer
    return tuple(dict.fromkeys(older + newer))
