"""Evidence as a file: six lines that a person reads and `audit.evidence_verifier` checks.

    onward/evidence/1
    chain 3f0c…                                the chain id, 64 hex digits
    epoch 0
    signer v2 <base64>                         name and public key of who signed both of these:
    notarize 17 <base64> <base64>              a vote: its view, the block's digest, the signature
    notarize 17 <base64> <base64>

The last two lines are votes (`notarize`, `finalize`, and `nullify`, which has no digest) or steps
of a lane: `batch <seq> <previous head> <content hash> <signature>`. docs/spec/evidence.md is the
definition.
"""

from __future__ import annotations

from onward.consensus.messages import Evidence, Vote, VoteKind
from onward.ledger.block import LaneStep
from onward.ledger.note import encode_base64
from onward.types import ValidatorSet

EVIDENCE_HEADER = "onward/evidence/1"


def encode_evidence(evidence: Evidence, chain_id: bytes, validators: ValidatorSet) -> bytes:
    """The file's bytes. The evidence has passed `evidence_fault`."""
    member = validators.members[evidence.signer]
    lines = (
        EVIDENCE_HEADER,
        f"chain {chain_id.hex()}",
        f"epoch {evidence.epoch}",
        f"signer {member.name} {encode_base64(member.public_key)}",
        *map(_vote_line, evidence.votes),
        *map(_step_line, evidence.steps),
    )
    return "".join(f"{line}\n" for line in lines).encode()


def _vote_line(vote: Vote) -> str:
    kind = VoteKind(vote.kind)
    digest = "" if kind is VoteKind.NULLIFY else f" {encode_base64(vote.digest)}"
    return f"{kind.name.lower()} {vote.view}{digest} {encode_base64(vote.signature)}"


def _step_line(step: LaneStep) -> str:
    parts = (step.previous, step.body_hash, step.signature)
    return f"batch {step.seq} {' '.join(map(encode_base64, parts))}"
