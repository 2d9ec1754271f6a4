"""What nodes say of themselves is a hint for whoever looks for time, and never a reason to fail."""

from __future__ import annotations

from onward.bench.counters import growth, parse

PAGE = """\
# HELP onward_bodies_total Executed bodies by outcome
# TYPE onward_bodies_total counter
onward_bodies_total{outcome="accepted"} 12.0
onward_bodies_total{outcome="refused"} 3.0
onward_sync_seconds_sum 0.25
onward_height 7.0
nonsense
"""


def test_a_page_is_read_without_its_labels() -> None:
    assert parse(PAGE) == [
        ("onward_bodies_total", 12.0),
        ("onward_bodies_total", 3.0),
        ("onward_sync_seconds_sum", 0.25),
        ("onward_height", 7.0),
    ]


def test_only_what_grew_is_told() -> None:
    before = {"a_total": 2.0, "b_total": 5.0}
    assert growth(before, {"a_total": 2.5, "b_total": 5.0, "c_total": 1.0}) == {
        "a_total": 0.5,
        "c_total": 1.0,
    }
