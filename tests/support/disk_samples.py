"""Small blocks, votes, batches and effects for tests of the disk."""

from __future__ import annotations

from onward.consensus.journal import Floor
from onward.consensus.messages import Certificate, IndexedSignature, Vote, VoteKind
from onward.ledger.block import LANE_START, Batch, Block, Executed, batch_head, block_digest
from onward.ledger.chain import StoredBlock, Tip
from onward.ledger.store import TIP_KEY, WriteBatch, block_key
from onward.replica.effects import Commit
from onward.types import Digest
from onward_proto.canonical import encode

CHAIN = bytes(range(32))
OTHER_CHAIN = bytes(32)
GENESIS = WriteBatch(entries=((b"s/genesis", b"yes"),))
LANES = 4


def vote(view: int, kind: VoteKind = VoteKind.NOTARIZE) -> Vote:
    """A vote of validator 0; its signature is not one."""
    return Vote(kind=kind, view=view, digest=b"\x07" * 32, signer=0, signature=b"\x01" * 64)


def block(height: int) -> Block:
    """A block at `height`, proposed in the view of the same number."""
    return Block(
        format=1,
        epoch=0,
        view=height,
        height=height,
        parent_view=max(0, height - 1),
        parent=CHAIN,
        time_ms=1_000 + height,
        cut=(LANE_START,) * LANES,
        executed=Executed(height=0, log_size=0, log_root=bytes(32)),
        last=False,
        next_set_hash=bytes(32),
    )


def final(height: int) -> Certificate:
    """A finalization of `block(height)`."""
    return Certificate(
        kind=VoteKind.FINALIZE,
        view=height,
        digest=block_digest(block(height)),
        signatures=tuple(IndexedSignature(signer=i, signature=bytes(64)) for i in range(3)),
    )


def floor(height: int) -> Floor:
    """What a journal segment begins with after `height` was delivered."""
    return Floor(root=block(height), final=final(height))


def batch(author: int, seq: int, size: int = 100) -> Batch:
    """A batch with one envelope of `size` bytes."""
    return Batch(
        author=author,
        epoch=0,
        seq=seq,
        previous=bytes(32),
        envelopes=(bytes([author, seq % 256]) * (size // 2),),
        signature=bytes(64),
    )


def head(value: Batch) -> Digest:
    """The head of a batch on `CHAIN`."""
    return batch_head(CHAIN, value)


def commit(height: int, *batches: Batch, finalized: bool = True) -> Commit:
    """The commit of `block(height)`, which delivers `batches`."""
    heads = tuple(head(value) for value in batches)
    stored = StoredBlock(
        block=block(height),
        final=encode(final(height)) if finalized else b"",
        batch_heads=heads,
        first_leaf=0,
        log_size=0,
        log_root=bytes(32),
        state_root=bytes(32),
        void_count=0,
        record=b"",
    )
    tip = Tip(
        height=height,
        digest=block_digest(block(height)),
        time_ms=1_000 + height,
        state_map=bytes(40),
        frontier=b"",
    )
    entries = {block_key(height): encode(stored), TIP_KEY: encode(tip), b"s/x%d" % height: b"y"}
    return Commit(
        height=height,
        time_ms=1_000 + height,
        state_root=Digest(bytes(32)),
        writes=WriteBatch(entries=tuple(sorted(entries.items()))),
        batch_heads=heads,
        verdicts=(),
    )
