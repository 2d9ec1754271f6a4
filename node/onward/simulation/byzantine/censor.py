"""A leader that leaves one honest validator's lane out of everything that it proposes.

No rule forbids that: which batches a leader knew of cannot be proved. The others take the lane in.
"""

from __future__ import annotations

from dataclasses import replace

from onward.ledger.block import Block
from onward.simulation.byzantine.liar import LiarKit
from onward.simulation.byzantine.recast import Recaster


class Censor(Recaster):
    """Proposes its parent's place in the victim's lane, however far that lane has come."""

    counted = "lie.lane_left_out"

    def __init__(self, kit: LiarKit) -> None:
        """The victim is drawn, once."""
        super().__init__(kit)
        self.victim = kit.rng.choice([peer for peer in range(kit.size) if peer != kit.index])

    def lie(self, block: Block) -> Block | None:
        """The same block without the victim's new batches."""
        parent = self.heard.get(block.parent)
        if parent is None or self.victim >= min(len(parent.cut), len(block.cut)):
            return None
        if parent.cut[self.victim] == block.cut[self.victim]:
            return None
        cut = list(block.cut)
        cut[self.victim] = parent.cut[self.victim]
        return replace(block, cut=tuple(cut))
