"""What a block must say of the validator set that follows: the rules of an epoch's end.

    the state that the block names as executed holds an approved set   it is `last`, names that set
    its parent is `last`, or a filler                                  a filler: the same set, never
                                                                       `last`, nothing ordered
    otherwise                                                          it names this epoch's set

The state of an earlier height is not kept, and need not be: an approval stays, and its time is that
of the block which brought it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from onward.consensus.epochs import is_closing
from onward.ledger.block import Block

Approval = tuple[bytes, int]
"""The id of the approved set, and when it was approved."""


class Results(Protocol):
    """What this node has executed."""

    def time_at(self, height: int) -> int | None:
        """The time of an executed block; None above the tip."""


def _no_approval() -> Approval | None:
    """Nothing is ever approved."""
    return None


class Succession:
    """The demand on blocks of one epoch."""

    __slots__ = ("_approval", "_results", "set_id")

    def __init__(
        self,
        set_id: bytes,
        results: Results,
        approval: Callable[[], Approval | None] = _no_approval,
    ) -> None:
        """`set_id`: of this epoch's validators."""
        self.set_id = set_id
        self._results = results
        self._approval = approval

    def demanded(self, parent: Block, executed_height: int) -> tuple[bool, bytes]:
        """`last` and `next_set_hash` of a block that names an executed height of this node."""
        if is_closing(parent, self.set_id):
            return False, parent.next_set_hash
        approval = self._approval()
        time_ms = None if approval is None else self._results.time_at(executed_height)
        if approval is not None and time_ms is not None and approval[1] <= time_ms:
            return True, approval[0]
        return False, self.set_id

    def may_order(self, parent: Block) -> bool:
        """Whether a block on `parent` may grow the cut."""
        return not is_closing(parent, self.set_id)

    def fault(self, block: Block, parent: Block) -> str:
        """What is wrong with a block whose executed height this node has reached, or nothing."""
        if block.cut != parent.cut and not self.may_order(parent):
            return "orders batches behind the last block of the epoch"
        last, set_id = self.demanded(parent, block.executed.height)
        if block.last and not last:
            return "names a change of the validator set that the state has not approved"
        if block.last != last or block.next_set_hash != set_id:
            return "names another validator set than the one that follows"
        return ""
