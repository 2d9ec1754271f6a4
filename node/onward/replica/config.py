"""Who a validator is, and what it brings."""

from __future__ import annotations

from dataclasses import dataclass

from onward import limits
from onward.crypto.signing import Signer, Verify
from onward.execution.block import BlockExecution
from onward.execution.body import ContractFor
from onward.ledger.genesis import Genesis
from onward.replica.executor import BeginBlock
from onward.types import PublicKey, ValidatorIndex


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaConfig:
    """Who this validator is, and what it brings: its key, the check of others', the contracts.

    `me`: its place in the set of the epoch that its store stands in. `seats`: the keys of those
    that its driver knows by a number of their own, from 0; where there are none, by their places in
    the genesis.
    """

    genesis: Genesis
    me: ValidatorIndex
    signer: Signer
    verify: Verify
    contract_for: ContractFor
    journal_segment_bytes_max: int = limits.JOURNAL_SEGMENT_BYTES_MAX
    may_abstain: bool = True  # the simulation's twins know no shame
    begin_block: BeginBlock = BlockExecution
    seats: tuple[PublicKey, ...] = ()
