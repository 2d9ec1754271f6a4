"""Only processes that were started here are ever signalled."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from onward.network import processes
from onward.network.definition import Network, create_network

SLEEPER = [sys.executable, "-c", "import signal; signal.pause()"]


@pytest.fixture
def network(tmp_path: Path) -> Network:
    return create_network(tmp_path / "n", validators=1, time_ms=1, fewer=True)


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(SLEEPER) as child:
        yield child
        child.kill()


def started_at(pid: int) -> int:
    found = processes._started(pid)
    assert found is not None
    return found


def test_process_of_somebody_else_under_a_reused_id_is_not_ours(
    network: Network, bystander: subprocess.Popen[bytes]
) -> None:
    """After a crash the system may give the id in our file to anybody's process."""
    node = network.nodes[0]
    for started in (started_at(bystander.pid) - 1, started_at(bystander.pid)):
        document = {"pid": bystander.pid, "started": started}
        (node.home / processes.PID_NAME).write_text(json.dumps(document), encoding="utf-8")
        assert processes.running(node) is None
        assert processes.stop([node]) == ()
        assert bystander.poll() is None


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"pid": "x", "started": 1}', '{"pid": 1}'])
def test_damaged_pid_file_means_that_nothing_runs(network: Network, text: str) -> None:
    node = network.nodes[0]
    (node.home / processes.PID_NAME).write_text(text, encoding="utf-8")
    assert processes.running(node) is None


def test_started_process_is_known_by_home_and_start_and_ends_when_asked(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = network.nodes[0]
    monkeypatch.setattr(processes, "command", lambda home: [*SLEEPER, str(home.resolve())])
    process = processes.start(network, node)
    try:
        assert processes.running(node) == process
        assert os.getpgid(process.pid) == process.pid  # a Ctrl-C of ours does not reach it
    finally:
        assert processes.kill([node]) == ()
    assert processes.running(node) is None
    assert not (node.home / processes.PID_NAME).exists()


def test_last_words_are_the_reason_in_the_log(network: Network) -> None:
    node = network.nodes[0]
    lines = ['{"event": "starting"}', '{"event": "node_failed", "reason": "disk full"}', "{}"]
    processes.log_file(network, node).write_text("\n".join(lines), encoding="utf-8")
    assert processes.last_words(network, node) == "disk full"
    processes.log_file(network, node).write_text("no module named x\n", encoding="utf-8")
    assert processes.last_words(network, node) == "no module named x"


def test_last_words_are_those_of_the_last_process(network: Network) -> None:
    """An old reason under a new failure would send the operator the wrong way."""
    node = network.nodes[0]
    old = '{"event": "stopping", "reason": "SIGTERM"}\n'
    new = '{"event": "node_failed", "exception": "Traceback …\\nTypeError: no"}\n'
    processes.log_file(network, node).write_text(old + new, encoding="utf-8")
    document = {"pid": 1, "started": 1, "log_from": len(old)}
    (node.home / processes.PID_NAME).write_text(json.dumps(document), encoding="utf-8")
    assert processes.last_words(network, node) == "TypeError: no"
    processes.log_file(network, node).write_text(old, encoding="utf-8")
    assert processes.last_words(network, node) == ""
