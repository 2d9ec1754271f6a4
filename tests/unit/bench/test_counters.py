"""What nodes say of themselves is a hint for whoever looks for time, and never a reason to fail."""

from __future__ import annotations

from onward.bench.counters import evidence_on, evidence_since, growth, parse

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


EVIDENCE_PAGE = """
# TYPE onward_events_total counter
onward_events_total{name="finalized"} 900.0
onward_events_total{name="equivocation"} 3.0
onward_events_total{name="misbehaved"} 1.0
onward_events_created{name="equivocation"} 1.7e+09
"""


def test_evidence_is_read_by_its_kind() -> None:
    assert evidence_on(EVIDENCE_PAGE) == {
        "equivocation": 3.0,
        "evidence": 0.0,
        "lane_forked": 0.0,
        "misbehaved": 1.0,
    }


def test_a_validator_that_was_started_anew_has_found_what_it_counts_now() -> None:
    """Its counters began at 0: a difference would say that it found less than nothing."""
    before = {"v1": {"equivocation": 5.0}, "v2": {"equivocation": 5.0}}
    after = {"v1": {"equivocation": 7.0}, "v2": {"equivocation": 1.0}, "v3": {"equivocation": 2.0}}
    assert evidence_since(before, after) == {
        "v1": {"equivocation": 2.0},
        "v2": {"equivocation": 1.0},
        "v3": {"equivocation": 2.0},
    }
    assert set(evidence_since(before, after, without=frozenset({"v2"}))) == {"v1", "v3"}
