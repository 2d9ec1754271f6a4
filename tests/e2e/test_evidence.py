"""A validator that tells two stories, at real processes: who was lied to can show it to anybody."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.real_network import RealNetwork

from onward.bench.faults import BEGIN_LYING, liar_command
from onward.network.processes import kill, running, start

LIAR = 1


def onward(*arguments: str, code: int = 0) -> Any:
    """A command's one JSON document."""
    line = [sys.executable, "-m", "onward.cli.main", *arguments, "--json"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=40, check=False)
    assert done.returncode == code, f"{arguments}\n{done.stdout}{done.stderr}"
    return json.loads(done.stdout)


def until(condition: Callable[[], bool], timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.1)


@pytest.mark.timeout(120)
def test_a_liar_is_named_by_files_that_need_no_node(tmp_path: Path) -> None:
    """The whole way: from two votes on the wire to a file in the hands of an auditor."""
    place = tmp_path / "net"
    with RealNetwork(place) as network:
        liar = network.nodes[LIAR]
        start(network.network, liar, line=liar_command(liar.home))
        honest = [node for node in network.nodes if node is not liar]
        asyncio.run(network.start(*honest))
        process = running(liar)
        assert process is not None
        os.kill(process.pid, BEGIN_LYING)
        until(lambda: all(list((node.home / "evidence").glob("*.evidence")) for node in honest))

        status = onward("network", "status", str(place))
        assert status["accused"] == [liar.name]
        saved = tmp_path / "saved"
        listed = onward("evidence", "list", "--network", str(place), "--save", str(saved))
        assert {item["validator"] for item in listed["evidence"]} == {liar.name}
        assert not kill(network.nodes)

    genesis = place / "genesis.json"
    files = [*saved.iterdir(), *(honest[0].home / "evidence").iterdir()]
    assert len(files) > len(listed["evidence"])
    for file in (files[0], files[-1]):  # from the command, and from a home
        proved = onward("evidence", "verify", str(file), "--genesis", str(genesis))
        assert (proved["verified"], proved["validator"]) == (True, liar.name)
    forged = tmp_path / "forged"
    forged.write_text(files[0].read_text().replace(f"signer {liar.name}", "signer v1"))
    refused = onward("evidence", "verify", str(forged), "--genesis", str(genesis), code=1)
    assert refused["code"] == "E_SIGNER"
    homes = [str(node.home) for node in honest[:2]]
    assert onward("evidence", "compare", *homes) == {"fork": None}
