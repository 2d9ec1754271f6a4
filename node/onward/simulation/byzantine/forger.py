"""Makes certificates up: invented signatures, all of them or one; too few signers, or one often."""

from __future__ import annotations

from dataclasses import replace

from onward.consensus.messages import Certificate, IndexedSignature, Packet, PeerMessage, VoteKind
from onward.simulation.byzantine.liar import LiarKit
from onward.types import NIL, quorum_of

_BALLOTS_MAX = 16
_Ballot = tuple[int, int, bytes]
"""What is voted on: kind, view, digest."""


class Forger:
    """Adds to some packets a certificate that no quorum ever gave."""

    def __init__(self, kit: LiarKit) -> None:
        """`kit`: its own key and chance."""
        self._kit = kit
        self._overheard: list[Certificate] = []
        self._votes: dict[_Ballot, dict[int, bytes]] = {}  # signatures by signer

    def hear(self, sender: int, message: PeerMessage) -> None:
        """Real certificates are the best material, and real votes."""
        del sender
        if not isinstance(message, Packet):
            return
        if message.certificates:
            self._overheard = list(message.certificates)
        for vote in message.votes:
            ballot = (vote.kind, vote.view, vote.digest)
            self._votes.setdefault(ballot, {})[vote.signer] = vote.signature
        while len(self._votes) > _BALLOTS_MAX:
            del self._votes[next(iter(self._votes))]

    def outgoing(self, to: int, message: PeerMessage) -> tuple[PeerMessage, ...]:
        """The message, now and then with a forgery in it."""
        del to
        if not isinstance(message, Packet) or not message.votes or self._kit.rng.random() < 0.9:
            return (message,)
        self._kit.counts["lie.forged_certificate"] += 1
        view = max(vote.view for vote in message.votes)
        return (replace(message, certificates=(*message.certificates[:8], self._forged(view))),)

    def _forged(self, view: int) -> Certificate:
        rng = self._kit.rng
        if rng.random() < 0.3 and (nearly := self._nearly_true()) is not None:
            return nearly
        if self._overheard and rng.random() < 0.4:
            # Real signatures under what they do not say: another view, or another kind.
            real = rng.choice(self._overheard)
            if real.kind == VoteKind.NOTARIZE and rng.random() < 0.5:
                return replace(real, kind=VoteKind.FINALIZE)
            return replace(real, view=view + 1)
        kind = rng.choice((VoteKind.NOTARIZE, VoteKind.NULLIFY, VoteKind.FINALIZE))
        digest = NIL if kind == VoteKind.NULLIFY else rng.randbytes(32)
        own = self._kit.vote(kind, view, digest).signature
        return Certificate(
            kind=kind,
            view=view,
            digest=digest,
            signatures=tuple(
                IndexedSignature(
                    signer=signer,
                    signature=own if signer == self._kit.index else rng.randbytes(64),
                )
                for signer in self._signers()
            ),
        )

    def _nearly_true(self) -> Certificate | None:
        """One vote short of a quorum, with a made-up signature in its place."""
        quorum, size = quorum_of(self._kit.size), self._kit.size
        for (kind, view, digest), heard in reversed(self._votes.items()):
            own = self._kit.vote(kind, view, digest).signature
            votes = heard | {self._kit.index: own}
            absent = [signer for signer in range(size) if signer not in votes]
            if len(votes) == quorum - 1 and absent:
                votes |= {self._kit.rng.choice(absent): self._kit.rng.randbytes(64)}
                signatures = tuple(
                    IndexedSignature(signer=signer, signature=votes[signer])
                    for signer in sorted(votes)
                )
                return Certificate(kind=kind, view=view, digest=digest, signatures=signatures)
        return None

    def _signers(self) -> list[int]:
        rng, quorum, index = self._kit.rng, quorum_of(self._kit.size), self._kit.index
        match rng.randrange(4):
            case 0:
                return sorted({index, *range(quorum)})[:quorum]
            case 1:
                return [index] * quorum  # its own, valid, counted q times
            case 2:
                return [index]
            case _:
                return list(range(quorum))[::-1]
