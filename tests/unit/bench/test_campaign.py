"""How a rate is looked for, on a network that is a number."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from tests.support.bench_results import bench_run

from onward.bench.campaign import SWEEP_NEAR, Campaign, best_of
from onward.bench.runner import Bench, RunPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Pretended(Campaign):
    """Holds every rate up to `capacity`; a closed loop sees `seen` times as much."""

    capacity: float
    seen: float = 1.0
    rates: list[float] = field(default_factory=list)

    async def one(self, plan: RunPlan) -> dict[str, Any]:
        if plan.rate is None:
            return {**bench_run(self.capacity * self.seen), "rate": None}
        self.rates.append(plan.rate)
        complaint = "" if plan.rate <= self.capacity else "too much"
        return bench_run(plan.rate, complaint=complaint)


def pretended(capacity: float, seen: float = 1.0) -> Pretended:
    return Pretended(
        bench=cast("Bench", None),
        workload="isa",
        progress=lambda _: None,
        told=lambda _: None,
        capacity=capacity,
        seen=seen,
    )


@pytest.mark.parametrize("seen", [0.9, 1.0, 1.2, 1.8])
async def test_a_sweep_ends_close_below_what_the_network_carries(seen: float) -> None:
    campaign = pretended(1_234, seen)
    runs = await campaign.sweep(seconds=5)
    best = runs[best_of(runs)]
    assert best["holds"]
    assert 1_234 * (1 - 2 * SWEEP_NEAR) <= best["rate"] <= 1_234 or seen < 1
    assert all(rate <= 1.25 * 1_234 * seen for rate in campaign.rates)


async def test_a_sweep_of_a_network_that_carries_nothing_comes_to_an_end() -> None:
    runs = await pretended(1).sweep(seconds=5)
    assert best_of(runs) == len(runs) - 1
    assert not runs[-1]["holds"]


async def test_quick_figures_are_of_a_rate_that_held_before() -> None:
    """A figure of a rate that the network could not follow would be of the queue before it."""
    campaign = pretended(1_000, seen=1.6)  # 65 % of what it saw is too much
    runs = await campaign.quick(seconds=30)
    assert [run["holds"] for run in runs[1:]] == [False, True, True]
    assert runs[-1]["rate"] == runs[-2]["rate"] == 800


async def test_quick_figures_of_a_hopeless_network_end_with_its_lowest_trial() -> None:
    runs = await pretended(10).quick(seconds=30)
    assert not runs[-1]["holds"]
