"""Proposals: when to make one, and what to answer to the core about others'."""

from __future__ import annotations

from dataclasses import dataclass

from onward import limits
from onward.consensus.config import Payload
from onward.consensus.effects import BlockVerdict, Build, Validate
from onward.consensus.lanes import Lanes
from onward.consensus.links import InvalidCut
from onward.errors import unreachable
from onward.ledger.block import Block, Cut, Executed
from onward.ledger.genesis import Parameters
from onward.replica.checkpoints import Checkpoints
from onward.replica.executor import Executor
from onward.replica.payload import VALID, PayloadRules
from onward.replica.succession import Succession
from onward.types import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer to the core about a block; `again_ms` goes with NOT_NOW."""

    digest: Digest
    verdict: BlockVerdict
    reason: str
    again_ms: int | None = None


class Proposals:
    """The open question of the core to build, and its open questions about blocks."""

    __slots__ = (
        "_asked_ms",
        "_build",
        "_checkpoints",
        "_executor",
        "_lanes",
        "_open",
        "_parameters",
        "_rules",
        "_succession",
    )

    def __init__(
        self,
        parameters: Parameters,
        succession: Succession,
        *,
        lanes: Lanes,
        executor: Executor,
        checkpoints: Checkpoints,
    ) -> None:
        """`succession`: what blocks must say of the set that follows."""
        self._parameters = parameters
        self._succession = succession
        self._lanes = lanes
        self._executor = executor
        self._checkpoints = checkpoints
        self._rules = PayloadRules(
            parameters, succession.set_id, len(lanes.tips), executor, succession
        )
        self._build: Build | None = None
        self._asked_ms = 0
        self._open: dict[Digest, Validate] = {}

    # -- our own ---------------------------------------------------------------------------------

    def ask_build(self, build: Build, now_ms: int) -> None:
        """The core wants a proposal; an earlier wish is void."""
        self._build = build
        self._asked_ms = now_ms

    def build(self, view: int, now_ms: int) -> tuple[Build, Payload] | None:
        """The proposal for `view`, if one is wanted and it is time for it."""
        build = self._build
        if build is None or build.view != view:
            self._build = None
            return None
        parent = build.parent_block
        executed = self._executed(parent)
        cut = self._cut(parent, executed)
        if now_ms < self._due_ms(parent, cut):
            return None
        self._build = None
        last, next_set = self._succession.demanded(parent, executed.height)
        payload = Payload(
            time_ms=max(parent.time_ms + 1, now_ms),
            cut=cut,
            executed=executed,
            last=last,
            next_set_hash=next_set,
        )
        return build, payload

    def build_at_ms(self) -> int | None:
        """When to look again whether a proposal is due; None while none is wanted."""
        build = self._build
        if build is None:
            return None
        parent = build.parent_block
        return self._due_ms(parent, self._cut(parent, self._executed(parent)))

    def _due_ms(self, parent: Block, cut: Cut) -> int:
        """Under load blocks are paced, on an idle network the first work goes at once.

        Every block costs each validator a round of messages, syncs and looks at the rules. The more
        there is to order, the longer a leader gathers it, so that this stays a small part.
        """
        if cut == parent.cut:
            # The end of an epoch is work, too: the change waits for it.
            executed = self._executed(parent).height
            ends = self._succession.demanded(parent, executed)[1] != self._succession.set_id
            wait_ms = self._parameters.propose_age_ms if ends else self._parameters.heartbeat_ms
        else:
            gathered_ms = limits.PACE_MS_PER_BODY * self._lanes.bodies_between(parent.cut, cut)
            wait_ms = self._parameters.propose_age_ms + min(gathered_ms, limits.PACE_MS_MAX)
        return min(parent.time_ms, self._asked_ms) + wait_ms

    def _executed(self, parent: Block) -> Executed:
        best = self._checkpoints.best
        return best if best.height > parent.executed.height else parent.executed

    def _cut(self, parent: Block, executed: Executed) -> Cut:
        lag = parent.height + 1 - executed.height
        if lag > limits.EXECUTION_LAG_BLOCKS_MAX or not self._succession.may_order(parent):
            return parent.cut
        known = self._executor.cut_at(executed.height)
        return (
            parent.cut if known is None else self._lanes.make_cut(parent.cut, known, parent.height)
        )

    # -- others' ---------------------------------------------------------------------------------

    def ask_verdict(self, question: Validate) -> None:
        """The core wants to know whether a block's payload is valid."""
        self._open[question.digest] = question

    def forget(self, height: int) -> None:
        """Blocks at or below `height` are settled."""
        self._open = {
            digest: item for digest, item in self._open.items() if item.block.height > height
        }

    def replies(self, view: int, now_ms: int) -> tuple[tuple[Reply, ...], tuple[Digest, ...]]:
        """The questions that can be answered now, and the heads that the others wait for.

        A mere proposal of another view than `view` is of no interest any more; should a quorum have
        accepted it, the core asks again. The heads that accepted blocks name come first: f + 1
        honest validators hold them, while a proposal may name what nobody holds.
        """
        self._open = {
            digest: item
            for digest, item in self._open.items()
            if item.block.view == view or not item.first_sight
        }
        answered: list[Reply] = []
        lacking: dict[Digest, None] = {}
        for digest, question in sorted(self._open.items(), key=lambda item: item[1].first_sight):
            reply = self._reply(question, now_ms, lacking)
            if reply is not None:
                answered.append(reply)
                del self._open[digest]
        return tuple(answered), tuple(lacking)

    def _reply(self, question: Validate, now_ms: int, lacking: dict[Digest, None]) -> Reply | None:
        block, parent = question.block, question.parent
        if question.is_final:
            # A quorum judged it: only its batches are needed, its result is compared when it is
            # executed here.
            judged = VALID
        else:
            judged = self._rules.judge(
                block, parent, first_sight=question.first_sight, now_ms=now_ms
            )
        verdict, reason = judged.verdict, judged.reason
        if verdict is BlockVerdict.VALID:
            try:
                missing = self._missing(question)
            except InvalidCut as fault:
                verdict, reason = BlockVerdict.INVALID, str(fault)
            else:
                if missing:
                    lacking.update(dict.fromkeys(missing))
                    return None
        return Reply(
            digest=question.digest, verdict=verdict, reason=reason, again_ms=judged.again_at_ms
        )

    def _missing(self, question: Validate) -> tuple[Digest, ...]:
        """The heads that must come before the block can be accepted. Raises `InvalidCut`."""
        block, parent = question.block, question.parent
        if question.is_final:
            return self._lanes.lacks_final(parent.cut, block.cut)
        executed = self._executor.cut_at(block.executed.height)
        if executed is None:
            unreachable(f"block {block.height} was judged without the result that it names")
        return self._lanes.lacks(parent.cut, block.cut, executed)
