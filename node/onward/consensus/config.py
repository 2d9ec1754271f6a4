"""What the core is told: who it is, and what the replica puts into its blocks."""

from __future__ import annotations

from dataclasses import dataclass

from onward.crypto.signing import Signer, Verify
from onward.ledger.block import BLOCK_FORMAT, Block, Cut, Executed
from onward.ledger.genesis import Parameters
from onward.types import ValidatorIndex, ValidatorSet


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreConfig:
    """Who this validator is and whom it agrees with."""

    chain_id: bytes
    validators: ValidatorSet
    me: ValidatorIndex
    signer: Signer
    verify: Verify
    parameters: Parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """What the replica puts into a block; the core adds the block's place."""

    time_ms: int
    cut: Cut
    executed: Executed
    last: bool
    next_set_hash: bytes

    def block_on(self, above: Block, parent: bytes, view: int) -> Block:
        """The block with this payload on `above`, whose digest is `parent`, in `view`."""
        return Block(
            format=BLOCK_FORMAT,
            epoch=above.epoch,
            view=view,
            height=above.height + 1,
            parent_view=above.view,
            parent=parent,
            time_ms=self.time_ms,
            cut=self.cut,
            executed=self.executed,
            last=self.last,
            next_set_hash=self.next_set_hash,
        )
