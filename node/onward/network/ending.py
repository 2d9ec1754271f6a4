"""How a program that owns processes ends: in order, so that they end with it.

A signal unwinds the program. Within an event loop it cancels the work instead: an exception that a
handler raises in the middle of a call into gRPC crashes the process.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Coroutine
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")


def unwind_on_signals() -> None:
    """From now on SIGTERM, and a terminal's end unless ignored, raise `SystemExit`: 128 + number.

    To be called in the main thread, and before the first process is started.
    """
    for number in _ending_signals():
        signal.signal(number, _unwind)


def in_order(work: Coroutine[Any, Any, T]) -> T:
    """Run in the main thread; an ending signal or Ctrl-C cancels.

    Raises `SystemExit` with 128 + the signal's number, or what `work` raises.
    """
    came: list[int] = []

    async def run() -> T:
        running = asyncio.current_task()

        def end(number: int) -> None:
            came.append(number)
            if running is not None:
                running.cancel()

        for number in _ending_signals():
            asyncio.get_running_loop().add_signal_handler(number, end, number)
        return await work

    try:
        return asyncio.run(run())
    except asyncio.CancelledError:
        if not came:
            raise
        sys.exit(128 + came[0])
    finally:
        unwind_on_signals()  # the loop has put back the defaults


def _ending_signals() -> tuple[signal.Signals, ...]:
    ending = (signal.SIGTERM, signal.SIGHUP)
    return tuple(item for item in ending if signal.getsignal(item) is not signal.SIG_IGN)


def _unwind(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)
