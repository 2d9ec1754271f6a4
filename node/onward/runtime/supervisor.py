"""Runs the parts of a node, and takes them apart in the right order.

Up: disk (locked, recovered), ports, driver; health says yes. Down: health says no, clients are
told, their port closes, the driver finishes what it has stepped, then peers, then the disk. A part
that fails ends the others, and its error is the node's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from onward import limits
from onward.errors import DivergenceError, OnwardError
from onward.execution.body import ContractFor
from onward.ledger.store import Store
from onward.replica.effects import Boot
from onward.rpc import tls
from onward.rpc.peers import SERVER_OPTIONS
from onward.rpc.results import ResultClient, ResultService
from onward.rpc.server import Health, Server, bind, gateway_server, peer_server
from onward.runtime.assembly import Node, assemble
from onward.runtime.clock import Clock
from onward.runtime.divergence import examine, write_report
from onward.runtime.home import NodeHome, mark_begun
from onward.storage.home import open_home
from onward.telemetry.events import Log
from onward.telemetry.metrics import Metrics, make_metrics, serve_metrics
from onward.types import ValidatorIndex
from onward_chaincode.registry import contract_for

_GAUGES_EVERY_S = 0.5
T = TypeVar("T")


class ListenError(OnwardError):
    """An address that this node should listen at is not to be had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where a running node listens."""

    peers: int
    gateway: int
    metrics: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Servers:
    peers: Server
    gateway: Server
    health: Health
    ports: Ports
    close_metrics: Callable[[], None]


class Supervisor:
    """One node, from a home that was read, to its end."""

    may_abstain = True

    def __init__(
        self,
        home: NodeHome,
        log: Log,
        *,
        contracts: ContractFor = contract_for,
        clock: Clock | None = None,
    ) -> None:
        self._home = home
        self._log = log
        self._contracts = contracts
        self._clock = clock or Clock()
        self._stop = asyncio.Event()
        self._listening = asyncio.Event()
        self._ports: Ports | None = None
        self._identity = tls.issue_identity(home.seed)
        self.metrics = make_metrics()
        self.node: Node | None = None  # once it is put together

    def stop(self, reason: str) -> None:
        """Begin to stop cleanly. May be called from a signal handler of the loop."""
        self._log.info("stopping", reason=reason)
        self._stop.set()

    async def ports(self) -> Ports:
        """Where the node listens, once it does."""
        while self._ports is None:
            await self._listening.wait()
        return self._ports

    async def run(self) -> None:
        """Run until `stop`. Raises what ends the node otherwise."""
        chain_id = self._home.genesis.chain_id
        writer = ThreadPoolExecutor(1, thread_name_prefix="disk")
        try:
            disk = await _on(writer, lambda: open_home(self._home.data, chain_id))
            try:
                await _on(writer, lambda: mark_begun(self._home.path))
                boot = await _on(writer, disk.recover)
                self.node = assemble(
                    self._home,
                    disk,
                    writer,
                    identity=self._identity,
                    contracts=self._contracts,
                    clock=self._clock,
                    log=self._log,
                    metrics=self.metrics,
                    may_abstain=self.may_abstain,
                )
                try:
                    await self._run(self.node, boot)
                except* DivergenceError as group:
                    await self._examine(self.node, disk.store, first_of(group))
                    raise
            finally:
                # Waits behind a write that is under way.
                await _on(writer, disk.close)
        finally:
            writer.shutdown(wait=False)
        self._log.info("stopped")

    async def _examine(self, node: Node, store: Store, error: DivergenceError) -> None:
        """Say what exactly this node has computed otherwise, while its disk is still open."""
        members = self._home.seats.members
        peers = [ValidatorIndex(n) for n in range(len(members)) if n != self._home.index]
        try:
            found = await examine(store, error, peers, ResultClient(node.peers))
            if found is None:
                reason = "no peer could show another result"
                self._log.error("divergence_unexplained", reason=reason)
                return
            names = [member.name for member in members]
            file = await asyncio.to_thread(write_report, self._home.path, found, names)
            self._log.error("divergence", reason=found.sentence, report=str(file))
        except Exception as fault:  # noqa: BLE001  # what ends the node is the divergence
            self._log.error("divergence_unexplained", exc_info=fault)

    async def _run(self, node: Node, boot: Boot) -> None:
        servers = await self._listen(node)
        try:
            async with asyncio.TaskGroup() as group:
                driving = group.create_task(node.driver.run(boot), name="driver")
                helping = [
                    group.create_task(node.verifier.run(), name="verifier"),
                    group.create_task(node.peers.run(), name="peers"),
                    group.create_task(self._watch_gauges(node), name="gauges"),
                    group.create_task(node.gateway.blobs.sweep(), name="blobs"),
                ]
                await servers.health.set_serving(serving=True)
                self._ports = servers.ports
                self._listening.set()
                self._log.info(
                    "listening",
                    peers=servers.ports.peers,
                    gateway=servers.ports.gateway,
                    metrics=servers.ports.metrics,
                )
                await self._stop.wait()
                await servers.health.set_serving(serving=False)
                node.inbox.close()
                node.gateway.close()
                await servers.gateway.stop(limits.SHUTDOWN_MS_MAX / 1000)
                node.driver.stop()
                await driving
                for task in helping:
                    task.cancel()
        finally:
            await servers.gateway.stop(0)
            await servers.peers.stop(0)
            await node.gateway.blobs.close()
            await asyncio.to_thread(servers.close_metrics)

    async def _listen(self, node: Node) -> _Servers:
        config = self._home.config
        members = self._home.seats.members
        peers = peer_server(len(members), SERVER_OPTIONS)
        node.peers.register(peers)
        ResultService(node.reads, self._home.seats).register(peers)
        gateway, health = gateway_server(node.gateway)
        try:
            peers_port = bind(
                peers,
                str(config.peers.listen),
                None if config.peers.plaintext else self._identity,
                client_keys=tuple(member.public_key for member in members),
            )
            gateway_port = bind(
                gateway,
                str(config.gateway.listen),
                None if config.gateway.plaintext else self._identity,
            )
            page = await asyncio.to_thread(
                serve_metrics, self.metrics, config.metrics.host, config.metrics.port
            )
        except OSError as error:
            await peers.stop(0)
            await gateway.stop(0)
            raise ListenError(str(error)) from error
        await peers.start()
        await gateway.start()
        return _Servers(
            peers=peers,
            gateway=gateway,
            health=health,
            ports=Ports(peers=peers_port, gateway=gateway_port, metrics=page.port),
            close_metrics=page.close,
        )

    async def _watch_gauges(self, node: Node) -> None:
        """Copy what nobody counts into the metrics, twice a second."""
        names = [member.name for member in self._home.seats.members]
        while True:
            _copy_gauges(self.metrics, node, names)
            self.metrics.clock_drift_ms.set(self._clock.drift_ms())
            await asyncio.sleep(_GAUGES_EVERY_S)


def _copy_gauges(metrics: Metrics, node: Node, names: list[str]) -> None:
    replica = node.replica
    metrics.height.set(replica.height)
    metrics.finalized_height.set(replica.finalized_height)
    metrics.checkpoint_height.set(replica.checkpoint_height)
    metrics.lag_blocks.set(replica.finalized_height - replica.height)
    metrics.view.set(replica.view)
    metrics.inbox_events.set(len(node.inbox))
    metrics.submissions_in_flight.set(node.gateway.in_flight)
    for index, name in enumerate(names):
        if index != node.home.index:
            peer = ValidatorIndex(index)
            metrics.peer_outbox_bytes.labels(name).set(node.peers.outbox_bytes(peer))
            metrics.peer_dropped.labels(name).set(node.peers.dropped(peer))


def first_of(group: BaseExceptionGroup[DivergenceError]) -> DivergenceError:
    """The first error of a group, however deep it stands."""
    first = group.exceptions[0]
    return first_of(first) if isinstance(first, BaseExceptionGroup) else first


async def _on(executor: Executor, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(executor, work)
