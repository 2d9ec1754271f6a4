"""What a run says of its fault: figures of runs whose seconds are known one by one."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.bench_results import bench_run, bench_window

from onward.bench.fault_campaign import (
    BASELINE,
    HEAD,
    KINDS,
    FaultsPlan,
    document,
    fault_page,
    figures,
    rows,
)
from onward.bench.runner import SHORT_WINDOW_S

PLAN = FaultsPlan(workload="isa", rate=100.0, validator="v2", before_s=4, during_s=4, after_s=6)


def run_of(*settled: float, evidence: int = 0) -> dict[str, Any]:
    windows = [
        bench_window(number, 1.0)
        | {"from_s": float(number), "seconds": 1.0, "settled_per_s": per_s}
        for number, per_s in enumerate(settled)
    ]
    return bench_run(100.0) | {
        "windows": windows,
        "longest_stall_ms": 1_050.4,
        "counters": {"onward_views_nullified_total": 6.0},
        "moves": 1,
        "faults": [],
        "evidence": {
            "v1": {"equivocation": float(evidence), "misbehaved": 9.0},
            "v3": {"equivocation": 1.0 if evidence else 0.0},
        },
        "check": {"ok": True, "left_out": []},
    }


DIPPED = run_of(100, 100, 100, 100, 0, 10, 100, 110, 100, 20, 100, 100, 100, 100)


def test_throughput_is_told_apart_before_during_and_after() -> None:
    found = figures(DIPPED, at_s=4, for_s=4)
    assert found["settled_per_s"] == {"before": 100.0, "during": 55.0, "after": 86.7}
    assert found["longest_stall_ms"] == 1_050.4


def test_it_is_back_when_three_seconds_together_are_nearly_what_it_was() -> None:
    """One second in which a backlog is worked off is no recovery."""
    found = figures(DIPPED, at_s=4, for_s=4)
    assert found["back_s"] == 2.0
    assert found["back_after_end_s"] == 2.0


def test_what_never_left_the_usual_is_back_at_once() -> None:
    found = figures(run_of(*(100,) * 14), at_s=4, for_s=4)
    assert found["back_s"] == found["back_after_end_s"] == 0.0


def test_what_does_not_come_back_within_the_run_says_so() -> None:
    found = figures(run_of(*(100,) * 4, *(50,) * 10), at_s=4, for_s=4)
    assert found["back_s"] is None
    assert found["back_after_end_s"] is None


def test_evidence_is_of_lies_and_of_all_honest_validators() -> None:
    assert figures(run_of(*(100,) * 14, evidence=3), at_s=4, for_s=4)["evidence"] == 4
    assert figures(run_of(*(100,) * 14), at_s=4, for_s=4)["evidence"] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_every_run_is_watched_second_by_second(kind: str) -> None:
    """The baseline too: windows of another length could not be compared with it."""
    plan = FaultsPlan(workload="isa", rate=100.0, validator="v2").run_under(kind)
    assert plan.window_s == SHORT_WINDOW_S
    assert plan.seconds == 60
    assert [str(item.kind) for item in plan.faults] == [kind] * (kind != BASELINE)


def test_a_page_shows_each_fault_and_marks_when_it_began_and_ended() -> None:
    lied = DIPPED | {
        "faults": [{"kind": "equivocate", "validator": "v2", "at_s": 4, "for_s": 4}],
        "check": {"ok": True, "left_out": ["v2"]},
    }
    result = document(
        PLAN,
        [(BASELINE, run_of(*(100,) * 14)), ("equivocate", lied)],
        command=["onward", "bench", "faults"],
        seed=1,
        validators=4,
        made_at_ms=1,
    )
    text = fault_page(result)
    assert text.count("<svg ") == 4
    assert text.count("equivocate v2") == 2
    assert "without v2" in text
    assert all(len(row) == len(HEAD) for row in rows(result))
