"""Signatures for a world without adversaries of cryptography: quick to make and quick to check.

A signature is a BLAKE2b of the message keyed with the public key. Anyone could forge one, and no
liar of this world does: what a liar may sign is what it holds the key of. The replicas see the same
ports as ever.
"""

from __future__ import annotations

from hashlib import blake2b

from onward.types import PublicKey, Signature


class KeyedSigner:
    """The key of one validator, party or client."""

    __slots__ = ("public_key",)

    def __init__(self, name: str) -> None:
        """`name` decides the key."""
        self.public_key = PublicKey(blake2b(name.encode(), digest_size=32).digest())

    def sign(self, message: bytes) -> Signature:
        """The 64-byte signature over `message`."""
        return Signature(blake2b(message, digest_size=64, key=self.public_key).digest())


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is that of `public_key` over `message`. Never raises."""
    return (
        len(public_key) == 32
        and blake2b(message, digest_size=64, key=public_key).digest() == signature
    )
