"""One call counted from beginning to end, by whatever counts on this machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from counters import find_counter

from onward.bench.machine import describe

PROGRAM = Path(__file__).parent.parent.parent / "benchmarks" / "instructions.py"
CALL = "check-envelope-without-signature"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_call_is_counted_and_held_against_the_baseline(tmp_path: Path) -> None:
    """A counter that counts the wrong process, or nothing, would never show a regression."""
    counter = find_counter()
    if counter is None:
        pytest.skip("neither valgrind nor perf can count instructions here")
    baseline: dict[str, Any] = {
        "format": "onward/instructions/1",
        "counter": counter.name,
        "material": "tiny",
        "machine": describe(),
        "calls": {CALL: 1_000},
    }
    file = tmp_path / "baseline.json"
    file.write_text(json.dumps(baseline), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, PROGRAM, "--tiny", "--only", CALL, "--json", "--baseline", file],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    # An envelope is decoded, hashed and looked at: no interpreter starts in that, and no more than
    # a few hundred bytes are read.
    assert 10_000 < found["calls"][CALL] < 3_000_000
    assert found["compared"]["over"] == [CALL]
    assert "more instructions than the baseline" in found["compared"]["said"][0]
