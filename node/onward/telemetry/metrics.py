"""Every metric of a node in one table, in a registry of its own.

Names end in their unit. Label values come from closed sets or from the validators' names in the
genesis, never from what a client or a peer sends: a stranger must not be able to grow the page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Thread
from wsgiref.simple_server import WSGIServer

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    start_http_server,
)

_SECONDS = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """What an operator can see of a running node."""

    registry: CollectorRegistry
    height: Gauge
    finalized_height: Gauge
    checkpoint_height: Gauge
    view: Gauge
    lag_blocks: Gauge
    block_time_ms: Gauge
    clock_drift_ms: Gauge
    bodies: Counter
    void_bodies: Counter
    views_nullified: Counter
    accused: Gauge
    happened: Counter
    inputs: Counter
    step_seconds: Histogram
    sync_seconds: Histogram
    verify_seconds: Histogram
    verified_envelopes: Counter
    inbox_events: Gauge
    steps_in_flight: Gauge
    verify_jobs: Gauge
    submissions_in_flight: Gauge
    peer_up: Gauge
    peer_outbox_bytes: Gauge
    peer_dropped: Gauge
    peer_refused: Counter
    peer_faults: Counter


def make_metrics() -> Metrics:
    """A new table, all zero."""
    registry = CollectorRegistry()
    # When each counter began: rows that nobody asks for.
    disable_created_metrics()  # type: ignore[no-untyped-call]

    def gauge(name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"onward_{name}", text, labels, registry=registry)

    def counter(name: str, text: str, *labels: str) -> Counter:
        return Counter(f"onward_{name}", text, labels, registry=registry)

    def seconds(name: str, text: str) -> Histogram:
        return Histogram(f"onward_{name}", text, registry=registry, buckets=_SECONDS)

    return Metrics(
        registry=registry,
        height=gauge("height", "Height of the last executed block"),
        finalized_height=gauge("finalized_height", "Height of the last finalized block"),
        checkpoint_height=gauge("checkpoint_height", "Last height with a certified checkpoint"),
        view=gauge("view", "View that this validator is in"),
        lag_blocks=gauge("lag_blocks", "Finalized blocks that are not executed yet"),
        block_time_ms=gauge("block_time_ms", "UTC time of the last executed block"),
        clock_drift_ms=gauge("clock_drift_ms", "System clock minus the node's own clock"),
        bodies=counter("bodies", "Executed bodies by outcome", "outcome"),
        void_bodies=counter("void_bodies", "Bodies without effect by the lane that sealed", "lane"),
        views_nullified=counter("views_nullified", "Views that ended without a block"),
        accused=gauge("accused", "1 where there is evidence against a validator", "validator"),
        happened=counter("events", "Events of the replica by name", "name"),
        inputs=counter("inputs", "Events that the replica took in, by kind", "event"),
        step_seconds=seconds("step_seconds", "Time in one step of the replica"),
        sync_seconds=seconds("sync_seconds", "Time of one group of writes with its syncs"),
        verify_seconds=seconds("verify_seconds", "Time to verify one batch"),
        verified_envelopes=counter("verified_envelopes", "Envelopes of peers' batches verified"),
        inbox_events=gauge("inbox_events", "Events that wait to be stepped"),
        steps_in_flight=gauge("steps_in_flight", "Steps whose effects wait for the disk"),
        verify_jobs=gauge("verify_jobs", "Batches that wait to be verified"),
        submissions_in_flight=gauge("submissions_in_flight", "Transactions without a verdict"),
        peer_up=gauge("peer_up", "1 while the peer's stream stands", "peer"),
        peer_outbox_bytes=gauge("peer_outbox_bytes", "Bytes that wait for the peer", "peer"),
        peer_dropped=gauge("peer_dropped_messages", "Messages pushed out of the outbox", "peer"),
        peer_refused=counter("peer_refused", "Connections refused or given up"),
        peer_faults=counter("peer_faults", "Streams ended because of what the peer sent", "peer"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsPage:
    """The page at /metrics. `close` blocks until its thread has ended."""

    port: int
    close: Callable[[], None]


def serve_metrics(metrics: Metrics, host: str, port: int) -> MetricsPage:
    """Answer /metrics at `host:port` on a thread of its own. Raises `OSError`."""
    server: WSGIServer
    thread: Thread
    server, thread = start_http_server(port, addr=host, registry=metrics.registry)

    def close() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return MetricsPage(port=server.server_port, close=close)
