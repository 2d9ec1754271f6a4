"""A network of four real processes, through the command line only."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from onward.cli.main import main
from onward.cli.query import QUESTIONS
from onward.network.definition import read_network
from onward.network.processes import kill, running

ONWARD = [sys.executable, "-m", "onward.cli.main"]
COMMAND_S_MAX = 45
FIELDS = ("--fields", "email,category", "--purpose", "dpv:ServiceProvision")


def onward(*arguments: str, code: int = 0) -> Result:
    """A command of the command line; the nodes that it starts are processes of their own."""
    done = CliRunner().invoke(main, list(arguments), env={"ONWARD_NETWORK": None})
    assert done.exit_code == code, f"{arguments}: {done.exit_code}\n{done.output}{done.exception}"
    assert "Traceback" not in done.stderr
    return done


def answer(*arguments: str, code: int = 0) -> Any:
    """The one JSON document that a command answers with."""
    return json.loads(onward(*arguments, "--json", code=code).stdout)


def until(condition: Callable[[], bool], timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.1)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A network that runs, and whose processes end whatever happens in the test."""
    place = tmp_path / "net"
    onward("network", "init", str(place), "--validators", "4")
    try:
        onward("network", "up", str(place))
        yield place
    finally:
        left = kill(read_network(place).nodes)
        for file in sorted((place / "logs").glob("*.log")):
            sys.stderr.write(f"--- {file.name}\n{file.read_text(encoding='utf-8')[-1500:]}\n")
        shutil.rmtree(place, ignore_errors=True)
        assert left == ()


@pytest.mark.timeout(150)
def test_one_network_from_its_first_block_to_its_last_receipt(folder: Path, tmp_path: Path) -> None:
    """The life of a network as its operator and its parties see it, one process after another."""
    where = ("--network", str(folder))

    status = answer("network", "status", str(folder))
    assert status["available"]
    assert [item["up"] for item in status["validators"]] == [True] * 4
    assert answer("network", "up", str(folder))["started"] == []

    for party, kind in (("alice", "person"), ("acme", "organisation"), ("beta", "organisation")):
        assert answer("party", "register", party, "--kind", kind, *where)["code"] == "OK"
    answer("terms", "publish", "T-P2B1", *where)
    answer("schema", "publish", "S-CONTACT", *where)
    answer(
        *("agreement", "offer", "--as", "alice", "--to", "acme", "--terms", "T-P2B1"),
        *("--schema", "S-CONTACT", "--fields", "email,category", "--save", "offer"),
        *("--purposes", "dpv:ServiceProvision", "--expires-at", "30d", *where),
    )
    answer("agreement", "accept", "--as", "acme", "--offer", "offer", "--save", "deal", *where)

    # One validator dies, the first that clients ask; the rest go on, and it catches up later.
    victim = read_network(folder).nodes[0]
    assert answer("network", "down", str(folder), "--kill", "--only", "v1")["stopped"] == ["v1"]
    assert running(victim) is None
    shared = answer(
        *("share", "record", "--as", "alice", "--agreement", "deal", *FIELDS),
        *("--save", "share", *where),
    )
    assert shared["outcome"] == "accepted"
    assert answer("network", "up", str(folder))["started"] == ["v1"]

    # A verdict of no is exit code 1, dry or not; what the dry run says is what the chain says.
    onward_share = (
        *("share", "onward", "--as", "acme", "--parent-share", "share", "--recipient", "beta"),
        *("--fields", "email", "--purpose", "dpv:Marketing", "--child-expires-at", "20d", *where),
    )
    traced = answer(
        *("query", "trace", "share", "--as", "acme", "--recipient", "beta", *where),
        *("--fields", "email", "--purpose", "dpv:Marketing", "--expires-at", "20d"),
    )
    assert (traced["code"], traced["rule"]) == ("E_PURPOSE", "R23")
    assert [item["rule"] for item in traced["rules"] if not item["holds"]] == ["R23"]
    dry = answer(*onward_share, "--dry-run", code=1)
    real = answer(*onward_share, code=1)
    assert (dry["code"], dry["rule"]) == (real["code"], real["rule"]) == ("E_PURPOSE", "R23")
    assert real["outcome"] == "recorded"
    for name, question in QUESTIONS.items():
        words = ("--direction", "given") if ("direction" in dict(question.words)) else ()
        if not question.about:
            assert answer("query", name, "--as", "alice", *words, *where)["height"] > 0
    given = answer("query", "aggregate", "--direction", "given", "--as", "alice", *where)
    taken = answer("query", "aggregate", "--direction", "received", "--as", "acme", *where)
    assert {(cell["field"], cell["count"]) for cell in given["cells"]} == {
        (cell["field"], cell["count"]) for cell in taken["cells"]
    }
    refusals = answer("query", "refusals", "--as", "alice", *where)["refusals"]
    assert [item["code"] for item in refusals] == ["E_PURPOSE"]

    receipt = tmp_path / "refused.receipt"
    receipt.write_text(onward("receipt", "get", real["tx_hash"], "--as", "acme", *where).stdout)

    def level() -> bool:
        found = answer("network", "status", str(folder))["validators"]
        return len({(item["height"], item["state_root"]) for item in found if item["up"]}) == 1

    until(level)
    assert len(answer("network", "down", str(folder))["stopped"]) == 4
    assert all(running(node) is None for node in read_network(folder).nodes)
    genesis = ("--genesis", str(folder / "genesis.json"))
    verified = answer("receipt", "verify", str(receipt), *genesis)
    assert (verified["verified"], verified["code"]) == (True, "E_PURPOSE")
    receipt.write_text(receipt.read_text().replace("leaf C", "leaf D", 1))
    assert answer("receipt", "verify", str(receipt), *genesis, code=1)["verified"] is False


def test_node_that_cannot_listen_says_so_and_ends(tmp_path: Path) -> None:
    """Two networks on the same ports: the second must not look as if it ran."""
    place = tmp_path / "net"
    onward("network", "init", str(place), "--validators", "1", "--fewer-than-four")
    try:
        onward("network", "up", str(place))
        node = read_network(place).nodes[0]
        base = str(node.peers.port)
        second = ("network", "init", str(tmp_path / "other"), "--validators", "4")
        refused = answer(*second, "--base-port", base, code=3)
        assert base in refused["message"]
        done = subprocess.run(
            [*ONWARD, "node", "run", "--home", str(node.home)],
            capture_output=True,
            text=True,
            timeout=COMMAND_S_MAX,
            check=False,
        )
        assert done.returncode == 3
        assert "node_failed" in done.stderr
        assert running(node) is not None
    finally:
        assert kill(read_network(place).nodes) == ()
