"""A payload that only the parties to its share can open, and the commitment that the chain holds.

The chain holds no personal data: of a payload it knows `commitment_of(salt, payload)` and the hash
of the sealed bytes, the blob. The salt stands nowhere but inside of the blob, so whoever destroys
the blob's copies leaves a commitment that nobody can test a guess against.

A blob is encrypted once, with XChaCha20-Poly1305 under a fresh key, and that key is sealed to each
public key of both parties (libsodium's sealed box, to the X25519 form of the party's Ed25519 key).
Its length tells the payload's to the kibibyte only. docs/spec/blobs.md is the definition.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated

from nacl import bindings
from nacl.exceptions import CryptoError

from onward import limits
from onward.crypto.signing import SigningKey
from onward.errors import MalformedError, RejectCode, RejectedError
from onward_proto.canonical import CanonicalError, decode, encode, nested, raw

SALT_BYTES = 32
BLOCK_BYTES = 1024
_TAG = b"onward/blob/1"
_KEY_BYTES = bindings.crypto_aead_xchacha20poly1305_ietf_KEYBYTES
_NONCE_BYTES = bindings.crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
_SEALED_KEY_BYTES = _KEY_BYTES + bindings.crypto_box_SEALBYTES
_LENGTH_BYTES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedKey:
    """The blob's key for one holder. `public_key` is the Ed25519 key that the chain knows."""

    public_key: Annotated[bytes, raw(1, size=32)]
    sealed: Annotated[bytes, raw(2, size=_SEALED_KEY_BYTES)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """What is kept beside the chain, canonically encoded."""

    keys: Annotated[tuple[SealedKey, ...], nested(1, SealedKey, count=limits.BLOB_KEYS_MAX)]
    nonce: Annotated[bytes, raw(2, size=_NONCE_BYTES)]
    ciphertext: Annotated[bytes, raw(3, minimum=1, maximum=limits.BLOB_BYTES_MAX)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What has to be random, and new for each blob: 32, 32 and 24 bytes."""

    salt: bytes
    key: bytes
    nonce: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A blob's content."""

    salt: bytes
    payload: bytes

    @property
    def commitment(self) -> bytes:
        """What the chain must hold."""
        return commitment_of(self.salt, self.payload)


def commitment_of(salt: bytes, payload: bytes) -> bytes:
    """The salted commitment to a payload: HMAC-SHA256 under the salt, 32 bytes."""
    return hmac.digest(salt, payload, "sha256")


def blob_hash(blob: bytes) -> bytes:
    """The SHA-256 by which the chain names a blob."""
    return sha256(blob).digest()


def seal(payload: bytes, holders: tuple[bytes, ...], secrets: Secrets) -> bytes:
    """The blob for those who hold one of these Ed25519 public keys.

    Raises `RejectedError` E_SIZE for a payload or a number of holders beyond the limits,
    `MalformedError` for a key that is none.
    """
    if not 0 < len(payload) <= limits.BLOB_PAYLOAD_BYTES_MAX:
        raise RejectedError(
            RejectCode.SIZE,
            f"payload of {len(payload)} bytes, from 1 to {limits.BLOB_PAYLOAD_BYTES_MAX}",
        )
    if not 0 < len(set(holders)) <= limits.BLOB_KEYS_MAX:
        raise RejectedError(
            RejectCode.SIZE, f"{len(holders)} keys of holders, from 1 to {limits.BLOB_KEYS_MAX}"
        )
    keys = tuple(_sealed_key(holder, secrets.key) for holder in sorted(set(holders)))
    plain = secrets.salt + len(payload).to_bytes(_LENGTH_BYTES, "big") + payload
    plain += bytes(-len(plain) % BLOCK_BYTES)
    ciphertext = bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(
        plain, _bound(keys), secrets.nonce, secrets.key
    )
    return encode(Blob(keys=keys, nonce=secrets.nonce, ciphertext=ciphertext))


def open_blob(data: bytes, holder: SigningKey) -> Opened:
    """The content, for a holder.

    Raises `MalformedError` for what is no blob, or one that was tampered with; `RejectedError`
    E_READER for one that is not sealed to this key.
    """
    try:
        blob = decode(Blob, data)
    except CanonicalError as error:
        raise MalformedError(f"blob: {error}") from None
    holders = [key.public_key for key in blob.keys]
    if holders != sorted(set(holders)):
        raise MalformedError("blob: its keys are not ascending")
    mine = next((key for key in blob.keys if key.public_key == holder.public_key), None)
    if mine is None:
        raise RejectedError(
            RejectCode.READER, f"blob is not sealed to {holder.public_key.hex()[:16]}"
        )
    try:
        key = holder.unseal(mine.sealed)
        plain = bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
            blob.ciphertext, _bound(blob.keys), blob.nonce, key
        )
    except (CryptoError, ValueError):
        raise MalformedError("blob: does not open: it was changed, or sealed wrongly") from None
    start = SALT_BYTES + _LENGTH_BYTES
    size = int.from_bytes(plain[SALT_BYTES:start], "big")
    payload = plain[start : start + size]
    is_whole = 0 < size == len(payload) and len(plain) % BLOCK_BYTES == 0
    if not is_whole or any(plain[start + size :]):
        raise MalformedError("blob: its content is not a salt, a length, a payload and zeros")
    return Opened(salt=plain[:SALT_BYTES], payload=payload)


def _sealed_key(public_key: bytes, key: bytes) -> SealedKey:
    try:
        box = bindings.crypto_sign_ed25519_pk_to_curve25519(public_key)
        return SealedKey(public_key=public_key, sealed=bindings.crypto_box_seal(key, box))
    except (CryptoError, ValueError):
        raise MalformedError(f"holder {public_key.hex()}: is no Ed25519 public key") from None


def _bound(keys: tuple[SealedKey, ...]) -> bytes:
    """What the ciphertext is bound to: nobody can swap the list of holders."""
    return _TAG + b"".join(key.public_key + key.sealed for key in keys)
