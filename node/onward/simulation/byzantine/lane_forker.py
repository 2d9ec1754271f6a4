"""Forks its own lane: two batches at one place, one for some and the other for the rest."""

from __future__ import annotations

from onward.consensus.messages import Packet, PeerMessage
from onward.ledger.block import Batch
from onward.simulation.byzantine.lane import Lane
from onward.simulation.byzantine.liar import LiarKit


class LaneForker:
    """Seals twice at a place, goes on from either, and shows some peers both."""

    def __init__(self, kit: LiarKit) -> None:
        """`kit`: its own key and chance."""
        self._kit = kit
        self._lane = Lane(kit)
        self._waiting: dict[int, list[Batch]] = {peer: [] for peer in range(kit.machines)}

    def hear(self, sender: int, message: PeerMessage) -> None:
        """Material for the lane."""
        del sender
        self._lane.learn(message)

    def outgoing(self, to: int, message: PeerMessage) -> tuple[PeerMessage, ...]:
        """The message, behind the batches that `to` is to see."""
        if isinstance(message, Packet) and self._kit.rng.random() < 0.02:
            self._fork()
        batches, self._waiting[to] = self._waiting[to], []
        return (*batches, message)

    def _fork(self) -> None:
        rng, envelopes = self._kit.rng, self._lane.envelopes
        if not envelopes:
            return
        first, second = self._lane.sealed(envelopes), self._lane.sealed(envelopes[:1])
        is_fork = rng.random() < 0.7
        for queue in self._waiting.values():
            told = rng.choice(((first,), (second,), (first, second))) if is_fork else (first,)
            queue.extend(batch for batch, _ in told)
        _, self._lane.tip = rng.choice((first, second)) if is_fork else first
        if is_fork:
            self._kit.counts["lie.lane_fork"] += 1
