"""Envelopes that this node has taken in and not yet sealed into a batch of its lane.

First come, first sealed. The door has verified every envelope; here they only wait: until there is
a batch's worth of bytes, or until the oldest has waited long enough.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from onward import limits
from onward.errors import Unavailable
from onward.ledger.transaction import CheckedEnvelope
from onward.types import Digest

RETRY_AFTER_MS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """An envelope and the time it came."""

    envelope: CheckedEnvelope
    since_ms: int


class Mempool:
    """The queue before this node's lane, and the hashes on their way from the door to a verdict."""

    __slots__ = ("_bytes", "_in_flight", "_waiting")

    def __init__(self) -> None:
        """An empty queue."""
        self._waiting: deque[Waiting] = deque()
        self._bytes = 0
        self._in_flight: set[bytes] = set()

    def __len__(self) -> int:
        """How many envelopes wait."""
        return len(self._waiting)

    @property
    def size_bytes(self) -> int:
        """How many bytes wait."""
        return self._bytes

    def add(self, envelope: CheckedEnvelope, now_ms: int) -> bool:
        """Take an envelope in; False when every body of it is on its way already.

        Raises `Unavailable` when the queue is full: the caller may send the same bytes again.
        """
        tx_hashes, size = envelope.tx_hashes, len(envelope.data)
        if self._in_flight.issuperset(tx_hashes):
            return False
        full = len(self._waiting) >= limits.MEMPOOL_ENVELOPES_MAX
        if full or self._bytes + size > limits.MEMPOOL_BYTES_MAX:
            raise Unavailable(
                f"{len(self._waiting)} envelopes wait at this node", retry_after_ms=RETRY_AFTER_MS
            )
        self._waiting.append(Waiting(envelope=envelope, since_ms=now_ms))
        self._bytes += size
        self._in_flight.update(tx_hashes)
        return True

    def track(self, tx_hashes: Iterable[Digest]) -> None:
        """Remember hashes of this lane's batches that a reboot found on disk."""
        self._in_flight.update(tx_hashes)

    def forget(self, tx_hashes: Iterable[bytes]) -> None:
        """These bodies have their verdict."""
        self._in_flight.difference_update(tx_hashes)

    def ready_at_ms(self, *, pending: int) -> int | None:
        """When the next batch is due: None while nothing waits.

        `pending`: how many earlier batches of the lane wait for their block. A small one more would
        cost every validator a message, a write and an acknowledgement and gain little: the more
        there are, the longer it waits for others.
        """
        if not self._waiting:
            return None
        since_ms = self._waiting[0].since_ms
        if self._bytes >= limits.SEAL_BYTES_TARGET:
            return since_ms
        return since_ms + max(limits.SEAL_AGE_MS_MAX, limits.SEAL_AGE_PENDING_MS * pending)

    def take(self) -> tuple[CheckedEnvelope, ...]:
        """The envelopes of the next batch, within the limits of a batch."""
        taken: list[CheckedEnvelope] = []
        size = bodies = 0
        while self._waiting and len(taken) < limits.BATCH_ENVELOPES_MAX:
            following = self._waiting[0].envelope
            size += len(following.data) + limits.BATCH_ENVELOPE_OVERHEAD_BYTES
            count = len(following.transactions)
            over = size > limits.SEAL_BYTES_MAX or bodies + count > limits.BATCH_BODIES_MAX
            if taken and over:
                break
            self._waiting.popleft()
            self._bytes -= len(following.data)
            taken.append(following)
            bodies += count
        return tuple(taken)
