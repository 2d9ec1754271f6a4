"""What a node remembers for whoever asks how it is doing."""

from __future__ import annotations

import io

from onward.replica.effects import Happened
from onward.runtime.reporting import RecentEvents
from onward.telemetry.events import make_log
from onward.telemetry.metrics import make_metrics

FINALIZED = Happened(name="finalized", fields=(("height", 3), ("view", 4), ("batches", 0)))
NOT_VOTED = Happened(name="not_voted", fields=(("verdict", "not_now"), ("reason", "9000 ms ahead")))


def test_recent_events_keep_the_age_of_the_last_block_and_of_the_last_refusal() -> None:
    """Without the age, "no block" cannot be told from "no block yet"."""
    now_ms = [1_000]
    metrics = make_metrics()
    events = RecentEvents(make_log("info", stream=io.StringIO()), metrics, lambda: now_ms[0])
    assert (events.finalized_ago_ms, events.not_voted, events.not_voted_ago_ms) == (None, "", 0)
    events.happened(iter((FINALIZED, NOT_VOTED)))
    now_ms[0] += 700
    assert (events.finalized_ago_ms, events.not_voted_ago_ms) == (700, 700)
    assert events.not_voted == "9000 ms ahead"
    events.happened((FINALIZED,))
    assert (events.finalized_ago_ms, events.not_voted_ago_ms) == (0, 700)
    now_ms[0] += 100
    events.happened((Happened(name="caught_up", fields=(("height", 9), ("blocks", 2))),))
    assert events.finalized_ago_ms == 0  # who has no vote hears of blocks by pages alone
    counted = metrics.registry.get_sample_value("onward_events_total", {"name": "finalized"})
    assert counted == 2
