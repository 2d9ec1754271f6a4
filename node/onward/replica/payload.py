"""Whether a proposal's payload may be voted for.

Three answers. VALID. INVALID: for a reason that every replica finds from the block alone and what
it names. NOT_NOW: for a reason that passes, such as a clock that has not come so far; it is never
remembered, because another replica may see it otherwise and the block may yet be certified.

The cut itself (do I hold its batches, is it within the limits) is judged by the lanes.
"""

from __future__ import annotations

from dataclasses import dataclass

from onward import limits
from onward.consensus.effects import BlockVerdict
from onward.ledger.block import BLOCK_FORMAT, Block
from onward.ledger.genesis import Parameters
from onward.replica.executor import Executor
from onward.replica.succession import Succession


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A verdict with its reason; `again_at_ms` says when the clock will have come far enough."""

    verdict: BlockVerdict
    reason: str
    again_at_ms: int | None = None


VALID = Judgement(verdict=BlockVerdict.VALID, reason="")


class PayloadRules:
    """The rules of one epoch."""

    __slots__ = ("_executor", "_lanes", "_parameters", "_succession")

    def __init__(
        self,
        parameters: Parameters,
        set_hash: bytes,
        lanes: int,
        executor: Executor,
        succession: Succession | None = None,
    ) -> None:
        """`lanes`: how many there are; `set_hash` names the set; without `succession` for ever."""
        self._parameters = parameters
        self._succession = succession or Succession(set_hash, executor)
        self._lanes = lanes
        self._executor = executor

    def judge(self, block: Block, parent: Block, *, first_sight: bool, now_ms: int) -> Judgement:
        """Everything about a proposal but its cut."""
        fault = self._fault(block, parent)
        if fault:
            return Judgement(verdict=BlockVerdict.INVALID, reason=fault)
        known = self._executor.result_at(block.executed.height)
        if known is None:
            return Judgement(
                verdict=BlockVerdict.NOT_NOW,
                reason=f"executed height {block.executed.height} is ahead of this replica",
            )
        if known != block.executed:
            return Judgement(
                verdict=BlockVerdict.INVALID,
                reason=f"claims another result of block {block.executed.height}",
            )
        fault = self._succession.fault(block, parent)
        if fault:
            return Judgement(verdict=BlockVerdict.INVALID, reason=fault)
        if first_sight:
            return self._timely(block, parent, now_ms)
        return VALID

    def _fault(self, block: Block, parent: Block) -> str:
        if block.format != BLOCK_FORMAT:
            return f"block format {block.format}"
        if len(block.cut) != self._lanes:
            return f"cut of {len(block.cut)} lanes, there are {self._lanes}"
        if not parent.executed.height <= block.executed.height < block.height:
            return (
                f"executed height {block.executed.height} is not from {parent.executed.height} "
                f"to {block.height - 1}"
            )
        lag = block.height - block.executed.height
        if block.cut != parent.cut and lag > limits.EXECUTION_LAG_BLOCKS_MAX:
            return f"orders new batches while execution lags by {lag} blocks"
        return ""

    def _timely(self, block: Block, parent: Block, now_ms: int) -> Judgement:
        """Near enough to this clock, or as near as the parent's time allows.

        Where a quorum's clocks were a day ahead, the chain is in tomorrow, and once they are put
        right no child could be timely until tomorrow: the least time that a child may have is taken
        however far ahead it is. It moves the chain on by a millisecond, which no liar gains from.
        """
        ahead = block.time_ms - now_ms
        is_least = block.time_ms == parent.time_ms + 1
        if ahead > self._parameters.future_ms_max and not is_least:
            return Judgement(
                verdict=BlockVerdict.NOT_NOW,
                reason=f"{ahead} ms ahead of this clock",
                again_at_ms=block.time_ms - self._parameters.future_ms_max,
            )
        if -ahead > self._parameters.past_ms_max:
            return Judgement(verdict=BlockVerdict.NOT_NOW, reason=f"{-ahead} ms behind this clock")
        return VALID
