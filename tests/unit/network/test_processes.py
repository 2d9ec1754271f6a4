"""Only processes that were started here are ever signalled."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from onward.cli.main import main
from onward.cli.output import Exit
from onward.errors import Unavailable
from onward.network import processes
from onward.network.definition import Network, NodePlace, create_network

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


def test_two_commands_do_not_start_the_same_node_twice(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second would overwrite `node.pid`, and no `down` would ever find the first process."""
    monkeypatch.setattr(processes, "ALONE_S_MAX", 0)
    with processes.alone(network):
        with pytest.raises(Unavailable, match="another command"), processes.alone(network):
            pytest.fail("both are alone")
        for verb in ("up", "down"):
            done = CliRunner().invoke(main, ["network", verb, str(network.folder)])
            assert done.exit_code == Exit.UNAVAILABLE, verb
        assert processes.running(network.nodes[0]) is None
    with processes.alone(network):
        pass


def test_up_waits_for_what_another_command_has_started(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever acts as soon as `up` has ended must find a network."""
    asked: list[str] = []

    async def wait_ready(*_: object, nodes: Sequence[NodePlace], **__: object) -> None:
        asked.extend(node.name for node in nodes)
        await asyncio.sleep(0)

    monkeypatch.setattr("onward.cli.network.wait_ready", wait_ready)
    monkeypatch.setattr(processes, "command", lambda home: [*SLEEPER, str(home.resolve())])
    processes.start(network, network.nodes[0])
    try:
        done = CliRunner().invoke(main, ["network", "up", str(network.folder), "--json"])
        assert json.loads(done.stdout)["started"] == []
        assert asked == ["v1"]
    finally:
        assert processes.kill(network.nodes) == ()


def test_node_takes_no_module_from_the_folder_in_which_somebody_stands(
    network: Network, tmp_path: Path
) -> None:
    """`network up` in a folder full of downloads must not run what lies there as click.py."""
    (tmp_path / "click.py").write_text("raise SystemExit(99)", encoding="utf-8")
    done = subprocess.run(
        processes.command(network.nodes[0].home / "missing"),
        cwd=tmp_path,
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == Exit.USAGE, done.stderr


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
