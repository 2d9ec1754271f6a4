"""One execution of a block serves all replicas of a world, and some are made all the same.

Executing a block is a pure function of the block, its batches and the state before it, and the
tip names that state by its roots. So the four replicas of a world compute four times the same; most
of the time here is saved by taking over what the first of them found. A share of the executions,
drawn from the seed, is made by each replica for itself: one that comes to another result is seen
at its commit, like any divergence.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from onward.execution.block import AtHand, BlockExecution, ExecutedBlock, OrderedBlock
from onward.execution.body import ContractFor
from onward.ledger.chain import StoredBlock, Tip
from onward.ledger.store import Store, WriteBatch, block_key
from onward_proto.canonical import changed, decode, encode

OWN_ONE_IN = 8
"""Of the executions that somebody has made before, this share is made again."""

_KEPT_BLOCKS_MAX = 512  # a replica that comes back from far executes for itself


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """A result, and what the block's bodies wrote."""

    result: ExecutedBlock
    writes: dict[str, bytes | None]


class SharedExecutions:
    """The results of one world, by what they depend on."""

    def __init__(self, rng: random.Random) -> None:
        """`rng` draws which executions are made again."""
        self._rng = rng
        self._made: dict[tuple[object, ...], _Made] = {}
        self.own = 0
        self.taken_over = 0

    def begin(
        self,
        store: Store,
        tip: Tip,
        ordered: OrderedBlock,
        contract_for: ContractFor,
        at_hand: AtHand | None = None,
    ) -> BlockExecution:
        """What `Executor` begins a block with, in place of a `BlockExecution`."""
        place = (tip, ordered.digest, ordered.heads)
        made = self._made.get(place)
        if made is not None and self._rng.randrange(OWN_ONE_IN):
            self.taken_over += 1
            return _TakenOver(made, ordered)
        self.own += 1
        own = _Own(store, tip, ordered, contract_for, at_hand)
        own.keep = partial(self._keep, place)
        return own

    def _keep(self, place: tuple[object, ...], result: ExecutedBlock, work: BlockExecution) -> None:
        """The first result stands for the others."""
        if place not in self._made:
            self._made[place] = _Made(result=result, writes=work.writes)
            while len(self._made) > _KEPT_BLOCKS_MAX:
                del self._made[next(iter(self._made))]


class _Own(BlockExecution):
    """A real execution, whose result is kept."""

    __slots__ = ("keep",)

    keep: Callable[[ExecutedBlock, BlockExecution], None]

    def finish(self) -> ExecutedBlock:
        result = super().finish()
        self.keep(result, self)
        return result


class _TakenOver(BlockExecution):
    """A result of another replica. It takes as many slices as the execution would."""

    __slots__ = ("_left", "_made", "_ordered")

    def __init__(self, made: _Made, ordered: OrderedBlock) -> None:
        self._made = made
        self._ordered = ordered
        self._left = len(made.result.bodies)

    def run(self, bodies_max: int) -> bool:
        if self._left < bodies_max:
            return True
        self._left -= bodies_max
        return False

    @property
    def writes(self) -> dict[str, bytes | None]:
        return self._made.writes

    def finish(self) -> ExecutedBlock:
        """The same, but for the certificates, of which each replica may hold others."""
        result = self._made.result
        own_row = block_key(self._ordered.block.height)
        entries = tuple(
            (key, value if key != own_row else self._with_own(value))
            for key, value in result.writes.entries
        )
        return replace(result, writes=WriteBatch(entries=entries))

    def _with_own(self, value: bytes | None) -> bytes | None:
        if value is None:
            return None
        own = self._ordered
        return encode(changed(decode(StoredBlock, value), final=own.final, record=own.record))
