"""What proves a cheater: two signed statements of one validator that exclude each other.

    votes   in one view: NOTARIZE for two blocks, FINALIZE for two blocks, or FINALIZE and NULLIFY
    steps   two different batches for one place in its lane

Both are plain signatures of single validators, so evidence cannot be made up by others, and an
honest validator never gives any: its votes pass one kernel (promises.py) and its batches one log,
and both survive a reboot. docs/spec/evidence.md has the file that an auditor checks.
"""

from __future__ import annotations

from onward.consensus.messages import Certificate, Evidence, Vote, VoteKind, vote_signed_bytes
from onward.crypto.signing import Verify
from onward.ledger.block import Batch, LaneStep, batch_signed_bytes, head_of
from onward.types import NIL, ValidatorSet

OPPOSITE: dict[int, VoteKind] = {
    VoteKind.FINALIZE: VoteKind.NULLIFY,
    VoteKind.NULLIFY: VoteKind.FINALIZE,
}
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


def evidence_of_votes(epoch: int, first: Vote, second: Vote) -> Evidence:
    """Two conflicting votes as evidence."""
    pair = sorted((first, second), key=lambda vote: (vote.kind, vote.digest))
    return Evidence(epoch=epoch, signer=first.signer, votes=tuple(pair), steps=())


def evidence_of_fork(first: Batch, second: Batch) -> Evidence:
    """Two batches for one place in their author's lane as evidence, without their envelopes."""
    steps = sorted(map(LaneStep.of, (first, second)), key=_content_of)
    return Evidence(epoch=first.epoch, signer=first.author, votes=(), steps=tuple(steps))


def is_formed(evidence: Evidence) -> bool:
    """Whether it is of two votes or of two steps, and of nothing else."""
    return (len(evidence.votes), len(evidence.steps)) in {(2, 0), (0, 2)}


def offence_of(evidence: Evidence) -> tuple[str, int]:
    """What was done, and in which view or at which place of the lane: `("votes", 17)`.

    The evidence is formed.
    """
    if evidence.votes:
        return "votes", evidence.votes[0].view
    return "lane", evidence.steps[0].seq


def evidence_fault(
    evidence: Evidence, chain_id: bytes, validators: ValidatorSet, verify: Verify
) -> str | None:
    """Why this is no evidence against the validator that it names, or None."""
    if evidence.epoch != validators.epoch or evidence.signer >= validators.size:
        return f"evidence of epoch {evidence.epoch} against validator {evidence.signer}"
    if not is_formed(evidence):
        return f"evidence of {len(evidence.votes)} votes and {len(evidence.steps)} steps"
    if not (_votes_conflict(evidence) if evidence.votes else _steps_conflict(evidence)):
        return "evidence of two statements that an honest validator may make"
    key = validators.public_key(evidence.signer)
    for message, signature in _statements(evidence, chain_id):
        if not verify(key, message, signature):
            return f"evidence with a signature that is not of validator {evidence.signer}"
    return None


def _votes_conflict(evidence: Evidence) -> bool:
    first, second = evidence.votes
    formed = all((vote.digest == NIL) == (vote.kind == VoteKind.NULLIFY) for vote in evidence.votes)
    ordered = (first.kind, first.digest) < (second.kind, second.digest)
    is_theirs = first.signer == evidence.signer
    return formed and ordered and is_theirs and are_conflicting(first, second)


def _steps_conflict(evidence: Evidence) -> bool:
    first, second = evidence.steps
    return first.seq == second.seq and _content_of(first) < _content_of(second)


def _content_of(step: LaneStep) -> tuple[bytes, bytes]:
    return step.previous, step.body_hash


def _statements(evidence: Evidence, chain_id: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """The two signed byte strings with their signatures."""
    epoch, signer = evidence.epoch, evidence.signer
    votes = (
        (vote_signed_bytes(chain_id, epoch, vote.kind, vote.view, vote.digest), vote.signature)
        for vote in evidence.votes
    )
    steps = (
        (batch_signed_bytes(head_of(chain_id, step, epoch=epoch, author=signer)), step.signature)
        for step in evidence.steps
    )
    return (*votes, *steps)
