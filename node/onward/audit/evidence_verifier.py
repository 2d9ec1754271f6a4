"""Verify evidence against a validator with nothing but the chain's genesis: no node, no network.

    python -m onward.audit.evidence_verifier FILE --genesis FILE [--json]

It imports the standard library, PyNaCl and `receipt_verifier` (for the genesis); copy the two
together, into a folder `onward/audit/` with an empty `__init__.py` in either folder, without which
an installed `onward` would run instead. Evidence of a later epoch needs the proofs of the epochs
too: `epoch_verifier`. Its six checks are listed in `Code`, numbered as in docs/spec/evidence.md;
the first that fails names itself by a stable code.

Verified evidence says: whoever held this validator's key signed two statements of which an honest
validator signs at most one. It does not say who that was, nor why.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any, NoReturn

from onward.audit.receipt_verifier import (
    GENESIS_BYTES_MAX,
    ReceiptError,
    is_signed,
    read_genesis,
    read_start,
    tell,
    varint,
)

EVIDENCE_BYTES_MAX = 4 * 1024
HEADER = "onward/evidence/1"
SIGN_VOTE = b"\x00onward/vote/1"
SIGN_BATCH = b"\x00onward/batch/1"
TAG_BATCH = b"onward/batch/1"
NIL = bytes(32)
KINDS = {"notarize": 1, "nullify": 2, "finalize": 3}

_LINES = 6
_NUMBER = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)
_UINT53_MAX = 2**53 - 1


Epochs = Sequence[dict[str, bytes]]
"""By epoch from 0 on: its validators' keys by the names that they sign with, in the set's order."""


class Code(StrEnum):
    """The checks, in order, by the code that says which one failed."""

    GENESIS = "E_GENESIS"  # 1. it is one JSON object; it gives chain id and validators
    FORMAT = "E_FORMAT"  # 2. six lines, each in its one permitted form
    CHAIN = "E_CHAIN"  # 3. the evidence is of this chain, and of an epoch whose keys are known
    SIGNER = "E_SIGNER"  # 4. the signer is a validator of that epoch, under this key
    CONFLICT = "E_CONFLICT"  # 5. the two statements exclude each other
    SIGNATURE = "E_SIG"  # 6. both signatures are the signer's


class EvidenceError(Exception):
    """The file proves nothing. `code` says at which check."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceSummary:
    """What verified evidence says. `offence` is a sentence; keys and ids are hex."""

    validator: str
    index: int
    public_key: str
    offence: str
    place: int
    statements: tuple[str, str]
    chain_id: str
    network: str
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Statement:
    """One of the two lines. `kind` is `batch` or a vote's; `content` is what may not differ."""

    kind: str
    place: int
    content: tuple[bytes, ...]
    signature: bytes
    line: str


def verify_evidence(
    evidence: bytes, genesis: bytes, epochs: Epochs | None = None
) -> EvidenceSummary:
    """Run every check on the bytes of an evidence file, given those of the genesis file.

    `epochs`: the keys of all epochs whose proofs are at hand (`epoch_verifier`).

    Raises:
        EvidenceError: the first check that failed.
    """
    try:
        chain_id, network, keys = read_genesis(genesis)
    except ReceiptError as error:
        raise EvidenceError(Code.GENESIS, str(error)) from None
    lines = _lines_of(evidence)
    named, epoch = _after("chain", lines[1]), _number(_after("epoch", lines[2]))
    name, _, key_text = _after("signer", lines[3]).partition(" ")
    key = _base64(key_text, 32)
    first, second = _statement(lines[4]), _statement(lines[5])
    _need(named == chain_id.hex(), Code.CHAIN, f"of chain {named[:64]!r}, not {chain_id.hex()}")
    known = (keys,) if epochs is None else epochs
    told = "those of epoch 0" if len(known) == 1 else f"those of epochs 0 to {len(known) - 1}"
    _need(epoch < len(known), Code.CHAIN, f"of epoch {epoch}; the keys at hand are {told}")
    index = _index_of(f"{name}.{network}", key, known[epoch])
    _need(_excludes(first, second), Code.CONFLICT, "an honest validator may sign both")
    for statement in (first, second):
        message = _signed_bytes(statement, chain_id, epoch, index)
        valid = is_signed(key, message, statement.signature)
        _need(valid, Code.SIGNATURE, f"{name} did not sign {statement.line[:80]!r}")
    return EvidenceSummary(
        validator=name,
        index=index,
        public_key=key.hex(),
        offence=_offence(first, second),
        place=first.place,
        statements=(first.line, second.line),
        chain_id=chain_id.hex(),
        network=network,
        epoch=epoch,
    )


def epoch_of(evidence: bytes) -> int:
    """The epoch of which a file says it is; nothing else of it is checked.

    Raises:
        EvidenceError: the file has not its form.
    """
    return _number(_after("epoch", _lines_of(evidence)[2]))


def _lines_of(data: bytes) -> list[str]:
    """Check 2, its outer half."""
    _need(len(data) <= EVIDENCE_BYTES_MAX, Code.FORMAT, f"{len(data)} bytes are too many")
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError as error:
        _fail(Code.FORMAT, f"not ASCII at byte {error.start}")
    _need(text.endswith("\n"), Code.FORMAT, "the last line has no end")
    lines = text[:-1].split("\n")
    _need(len(lines) == _LINES, Code.FORMAT, f"{len(lines)} lines, expected {_LINES}")
    _need(all(" " <= c <= "~" for line in lines for c in line), Code.FORMAT, "a control character")
    _need(lines[0] == HEADER, Code.FORMAT, f"{lines[0][:80]!r}, expected {HEADER!r}")
    return lines


def _after(word: str, line: str) -> str:
    _need(line.startswith(f"{word} "), Code.FORMAT, f"{line[:80]!r}, expected {word!r}")
    return line.removeprefix(f"{word} ")


def _statement(line: str) -> _Statement:
    word, *parts = line.split(" ")
    sizes = {"batch": (32, 32, 64), "nullify": (64,)}.get(word, (32, 64))
    known = word == "batch" or word in KINDS
    _need(known and len(parts) == 1 + len(sizes), Code.FORMAT, f"{line[:80]!r} is no statement")
    *content, signature = (
        _base64(value, size) for value, size in zip(parts[1:], sizes, strict=True)
    )
    place = _number(parts[0])
    return _Statement(
        kind=word, place=place, content=tuple(content), signature=signature, line=line
    )


def _index_of(note_name: str, key: bytes, keys: dict[str, bytes]) -> int:
    """Check 4."""
    _need(note_name in keys, Code.SIGNER, f"{note_name[:80]!r} is no validator of that epoch")
    _need(keys[note_name] == key, Code.SIGNER, f"{note_name} had another key in that epoch")
    return list(keys).index(note_name)


def _excludes(first: _Statement, second: _Statement) -> bool:
    """Check 5: of one place, and never both of one honest validator."""
    if first.place != second.place:
        return False
    if first.kind == second.kind:
        return first.content != second.content
    return {first.kind, second.kind} == {"finalize", "nullify"}


def _offence(first: _Statement, second: _Statement) -> str:
    if first.kind == "batch":
        return f"signed two different batches for place {first.place} of its lane"
    if first.kind == second.kind:
        return f"voted to {first.kind} two different blocks in view {first.place}"
    return f"voted both to finalize and to nullify in view {first.place}"


def _signed_bytes(statement: _Statement, chain_id: bytes, epoch: int, index: int) -> bytes:
    """What the signature stands over (docs/spec/consensus.md, docs/spec/block.md)."""
    if statement.kind == "batch":
        return SIGN_BATCH + _head(statement, chain_id, epoch, index)
    kind = KINDS[statement.kind].to_bytes(1, "big")
    numbers = (epoch.to_bytes(8, "big"), kind, statement.place.to_bytes(8, "big"))
    return b"".join((SIGN_VOTE, chain_id, *numbers, *(statement.content or (NIL,))))


def _head(statement: _Statement, chain_id: bytes, epoch: int, index: int) -> bytes:
    """A batch's head: the tagged hash over six canonical fields, zeros left out."""
    previous, body_hash = statement.content
    numbers = ((2, epoch), (3, index), (4, statement.place))
    data = b"\x0a\x20" + chain_id
    for number, value in numbers:
        if value:
            data += bytes([number << 3]) + varint(value)
    data += b"\x2a\x20" + previous + b"\x32\x20" + body_hash
    return sha256(TAG_BATCH + data).digest()


def _number(value: str) -> int:
    formed = _NUMBER.fullmatch(value) is not None and int(value) <= _UINT53_MAX
    _need(formed, Code.FORMAT, f"{value[:80]!r} is no number")
    return int(value)


def _base64(value: str, size: int) -> bytes:
    """Standard base64 in its one canonical form."""
    try:
        data = base64.b64decode(value.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        data = b""
    formed = len(data) == size and base64.b64encode(data).decode() == value
    _need(formed, Code.FORMAT, f"{value[:80]!r} is not {size} bytes in canonical base64")
    return data


def _need(condition: bool, code: Code, message: str) -> None:  # noqa: FBT001
    if not condition:
        _fail(code, message)


def _fail(code: Code, message: str) -> NoReturn:
    raise EvidenceError(code, message)


def main(arguments: list[str] | None = None) -> int:
    """Verify one file. Exit code 0 = it proves what it says, 1 = it does not, 2 = wrong usage."""
    parser = argparse.ArgumentParser(description="Verify evidence against a validator, offline.")
    parser.add_argument("evidence", type=Path, help="the .evidence file")
    parser.add_argument("--genesis", type=Path, required=True, help="the chain's genesis.json")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    options = parser.parse_args(arguments)
    try:
        data = read_start(options.evidence, EVIDENCE_BYTES_MAX + 1)
        summary = verify_evidence(data, read_start(options.genesis, GENESIS_BYTES_MAX + 1))
        answer: dict[str, Any] = {"verified": True, **asdict(summary)}
    except EvidenceError as error:
        answer = {"verified": False, "code": error.code, "message": str(error)}
    except OSError as error:
        parser.error(str(error))
    return tell(answer, as_json=options.json)


if __name__ == "__main__":
    raise SystemExit(main())
