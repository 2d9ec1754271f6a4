"""Logs: one JSON object a line on stderr, from typed events and not from sentences.

A replica's `Happened` becomes a line whose `event` is its name; what the node itself has to say
goes through the same logger. Field values are text and numbers, so a line needs no parser of its
own.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

import structlog

from onward.replica.effects import Happened
from onward.telemetry.metrics import Metrics

LEVELS: dict[str, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
Log = structlog.typing.FilteringBoundLogger

# Everything else happens in every view of every day.
_WARNINGS = frozenset({"equivocation", "forgot_vote", "misbehaved"})
_INFOS = frozenset({"caught_up", "nullified"})


def make_log(level: str, *, stream: TextIO | None = None, **bound: str | int) -> Log:
    """A logger that writes JSON lines to `stream` (stderr), each with the `bound` fields."""
    log = structlog.wrap_logger(
        structlog.WriteLogger(stream or sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(sort_keys=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
    )
    bound_log: Log = log.bind(**bound)
    return bound_log


class EventSink:
    """Where a replica's events go: to the log and to the counters."""

    def __init__(self, log: Log, metrics: Metrics) -> None:
        self._log = log
        self._metrics = metrics

    def happened(self, events: Iterable[Happened]) -> None:
        """Log and count each event."""
        for event in events:
            self._metrics.happened.labels(event.name).inc()
            if event.name == "nullified":
                self._metrics.views_nullified.inc()
            fields: Mapping[str, Any] = dict(event.fields)
            if event.name == "void":
                self._metrics.void_bodies.labels(str(fields["lane"])).inc()
            if event.name in _WARNINGS:
                self._log.warning(event.name, **fields)
            elif event.name in _INFOS:
                self._log.info(event.name, **fields)
            else:
                self._log.debug(event.name, **fields)
