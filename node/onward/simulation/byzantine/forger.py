"""Makes certificates up: with invented signatures, too few signers, one signer many times."""

from __future__ import annotations

from dataclasses import replace

from onward.consensus.messages import Certificate, IndexedSignature, Packet, PeerMessage, VoteKind
from onward.simulation.byzantine.liar import LiarKit
from onward.types import NIL, quorum_of


class Forger:
    """Adds to some packets a certificate that no quorum ever gave."""

    def __init__(self, kit: LiarKit) -> None:
        """`kit`: its own key and chance."""
        self._kit = kit
        self._overheard: list[Certificate] = []

    def hear(self, sender: int, message: PeerMessage) -> None:
        """A real certificate is the best material."""
        del sender
        if isinstance(message, Packet) and message.certificates:
            self._overheard = list(message.certificates)

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
