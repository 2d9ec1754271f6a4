"""The queue between order and result: finalized blocks are executed one by one, in slices."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from onward import limits
from onward.errors import CorruptionError, DivergenceError, invariant
from onward.execution.block import AtHand, BlockExecution, ExecutedBlock, OrderedBlock
from onward.execution.body import ContractFor
from onward.execution.overlay import State, StoredState
from onward.ledger.block import LANE_START, Block, Cut, Executed, set_hash
from onward.ledger.chain import Tip, read_block, read_tip
from onward.ledger.store import Store
from onward.replica.effects import Commit, Verdict
from onward.system.validators import approved_set
from onward.types import Digest, ValidatorSet

BeginBlock = Callable[[Store, Tip, OrderedBlock, ContractFor, AtHand], BlockExecution]
"""How the execution of a block begins. Every node uses `BlockExecution` itself."""


class Executor:
    """Executes delivered blocks behind the votes, and remembers what each height resulted in."""

    __slots__ = (
        "_approved",
        "_at_hand",
        "_begin",
        "_contract_for",
        "_current",
        "_epoch",
        "_queue",
        "_recent",
        "_start_cut",
        "_store",
        "tip",
    )  # fmt: skip

    def __init__(
        self, store: Store, contract_for: ContractFor, begin: BeginBlock = BlockExecution
    ) -> None:
        """Begins at the store's tip. Raises `CorruptionError` for a store without a chain."""
        tip = read_tip(store)
        if tip is None:
            raise CorruptionError("the database holds no chain, not even a genesis")
        self.tip: Tip = tip
        self._store = store
        self._contract_for = contract_for
        self._begin = begin
        self._at_hand = AtHand(store)
        self._queue: deque[OrderedBlock] = deque()
        self._recent: dict[int, tuple[Executed, Cut, int]] = {}
        self._approved: tuple[ValidatorSet, int] | None = None
        self._epoch = 0
        self._start_cut: Cut = ()
        self._current: tuple[OrderedBlock, BlockExecution] | None = None

    def enter_epoch(self, epoch: int, lanes: int) -> None:
        """Blocks of this epoch come; to it, what was executed before had ordered nothing."""
        self._epoch, self._start_cut = epoch, (LANE_START,) * lanes
        self._approved = approved_set(StoredState(self._store), epoch + 1)

    @property
    def approval(self) -> tuple[bytes, int] | None:
        """The id of the set that follows this epoch's, and when it was approved, if it was."""
        return None if self._approved is None else (set_hash(self._approved[0]), self._approved[1])

    @property
    def height(self) -> int:
        """The last executed height."""
        return self.tip.height

    @property
    def state(self) -> State:
        """The executed state, with what was used of late at hand."""
        return self._at_hand.state

    def is_new(self, tx_hash: bytes) -> bool:
        """Whether certainly no executed block gave a verdict on a transaction."""
        return self._at_hand.is_new(tx_hash, self.tip)

    @property
    def backlog(self) -> int:
        """How many delivered blocks are not yet executed."""
        return len(self._queue) + (self._current is not None)

    def push(self, ordered: OrderedBlock) -> None:
        """Take a delivered block in; one that is executed already must be the same block."""
        if ordered.block.height <= self.tip.height:
            stored = read_block(self._store, ordered.block.height)
            invariant(
                stored is not None and stored.block == ordered.block,
                f"block {ordered.block.height} was executed with another content",
            )
            return
        self._queue.append(ordered)

    def run(self) -> tuple[OrderedBlock, ExecutedBlock] | None:
        """Execute one slice; answers the block that it completed.

        The caller hands the result's writes to the store before the next call.
        """
        if self._current is None:
            if not self._queue:
                return None
            ordered = self._queue.popleft()
            work = self._begin(self._store, self.tip, ordered, self._contract_for, self._at_hand)
            self._current = ordered, work
        ordered, work = self._current
        if not work.run(limits.EXECUTION_SLICE_BODIES):
            return None
        self._current = None
        result = work.finish()
        self._at_hand.settle(work.writes, result.tip)
        if self._approved is None:
            self._approved = approved_set(work.writes, self._epoch + 1)
        self.tip = result.tip
        executed = Executed(
            height=self.tip.height, log_size=result.log_size, log_root=result.log_root
        )
        self._remember(executed, ordered.block)
        return ordered, result

    def result_at(self, height: int) -> Executed | None:
        """What executing the block at `height` resulted in; None above the tip."""
        found = self._past(height)
        return None if found is None else found[0]

    def cut_at(self, height: int) -> Cut | None:
        """The cut of the executed block at `height`; None above the tip."""
        found = self._past(height)
        return None if found is None else found[1]

    def time_at(self, height: int) -> int | None:
        """The time of the executed block at `height`; None above the tip."""
        found = self._past(height)
        return None if found is None else found[2]

    def _past(self, height: int) -> tuple[Executed, Cut, int] | None:
        found = self._recent.get(height)
        if found is None and height <= self.tip.height:
            stored = read_block(self._store, height)
            if stored is not None:
                result = Executed(height=height, log_size=stored.log_size, log_root=stored.log_root)
                found = self._remember(result, stored.block)
        return found

    def _remember(self, result: Executed, block: Block) -> tuple[Executed, Cut, int]:
        while len(self._recent) >= limits.RECENT_HEIGHTS_KEPT:
            del self._recent[min(self._recent)]
        cut = block.cut if block.epoch == self._epoch else self._start_cut
        found = self._recent[result.height] = result, cut, block.time_ms
        return found


def compare_result(executor: Executor, block: Block) -> None:
    """What a final block says about an ancestor's result, at least f + 1 honest ones found.

    Raises: DivergenceError when this node found another one.
    """
    own = executor.result_at(block.executed.height)
    if own != block.executed:
        raise DivergenceError(
            f"block {block.height} names log root {block.executed.log_root.hex()} after block "
            f"{block.executed.height}, this node computed {own.log_root.hex() if own else '-'}",
            certified=block.executed,
        )


def commit_of(ordered: OrderedBlock, result: ExecutedBlock) -> Commit:
    """What the driver does with an executed block: writes, and verdicts for the clients."""
    verdicts = tuple(
        Verdict(
            tx_hash=done.transaction.tx_hash,
            height=ordered.block.height,
            code=done.result.code,
            rule=done.result.rule,
            message=done.result.message,
            outcome=done.result.outcome or 0,
            log_index=index or 0,
            event=done.result.event,
        )
        for done, index in zip(result.bodies, result.log_indexes, strict=True)
    )
    return Commit(
        height=ordered.block.height,
        time_ms=ordered.block.time_ms,
        state_root=Digest(result.state_root),
        writes=result.writes,
        batch_heads=tuple(Digest(head) for head in ordered.heads),
        verdicts=verdicts,
    )
