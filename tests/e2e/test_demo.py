"""The demo: what a stranger sees first has to be true every time."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from onward.network.definition import read_network
from onward.network.processes import kill, running

DEMO_S_MAX = 90


@pytest.mark.timeout(120)
def test_demo_tells_the_whole_story(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    try:
        done = subprocess.run(
            [sys.executable, "-m", "onward.cli.main", "demo", "--json", "--keep", str(folder)],
            capture_output=True,
            text=True,
            timeout=DEMO_S_MAX,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        assert list(document) == [
            *("validators", "height", "transactions", "verdicts", "state_roots"),
            *("receipts_verified", "tampered_rejected", "restarted_caught_up", "elapsed_s"),
        ]
        assert document["validators"] == 4
        assert len(set(document["state_roots"])) == 1
        assert len(document["state_roots"]) == 4
        assert document["receipts_verified"] == document["transactions"]
        assert len(document["verdicts"]) == document["transactions"]
        assert document["tampered_rejected"] is True
        assert document["restarted_caught_up"] is True
        refused = [
            (item["type"], item["code"]) for item in document["verdicts"] if item["code"] != "OK"
        ]
        assert refused == [
            ("share.onward", "E_ONWARD_PROHIBITED"),
            ("share.onward", "E_DEPTH"),
            ("share.onward", "E_ANCESTOR_ENDED"),
        ]
        assert all(running(node) is None for node in read_network(folder).nodes)
    finally:
        if (folder / "network.toml").exists():
            kill(read_network(folder).nodes)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_demo_that_is_stopped_leaves_no_process_behind(
    number: signal.Signals, tmp_path: Path
) -> None:
    """People end a demo with a signal, or close its window; four nodes must not go on for ever."""
    folder = tmp_path / "kept"
    pids = {f"node-{number}/node.pid" for number in range(1, 5)}
    heeding = ["env", f"--default-signal={number.name.removeprefix('SIG')}"]  # nohup ignores one
    with subprocess.Popen(
        [
            *heeding,
            sys.executable,
            "-m",
            "onward.cli.main",
            "demo",
            "--json",
            "--keep",
            str(folder),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as demo:
        try:
            deadline = time.monotonic() + 40
            while not all((folder / name).exists() for name in pids):
                assert demo.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            demo.send_signal(number)
            assert demo.wait(timeout=20) == 128 + number
            assert all(running(node) is None for node in read_network(folder).nodes)
        finally:
            demo.kill()
            if (folder / "network.toml").exists():
                kill(read_network(folder).nodes)
