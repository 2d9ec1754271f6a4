"""The auditor's own check of evidence: what the node writes it accepts, and nothing near it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support.cluster import make_genesis

from onward.audit.evidence_verifier import Code, EvidenceError, main, verify_evidence
from onward.consensus.evidence import evidence_of_fork, evidence_of_votes
from onward.consensus.evidence_file import encode_evidence
from onward.consensus.messages import Vote, VoteKind, vote_signed_bytes
from onward.ledger.block import LANE_START, Batch, batch_head, batch_signed_bytes
from onward.types import NIL

GENESIS, KEYS = make_genesis(4)
DOCUMENT = GENESIS.document
A, B = b"a" * 32, b"b" * 32


def vote(kind: VoteKind, digest: bytes, *, view: int = 300, signer: int = 2) -> Vote:
    message = vote_signed_bytes(GENESIS.chain_id, 0, kind, view, digest)
    signature = KEYS[signer].sign(message)
    return Vote(kind=kind, view=view, digest=digest, signer=signer, signature=signature)


def batch(content: bytes, *, author: int = 2, seq: int = 200) -> Batch:
    fields = {"author": author, "epoch": 0, "seq": seq, "previous": LANE_START.head}
    draft = Batch(**fields, envelopes=(content,), signature=bytes(64))  # type: ignore[arg-type]
    signature = KEYS[author].sign(batch_signed_bytes(batch_head(GENESIS.chain_id, draft)))
    return Batch(**fields, envelopes=(content,), signature=signature)  # type: ignore[arg-type]


def votes_file(first: Vote, second: Vote) -> bytes:
    evidence = evidence_of_votes(0, first, second)
    return encode_evidence(evidence, GENESIS.chain_id, GENESIS.validators)


def lane_file() -> bytes:
    evidence = evidence_of_fork(batch(b"one"), batch(b"other"))
    return encode_evidence(evidence, GENESIS.chain_id, GENESIS.validators)


GOOD = votes_file(vote(VoteKind.NOTARIZE, A), vote(VoteKind.NOTARIZE, B))


def refused(data: bytes, genesis: bytes = DOCUMENT) -> Code:
    with pytest.raises(EvidenceError) as caught:
        verify_evidence(data, genesis)
    return caught.value.code


@pytest.mark.parametrize(
    ("data", "offence"),
    [
        (GOOD, "voted to notarize two different blocks in view 300"),
        (
            votes_file(vote(VoteKind.FINALIZE, A), vote(VoteKind.FINALIZE, B)),
            "voted to finalize two different blocks in view 300",
        ),
        (
            votes_file(vote(VoteKind.FINALIZE, A), vote(VoteKind.NULLIFY, NIL)),
            "voted both to finalize and to nullify in view 300",
        ),
        (lane_file(), "signed two different batches for place 200 of its lane"),
    ],
)
def test_auditor_accepts_what_the_node_writes_and_says_what_was_done(
    data: bytes, offence: str
) -> None:
    """Two implementations of one page: they must agree on every sort of lie."""
    summary = verify_evidence(data, DOCUMENT)
    assert summary.offence == offence
    assert summary.validator == GENESIS.validators.members[2].name
    assert (summary.index, summary.public_key) == (2, KEYS[2].public_key.hex())


@pytest.mark.parametrize("data", [GOOD, lane_file()])
def test_no_changed_byte_convicts(data: bytes) -> None:
    """The danger: somebody turns evidence against one validator into evidence against another."""
    for place in range(len(data)):
        changed = data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :]
        with pytest.raises(EvidenceError):
            verify_evidence(changed, DOCUMENT)


def test_each_check_has_its_code() -> None:
    lines = GOOD.decode().splitlines(keepends=True)
    other, _ = make_genesis(5)
    name = GENESIS.validators.members[3].name
    wrong_key = lines[3].replace(GENESIS.validators.members[2].name, name)
    reached = {
        refused(GOOD, b"{}"),
        refused(GOOD[:-1]),
        refused(GOOD, other.document),
        refused("".join([*lines[:3], wrong_key, *lines[4:]]).encode()),
        refused("".join([*lines[:5], lines[4]]).encode()),
        refused(GOOD.replace(b"notarize 300", b"notarize 301")),
    }
    assert reached == set(Code)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n" * 6,
        GOOD + b"\n",
        GOOD.replace(b"\n", b"\r\n"),
        GOOD + GOOD,
        GOOD.replace(b"onward/evidence/1", b"onward/evidence/2"),
        GOOD.replace(b"notarize 300", b"notarize 0300"),
        GOOD.replace(b"notarize 300", b"notarize 9007199254740992"),
        GOOD.replace(b"notarize 300", b"accuse 300"),
        GOOD.replace(b"==\n", b"\n"),
        GOOD.replace(b"epoch 0", "epoch ٠".encode()),
        b"x" * 5_000,
    ],
)
def test_a_file_out_of_form_is_refused_as_such(data: bytes) -> None:
    assert data != GOOD
    assert refused(data) is Code.FORMAT


def test_program_says_so_by_its_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, genesis = tmp_path / "a.evidence", tmp_path / "genesis.json"
    file.write_bytes(GOOD)
    genesis.write_bytes(DOCUMENT)
    assert main([str(file), "--genesis", str(genesis), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["verified"] is True
    file.write_bytes(GOOD.replace(b"notarize 300", b"notarize 301"))
    assert main([str(file), "--genesis", str(genesis)]) == 1
    assert "E_SIG" in capsys.readouterr().out
