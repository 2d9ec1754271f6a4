"""The parts of one node, put together; nothing runs yet."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

from onward.consensus.messages import Packet, PeerMessage
from onward.crypto.signing import SigningKey, verify
from onward.errors import CorruptionError, DivergenceError, InvariantError
from onward.execution.body import ContractFor
from onward.gateway.door import Gateway
from onward.gateway.ports import DoorSettings
from onward.replica.effects import PeerDown, PeerUp
from onward.replica.epochs import EpochMachine
from onward.replica.replica import ReplicaConfig
from onward.rpc.peers import PeerNetwork, PeerSettings
from onward.rpc.tls import TlsIdentity
from onward.runtime.blob_files import BlobFiles
from onward.runtime.clock import Clock
from onward.runtime.driver import Driver, DriverPorts
from onward.runtime.evidence_files import EvidenceFiles
from onward.runtime.home import NodeHome
from onward.runtime.inbox import Inbox
from onward.runtime.reads import NodeReads
from onward.runtime.reporting import Heard, RecentEvents, StatusReport, validator_names
from onward.runtime.verification import LoopVerifier
from onward.storage.catch_up import chain_page
from onward.storage.disk import NodeDisk
from onward.telemetry.events import Log
from onward.telemetry.metrics import Metrics
from onward.types import ValidatorIndex


class PeerWatch:
    """`rpc.ports.PeerEvents`: what happens on the links, on its way to the inbox and the log."""

    def __init__(
        self,
        inbox: Inbox,
        log: Log,
        metrics: Metrics,
        names: tuple[str, ...],
        monotonic_ms: Callable[[], int],
    ) -> None:
        self._inbox = inbox
        self._monotonic_ms = monotonic_ms
        self._log = log
        self._metrics = metrics
        self._names = names
        self.heights: dict[ValidatorIndex, int] = {}
        self.heard_at_ms: dict[ValidatorIndex, int] = {}
        self.epochs: dict[ValidatorIndex, int] = {}

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
        self.heard_at_ms[peer] = self._monotonic_ms()
        if isinstance(message, Packet):
            self.heights[peer] = max(message.height, self.heights.get(peer, 0))
            self.epochs[peer] = max(message.epoch, self.epochs.get(peer, 0))
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
    replica: EpochMachine
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
    may_abstain: bool = True,
) -> Node:
    """Put a node together on a disk that was recovered. Raises `CorruptionError`.

    `may_abstain` is False only for programs that lie on purpose.
    """
    signer = SigningKey(home.seed)
    replica = EpochMachine(
        _replica_config(home, signer, contracts, may_abstain=may_abstain), disk.store
    )
    inbox = Inbox()
    watch = PeerWatch(inbox, log, metrics, validator_names(home), clock.monotonic_ms)
    peers = PeerNetwork(_peer_settings(home, signer, identity), watch)
    events = RecentEvents(log, metrics, clock.monotonic_ms)
    heard = Heard(heights=watch.heights, epochs=watch.epochs, at_ms=watch.heard_at_ms)
    status = StatusReport(home, replica, disk, peers, events, clock=clock, heard=heard)
    proofs = EvidenceFiles(home, lambda: replica.evidence, replica.validators_at, log, metrics)
    status.accused = proofs.accused
    reads = NodeReads(
        disk,
        contracts,
        now_ms=clock.now_ms,
        status=status.read,
        evidence=proofs.texts,
        executed=lambda: replica.executor,
    )
    blobs = BlobFiles(home.blobs, home.genesis.chain_id, home.config.name, signer)
    gateway = Gateway(_door(home, signer, clock), reads, inbox, blobs, watch.failed)
    status.in_flight = lambda: gateway.in_flight  # they need each other; the gateway comes second
    verifier = LoopVerifier(
        chain_id=home.genesis.chain_id, verify=verify, answer=inbox.tell, metrics=metrics
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
        events=events,
        metrics=metrics,
        accused=proofs.update,
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


def _replica_config(
    home: NodeHome, signer: SigningKey, contracts: ContractFor, *, may_abstain: bool
) -> ReplicaConfig:
    return ReplicaConfig(
        genesis=home.genesis,
        me=home.index,
        signer=signer,
        verify=verify,
        contract_for=contracts,
        may_abstain=may_abstain,
        seats=tuple(member.public_key for member in home.seats.members),
    )


def _peer_settings(home: NodeHome, signer: SigningKey, identity: TlsIdentity) -> PeerSettings:
    return PeerSettings(
        chain_id=home.genesis.chain_id,
        validators=home.seats,
        index=home.index,
        signer=signer,
        verify=verify,
        addresses=_addresses(home),
        tls=None if home.config.peers.plaintext else identity,
        nonce=lambda: secrets.token_bytes(32),
    )


def _door(home: NodeHome, signer: SigningKey, clock: Clock) -> DoorSettings:
    return DoorSettings(
        chain_id=home.genesis.chain_id,
        node=signer.public_key,
        verify=verify,
        now_ms=clock.now_ms,
        monotonic_ms=clock.monotonic_ms,
    )


def _addresses(home: NodeHome) -> tuple[str, ...]:
    """By validator index; our own is never dialed and may be missing."""
    known = {name: str(address) for name, address in home.config.peers.addresses}
    return tuple(known.get(name, "") for name in validator_names(home))
