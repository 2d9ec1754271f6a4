"""Proofs of epochs as a file, made with keys at hand and a log of nothing but last blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from onward.crypto.signing import SigningKey
from onward.ledger.block import set_hash
from onward.ledger.epoch_proof import EPOCH_HEADER, join_epoch_proofs
from onward.ledger.genesis import Genesis
from onward.ledger.leaf import BlockLeaf, LeafKind
from onward.ledger.note import (
    Checkpoint,
    NoteKey,
    SignedNote,
    encode_base64,
    note_signature,
    validator_key_name,
)
from onward.ledger.receipt import PROOF_HEADER
from onward.types import Epoch, Validator, ValidatorSet
from onward_proto.canonical import encode


@dataclass(frozen=True)
class Seat:
    """A validator and its key."""

    name: str
    key: SigningKey

    @property
    def member(self) -> Validator:
        return Validator(
            name=self.name, organisation=f"org-{self.name}", public_key=self.key.public_key
        )


def seat(name: str) -> Seat:
    """A newcomer of this name."""
    return Seat(name=name, key=SigningKey(sha256(f"seat {name}".encode()).digest()))


def set_of(epoch: int, seats: Sequence[Seat]) -> ValidatorSet:
    """These validators as those of an epoch."""
    return ValidatorSet(epoch=Epoch(epoch), members=tuple(item.member for item in seats))


def proof_of(
    genesis: Genesis,
    signers: Sequence[Seat],
    following: Sequence[Seat],
    *,
    epoch: int,
    path: tuple[bytes, ...] = (),
) -> tuple[bytes, bytes]:
    """The proof that an epoch ended, and its leaf's hash; `path`: the hashes of earlier leaves."""
    leaf = encode(
        BlockLeaf(
            kind=LeafKind.BLOCK,
            height=epoch + 1,
            block_digest=bytes(32),
            time_ms=genesis.time_ms + epoch + 1,
            state_root=bytes(32),
            epoch=epoch,
            next_set_hash=set_hash(set_of(epoch + 1, following)),
        )
    )
    hashed = root = sha256(b"\x00" + leaf).digest()
    for sibling in path:
        root = sha256(b"\x01" + sibling + root).digest()
    text = Checkpoint(origin=genesis.origin, size=epoch + 1, root=root).text()
    notes = tuple(
        note_signature(
            NoteKey(
                name=validator_key_name(item.name, genesis.network), public_key=item.key.public_key
            ),
            item.key.sign(text),
        )
        for item in signers
    )
    lines = [EPOCH_HEADER]
    lines += [
        f"validator {item.name} {encode_base64(item.organisation.encode())} "
        f"{encode_base64(item.public_key)}"
        for item in set_of(0, following).members
    ]
    lines += [f"leaf {encode_base64(leaf)}", "", PROOF_HEADER, f"index {epoch}"]
    lines += [*map(encode_base64, path), "", ""]
    return "\n".join(lines).encode() + SignedNote(text=text, signatures=notes).encode(), hashed


def two_epochs(genesis: Genesis, sets: Sequence[Sequence[Seat]]) -> tuple[bytes, bytes]:
    """The proofs that the epochs of the first two sets have ended, each by its own quorum."""
    first, hashed = proof_of(genesis, sets[0][:3], sets[1], epoch=0)
    second, _ = proof_of(genesis, sets[1][:3], sets[2], epoch=1, path=(hashed,))
    return first, second


def joined(*proofs: bytes) -> bytes:
    """The file of these proofs."""
    return join_epoch_proofs(proofs)
