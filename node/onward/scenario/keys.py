"""Keys of a scenario: each is derived from its party's name, so that every run has the same ones.

They are known to everybody who reads this file. No network may register them.
"""

from __future__ import annotations

from hashlib import sha256

from onward.crypto.signing import SigningKey
from onward.system.parties import PartyKind, pseudonym_of


def signing_key(party: str, number: int = 1) -> SigningKey:
    """The `number`-th key (from 1) of the party with this name."""
    return SigningKey(sha256(f"onward/scenario/key/1/{number}/{party}".encode()).digest())


def public_key(party: str, number: int = 1) -> bytes:
    """The public half of `signing_key`."""
    return signing_key(party, number).public_key


def party_id_of(name: str, kind: str) -> str:
    """A person's pseudonym, derived from her first key; everybody else's id is the name."""
    return pseudonym_of(public_key(name)) if kind == PartyKind.PERSON else name


def salt_of(step: str) -> bytes:
    """The 16 salt bytes of the body that the step with this name makes."""
    return sha256(b"onward/scenario/salt/1/" + step.encode()).digest()[:16]


def label_hash(kind: str, label: str) -> bytes:
    """The 32 bytes that stand for a commitment, notice or blob which the scenario only names."""
    return sha256(f"onward/scenario/{kind}/1/{label}".encode()).digest()
