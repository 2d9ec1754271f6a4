from __future__ import annotations

import json
import urllib.request
from dataclasses import fields
from io import StringIO

from prometheus_client import generate_latest

from onward.replica.effects import Happened
from onward.telemetry.events import EventSink, make_log
from onward.telemetry.metrics import Metrics, make_metrics, serve_metrics


def test_log_line_is_one_json_object_with_the_events_fields() -> None:
    stream = StringIO()
    log = make_log("info", stream=stream, node="v1")
    sink = EventSink(log, make_metrics())
    sink.happened([Happened(name="misbehaved", fields=(("peer", 2), ("reason", "forged\nvote")))])
    (line,) = stream.getvalue().splitlines()
    entry = json.loads(line)
    assert entry["event"] == "misbehaved"
    assert entry["level"] == "warning"
    assert (entry["node"], entry["peer"], entry["reason"]) == ("v1", 2, "forged\nvote")


def test_what_happens_in_every_view_is_for_debugging_only() -> None:
    stream = StringIO()
    metrics = make_metrics()
    EventSink(make_log("info", stream=stream), metrics).happened([Happened(name="finalized")])
    assert stream.getvalue() == ""
    assert b'onward_events_total{name="finalized"} 1.0' in generate_latest(metrics.registry)


def test_page_shows_every_metric_of_the_table() -> None:
    metrics = make_metrics()
    page = serve_metrics(metrics, "127.0.0.1", 0)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{page.port}/metrics") as reply:
            shown = reply.read().decode()
    finally:
        page.close()
    metrics.height.set(7)
    assert "onward_height 7.0" in generate_latest(metrics.registry).decode()
    names = {field.name for field in fields(Metrics)} - {"registry"}
    missing = {name for name in names if getattr(metrics, name)._name not in shown}
    assert not missing


def test_page_has_no_row_that_the_document_does_not_name() -> None:
    """The library adds when each counter began: as many rows again."""
    metrics = make_metrics()
    metrics.happened.labels("fetch").inc()
    assert b"_created" not in generate_latest(metrics.registry)


def test_two_nodes_of_one_process_count_apart() -> None:
    one, two = make_metrics(), make_metrics()
    one.height.set(1)
    assert b"onward_height 0.0" in generate_latest(two.registry)
