"""What the measuring commands share: what they tell people, how they end, what they leave.

A measurement owns processes. A signal has to unwind it, so that they end with it.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import click

from onward.cli.output import Exit
from onward.demo.perform import ending_signals

_TOLD_EVERY_S = 5.0

T = TypeVar("T")


class Progress:
    """What is going on, on stderr: one line that is written anew, or a line now and then."""

    def __init__(self) -> None:
        self._alive = sys.stderr.isatty()
        self._next_s = 0.0

    def __call__(self, text: str) -> None:
        """Something goes on; at most every few seconds where lines stay."""
        now_s = time.monotonic()
        if self._alive:
            click.echo(f"\r\x1b[K{text}", err=True, nl=False)
        elif now_s >= self._next_s:
            self._next_s = now_s + _TOLD_EVERY_S
            click.echo(text, err=True)

    def told(self, sentence: str) -> None:
        """Something is over: a line that stays."""
        self.done()
        click.echo(sentence, err=True)
        self._next_s = 0.0

    def done(self) -> None:
        """Leave no line behind."""
        if self._alive:
            click.echo("\r\x1b[K", err=True, nl=False)


def write_result(
    result: dict[str, Any], page: str, *, out: Path | None, charts: Path | None
) -> None:
    """Leave the document and the page of charts where they are asked for."""
    if out is not None:
        out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if charts is not None:
        charts.write_text(page, encoding="utf-8")


def unwind_on_signals() -> None:
    """A signal unwinds, so that the processes of the network end with us."""
    for number in ending_signals():
        signal.signal(number, _end_in_order)


def _end_in_order(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def in_order(work: Coroutine[Any, Any, T]) -> T:
    """Run, and let a signal cancel: one that unwound in the middle of a call would crash gRPC."""
    came: list[int] = []

    async def run() -> T:
        running = asyncio.current_task()

        def end(number: int) -> None:
            came.append(number)
            if running is not None:
                running.cancel()

        for number in ending_signals():
            asyncio.get_running_loop().add_signal_handler(number, end, number)
        return await work

    try:
        return asyncio.run(run())
    except asyncio.CancelledError:
        sys.exit(128 + came[0] if came else Exit.UNAVAILABLE)
    finally:
        unwind_on_signals()
