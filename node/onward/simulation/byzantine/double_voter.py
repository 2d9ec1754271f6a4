"""Finalizes and nullifies the same view, telling each peer the half that harms most."""

from __future__ import annotations

from dataclasses import replace

from onward.consensus.messages import Packet, PeerMessage, VoteKind
from onward.simulation.byzantine.liar import LiarKit
from onward.types import NIL


class DoubleVoter:
    """Adds or swaps in the vote that contradicts its own."""

    def __init__(self, kit: LiarKit) -> None:
        """`kit`: its own key and chance."""
        self._kit = kit

    def outgoing(self, to: int, message: PeerMessage) -> tuple[PeerMessage, ...]:
        """A packet whose votes may be contradicted, by themselves or by those to another peer."""
        if not isinstance(message, Packet) or not message.votes:
            return (message,)
        votes = []
        for vote in message.votes:
            draw = self._kit.rng.random()
            if vote.kind == VoteKind.NULLIFY or draw < 0.5:
                votes.append(vote)
                continue
            self._kit.counts["lie.double_vote"] += 1
            lie = self._kit.vote(VoteKind.NULLIFY, vote.view, NIL)
            votes.extend((lie,) if draw < 0.75 or to % 2 else (vote, lie))
        return (replace(message, votes=tuple(votes)),)
