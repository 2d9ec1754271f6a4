"""Checkpoints as C2SP notes: the text that validators sign, and the lines of those who signed it.

A checkpoint is three lines: origin, tree size, root hash. Nothing else stands in it (the extension
lines that C2SP permits are refused), so that every tool which reads checkpoints covers all that
ours say; height, time, block digest and state root stand in the log's block leaves. A note is that
text, an empty line, and
one line for each signature::

    onward/<network>/<first 16 hex digits of the chain id>
    20852163
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

    — v1.<network> <base64 of key id (4 bytes) ‖ Ed25519 signature (64 bytes)>

Pure text and arithmetic: signatures are made and verified by whoever calls. The parser reads once,
and accepts exactly what the builder can produce, except that lines of unknown keys (of witnesses,
say) are kept as they are. The key id only names a key, it does not authenticate one: four bytes are
easily collided.

Source: C2SP signed-note and tlog-checkpoint.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from onward.errors import MalformedError, invariant
from onward.limits import NOTE_BYTES_MAX, NOTE_SIGNATURES_MAX, PROOF_HASHES_MAX

KEY_ID_BYTES = 4
_ED25519 = b"\x01"
_SIGNATURE_BYTES = 64
_HASH_BYTES = 32
_CHECKPOINT_LINES = 3
_DASH = "— "
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_UNNAMED = re.compile(r"[\s+\x00-\x1f]")  # what a key's name may not hold
_SIZE_MAX = 2**PROOF_HASHES_MAX - 1

VerifySignature = Callable[[bytes, bytes, bytes], bool]
"""(public key, message, signature) -> whether the signature is valid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a log was at one size. `root`: 32 bytes."""

    origin: str
    size: int
    root: bytes

    def text(self) -> bytes:
        """The bytes that are signed."""
        invariant(_is_origin(self.origin), f"origin {self.origin!r}")
        invariant(0 <= self.size <= _SIZE_MAX, f"log size {self.size}")
        invariant(len(self.root) == _HASH_BYTES, f"root of {len(self.root)} bytes")
        return f"{self.origin}\n{self.size}\n{encode_base64(self.root)}\n".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteKey:
    """An Ed25519 key that may sign notes, under its name."""

    name: str
    public_key: bytes

    @property
    def key_id(self) -> bytes:
        """The 4 bytes that stand before this key's signatures."""
        return key_id(self.name, self.public_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteSignature:
    """One signature line. `signature` has 64 bytes for the kind that validators use."""

    name: str
    key_id: bytes
    signature: bytes

    def line(self) -> bytes:
        """The line, with its newline."""
        return f"{_DASH}{self.name} {encode_base64(self.key_id + self.signature)}\n".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedNote:
    """A text that ends in a newline, and the signatures under it, in the order of their lines."""

    text: bytes
    signatures: tuple[NoteSignature, ...]

    def encode(self) -> bytes:
        """The note's bytes."""
        return self.text + b"\n" + b"".join(item.line() for item in self.signatures)


def checkpoint_origin(network: str, chain_id: bytes) -> str:
    """The first line of every checkpoint of one chain: the log's identity."""
    return f"onward/{network}/{chain_id.hex()[:16]}"


def validator_key_name(validator: str, network: str) -> str:
    """The name under which a validator signs checkpoints."""
    return f"{validator}.{network}"


def key_id(name: str, public_key: bytes) -> bytes:
    """The 4-byte id of an Ed25519 note key."""
    return sha256(name.encode() + b"\n" + _ED25519 + public_key).digest()[:KEY_ID_BYTES]


def note_signature(key: NoteKey, signature: bytes) -> NoteSignature:
    """The signature line of `key` for a 64-byte Ed25519 signature over the note's text."""
    invariant(is_key_name(key.name), f"key name {key.name!r}")
    invariant(len(signature) == _SIGNATURE_BYTES, f"signature of {len(signature)} bytes")
    return NoteSignature(name=key.name, key_id=key.key_id, signature=signature)


def is_key_name(name: str) -> bool:
    """Whether C2SP allows the name: not empty, no space, no plus, no control character."""
    return bool(name) and _UNNAMED.search(name) is None


def parse_note(data: bytes) -> SignedNote:
    """The note in `data`.

    Raises:
        MalformedError: too long, not UTF-8, a control character, no signature, a line that is none,
        a
            key that signs twice, base64 that is not the shortest form.
    """
    if len(data) > NOTE_BYTES_MAX:
        raise MalformedError(f"note of {len(data)} bytes, at most {NOTE_BYTES_MAX}")
    try:
        decoded = data.decode()
    except UnicodeDecodeError as error:
        raise MalformedError(f"note is not UTF-8 at byte {error.start}") from None
    if _CONTROL.search(decoded) is not None:
        raise MalformedError("note holds a control character")
    text, gap, block = decoded.rpartition("\n\n")
    if not gap or not text:
        raise MalformedError("note has no empty line between its text and its signatures")
    if not block.endswith("\n"):
        raise MalformedError("note has no signature line, or its last line has no end")
    lines = block[:-1].split("\n")
    if len(lines) > NOTE_SIGNATURES_MAX:
        raise MalformedError(f"note of {len(lines)} signatures, at most {NOTE_SIGNATURES_MAX}")
    signatures = tuple(_parse_signature(number, line) for number, line in enumerate(lines))
    if len({(item.name, item.key_id) for item in signatures}) != len(signatures):
        raise MalformedError("note is signed twice by one key")
    return SignedNote(text=f"{text}\n".encode(), signatures=signatures)


def parse_checkpoint(text: bytes) -> Checkpoint:
    """The checkpoint in a note's text. Raises `MalformedError` for anything but its three lines."""
    try:
        lines = text.decode().split("\n")
    except UnicodeDecodeError as error:
        raise MalformedError(f"checkpoint is not UTF-8 at byte {error.start}") from None
    if len(lines) != _CHECKPOINT_LINES + 1 or lines.pop():
        raise MalformedError(f"checkpoint of {len(lines)} lines, expected {_CHECKPOINT_LINES}")
    origin, size, root = lines
    if not _is_origin(origin):
        raise MalformedError(f"checkpoint origin {origin[:80]!r}")
    if not _SIZE.fullmatch(size) or int(size) > _SIZE_MAX:
        raise MalformedError(f"checkpoint tree size {size[:80]!r}")
    root_hash = decode_base64(root, "checkpoint root")
    if len(root_hash) != _HASH_BYTES:
        raise MalformedError(f"checkpoint root of {len(root_hash)} bytes, expected {_HASH_BYTES}")
    return Checkpoint(origin=origin, size=int(size), root=root_hash)


def certifying_signers(
    note: SignedNote, keys: Sequence[NoteKey], quorum: int, verify: VerifySignature
) -> tuple[int, ...]:
    """The indices in `keys` of those who signed `note`, ascending; at least `quorum` of them.

    Lines of other keys are ignored, as C2SP demands. A line that claims one of `keys` and does not
    verify damns the whole note: nobody honest hands it on.

    Raises:
        MalformedError: an invalid signature of a known key, or fewer valid ones than `quorum`.
    """
    known = {(key.name, key.key_id): index for index, key in enumerate(keys)}
    invariant(len(known) == len(keys), "two note keys share name and id")
    found: set[int] = set()
    for item in note.signatures:
        index = known.get((item.name, item.key_id))
        if index is None:
            continue
        if not verify(keys[index].public_key, note.text, item.signature):
            raise MalformedError(f"the signature of {item.name} on the note is not valid")
        found.add(index)
    if len(found) < quorum:
        raise MalformedError(f"{len(found)} validators signed the note, {quorum} are needed")
    return tuple(sorted(found))


def encode_base64(data: bytes) -> str:
    """Standard base64 with padding."""
    return base64.b64encode(data).decode("ascii")


def decode_base64(value: str, what: str) -> bytes:
    """The bytes of which `value` is the one base64 form; `what` names it in the error."""
    try:
        data = base64.b64decode(value.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise MalformedError(f"{what} is not base64") from None
    # Unused bits of the last character are free in base64: one value must have one form.
    if encode_base64(data) != value:
        raise MalformedError(f"{what} is not in the canonical form of base64")
    return data


def _parse_signature(number: int, line: str) -> NoteSignature:
    name, gap, value = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not gap or not is_key_name(name):
        raise MalformedError(f"line {number} of the note's signatures is none: {line[:80]!r}")
    data = decode_base64(value, f"the signature of {name}")
    if len(data) <= KEY_ID_BYTES:
        raise MalformedError(f"the signature of {name} has {len(data)} bytes with its key id")
    return NoteSignature(name=name, key_id=data[:KEY_ID_BYTES], signature=data[KEY_ID_BYTES:])


def _is_origin(origin: str) -> bool:
    return bool(origin) and not any(character < " " for character in origin)
