"""Validators on virtual time: all agree, nothing is lost, and one alone repeats what it did."""

from __future__ import annotations

from dataclasses import replace

import pytest

from onward.bench.seat import PARTS
from onward.bench.validators_campaign import (
    CELL_HEAD,
    cell,
    cell_rows,
    document,
    growth,
    is_sound,
    process_cell,
    validators_page,
)
from onward.bench.virtual_run import Alone, Together, VirtualPlan, run_alone, run_together

PLAN = VirtualPlan(validators=4, delay_ms=40, workload="opaque", rate=40, seconds=0.5, warm_s=0.1)


@pytest.fixture(scope="module")
def together() -> Together:
    return run_together(PLAN)


@pytest.fixture(scope="module")
def alone(together: Together) -> Alone:
    return run_alone(together.witnessed)


def test_every_transaction_is_settled_once_and_all_have_one_state(together: Together) -> None:
    assert together.submitted == together.settled >= PLAN.transactions
    assert together.unexpected == 0
    assert len(set(together.state_roots)) == 1
    assert together.blocks > 0


def test_nobody_hears_of_a_verdict_before_votes_could_have_come(together: Together) -> None:
    """A proposal, notarizations and finalizations each take the delay of a wire."""
    assert together.latency.count == round(PLAN.rate * PLAN.seconds)
    fastest = together.latency.quantile_ms(0.0001)
    assert fastest is not None
    assert fastest >= 2 * PLAN.delay_ms


def test_one_alone_does_again_what_it_did_among_the_others(
    together: Together, alone: Alone
) -> None:
    """Otherwise its cost would be that of some other work."""
    assert alone.meter.counts == together.meters[0].counts
    assert (alone.height, alone.state_root) == (together.height, together.state_roots[-1])


def test_every_part_of_the_work_is_in_the_cost(together: Together, alone: Alone) -> None:
    document = cell(PLAN, together, alone)
    assert document["check"]["ok"] is True
    assert set(document["parts"]) == set(PARTS)
    assert all(part["us_per_tx"] > 0 for part in document["parts"].values())
    total = sum(part["us_per_tx"] for part in document["parts"].values())
    assert total == pytest.approx(document["cpu_us_per_tx"], rel=0.01)
    sent = document["sent"]
    assert sent["messages_per_block"] >= 3  # to each of three peers
    assert sent["bytes_per_tx"] > 3 * 700  # every batch goes to three peers


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"settled": 1}, "settled"),
        ({"unexpected": 2}, "foretold"),
        ({"height": 10_000}, "alone"),
        ({"state_roots": (b"a", b"b", b"a")}, "different states"),
    ],
)
def test_a_network_that_disagrees_is_no_measurement(
    changed: dict[str, object], word: str, together: Together, alone: Alone
) -> None:
    found = cell(PLAN, replace(together, **changed), alone)  # type: ignore[arg-type]
    assert any(word in complaint for complaint in found["check"]["complaints"])
    result = {"cells": [found], "processes": []}
    assert not is_sound(result)


def test_growth_is_of_the_largest_network_by_the_smallest_at_each_delay(
    together: Together, alone: Alone
) -> None:
    one = cell(PLAN, together, alone)
    cells = [
        one | {"validators": size, "delay_ms": delay_ms, "verifications_per_tx": cost}
        for size, delay_ms, cost in (
            (16, 5.0, 15.0), (4, 5.0, 10.0), (7, 5.0, 30.0), (4, 25.0, 10.0), (16, 25.0, 12.0),
        )
    ]  # fmt: skip
    found = growth(cells)
    assert [(item["delay_ms"], item["from"], item["to"], item["ratio"]) for item in found] == [
        (5.0, 4, 16, 1.5),
        (25.0, 4, 16, 1.2),
    ]


def test_a_page_shows_cells_and_processes(together: Together, alone: Alone) -> None:
    run = {
        "rate": 40.0,
        "seconds": 20,
        "processes": [
            {"name": "v1", "cpu_us_per_tx": 1_000.0, "cpu_part": 0.1},
            {"name": "v2", "cpu_us_per_tx": 3_000.0, "cpu_part": 0.2},
            {"name": "generator", "cpu_us_per_tx": 9.0, "cpu_part": 0.1},
        ],
        "throughput": {"settled_per_s": 40.0},
        "blocks_per_s": 8.0,
        "transactions_per_block": 5.0,
        "latency_ms": {"p50": 20.0, "p99": 50.0},
        "holds": True,
        "complaints": [],
        "check": {"ok": True, "complaints": []},
    }
    measured = process_cell(run, 100_000.0)
    assert measured["cpu_us_per_tx"] == {"mean": 2_000.0, "min": 1_000.0, "max": 3_000.0}
    assert measured["verifications_per_tx"] == 20.0
    result = document(
        [cell(PLAN, together, alone)],
        [measured],
        command=["onward", "bench", "validators"],
        workload="opaque",
        seed=1,
        made_at_ms=1,
    )
    assert is_sound(result)
    text = validators_page(result)
    assert text.count("<svg ") == 6
    assert text.count("<table>") == 2
    assert all(len(row) == len(CELL_HEAD) for row in cell_rows(result))
