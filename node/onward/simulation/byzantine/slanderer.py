"""Accuses the honest: with true votes that exclude nothing, and with invented ones that do."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from onward.consensus.evidence import evidence_of_fork, evidence_of_votes
from onward.consensus.messages import Evidence, Packet, PeerMessage, Vote, VoteKind
from onward.ledger.block import Batch
from onward.simulation.byzantine.liar import LiarKit
from onward.types import NIL

_HEARD_MAX = 64


class Slanderer:
    """Sends evidence that proves nothing, against whoever it has heard of."""

    def __init__(self, kit: LiarKit) -> None:
        """`kit`: its own key and chance."""
        self._kit = kit
        self._votes: deque[Vote] = deque(maxlen=_HEARD_MAX)
        self._batches: deque[Batch] = deque(maxlen=_HEARD_MAX)

    def hear(self, sender: int, message: PeerMessage) -> None:
        """Whatever others have signed may be held against them."""
        del sender
        if isinstance(message, Packet):
            self._votes.extend(message.votes)
        elif isinstance(message, Batch) and message.author != self._kit.index:
            self._batches.append(message)

    def outgoing(self, to: int, message: PeerMessage) -> tuple[PeerMessage, ...]:
        """The message, now and then before an accusation."""
        del to
        if not isinstance(message, Packet) or not self._votes or self._kit.rng.random() < 0.9:
            return (message,)
        self._kit.counts["lie.slander"] += 1
        return (message, self._slander())

    def _slander(self) -> Evidence:
        rng, vote = self._kit.rng, self._kit.rng.choice(self._votes)
        match rng.randrange(5):
            case 0 if self._batches:
                batch = rng.choice(self._batches)
                return evidence_of_fork(batch, replace(batch, envelopes=batch.envelopes[::-1] * 2))
            case 1:  # two true votes, each of which an honest validator gives
                return evidence_of_votes(self._kit.epoch, vote, rng.choice(self._votes))
            case 2:  # a vote against itself
                return evidence_of_votes(self._kit.epoch, vote, vote)
            case 3:  # its own two votes under another's name
                own = self._kit.vote(VoteKind.NULLIFY, vote.view, NIL)
                other = self._kit.vote(VoteKind.FINALIZE, vote.view, rng.randbytes(32))
                made = evidence_of_votes(self._kit.epoch, own, other)
                votes = tuple(replace(item, signer=vote.signer) for item in made.votes)
                return replace(made, signer=vote.signer, votes=votes)
            case _:  # one that was given beside one that was not
                invented = replace(
                    vote,
                    kind=VoteKind.NOTARIZE,
                    digest=rng.randbytes(32),
                    signature=rng.randbytes(64),
                )
                return evidence_of_votes(self._kit.epoch, vote, invented)
