"""Result documents of benchmarks that nobody ran: with all their parts, and a little unrest."""

from __future__ import annotations

from typing import Any

from onward.bench.report import FORMAT

LIMIT_PER_S = 3_000.0


def unrest(seed: int, number: int) -> float:
    """Five per cent up or down, always the same ones."""
    return 0.95 + (seed * 7 + number * 37) % 11 / 110


def bench_window(number: int, per_s: float) -> dict[str, Any]:
    return {
        "from_s": 5.0 * number,
        "seconds": 5.0,
        "settled_per_s": per_s,
        "accepted_per_s": per_s,
        "signatures_per_s": 1.2 * per_s,
        "limit_ratio": 1.2 * per_s / LIMIT_PER_S,
        "latency_ms": {"p50": 20.0, "p90": 30.0, "p99": 50.0, "p999": 60.0, "max": 70.0},
        "validators_cpu_us_per_tx": 1e6 / per_s,
        "generator_cpu_us_per_tx": None,
    }


def bench_run(rate: float, *, seed: int = 1, complaint: str = "") -> dict[str, Any]:
    return {
        "workload": "isa",
        "rate": rate,
        "in_flight": 0,
        "holds": not complaint,
        "complaints": [complaint] if complaint else [],
        "throughput": {
            "envelopes_per_s": rate,
            "settled_per_s": rate,
            "signatures_per_s": 1.2 * rate,
        },
        "limit_ratio": round(1.2 * rate / LIMIT_PER_S, 4),
        "verify": {"limit_per_s": LIMIT_PER_S},
        "latency_ms": {"p50": 20.0, "p99": 50.0, "p999": 60.0},
        "cpu_us_per_tx": {"validators": 900.0, "generator": 50.0},
        "transactions": {"unexpected": 0, "turned_away": {}},
        "processes": [],
        "windows": [bench_window(number, rate * unrest(seed, number)) for number in range(6)],
        "check": {"ok": True},
    }


def bench_result(*rates: float, seed: int = 1) -> dict[str, Any]:
    runs = [bench_run(rate, seed=seed + number) for number, rate in enumerate(rates)]
    return {
        "format": FORMAT,
        "command": "onward bench sweep",
        "made_at_ms": 1,
        "seed": 1,
        "validators": 4,
        "machine": {"cores": 2, "cpu": "<cpu>", "python": "3.11", "commit": None},
        "limit_ratio": runs[-1]["limit_ratio"],
        "main": len(runs) - 1,
        "runs": runs,
    }
