"""How one epoch ends and the next one begins.

A block that says `last` ends its epoch. Blocks behind it are *fillers*: they order nothing, carry
the votes that finalize it or one of themselves, and are never delivered. So every validator ends
the epoch at the same block, whichever finalization it saw: of two finalized blocks one is an
ancestor of the other, and only the first `last` block of a branch counts.

The next epoch begins with that block as its root, in view 0 and certified by nothing: the votes of
another epoch say nothing in this one. Lanes begin anew.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from onward import limits
from onward.consensus.messages import Certificate, VoteKind
from onward.errors import invariant
from onward.ledger.block import LANE_START, Block, set_hash
from onward.types import ValidatorSet
from onward_proto.canonical import nested, uint


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochEnd:
    """What proves an epoch's last block final: it, or the last of its fillers, is finalized."""

    height: Annotated[int, uint(1, maximum=2**53 - 1)]  # of the last block
    fillers: Annotated[tuple[Block, ...], nested(2, Block, count=limits.CHAIN_PAGE_LINKS_MAX)]
    final: Annotated[Certificate, nested(3, Certificate)]


def part_at_last(blocks: tuple[Block, ...]) -> tuple[tuple[Block, ...], tuple[Block, ...]]:
    """A branch of one epoch in two: what is delivered, and the fillers behind it."""
    for place, block in enumerate(blocks, start=1):
        if block.last:
            return blocks[:place], blocks[place:]
    return blocks, ()


def end_at(last: Block, fillers: tuple[Block, ...], final: Certificate) -> EpochEnd:
    """The proof that `last` ends its epoch."""
    return EpochEnd(height=last.height, fillers=fillers, final=final)


def is_closing(block: Block, set_id: bytes) -> bool:
    """Whether a block is the last one of the epoch of the set `set_id`, or a filler behind it.

    Both name the set that follows. The root of the epoch names the epoch's own.
    """
    return block.next_set_hash != set_id


def epoch_root(last: Block, validators: ValidatorSet) -> Block:
    """The last block of an epoch as the root of the next one, whose validators are these."""
    invariant(last.last and last.epoch + 1 == validators.epoch, "an epoch follows a last block")
    invariant(last.next_set_hash == set_hash(validators), "the set that the last block names")
    return replace(
        last,
        epoch=validators.epoch,
        view=0,
        parent_view=0,
        cut=(LANE_START,) * validators.size,
        last=False,
    )


def unsigned_final(block: Block, digest: bytes) -> Certificate:
    """The finalization of a block known to be final through a descendant; it never travels."""
    return Certificate(kind=VoteKind.FINALIZE, view=block.view, digest=digest, signatures=())
