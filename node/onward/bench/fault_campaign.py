"""The same load under one fault after the other: what each costs, and when it is over.

Every fault gets a network of its own, fresh, so that none inherits what another one left. Figures
are read from the windows of a second:

before, during, after   settled a second until the fault begins, while it lasts, and behind it
back_s                  from its beginning, and `back_after_end_s` from its end, until the mean of
                        three seconds is 90 % of `before` again; null where the run ends first
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from onward.bench import machine
from onward.bench.charts import charts_over_time, html_page, svg, table
from onward.bench.faults import Fault, FaultKind
from onward.bench.runner import RunPlan

FORMAT = "onward/bench-faults/1"
BASELINE = "none"
KINDS = (BASELINE, *(str(kind) for kind in FaultKind))
BACK_PART = 0.9
BACK_WINDOWS = 3
_VERIFY_S_MAX = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultsPlan:
    """The load, and when in it the fault lasts; times in seconds."""

    workload: str
    rate: float
    validator: str
    before_s: float = 15.0
    during_s: float = 20.0
    after_s: float = 25.0
    warm_s: float = 3.0

    def run_under(self, kind: str) -> RunPlan:
        """The run with this fault, or with none."""
        faults: tuple[Fault, ...] = ()
        if kind != BASELINE:
            faults = (
                Fault(
                    kind=FaultKind(kind),
                    validator=self.validator,
                    at_s=self.before_s,
                    for_s=self.during_s,
                ),
            )
        seconds = self.before_s + self.during_s + self.after_s
        return RunPlan(
            workload=self.workload,
            rate=self.rate,
            seconds=seconds,
            warm_s=self.warm_s,
            verify_s=min(_VERIFY_S_MAX, seconds / 20),
            faults=faults,
            closely=True,
        )


def figures(run: dict[str, Any], *, at_s: float, for_s: float) -> dict[str, Any]:
    """What a run's windows say of a fault that began and ended then."""
    windows, end_s = run["windows"], at_s + for_s
    before = [item for item in windows if item["from_s"] + item["seconds"] <= at_s]
    during = [item for item in windows if at_s <= item["from_s"] < end_s]
    after = [item for item in windows if item["from_s"] >= end_s]
    usual = _mean(before)
    return {
        "settled_per_s": {
            "before": _rounded(usual),
            "during": _rounded(_mean(during)),
            "after": _rounded(_mean(after)),
        },
        "worst_p99_ms": {
            "before": _worst(before),
            "during": _worst(during),
            "after": _worst(after),
        },
        "longest_stall_ms": run["longest_stall_ms"],
        "back_s": _back_after(windows, at_s, usual),
        "back_after_end_s": _back_after(windows, end_s, usual),
        "views_nullified": run["counters"].get("onward_views_nullified_total", 0.0),
        "moves": run["moves"],
        "evidence": _evidence(run),
        "sound": run["check"]["ok"],
        "left_out": run["check"]["left_out"],
    }


def _back_after(
    windows: Sequence[dict[str, Any]], from_s: float, usual: float | None
) -> float | None:
    """How long after a moment the throughput was the usual one again; 0 where it never left it."""
    later = [item for item in windows if item["from_s"] >= from_s]
    for start in range(len(later) - BACK_WINDOWS + 1):
        mean = _mean(later[start : start + BACK_WINDOWS])
        if mean is not None and mean >= BACK_PART * (usual or 0):
            return round(float(later[start]["from_s"]) - from_s, 3)
    return None


def _evidence(run: dict[str, Any]) -> int:
    """How many proofs of a lie the honest validators hold together."""
    return int(sum(counts.get("equivocation", 0) for counts in run["evidence"].values()))


def _mean(windows: Sequence[dict[str, Any]]) -> float | None:
    if not windows:
        return None
    return float(sum(item["settled_per_s"] for item in windows)) / len(windows)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _worst(windows: Sequence[dict[str, Any]]) -> float | None:
    found = [item["latency_ms"]["p99"] for item in windows]
    return max((value for value in found if value is not None), default=None)


def document(
    plan: FaultsPlan,
    runs: Sequence[tuple[str, dict[str, Any]]],
    *,
    command: Sequence[str],
    seed: int,
    validators: int,
    made_at_ms: int,
) -> dict[str, Any]:
    """The runs by their faults, each with its figures."""
    return {
        "format": FORMAT,
        "command": " ".join(command),
        "made_at_ms": made_at_ms,
        "seed": seed,
        "validators": validators,
        "machine": machine.describe(),
        "workload": plan.workload,
        "rate": plan.rate,
        "before_s": plan.before_s,
        "during_s": plan.during_s,
        "after_s": plan.after_s,
        "faults": [
            {
                "kind": kind,
                "figures": figures(run, at_s=plan.before_s, for_s=plan.during_s),
                "run": run,
            }
            for kind, run in runs
        ],
    }


HEAD = (
    "fault", "before/s", "during/s", "after/s", "stall ms", "back s", "after end", "lost views",
    "proofs", "one chain",
)  # fmt: skip


def rows(result: dict[str, Any]) -> list[tuple[object, ...]]:
    """A document as the rows of a table under `HEAD`."""
    found = []
    for item in result["faults"]:
        seen = item["figures"]
        chain = "yes" if seen["sound"] else "NO"
        if seen["left_out"]:
            chain += f" (without {', '.join(seen['left_out'])})"
        found.append(
            (
                item["kind"],
                *(seen["settled_per_s"][part] for part in ("before", "during", "after")),
                round(seen["longest_stall_ms"]),
                seen["back_s"],
                seen["back_after_end_s"],
                round(seen["views_nullified"]),
                seen["evidence"],
                chain,
            )
        )
    return found


def fault_page(result: dict[str, Any]) -> str:
    """All faults under each other, with a table of their figures."""
    title = f"Onward: {result['workload']} at {result['rate']:g} a second under faults"
    known = result["machine"]
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        (
            f"<p><code>{html.escape(result['command'])}</code><br>"
            f"{result['validators']} validators on {known['cores']} cores of "
            f"{html.escape(str(known['cpu']))}, Python {html.escape(known['python'])}, "
            f"commit {html.escape(str(known['commit']))}</p>"
        ),
        table(HEAD, rows(result)),
    ]
    for item in result["faults"]:
        name = "no fault" if item["kind"] == BASELINE else item["kind"]
        parts += [svg(chart) for chart in charts_over_time(item["run"], name)]
    return html_page(title, parts)
