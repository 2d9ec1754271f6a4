"""What campaigns have in common: some options, the network's folder, how to end, what is told.

Progress is for people; figures, at the end, are for people or programs.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from types import FrameType
from typing import Any


def quantile(values: Sequence[float], percent: int) -> float:
    """The smallest value that at least so many percent of the values do not exceed."""
    return sorted(values)[max(0, ceil(len(values) * percent / 100) - 1)]


def spread(values: Sequence[float]) -> dict[str, float]:
    """How values are distributed, in hundredths; nothing of no values."""
    if not values:
        return {}
    return {
        "p50": round(quantile(values, 50), 2),
        "p99": round(quantile(values, 99), 2),
        "max": round(max(values), 2),
    }


def machine() -> dict[str, Any]:
    """What else the machine has to do matters to every time."""
    return {"processors": os.cpu_count(), "load": round(os.getloadavg()[0], 1)}


def wall_clock() -> str:
    """Now, as the nodes' logs write it: a trial that stands out is looked up there."""
    return datetime.now(UTC).strftime("%H:%M:%S.%f")[:-3]


def at_least_one(text: str) -> int:
    """The value of an option that counts something."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def add_folder(parser: argparse.ArgumentParser) -> None:
    """The option whose value `network_folder` takes."""
    parser.add_argument(
        "--folder", type=Path, help="make the network here and keep it, with its logs"
    )


@contextmanager
def network_folder(kept: Path | None) -> Iterator[Path]:
    """Where the campaign's network goes: the folder to keep, or one that goes at the end."""
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept / "network"
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "network"


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
