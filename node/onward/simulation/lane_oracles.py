"""Oracles of lanes: a block orders no more than it may, and what is acknowledged can be ordered.

A block without limits is agreed on, executed and stored by everybody alike: no other oracle would
see it, and a validator with less memory than the rest would be the first to know. A validator that
acknowledges a branch on which no block can build any more looks well, and orders nothing of that
lane again.
"""

from __future__ import annotations

from dataclasses import dataclass

from onward import limits
from onward.consensus.links import size_of
from onward.consensus.messages import Packet
from onward.ledger.block import LANE_START, Batch, Block, Cut, LanePoint, batch_head
from onward.ledger.chain import StoredBlock
from onward.ledger.store import BLOCK
from onward.replica.effects import Commit, Effects
from onward.simulation.oracles import Violation
from onward_proto.canonical import decode


@dataclass(frozen=True, slots=True)
class _Held:
    """What is remembered of a batch that some honest validator stored."""

    previous: LanePoint
    size_bytes: int


class LaneOracles:
    """The batches of one network: what was stored, ordered and acknowledged."""

    def __init__(self, chain_id: bytes) -> None:
        """`chain_id` is part of a batch's head."""
        self._chain_id = chain_id
        self._stored: set[bytes] = set()  # batches, by signature: a head costs hashing
        self._held: dict[bytes, _Held] = {}  # by head
        self._blocks: list[Block] = []  # by height - 1
        self.most = dict.fromkeys(("growth", "ahead", "lag", "bytes", "bodies"), 0)

    def on_effects(self, host: str, effects: Effects) -> None:
        """A step of the honest `host`: what it stores, executes and tells others."""
        for record in effects.persist:
            if isinstance(record, Batch) and record.signature not in self._stored:
                self._hold(record)
        if effects.commit is not None and effects.commit.height == len(self._blocks) + 1:
            self._judge_block(effects.commit)
        for outbound in effects.send:
            if isinstance(outbound.message, Packet):
                self._judge_tips(host, outbound.message)

    def _hold(self, batch: Batch) -> None:
        self._stored.add(batch.signature)
        previous = LanePoint(seq=batch.seq - 1, head=batch.previous)
        self._held[batch_head(self._chain_id, batch)] = _Held(previous, size_of(batch))

    # -- what a block orders -----------------------------------------------------------------------

    def _judge_block(self, commit: Commit) -> None:
        """The first to execute a height is looked at; the others agree, or are seen elsewhere."""
        block = _block_of(commit)
        start, executed = self._cut_at(block.height - 1, block), self._executed_cut(block)
        self._blocks.append(block)
        for lane, point in enumerate(block.cut):
            grown = point.seq - start[lane].seq
            if grown == 0 and point != start[lane]:
                raise Violation("cut limits", f"block {block.height}, lane {lane}: another head")
            self._measure(block, "growth", grown, limits.LANE_BATCHES_PER_BLOCK_MAX)
            if grown:
                ahead = point.seq - executed[lane].seq
                self._measure(block, "ahead", ahead, limits.LANE_AHEAD_OF_EXECUTED_MAX)
        if block.cut != start:
            lag = block.height - block.executed.height
            self._measure(block, "lag", lag, limits.EXECUTION_LAG_BLOCKS_MAX)
        held = (self._held.get(head) for head in commit.batch_heads)
        size = sum(item.size_bytes for item in held if item is not None)
        self._measure(block, "bytes", size, limits.BLOCK_BYTES_MAX)
        self._measure(block, "bodies", len(commit.verdicts), limits.BLOCK_BODIES_MAX)

    def _measure(self, block: Block, what: str, found: int, most: int) -> None:
        self.most[what] = max(self.most[what], found)
        if found > most:
            raise Violation("cut limits", f"block {block.height}: {what} {found}, at most {most}")

    def _executed_cut(self, block: Block) -> Cut:
        return self._cut_at(block.executed.height, block)

    def _cut_at(self, height: int, block: Block) -> Cut:
        """The cut of an earlier block as the epoch of `block` sees it: lanes begin with it."""
        earlier = self._blocks[height - 1] if height > 0 else None
        is_same = earlier is not None and earlier.epoch == block.epoch
        return earlier.cut if earlier is not None and is_same else (LANE_START,) * len(block.cut)

    # -- what a validator acknowledges -------------------------------------------------------------

    def _judge_tips(self, host: str, packet: Packet) -> None:
        """Every tip is the end of a chain of stored batches that begins where delivery ended.

        `packet.height` may be ahead of all execution; then a later packet is looked at.
        """
        if packet.height > len(self._blocks):
            return
        delivered = self._blocks[packet.height - 1] if packet.height > 0 else None
        is_same = delivered is not None and delivered.epoch == packet.epoch
        floor = delivered.cut if delivered is not None and is_same else ()
        for lane, tip in enumerate(packet.tips):
            start = floor[lane] if floor else LANE_START
            point = tip
            while point.seq > start.seq:
                held = self._held.get(point.head)
                if held is None:
                    raise Violation("tips", f"{host} tells lane {lane}:{point.seq}, stored nowhere")
                seq = held.previous.seq + 1
                if point.seq != seq:
                    raise Violation(
                        "tips", f"{host} tells lane {lane}:{point.seq}, the head of batch {seq}"
                    )
                point = held.previous
            if point != start:
                raise Violation(
                    "tips",
                    f"{host} tells lane {lane}:{tip.seq}, not on the branch of block "
                    f"{packet.height} at {start.seq}",
                )


def _block_of(commit: Commit) -> Block:
    for key, value in commit.writes.entries:
        if key.startswith(BLOCK) and value is not None:
            return decode(StoredBlock, value).block
    raise Violation("commit", f"height {commit.height} commits no block")
