"""Receipts: one transaction, who signed it, its verdict, and the proof that the chain holds it.

A receipt is text in four parts, with an empty line between them::

    onward/receipt/1
    body <base64>                       the transaction's canonical bytes
    left|right <base64>                 0 to 6 siblings up to the signed root, the body's own first
    signer <base64> <base64>            public key and signature, in the envelope's order
    leaf <base64>                       the verdict: a canonical transaction leaf

    c2sp.org/tlog-proof@v1              from here on: a C2SP tlog-proof, as any C2SP tool reads it
    index 73894
    <base64>                            inclusion hashes of the leaf, its sibling first

    <the checkpoint's three lines>

    — <name> <base64>                   one line for each validator that signed the checkpoint

The siblings carry their side in words and not as an index and a size: the signed root does not say
how many bodies there are, so those two numbers would not be authenticated, while a side is.

Here a receipt is put together and taken apart. What makes one true is checked by
`audit.receipt_verifier`, which shares nothing with this module except docs/spec/proofs.md.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from onward import limits
from onward.errors import MalformedError, invariant
from onward.ledger.merkle import HASH_BYTES, inclusion_path, leaf_hash
from onward.ledger.note import (
    SignedNote,
    decode_base64,
    encode_base64,
    parse_checkpoint,
    parse_note,
)
from onward.ledger.transaction import Envelope, KeySignature, body_hash

RECEIPT_HEADER = "onward/receipt/1"
PROOF_HEADER = "c2sp.org/tlog-proof@v1"
ENVELOPE_PATH_MAX = (limits.ENVELOPE_BODIES_MAX - 1).bit_length()

_PARTS = 3
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})", re.ASCII)
_KEY_BYTES = 32
_SIGNATURE_BYTES = 64


class Side(StrEnum):
    """On which side of the way to the root a sibling stands."""

    LEFT = "left"
    RIGHT = "right"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sibling:
    """One step from a body's hash to the root that was signed."""

    side: Side
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The parts of a receipt. `leaf_index` counts the leaves of the whole log from 0."""

    body: bytes
    envelope_path: tuple[Sibling, ...]
    signatures: tuple[KeySignature, ...]
    leaf: bytes
    leaf_index: int
    inclusion: tuple[bytes, ...]
    checkpoint: SignedNote


def build_receipt(
    *,
    envelope: Envelope,
    body_index: int,
    leaf: bytes,
    leaf_index: int,
    inclusion: Sequence[bytes],
    checkpoint: SignedNote,
) -> Receipt:
    """The receipt of the body at `body_index` of an envelope.

    `leaf`: the canonical bytes of its transaction leaf, which stands at `leaf_index` in the log;
    `inclusion` leads from there to the root of `checkpoint`, whose signatures are all of
    validators.
    """
    return Receipt(
        body=envelope.bodies[body_index],
        envelope_path=envelope_path([body_hash(body) for body in envelope.bodies], body_index),
        signatures=envelope.signatures,
        leaf=leaf,
        leaf_index=leaf_index,
        inclusion=tuple(inclusion),
        checkpoint=checkpoint,
    )


def envelope_path(body_hashes: Sequence[bytes], index: int) -> tuple[Sibling, ...]:
    """The siblings from the body at `index` up to the root over all bodies of its envelope."""
    invariant(0 <= index < len(body_hashes), f"body {index} of {len(body_hashes)}")
    digests = iter(inclusion_path([leaf_hash(item) for item in body_hashes], index))
    siblings: list[Sibling] = []
    place, last = index, len(body_hashes) - 1
    while last:
        if place & 1:
            siblings.append(Sibling(side=Side.LEFT, digest=next(digests)))
        elif place < last:
            siblings.append(Sibling(side=Side.RIGHT, digest=next(digests)))
        place >>= 1
        last >>= 1
    return tuple(siblings)


def encode_receipt(receipt: Receipt) -> bytes:
    """The file's bytes."""
    lines = [RECEIPT_HEADER, f"body {encode_base64(receipt.body)}"]
    lines += [f"{item.side} {encode_base64(item.digest)}" for item in receipt.envelope_path]
    lines += [
        f"signer {encode_base64(item.public_key)} {encode_base64(item.signature)}"
        for item in receipt.signatures
    ]
    lines += [f"leaf {encode_base64(receipt.leaf)}", ""]
    lines += [PROOF_HEADER, f"index {receipt.leaf_index}"]
    lines += [encode_base64(item) for item in receipt.inclusion]
    lines += ["", ""]
    data = "\n".join(lines).encode() + receipt.checkpoint.encode()
    invariant(len(data) <= limits.RECEIPT_BYTES_MAX, f"receipt of {len(data)} bytes")
    return data


def parse_receipt(data: bytes) -> Receipt:
    """The receipt in `data`: its form is checked, not its truth.

    Raises:
        MalformedError: anything that `encode_receipt` could not have written.
    """
    if len(data) > limits.RECEIPT_BYTES_MAX:
        raise MalformedError(f"receipt of {len(data)} bytes, at most {limits.RECEIPT_BYTES_MAX}")
    try:
        parts = data.decode().split("\n\n", _PARTS - 1)
    except UnicodeDecodeError as error:
        raise MalformedError(f"receipt is not UTF-8 at byte {error.start}") from None
    if len(parts) != _PARTS:
        raise MalformedError(f"receipt of {len(parts)} parts, expected transaction, proof, note")
    head, proof = parts[0].split("\n"), parts[1].split("\n")
    note = parse_note(parts[2].encode())
    parse_checkpoint(note.text)
    index, inclusion = _parse_proof(proof)
    rest = _Lines(head)
    rest.take_exactly(RECEIPT_HEADER)
    body = rest.take_value("body", limits.BODY_BYTES_MAX)
    path = rest.take_siblings()
    signatures = rest.take_signers()
    leaf = rest.take_value("leaf", limits.BODY_BYTES_MAX)
    rest.expect_end()
    return Receipt(
        body=body,
        envelope_path=path,
        signatures=signatures,
        leaf=leaf,
        leaf_index=index,
        inclusion=inclusion,
        checkpoint=note,
    )


class _Lines:
    """The lines of a receipt's first part, taken one after the other."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._next = 0

    def take_exactly(self, expected: str) -> None:
        if self._peek() != expected:
            raise MalformedError(f"line {self._next}: {self._peek()[:80]!r}, expected {expected!r}")
        self._next += 1

    def take_value(self, word: str, maximum: int) -> bytes:
        line = self._peek()
        if not line.startswith(f"{word} "):
            raise MalformedError(f"line {self._next}: {line[:80]!r}, expected {word!r}")
        data = decode_base64(line.removeprefix(f"{word} "), word)
        if not 0 < len(data) <= maximum:
            raise MalformedError(f"{word} of {len(data)} bytes, expected 1 to {maximum}")
        self._next += 1
        return data

    def take_siblings(self) -> tuple[Sibling, ...]:
        found: list[Sibling] = []
        while self._peek().startswith(("left ", "right ")):
            if len(found) == ENVELOPE_PATH_MAX:
                raise MalformedError(f"more than {ENVELOPE_PATH_MAX} siblings")
            word, _, value = self._peek().partition(" ")
            found.append(Sibling(side=Side(word), digest=_sized(value, word, HASH_BYTES)))
            self._next += 1
        return tuple(found)

    def take_signers(self) -> tuple[KeySignature, ...]:
        found: list[KeySignature] = []
        while self._peek().startswith("signer "):
            if len(found) == limits.ENVELOPE_KEYS_MAX:
                raise MalformedError(f"more than {limits.ENVELOPE_KEYS_MAX} signers")
            key, _, signature = self._peek().removeprefix("signer ").partition(" ")
            found.append(
                KeySignature(
                    public_key=_sized(key, "signer's key", _KEY_BYTES),
                    signature=_sized(signature, "signer's signature", _SIGNATURE_BYTES),
                )
            )
            self._next += 1
        return tuple(found)

    def expect_end(self) -> None:
        if self._next != len(self._lines):
            raise MalformedError(f"line {self._next}: {self._peek()[:80]!r}, expected an empty one")

    def _peek(self) -> str:
        return self._lines[self._next] if self._next < len(self._lines) else ""


def _parse_proof(lines: list[str]) -> tuple[int, tuple[bytes, ...]]:
    if len(lines) < 2 or lines[0] != PROOF_HEADER:
        raise MalformedError(f"proof begins with {lines[0][:80]!r}, expected {PROOF_HEADER!r}")
    index = _INDEX.fullmatch(lines[1])
    if not index:
        raise MalformedError(f"proof: {lines[1][:80]!r}, expected 'index' and a number")
    if len(lines) - 2 > limits.PROOF_HASHES_MAX:
        raise MalformedError(f"proof of {len(lines) - 2} hashes")
    return int(index[1]), tuple(_sized(line, "inclusion hash", HASH_BYTES) for line in lines[2:])


def _sized(value: str, what: str, size: int) -> bytes:
    data = decode_base64(value, what)
    if len(data) != size:
        raise MalformedError(f"{what} of {len(data)} bytes, expected {size}")
    return data
