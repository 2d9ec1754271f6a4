"""Blocks: what consensus orders. A block names no transaction; it names how far each lane has come.

`cut` is the place in each validator's lane up to which the block orders: block k delivers the
batches in (parent's cut, cut], lane by lane, so each batch is delivered exactly once whatever was
proposed when. `exec` names the result of executing an ancestor, and so binds execution into the
order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from onward import limits
from onward.crypto.hashing import (
    SIGN_BATCH,
    TAG_BATCH,
    TAG_BATCH_BODY,
    TAG_BLOCK,
    TAG_SET,
    tagged_hash,
)
from onward.types import NIL, Digest, ValidatorSet
from onward_proto.canonical import encode, flag, nested, raw, uint

BLOCK_FORMAT = 1
_U53 = 2**53 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LanePoint:
    """A place in a lane: the sequence number of a batch (0 before the first) and its head."""

    seq: Annotated[int, uint(1, maximum=_U53)]
    head: Annotated[bytes, raw(2, size=32)]


LANE_START = LanePoint(seq=0, head=NIL)
Cut = tuple[LanePoint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed:
    """The log after executing the block at `height`."""

    height: Annotated[int, uint(1, maximum=_U53)]
    log_size: Annotated[int, uint(2, maximum=_U53)]
    log_root: Annotated[bytes, raw(3, size=32)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block is its header; the batches that its cut names travel by themselves."""

    format: Annotated[int, uint(1, maximum=255)]
    epoch: Annotated[int, uint(2, maximum=_U53)]
    view: Annotated[int, uint(3, maximum=_U53)]
    height: Annotated[int, uint(4, maximum=_U53)]
    parent_view: Annotated[int, uint(5, maximum=_U53)]
    parent: Annotated[bytes, raw(6, size=32)]
    time_ms: Annotated[int, uint(7, maximum=_U53)]
    cut: Annotated[Cut, nested(8, LanePoint, count=limits.VALIDATORS_MAX)]
    executed: Annotated[Executed, nested(9, Executed)]
    last: Annotated[bool, flag(10)]
    next_set_hash: Annotated[bytes, raw(11, size=32)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One link of a lane: envelopes that its author vouches for, signed over the head."""

    author: Annotated[int, uint(1, maximum=limits.VALIDATORS_MAX - 1)]
    epoch: Annotated[int, uint(2, maximum=_U53)]
    seq: Annotated[int, uint(3, maximum=_U53)]
    previous: Annotated[bytes, raw(4, size=32)]
    envelopes: Annotated[
        tuple[bytes, ...],
        raw(5, minimum=1, maximum=limits.ENVELOPE_BYTES_MAX, count=limits.BATCH_ENVELOPES_MAX),
    ]
    signature: Annotated[bytes, raw(6, size=64)]


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneStep:
    """What the author of a batch signed, without the envelopes: enough to accuse it of a fork."""

    seq: Annotated[int, uint(1, maximum=_U53)]
    previous: Annotated[bytes, raw(2, size=32)]
    body_hash: Annotated[bytes, raw(3, size=32)]
    signature: Annotated[bytes, raw(4, size=64)]

    @classmethod
    def of(cls, batch: Batch) -> LaneStep:
        """The step that a batch takes."""
        body = encode(_BatchBody(envelopes=batch.envelopes))
        return cls(
            seq=batch.seq,
            previous=batch.previous,
            body_hash=tagged_hash(TAG_BATCH_BODY, body),
            signature=batch.signature,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _BatchBody:
    envelopes: Annotated[
        tuple[bytes, ...],
        raw(1, minimum=1, maximum=limits.ENVELOPE_BYTES_MAX, count=limits.BATCH_ENVELOPES_MAX),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _BatchHead:
    chain_id: Annotated[bytes, raw(1, size=32)]
    epoch: Annotated[int, uint(2)]
    author: Annotated[int, uint(3)]
    seq: Annotated[int, uint(4)]
    previous: Annotated[bytes, raw(5, size=32)]
    body_hash: Annotated[bytes, raw(6, size=32)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _SetMember:
    name: Annotated[bytes, raw(1)]
    organisation: Annotated[bytes, raw(2)]
    public_key: Annotated[bytes, raw(3, size=32)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Set:
    epoch: Annotated[int, uint(1)]
    members: Annotated[tuple[_SetMember, ...], nested(2, _SetMember, count=limits.VALIDATORS_MAX)]


def block_digest(block: Block) -> Digest:
    """The id of a block."""
    return tagged_hash(TAG_BLOCK, encode(block))


def batch_head(chain_id: bytes, batch: Batch) -> Digest:
    """The head of a batch: names it and, through `previous`, every earlier batch of its lane."""
    return head_of(chain_id, LaneStep.of(batch), epoch=batch.epoch, author=batch.author)


def head_of(chain_id: bytes, step: LaneStep, *, epoch: int, author: int) -> Digest:
    """The head of a batch of which only its place and the hash of its content are known."""
    head = _BatchHead(
        chain_id=chain_id,
        epoch=epoch,
        author=author,
        seq=step.seq,
        previous=step.previous,
        body_hash=step.body_hash,
    )
    return tagged_hash(TAG_BATCH, encode(head))


def batch_signed_bytes(head: bytes) -> bytes:
    """What the author of a batch signs. The head binds chain, epoch, author, place and content."""
    return SIGN_BATCH + head


def genesis_block(
    chain_id: bytes, time_ms: int, validators: ValidatorSet, log_root: bytes
) -> Block:
    """The root of the chain: height 0, view 0, the chain id as its parent, nothing delivered."""
    return Block(
        format=BLOCK_FORMAT,
        epoch=validators.epoch,
        view=0,
        height=0,
        parent_view=0,
        parent=chain_id,
        time_ms=time_ms,
        cut=(LANE_START,) * validators.size,
        executed=Executed(height=0, log_size=0, log_root=log_root),
        last=False,
        next_set_hash=set_hash(validators),
    )


def set_hash(validators: ValidatorSet) -> Digest:
    """The id of a validator set, in its order."""
    members = tuple(
        _SetMember(
            name=member.name.encode(),
            organisation=member.organisation.encode(),
            public_key=member.public_key,
        )
        for member in validators.members
    )
    return tagged_hash(TAG_SET, encode(_Set(epoch=validators.epoch, members=members)))
