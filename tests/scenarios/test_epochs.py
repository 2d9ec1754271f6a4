"""Validators come, go and change their keys while clients submit: the order goes on."""

from __future__ import annotations

import pytest

from onward.audit import receipt_verifier
from onward.audit.epoch_verifier import read_epochs, verify_across
from onward.audit.receipt_verifier import ReceiptError
from onward.ledger.chain import read_transaction
from onward.ledger.epoch_proof import join_epoch_proofs
from onward.ledger.leaf import EVERYONE
from onward.ledger.read import Reader
from onward.replica.executor import Executor
from onward.replica.standing import epoch_proofs
from onward.runtime.reads import NodeReads
from onward.simulation import signing
from onward.simulation.disk import Loss
from onward.simulation.faults import Options
from onward.simulation.trials import try_seed
from onward.simulation.world import World
from onward.types import PartyId, PublicKey
from onward_chaincode.registry import contract_for

CHANGED_WITHIN_MS = 12_000


def changed(world: World, members: tuple[int, ...]) -> None:
    """Let the organisations agree on these validators, and wait until they are."""
    epoch = world.epoch
    world.change_validators(members)
    assert world.run_until(lambda: world.epoch > epoch, CHANGED_WITHIN_MS)
    world.expect_finalized(height=world.height + 3)


def voting(world: World) -> list[int]:
    """The machines that have a vote in the newest epoch."""
    machines = ((host.index, host.machine) for host in world.hosts)
    return [index for index, machine in machines if getattr(machine, "is_validator", False)]


@pytest.fixture
def world() -> World:
    w = World(seed=1, options=Options(validators=4, newcomers=2))
    w.start_clients()
    w.expect_finalized(height=2)
    return w


def test_a_validator_joins_and_another_leaves_and_every_client_is_answered(world: World) -> None:
    """What was sealed and not ordered when the epoch ended must not be lost."""
    changed(world, (0, 1, 2, 3, 4))
    assert voting(world) == [0, 1, 2, 3, 4]
    changed(world, (0, 1, 3, 4))
    assert voting(world) == [0, 1, 3, 4]
    world.stop_clients()
    world.expect_told()


def test_a_changed_key_votes_and_the_old_one_does_not(world: World) -> None:
    """A key that may be in wrong hands must lose its vote with the change."""
    changed(world, (5, 0, 1, 2))
    assert voting(world) == [0, 1, 2, 5]
    assert getattr(world.host(3).machine, "abstains", None) is True
    world.crash(0)
    world.expect_finalized(height=world.height + 3)  # three of four, the new one among them


def test_a_newcomer_from_nothing_follows_the_chain_through_every_epoch(world: World) -> None:
    """It trusts the genesis alone: each epoch's validators vouch for the next ones."""
    world.crash(5)
    changed(world, (0, 1, 2, 3, 4))
    changed(world, (4, 3, 2, 1))
    changed(world, (1, 2, 3, 4, 0))
    world.reboot(5)
    reached = world.height
    assert world.run_until(lambda: world.host(5).height > reached, 10_000)
    assert getattr(world.host(5).machine, "epoch", 0) == 3
    changed(world, (1, 2, 3, 5))
    assert 5 in voting(world)


def test_who_was_removed_and_keeps_talking_changes_nothing(world: World) -> None:
    """Its packets are of an epoch that has ended: nobody counts them, or is accused for them."""
    world.partition({3}, {0, 1, 2, 4, 5})
    world.change_validators((0, 1, 2, 4))
    assert world.run_until(lambda: world.epoch == 1, CHANGED_WITHIN_MS)
    world.run_ms(2_000)
    assert getattr(world.host(3).machine, "epoch", None) == 0
    world.heal()
    world.run_ms(3_000)
    assert getattr(world.host(3).machine, "epoch", None) == 1
    assert voting(world) == [0, 1, 2, 4]
    world.expect_finalized(height=world.height + 3)


def test_a_split_over_the_change_heals_into_one_epoch(world: World) -> None:
    """Neither side may go on alone, in the old epoch or in the new one."""
    world.change_validators((0, 1, 2, 3, 4))
    world.run_ms(300)
    world.partition({0, 1, 4}, {2, 3, 5})
    world.run_ms(4_000)
    world.heal()
    assert world.run_until(lambda: world.epoch == 1, CHANGED_WITHIN_MS)
    world.expect_finalized(height=world.height + 3)


@pytest.mark.parametrize("operations", range(1, 40, 3))
def test_power_cut_at_each_operation_around_the_change(operations: int) -> None:
    """Between the last block, its result, the new journal and the first vote lie many moments."""
    w = World(seed=2, options=Options(validators=4, newcomers=1))
    w.start_clients()
    w.expect_finalized(height=2)
    w.change_validators((0, 1, 2, 3, 4))

    def is_ending() -> bool:
        return w.counts["event.epoch_ended"] > 0

    assert w.run_until(is_ending, CHANGED_WITHIN_MS, step_ms=1)
    for index in (0, 1, 2, 3):
        if w.host(index).machine is not None:
            w.host(index).disk_fuse = operations + index
    assert w.run_until(lambda: w.epoch == 1, CHANGED_WITHIN_MS)
    for index in (0, 1, 2, 3):
        w.host(index).disk_fuse = None
    w.run_ms(1_000)
    w.reboot(0, 1, 2, 3)
    w.expect_finalized(height=w.height + 3)
    w.stop_clients()
    w.expect_told()


def test_all_go_dark_when_the_epoch_has_ended(world: World) -> None:
    """Nobody remembers for anybody else: the last block is found again on the disks."""
    world.change_validators((0, 1, 2, 3, 4))
    assert world.run_until(
        lambda: world.counts["event.epoch_ended"] > 0, CHANGED_WITHIN_MS, step_ms=1
    )
    for host in world.hosts:
        world.injector.crash(host, Loss.POWER, None)
    world.reboot(*range(6))
    world.expect_finalized(height=world.height + 3)
    assert world.epoch == 1


@pytest.mark.parametrize("trial", ["changing", "changing by fillers", "away", "hasty"])
def test_world_of_changing_validators_keeps_every_promise(trial: str) -> None:
    """The control of the planted bugs about epochs."""
    assert try_seed(trial, 0, None).failure == ""


@pytest.fixture
def twice_changed(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Validators 1 and 3 are of all three epochs. Signatures of this world are cheap ones."""
    monkeypatch.setattr(receipt_verifier, "is_signed", signing.verify)
    changed(world, (0, 1, 2, 3, 4))
    changed(world, (4, 3, 5, 1))
    world.run_ms(2_000)
    return world


def proofs_of(world: World, index: int) -> bytes:
    store = world.host(index).disk.store
    return join_epoch_proofs(epoch_proofs(store, world.consortium.genesis))


def test_nodes_can_lead_an_auditor_from_the_genesis_to_the_newest_validators(
    twice_changed: World,
) -> None:
    """Who holds a receipt of a later epoch trusts its validators by these proofs alone."""
    genesis = twice_changed.consortium.genesis
    for index in (1, 3, 4):
        epochs = read_epochs(genesis.document, proofs_of(twice_changed, index))
        assert [list(epoch.keys) for epoch in epochs] == [
            [f"v{n}.simulation" for n in members]
            for members in ((0, 1, 2, 3), (0, 1, 2, 3, 4), (4, 3, 5, 1))
        ]
        assert 0 < epochs[0].log_end < epochs[1].log_end
    assert read_epochs(genesis.document, b"")[0].log_end == 0


BENDS = (
    ("v4 ", "v9 "),
    ("index ", "index 1"),
    ("leaf CA", "leaf CB"),
    ("onward/epoch/1", "onward/epoch/2"),
    ("onward/simulation/", "onward/simulation/0"),
    ("\n\n— ", "\n\n— x"),
)


def test_epoch_proofs_are_vouched_for_in_every_part(twice_changed: World) -> None:
    """A proof that bends could lead to validators of somebody's own choice."""
    genesis, text = twice_changed.consortium.genesis.document, proofs_of(twice_changed, 1).decode()
    for old, new in BENDS:
        assert old in text
        with pytest.raises(ReceiptError):
            read_epochs(genesis, text.replace(old, new).encode())
    second = text.index("\n\nonward/epoch/1") + 2
    with pytest.raises(ReceiptError):  # nobody vouches for those who signed it
        read_epochs(genesis, text[second:].encode())


def test_receipt_of_a_later_epoch_verifies_with_the_proofs_and_not_without(
    twice_changed: World,
) -> None:
    """Those who signed it stand in no genesis."""
    twice_changed.change_validators((4, 3, 5, 0))
    twice_changed.run_ms(3_000)
    host, genesis = twice_changed.host(5), twice_changed.consortium.genesis
    executor = Executor(host.disk.store, contract_for)
    newest = max(
        (place, tx_hash)
        for tx_hash, place in twice_changed.oracles.told.items()
        if (stored := read_transaction(host.disk.store, tx_hash)) is not None
        and stored.event is not None
        and stored.event.readers == EVERYONE
    )[1]
    reads = NodeReads(
        host.disk.node_disk,
        contract_for,
        now_ms=lambda: 0,
        status=lambda: pytest.fail("not asked"),
        evidence=tuple,
        executed=lambda: executor,
    )
    anybody = Reader(party=PartyId("acme"), public_key=PublicKey(bytes(32)))
    receipt = reads.receipt(newest, anybody)
    assert receipt is not None
    proofs = proofs_of(twice_changed, 3)
    summary = verify_across(receipt, genesis.document, proofs)
    assert set(summary.validators) <= {"v0", "v1", "v3", "v4", "v5"}
    for missing in (b"", proofs[: proofs.index(b"\n\nonward/epoch/1") + 1]):
        with pytest.raises(ReceiptError):
            verify_across(receipt, genesis.document, missing)


def test_a_newcomer_gets_through_epochs_of_which_nobody_runs_any_more() -> None:
    """Were only an epoch's own validators asked for its chain, it would end where they did."""
    world = World(seed=5, options=Options(validators=4, newcomers=5))
    world.start_clients()
    world.expect_finalized(height=2)
    world.crash(8)
    changed(world, (4, 5, 6, 7))
    world.run_ms(2_000)
    world.crash(0, 1, 2, 3)
    world.reboot(8)
    reached = world.height
    assert world.run_until(lambda: world.host(8).height > reached, 20_000)
