"""What waits to be stepped. Everybody who brings something is bounded by itself.

A peer's messages are bounded in number and bytes: its reader waits here, gRPC's flow control holds
the peer back, and nobody else notices. Submissions are bounded apart, and refused instead of held.
What the node tells itself (verified batches, peers that come and go) is bounded by what it was
asked.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from onward import limits
from onward.consensus.messages import PeerMessage
from onward.replica.effects import (
    BatchChecked,
    Event,
    PeerDown,
    PeerUp,
    Received,
    Submitted,
)
from onward.types import ValidatorIndex


class _Backlog:
    """One peer's share."""

    __slots__ = ("bytes", "count", "room")

    def __init__(self) -> None:
        self.bytes = 0
        self.count = 0
        self.room = asyncio.Event()

    @property
    def is_full(self) -> bool:
        return (
            self.bytes >= limits.PEER_INBOX_BYTES_MAX
            or self.count >= limits.PEER_INBOX_MESSAGES_MAX
        )


@dataclass(frozen=True, slots=True)
class _Item:
    event: Event
    size: int


class Inbox:
    """First in, first out."""

    def __init__(self) -> None:
        self._items: deque[_Item] = deque()
        self._backlogs: dict[ValidatorIndex, _Backlog] = {}
        self._submissions = 0
        self._submitted_bytes = 0
        self._filled = asyncio.Event()
        self._closed = False
        self._failure: Exception | None = None

    def __len__(self) -> int:
        return len(self._items)

    def fail(self, error: Exception) -> None:
        """Hand over an error that ends the node; the driver raises it at its next turn."""
        self._failure = self._failure or error
        self._filled.set()

    def check(self) -> None:
        """Raise what was handed over by `fail`, if anything was."""
        if self._failure is not None:
            raise self._failure

    def tell(self, event: PeerUp | PeerDown | BatchChecked) -> None:
        """Queue what the node itself has to say."""
        self._put(event, 0)

    def offer(self, event: Submitted) -> bool:
        """Queue submissions; False when there is no room for them or the node stops."""
        size, count = _bytes_of(event), len(event.envelopes)
        if (
            self._closed
            or self._submissions + count > limits.INBOX_SUBMISSIONS_MAX
            or self._submitted_bytes + size > limits.MEMPOOL_BYTES_MAX
        ):
            return False
        self._submissions += count
        self._submitted_bytes += size
        self._put(event, size)
        return True

    async def receive(self, peer: ValidatorIndex, message: PeerMessage, size: int) -> None:
        """Queue a peer's message; returns when there is room for its next one."""
        backlog = self._backlogs.setdefault(peer, _Backlog())
        backlog.bytes += size
        backlog.count += 1
        self._put(Received(peer=peer, message=message), size)
        while backlog.is_full:
            backlog.room.clear()
            await backlog.room.wait()

    def take(self) -> Event | None:
        """The oldest event, or None."""
        if not self._items:
            return None
        item = self._items.popleft()
        match item.event:
            case Received(peer=peer):
                backlog = self._backlogs[peer]
                backlog.bytes -= item.size
                backlog.count -= 1
                if not backlog.is_full:
                    backlog.room.set()
            case Submitted(envelopes=envelopes):
                self._submissions -= len(envelopes)
                self._submitted_bytes -= item.size
            case _:
                pass
        return item.event

    async def wait(self, timeout_s: float | None) -> None:
        """Return when there is something to take, after `wake`, or when time is up."""
        if self._items or self._failure is not None:
            return
        try:
            async with asyncio.timeout(timeout_s):
                await self._filled.wait()
        except TimeoutError:
            pass
        finally:
            self._filled.clear()

    def wake(self) -> None:
        """Make `wait` return."""
        self._filled.set()

    def close(self) -> None:
        """Take no more submissions."""
        self._closed = True

    def _put(self, event: Event, size: int) -> None:
        self._items.append(_Item(event, size))
        self._filled.set()


def _bytes_of(event: Submitted) -> int:
    return sum(len(envelope.data) for envelope in event.envelopes)
