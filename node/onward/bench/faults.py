"""What goes wrong during a run, on purpose, to one validator; afterwards it is as it was.

A lying validator is another program than a node (`equivocator`): `prepare` puts it in the node's
place before the load begins, and a signal each makes it lie and stop lying.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from onward.errors import Unavailable
from onward.network.definition import Network, NodePlace
from onward.network.processes import NodeProcess, kill, running, start, stop

BEGIN_LYING, END_LYING = signal.SIGUSR1, signal.SIGUSR2
LIES_NAME = "lies.json"
"""In the liar's home: how often it lied, by the kind of lie."""

SLOW_PERIOD_S = 0.1
SLOW_STOPPED_S = 0.08
_LIES_S_MAX = 5.0
_LOOK_S = 0.05


class FaultKind(StrEnum):
    """What happens to the validator's process."""

    KILL = "kill"  # SIGKILL, and a new process later
    FREEZE = "freeze"  # SIGSTOP, and SIGCONT later
    SLOW = "slow"  # stopped for 80 of every 100 ms
    EQUIVOCATE = "equivocate"  # two blocks in one view, and votes that exclude each other


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault. Times are seconds from the beginning of the measured time."""

    kind: FaultKind
    validator: str
    at_s: float
    for_s: float

    def as_json(self) -> dict[str, Any]:
        """For the result document."""
        return {
            "kind": str(self.kind),
            "validator": self.validator,
            "at_s": self.at_s,
            "for_s": self.for_s,
        }


def liars(faults: Sequence[Fault]) -> frozenset[str]:
    """The validators whose word is worth nothing."""
    return frozenset(item.validator for item in faults if item.kind is FaultKind.EQUIVOCATE)


def liar_command(home: Path) -> list[str]:
    """The command line of the program that stands in for the node of a home."""
    program = [sys.executable, "-P", "-m", "onward.bench.equivocator"]
    return [*program, "--home", str(home.resolve())]


def prepare(faults: Sequence[Fault], network: Network) -> None:
    """Put the program that can lie in the place of each node that will. Raises `Unavailable`."""
    for name in sorted(liars(faults)):
        node = network.node(name)
        if stop((node,)):
            raise Unavailable(f"{name}: its process does not end")
        (node.home / LIES_NAME).unlink(missing_ok=True)
        start(network, node, line=liar_command(node.home))


async def happen(fault: Fault, network: Network, from_s: float) -> dict[str, Any]:
    """Let a fault happen, and end, when it is its time; answers what is to be said of it."""
    node = network.node(fault.validator)
    await asyncio.sleep(max(0.0, from_s + fault.at_s - time.monotonic()))
    match fault.kind:
        case FaultKind.KILL:
            await asyncio.to_thread(kill, (node,))
            await asyncio.sleep(fault.for_s)
            start(network, node)
            return {}
        case FaultKind.FREEZE:
            return await _held(node, fault.for_s, stopped_s=fault.for_s, period_s=fault.for_s)
        case FaultKind.SLOW:
            return await _held(node, fault.for_s, stopped_s=SLOW_STOPPED_S, period_s=SLOW_PERIOD_S)
        case FaultKind.EQUIVOCATE:
            return await _lie(fault, network, node)


async def _held(
    node: NodePlace, for_s: float, *, stopped_s: float, period_s: float
) -> dict[str, Any]:
    """Stop the process for a part of each period; whatever happens, it goes on at the end."""
    process = running(node)
    if process is None:
        return {"stopped_s": 0.0}
    began_s, held_s = time.monotonic(), 0.0
    until_s = began_s + for_s
    try:
        while (now_s := time.monotonic()) < until_s and running(node) == process:
            _tell(process, signal.SIGSTOP)
            await asyncio.sleep(min(stopped_s, until_s - now_s))
            _tell(process, signal.SIGCONT)
            held_s += time.monotonic() - now_s
            await asyncio.sleep(max(0.0, min(now_s + period_s, until_s) - time.monotonic()))
    finally:
        _tell(process, signal.SIGCONT)
    return {"stopped_s": round(held_s, 2)}


async def _lie(fault: Fault, network: Network, node: NodePlace) -> dict[str, Any]:
    """Have it lie for a time. A liar that fell over its own lies comes back as an honest node."""
    process = running(node)
    if process is not None:
        _tell(process, BEGIN_LYING)
    try:
        await asyncio.sleep(fault.for_s)
    finally:
        if process is not None:
            _tell(process, END_LYING)
    lies = await asyncio.to_thread(_lies, node)
    fell = running(node) is None
    if fell:
        start(network, node)
    return {"lies": lies, "fell_over": fell}


def _lies(node: NodePlace) -> dict[str, int]:
    """How often it lied, by the kind of lie; empty where it does not say."""
    file = node.home / LIES_NAME
    deadline = time.monotonic() + _LIES_S_MAX
    while not file.exists() and running(node) is not None and time.monotonic() < deadline:
        time.sleep(_LOOK_S)
    try:
        found: dict[str, int] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def _tell(process: NodeProcess, number: int) -> None:
    try:
        os.kill(process.pid, number)
    except ProcessLookupError:
        return
