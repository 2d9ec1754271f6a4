"""Starts, runs and stops one node.

A node is a driver and what it serves: links to peers, the gateway, the verifier, the metrics page.
They live in one task group: when one of them fails, the node ends, with an exit code that says why.

    0   stopped as asked          65  the disk contradicts itself
    2   home or configuration     70  a bug
    3   address or home in use    74  the disk failed
                                  76  diverged from what a quorum certified
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from enum import IntEnum
from pathlib import Path

import uvloop

from onward.errors import (
    CorruptionError,
    DivergenceError,
    MalformedError,
    RejectCode,
    RejectedError,
)
from onward.runtime.home import NodeHome, read_home
from onward.runtime.supervisor import ListenError, Supervisor
from onward.telemetry.events import Log, make_log

_SWITCH_INTERVAL_S = 0.0005
_GC_THRESHOLDS = (50_000, 20, 50)


class Exit(IntEnum):
    """Why a node process ended."""

    STOPPED = 0
    CONFIGURATION = 2
    UNAVAILABLE = 3
    CORRUPTION = 65
    BUG = 70
    DISK = 74
    DIVERGENCE = 76


def run_node(path: Path) -> int:
    """Run the node whose home is `path` until SIGTERM or SIGINT; answers the exit code."""
    # gRPC's own log is for its authors; what an operator needs is in ours.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # The writer thread asks for the interpreter after each sync; the default makes it wait 5 ms.
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    # What is imported stays, and hardly anything here is a cycle: look rarely, and not at that.
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    log = make_log("info")
    try:
        home = read_home(path)
        log = make_log(home.config.log_level, node=home.config.name)
        # gRPC wakes the loop for each message; this loop takes a third less for that.
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run_until_signalled(home, log))
    except BaseException as error:  # noqa: BLE001  # every way to end gets its line and its code
        return report_end(error, log)
    return Exit.STOPPED


def report_end(error: BaseException, log: Log) -> Exit:
    """Log why a node ends and answer the exit code for it."""
    cause = _first_cause(error)
    code = exit_code(cause)
    if code is Exit.BUG:
        log.error("node_failed", code=int(code), exc_info=cause)
    elif code is Exit.STOPPED:
        log.info("node_interrupted")
    else:
        log.error("node_failed", code=int(code), kind=type(cause).__name__, reason=str(cause))
    return code


def exit_code(cause: BaseException) -> Exit:
    """The exit code that an error stands for."""
    match cause:
        case KeyboardInterrupt():
            return Exit.STOPPED
        case CorruptionError():
            return Exit.CORRUPTION
        case DivergenceError():
            return Exit.DIVERGENCE
        case ListenError():
            return Exit.UNAVAILABLE
        case RejectedError(code=RejectCode.STATE):
            return Exit.UNAVAILABLE
        case MalformedError() | RejectedError():
            return Exit.CONFIGURATION
        case OSError():
            return Exit.DISK
        case _:
            return Exit.BUG


def _first_cause(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _run_until_signalled(home: NodeHome, log: Log) -> None:
    supervisor = Supervisor(home, log)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.stop, signal.Signals(number).name)
    await supervisor.run()
