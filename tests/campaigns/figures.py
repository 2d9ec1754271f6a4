"""What a campaign tells: progress for people, and figures for people or programs."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from math import ceil
from types import FrameType
from typing import Any


def quantile(values: Sequence[float], percent: int) -> float:
    """The smallest value that at least so many percent of the values do not exceed."""
    return sorted(values)[max(0, ceil(len(values) * percent / 100) - 1)]


def spread(values: Sequence[float]) -> dict[str, float]:
    """How values are distributed, in hundredths."""
    return {
        "p50": round(quantile(values, 50), 2),
        "p99": round(quantile(values, 99), 2),
        "max": round(max(values), 2),
    }


def machine() -> dict[str, Any]:
    """What else the machine has to do matters to every time."""
    return {"processors": os.cpu_count(), "load": round(os.getloadavg()[0], 1)}


def progress(line: str) -> None:
    """A line for who waits; the figures have the other stream for themselves."""
    print(line, file=sys.stderr, flush=True)


def tell(document: dict[str, Any], *, as_json: bool) -> None:
    """The figures, at the end."""
    if as_json:
        print(json.dumps(document, indent=2))
        return
    for name, value in document.items():
        if name != "each":
            print(f"{name}: {value}")


def clean_up_on_sigterm() -> None:
    """Leave through every `with` when asked to end, as for an interrupt."""

    def leave(number: int, _frame: FrameType | None) -> None:
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, leave)
