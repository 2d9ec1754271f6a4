"""Verify a receipt with nothing but the chain's genesis: no node, no network.

    python receipt_verifier.py FILE --genesis FILE [--json]

One file to read in one sitting and to copy away: it imports the standard library and PyNaCl. Its
nine checks are listed in `Code`, numbered as in docs/spec/proofs.md; the first that fails names
itself by a stable code.

A verified receipt says: a quorum of the validators swore that this chain holds this verdict on this
body under the signatures of these keys and no others. Whose keys they are is what the validators
checked before there was a leaf; a receipt does not show it.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import json
import re
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
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
TAG_SIGNERS = b"onward/signers/1"
SIGN_ENVELOPE = b"\x00onward/tx/1"
HEADERS = ("onward/receipt/1", "c2sp.org/tlog-proof@v1")
OUTCOMES = {1: "accepted", 2: "recorded", 3: "refused"}

_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?", re.ASCII)
_HEX_KEY = re.compile(r"[0-9a-f]{64}", re.ASCII)
_UINT53_MAX = 2**53 - 1


KeysAt = Callable[[int], dict[str, bytes]]
"""Size of the log -> the validators' keys by the names that they sign notes with."""


class Code(StrEnum):
    """The checks, in order, by the code that says which one failed."""

    GENESIS = "E_GENESIS"  # 1. it is one JSON object; it gives chain id, network, validators
    FORMAT = "E_FORMAT"  # 2. text of four parts, each line in its one permitted form
    BODY = "E_BODY"  # 3. one canonical transaction
    CLIENT = "E_CLIENT"  # 4. every signer line is valid over chain id and the root above the body
    LEAF = "E_LEAF"  # 5. a canonical verdict on this very body, signed by these very keys
    CHAIN = "E_CHAIN"  # 6. the checkpoint is of this chain's log
    SIGNER = "E_SIGNER"  # 7. every checkpoint signature is valid, each of another validator
    QUORUM = "E_QUORUM"  # 8. they are at least n - floor((n - 1) / 3)
    INCLUSION = "E_INCLUSION"  # 9. the leaf stands in the log at its index, under the signed root


class ReceiptError(Exception):
    """The receipt does not verify. `code` says at which check."""

    def __init__(self, code: Code, message: str) -> None:
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


def verify_receipt(receipt: bytes, genesis: bytes, keys_at: KeysAt | None = None) -> ReceiptSummary:
    """Run every check on the bytes of a receipt file, given those of the genesis file.

    `keys_at`: where validators changed, those who sign a log of a size (`epoch_verifier`).

    Raises:
        ReceiptError: the first check that failed.
    """
    chain_id, network, keys = read_genesis(genesis)
    transaction, proof, checkpoint, notes = _split(receipt)
    need((transaction[0], proof[0]) == HEADERS, Code.FORMAT, f"the headers are not {HEADERS}")
    need(len(transaction) >= 3, Code.FORMAT, "the transaction's part is cut off")
    body_bytes = bytes_after("body", transaction[1])
    leaf_bytes = bytes_after("leaf", transaction[-1])
    need(len(checkpoint) == 3, Code.FORMAT, f"a checkpoint of {len(checkpoint)} lines, not 3")
    size, root = number(checkpoint[1]), from_base64(checkpoint[2], 32)
    log_index, path = read_proof(proof)

    body = decode(body_bytes, _BODY, Code.BODY)
    need(body["format"] == 1, Code.BODY, f"body format {body['format']}, expected 1")
    tx_hash = sha256(TAG_BODY + body_bytes).digest()
    parties = 1 + len(body["cosigners"])
    client_keys = _check_client(transaction[2:-1], tx_hash, chain_id, parties)
    leaf = _check_leaf(leaf_bytes, tx_hash, client_keys)
    origin = f"onward/{network}/{chain_id.hex()[:16]}"
    need(checkpoint[0] == origin, Code.CHAIN, f"{checkpoint[0][:80]!r} is not {origin!r}")
    text = "".join(f"{line}\n" for line in checkpoint).encode()
    signed = check_validators(notes, text, keys if keys_at is None else keys_at(size))
    check_inclusion(sha256(b"\x00" + leaf_bytes).digest(), log_index, size, path, root)
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
        client_keys=tuple(key.hex() for key in client_keys),
        log_index=log_index,
        tree_size=size,
        log_root=root.hex(),
        origin=origin,
        validators=tuple(name.removesuffix(f".{network}") for name in signed),
    )


def read_genesis(data: bytes) -> tuple[bytes, str, dict[str, bytes]]:
    """Check 1. Chain id, network name, the validators' keys by the names they sign notes with.

    The keys stand in the order that gives each validator its index. Raises `ReceiptError`.
    """
    need(len(data) <= GENESIS_BYTES_MAX, Code.GENESIS, f"{len(data)} bytes are too many")
    try:
        value = json.loads(data.decode(), object_pairs_hook=_ordered, parse_float=_no_float)
        canonical = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        chain_id = sha256(TAG_GENESIS + canonical.encode()).digest()
        need(value["format"] == 1, Code.GENESIS, f"format {value['format']!r}, expected 1")
        network = value["network"]
        names = [item["name"] for item in value["validators"]]
        keys = [item["public_key"] for item in value["validators"]]
        formed = all(map(_NAME.fullmatch, [network, *names])) and all(map(_HEX_KEY.fullmatch, keys))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        _fail(Code.GENESIS, f"not a genesis: {type(error).__name__}: {error}")
    need(formed, Code.GENESIS, "the network's or a validator's name or key is out of form")
    need(1 <= len(names) <= VALIDATORS_MAX, Code.GENESIS, f"{len(names)} validators")
    distinct = len(set(names)) == len(set(keys)) == len(names)
    need(distinct, Code.GENESIS, "a validator's name or key stands twice")
    note_names = [f"{name}.{network}" for name in names]
    return chain_id, network, dict(zip(note_names, map(bytes.fromhex, keys), strict=True))


def _ordered(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object with its keys in the order of RFC 8785, that of their UTF-16."""
    found = dict(sorted(pairs, key=lambda pair: pair[0].encode("utf-16-be")))
    need(len(found) == len(pairs), Code.GENESIS, "a key stands twice")
    return found


def _no_float(literal: str) -> NoReturn:
    _fail(Code.GENESIS, f"{literal} is no integer")


def _split(data: bytes) -> tuple[list[str], list[str], list[str], list[str]]:
    """Check 2. The lines of the four parts."""
    need(len(data) <= RECEIPT_BYTES_MAX, Code.FORMAT, f"{len(data)} bytes are too many")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        _fail(Code.FORMAT, f"not UTF-8 at byte {error.start}")
    need(all(c >= " " or c == "\n" for c in text), Code.FORMAT, "a control character")
    need(text.endswith("\n"), Code.FORMAT, "the last line has no end")
    parts = [part.split("\n") for part in text[:-1].split("\n\n")]
    if len(parts) != 4 or not all(line for part in parts for line in part):
        _fail(Code.FORMAT, f"{len(parts)} parts, expected 4 with one empty line between")
    return parts[0], parts[1], parts[2], parts[3]


def bytes_after(word: str, line: str) -> bytes:
    """What stands in base64 behind a word."""
    need(line.startswith(f"{word} "), Code.FORMAT, f"{line[:80]!r}, expected {word!r}")
    return from_base64(line.removeprefix(f"{word} "))


def from_base64(value: str, size: int | None = None) -> bytes:
    """Standard base64 in its one canonical form."""
    try:
        data = base64.b64decode(value.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        data = b""
    if not data or base64.b64encode(data).decode() != value:
        _fail(Code.FORMAT, f"{value[:80]!r} is not canonical base64")
    need(size in (None, len(data)), Code.FORMAT, f"{len(data)} bytes in base64, not {size}")
    return data


def number(value: str) -> int:
    """A decimal without leading zeros."""
    need(_NUMBER.fullmatch(value) is not None, Code.FORMAT, f"{value[:80]!r} is no number")
    return int(value)


def read_proof(lines: list[str]) -> tuple[int, list[bytes]]:
    """Index and path of a C2SP tlog-proof."""
    need(lines[1:2] != [] and lines[1].startswith("index "), Code.FORMAT, "proof without index")
    need(len(lines) - 2 <= PROOF_HASHES_MAX, Code.FORMAT, f"a path of {len(lines) - 2} hashes")
    return number(lines[1].removeprefix("index ")), [from_base64(line, 32) for line in lines[2:]]


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
    10: ("signers_hash", "raw", 32, 32, 0),
}


def decode(data: bytes, fields: dict[int, _Field], code: Code) -> dict[str, Any]:
    """Proto3 wire form without its freedoms: ascending, minimal, no defaults, nothing unknown."""
    found: dict[str, Any] = {}
    position, last = 0, 0
    while position < len(data):
        tag, position = _varint(data, position, code)
        field = fields.get(tag >> 3)
        if field is None or tag & 7 != (0 if field[1] == "uint" else 2):
            _fail(code, f"unknown field or wire type {tag}")
        name, kind, least, most, repeated = field
        ascends = tag > last or (tag == last and repeated > 0)
        need(ascends, code, f"field {name} is out of order or stands twice")
        last = tag
        value: Any
        value, position = _varint(data, position, code)
        measure = value
        if kind != "uint":
            need(value <= len(data) - position, code, f"field {name} is cut off")
            value, position = data[position : position + value], position + value
        if measure == 0 or not least <= measure <= most:
            _fail(code, f"field {name} is {measure}, expected {max(least, 1)} to {most}")
        if kind == "text":
            try:
                value = value.decode()
            except UnicodeDecodeError:
                _fail(code, f"field {name} is not UTF-8")
        if repeated:
            value = [*found.get(name, []), value]
            need(len(value) <= repeated, code, f"field {name} has more than {repeated} values")
        found[name] = value
    for name, kind, least, _, repeated in fields.values():
        need(name in found or repeated > 0 or least == 0, code, f"field {name} is missing")
        found.setdefault(name, [] if repeated else 0 if kind == "uint" else b"")
    return found


def _varint(data: bytes, position: int, code: Code) -> tuple[int, int]:
    value = 0
    for count, byte in enumerate(data[position : position + 10]):
        value |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            need(value < 2**64 and (byte > 0 or not count), code, f"varint at byte {position}")
            return value, position + count + 1
    raise ReceiptError(code, f"the varint at byte {position} does not end")


def _check_client(lines: list[str], tx_hash: bytes, chain_id: bytes, parties: int) -> list[bytes]:
    """Check 4. The keys whose signatures are valid over the root above the body's hash."""
    current, steps = sha256(b"\x00" + tx_hash).digest(), 0
    while steps < len(lines) and lines[steps].startswith(("left ", "right ")):
        side, _, value = lines[steps].partition(" ")
        sibling = from_base64(value, 32)
        pair = sibling + current if side == "left" else current + sibling
        current = sha256(b"\x01" + pair).digest()
        steps += 1
    need(steps <= ENVELOPE_PATH_MAX, Code.FORMAT, f"{steps} siblings")
    count = len(lines) - steps
    need(count <= SIGNERS_MAX, Code.FORMAT, f"{count} signer lines, at most {SIGNERS_MAX}")
    need(count >= parties, Code.CLIENT, f"{count} signatures for {parties} signing parties")
    message = SIGN_ENVELOPE + chain_id + current
    keys: list[bytes] = []
    for line in lines[steps:]:
        word, key_text, signature_text = [*line.split(" "), "", ""][:3]
        need(word == "signer" and line.count(" ") == 2, Code.FORMAT, f"{line[:80]!r} is no signer")
        keys.append(from_base64(key_text, 32))
        if not is_signed(keys[-1], message, from_base64(signature_text, 64)):
            _fail(Code.CLIENT, f"the signature under {keys[-1].hex()} is not valid here")
    need(len(set(keys)) == len(keys), Code.CLIENT, "one key signs twice")
    return keys


def _check_leaf(data: bytes, tx_hash: bytes, client_keys: list[bytes]) -> dict[str, Any]:
    """Check 5. The keys are bound as canonical bytes: each is field 1, of 32 bytes."""
    leaf = decode(data, _LEAF, Code.LEAF)
    need(leaf["kind"] == 1, Code.LEAF, f"a leaf of kind {leaf['kind']}, expected 1")
    need(leaf["tx_hash"] == tx_hash, Code.LEAF, f"the leaf is of {leaf['tx_hash'].hex()}")
    signers = b"".join(b"\x0a\x20" + key for key in client_keys)
    bound = leaf["signers_hash"] == sha256(TAG_SIGNERS + signers).digest()
    need(bound, Code.LEAF, "the leaf is of this body under other signers")
    agrees = (leaf["code"] == "OK") == (leaf["outcome"] == 1)
    need(agrees, Code.LEAF, f"code {leaf['code']} contradicts outcome {leaf['outcome']}")
    return leaf


def check_validators(lines: list[str], text: bytes, keys: dict[str, bytes]) -> list[str]:
    """Checks 7 and 8. Unlike C2SP, which ignores unknown lines, only validators' are allowed."""
    signed: list[str] = []
    for line in lines:
        dash, name, value = [*line.split(" "), "", ""][:3]
        need(dash == "—" and line.count(" ") == 2, Code.FORMAT, f"{line[:80]!r} is no signature")
        data = from_base64(value, 68)
        need(name in keys, Code.SIGNER, f"{name[:80]!r} is no validator of this genesis")
        key_id = sha256(f"{name}\n\x01".encode() + keys[name]).digest()[:4]
        need(data[:4] == key_id, Code.SIGNER, f"the key id of {name} is of another key")
        need(name not in signed, Code.SIGNER, f"{name} signs twice")
        need(is_signed(keys[name], text, data[4:]), Code.SIGNER, f"{name} did not sign this")
        signed.append(name)
    quorum = len(keys) - (len(keys) - 1) // 3
    counted = f"{len(signed)} validators of {len(keys)} signed, {quorum} needed"
    need(len(signed) >= quorum, Code.QUORUM, counted)
    return signed


def varint(value: int) -> bytes:
    """A number in its one minimal form, as canonical messages hold it."""
    data = bytearray()
    while value > 0x7F:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*data, value])


def is_name(value: str) -> bool:
    """Whether a validator may be called so."""
    return _NAME.fullmatch(value) is not None


def is_signed(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the Ed25519 signature is valid under the key, as libsodium judges."""
    try:
        crypto_sign_open(signature + message, key)
    except (CryptoError, ValueError):
        return False
    return True


def check_inclusion(leaf: bytes, index: int, size: int, path: list[bytes], root: bytes) -> None:
    """Check 9, RFC 6962. The path holds a sibling for each level that has one, and no more."""
    need(index < size, Code.INCLUSION, f"leaf {index} is outside a log of {size}")
    current, place, last, used = leaf, index, size - 1, 0
    while last:
        if place & 1 or place < last:
            need(used < len(path), Code.INCLUSION, f"the path ends after {used} hashes")
            pair = path[used] + current if place & 1 else current + path[used]
            current = sha256(b"\x01" + pair).digest()
            used += 1
        place >>= 1
        last >>= 1
    need(used == len(path), Code.INCLUSION, f"the path has {len(path)} hashes, not {used}")
    need(current == root, Code.INCLUSION, f"the path leads to {current.hex()}, not to the root")


def need(condition: bool, code: Code, message: str) -> None:  # noqa: FBT001
    """Raise `ReceiptError` unless the condition holds."""
    if not condition:
        _fail(code, message)


def _fail(code: Code, message: str) -> NoReturn:
    raise ReceiptError(code, message)


def read_start(file: Path, size: int) -> bytes:
    """A file's first `size` bytes. Raises `OSError`."""
    with file.open("rb") as stream:
        return stream.read(size)


def tell(answer: dict[str, Any], *, as_json: bool) -> int:
    """Print a verifier's answer; answers the exit code."""
    lines = [json.dumps(answer)] if as_json else [f"{k:12} {v}" for k, v in answer.items()]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if answer["verified"] else 1


def main(arguments: list[str] | None = None) -> int:
    """Verify one file. Exit code 0 = verified, 1 = refused, 2 = wrong usage."""
    parser = argparse.ArgumentParser(description="Verify an Onward receipt offline.")
    parser.add_argument("receipt", type=Path, help="the .receipt file")
    parser.add_argument("--genesis", type=Path, required=True, help="the chain's genesis.json")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    options = parser.parse_args(arguments)
    try:
        receipt = read_start(options.receipt, RECEIPT_BYTES_MAX + 1)
        summary = verify_receipt(receipt, read_start(options.genesis, GENESIS_BYTES_MAX + 1))
        answer: dict[str, Any] = {"verified": True, **asdict(summary)}
    except ReceiptError as error:
        answer = {"verified": False, "code": error.code, "message": str(error)}
    except OSError as error:
        parser.error(str(error))
    return tell(answer, as_json=options.json)


if __name__ == "__main__":
    raise SystemExit(main())
