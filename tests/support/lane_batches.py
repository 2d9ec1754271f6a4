"""Lanes and signed batches for tests of the lanes alone."""

from __future__ import annotations

from dataclasses import replace

from tests.support.consensus_world import CHAIN_ID, CheapSigner, lanes_config, validator_set

from onward import limits
from onward.consensus.effects import CheckBatch, LaneEffect
from onward.consensus.lanes import Lanes
from onward.ledger.block import (
    LANE_START,
    Batch,
    Cut,
    LanePoint,
    batch_head,
    batch_signed_bytes,
)
from onward.types import ValidatorIndex

SIZE = 4
VALIDATORS = validator_set(SIZE)
ZERO: Cut = (LANE_START,) * SIZE
LIMIT = limits.LANE_BATCHES_PER_BLOCK_MAX


def lanes_of(me: int) -> Lanes:
    return Lanes(lanes_config(VALIDATORS, me), ZERO)


def signed(author: int, seq: int, previous: bytes, content: bytes = b"tx") -> Batch:
    draft = Batch(
        author=author,
        epoch=0,
        seq=seq,
        previous=previous,
        envelopes=(content,),
        signature=bytes(64),
    )
    message = batch_signed_bytes(batch_head(CHAIN_ID, draft))
    return replace(draft, signature=CheapSigner(VALIDATORS.public_key(author)).sign(message))


def head_of(batch: Batch) -> bytes:
    return batch_head(CHAIN_ID, batch)


def chain(author: int, length: int, content: bytes = b"tx") -> list[Batch]:
    batches: list[Batch] = []
    for seq in range(1, length + 1):
        previous = head_of(batches[-1]) if batches else LANE_START.head
        batches.append(signed(author, seq, previous, content + b"%d" % seq))
    return batches


def give(lanes: Lanes, batch: Batch, bodies: int | None = 1) -> tuple[LaneEffect, ...]:
    effects = lanes.on_batch(ValidatorIndex(batch.author), batch)
    for effect in effects:
        if isinstance(effect, CheckBatch):
            effects += lanes.on_checked(effect.head, bodies)
    return effects


def point(batch: Batch) -> LanePoint:
    return LanePoint(seq=batch.seq, head=head_of(batch))


def cut_with(author: int, end: LanePoint) -> Cut:
    return tuple(end if lane == author else LANE_START for lane in range(SIZE))


def all_claim(lanes: Lanes, tips: Cut) -> None:
    for peer in range(SIZE):
        lanes.on_tips(ValidatorIndex(peer), tips)
