"""The benchmark measures what it says: its result is checked here, and no time is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from onward.bench.report import check_document, main_run

BENCH = [sys.executable, "-m", "onward.cli.main", "bench"]
SECONDS, WARM_S, RATE = 5, 1, 100


def finished(*words: str, timeout: int, folder: Path | None = None) -> dict[str, Any]:
    """The result document of a benchmark that ran to its end, with its files in `folder`."""
    done = subprocess.run(
        [*BENCH, *words],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=os.environ if folder is None else {**os.environ, "TMPDIR": str(folder)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def settled_in_time(run: dict[str, Any]) -> bool:
    """Whether anything was settled while it was measured, and not all after a machine's long pause.

    Without that a run has no rates, and must say so.
    """
    return bool(run["throughput"]["settled_per_s"] > 0)


@pytest.mark.timeout(240)
def test_a_small_run_counts_every_transaction_once(tmp_path: Path) -> None:
    """A benchmark that loses count would praise a ledger that loses transactions."""
    out, charts = tmp_path / "result.json", tmp_path / "charts.html"
    document = finished(
        *("run", "--workload", "isa", "--rate", str(RATE), "--json"),
        *("--seconds", str(SECONDS), "--warm", str(WARM_S)),
        *("--out", str(out), "--charts", str(charts)),
        timeout=200,
    )
    check_document(document)
    assert document == json.loads(out.read_text(encoding="utf-8"))
    assert "</svg>" in charts.read_text(encoding="utf-8")

    run = main_run(document)
    told = run["transactions"]
    timed = RATE * (SECONDS + WARM_S)
    assert told["planned"] == told["submitted"] == told["verdicts"] >= timed
    assert told["accepted"] + told["recorded_refusals"] == told["verdicts"]
    assert told["unexpected"] == told["without_answer"] == 0
    assert sum(told["codes"].values()) == told["verdicts"]

    check = run["check"]
    assert check["ok"] is True
    assert check["leaves_found"] == check["leaves_expected"] == told["verdicts"]
    assert check["sampled"] > 0

    assert document["limit_ratio"] == run["limit_ratio"] < 1
    assert (run["limit_ratio"] > 0) == settled_in_time(run)
    assert run["verify"]["before_per_s"] > 0
    assert [item["name"] for item in run["processes"]] == ["v1", "v2", "v3", "v4", "generator"]
    assert all(
        (item["cpu_us_per_tx"] is not None) == settled_in_time(run) for item in run["processes"]
    )
    assert len(run["windows"]) == SECONDS
    assert sum(item["latency_ms"]["count"] for item in run["windows"]) == RATE * SECONDS
    assert run["latency_ms"]["count"] == RATE * SECONDS


@pytest.mark.timeout(240)
def test_validators_go_on_with_a_chain_that_was_grown_offline(tmp_path: Path) -> None:
    """A chain that only looks valid would be measured until its first real block."""
    out, charts = tmp_path / "growth.json", tmp_path / "growth.html"
    document = finished(
        *("growth", "--sizes", "600", "--closed", "32", "--sign", "200", "--json"),
        *("--rate", str(RATE), "--seconds", "2", "--warm", "1"),
        *("--out", str(out), "--charts", str(charts)),
        timeout=220,
        folder=tmp_path,
    )
    assert document == json.loads(out.read_text(encoding="utf-8"))
    assert "</svg>" in charts.read_text(encoding="utf-8")
    (size,) = document["sizes"]
    assert size["transactions"] == size["grown"]["added"] == 600
    for run in size["runs"].values():
        assert run["check"]["ok"] is True
        assert run["check"]["height"] > size["height"]
        assert run["transactions"]["verdicts"] > 0
    assert size["home"]["transactions"] > 600
    assert size["receipts"]["count"] > 0
    if settled_in_time(size["runs"]["closed"]):
        assert None not in size["figures"].values()
    assert {file.name for file in tmp_path.iterdir()} == {"growth.json", "growth.html"}


@pytest.mark.timeout(90)
def test_a_run_that_is_stopped_leaves_no_process_and_no_folder_behind(tmp_path: Path) -> None:
    """Four validators that nobody knows of would spoil every measurement after this one."""
    with subprocess.Popen(
        [*BENCH, "run", "--rate", "20", "--json"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as program:
        deadline = time.monotonic() + 30
        while len(found := pids(tmp_path)) < 4:
            assert time.monotonic() < deadline, "the validators did not start"
            assert program.poll() is None
            time.sleep(0.05)
        program.send_signal(signal.SIGTERM)
        program.wait(timeout=30)
    assert program.returncode == 128 + signal.SIGTERM
    deadline = time.monotonic() + 10  # what was killed is there until its parent has noticed
    while any(Path(f"/proc/{pid}").exists() for pid in found):
        assert time.monotonic() < deadline, "a validator is left behind"
        time.sleep(0.05)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.timeout(120)
def test_honest_validators_agree_beside_one_that_equivocates_and_can_prove_it(
    tmp_path: Path,
) -> None:
    """A liar that nobody notices would make a benchmark of lies a benchmark of nothing."""
    charts = tmp_path / "charts.html"
    document = finished(
        *("faults", "--only", "equivocate", "--workload", "opaque", "--rate", "40"),
        *("--before", "1", "--during", "3", "--after", "1", "--charts", str(charts), "--json"),
        timeout=100,
    )
    (found,) = document["faults"]
    run, (fault,) = found["run"], found["run"]["faults"]
    assert fault["lies"]["lie.equivocation"] > 0
    assert fault["lies"]["lie.double_vote"] > 0
    assert set(run["evidence"]) == {"v1", "v3", "v4"}
    assert found["figures"]["evidence"] > 0
    assert run["check"]["ok"] is True
    assert run["check"]["leaves_found"] == run["check"]["leaves_expected"]
    assert run["transactions"]["unexpected"] == 0
    assert "equivocate v2" in charts.read_text(encoding="utf-8")


@pytest.mark.timeout(60)
def test_a_small_network_on_virtual_time_gives_every_transaction_its_verdict(
    tmp_path: Path,
) -> None:
    """Its one process plays all validators: one that lost a message would just cost less."""
    out = tmp_path / "validators.json"
    document = finished(
        *("validators", "--sizes", "4", "--delay-ms", "5", "--workload", "opaque"),
        *("--rate", "50", "--seconds", "1", "--warm", "0", "--repeat", "1"),
        *("--out", str(out), "--json"),
        timeout=50,
    )
    assert document == json.loads(out.read_text(encoding="utf-8"))
    (cell,) = document["cells"]
    assert cell["check"]["ok"] is True
    told = cell["transactions"]
    assert told["submitted"] == told["settled"] >= 50
    assert told["unexpected"] == 0
    assert cell["verifications_per_tx"] > 0
    assert [item["ratio"] for item in document["growth"]] == [1.0]


def pids(folder: Path) -> list[int]:
    """Of the validators that were started for a folder."""
    files = folder.glob("onward-bench-*/node-*/node.pid")
    return [json.loads(file.read_text(encoding="utf-8"))["pid"] for file in files]
