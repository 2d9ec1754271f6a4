"""Counts of instructions: what is taken off, what is judged, and what cannot be."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import instructions
import pytest
from calls import CALLS
from counters import CountingError, find_counter, perf_total
from instructions import TIMES, compare, measure, sentences, table


class Clerk:
    """A counter that knows what everything costs."""

    name = "clerk"

    def __init__(self, *, set_up: int, call: int) -> None:
        self._set_up = set_up
        self._call = call

    def count(self, stock: Path, tasks: Sequence[str], jobs: int) -> dict[str, int]:
        del stock, jobs
        return {task: self._set_up + self._call * int(task.rpartition("=")[2]) for task in tasks}


def counted(calls: dict[str, int], *, python: str = "3.11.7", counter: str = "c") -> dict[str, Any]:
    return {
        "format": instructions.FORMAT,
        "counter": counter,
        "material": "whole",
        "machine": {"python": python, "cpu": "one of ours", "commit": "0123456789abcdef"},
        "calls": calls,
    }


def test_what_comes_before_the_calls_cancels_out(tmp_path: Path) -> None:
    """A slower interpreter's start would drown what a call costs, or pass for a regression."""
    found = measure(Clerk(set_up=10**9, call=70), tmp_path, {"a": (3, 9), "b": (1, 2)}, 1)
    assert found == {"a": 70, "b": 70}


def test_every_call_is_counted_and_more_often_the_second_time() -> None:
    """A call that is measured and not counted would regress unseen."""
    assert set(TIMES) == set(CALLS)
    assert all(0 <= few < more for few, more in TIMES.values())


def test_a_call_over_the_bound_is_named_with_its_excess() -> None:
    now, baseline = counted({"a": 1_060, "b": 1_040}), counted({"a": 1_000, "b": 1_000})
    found = compare(now, baseline, 5)
    assert found.over == ("a",)
    assert sentences(found, 5) == [
        "a takes 6.0 % more instructions than the baseline; allowed are 5 %."
    ]
    assert compare(now, baseline, 7).over == ()


def test_counts_of_another_interpreter_are_shown_and_not_judged() -> None:
    """A new Python would turn CI red without a fault of anybody's, or hide a regression."""
    now, baseline = counted({"a": 9_000}, python="3.12.1"), counted({"a": 1_000})
    found = compare(now, baseline, 5)
    assert (found.over, found.ratios) == ((), {"a": 9.0})
    assert "cannot be judged: this is Python 3.12.1, the baseline's is 3.11.7" in found.why_not


def test_counts_of_another_counter_are_not_judged() -> None:
    """Libraries look at the processor, and valgrind's is another one."""
    found = compare(counted({"a": 9_000}, counter="perf"), counted({"a": 1_000}), 5)
    assert found.over == ()
    assert "the counter is 'perf' here and 'c' in the baseline" in found.why_not


def test_a_call_that_the_baseline_lacks_is_new_and_no_regression() -> None:
    now, baseline = counted({"a": 1_000, "b": 5}), counted({"a": 1_000})
    found = compare(now, baseline, 5)
    assert found.over == ()
    assert [line.split()[-1] for line in table(now, baseline, found)[1:3]] == ["1.000", "new"]


def test_the_table_names_the_baseline_s_machine_python_and_commit() -> None:
    now, baseline = counted({"a": 1_000}), counted({"a": 1_000})
    last = table(now, baseline, compare(now, baseline, 5))[-1]
    assert last == "baseline: c, Python 3.11.7, one of ours, commit 0123456789ab"


def test_the_table_says_which_counts_are_of_a_tree_that_no_commit_names() -> None:
    """Twelve characters look like a commit in which one could look."""
    now = counted({"a": 1_000})
    now["machine"]["commit"] = f"{'0123456789' * 4}-dirty"
    assert table(now, None, compare(now, None, 5))[-1].endswith("commit 012345678901-dirty")
    now["machine"]["commit"] = None
    assert table(now, None, compare(now, None, 5))[-1].endswith("commit unknown")


@pytest.mark.parametrize("commit", [f"{'0123456789' * 4}-dirty", None])
def test_counts_of_a_tree_that_no_commit_names_do_not_become_the_baseline(
    commit: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nobody could ever make them again; and it is said before everything is counted."""

    def never(*_: object) -> dict[str, int]:
        raise AssertionError("counted")

    monkeypatch.setattr(instructions, "find_counter", lambda: Clerk(set_up=0, call=1))
    monkeypatch.setattr(instructions, "build_stock", never)
    monkeypatch.setattr(instructions, "describe", lambda: {"commit": commit})
    baseline = tmp_path / "baseline.json"
    assert instructions.main(["--write", "--baseline", str(baseline)]) == 2
    assert "--write: " in capsys.readouterr().err
    assert not baseline.exists()


def test_where_nothing_counts_the_package_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    assert find_counter() is None
    assert instructions.main([]) == 2
    assert "apt install valgrind" in capsys.readouterr().err


def test_perf_that_is_there_and_cannot_count_is_not_used() -> None:
    """In most virtual machines perf runs, ends well and counts nothing."""
    assert perf_total("# started\n\n<not supported>,,instructions:u,0,100.00,,\n") is None
    assert perf_total("# started\n\n152034,,instructions:u,104,100.00,,\n") == 152_034


def test_a_part_does_not_become_the_baseline(capsys: pytest.CaptureFixture[str]) -> None:
    """All other calls would be new from then on, and never judged again."""
    for part in (["--only", "batch"], ["--tiny"]):
        with pytest.raises(SystemExit) as ended:
            instructions.parsed(["--write", *part])
        assert ended.value.code == 2
    assert "a baseline has all calls" in capsys.readouterr().err


def test_a_baseline_of_another_format_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "baseline.json"
    file.write_text(json.dumps({"format": "onward/instructions/0"}), encoding="utf-8")
    with pytest.raises(CountingError, match="onward/instructions/0"):
        instructions.read_baseline(file)
