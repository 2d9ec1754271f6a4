"""`onward network status` where validators changed: those of the newest epoch are counted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.unit.rpc.test_node_status import FULL

from onward.cli import network as command
from onward.cli.main import main
from onward.network.access import NodeReport
from onward.network.definition import Network, create_network
from onward.replica.answers import PeerStatus, Voter
from onward.types import Digest, PublicKey


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """v1 to v4; in epoch 1 v3 has another key, v4 is gone, and v5 is on a machine elsewhere."""
    return create_network(tmp_path_factory.mktemp("net") / "n", validators=4, time_ms=1)


def status(
    made: Network, monkeypatch: pytest.MonkeyPatch, answering: tuple[int, ...], **up: bool
) -> tuple[int, Any, str]:
    """Exit code, document and text; `up`: which machines elsewhere the nodes hear."""
    members = made.genesis.validators.members
    voters = (
        *(Voter(name=item.name, public_key=item.public_key) for item in members[:2]),
        *(Voter(name=name, public_key=PublicKey(name.encode() * 16)) for name in ("v3", "v5")),
    )
    heard = tuple(
        PeerStatus(validator=name, index=4 + n, up=up.get(name, False), height=40)
        for n, name in enumerate(("v3", "v5"))
    )
    word = replace(
        FULL, chain_id=Digest(made.genesis.chain_id), epoch=1, voters=voters, peers=heard
    )
    found = tuple(
        NodeReport(node=node, index=index, pid=7, status=word if index in answering else None)
        for index, node in enumerate(made.nodes)
    )

    async def ask(_network: Network) -> tuple[NodeReport, ...]:
        return found

    monkeypatch.setattr(command, "_ask", ask)
    arguments = ["network", "status", str(made.folder)]
    told = CliRunner().invoke(main, [*arguments, "--json"])
    return told.exit_code, json.loads(told.stdout), CliRunner().invoke(main, arguments).stdout


def test_removed_validators_that_answer_make_no_quorum(
    made: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All four homes of the folder answer, and two of them have no vote any more."""
    code, document, text = status(made, monkeypatch, (0, 1, 2, 3))
    assert (code, document["available"], document["epoch"]) == (3, False, 1)
    assert [(item["validator"], item["votes"]) for item in document["validators"]] == [
        ("v1", True),
        ("v2", True),
        ("v3 (other key)", False),
        ("v4", False),
    ]
    assert "2 of 4 validators answer, 3 are needed, epoch 1" in text
    assert "the others miss it" in text


def test_validator_on_another_machine_counts_when_the_others_hear_it(
    made: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, document, text = status(made, monkeypatch, (0, 1), v5=True)
    assert (code, document["available"]) == (0, True)
    assert document["elsewhere"] == [
        {"validator": "v3", "heard": False},
        {"validator": "v5", "heard": True},
    ]
    assert "3 of 4 validators answer" in text


def test_nobody_that_answers_leaves_the_genesis_to_count(
    made: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, document, _ = status(made, monkeypatch, ())
    assert (code, document["quorum"], document["epoch"], document["elsewhere"]) == (3, 3, 0, [])


@pytest.mark.parametrize("command", [("network", "status"), ("why-stuck",)])
def test_folder_may_be_left_out_where_the_environment_names_one(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    """The other commands go by it, so whoever exported it expects it everywhere."""
    nowhere = {"ONWARD_NETWORK": str(tmp_path)}
    done = CliRunner().invoke(main, [*command, "--json"], env=nowhere)
    assert (done.exit_code, str(tmp_path) in done.stdout) == (2, True)
    done = CliRunner().invoke(main, [*command, "--json"], env={"ONWARD_NETWORK": None})
    assert "Missing argument" in done.stdout


def test_a_new_network_is_made_where_it_is_said_and_nowhere_else(tmp_path: Path) -> None:
    place = {"ONWARD_NETWORK": str(tmp_path / "n")}
    done = CliRunner().invoke(main, ["network", "init", "--validators", "4"], env=place)
    assert (done.exit_code, (tmp_path / "n").exists()) == (2, False)
