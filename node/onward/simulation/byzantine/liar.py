"""What a liar is: an honest replica whose messages pass through somebody else's hands.

It holds its own key and may sign with it what it likes. It hears everything that its replica hears,
and decides for each receiver what leaves.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from onward.consensus.messages import Packet, PeerMessage, Vote, vote_signed_bytes
from onward.crypto.signing import Signer


@dataclass(slots=True, kw_only=True)
class LiarKit:
    """What every liar has. `index` and `size` are its place and its set in `epoch`.

    `machines`: how many there are to talk to, validators or not.
    """

    rng: random.Random
    signer: Signer
    chain_id: bytes
    index: int
    size: int
    machines: int
    counts: Counter[str]
    epoch: int = 0

    def vote(self, kind: int, view: int, digest: bytes) -> Vote:
        """A vote that is valid as far as signatures go."""
        message = vote_signed_bytes(self.chain_id, self.epoch, kind, view, digest)
        return Vote(
            kind=kind,
            view=view,
            digest=digest,
            signer=self.index,
            signature=self.signer.sign(message),
        )


class Liar(Protocol):
    """One way of lying."""

    def outgoing(self, to: int, message: PeerMessage) -> tuple[PeerMessage, ...]:
        """What leaves for the validator `to` in place of `message`."""


@runtime_checkable
class Listener(Protocol):
    """A liar that wants to know what its replica hears."""

    def hear(self, sender: int, message: PeerMessage) -> None:
        """A message arrived from the validator `sender`, before the replica sees it."""


MakeLiar = Callable[[LiarKit], Liar]


def without_votes(message: Packet, kinds: frozenset[int]) -> Packet:
    """The same packet without votes of these kinds."""
    kept = tuple(vote for vote in message.votes if vote.kind not in kinds)
    return replace(message, votes=kept) if len(kept) < len(message.votes) else message
