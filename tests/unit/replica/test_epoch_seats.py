"""Seats and places: whom a message of an epoch goes to, and who is asked for the chain."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

from tests.support.cluster import T0_MS, Cluster

from onward import limits
from onward.consensus.messages import EMPTY_PACKET, ChainRequest
from onward.crypto.signing import SigningKey, verify
from onward.replica.config import ReplicaConfig
from onward.replica.effects import Boot, Received, Tick
from onward.replica.epochs import EpochMachine
from onward.types import PublicKey, ValidatorIndex
from onward_chaincode.registry import contract_for

ME = 0
STRANGER = SigningKey(sha256(b"of no set").digest())


def asked(seats: tuple[int, ...], *, strangers: int = 0) -> list[int | None]:
    """The seats that a machine asks for the chain, one after the other, where nobody answers.

    `seats`: the places of the genesis' validators that its driver knows, in the order of the seats.
    """
    cluster = Cluster()
    keys = [PublicKey(cluster.keys[place].public_key) for place in seats]
    keys += [PublicKey(STRANGER.public_key)] * strangers
    config = ReplicaConfig(
        genesis=cluster.genesis,
        me=ValidatorIndex(ME),
        signer=cluster.keys[ME],
        verify=verify,
        contract_for=contract_for,
        seats=tuple(keys),
    )
    machine = EpochMachine(config, cluster.stores[ME])
    machine.step(Boot(journal=(), batches=()), T0_MS)
    found: list[int | None] = []
    packet = replace(EMPTY_PACKET, epoch=3, height=1_000)
    effects = machine.step(Received(peer=ValidatorIndex(1), message=packet), T0_MS)
    for turn in range(1, 7):
        found += [item.to for item in effects.send if isinstance(item.message, ChainRequest)]
        effects = machine.step(Tick(), T0_MS + turn * limits.CATCH_UP_RETRY_MS)
    return found


def test_a_validator_that_the_driver_does_not_know_is_nobody_elses_seat() -> None:
    """Its operator forgot it in the configuration: what is meant for it must reach nobody else."""
    known = (0, 1, 3)
    found = asked(known)
    assert found[:3] == [1, found[1], 2]
    assert found[1] not in range(len(known))


def test_machines_that_are_no_validators_are_asked_behind_those_that_are() -> None:
    """They have the chain as well, and may be the only ones left that do."""
    assert asked((0, 1, 2, 3), strangers=1) == [1, 2, 3, 4, 1, 2]
