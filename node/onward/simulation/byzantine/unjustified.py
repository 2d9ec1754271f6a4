"""A leader that builds where it may not: past a notarized block, in the air, at a wrong height."""

from __future__ import annotations

from dataclasses import replace

from onward.ledger.block import Block
from onward.simulation.byzantine.recast import Recaster


class Unjustified(Recaster):
    """Proposes blocks for which no ticket exists, or whose header contradicts itself."""

    counted = "lie.unjustified_proposal"

    def lie(self, block: Block) -> Block | None:
        """Mostly a child of its grandparent: the fork that rule J is there to prevent."""
        rng, parent = self.kit.rng, self.heard.get(block.parent)
        match rng.randrange(5):
            case 0 | 1 | 2 if parent is not None and parent.height > 0:
                return replace(
                    block,
                    parent=parent.parent,
                    parent_view=parent.parent_view,
                    height=parent.height,
                    cut=parent.cut,
                )
            case 3:
                return replace(block, height=block.height + rng.choice((1, 7)))
            case 4:
                return replace(block, parent=rng.randbytes(32))
            case _:
                return None
