"""A leader that names a wrong result of execution: another log after the block it says."""

from __future__ import annotations

from dataclasses import replace

from onward.ledger.block import Block
from onward.simulation.byzantine.recast import Recaster


class Misreporter(Recaster):
    """Gives the executed height another log root, another size, or the result of another height."""

    counted = "lie.wrong_result"

    def lie(self, block: Block) -> Block | None:
        """What no honest validator that has executed that height accepts."""
        rng, executed = self.kit.rng, block.executed
        if rng.random() < 0.3:
            return None
        match rng.randrange(3):
            case 0:
                wrong = replace(executed, log_root=rng.randbytes(32))
            case 1:
                wrong = replace(executed, log_size=executed.log_size + 1)
            case _:
                wrong = replace(executed, height=executed.height + rng.choice((1, 40)))
        return replace(block, executed=wrong)
