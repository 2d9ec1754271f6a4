"""A failure that nobody can read is a failure that nobody mends."""

from __future__ import annotations

import runpy
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from onward.cli.simulate import simulate
from onward.simulation.faults import Fault, FaultKind, Options
from onward.simulation.plan import Plan
from onward.simulation.shrink import (
    Shrunk,
    kind_of,
    regression_test,
    shrink,
    without_needless,
)

KILL = Fault(at_ms=900, kind=FaultKind.KILL, nodes=(1,), for_ms=400)
SCHEDULE = (
    Fault(at_ms=300, kind=FaultKind.FREEZE, nodes=(2,), for_ms=200),
    KILL,
    Fault(at_ms=950, kind=FaultKind.MUTE, nodes=(0,), for_ms=100),
    Fault(at_ms=5_000, kind=FaultKind.SPLIT, nodes=(0, 1), for_ms=900),
)
BRIEF = Options(duration_ms=3_000, stable_at_ms=2_000, blocks_min=5, bodies_min=5)
BUSY = replace(BRIEF, settle_ms=1_500, sync_ms=8, liars=("silent",))


@pytest.mark.parametrize("seed", range(20))
def test_what_is_left_is_enough_and_nothing_of_it_is_needless(seed: int) -> None:
    """The whole point: each fault that is left is one that the failure needs."""
    items = tuple(range(30))
    needed = frozenset((seed * 17 + place * place * 5) % 30 for place in range(seed % 7))
    assert without_needless(items, needed.issubset) == tuple(sorted(needed))


def test_failure_that_needs_nothing_leaves_nothing() -> None:
    """A bug of the calm world is told as one."""
    assert without_needless((1, 2, 3), lambda part: True) == ()


def test_failures_are_alike_by_their_promise_and_not_by_their_words() -> None:
    """Digests and heights differ from run to run; another promise is another bug."""
    one = kind_of("Violation: votes stay: n1 forgot NOTARIZE(7, ab12), floor 3 (at 900 ms)")
    assert one == kind_of("Violation: votes stay: n2 forgot FINALIZE(9, cd34), floor 8 (at 5 ms)")
    assert one != kind_of("Violation: liveness: height 9 within 20000 ms: {}")
    assert kind_of("crash: KeyError(5) in step, a.py:3") == "crash: KeyError"
    assert kind_of("DivergenceError: block 9") == "DivergenceError"


def test_planted_bug_is_cut_down_to_the_one_fault_that_shows_it(tmp_path: Path) -> None:
    """A journal that is rotated too early forgets something when its machine is killed."""
    plan = Plan(seed=5, options=BUSY, schedule=SCHEDULE, mutant="rotate-before-sync")
    told: list[str] = []
    shrunk = shrink(plan, told.append)
    assert shrunk is not None
    assert shrunk.plan.schedule == (KILL,)
    assert shrunk.plan.options == replace(BRIEF, settle_ms=1_500)
    assert told[-1].startswith(f"run {shrunk.runs}") or shrunk.runs > len(told)
    test = names_in(shrunk, tmp_path)["test_seed_5_keeps_every_promise"]
    with pytest.raises(AssertionError, match="it has lost what was synced"):
        test()  # type: ignore[operator]


def test_regression_test_of_a_mended_bug_passes(tmp_path: Path) -> None:
    """It is committed with the mend, and must be green from then on."""
    plan = Plan(seed=5, options=BRIEF, schedule=(KILL,))
    shrunk = Shrunk(plan=plan, failure="Violation: agreement: n1 and n2 differ", runs=1)
    names_in(shrunk, tmp_path)["test_seed_5_keeps_every_promise"]()  # type: ignore[operator]


def test_clean_plan_is_not_shrunk() -> None:
    """There is nothing to look for, and a test that passes from the start would say otherwise."""
    assert shrink(Plan(seed=5, options=BRIEF, schedule=())) is None


def test_command_writes_the_test_and_exits_one(tmp_path: Path) -> None:
    """The person who reads the failure has one command to type."""
    path = tmp_path / "test_seed_0.py"
    arguments = ["--seed", "0", "--mutant", "send-before-persist", "--shrink", str(path)]
    answer = CliRunner().invoke(simulate, arguments)
    assert answer.exit_code == 1
    assert "durable before sent" in answer.stdout
    assert "0 faults after" in answer.stdout
    with pytest.raises(AssertionError, match="durable before sent"):
        runpy.run_path(str(path))["test_seed_0_keeps_every_promise"]()


@pytest.mark.parametrize("arguments", [["--shrink", "x.py"], ["--seeds", "0:2", "--shrink", "x"]])
def test_command_shrinks_one_seed_at_a_time(arguments: list[str]) -> None:
    """Which of two seeds is meant cannot be guessed."""
    assert CliRunner().invoke(simulate, arguments).exit_code == 2


def names_in(shrunk: Shrunk, folder: Path) -> dict[str, object]:
    """The names of the file that is written for it."""
    path = folder / "test_regression.py"
    path.write_text(regression_test(shrunk), encoding="utf-8")
    return runpy.run_path(str(path))
