"""The values that every room shares: ids, places in the chain, and the set of validators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType

Digest = NewType("Digest", bytes)
"""32 bytes of SHA-256."""

PublicKey = NewType("PublicKey", bytes)
"""32 bytes, an Ed25519 public key."""

Signature = NewType("Signature", bytes)
"""64 bytes, an Ed25519 signature."""

Epoch = NewType("Epoch", int)
"""Number of the validator set, from 0."""

View = NewType("View", int)
"""One leader's attempt, from 1 in each epoch; 0 is the epoch's root."""

Height = NewType("Height", int)
"""A block's place in the chain, from 1; 0 is the genesis."""

ValidatorIndex = NewType("ValidatorIndex", int)
"""A validator's place in its set, from 0. It is also its lane."""

PartyId = NewType("PartyId", str)
"""A party's name on the chain."""

NIL = Digest(bytes(32))
"""The digest of nothing: what a NULLIFY vote names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Validator:
    """One member of the validator set."""

    name: str
    organisation: str
    public_key: PublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatorSet:
    """The validators of one epoch in the order that gives each its index (1 to 25 of them)."""

    epoch: Epoch
    members: tuple[Validator, ...]

    @property
    def size(self) -> int:
        """n, how many validators there are."""
        return len(self.members)

    @property
    def quorum(self) -> int:
        """Q = n - f with f = (n - 1) // 3: any two quorums share an honest validator."""
        return quorum_of(self.size)

    def public_key(self, index: int) -> PublicKey:
        """The key of the validator at `index` (0 to n - 1)."""
        return self.members[index].public_key

    def index_of(self, key: bytes) -> ValidatorIndex | None:
        """The place of the validator with this key, or None for a stranger."""
        for index, member in enumerate(self.members):
            if member.public_key == key:
                return ValidatorIndex(index)
        return None


def quorum_of(size: int) -> int:
    """The quorum of a set of `size` validators: `size - (size - 1) // 3`."""
    return size - (size - 1) // 3
