"""What proves a cheater: two votes of one signer in one view that exclude each other.

NOTARIZE for two blocks, FINALIZE for two blocks, or FINALIZE and NULLIFY. Votes are plain
signatures of single validators, so evidence cannot be made up by others, and an honest validator
never gives any: its promises pass one kernel (core.py), which survives a reboot.
"""

from __future__ import annotations

from onward.consensus.messages import Certificate, Vote, VoteKind

OPPOSITE = {VoteKind.FINALIZE: VoteKind.NULLIFY, VoteKind.NULLIFY: VoteKind.FINALIZE}
"""The kinds that exclude each other in one view."""


def are_conflicting(first: Vote, second: Vote) -> bool:
    """Whether no honest validator gives both votes, which must be of one signer and one view."""
    if (first.signer, first.view) != (second.signer, second.view):
        return False
    if first.kind == second.kind:
        return first.digest != second.digest
    return {first.kind, second.kind} == {VoteKind.FINALIZE, VoteKind.NULLIFY}


def votes_of(certificate: Certificate) -> tuple[Vote, ...]:
    """The votes that a certificate consists of, ascending by signer."""
    return tuple(
        Vote(
            kind=certificate.kind,
            view=certificate.view,
            digest=certificate.digest,
            signer=item.signer,
            signature=item.signature,
        )
        for item in certificate.signatures
    )


def conflicts_between(first: Certificate, second: Certificate) -> tuple[tuple[Vote, Vote], ...]:
    """The pairs of conflicting votes in two certificates: of at least f + 1 signers, if any."""
    others = {vote.signer: vote for vote in votes_of(second)}
    return tuple(
        (vote, others[vote.signer])
        for vote in votes_of(first)
        if vote.signer in others and are_conflicting(vote, others[vote.signer])
    )
