"""What goes wrong during a run, on purpose: a validator is killed, or frozen, and comes back."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from onward.network.definition import Network
from onward.network.processes import kill, running, start


class FaultKind(StrEnum):
    """What happens to the validator's process."""

    KILL = "kill"  # SIGKILL, and a new process later
    FREEZE = "freeze"  # SIGSTOP, and SIGCONT later


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


async def happen(fault: Fault, network: Network, from_s: float) -> None:
    """Let a fault happen, and end, when it is its time."""
    node = network.node(fault.validator)
    await asyncio.sleep(max(0.0, from_s + fault.at_s - time.monotonic()))
    if fault.kind is FaultKind.KILL:
        await asyncio.to_thread(kill, (node,))
        await asyncio.sleep(fault.for_s)
        start(network, node)
        return
    process = running(node)
    if process is None:
        return
    os.kill(process.pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(fault.for_s)
    finally:
        os.kill(process.pid, signal.SIGCONT)
