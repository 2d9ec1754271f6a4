"""Transactions: a *body* is one transaction, an *envelope* is how its signers sign it.

An envelope carries 1 to 64 bodies, the public keys of their signers, and one signature per key over
`(tag, chain id, root)`, where the root is the RFC 6962 tree over the bodies' hashes. Each body is a
transaction of its own: own hash, own verdict, own leaf in the log. Most envelopes hold one body.

`check_envelope` is the whole of what can be judged without state, and therefore what makes a batch
valid. Which key belongs to which party, replay, time: all that is judged at execution, alike at
every replica.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from onward import limits
from onward.crypto.hashing import SIGN_ENVELOPE, TAG_BODY, tagged_hash
from onward.crypto.signing import Signer, Verify
from onward.errors import RejectCode, RejectedError
from onward.ledger.merkle import leaf_hash, merkle_root
from onward.types import Digest
from onward_proto.canonical import CanonicalError, decode, encode, nested, raw, text, uint

BODY_FORMAT = 1

_PARTY_ID = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?", re.ASCII)
_NAME = re.compile(r"[a-z][a-z0-9]*", re.ASCII)
_TYPE = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """One transaction."""

    format: Annotated[int, uint(1, maximum=255)]
    contract: Annotated[str, text(2, minimum=1, maximum=limits.CONTRACT_NAME_BYTES_MAX)]
    type: Annotated[str, text(3, minimum=1, maximum=limits.TYPE_NAME_BYTES_MAX)]
    actor: Annotated[str, text(4, minimum=1, maximum=limits.PARTY_ID_BYTES_MAX)]
    cosigners: Annotated[
        tuple[str, ...],
        text(5, minimum=1, maximum=limits.PARTY_ID_BYTES_MAX, count=limits.COSIGNERS_MAX),
    ]
    valid_until_ms: Annotated[int, uint(6, maximum=2**53 - 1)]
    salt: Annotated[bytes, raw(7, size=limits.SALT_BYTES)]
    payload: Annotated[bytes, raw(8, maximum=limits.PAYLOAD_BYTES_MAX)]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySignature:
    """A signature with the key that it verifies under."""

    public_key: Annotated[bytes, raw(1, size=32)]
    signature: Annotated[bytes, raw(2, size=64)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """Bodies and the signatures over them all. The first signature is the actor's."""

    chain_id: Annotated[bytes, raw(1, size=32)]
    bodies: Annotated[
        tuple[bytes, ...],
        raw(2, minimum=1, maximum=limits.BODY_BYTES_MAX, count=limits.ENVELOPE_BODIES_MAX),
    ]
    signatures: Annotated[
        tuple[KeySignature, ...], nested(3, KeySignature, count=limits.ENVELOPE_KEYS_MAX)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """One body as it is executed: decoded, hashed, with the keys that signed it, in order."""

    tx_hash: Digest
    body: Body
    signers: tuple[bytes, ...]


Opened = tuple[tuple[Transaction, ...], ...]
"""The transactions of a batch, by envelope."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedEnvelope:
    """An envelope that passed `check_envelope`, with what it holds: it is taken apart once."""

    data: bytes
    transactions: tuple[Transaction, ...]

    @property
    def tx_hashes(self) -> tuple[Digest, ...]:
        """The hashes of its bodies, in order."""
        return tuple(item.tx_hash for item in self.transactions)


def body_hash(body: bytes) -> Digest:
    """The id of the transaction with these canonical body bytes."""
    return tagged_hash(TAG_BODY, body)


def signed_bytes(chain_id: bytes, body_hashes: Sequence[bytes]) -> bytes:
    """What the signers of an envelope with these body hashes sign."""
    return SIGN_ENVELOPE + chain_id + merkle_root([leaf_hash(item) for item in body_hashes])


def seal_envelope(chain_id: bytes, bodies: Sequence[bytes], signers: Sequence[Signer]) -> bytes:
    """The bytes of an envelope over `bodies`; the first signer is the actor's key."""
    message = signed_bytes(chain_id, [body_hash(body) for body in bodies])
    return encode(
        Envelope(
            chain_id=chain_id,
            bodies=tuple(bodies),
            signatures=tuple(
                KeySignature(public_key=signer.public_key, signature=signer.sign(message))
                for signer in signers
            ),
        )
    )


def decode_envelope(data: bytes) -> Envelope:
    """The envelope in `data`. Raises `RejectedError` E_SIZE or E_FORMAT."""
    if len(data) > limits.ENVELOPE_BYTES_MAX:
        raise RejectedError(
            RejectCode.SIZE, f"envelope of {len(data)} bytes, at most {limits.ENVELOPE_BYTES_MAX}"
        )
    try:
        return decode(Envelope, data)
    except CanonicalError as error:
        raise RejectedError(RejectCode.FORMAT, f"envelope: {error}") from None


def open_envelope(data: bytes) -> tuple[Transaction, ...]:
    """The transactions of an envelope whose signatures were checked before.

    Raises `RejectedError` E_SIZE or E_FORMAT.
    """
    envelope = decode_envelope(data)
    signers = tuple(item.public_key for item in envelope.signatures)
    return tuple(
        Transaction(tx_hash=body_hash(body), body=decode_body(body), signers=signers)
        for body in envelope.bodies
    )


def check_envelope(data: bytes, chain_id: bytes, verify: Verify) -> tuple[Transaction, ...]:
    """Everything about an envelope that needs no state; answers its transactions in order.

    Raises `RejectedError`, first failure first: E_SIZE, E_FORMAT (framing, canonical bodies),
    E_CHAIN (signed for another chain), E_COUNTERSIG (fewer signatures than signing parties), E_SIG
    (the actor's signature is invalid), E_COUNTERSIG (another one is).
    """
    envelope = decode_envelope(data)
    bodies = tuple(decode_body(body) for body in envelope.bodies)
    if not bodies:
        raise RejectedError(RejectCode.FORMAT, "envelope holds no body")
    if envelope.chain_id != chain_id:
        raise RejectedError(
            RejectCode.CHAIN,
            f"signed for chain {envelope.chain_id.hex()[:16]}, this is {chain_id.hex()[:16]}",
        )
    signers = tuple(item.public_key for item in envelope.signatures)
    if len(set(signers)) != len(signers):
        raise RejectedError(RejectCode.FORMAT, "envelope carries one key twice")
    if not signers:
        raise RejectedError(RejectCode.SIGNATURE, "envelope carries no signature")
    parties = max(1 + len(body.cosigners) for body in bodies)
    if len(signers) < parties:
        raise RejectedError(
            RejectCode.COUNTERSIGNATURE, f"{len(signers)} signatures for {parties} signing parties"
        )
    hashes = tuple(body_hash(body) for body in envelope.bodies)
    message = signed_bytes(chain_id, hashes)
    for index, item in enumerate(envelope.signatures):
        if not verify(item.public_key, message, item.signature):
            code = RejectCode.COUNTERSIGNATURE if index else RejectCode.SIGNATURE
            raise RejectedError(code, f"signature {index} is not valid under its key")
    return tuple(
        Transaction(tx_hash=tx_hash, body=body, signers=signers)
        for tx_hash, body in zip(hashes, bodies, strict=True)
    )


def decode_body(data: bytes) -> Body:
    """The body in `data`. Raises `RejectedError` E_FORMAT with what is wrong."""
    try:
        body = decode(Body, data)
    except CanonicalError as error:
        raise RejectedError(RejectCode.FORMAT, f"body: {error}") from None
    if body.format != BODY_FORMAT:
        raise RejectedError(RejectCode.FORMAT, f"body format {body.format}, expected {BODY_FORMAT}")
    if not _NAME.fullmatch(body.contract):
        raise RejectedError(RejectCode.FORMAT, f"contract name {body.contract!r}")
    if not _TYPE.fullmatch(body.type):
        raise RejectedError(RejectCode.FORMAT, f"transaction type {body.type!r}")
    parties = (body.actor, *body.cosigners)
    for party in parties:
        if not is_party_id(party):
            raise RejectedError(RejectCode.FORMAT, f"party id {party!r}")
    if len(set(parties)) != len(parties):
        raise RejectedError(RejectCode.FORMAT, "one party signs twice")
    return body


def is_party_id(value: str) -> bool:
    """Whether `value` has the form of a party id: lower-case letters, digits and `._-` inside."""
    return 0 < len(value) <= limits.PARTY_ID_BYTES_MAX and _PARTY_ID.fullmatch(value) is not None
