"""Keeps back what others need from it: votes from some, batches and blocks from others."""

from __future__ import annotations

from dataclasses import replace

from onward.consensus.messages import Packet, PeerMessage, VoteKind
from onward.ledger.block import Batch
from onward.simulation.byzantine.liar import LiarKit, without_votes


class Withholder:
    """Deals selectively: every receiver gets another part of the truth."""

    def __init__(self, kit: LiarKit) -> None:
        """`kit`: its own key and chance."""
        self._kit = kit
        every_kind = tuple(VoteKind)
        self._withheld = {
            peer: frozenset(kit.rng.sample(every_kind, kit.rng.randrange(len(every_kind) + 1)))
            for peer in range(kit.machines)
        }
        self._hungry = frozenset(peer for peer in range(kit.machines) if kit.rng.random() < 0.5)

    def outgoing(self, to: int, message: PeerMessage) -> tuple[PeerMessage, ...]:
        """The message without what `to` is not to have."""
        if isinstance(message, Batch) and to in self._hungry:
            self._kit.counts["lie.batch_withheld"] += 1
            return ()
        if isinstance(message, Packet):
            kept = without_votes(message, self._withheld[to])
            if to in self._hungry and kept.blocks:
                kept = replace(kept, blocks=())
            if kept is not message:
                self._kit.counts["lie.votes_withheld"] += 1
            return (kept,)
        return (message,)
