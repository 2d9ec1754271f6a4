"""What befalls validators of a real network, and how it ends."""

from __future__ import annotations

import os
import signal
from collections.abc import Collection
from enum import StrEnum
from pathlib import Path

from tests.support.namespaced_network import NamespacedNetwork
from tests.support.real_network import RealNetwork

from onward.errors import Unavailable
from onward.network import processes


class Outage(StrEnum):
    """Ways for validators to be away."""

    KILL = "kill"  # SIGKILL, and a new process later
    FREEZE = "freeze"  # SIGSTOP, and SIGCONT later
    CUT = "cut"  # nobody reaches them, clients neither
    SPLIT = "split"  # they reach each other only; clients reach everybody


ON_CABLES = frozenset({Outage.CUT, Outage.SPLIT})
"""These take network namespaces."""


def network_for(outage: Outage, folder: Path, *, validators: int = 4) -> RealNetwork:
    """A network to which this can happen."""
    kind = NamespacedNetwork if outage in ON_CABLES else RealNetwork
    return kind(folder, validators=validators)


async def begin(network: RealNetwork, outage: Outage, indexes: Collection[int]) -> None:
    """It happens to these validators."""
    match outage:
        case Outage.KILL:
            await network.kill(*(network.nodes[index] for index in indexes))
        case Outage.FREEZE:
            _tell(network, indexes, signal.SIGSTOP)
        case Outage.CUT:
            _cabled(network).cables.cut_off(*indexes)
        case Outage.SPLIT:
            _cabled(network).cables.split(*indexes)


async def end(network: RealNetwork, outage: Outage, indexes: Collection[int]) -> None:
    """It is over. Killed validators are started; whether they are back is another question."""
    match outage:
        case Outage.KILL:
            for index in indexes:
                network.launch(network.nodes[index])
        case Outage.FREEZE:
            _tell(network, indexes, signal.SIGCONT)
        case Outage.CUT | Outage.SPLIT:
            _cabled(network).cables.heal()


def process_ids(network: RealNetwork) -> tuple[int | None, ...]:
    """Who runs: the same before and after says that nobody was started again."""
    found = [processes.running(node) for node in network.nodes]
    return tuple(None if process is None else process.pid for process in found)


def _tell(network: RealNetwork, indexes: Collection[int], number: signal.Signals) -> None:
    for index in indexes:
        process = processes.running(network.nodes[index])
        if process is None:
            raise Unavailable(f"{network.nodes[index].name} does not run")
        os.kill(process.pid, number)


def _cabled(network: RealNetwork) -> NamespacedNetwork:
    if not isinstance(network, NamespacedNetwork):
        raise TypeError("cables are pulled in a NamespacedNetwork only")
    return network
