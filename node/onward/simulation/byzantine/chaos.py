"""Everything at once: any other liar's turn, and votes on whatever was ever heard of."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from onward.consensus.messages import Packet, PeerMessage, VoteKind
from onward.simulation.byzantine.liar import Liar, LiarKit, Listener, MakeLiar
from onward.types import NIL

_HEARD_MAX = 64


class Chaos:
    """Each message goes through the hands of another liar, or of none."""

    def __init__(self, kit: LiarKit, others: Sequence[MakeLiar]) -> None:
        """`others`: whose turns it takes."""
        self._kit = kit
        self._liars: tuple[Liar, ...] = tuple(make(kit) for make in others)
        self._votes: deque[tuple[int, bytes]] = deque(maxlen=_HEARD_MAX)  # view, digest

    def hear(self, sender: int, message: PeerMessage) -> None:
        """All of them listen; any vote is one that could be given too."""
        if isinstance(message, Packet):
            self._votes.extend((vote.view, vote.digest) for vote in message.votes)
        for liar in self._liars:
            if isinstance(liar, Listener):
                liar.hear(sender, message)

    def outgoing(self, to: int, message: PeerMessage) -> tuple[PeerMessage, ...]:
        """What the liar whose turn it is makes of the message, with a vote more or less."""
        rng = self._kit.rng
        if rng.random() < 0.4:
            return (message,)
        self._kit.counts["lie.chaos"] += 1
        if isinstance(message, Packet) and rng.random() < 0.2:
            message = self._with_any_vote(message)
        return rng.choice(self._liars).outgoing(to, message)

    def _with_any_vote(self, message: Packet) -> Packet:
        """Its own vote of any kind, in any view, on anything."""
        if not self._votes:
            return message
        rng = self._kit.rng
        kind = rng.choice((VoteKind.NOTARIZE, VoteKind.NULLIFY, VoteKind.FINALIZE))
        view, _ = rng.choice(self._votes)
        _, digest = rng.choice(self._votes)
        if digest == NIL and kind != VoteKind.NULLIFY:
            digest = rng.randbytes(32)
        vote = self._kit.vote(
            kind,
            max(1, view + rng.choice((0, 0, 0, 1, 2, -1))),
            NIL if kind == VoteKind.NULLIFY else digest,
        )
        return replace(message, votes=(*message.votes, vote))
