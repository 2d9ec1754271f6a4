"""Whether votes and certificates are what they claim to be.

A certificate is exactly q signatures on one (kind, view, digest), ascending by signer, so that
there is one form for each choice of signers. A signature that was verified as part of a vote is
not verified again as part of a certificate.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING

from onward.consensus.messages import Certificate, Vote, VoteKind, vote_signed_bytes
from onward.types import NIL, ValidatorSet

if TYPE_CHECKING:
    from onward.crypto.signing import Verify

KINDS = (VoteKind.NOTARIZE, VoteKind.NULLIFY, VoteKind.FINALIZE)

KnownSignature = Callable[[int, int, bytes, int], bytes | None]
"""(kind, view, digest, signer) -> the signature already verified for it, if any."""


class VoteVerifier:
    """Checks signatures of one epoch's validators."""

    def __init__(self, chain_id: bytes, validators: ValidatorSet, verify: Verify) -> None:
        self._chain_id = chain_id
        self._validators = validators
        self._verify = verify

    def vote_fault(self, vote: Vote) -> str | None:
        """What is wrong with a vote, or None."""
        shape = self._shape_fault(vote.kind, vote.digest, vote.signer)
        if shape is not None:
            return shape
        message = self._message(vote.kind, vote.view, vote.digest)
        if not self._verify(self._validators.public_key(vote.signer), message, vote.signature):
            return f"signature of {_name(vote.kind)} in view {vote.view} is not {vote.signer}'s"
        return None

    def certificate_fault(self, certificate: Certificate, known: KnownSignature) -> str | None:
        """What is wrong with a certificate, or None."""
        signers = [item.signer for item in certificate.signatures]
        if len(signers) != self._validators.quorum:
            return f"certificate of {len(signers)} votes, a quorum is {self._validators.quorum}"
        if any(low >= high for low, high in pairwise(signers)):
            return "certificate's signers do not ascend"
        shape = self._shape_fault(certificate.kind, certificate.digest, signers[-1])
        if shape is not None:
            return shape
        kind, view, digest = certificate.kind, certificate.view, certificate.digest
        message = self._message(kind, view, digest)
        for item in certificate.signatures:
            if known(kind, view, digest, item.signer) == item.signature:
                continue
            key = self._validators.public_key(item.signer)
            if not self._verify(key, message, item.signature):
                return f"certificate's signature in view {view} is not {item.signer}'s"
        return None

    def _shape_fault(self, kind: int, digest: bytes, signer: int) -> str | None:
        if kind not in KINDS:
            return f"vote of unknown kind {kind}"
        if (digest == NIL) != (kind == VoteKind.NULLIFY):
            return f"{_name(kind)} must name a block, and NULLIFY none"
        if signer >= self._validators.size:
            return f"signer {signer} of {self._validators.size}"
        return None

    def _message(self, kind: int, view: int, digest: bytes) -> bytes:
        return vote_signed_bytes(self._chain_id, self._validators.epoch, kind, view, digest)


def _name(kind: int) -> str:
    return VoteKind(kind).name
