"""More than one run: quick figures, and the sweep that finds the highest rate that holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from onward.bench.report import run_document
from onward.bench.runner import P99_MS_MAX, Bench, Progress, RunPlan

PROBE_IN_FLIGHT = 1_024
PROBE_S = 8.0
PROBE_RATE_GUESS = 1_500.0
QUICK_S = 20.0
QUICK_TRIAL_S = 10.0
QUICK_PARTS = (0.65, 0.5)
SWEEP_PARTS = (0.25, 0.5, 0.65, 0.8, 0.9, 1.0, 1.1)
SWEEP_NEAR = 0.03
SWEEP_STEPS_MAX = 6
RATE_MIN = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """Runs on one network with one workload. `told` sees each run's document as it comes."""

    bench: Bench
    workload: str
    progress: Progress
    told: Callable[[dict[str, Any]], None]
    p99_ms_max: float = P99_MS_MAX

    async def one(self, plan: RunPlan) -> dict[str, Any]:
        """A single run."""
        found = run_document(await self.bench.run(plan))
        self.told(found)
        return found

    async def probe(self) -> tuple[dict[str, Any], float]:
        """A closed loop: about what the network can take, in envelopes a second."""
        found = await self.one(
            RunPlan(
                workload=self.workload,
                rate=None,
                in_flight=PROBE_IN_FLIGHT,
                rate_guess=PROBE_RATE_GUESS,
                seconds=PROBE_S,
                p99_ms_max=self.p99_ms_max,
            )
        )
        return found, max(RATE_MIN, found["throughput"]["envelopes_per_s"])

    async def quick(self, seconds: float = QUICK_S) -> list[dict[str, Any]]:
        """A short ramp, then one run at a rate that held; the last run is the main one."""
        probe, capacity = await self.probe()
        runs = [probe]
        for part in QUICK_PARTS:
            trial = await self.one(self._open(part * capacity, QUICK_TRIAL_S))
            runs.append(trial)
            if trial["holds"]:
                runs.append(await self.one(self._open(part * capacity, seconds)))
                break
        return runs

    async def sweep(self, seconds: float) -> list[dict[str, Any]]:
        """Rates up by steps until one does not hold, then halving the distance."""
        probe, capacity = await self.probe()
        runs = [probe]
        low, high = 0.0, float("inf")
        for part in SWEEP_PARTS:
            run = await self.one(self._open(part * capacity, seconds))
            runs.append(run)
            if not run["holds"]:
                high = run["rate"]
                break
            low = run["rate"]
        for _ in range(SWEEP_STEPS_MAX):
            if low == 0 or high - low <= SWEEP_NEAR * high or high == float("inf"):
                break
            run = await self.one(self._open((low + high) / 2, seconds))
            runs.append(run)
            if run["holds"]:
                low = run["rate"]
            else:
                high = run["rate"]
        return runs

    def _open(self, rate: float, seconds: float) -> RunPlan:
        return RunPlan(
            workload=self.workload,
            rate=float(round(max(RATE_MIN, rate))),
            seconds=seconds,
            p99_ms_max=self.p99_ms_max,
        )


def best_of(runs: list[dict[str, Any]]) -> int:
    """The run at the highest rate that held; where none did, the last one."""
    held = [
        (run["rate"], number)
        for number, run in enumerate(runs)
        if run["rate"] is not None and run["holds"]
    ]
    return max(held)[1] if held else len(runs) - 1
