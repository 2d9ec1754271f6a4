"""What the liars share that write a lane of their own.

Clients do not ask liars, so such a liar seals what it hears: envelopes out of others' batches. They
are valid, and void when they are executed a second time.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from onward.consensus.messages import PeerMessage
from onward.ledger.block import LANE_START, Batch, LanePoint, batch_head, batch_signed_bytes
from onward.simulation.byzantine.liar import LiarKit

_ENVELOPES_KEPT = 32
_SEALED_MAX = 48  # a lane that nobody orders any more must not fill memories


class Lane:
    """The liar's own lane, and the material for its next batches."""

    def __init__(self, kit: LiarKit) -> None:
        """`kit`: its own key."""
        self._kit = kit
        self._heard: deque[bytes] = deque(maxlen=_ENVELOPES_KEPT)
        self.tip: LanePoint = LANE_START

    def learn(self, message: PeerMessage) -> None:
        """Take the envelopes of others' batches."""
        if isinstance(message, Batch) and message.author != self._kit.index:
            self._heard.extend(message.envelopes)

    @property
    def envelopes(self) -> tuple[bytes, ...]:
        """Two or three of what was heard; none when the lane should end here."""
        if len(self._heard) < 4 or self.tip.seq >= _SEALED_MAX:
            return ()
        return tuple(self._kit.rng.sample(self._heard, self._kit.rng.choice((2, 3))))

    def sealed(self, envelopes: tuple[bytes, ...]) -> tuple[Batch, LanePoint]:
        """A signed batch behind the tip, and the place that it would have."""
        unsigned = Batch(
            author=self._kit.index,
            epoch=self._kit.epoch,
            seq=self.tip.seq + 1,
            previous=self.tip.head,
            envelopes=envelopes,
            signature=bytes(64),
        )
        head = batch_head(self._kit.chain_id, unsigned)
        signature = self._kit.signer.sign(batch_signed_bytes(head))
        return replace(unsigned, signature=signature), LanePoint(seq=unsigned.seq, head=head)
