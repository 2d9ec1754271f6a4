"""A chain that was grown offline is one that a network could have made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from onward.bench.grown import ADDED_MIN, Grown, GrowthPlan, grow
from onward.bench.homes import copy_data
from onward.bench.receipt_sample import SAMPLE, draw_receipts, measured
from onward.bench.runner import CONTRACTS
from onward.consensus.effects import BlockVerdict
from onward.consensus.journal import Floor
from onward.crypto.signing import SigningKey, verify
from onward.errors import RejectCode, RejectedError
from onward.ledger.block import set_hash
from onward.ledger.chain import StoredBlock, read_block, read_tip
from onward.ledger.transaction import check_envelope
from onward.network.definition import Network, create_network
from onward.replica.effects import Boot, Received, Tick
from onward.replica.executor import Executor
from onward.replica.payload import PayloadRules
from onward.replica.replica import Replica, ReplicaConfig
from onward.runtime.home import DATA_NAME, GENESIS_NAME, NodeHome, read_home
from onward.storage.catch_up import chain_page
from onward.storage.disk import NodeDisk
from onward.storage.home import open_home
from onward.types import ValidatorIndex
from onward_chaincode.registry import contract_for

T0 = 1_750_000_000_000
FIRST, ALL, ACT, BLOCK = 330, 700, 200, 30


@dataclass(frozen=True)
class Chain:
    """One that was grown in two steps. `first_tip`: its last block after the first of them."""

    network: Network
    data: Path
    steps: tuple[Grown, Grown]
    first_tip: StoredBlock


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    network = create_network(
        tmp_path_factory.mktemp("grown") / "network",
        validators=4,
        time_ms=T0,
        contracts=CONTRACTS,
    )
    data, clock = network.nodes[0].home / DATA_NAME, ticking()
    first = grown_to(network, data, FIRST, clock)
    disk = opened(network, data)
    first_tip = block_at(disk, first.height)
    disk.close()
    second = grown_to(network, data, ALL, clock)
    return Chain(network=network, data=data, steps=(first, second), first_tip=first_tip)


@pytest.fixture
def disk(chain: Chain) -> Iterator[NodeDisk]:
    found = opened(chain.network, chain.data)
    yield found
    found.close()


def ticking() -> Callable[[], int]:
    moments = count(T0 + 1_000, 100)
    return lambda: next(moments)


def grown_to(network: Network, data: Path, size: int, clock: Callable[[], int]) -> Grown:
    plan = GrowthPlan(transactions=size, act_transactions=ACT, block_transactions=BLOCK)
    return grow(network, data, plan, lambda _: None, clock=clock)


def opened(network: Network, data: Path) -> NodeDisk:
    found = open_home(data, network.genesis.chain_id)
    found.recover()
    return found


def booted(home: NodeHome, disk: NodeDisk) -> Replica:
    """The validator of this home, on this disk; the first event is still to come."""
    return Replica(
        ReplicaConfig(
            genesis=home.genesis,
            me=home.index,
            signer=SigningKey(home.seed),
            verify=verify,
            contract_for=contract_for,
        ),
        disk.store,
    )


def block_at(disk: NodeDisk, height: int) -> StoredBlock:
    found = read_block(disk.store, height)
    assert found is not None
    return found


def test_a_chain_has_exactly_the_length_that_was_asked_for(chain: Chain, disk: NodeDisk) -> None:
    """A chain of about a million transactions would be compared with one of about another."""
    first, second = chain.steps
    assert (first.transactions, first.added) == (FIRST, FIRST)
    assert (second.transactions, second.added) == (ALL, ALL - FIRST)
    tip = block_at(disk, second.height)
    assert tip.log_size == ALL + second.height
    assert tip.void_count == 0


def test_a_shorter_chain_is_a_prefix_of_the_longer_one(chain: Chain, disk: NodeDisk) -> None:
    """Otherwise two sizes would differ in more than in their length."""
    assert block_at(disk, chain.steps[0].height) == chain.first_tip


def test_a_validator_that_catches_up_accepts_every_block(
    chain: Chain, disk: NodeDisk, tmp_path: Path
) -> None:
    """It checks the signatures of lanes and votes, executes everything and compares results."""
    home = read_home(chain.network.nodes[1].home)
    copy_data(home.data, tmp_path / "fresh")
    fresh = open_home(tmp_path / "fresh", home.genesis.chain_id)
    boot = fresh.recover()
    replica = booted(home, fresh)
    events: list[Boot | Received | Tick] = [boot]
    top = chain.steps[1].height
    reported = []
    while replica.height < top:
        if not events:
            idle = replica.finalized_height == replica.height
            page = chain_page(disk, replica.height + 1)
            events.append(Received(peer=ValidatorIndex(0), message=page) if idle else Tick())
        effects = replica.step(events.pop(0), T0)
        reported += [item for item in effects.events if item.name == "misbehaved"]
        assert not reported, reported
        fresh.stage(effects)
        fresh.write()
    for height in range(1, top + 1):
        made, replayed = block_at(disk, height), block_at(fresh, height)
        assert made.state_root == replayed.state_root
        assert (made.log_size, made.log_root) == (replayed.log_size, replayed.log_root)
    assert read_tip(disk.store) == read_tip(fresh.store)
    fresh.close()


def test_every_block_could_have_been_voted_for(chain: Chain, disk: NodeDisk) -> None:
    """Who catches up does not judge proposals: a quorum has. So it is asked here."""
    genesis = chain.network.genesis
    rules = PayloadRules(
        genesis.parameters, set_hash(genesis.validators), 4, Executor(disk.store, contract_for)
    )
    for height in range(1, chain.steps[1].height + 1):
        block, parent = block_at(disk, height).block, block_at(disk, height - 1).block
        judged = rules.judge(block, parent, first_sight=True, now_ms=block.time_ms)
        assert judged.verdict is BlockVerdict.VALID, judged.reason
        assert block.view > parent.view
        assert block.time_ms > parent.time_ms


def test_every_envelope_is_one_that_the_door_lets_in(chain: Chain, disk: NodeDisk) -> None:
    """Blocks are executed without looking at clients' signatures once more."""
    checked = 0
    for height in range(1, chain.steps[1].height + 1):
        for head in block_at(disk, height).batch_heads:
            batch = disk.batch(head)
            assert batch is not None
            for envelope in batch.envelopes:
                checked += len(check_envelope(envelope, chain.network.genesis.chain_id, verify))
    assert checked == ALL


def test_receipts_of_drawn_transactions_verify_offline(chain: Chain) -> None:
    """A chain without certified checkpoints looks whole to everybody but an auditor."""
    drawn = draw_receipts(chain.data, chain.network.genesis, height=0, seed=7)
    assert drawn.transactions == ALL
    assert len(drawn.receipts) == SAMPLE
    found = measured(drawn.receipts, (chain.network.folder / GENESIS_NAME).read_bytes())
    assert found["validators"] == [chain.network.genesis.validators.quorum]


def test_a_copy_boots_with_a_journal_that_begins_at_the_tip(chain: Chain, tmp_path: Path) -> None:
    """A validator whose journal ended below its blocks could vote again where it had voted."""
    copy_data(chain.data, tmp_path / "copy")
    copy = open_home(tmp_path / "copy", chain.network.genesis.chain_id)
    boot = copy.recover()
    copy.close()
    (floor,) = boot.journal
    assert isinstance(floor, Floor)
    assert floor.root.height == floor.final.view == chain.steps[1].height
    assert len(floor.final.signatures) == chain.network.genesis.validators.quorum
    assert boot.batches == ()


def test_a_home_on_which_a_node_has_voted_is_refused(chain: Chain, tmp_path: Path) -> None:
    """A block made in a view that its validator has nullified would be a fork by our own hand."""
    home = read_home(chain.network.nodes[0].home)
    copy_data(chain.data, tmp_path / "copy")
    copy = open_home(tmp_path / "copy", home.genesis.chain_id)
    boot = copy.recover()
    replica = booted(home, copy)
    for event, at_ms in ((boot, T0), (Tick(), T0 + 60_000)):
        copy.stage(replica.step(event, at_ms))
        copy.write()
    copy.close()
    with pytest.raises(RejectedError) as refused:
        grown_to(chain.network, tmp_path / "copy", 2 * ALL, ticking())
    assert refused.value.code == RejectCode.STATE


@pytest.mark.parametrize("size", [ALL - 1, ALL + 1, ALL + ADDED_MIN - 1])
def test_a_chain_becomes_no_shorter_and_not_a_little_longer(chain: Chain, size: int) -> None:
    """An act needs its parties first; half of one would be a chain of another kind."""
    with pytest.raises(RejectedError) as refused:
        grown_to(chain.network, chain.data, size, ticking())
    assert refused.value.code == RejectCode.LIMIT


def test_nothing_happens_to_a_chain_that_is_as_long_as_it_should_be(chain: Chain) -> None:
    """A campaign that goes on begins with the size at which it was interrupted."""
    again = grown_to(chain.network, chain.data, ALL, ticking())
    assert (again.transactions, again.added, again.height) == (ALL, 0, chain.steps[1].height)
