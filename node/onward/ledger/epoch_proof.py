"""Epoch proofs: how trust in the genesis' validators passes on to those of a later epoch.

A proof is text in four parts, with an empty line between them::

    onward/epoch/1
    validator <name> <organisation in base64> <key in base64>     one line each, in the set's order
    leaf <base64>                       the leaf of the epoch's last block, which names this set

    c2sp.org/tlog-proof@v1              from here on: a C2SP tlog-proof, as any C2SP tool reads it
    index 73894
    <base64>                            inclusion hashes of the leaf, its sibling first

    <the checkpoint's three lines>      of the log right after this leaf: its size is index + 1

    — <name> <base64>                   one line for each validator of the ended epoch that signed

The proofs of epochs 0, 1, 2 … stand one behind the other in a file, with an empty line between.
Here one is put together. What makes one true is checked by `audit.epoch_verifier`.
"""

from __future__ import annotations

from onward.errors import CorruptionError
from onward.ledger.chain import StoredBlock, StoredCheckpoint, read_log_node
from onward.ledger.leaf import BlockLeaf, LeafKind
from onward.ledger.log import inclusion_path
from onward.ledger.note import encode_base64
from onward.ledger.receipt import PROOF_HEADER
from onward.ledger.store import Store
from onward.types import Digest, ValidatorSet
from onward_proto.canonical import encode

EPOCH_HEADER = "onward/epoch/1"


def build_epoch_proof(
    store: Store,
    last: StoredBlock,
    digest: Digest,
    checkpoint: StoredCheckpoint,
    following: ValidatorSet,
) -> bytes:
    """The proof that `last` (of this digest) ended its epoch and named the set `following`.

    `checkpoint`: the certified one of the log right after it.
    """
    block, index = last.block, last.log_size - 1
    if checkpoint.executed.log_size != last.log_size or not block.last:
        raise CorruptionError(f"block {block.height} ends no epoch, or has another checkpoint")
    leaf = BlockLeaf(
        kind=LeafKind.BLOCK,
        height=block.height,
        block_digest=digest,
        time_ms=block.time_ms,
        state_root=last.state_root,
        epoch=block.epoch,
        next_set_hash=block.next_set_hash,
    )
    path = inclusion_path(
        lambda level, place: read_log_node(store, level, place), index, last.log_size
    )
    lines = [EPOCH_HEADER]
    lines += [
        f"validator {item.name} {encode_base64(item.organisation.encode())} "
        f"{encode_base64(item.public_key)}"
        for item in following.members
    ]
    lines += [f"leaf {encode_base64(encode(leaf))}", "", PROOF_HEADER, f"index {index}"]
    lines += [encode_base64(item) for item in path]
    lines += ["", ""]
    return "\n".join(lines).encode() + checkpoint.note


def join_epoch_proofs(proofs: tuple[bytes, ...]) -> bytes:
    """The file of the proofs of all epochs from the first on, in their order."""
    return b"\n".join(proofs)
