"""Who votes now, and where: what stands in no genesis is believed of whom it may be believed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.cluster import make_genesis
from tests.unit.rpc.test_node_status import FULL

from onward.ledger.genesis import Genesis
from onward.network.access import endpoints_at, further_keys
from onward.network.definition import Network, create_network
from onward.network.voters import newest_set
from onward.replica.answers import NodeStatus, PeerStatus, Voter, name_of
from onward.runtime.config import parse_config, render_config
from onward.runtime.home import CONFIG_NAME
from onward.types import Digest, PublicKey

GENESIS, _ = make_genesis(4)
NEWCOMER = PublicKey(b"n" * 32)
PLACE = "10.0.0.5:7105"


def word(epoch: int, *voters: Voter, genesis: Genesis = GENESIS) -> NodeStatus:
    chain_id = Digest(genesis.chain_id)
    return replace(FULL, chain_id=chain_id, epoch=epoch, voters=voters, validator="v0", peers=())


def voter(name: str) -> Voter:
    return Voter(name=name, public_key=PublicKey(name.encode().ljust(32, b".")))


def test_newest_epoch_that_is_told_counts_and_the_genesis_where_none_is() -> None:
    """A quorum of those who voted a year ago says nothing about today."""
    plain = newest_set((None, replace(word(7), voters=())), GENESIS)
    assert (plain.epoch, plain.quorum, plain.names) == (0, 3, ("v0", "v1", "v2", "v3"))
    five = tuple(voter(f"v{n}") for n in range(5))
    told = newest_set((word(1, *five[:4]), None, word(2, *five), word(0, *five[:4])), GENESIS)
    assert (told.epoch, told.quorum, told.names) == (2, 4, tuple(v.name for v in five))


def test_node_of_another_chain_tells_nothing_of_this_one() -> None:
    other, _ = make_genesis(5)
    assert newest_set((word(9, voter("x"), genesis=other),), GENESIS).epoch == 0


def test_validators_stand_in_the_order_of_seats_and_not_of_the_set() -> None:
    """Of two machines the one with the lower seat dials: a diagnosis says who dials whom."""
    peers = tuple(
        PeerStatus(validator=name, index=seat, up=True, height=0)
        for seat, name in ((1, "v1"), (4, "v4"))
    )
    said = replace(word(1, voter("v9"), voter("v4"), voter("v1"), voter("v0")), peers=peers)
    assert newest_set((said,), GENESIS).names == ("v0", "v1", "v4", "v9")


def test_machine_that_lost_its_name_to_a_new_key_is_not_taken_for_that_one() -> None:
    voters = (voter("v1"), Voter(name="v2", public_key=NEWCOMER))
    assert name_of(NEWCOMER, "v2-2", voters) == "v2"
    assert name_of(b"o" * 32, "v2", voters) == "v2 (other key)"
    assert name_of(b"o" * 32, "v3", voters) == "v3"


@pytest.fixture
def network(tmp_path: Path) -> Network:
    """A network in whose configurations a newcomer stands."""
    made = create_network(tmp_path / "net", validators=4, time_ms=1)
    file = made.nodes[1].home / CONFIG_NAME
    config = parse_config(file.read_bytes())
    peers = replace(config.peers, keys=(("v5", NEWCOMER),))
    file.write_text(render_config(replace(config, peers=peers)), encoding="utf-8")
    return made


def test_newcomer_is_reached_by_its_name_and_by_its_key(network: Network) -> None:
    """The genesis does not name it, and its certificate would look like a stranger's."""
    further, genesis = further_keys(network), network.genesis
    assert further == (("v5", NEWCOMER),)
    assert endpoints_at(f"v5@{PLACE}", genesis) == ()
    for asked in (f"v5@{PLACE}", f"{NEWCOMER.hex()}@{PLACE}"):
        (found,) = endpoints_at(asked, genesis, further)
        assert (found.address, found.public_key) == (PLACE, NEWCOMER)
    tried = [item.public_key for item in endpoints_at(PLACE, genesis, further)]
    assert tried == [*(item.public_key for item in genesis.validators.members), NEWCOMER]
