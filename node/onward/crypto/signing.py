"""Ed25519 by one library, one signature at a time.

Batch verification and other libraries accept a few signatures that libsodium refuses (cofactored
against cofactorless checks, small-order keys), and releases differ. Whether a transaction is valid
must not depend on that, so the single verification of one pinned library *is* the validity rule.

The pure rooms never import this module: they are handed a `Signer` and a `Verify`, so that a
simulation may bring cheap ones and a deployment a key that lives elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import nacl.bindings
from nacl.exceptions import BadSignatureError, CryptoError

from onward.types import PublicKey, Signature

SEED_BYTES = 32
PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64

Verify = Callable[[bytes, bytes, bytes], bool]
"""(public key, message, signature) -> whether the signature is valid."""


class Signer(Protocol):
    """A private key that can be used and not seen."""

    @property
    def public_key(self) -> PublicKey:
        """The 32-byte public key."""

    def sign(self, message: bytes) -> Signature:
        """The 64-byte signature over `message`."""


class SigningKey:
    """An Ed25519 key held in this process."""

    __slots__ = ("_secret", "public_key")

    def __init__(self, seed: bytes) -> None:
        """`seed`: 32 secret bytes."""
        public, secret = nacl.bindings.crypto_sign_seed_keypair(seed)
        self.public_key = PublicKey(public)
        self._secret = secret

    def sign(self, message: bytes) -> Signature:
        """The 64-byte signature over `message`."""
        return Signature(nacl.bindings.crypto_sign(message, self._secret)[:SIGNATURE_BYTES])

    def unseal(self, sealed: bytes) -> bytes:
        """What somebody sealed to this key (libsodium's sealed box, to its X25519 form).

        Raises `ValueError` for what does not open.
        """
        public = nacl.bindings.crypto_sign_ed25519_pk_to_curve25519(self.public_key)
        secret = nacl.bindings.crypto_sign_ed25519_sk_to_curve25519(self._secret)
        try:
            return bytes(nacl.bindings.crypto_box_seal_open(sealed, public, secret))
        except CryptoError:
            raise ValueError("was sealed to another key, or changed") from None


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is libsodium-valid for `message` under `public_key`. Never raises."""
    if len(public_key) != PUBLIC_KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        nacl.bindings.crypto_sign_open(signature + message, public_key)
    except (BadSignatureError, ValueError):
        return False
    return True
