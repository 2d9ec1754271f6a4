"""Verify a receipt or evidence of a later epoch: the genesis, the proofs since, and no node.

    python -m onward.audit.epoch_verifier FILE --genesis FILE --epochs FILE [--json]

Where validators changed, receipts and evidence are signed by others than the genesis names. The
file of epoch proofs leads from the genesis to them, one epoch after the other: a quorum of each
epoch's validators swore to a log whose newest leaf is that of the epoch's last block, and that leaf
names the next ones. So it also says how long the log was when the epoch ended: whoever signed for
an epoch that has ended is not heard about anything behind it.

It imports the standard library, PyNaCl, and `receipt_verifier` and `evidence_verifier` beside it,
whose readings it shares: what the three must agree on stands once. With the node they share
nothing, and run from a folder `onward/audit/` with these three files and an empty `__init__.py` in
either folder, without which an installed `onward` would run instead of the copy. The steps are
those of docs/spec/proofs.md, section 9.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from onward.audit import receipt_verifier as receipts
from onward.audit.evidence_verifier import (
    EVIDENCE_BYTES_MAX,
    HEADER,
    EvidenceError,
    EvidenceSummary,
    verify_evidence,
)
from onward.audit.receipt_verifier import Code, ReceiptError, ReceiptSummary, read_genesis

EPOCHS_BYTES_MAX = 16 * 1024 * 1024
EPOCH_HEADER = "onward/epoch/1"
TAG_VALIDATORS = b"onward/validators/1"
_PARTS = 4
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_UINT53_MAX = 2**53 - 1

_BLOCK_LEAF: dict[int, tuple[str, str, int, int, int]] = {
    1: ("kind", "uint", 1, 255, 0),
    2: ("height", "uint", 1, _UINT53_MAX, 0),
    3: ("block_digest", "raw", 32, 32, 0),
    4: ("time_ms", "uint", 1, _UINT53_MAX, 0),
    5: ("state_root", "raw", 32, 32, 0),
    6: ("epoch", "uint", 0, _UINT53_MAX, 0),
    7: ("next_set_hash", "raw", 32, 32, 0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """One epoch. `keys`: by the names that its validators sign notes with, in the set's order.

    `log_end`: how long the log was when it ended; 0 while the newest known one goes on.
    """

    number: int
    keys: dict[str, bytes]
    log_end: int


def read_epochs(genesis: bytes, proofs: bytes) -> tuple[Epoch, ...]:
    """The epochs since the genesis, each vouched for by a quorum of the one before.

    Raises:
        ReceiptError: the first step that fails, by the code of the check that it is like.
    """
    start = read_genesis(genesis)
    try:
        return _read_epochs(start, proofs)
    except ReceiptError as error:
        # Two files are judged where there was one: the reason says which of them it is about.
        raise ReceiptError(error.code, f"proofs of the epochs: {error}") from None


def _read_epochs(start: tuple[bytes, str, dict[str, bytes]], proofs: bytes) -> tuple[Epoch, ...]:
    chain_id, network, keys = start
    origin = f"onward/{network}/{chain_id.hex()[:16]}"
    found: list[Epoch] = []
    size = 0
    for part in _split(proofs):
        number = len(found)
        checkpoint = part[2]
        receipts.need(
            checkpoint[0] == origin, Code.CHAIN, f"{checkpoint[0][:80]!r}: not {origin!r}"
        )
        following, leaf = _read_head(part[0], network, number)
        end = receipts.number(checkpoint[1])
        receipts.need(end > size, Code.INCLUSION, f"epoch {number} ends at {end}, before it began")
        text = "".join(f"{line}\n" for line in checkpoint).encode()
        receipts.check_validators(part[3], text, keys)
        index, path = receipts.read_proof(part[1])
        is_last = index == end - 1
        receipts.need(is_last, Code.INCLUSION, f"leaf {index} is not the last of {end}")
        root = receipts.from_base64(checkpoint[2], 32)
        receipts.check_inclusion(sha256(b"\x00" + leaf).digest(), index, end, path, root)
        found.append(Epoch(number=number, keys=keys, log_end=end))
        keys, size = following, end
    return (*found, Epoch(number=len(found), keys=keys, log_end=0))


def verify_across(receipt: bytes, genesis: bytes, proofs: bytes) -> ReceiptSummary:
    """Every check of `verify_receipt`, with the validators of the checkpoint's own epoch.

    Raises:
        ReceiptError: the first check that failed.
    """
    epochs = read_epochs(genesis, proofs)

    def keys_at(size: int) -> dict[str, bytes]:
        ended = sum(1 for epoch in epochs if epoch.log_end and epoch.log_end < size)
        return epochs[ended].keys

    return receipts.verify_receipt(receipt, genesis, keys_at)


def verify_evidence_across(evidence: bytes, genesis: bytes, proofs: bytes) -> EvidenceSummary:
    """Every check of `verify_evidence`, with the validators of the evidence's own epoch.

    Raises:
        ReceiptError: the proofs lead to no epochs.
        EvidenceError: the first check that failed.
    """
    epochs = tuple(epoch.keys for epoch in read_epochs(genesis, proofs)) if proofs else None
    return verify_evidence(evidence, genesis, epochs)


def _split(data: bytes) -> list[list[list[str]]]:
    """The lines of the four parts of each proof."""
    receipts.need(len(data) <= EPOCHS_BYTES_MAX, Code.FORMAT, f"{len(data)} bytes are too many")
    if not data:
        return []
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise ReceiptError(Code.FORMAT, f"not UTF-8 at byte {error.start}") from None
    receipts.need(_CONTROL.search(text) is None, Code.FORMAT, "a control character")
    receipts.need(text.endswith("\n"), Code.FORMAT, "the last line has no end")
    text = text[:-1]
    count = 1 + text.count("\n\n")
    expected = f"{count} parts, expected {_PARTS} of full lines for each epoch"
    receipts.need(count % _PARTS == 0, Code.FORMAT, expected)
    proofs = []
    for proof in zip(*[_parts(text)] * _PARTS, strict=True):
        receipts.need(all(line for part in proof for line in part), Code.FORMAT, expected)
        formed = (proof[0][0], proof[1][0]) == (EPOCH_HEADER, receipts.HEADERS[1])
        receipts.need(formed, Code.FORMAT, f"the headers are not {EPOCH_HEADER}")
        receipts.need(len(proof[2]) == 3, Code.FORMAT, "a checkpoint that has not 3 lines")
        proofs.append(list(proof))
    return proofs


def _parts(text: str) -> Iterator[list[str]]:
    """One after the other: there may be millions of them, and the first is wrong already."""
    at = 0
    while at >= 0:
        end = text.find("\n\n", at)
        yield text[at : end if end >= 0 else len(text)].split("\n")
        at = end + 2 if end >= 0 else end


def _read_head(lines: list[str], network: str, number: int) -> tuple[dict[str, bytes], bytes]:
    """The next validators' keys, and the leaf that names their set."""
    count = len(lines) - 2
    receipts.need(1 <= count <= receipts.VALIDATORS_MAX, Code.FORMAT, f"{count} validators")
    keys: dict[str, bytes] = {}
    members = b""
    for line in lines[1:-1]:
        word, name, organisation, key_text = [*line.split(" "), "", "", "", ""][:4]
        formed = word == "validator" and line.count(" ") == 3 and receipts.is_name(name)
        receipts.need(formed, Code.FORMAT, f"{line[:80]!r} is no validator")
        key = receipts.from_base64(key_text, 32)
        parts = (name.encode(), receipts.from_base64(organisation), key)
        member = b"".join(_field(place, part) for place, part in enumerate(parts, start=1))
        members += _field(2, member)
        keys[f"{name}.{network}"] = key
    distinct = len(keys) == len(set(keys.values())) == count
    receipts.need(distinct, Code.FORMAT, "a validator's name or key stands twice")
    data = receipts.bytes_after("leaf", lines[-1])
    leaf = receipts.decode(data, _BLOCK_LEAF, Code.LEAF)
    receipts.need(leaf["kind"] == 2, Code.LEAF, f"a leaf of kind {leaf['kind']}, expected 2")
    receipts.need(leaf["epoch"] == number, Code.LEAF, f"the leaf is of epoch {leaf['epoch']}")
    named = sha256(TAG_VALIDATORS + b"\x08" + receipts.varint(number + 1) + members).digest()
    receipts.need(leaf["next_set_hash"] == named, Code.LEAF, "the leaf names other validators")
    return keys, data


def _field(number: int, data: bytes) -> bytes:
    return bytes([number << 3 | 2]) + receipts.varint(len(data)) + data


def _verify(file: Path, genesis: bytes, proofs: bytes) -> ReceiptSummary | EvidenceSummary:
    """What a file of either kind says, by its first line. Raises `OSError` too."""
    # One byte more than there may be: that a file is too long is the verifier's verdict.
    data = receipts.read_start(file, receipts.RECEIPT_BYTES_MAX + 1)
    if data.startswith(HEADER.encode()):
        return verify_evidence_across(data[: EVIDENCE_BYTES_MAX + 1], genesis, proofs)
    return verify_across(data, genesis, proofs)


def main(arguments: list[str] | None = None) -> int:
    """Verify one file. Exit code 0 = verified, 1 = refused, 2 = wrong usage."""
    parser = argparse.ArgumentParser(description="Verify a file of a later epoch of Onward.")
    parser.add_argument("file", type=Path, help="the .receipt or .evidence file")
    parser.add_argument("--genesis", type=Path, required=True, help="the chain's genesis.json")
    parser.add_argument("--epochs", type=Path, required=True, help="the proofs of its epochs")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    options = parser.parse_args(arguments)
    try:
        summary = _verify(
            options.file,
            receipts.read_start(options.genesis, receipts.GENESIS_BYTES_MAX + 1),
            receipts.read_start(options.epochs, EPOCHS_BYTES_MAX + 1),
        )
        answer: dict[str, Any] = {"verified": True, **asdict(summary)}
    except (EvidenceError, ReceiptError) as error:
        answer = {"verified": False, "code": error.code, "message": str(error)}
    except OSError as error:
        parser.error(str(error))
    return receipts.tell(answer, as_json=options.json)


if __name__ == "__main__":
    raise SystemExit(main())
