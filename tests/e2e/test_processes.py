from __future__ import annotations

from pathlib import Path

import pytest

from onward.network import processes
from onward.network.access import now_ms
from onward.network.definition import create_network


def test_process_counts_as_running_from_its_first_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel shows a new program's command line a little after the start.

    Whoever looked in between was told that the node had ended at once.
    """
    network = create_network(tmp_path / "network", validators=4, time_ms=now_ms())
    node = network.nodes[0]
    monkeypatch.setattr(processes, "command", lambda home: ["sleep", "60"])  # names no home
    started = processes.start(network, node)
    try:
        assert processes.running(node) == started
    finally:
        assert processes.kill([node]) == ()
    assert processes.running(node) is None
