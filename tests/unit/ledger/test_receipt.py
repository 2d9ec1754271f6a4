"""The receipt's text: put together, taken apart, and nothing loose accepted."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest

from onward import limits
from onward.errors import InvariantError, MalformedError
from onward.ledger.merkle import leaf_hash, merkle_root
from onward.ledger.receipt import ENVELOPE_PATH_MAX, encode_receipt, envelope_path, parse_receipt
from onward.ledger.transaction import body_hash

VECTORS = Path(__file__).parents[2] / "vectors" / "receipts"
ROWS = json.loads((VECTORS / "vectors.json").read_text(encoding="utf-8"))


def vector(name: str) -> bytes:
    return (VECTORS / name).read_bytes()


@pytest.mark.parametrize("name", [row["file"] for row in ROWS])
def test_parsing_is_the_inverse_of_writing(name: str) -> None:
    """Whatever parses is written back byte by byte: a receipt has one form."""
    data = vector(name)
    try:
        receipt = parse_receipt(data)
    except MalformedError:
        assert any(row["file"] == name and row["code"] is not None for row in ROWS)
        return
    assert encode_receipt(receipt) == data


@pytest.mark.parametrize("row", [row for row in ROWS if row["code"] == "E_FORMAT"], ids=str)
def test_the_parser_refuses_what_the_verifier_calls_a_wrong_form(row: dict[str, str]) -> None:
    with pytest.raises(MalformedError):
        parse_receipt(vector(row["file"]))


def test_the_last_part_is_a_tlog_proof_as_c2sp_defines_it() -> None:
    """Other people's tools read the proof without knowing anything of Onward."""
    lines = vector("valid.receipt").decode().partition("\n\n")[2].split("\n")
    assert lines[:2] == ["c2sp.org/tlog-proof@v1", "index 6"]
    gap = lines.index("")
    assert all(len(line) == 44 for line in lines[2:gap])
    assert lines[gap + 1].startswith("onward/vectors/")
    assert lines[gap + 4] == ""
    assert all(line.startswith("— v") for line in lines[gap + 5 : -1])


@pytest.mark.parametrize("count", [1, 2, 3, 5, 63, limits.ENVELOPE_BODIES_MAX])
def test_every_body_of_an_envelope_leads_to_the_root_that_was_signed(count: int) -> None:
    hashes = [body_hash(b"body %d" % index) for index in range(count)]
    root = merkle_root([leaf_hash(item) for item in hashes])
    for index in range(count):
        current = leaf_hash(hashes[index])
        path = envelope_path(hashes, index)
        assert len(path) <= ENVELOPE_PATH_MAX
        for step in path:
            pair = step.digest + current if step.side == "left" else current + step.digest
            current = sha256(b"\x01" + pair).digest()
        assert current == root
    with pytest.raises(InvariantError):
        envelope_path(hashes, count)


def test_one_sibling_or_one_signer_too_many_is_refused() -> None:
    text = vector("valid-envelope.receipt").decode()
    lines = text.split("\n")
    for word, most in (("left", ENVELOPE_PATH_MAX), ("signer", limits.ENVELOPE_KEYS_MAX)):
        place = next(i for i, line in enumerate(lines) if line.startswith(f"{word} "))
        have = sum(line.startswith((word, "right " if word == "left" else word)) for line in lines)
        full = [*lines[:place], *[lines[place]] * (most - have), *lines[place:]]
        parse_receipt("\n".join(full).encode())
        over = [*full[:place], full[place], *full[place:]]
        with pytest.raises(MalformedError, match="more than"):
            parse_receipt("\n".join(over).encode())
