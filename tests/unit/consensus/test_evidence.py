"""Evidence convicts every cheater who left two signatures, and never an honest validator."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.consensus_world import CHAIN_ID, CheapSigner, cheap_verify
from tests.support.lane_batches import VALIDATORS, signed

from onward.consensus.evidence import (
    evidence_fault,
    evidence_of_fork,
    evidence_of_votes,
    is_formed,
    offence_of,
)
from onward.consensus.messages import (
    Evidence,
    Vote,
    VoteKind,
    decode_frame,
    encode_frame,
    vote_signed_bytes,
)
from onward.ledger.block import LANE_START
from onward.types import NIL

A, B = b"a" * 32, b"b" * 32
NOTARIZE, NULLIFY, FINALIZE = VoteKind.NOTARIZE, VoteKind.NULLIFY, VoteKind.FINALIZE


def vote(kind: VoteKind, view: int, digest: bytes, signer: int = 2) -> Vote:
    message = vote_signed_bytes(CHAIN_ID, 0, kind, view, digest)
    signature = CheapSigner(VALIDATORS.public_key(signer)).sign(message)
    return Vote(kind=kind, view=view, digest=digest, signer=signer, signature=signature)


def fault(evidence: Evidence) -> str | None:
    return evidence_fault(evidence, CHAIN_ID, VALIDATORS, cheap_verify)


def fork() -> Evidence:
    start = LANE_START.head
    return evidence_of_fork(signed(1, 1, start, b"one"), signed(1, 1, start, b"other"))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (vote(NOTARIZE, 5, A), vote(NOTARIZE, 5, B)),
        (vote(FINALIZE, 5, A), vote(FINALIZE, 5, B)),
        (vote(FINALIZE, 5, A), vote(NULLIFY, 5, NIL)),
    ],
)
def test_each_pair_of_votes_that_exclude_each_other_convicts(first: Vote, second: Vote) -> None:
    evidence = evidence_of_votes(0, first, second)
    assert fault(evidence) is None
    assert offence_of(evidence) == ("votes", 5)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (vote(NOTARIZE, 5, A), vote(NOTARIZE, 6, B)),
        (vote(NOTARIZE, 5, A), vote(FINALIZE, 5, A)),
        (vote(NOTARIZE, 5, A), vote(NULLIFY, 5, NIL)),
        (vote(NULLIFY, 5, NIL), vote(NULLIFY, 6, NIL)),
        (vote(NOTARIZE, 5, A, signer=2), vote(NOTARIZE, 5, B, signer=3)),
    ],
)
def test_what_an_honest_validator_may_sign_convicts_nobody(first: Vote, second: Vote) -> None:
    """The danger: an honest validator that gave up on a view is called a cheater."""
    assert fault(evidence_of_votes(0, first, second)) is not None


def test_forked_lane_convicts_its_author_without_its_transactions() -> None:
    """An evidence file is handed on to strangers: what clients wrote must not travel with it."""
    evidence = fork()
    assert fault(evidence) is None
    assert evidence.signer == 1
    assert offence_of(evidence) == ("lane", 1)
    assert b"other" not in encode_frame(evidence)


def test_steps_at_two_places_of_a_lane_convict_nobody() -> None:
    first, second = signed(1, 1, LANE_START.head, b"one"), signed(1, 2, LANE_START.head, b"two")
    assert fault(evidence_of_fork(first, second)) is not None


def test_whoever_finds_the_same_two_makes_the_same_bytes() -> None:
    """Else one lie would fill every validator's store with copies of itself."""
    first, second = vote(NOTARIZE, 5, A), vote(NOTARIZE, 5, B)
    there, back = evidence_of_votes(0, first, second), evidence_of_votes(0, second, first)
    assert encode_frame(there) == encode_frame(back)
    assert decode_frame(encode_frame(there)) == there


def test_forged_evidence_convicts_nobody() -> None:
    """Up to f validators may tell anything: none of it may count unless it is signed."""
    good = evidence_of_votes(0, vote(FINALIZE, 5, A), vote(NULLIFY, 5, NIL))
    first, second = good.votes
    for forged in (
        replace(good, signer=3),
        replace(good, signer=24),
        replace(good, epoch=1),
        replace(good, votes=(second, first)),
        replace(good, votes=(first, first)),
        replace(good, votes=(first,)),
        replace(good, votes=()),
        replace(good, steps=fork().steps),
        replace(good, votes=(first, replace(second, signature=first.signature))),
        replace(good, votes=(replace(first, signer=3), replace(second, signer=3)), signer=3),
        replace(good, votes=(replace(first, view=6), replace(second, view=6))),
        replace(good, votes=(replace(first, digest=A), second)),
    ):
        assert fault(forged) is not None, forged


def test_two_nullifications_cannot_be_told_apart_by_a_digest() -> None:
    """NULLIFY has no digest: one with a digest was never a vote, whoever signed it."""
    odd = vote(NULLIFY, 5, A)
    assert fault(evidence_of_votes(0, vote(NULLIFY, 5, NIL), odd)) is not None


def test_evidence_of_both_sorts_or_of_none_is_not_formed() -> None:
    good = fork()
    assert is_formed(good)
    assert not is_formed(replace(good, steps=good.steps[:1]))
    assert not is_formed(replace(good, steps=()))
