"""Puts a real replica over a store, with the real contracts: what a node's start-up does."""

from __future__ import annotations

from onward.execution.block import BlockExecution
from onward.ledger.genesis import GenesisContract
from onward.ledger.store import Store
from onward.replica.epochs import EpochMachine
from onward.replica.executor import BeginBlock
from onward.replica.replica import ReplicaConfig
from onward.simulation.consortium import Consortium
from onward.simulation.mutants import Mutant
from onward.simulation.signing import verify
from onward.types import ValidatorIndex
from onward_chaincode.registry import available, contract_for

CONTRACTS = tuple(
    GenesisContract(name=name, version=version, from_height=1) for name, version in available()
)


JOURNAL_SEGMENT_BYTES_MAX = 3 * 1024
"""Small, so that a run sees many rotations."""


def start_replica(
    store: Store,
    consortium: Consortium,
    me: ValidatorIndex,
    *,
    mutant: Mutant | None,
    begin_block: BeginBlock = BlockExecution,
    may_abstain: bool = True,
) -> EpochMachine:
    """The validator `me` over what `store` holds; a mutant has its way with it."""
    config = ReplicaConfig(
        genesis=consortium.genesis,
        me=me,
        signer=consortium.validators[me],
        verify=verify,
        contract_for=contract_for,
        journal_segment_bytes_max=JOURNAL_SEGMENT_BYTES_MAX,
        begin_block=begin_block,
        may_abstain=may_abstain,
        seats=tuple(signer.public_key for signer in consortium.validators),
    )
    if mutant is not None:
        config = mutant.on_config(config)
    machine = EpochMachine(config, store, None if mutant is None else mutant.on_replica)
    if mutant is not None:
        mutant.on_machine(machine)
    return machine
