"""The auditor's way from the genesis to later validators, and who would like to lead it astray."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.cluster import make_genesis
from tests.support.epoch_files import Seat, joined, proof_of, seat, set_of, two_epochs

from onward.audit import epoch_verifier
from onward.audit.epoch_verifier import main, read_epochs, verify_evidence_across
from onward.audit.evidence_verifier import Code, EvidenceError, verify_evidence
from onward.audit.receipt_verifier import ReceiptError
from onward.consensus.evidence import evidence_of_votes
from onward.consensus.evidence_file import encode_evidence
from onward.consensus.messages import Vote, VoteKind, vote_signed_bytes
from onward.types import ValidatorIndex

GENESIS, KEYS = make_genesis(4)
DOCUMENT = GENESIS.document
FIRST = tuple(
    Seat(name=member.name, key=key)
    for member, key in zip(GENESIS.validators.members, KEYS, strict=True)
)
SECOND = (*FIRST[1:], seat("v4"))
THIRD = (seat("v2"), *SECOND[2:], seat("v5"))  # v2 has another key, v1 is gone
PROOFS = two_epochs(GENESIS, (FIRST, SECOND, THIRD))
WHOLE = joined(*PROOFS)
A, B = b"a" * 32, b"b" * 32


def accusation(
    epoch: int, seats: tuple[Seat, ...], index: int, *, said: int | None = None
) -> bytes:
    """A file: the validator at a place of an epoch's set notarized twice in view 7.

    `said`: the epoch that its votes are really of.
    """
    signed = epoch if said is None else said

    def vote(digest: bytes) -> Vote:
        message = vote_signed_bytes(GENESIS.chain_id, signed, VoteKind.NOTARIZE, 7, digest)
        signature = seats[index].key.sign(message)
        return Vote(
            kind=VoteKind.NOTARIZE,
            view=7,
            digest=digest,
            signer=ValidatorIndex(index),
            signature=signature,
        )

    evidence = evidence_of_votes(epoch, vote(A), vote(B))
    return encode_evidence(evidence, GENESIS.chain_id, set_of(epoch, seats))


def refused(proofs: bytes) -> str:
    with pytest.raises(ReceiptError) as caught:
        read_epochs(DOCUMENT, proofs)
    assert str(caught.value).startswith("proofs of the epochs: ")
    return caught.value.code


def test_each_epoch_vouches_for_the_next_one() -> None:
    epochs = read_epochs(DOCUMENT, WHOLE)
    assert [list(epoch.keys.values()) for epoch in epochs] == [
        [item.key.public_key for item in seats] for seats in (FIRST, SECOND, THIRD)
    ]
    assert [epoch.log_end for epoch in epochs] == [1, 2, 0]


def test_proofs_in_another_order_or_with_one_left_out_lead_nowhere() -> None:
    """Whoever holds two keys of two epochs could else jump over the one that removed him."""
    assert refused(joined(PROOFS[1])) == "E_LEAF"
    assert refused(joined(PROOFS[1], PROOFS[0])) == "E_LEAF"
    assert refused(joined(PROOFS[0], PROOFS[0])) == "E_LEAF"
    assert refused(joined(*PROOFS, PROOFS[1])) == "E_LEAF"


def test_those_of_an_earlier_epoch_do_not_end_a_later_one() -> None:
    """A removed validator keeps its key, and with it the wish to have its friends back."""
    _, hashed = proof_of(GENESIS, FIRST[:3], SECOND, epoch=0)
    outvoted, _ = proof_of(GENESIS, FIRST[:3], FIRST, epoch=1, path=(hashed,))
    assert refused(joined(PROOFS[0], outvoted)) == "E_SIGNER"
    too_few, _ = proof_of(GENESIS, SECOND[:2], FIRST, epoch=1, path=(hashed,))
    assert refused(joined(PROOFS[0], too_few)) == "E_QUORUM"


@pytest.mark.parametrize(
    "proofs",
    [
        b"\n",
        b"\x00",
        b"onward/epoch/1\n",
        DOCUMENT,
        WHOLE[:-1],
        WHOLE + b"\n",
        b"a" * 2**24 + b"\n",
    ],
    ids=["a line", "a byte", "a header", "a genesis", "cut off", "one line more", "too long"],
)
def test_what_is_no_file_of_proofs_is_refused_as_such(proofs: bytes) -> None:
    """The wrong file behind --epochs must not end in a message about the receipt."""
    assert refused(proofs) == "E_FORMAT"


@pytest.mark.parametrize("parts", [40_000, 40_001])
def test_file_of_nothing_but_parts_is_not_taken_apart(
    parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The longest one would take a gigabyte, from whoever asked whether it proves something."""
    taken = 0
    apart = epoch_verifier._parts

    def counted(text: str) -> Iterator[list[str]]:
        nonlocal taken
        for part in apart(text):
            taken += 1
            yield part

    monkeypatch.setattr(epoch_verifier, "_parts", counted)
    assert refused(b"a\n\n" * (parts - 1) + b"a\n") == "E_FORMAT"
    assert taken == (4 if parts % 4 == 0 else 0)


def test_proofs_of_another_chain_are_of_another_chain() -> None:
    other, _ = make_genesis(5)  # the first four have the same keys: machines may serve two chains
    assert refused(two_epochs(other, (FIRST, SECOND, THIRD))[0]) == "E_CHAIN"


@pytest.mark.parametrize(
    ("epoch", "seats", "index"), [(0, FIRST, 2), (1, SECOND, 3), (2, THIRD, 0)]
)
def test_evidence_of_any_epoch_verifies_with_the_proofs(
    epoch: int, seats: tuple[Seat, ...], index: int
) -> None:
    """A cheater that the genesis does not name would else be known to the nodes alone."""
    summary = verify_evidence_across(accusation(epoch, seats, index), DOCUMENT, WHOLE)
    assert (summary.validator, summary.epoch, summary.index) == (seats[index].name, epoch, index)
    assert summary.public_key == seats[index].key.public_key.hex()


@pytest.mark.parametrize(
    ("data", "proofs", "code"),
    [
        pytest.param(accusation(1, SECOND, 3), b"", Code.CHAIN, id="no proofs"),
        pytest.param(accusation(2, THIRD, 0), PROOFS[0], Code.CHAIN, id="too few proofs"),
        pytest.param(accusation(3, THIRD, 0), WHOLE, Code.CHAIN, id="an epoch to come"),
        pytest.param(accusation(2, (FIRST[2],), 0), WHOLE, Code.SIGNER, id="the key it had before"),
        pytest.param(accusation(1, (FIRST[0],), 0), WHOLE, Code.SIGNER, id="it was removed"),
        pytest.param(accusation(1, SECOND, 0, said=0), WHOLE, Code.SIGNATURE, id="votes of before"),
    ],
)
def test_evidence_counts_in_its_own_epoch_and_against_its_own_key(
    data: bytes, proofs: bytes, code: Code
) -> None:
    """One vote in each of two epochs is no contradiction, and an old key is another's concern."""
    with pytest.raises(EvidenceError) as caught:
        verify_evidence_across(data, DOCUMENT, proofs)
    assert caught.value.code == code


def test_evidence_of_the_genesis_needs_no_proofs_and_bears_them() -> None:
    data = accusation(0, FIRST, 1)
    plain = verify_evidence(data, DOCUMENT)
    assert verify_evidence_across(data, DOCUMENT, b"") == plain
    assert verify_evidence_across(data, DOCUMENT, WHOLE) == plain


COPIES = ("receipt", "evidence", "epoch")
BESIDE_THE_INSTALLED_ONE = ("-m", "onward.audit.epoch_verifier")
WITHOUT_ANY_OTHER = (
    "-c",
    # What lies in the folder is all there is.
    (
        "import runpy, sys; from nacl import bindings, exceptions\n"
        "sys.meta_path = [f for f in sys.meta_path if 'editable' not in repr(f).lower()]\n"
        "sys.path = [p for p in sys.path if not p.endswith(('node', 'chaincode', 'proto'))]\n"
        "runpy.run_module('onward.audit.epoch_verifier', run_name='__main__')"
    ),
)


@pytest.mark.parametrize("start", [BESIDE_THE_INSTALLED_ONE, WITHOUT_ANY_OTHER])
def test_it_runs_from_three_copied_files_and_from_no_others(
    tmp_path: Path, start: tuple[str, ...]
) -> None:
    """An auditor who would not run the node's code must not run it unawares, where it is there."""
    package = tmp_path / "onward" / "audit"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").touch()
    first = "from __future__ import annotations\n"
    for name in COPIES:
        source = Path(str(epoch_verifier.__file__)).with_name(f"{name}_verifier.py")
        text = source.read_text(encoding="utf-8")
        said = f"{first}import sys\nprint('the copied {name}', file=sys.stderr)\n"
        (package / source.name).write_text(text.replace(first, said, 1), encoding="utf-8")
    for name, data in {"e": accusation(1, SECOND, 3), "genesis": DOCUMENT, "epochs": WHOLE}.items():
        (tmp_path / name).write_bytes(data)
    words = ("e", "--genesis", "genesis", "--epochs", "epochs", "--json")
    done = subprocess.run(
        [sys.executable, *start, *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["validator"] == "v4"
    assert set(done.stderr.splitlines()) == {f"the copied {name}" for name in COPIES}


def test_verifier_tells_evidence_from_receipts_by_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a program beside the node's: both kinds of files, one way to ask."""
    files = {"e": accusation(1, SECOND, 3), "genesis": DOCUMENT, "epochs": WHOLE, "none": b""}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    e, genesis, epochs, none = (str(tmp_path / name) for name in files)
    assert main([e, "--genesis", genesis, "--epochs", epochs, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["validator"] == "v4"
    assert main([e, "--genesis", genesis, "--epochs", none, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["code"] == "E_CHAIN"
    assert main([genesis, "--genesis", genesis, "--epochs", epochs, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["code"] == "E_FORMAT"
