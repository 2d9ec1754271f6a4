"""Signed reads: whoever asks for what is not public proves which party asks.

A read names the chain, the node it is meant for, the party, the method and the hash of its
arguments, and is valid for a minute at most: a node that keeps one can neither use it elsewhere nor
for another question. Which key belongs to which party is state, and judged where the state is.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated

from onward import limits
from onward.crypto.hashing import SIGN_READ
from onward.crypto.signing import Signer, Verify
from onward.errors import RejectCode, RejectedError
from onward.ledger.transaction import is_party_id
from onward.types import PartyId, PublicKey
from onward_proto.canonical import CanonicalError, decode, encode, nested, raw, text, uint

METHOD_BLOB_DELETION = "blob/deletion"
METHOD_BLOB_GET = "blob/get"
METHOD_BLOB_PUT = "blob/put"
METHOD_BLOCK = "block"
METHOD_DRY_RUN = "dry_run"
METHOD_RECEIPT = "receipt"
METHOD_TRANSACTION = "transaction"
_METHOD_BYTES_MAX = limits.CONTRACT_NAME_BYTES_MAX + limits.TYPE_NAME_BYTES_MAX + 8
_SIGNED_READ_BYTES_MAX = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What is signed. `arguments_hash` is the SHA-256 of the method's arguments in bytes."""

    chain_id: Annotated[bytes, raw(1, size=32)]
    node: Annotated[bytes, raw(2, size=32)]
    party: Annotated[str, text(3, minimum=1, maximum=limits.PARTY_ID_BYTES_MAX)]
    method: Annotated[str, text(4, minimum=1, maximum=_METHOD_BYTES_MAX)]
    arguments_hash: Annotated[bytes, raw(5, size=32)]
    valid_until_ms: Annotated[int, uint(6, maximum=2**53 - 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRead:
    """A read, the key that signed it, and the signature over `SIGN_READ` and the read's bytes."""

    read: Annotated[Read, nested(1, Read)]
    public_key: Annotated[bytes, raw(2, size=32)]
    signature: Annotated[bytes, raw(3, size=64)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadScope:
    """What a read must have been signed for: this chain, this node, this method and arguments."""

    chain_id: bytes
    node: bytes
    method: str
    arguments: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Who asks, by its own signature. That the key is the party's is yet to be looked up."""

    party: PartyId
    public_key: PublicKey


def query_method(contract: str, name: str) -> str:
    """The method that a read for this query names."""
    return f"query/{contract}/{name}"


def blob_arguments(contract: str, record: bytes, blob: bytes | None = None) -> bytes:
    """The arguments of a read about a record's blob, and of one that brings the blob."""
    about = f"{contract}/".encode() + record
    return about if blob is None else about + sha256(blob).digest()


def seal_read(scope: ReadScope, *, party: str, valid_until_ms: int, signer: Signer) -> bytes:
    """The bytes of a signed read."""
    read = Read(
        chain_id=scope.chain_id,
        node=scope.node,
        party=party,
        method=scope.method,
        arguments_hash=sha256(scope.arguments).digest(),
        valid_until_ms=valid_until_ms,
    )
    signature = signer.sign(SIGN_READ + encode(read))
    return encode(SignedRead(read=read, public_key=signer.public_key, signature=signature))


def check_read(data: bytes, scope: ReadScope, *, now_ms: int, verify: Verify) -> Reader:
    """Everything about a signed read that needs no state.

    Raises `RejectedError`, first failure first: E_SIZE, E_FORMAT, E_CHAIN (for another chain),
    E_READER (for another node, method or arguments), E_EXPIRED, E_VALIDITY (valid for more than a
    minute), E_SIG.
    """
    if len(data) > _SIGNED_READ_BYTES_MAX:
        raise RejectedError(
            RejectCode.SIZE, f"signed read of {len(data)} bytes, at most {_SIGNED_READ_BYTES_MAX}"
        )
    try:
        signed = decode(SignedRead, data)
    except CanonicalError as error:
        raise RejectedError(RejectCode.FORMAT, f"signed read: {error}") from None
    read = signed.read
    if not is_party_id(read.party):
        raise RejectedError(RejectCode.FORMAT, f"party id {read.party!r}")
    if read.chain_id != scope.chain_id:
        raise RejectedError(
            RejectCode.CHAIN,
            f"signed for chain {read.chain_id.hex()[:16]}, this is {scope.chain_id.hex()[:16]}",
        )
    if read.node != scope.node:
        raise RejectedError(
            RejectCode.READER,
            f"signed for node {read.node.hex()[:16]}, this is {scope.node.hex()[:16]}",
        )
    if read.method != scope.method:
        raise RejectedError(
            RejectCode.READER, f"signed for method {read.method!r}, used for {scope.method!r}"
        )
    if read.arguments_hash != sha256(scope.arguments).digest():
        raise RejectedError(RejectCode.READER, "signed for other arguments")
    if read.valid_until_ms <= now_ms:
        raise RejectedError(
            RejectCode.EXPIRED, f"read was valid until {read.valid_until_ms}, now it is {now_ms}"
        )
    if read.valid_until_ms > now_ms + limits.READ_VALIDITY_MS_MAX:
        raise RejectedError(
            RejectCode.VALIDITY,
            f"read is valid for {read.valid_until_ms - now_ms} ms, "
            f"at most {limits.READ_VALIDITY_MS_MAX}",
        )
    if not verify(signed.public_key, SIGN_READ + encode(read), signed.signature):
        raise RejectedError(
            RejectCode.SIGNATURE, "signature of the read is not valid under its key"
        )
    return Reader(party=PartyId(read.party), public_key=PublicKey(signed.public_key))
