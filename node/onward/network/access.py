"""Reaching a network's validators as a client does."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from onward.errors import OnwardError, Unavailable
from onward.ledger.genesis import Genesis
from onward.network.definition import Network, NodePlace
from onward.network.looking import read_config
from onward.network.processes import last_words, running
from onward.replica.answers import NodeStatus
from onward.rpc.client import Client, Endpoint
from onward.types import PublicKey

READY_S_MAX = 30
_POLL_S = 0.1
_STATUS_MS = 1_000
_CONNECT_S = 1.0
_KEY = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeReport:
    """One validator as it is seen from outside: `pid` and `status` None where there is none.

    `index`: its place in the genesis, which is its number at every node.
    """

    node: NodePlace
    index: int
    pid: int | None
    status: NodeStatus | None


def now_ms() -> int:
    """The time of this machine, UTC."""
    return time.time_ns() // 1_000_000


def endpoints(network: Network) -> tuple[Endpoint, ...]:
    """Where the validators listen for clients, in the genesis' order."""
    return tuple(
        Endpoint(address=str(node.gateway), public_key=member.public_key)
        for node, member in zip(network.nodes, network.genesis.validators.members, strict=True)
    )


def endpoints_at(
    address: str, genesis: Genesis, further: Iterable[tuple[str, bytes]] = ()
) -> tuple[Endpoint, ...]:
    """One address at which a machine listens whose key is known; `name@host:port` says which.

    Known are the genesis' validators and those `further` ones; `key@host:port`, with the key in 64
    hex digits, needs neither. Without a name every key is tried: only the right one completes a
    handshake.
    """
    name, at, place = address.rpartition("@")
    if _KEY.fullmatch(name):
        return (Endpoint(address=place, public_key=PublicKey(bytes.fromhex(name))),)
    known = [(item.name, bytes(item.public_key)) for item in genesis.validators.members]
    keys = dict.fromkeys(key for called, key in (*known, *further) if not at or called == name)
    return tuple(Endpoint(address=place, public_key=PublicKey(key)) for key in keys)


def further_keys(network: Network) -> tuple[tuple[str, bytes], ...]:
    """Names and keys of machines that the genesis does not name, by the homes' configurations.

    The operators put them there: they are believed as the genesis is.
    """
    configs = (read_config(node.home) for node in network.nodes)
    found = (item for config in configs if config is not None for item in config.peers.keys)
    return tuple(dict.fromkeys((name, bytes(key)) for name, key in found))


def anyone_listens(places: Sequence[Endpoint]) -> bool:
    """Whether at least one of the addresses takes a connection right now."""
    for place in dict.fromkeys(endpoint.address for endpoint in places):
        host, _, port = place.rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_S):
                return True
        except (OSError, ValueError):
            continue
    return False


def connect(network: Network, *, timeout_ms: int = 30_000) -> Client:
    """A client of the network."""
    return Client(
        endpoints(network),
        chain_id=network.genesis.chain_id,
        now_ms=now_ms,
        timeout_ms=timeout_ms,
    )


async def reports(network: Network, client: Client) -> tuple[NodeReport, ...]:
    """How each validator is doing, asked at the same time."""

    async def ask(index: int, node: NodePlace) -> NodeReport:
        process = running(node)
        pid = None if process is None else process.pid
        if pid is None:
            return NodeReport(node=node, index=index, pid=None, status=None)
        try:
            status = await client.status(index, timeout_ms=_STATUS_MS)
        except OnwardError:
            return NodeReport(node=node, index=index, pid=pid, status=None)
        return NodeReport(node=node, index=index, pid=pid, status=status)

    return tuple(
        await asyncio.gather(*(ask(index, node) for index, node in enumerate(network.nodes)))
    )


async def wait_ready(
    network: Network,
    client: Client,
    *,
    nodes: Sequence[NodePlace],
    progress: Callable[[int], None],
    timeout_s: float = READY_S_MAX,
) -> None:
    """Wait until each of `nodes` answers, is connected to all others that run, and has caught up.

    Caught up means: as far as the others were when this began. `progress` is told how many are.
    Raises `Unavailable` when a process ends or time is up.
    """
    names = {node.name for node in nodes}
    deadline = time.monotonic() + timeout_s
    goal: int | None = None
    while True:
        found = await reports(network, client)
        if goal is None:
            heights = [item.status.height for item in found if item.status is not None]
            goal = max(heights, default=None)
        for report in found:
            if report.node.name in names and report.pid is None:
                words = last_words(network, report.node)
                raise Unavailable(f"{report.node.name} ended at once: {words or 'see its log'}")
        up = {report.index for report in found if report.pid is not None}
        ready = [
            report
            for report in found
            if report.node.name in names and _meets(report, up, goal or 0)
        ]
        progress(len(ready))
        if len(ready) == len(names):
            return
        if time.monotonic() > deadline:
            late = sorted(names - {report.node.name for report in ready})
            raise Unavailable(f"not ready within {timeout_s:.0f} s: {', '.join(late)}")
        await asyncio.sleep(_POLL_S)


async def wait_level(
    network: Network, client: Client, *, height: int, timeout_s: float
) -> tuple[NodeReport, ...]:
    """Wait until all validators stand at one height, at least `height`, with one state root.

    Raises `Unavailable` when that does not come true in time.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        found = await reports(network, client)
        places = {
            (report.status.height, report.status.state_root)
            for report in found
            if report.status is not None
        }
        complete = all(report.status is not None for report in found)
        if complete and len(places) == 1 and min(places)[0] >= height:
            return found
        if time.monotonic() > deadline:
            heights = [None if item.status is None else item.status.height for item in found]
            raise Unavailable(f"validators not level within {timeout_s:.0f} s: heights {heights}")
        await asyncio.sleep(_POLL_S)


def _meets(report: NodeReport, up: set[int], goal: int) -> bool:
    """Whether a validator answers from `goal` or above, and is connected to all others that run."""
    if report.status is None or report.status.height < goal:
        return False
    connected = {peer.index for peer in report.status.peers if peer.up}
    return up - {report.index} <= connected
