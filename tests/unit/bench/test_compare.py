"""Ratios with their spread, and charts that say what the numbers say."""

from __future__ import annotations

import copy
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from tests.support.bench_results import bench_result, bench_run

from onward.bench import charts
from onward.bench.charts import Chart, Line, page, svg, ticks
from onward.bench.compare import compare
from onward.bench.report import check_document
from onward.errors import MalformedError


def figure(found: dict[str, Any], name: str) -> dict[str, Any]:
    return next(row for row in found["figures"] if row["name"] == name)


def test_a_real_gain_is_told_from_the_machine_s_unrest() -> None:
    faster = figure(compare(bench_result(1_000), bench_result(1_300, seed=9)), "settled per second")
    assert 1.2 < faster["interval"][0] < faster["ratio"] < faster["interval"][1] < 1.4
    same = figure(compare(bench_result(1_000), bench_result(1_000, seed=9)), "settled per second")
    assert same["interval"][0] < 1 < same["interval"][1]


def test_the_same_two_documents_give_the_same_comparison() -> None:
    documents = bench_result(1_000), bench_result(1_300, seed=9)
    assert compare(*documents) == compare(*copy.deepcopy(documents))


def test_what_was_not_measured_is_not_compared() -> None:
    names = [row["name"] for row in compare(bench_result(1_000), bench_result(1_000))["figures"]]
    assert "CPU µs/tx, validators" in names
    assert "CPU µs/tx, generator" not in names


def test_a_faster_machine_is_pointed_out() -> None:
    """Twice the throughput on twice the machine is no gain."""
    other = bench_result(1_000)
    other["runs"][-1]["verify"]["limit_per_s"] = 6_000.0
    notes = compare(bench_result(1_000), other)["notes"]
    assert any("compare the limit ratio" in note for note in notes)


def test_a_host_that_took_processors_away_is_pointed_out() -> None:
    """Latencies and rates of such a run say nothing of ours."""
    calm, other = bench_result(1_000), bench_result(1_000)
    calm["runs"][-1]["host_taken"] = 0.0
    other["runs"][-1]["host_taken"] = 0.3
    assert not compare(calm, calm)["notes"]
    assert any("the host took 0% and 30%" in note for note in compare(calm, other)["notes"])


def test_of_a_document_that_does_not_know_what_the_host_took_nothing_is_told() -> None:
    """Older documents do not say, and where the kernel does not, newer ones cannot."""
    older, unknown, other = bench_result(1_000), bench_result(1_000), bench_result(1_000)
    unknown["runs"][-1]["host_taken"] = None
    other["runs"][-1]["host_taken"] = 0.3
    found = compare(older, unknown)
    assert found["before"]["host_taken"] is found["after"]["host_taken"] is None
    assert not found["notes"]
    (note,) = compare(older, other)["notes"]
    assert "the host took an unknown part and 30% of the processors" in note


@pytest.mark.parametrize("missing", ["machine", "limit_ratio", "runs"])
def test_a_document_that_lacks_something_is_refused(missing: str) -> None:
    document = bench_result(1_000)
    del document[missing]
    with pytest.raises(MalformedError, match=missing):
        check_document(document)


def test_a_run_that_lacks_something_is_refused() -> None:
    document = bench_result(1_000)
    del document["runs"][0]["check"]
    with pytest.raises(MalformedError, match=r"runs\[0\]\.check"):
        check_document(document)


def test_a_page_of_charts_is_whole_and_needs_nothing_from_elsewhere() -> None:
    text = page([bench_result(100, 500, 1_000)])
    assert text.count("<svg ") == 4
    assert "&lt;cpu&gt;" in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    for part in text.split("<svg ")[1:]:
        ET.fromstring("<svg " + part.partition("</svg>")[0] + "</svg>")  # noqa: S314


def test_what_is_due_is_drawn_beside_what_was_settled_of_it_in_one_unit() -> None:
    """A rate counts envelopes: beside transactions, ten to one, each would seem to hold."""
    run = bench_run(100)
    run["throughput"]["settled_per_s"] = 850.0
    (settled,), (due,) = (line.points for line in charts._throughput_by_rate([run]).lines)
    assert settled == due
    del run["throughput"]["envelopes_per_s"]  # of before they were counted apart
    run["throughput"]["settled_per_s"] = 90.0
    (settled,), _ = (line.points for line in charts._throughput_by_rate([run]).lines)
    assert settled == (100, 90)


def test_higher_values_are_drawn_higher_and_inside_of_the_picture() -> None:
    chart = Chart(
        title="t",
        x_label="x",
        y_label="y",
        lines=(Line(name="a", points=((0, 1), (5, 10), (10, 3))),),
    )
    root = ET.fromstring(svg(chart))  # noqa: S314
    circles = root.findall("{http://www.w3.org/2000/svg}circle")
    heights = [float(circle.get("cy", "0")) for circle in circles]
    assert heights[1] < heights[2] < heights[0]
    assert all(0 < height < 320 for height in heights)


@pytest.mark.parametrize("highest", [0.003, 1, 7.2, 99, 100, 1_234, 50_000])
def test_ticks_are_few_and_reach_the_highest_value(highest: float) -> None:
    found = ticks(highest)
    assert found[0] == 0
    assert found[-2] < highest <= found[-1] * 1.000001
    assert len(found) <= 8
