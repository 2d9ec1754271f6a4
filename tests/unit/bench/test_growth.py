"""The growth document states each figure once, and its ratio to that of the first chain."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.bench_results import bench_run

from onward.bench.charts import svg
from onward.bench.grown import Grown
from onward.bench.growth import (
    FIGURES,
    FORMAT,
    Measuring,
    Taken,
    document,
    expected_after,
    size_document,
)
from onward.bench.growth_charts import growth_charts, growth_page, growth_table
from onward.cli.bench_growth import _earlier
from onward.cli.output import UsageFault

PLAN = Measuring(workload="isa", in_flight=8, rate=None, seconds=5.0, warm_s=1.0, seed=1)
VERIFIED_US = (100.0, 100.0, 300.0)


def run(rate: float, cpu_us: float | None) -> dict[str, Any]:
    validators = [
        {"name": f"v{n}", "cpu_us_per_tx": cpu_us, "rss_bytes": 10**8, "written_bytes_per_tx": 7e3}
        for n in range(1, 5)
    ]
    generator = {"name": "generator", "cpu_us_per_tx": 1e9}
    return bench_run(rate) | {"processes": [*validators, generator]}


def size(transactions: int, cpu_us: float | None = 500.0, boot_s: float = 1.5) -> dict[str, Any]:
    taken = Taken(
        boot_s=boot_s,
        idle={"cpu_part": 0.01, "rss_bytes": 8e7},
        verified_us=VERIFIED_US,
        closed=run(400.0, cpu_us),
        at_rate=run(200.0, cpu_us),
    )
    grown = Grown(transactions=transactions, height=transactions // 200, added=0, seconds=1.0)
    home = {"transactions": transactions + 1_000, "bytes": 4_000 * (transactions + 1_000)}
    return size_document(grown, taken, home, {"bytes_median": 1_400, "verify_ms_median": 0.7})


def told(*sizes: dict[str, Any]) -> dict[str, Any]:
    return document(
        sizes, command=["onward", "bench", "growth"], plan=PLAN, validators=4, made_at_ms=1
    )


def test_every_figure_of_every_size_has_its_ratio_to_the_first() -> None:
    """A goal is about the ratio: on its own, a figure is the machine's as much as the chain's."""
    found = told(size(0), size(10_000, cpu_us=600.0, boot_s=3.0))
    assert found["format"] == FORMAT
    empty, longer = found["sizes"]
    assert set(empty["figures"]) == set(longer["ratios"]) == set(FIGURES)
    assert set(empty["ratios"].values()) == {1.0}
    assert longer["ratios"]["cpu_us"] == pytest.approx(1.2)
    assert longer["ratios"]["boot_s"] == pytest.approx(2.0)
    assert longer["ratios"]["disk_bytes"] == pytest.approx(1.0)


def test_processor_time_is_counted_in_verifications_of_the_same_run() -> None:
    """With the load generator's in it, or another hour's verifications, it would say nothing."""
    figures = size(0)["figures"]
    assert figures["cpu_us"] == 500.0
    assert figures["cpu_verifications"] == 5.0, "before and after the closed loop: 100 µs"
    assert figures["cpu_verifications_at_rate"] == 2.5, "before and after the fixed rate: 200 µs"


def test_what_nobody_could_measure_is_left_open() -> None:
    """A validator that was gone at the end has no figure; a zero would look like a triumph."""
    found = told(size(0, cpu_us=None), size(10_000))
    assert found["sizes"][0]["figures"]["cpu_us"] is None
    assert found["sizes"][1]["ratios"]["cpu_us"] is None
    assert "</svg>" in growth_page(found)


def test_the_next_closed_loop_is_prepared_for_more_than_the_last_one_took() -> None:
    """One that runs out of transactions measures idle validators."""
    taken = Taken(
        boot_s=1.0, idle={}, verified_us=VERIFIED_US, closed=run(400.0, 1.0), at_rate=run(1.0, 1.0)
    )
    assert expected_after(taken) > 1.5 * 400.0


def test_the_page_shows_every_figure_and_says_what_each_chart_is_about() -> None:
    """A chart without its sentence is read as whatever somebody hopes for."""
    found = told(size(0), size(10_000), size(1_000_000))
    head, rows = growth_table(found)
    assert head == ["", "empty", "10 k", "1 M"]
    assert [row[0] for row in rows] == list(FIGURES.values())
    page = growth_page(found)
    for chart, note in growth_charts(found):
        assert note
        drawn = svg(chart)
        assert drawn in page
        for name in ("empty", "10 k", "1 M"):
            assert f">{name}</text>" in drawn
        places = [x for x, _ in chart.lines[0].points]
        assert places == sorted(set(places)), "one place for each size"


def test_sizes_measured_before_come_first_and_are_not_measured_again(tmp_path: Path) -> None:
    """Half an hour of growing goes between two sizes: the first ones must not be lost with it."""
    file = tmp_path / "growth.json"
    earlier = [{"transactions": 0}, {"transactions": 10_000}]
    file.write_text(json.dumps({"format": FORMAT, "sizes": earlier}), encoding="utf-8")
    assert _earlier(file, (1_000_000,)) == earlier
    assert _earlier(None, (0,)) == []
    with pytest.raises(UsageFault, match="goes up to 10000"):
        _earlier(file, (10_000, 1_000_000))
    file.write_text(json.dumps({"format": "onward/bench/1", "runs": []}), encoding="utf-8")
    with pytest.raises(UsageFault, match="no document"):
        _earlier(file, (1_000_000,))
