"""What a quorum is said to have signed is verified where an honest validator shows it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from onward.consensus.messages import Certificate, IndexedSignature, VoteKind, vote_signed_bytes
from onward.simulation.certified import QuorumProofs
from onward.simulation.consortium import Consortium, build_consortium
from onward.simulation.faults import Options
from onward.simulation.oracles import Violation
from onward.types import NIL

VIEW = 7


@pytest.fixture(scope="module")
def consortium() -> Consortium:
    return build_consortium(Options(), ())


def signed(consortium: Consortium, *signers: int) -> Certificate:
    message = vote_signed_bytes(consortium.genesis.chain_id, 0, VoteKind.NULLIFY, VIEW, NIL)
    return Certificate(
        kind=VoteKind.NULLIFY,
        view=VIEW,
        digest=NIL,
        signatures=tuple(
            IndexedSignature(signer=index, signature=consortium.validators[index].sign(message))
            for index in signers
        ),
    )


def judged(consortium: Consortium, certificate: Certificate) -> None:
    QuorumProofs(consortium.genesis, []).on_certificate("n0", certificate, 0)


def test_certificate_of_a_quorum_stands(consortium: Consortium) -> None:
    judged(consortium, signed(consortium, 0, 1, 3))


@pytest.mark.parametrize("signers", [(0, 1), (0, 1, 1), (0, 0, 0), ()])
def test_fewer_than_a_quorum_of_validators_prove_nothing(
    consortium: Consortium, signers: tuple[int, ...]
) -> None:
    with pytest.raises(Violation, match=rf"^quorum proofs: .* {len(set(signers))} validators"):
        judged(consortium, signed(consortium, *signers))


@pytest.mark.parametrize("place", [0, 1, 2])
def test_each_signature_is_verified(consortium: Consortium, place: int) -> None:
    """A check that leaves one out would let a validator believe a liar that is one vote short."""
    good = signed(consortium, 0, 1, 3)
    signatures = list(good.signatures)
    signatures[place] = replace(signatures[place], signature=bytes(64))
    with pytest.raises(Violation, match=r"^quorum proofs"):
        judged(consortium, replace(good, signatures=tuple(signatures)))
