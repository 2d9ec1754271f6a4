"""Two results side by side: ratios with their spread.

What repeats within a run is its windows. The ratio is that of their means; its interval comes from
drawing the windows of each run anew many times (a bootstrap, with a fixed seed), which states how
far the machine's own unrest reaches. An interval around 1 is no difference.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from onward.bench.report import main_run

RESAMPLES = 2_000
PART = 0.95
TAKEN_UNNOTED_MAX = 0.02
"""So much of the processors may go to others before a comparison says so."""

_SEED = 20_260

FIGURES: tuple[tuple[str, Callable[[dict[str, Any]], float | None]], ...] = (
    ("settled per second", lambda window: window["settled_per_s"]),
    ("limit ratio", lambda window: window["limit_ratio"]),
    ("p50 ms", lambda window: window["latency_ms"]["p50"]),
    ("p99 ms", lambda window: window["latency_ms"]["p99"]),
    ("CPU µs/tx, validators", lambda window: window["validators_cpu_us_per_tx"]),
    ("CPU µs/tx, generator", lambda window: window["generator_cpu_us_per_tx"]),
)


def compare(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """The figures of two checked documents' main runs: after divided by before."""
    runs = main_run(before), main_run(after)
    rows = []
    for name, value_of in FIGURES:
        samples = tuple(_samples(run, value_of) for run in runs)
        if all(samples) and sum(samples[0]) > 0:
            rows.append(_row(name, *samples))
    return {
        "format": "onward/bench-comparison/1",
        "before": _about(before),
        "after": _about(after),
        "figures": rows,
        "notes": _notes(before, after),
    }


def _samples(
    run: dict[str, Any], value_of: Callable[[dict[str, Any]], float | None]
) -> list[float]:
    values = [value_of(window) for window in run["windows"]]
    return [float(value) for value in values if value is not None]


def _row(name: str, before: list[float], after: list[float]) -> dict[str, Any]:
    rng = random.Random(_SEED)
    ratios = sorted(
        _ratio(_mean(rng.choices(after, k=len(after))), _mean(rng.choices(before, k=len(before))))
        for _ in range(RESAMPLES)
    )
    edge = int(RESAMPLES * (1 - PART) / 2)
    return {
        "name": name,
        "before": _mean(before),
        "after": _mean(after),
        "ratio": _ratio(_mean(after), _mean(before)),
        "interval": [ratios[edge], ratios[-edge - 1]],
        "windows": [len(before), len(after)],
    }


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _ratio(after: float, before: float) -> float:
    return after / before if before else float("inf")


def _about(found: dict[str, Any]) -> dict[str, Any]:
    run = main_run(found)
    return {
        "command": found["command"],
        "made_at_ms": found["made_at_ms"],
        "commit": found["machine"]["commit"],
        "cpu": found["machine"]["cpu"],
        "workload": run["workload"],
        "rate": run["rate"],
        "holds": run["holds"],
        "verify_limit_per_s": run["verify"].get("limit_per_s"),
        "host_taken": run.get("host_taken"),  # older documents do not say
    }


def _notes(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What makes two results hard to compare."""
    found = []
    a, b = _about(before), _about(after)
    for key, words in (("cpu", "processors"), ("workload", "workloads"), ("rate", "rates")):
        if a[key] != b[key]:
            found.append(f"different {words}: {a[key]} and {b[key]}")
    if before["validators"] != after["validators"]:
        found.append(f"different networks: {before['validators']} and {after['validators']}")
    limits = a["verify_limit_per_s"], b["verify_limit_per_s"]
    if all(limits) and not 0.9 <= limits[1] / limits[0] <= 1.1:
        found.append(
            f"the machine verified {limits[0]} and {limits[1]} signatures per second and validator:"
            " compare the limit ratio, not the rates"
        )
    taken = a["host_taken"], b["host_taken"]
    if max(p or 0.0 for p in taken) > TAKEN_UNNOTED_MAX:
        told = " and ".join("an unknown part" if p is None else f"{p:.0%}" for p in taken)
        found.append(
            f"the host took {told} of the processors away: compare processor time, not latencies "
            "or rates"
        )
    found += [f"the {name} run did not hold" for name, it in (("first", a), ("second", b))
              if not it["holds"]]  # fmt: skip
    return found
