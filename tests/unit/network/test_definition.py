"""A network's folder: what `init` writes is what the nodes read."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

import pytest

from onward.errors import MalformedError, OnwardError, RejectCode, RejectedError, Unavailable
from onward.network.definition import (
    FOUNDERS,
    NETWORK_NAME,
    PORTS_PER_NODE,
    check_ports,
    create_network,
    read_network,
)
from onward.network.ports import HIGHEST_PORT, LOOPBACK, free_ports, taken_port
from onward.runtime.home import read_home

T0 = 1_750_000_000_000


def test_homes_fit_the_genesis_and_each_other(tmp_path: Path) -> None:
    network = create_network(tmp_path / "n", validators=4, time_ms=T0)
    assert read_network(tmp_path / "n") == network
    for index, node in enumerate(network.nodes):
        home = read_home(node.home)
        assert home.index == index
        assert home.genesis == network.genesis
        assert home.config.gateway.listen == node.gateway
        assert not home.config.peers.plaintext
        others = {name: str(address) for name, address in home.config.peers.addresses}
        assert others == {
            peer.name: str(peer.peers) for peer in network.nodes if peer.name != node.name
        }


def test_founders_are_in_the_genesis_and_in_the_wallet(tmp_path: Path) -> None:
    network = create_network(tmp_path / "n", validators=4, time_ms=T0)
    assert network.wallet.names() == tuple(sorted(FOUNDERS))
    for party in network.genesis.parties:
        identity = network.wallet.load(party.party_id)
        assert (identity.kind, identity.signer.public_key) == (party.kind, party.public_key)


def test_no_secret_is_readable_by_others(tmp_path: Path) -> None:
    network = create_network(tmp_path / "n", validators=4, time_ms=T0)
    secrets = [*network.folder.glob("wallet/*.json"), *network.folder.glob("node-*/keys/*.key")]
    assert len(secrets) == len(FOUNDERS) + 4
    assert {stat.S_IMODE(file.stat().st_mode) for file in secrets} == {0o600}


@pytest.mark.parametrize("validators", [1, 2, 3])
def test_network_that_survives_nothing_must_be_meant(tmp_path: Path, validators: int) -> None:
    """Three validators look safe and are not: one that lies is enough."""
    with pytest.raises(RejectedError) as caught:
        create_network(tmp_path / "n", validators=validators, time_ms=T0)
    assert caught.value.code == RejectCode.LIMIT
    assert not (tmp_path / "n").exists()
    made = create_network(tmp_path / "n", validators=validators, time_ms=T0, fewer=True)
    assert len(made.nodes) == validators


@pytest.mark.parametrize("validators", [0, 26])
def test_size_out_of_bounds_is_refused(tmp_path: Path, validators: int) -> None:
    with pytest.raises(RejectedError) as caught:
        create_network(tmp_path / "n", validators=validators, time_ms=T0, fewer=True)
    assert caught.value.code == RejectCode.LIMIT


def test_largest_network_can_be_made(tmp_path: Path) -> None:
    assert len(create_network(tmp_path / "n", validators=25, time_ms=T0).nodes) == 25


def test_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    """Whoever mistypes a folder must not lose what is in it."""
    (tmp_path / "letter.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(RejectedError) as caught:
        create_network(tmp_path, validators=4, time_ms=T0)
    assert caught.value.code == RejectCode.STATE
    assert [file.name for file in tmp_path.iterdir()] == ["letter.txt"]


def test_ports_follow_the_base_port(tmp_path: Path) -> None:
    base = free_ports(PORTS_PER_NODE * 4)
    network = create_network(tmp_path / "n", validators=4, time_ms=T0, base_port=base)
    found = [
        place.port for node in network.nodes for place in (node.peers, node.gateway, node.metrics)
    ]
    assert found == list(range(base, base + PORTS_PER_NODE * 4))


def test_base_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        assert taken_port(port, 1) == port
        with pytest.raises(Unavailable, match=str(port)):
            create_network(tmp_path / "n", validators=1, time_ms=T0, base_port=port, fewer=True)
    assert not (tmp_path / "n").exists()


def test_base_port_without_room_above_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MalformedError, match="65535"):
        create_network(tmp_path / "n", validators=4, time_ms=T0, base_port=HIGHEST_PORT)


def test_port_taken_since_is_named_before_anything_starts(tmp_path: Path) -> None:
    network = create_network(tmp_path / "n", validators=4, time_ms=T0)
    check_ports(network)
    taken = network.nodes[2].metrics.port
    with (
        socket.create_server((LOOPBACK, taken)),
        pytest.raises(Unavailable, match=f"v3.*{taken}"),
    ):
        check_ports(network)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name = 1\n[[node]]",
        '[[node]]\nname = "v1"\nhome = "node-1"\npeers = "x"\ngateway = "x"\nmetrics = "x"',
        "node = 7",
        "not toml",
    ],
)
def test_damaged_definition_is_malformed(tmp_path: Path, text: str) -> None:
    create_network(tmp_path / "n", validators=4, time_ms=T0)
    (tmp_path / "n" / NETWORK_NAME).write_text(text, encoding="utf-8")
    with pytest.raises(MalformedError):
        read_network(tmp_path / "n")


def test_folder_without_a_network_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(OnwardError, match="network init"):
        read_network(tmp_path)
