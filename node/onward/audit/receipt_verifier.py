"""Verify a receipt with nothing but the chain's genesis: no node, no network.

    python receipt_verifier.py FILE --genesis FILE [--json]

One file to read in one sitting and to copy away: it imports the standard library and PyNaCl. The
checks are numbered as in docs/spec/proofs.md; the first that fails names itself by a stable code:

 1. E_GENESIS     the genesis is one JSON object; it gives chain id, network name, validators
 2. E_FORMAT      the receipt is text of four parts, each line in its one permitted form
 3. E_BODY        the body is one canonical transaction
 4. E_CLIENT      every signer line is valid over the chain id and the root above the body
 5. E_LEAF        the leaf is a canonical verdict on this very body
 6. E_CHAIN       the checkpoint is of this chain's log
 7. E_SIGNER      every checkpoint signature is valid and of a distinct validator in the genesis
 8. E_QUORUM      they are at least n - floor((n - 1) / 3)
 9. E_INCLUSION   the leaf stands in the log at its index, under the root that was signed

A verified receipt says: a quorum of the validators swore that this chain holds this verdict on this
body. The signers' keys signed the body; that a key was its party's is what the validators checked
before there was a leaf, and what they swear to: the signer line alone does not show it.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import dataclasses
import json
import re
import sys
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any, NoReturn

from nacl.bindings import crypto_sign_open
from nacl.exceptions import CryptoError

RECEIPT_BYTES_MAX = 256 * 1024
GENESIS_BYTES_MAX = 64 * 1024
SIGNERS_MAX = 8
ENVELOPE_PATH_MAX = 6
PROOF_HASHES_MAX = 63
VALIDATORS_MAX = 25

TAG_GENESIS = b"onward/genesis/1"
TAG_BODY = b"onward/body/1"
SIGN_ENVELOPE = b"\x00onward/tx/1"
RECEIPT_HEADER = "onward/receipt/1"
PROOF_HEADER = "c2sp.org/tlog-proof@v1"
OUTCOMES = {1: "accepted", 2: "recorded", 3: "refused"}

_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?", re.ASCII)
_HEX_KEY = re.compile(r"[0-9a-f]{64}", re.ASCII)
_UINT53_MAX = 2**53 - 1


class Code(StrEnum):
    """Which check failed. Stable."""

    GENESIS = "E_GENESIS"
    FORMAT = "E_FORMAT"
    BODY = "E_BODY"
    CLIENT = "E_CLIENT"
    LEAF = "E_LEAF"
    CHAIN = "E_CHAIN"
    SIGNER = "E_SIGNER"
    QUORUM = "E_QUORUM"
    INCLUSION = "E_INCLUSION"


class ReceiptError(Exception):
    """The receipt does not verify. `code` says at which check."""

    def __init__(self, code: Code, message: str) -> None:
        """`message` is for people."""
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptSummary:
    """What a verified receipt says. Hashes and keys are hex; `validators` signed the checkpoint."""

    tx_hash: str
    contract: str
    type: str
    actor: str
    cosigners: tuple[str, ...]
    height: int
    index: int
    time_ms: int
    code: str
    outcome: str
    client_keys: tuple[str, ...]
    log_index: int
    tree_size: int
    log_root: str
    origin: str
    validators: tuple[str, ...]


def verify_receipt(receipt: bytes, genesis: bytes) -> ReceiptSummary:
    """Run every check on the bytes of a receipt file, given those of the genesis file.

    Raises:
        ReceiptError: the first check that failed.
    """
    chain_id, network, keys = _read_genesis(genesis)
    transaction, proof, checkpoint, notes = _split(receipt)
    headers = (transaction[0], proof[0])
    _need(headers == (RECEIPT_HEADER, PROOF_HEADER), Code.FORMAT, f"headers {headers}")
    _need(len(transaction) >= 3, Code.FORMAT, "the transaction's part is cut off")
    body_bytes = _bytes_after("body", transaction[1])
    leaf_bytes = _bytes_after("leaf", transaction[-1])
    _need(len(checkpoint) == 3, Code.FORMAT, f"a checkpoint of {len(checkpoint)} lines, not 3")
    size, root = _number(checkpoint[1]), _base64(checkpoint[2], 32)
    log_index, path = _read_proof(proof)

    body = _decode(body_bytes, _BODY, Code.BODY)
    _need(body["format"] == 1, Code.BODY, f"body format {body['format']}, expected 1")
    tx_hash = sha256(TAG_BODY + body_bytes).digest()
    parties = 1 + len(body["cosigners"])
    client_keys = _check_client(transaction[2:-1], tx_hash, chain_id, parties)
    leaf = _check_leaf(leaf_bytes, tx_hash)
    origin = f"onward/{network}/{chain_id.hex()[:16]}"
    _need(checkpoint[0] == origin, Code.CHAIN, f"{checkpoint[0][:80]!r} is not {origin!r}")
    text = "".join(f"{line}\n" for line in checkpoint).encode()
    validators = _check_validators(notes, text, network, keys)
    _check_inclusion(sha256(b"\x00" + leaf_bytes).digest(), log_index, size, path, root)
    return ReceiptSummary(
        tx_hash=tx_hash.hex(),
        contract=body["contract"],
        type=body["type"],
        actor=body["actor"],
        cosigners=tuple(body["cosigners"]),
        height=leaf["height"],
        index=leaf["index"],
        time_ms=leaf["time_ms"],
        code=leaf["code"],
        outcome=OUTCOMES[leaf["outcome"]],
        client_keys=client_keys,
        log_index=log_index,
        tree_size=size,
        log_root=root.hex(),
        origin=origin,
        validators=validators,
    )


# -- 1. the genesis --------------------------------------------------------------------------------


def _read_genesis(data: bytes) -> tuple[bytes, str, dict[str, bytes]]:
    """Chain id, network name, public keys of the validators by name."""
    _need(len(data) <= GENESIS_BYTES_MAX, Code.GENESIS, f"{len(data)} bytes are too many")
    try:
        value = json.loads(data.decode(), object_pairs_hook=_no_duplicates, parse_float=_no_float)
        canonical = _rfc8785(value).encode()
        _need(value["format"] == 1, Code.GENESIS, f"format {value['format']!r}, expected 1")
        network = value["network"]
        validators = tuple((item["name"], item["public_key"]) for item in value["validators"])
        names = [network, *(name for name, _ in validators)]
        well_formed = all(_NAME.fullmatch(name) for name in names) and all(
            _HEX_KEY.fullmatch(key) for _, key in validators
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        _fail(Code.GENESIS, f"not a genesis: {type(error).__name__}: {error}")
    if not well_formed or not 1 <= len(validators) <= VALIDATORS_MAX:
        _fail(Code.GENESIS, "a name, a key or the number of validators is out of form")
    if any(len({item[part] for item in validators}) != len(validators) for part in (0, 1)):
        _fail(Code.GENESIS, "a validator's name or key stands twice")
    chain_id = sha256(TAG_GENESIS + canonical).digest()
    return chain_id, network, {name: bytes.fromhex(key) for name, key in validators}


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _no_float(literal: str) -> NoReturn:
    raise ValueError(f"{literal} is no integer")


def _rfc8785(value: object) -> str:
    """The canonical JSON of a document without floats: keys ordered by UTF-16, no space."""
    if isinstance(value, dict):
        items = sorted(value.items(), key=lambda item: item[0].encode("utf-16-be"))
        return "{" + ",".join(f"{_rfc8785(key)}:{_rfc8785(item)}" for key, item in items) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_rfc8785(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


# -- 2. the text -----------------------------------------------------------------------------------


def _split(data: bytes) -> tuple[list[str], list[str], list[str], list[str]]:
    """The lines of the four parts."""
    _need(len(data) <= RECEIPT_BYTES_MAX, Code.FORMAT, f"{len(data)} bytes are too many")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        _fail(Code.FORMAT, f"not UTF-8 at byte {error.start}")
    if any(character < " " and character != "\n" for character in text):
        _fail(Code.FORMAT, "a control character")
    _need(text.endswith("\n"), Code.FORMAT, "the last line has no end")
    parts = [part.split("\n") for part in text[:-1].split("\n\n")]
    if len(parts) != 4 or not all(line for part in parts for line in part):
        _fail(Code.FORMAT, f"{len(parts)} parts, expected 4 with one empty line between")
    return parts[0], parts[1], parts[2], parts[3]


def _bytes_after(word: str, line: str) -> bytes:
    _need(line.startswith(f"{word} "), Code.FORMAT, f"{line[:80]!r}, expected {word!r}")
    return _base64(line.removeprefix(f"{word} "))


def _base64(value: str, size: int | None = None) -> bytes:
    """Standard base64 in its one canonical form."""
    try:
        data = base64.b64decode(value.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        data = b""
    if not data or base64.b64encode(data).decode() != value:
        _fail(Code.FORMAT, f"{value[:80]!r} is not canonical base64")
    _need(size in (None, len(data)), Code.FORMAT, f"{len(data)} bytes in base64, not {size}")
    return data


def _number(value: str) -> int:
    _need(_NUMBER.fullmatch(value) is not None, Code.FORMAT, f"{value[:80]!r} is no number")
    return int(value)


def _read_proof(lines: list[str]) -> tuple[int, list[bytes]]:
    _need(lines[1:2] != [] and lines[1].startswith("index "), Code.FORMAT, "proof without index")
    _need(len(lines) - 2 <= PROOF_HASHES_MAX, Code.FORMAT, f"a path of {len(lines) - 2} hashes")
    return _number(lines[1].removeprefix("index ")), [_base64(line, 32) for line in lines[2:]]


# -- 3. canonical bytes ----------------------------------------------------------------------------

# field number: (name, kind, least, most, repeated at most); kind is uint, text or raw
_Field = tuple[str, str, int, int, int]
_BODY: dict[int, _Field] = {
    1: ("format", "uint", 1, 255, 0),
    2: ("contract", "text", 1, 32, 0),
    3: ("type", "text", 1, 48, 0),
    4: ("actor", "text", 1, 64, 0),
    5: ("cosigners", "text", 1, 64, 7),
    6: ("valid_until_ms", "uint", 0, _UINT53_MAX, 0),
    7: ("salt", "raw", 16, 16, 0),
    8: ("payload", "raw", 0, 80 * 1024, 0),
}
_LEAF: dict[int, _Field] = {
    1: ("kind", "uint", 1, 255, 0),
    2: ("height", "uint", 1, _UINT53_MAX, 0),
    3: ("index", "uint", 0, 2_000, 0),
    4: ("time_ms", "uint", 1, _UINT53_MAX, 0),
    5: ("tx_hash", "raw", 32, 32, 0),
    6: ("code", "text", 1, 48, 0),
    7: ("outcome", "uint", 1, 3, 0),
    8: ("write_set_hash", "raw", 32, 32, 0),
    9: ("event_hash", "raw", 32, 32, 0),
}


def _decode(data: bytes, fields: dict[int, _Field], code: Code) -> dict[str, Any]:
    """Proto3 wire form without its freedoms: ascending, minimal, no defaults, nothing unknown."""
    found: dict[str, Any] = {}
    position, last = 0, 0
    while position < len(data):
        tag, position = _varint(data, position, code)
        field = fields.get(tag >> 3)
        if field is None or tag & 7 != (0 if field[1] == "uint" else 2):
            _fail(code, f"unknown field or wire type {tag}")
        name, kind, least, most, repeated = field
        if tag < last or (tag == last and not repeated):
            _fail(code, f"field {name} is out of order or stands twice")
        last = tag
        value: Any
        value, position = _varint(data, position, code)
        measure = value
        if kind != "uint":
            _need(value <= len(data) - position, code, f"field {name} is cut off")
            value, position = data[position : position + value], position + value
        if measure == 0 or not least <= measure <= most:
            _fail(code, f"field {name} is {measure}, expected {max(least, 1)} to {most}")
        if kind == "text":
            try:
                value = value.decode()
            except UnicodeDecodeError:
                _fail(code, f"field {name} is not UTF-8")
        if repeated:
            found.setdefault(name, []).append(value)
            if len(found[name]) > repeated:
                _fail(code, f"field {name} has more than {repeated} values")
        else:
            found[name] = value
    for name, kind, least, _, repeated in fields.values():
        if name not in found and least > 0 and not repeated:
            _fail(code, f"field {name} is missing")
        found.setdefault(name, [] if repeated else 0 if kind == "uint" else b"")
    return found


def _varint(data: bytes, position: int, code: Code) -> tuple[int, int]:
    value = 0
    for count, byte in enumerate(data[position : position + 10]):
        value |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            _need(value < 2**64 and (byte > 0 or not count), code, f"varint at byte {position}")
            return value, position + count + 1
    raise ReceiptError(code, f"the varint at byte {position} does not end")


# -- 4. and 5. the transaction ---------------------------------------------------------------------


def _check_client(
    lines: list[str], tx_hash: bytes, chain_id: bytes, parties: int
) -> tuple[str, ...]:
    """Fold the body's hash to the signed root, then check each signature over it."""
    current, steps = sha256(b"\x00" + tx_hash).digest(), 0
    while steps < len(lines) and lines[steps].startswith(("left ", "right ")):
        side, _, value = lines[steps].partition(" ")
        sibling = _base64(value, 32)
        pair = sibling + current if side == "left" else current + sibling
        current = sha256(b"\x01" + pair).digest()
        steps += 1
    _need(steps <= ENVELOPE_PATH_MAX, Code.FORMAT, f"{steps} siblings")
    count = len(lines) - steps
    _need(count <= SIGNERS_MAX, Code.FORMAT, f"{count} signer lines, at most {SIGNERS_MAX}")
    _need(count >= parties, Code.CLIENT, f"{count} signatures for {parties} signing parties")
    message = SIGN_ENVELOPE + chain_id + current
    keys: list[bytes] = []
    for line in lines[steps:]:
        word, key_text, signature_text = [*line.split(" "), "", ""][:3]
        _need(word == "signer" and line.count(" ") == 2, Code.FORMAT, f"{line[:80]!r} is no signer")
        keys.append(_base64(key_text, 32))
        if not _is_signed(keys[-1], message, _base64(signature_text, 64)):
            _fail(Code.CLIENT, f"the signature under {keys[-1].hex()} is not valid here")
    _need(len(set(keys)) == len(keys), Code.CLIENT, "one key signs twice")
    return tuple(key.hex() for key in keys)


def _check_leaf(data: bytes, tx_hash: bytes) -> dict[str, Any]:
    leaf = _decode(data, _LEAF, Code.LEAF)
    _need(leaf["kind"] == 1, Code.LEAF, f"a leaf of kind {leaf['kind']}, expected 1")
    _need(leaf["tx_hash"] == tx_hash, Code.LEAF, f"the leaf is of {leaf['tx_hash'].hex()}")
    agrees = (leaf["code"] == "OK") == (leaf["outcome"] == 1)
    _need(agrees, Code.LEAF, f"code {leaf['code']} contradicts outcome {leaf['outcome']}")
    return leaf


# -- 7. and 8. the validators ----------------------------------------------------------------------


def _check_validators(
    lines: list[str], text: bytes, network: str, keys: dict[str, bytes]
) -> tuple[str, ...]:
    """Stricter than C2SP, which ignores unknown lines: a receipt holds validators' lines only."""
    signed: list[str] = []
    for line in lines:
        dash, name, value = [*line.split(" "), "", ""][:3]
        _need(dash == "—" and line.count(" ") == 2, Code.FORMAT, f"{line[:80]!r} is no signature")
        data = _base64(value, 68)
        validator = name.removesuffix(f".{network}")
        known = name == f"{validator}.{network}" and validator in keys
        _need(known, Code.SIGNER, f"{name[:80]!r} is no validator of this genesis")
        key = keys[validator]
        key_id = sha256(f"{name}\n\x01".encode() + key).digest()[:4]
        _need(data[:4] == key_id, Code.SIGNER, f"the key id of {name} is of another key")
        _need(validator not in signed, Code.SIGNER, f"{name} signs twice")
        _need(_is_signed(key, text, data[4:]), Code.SIGNER, f"{name}'s signature is not valid")
        signed.append(validator)
    quorum = len(keys) - (len(keys) - 1) // 3
    counted = f"{len(signed)} validators of {len(keys)} signed, {quorum} needed"
    _need(len(signed) >= quorum, Code.QUORUM, counted)
    return tuple(signed)


def _is_signed(key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        crypto_sign_open(signature + message, key)
    except (CryptoError, ValueError):
        return False
    return True


# -- 9. the log ------------------------------------------------------------------------------------


def _check_inclusion(leaf: bytes, index: int, size: int, path: list[bytes], root: bytes) -> None:
    """RFC 6962: the path holds one sibling for every level on which there is one, and no more."""
    _need(index < size, Code.INCLUSION, f"leaf {index} is outside a log of {size}")
    current, place, last, used = leaf, index, size - 1, 0
    while last:
        if place & 1 or place < last:
            _need(used < len(path), Code.INCLUSION, f"the path ends after {used} hashes")
            pair = path[used] + current if place & 1 else current + path[used]
            current = sha256(b"\x01" + pair).digest()
            used += 1
        place >>= 1
        last >>= 1
    _need(used == len(path), Code.INCLUSION, f"the path has {len(path)} hashes, not {used}")
    _need(current == root, Code.INCLUSION, f"the path leads to {current.hex()}, not to the root")


def _need(condition: bool, code: Code, message: str) -> None:  # noqa: FBT001
    if not condition:
        _fail(code, message)


def _fail(code: Code, message: str) -> NoReturn:
    raise ReceiptError(code, message)


def main(arguments: list[str] | None = None) -> int:
    """Verify one file. Exit code 0 = verified, 1 = refused, 2 = wrong usage."""
    parser = argparse.ArgumentParser(description="Verify an Onward receipt offline.")
    parser.add_argument("receipt", type=Path, help="the .receipt file")
    parser.add_argument("--genesis", type=Path, required=True, help="the chain's genesis.json")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    options = parser.parse_args(arguments)
    try:
        receipt, genesis = options.receipt.read_bytes(), options.genesis.read_bytes()
    except OSError as error:
        parser.error(str(error))
    try:
        summary = verify_receipt(receipt, genesis)
    except ReceiptError as error:
        answer: dict[str, Any] = {"verified": False, "code": error.code, "message": str(error)}
    else:
        answer = {"verified": True, **dataclasses.asdict(summary)}
    if options.json:
        text = json.dumps(answer)
    else:
        text = "\n".join(f"{name:12} {value}" for name, value in answer.items())
    sys.stdout.write(f"{text}\n")
    return 0 if answer["verified"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
