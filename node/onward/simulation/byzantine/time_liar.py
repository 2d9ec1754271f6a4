"""A leader whose blocks claim another time: at the edge of what voters take, and beyond it."""

from __future__ import annotations

from dataclasses import replace

from onward.ledger.block import Block
from onward.ledger.genesis import Parameters
from onward.simulation.byzantine.recast import Recaster

_DAY_MS = 24 * 3_600_000
_FUTURE_MS = Parameters().future_ms_max
_PAST_MS = Parameters().past_ms_max
_OFF_MS = (
    _FUTURE_MS,  # as far as it may
    _FUTURE_MS + 1,
    _FUTURE_MS + 700,  # voters hold their vote until the clock has come, within the view
    _FUTURE_MS + 20_000,
    _DAY_MS,
    1 - _PAST_MS,
    -_PAST_MS - 1,
    -_DAY_MS,
)


class TimeLiar(Recaster):
    """Moves each proposal's time by something else."""

    counted = "lie.block_time"

    def lie(self, block: Block) -> Block | None:
        """The same block at another time."""
        return replace(block, time_ms=block.time_ms + self.kit.rng.choice(_OFF_MS))
