"""The parts of one node, put together; nothing runs yet."""

from __future__ import annotations

import secrets
from concurrent.futures import Executor
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from onward.consensus.messages import Packet, PeerMessage
from onward.crypto.signing import SigningKey, verify
from onward.errors import CorruptionError, DivergenceError, InvariantError
from onward.execution.body import ContractFor
from onward.gateway.door import Gateway
from onward.gateway.ports import DoorSettings
from onward.ledger.chain import read_block, read_tip
from onward.replica.answers import NodeStatus, PeerStatus
from onward.replica.effects import PeerDown, PeerUp
from onward.replica.replica import Replica, ReplicaConfig
from onward.rpc.peers import PeerNetwork, PeerSettings
from onward.rpc.tls import TlsIdentity
from onward.runtime.clock import Clock
from onward.runtime.driver import Driver, DriverPorts
from onward.runtime.home import NodeHome
from onward.runtime.inbox import Inbox
from onward.runtime.reads import NodeReads
from onward.runtime.verification import LoopVerifier
from onward.storage.catch_up import chain_page
from onward.storage.disk import NodeDisk
from onward.telemetry.events import EventSink, Log
from onward.telemetry.metrics import Metrics
from onward.types import Digest, ValidatorIndex


def _program_version() -> str:
    """The version of the distribution; 0 where it runs without being installed."""
    try:
        return version("onward-ledger")
    except PackageNotFoundError:
        return "0"


VERSION = _program_version()


class PeerWatch:
    """`rpc.ports.PeerEvents`: what happens on the links, on its way to the inbox and the log."""

    def __init__(self, inbox: Inbox, log: Log, metrics: Metrics, names: tuple[str, ...]) -> None:
        self._inbox = inbox
        self._log = log
        self._metrics = metrics
        self._names = names
        self.heights: dict[ValidatorIndex, int] = {}

    def peer_up(self, peer: ValidatorIndex) -> None:
        """Tell the replica."""
        self._log.info("peer_up", peer=self._names[peer])
        self._metrics.peer_up.labels(self._names[peer]).set(1)
        self._inbox.tell(PeerUp(peer=peer))

    def peer_down(self, peer: ValidatorIndex) -> None:
        """Tell the replica."""
        self._log.info("peer_down", peer=self._names[peer])
        self._metrics.peer_up.labels(self._names[peer]).set(0)
        self._inbox.tell(PeerDown(peer=peer))

    async def received(self, peer: ValidatorIndex, message: PeerMessage, size: int) -> None:
        """Queue a message; returns when the peer may send its next one."""
        if isinstance(message, Packet):
            self.heights[peer] = max(message.height, self.heights.get(peer, 0))
        await self._inbox.receive(peer, message, size)

    def failed(self, error: Exception) -> None:
        """End the node, or log a bug that only one request met."""
        if isinstance(error, CorruptionError | DivergenceError | InvariantError):
            self._inbox.fail(error)
        else:
            self._log.error("request_failed", exc_info=error)

    def peer_refused(self, where: str, reason: str) -> None:
        """Log a connection that was refused or given up."""
        self._metrics.peer_refused.inc()
        self._log.debug("peer_refused", where=where, reason=reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """All parts of a node that is not running yet."""

    home: NodeHome
    replica: Replica
    inbox: Inbox
    watch: PeerWatch
    peers: PeerNetwork
    reads: NodeReads
    gateway: Gateway
    verifier: LoopVerifier
    driver: Driver


def assemble(
    home: NodeHome,
    disk: NodeDisk,
    writer: Executor,
    *,
    identity: TlsIdentity,
    contracts: ContractFor,
    clock: Clock,
    log: Log,
    metrics: Metrics,
) -> Node:
    """Put a node together on a disk that was recovered. Raises `CorruptionError`."""
    genesis = home.genesis
    signer = SigningKey(home.seed)
    replica = Replica(
        ReplicaConfig(
            genesis=genesis, me=home.index, signer=signer, verify=verify, contract_for=contracts
        ),
        disk.store,
    )
    inbox = Inbox()
    watch = PeerWatch(inbox, log, metrics, _names(home))
    settings = PeerSettings(
        chain_id=genesis.chain_id,
        validators=genesis.validators,
        index=home.index,
        signer=signer,
        verify=verify,
        addresses=_addresses(home),
        tls=None if home.config.peers.plaintext else identity,
        nonce=lambda: secrets.token_bytes(32),
    )
    peers = PeerNetwork(settings, watch)
    status = StatusReport(home, replica, disk, peers, watch)
    reads = NodeReads(disk, contracts, now_ms=clock.now_ms, status=status.read)
    door = DoorSettings(
        chain_id=genesis.chain_id,
        node=signer.public_key,
        verify=verify,
        now_ms=clock.now_ms,
        monotonic_ms=clock.monotonic_ms,
    )
    gateway = Gateway(door, reads, inbox, watch.failed)
    verifier = LoopVerifier(
        chain_id=genesis.chain_id, verify=verify, answer=inbox.tell, metrics=metrics
    )
    ports = DriverPorts(
        machine=replica,
        disk=disk,
        writer=writer,
        inbox=inbox,
        peers=peers,
        clients=gateway,
        verifier=verifier,
        chain_page=lambda height: chain_page(disk, height),
        clock=clock,
        events=EventSink(log, metrics),
        metrics=metrics,
    )
    return Node(
        home=home,
        replica=replica,
        inbox=inbox,
        watch=watch,
        peers=peers,
        reads=reads,
        gateway=gateway,
        verifier=verifier,
        driver=Driver(ports),
    )


class StatusReport:
    """How one node is doing, put together when somebody asks."""

    def __init__(
        self,
        home: NodeHome,
        replica: Replica,
        disk: NodeDisk,
        peers: PeerNetwork,
        watch: PeerWatch,
    ) -> None:
        self._home = home
        self._replica = replica
        self._disk = disk
        self._peers = peers
        self._watch = watch

    def read(self) -> NodeStatus:
        """The executed tip, consensus and peers, as they are now."""
        tip = read_tip(self._disk.store)
        block = None if tip is None else read_block(self._disk.store, tip.height)
        if tip is None or block is None:
            raise CorruptionError("the database holds no executed block")
        home, replica = self._home, self._replica
        return NodeStatus(
            network=home.genesis.network,
            chain_id=home.genesis.chain_id,
            validator=home.config.name,
            index=home.index,
            height=tip.height,
            state_root=Digest(block.state_root),
            time_ms=tip.time_ms,
            epoch=home.genesis.validators.epoch,
            view=replica.view,
            finalized_height=replica.finalized_height,
            checkpoint_height=replica.checkpoint_height,
            version=VERSION,
            peers=tuple(
                PeerStatus(
                    validator=name,
                    index=index,
                    up=self._peers.is_up(ValidatorIndex(index)),
                    height=self._watch.heights.get(ValidatorIndex(index), 0),
                )
                for index, name in enumerate(_names(home))
                if index != home.index
            ),
        )


def _names(home: NodeHome) -> tuple[str, ...]:
    return tuple(member.name for member in home.genesis.validators.members)


def _addresses(home: NodeHome) -> tuple[str, ...]:
    """By validator index; our own is never dialed and may be missing."""
    known = {name: str(address) for name, address in home.config.peers.addresses}
    return tuple(known.get(name, "") for name in _names(home))
