"""One validator without sockets: the real replica over the real disk's rules, its work timed.

What a node does between its sockets happens here in the same order: wire bytes to messages, one
step over what has come, the journal, the log and the store, messages to wire bytes, a chunk of
signatures. Files and store are in memory: LevelDB compacts on a thread of its own, whose time could
not be put down to one validator, and neither a store nor a sync costs more for more validators.

Everything that goes into a turn can be written down, so that the turns of one validator can be
taken again by it alone, in a process that it shares with nobody.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from time import process_time_ns as clock

from onward import limits
from onward.consensus.messages import decode_frame, encode_frame
from onward.crypto.signing import Signer, SigningKey, verify
from onward.errors import RejectedError
from onward.execution.block import BlockExecution, ExecutedBlock, genesis_writes
from onward.execution.body import ContractFor
from onward.ledger.block import genesis_block
from onward.ledger.chain import read_block
from onward.ledger.genesis import Genesis
from onward.ledger.log import EMPTY_LOG
from onward.ledger.transaction import CheckedEnvelope, Transaction, check_envelope
from onward.replica.effects import (
    BatchChecked,
    Effects,
    Event,
    PeerUp,
    Received,
    Submitted,
    Tick,
    Verdict,
    VerifyJob,
)
from onward.replica.executor import BeginBlock
from onward.replica.replica import Replica, ReplicaConfig
from onward.rpc.convert import parse_peer_frame, peer_frames
from onward.storage.catch_up import chain_page
from onward.storage.disk import NodeDisk
from onward.storage.memory_files import MemoryFiles
from onward.storage.memory_store import MemoryStore
from onward.system.contracts import genesis_state
from onward.types import PublicKey, Signature, ValidatorIndex

CLIENTS, VOTES, EXECUTION, RULES, MESSAGES, DISK = PARTS = (
    "clients",  # envelopes taken apart and their signatures checked, at the door and in batches
    "votes",  # validators' signatures, made and checked: votes, batches, checkpoints
    "execution",
    "rules",  # the rest of a step
    "messages",  # to wire bytes and back
    "disk",  # journal, batch log and store, in memory
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """Bytes from a peer."""

    peer: ValidatorIndex
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """Envelopes from clients, in one message."""

    envelopes: tuple[bytes, ...]


Arrival = Wire | Handed | PeerUp


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What went into a turn."""

    now_ms: int
    arrived: tuple[Arrival, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What came out of a turn. `persisted`: it leaves only after a sync."""

    spent_ns: int
    persisted: bool
    wires: tuple[tuple[ValidatorIndex, bytes], ...]
    verdicts: tuple[Verdict, ...]


class Meter:
    """Nanoseconds of CPU by part, and counts of what was done in them."""

    def __init__(self) -> None:
        self.ns: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()

    def copy(self) -> Meter:
        """As it stands now."""
        found = Meter()
        found.ns, found.counts = self.ns.copy(), self.counts.copy()
        return found

    def since(self, earlier: Meter) -> Meter:
        """What was added since an earlier copy."""
        found = Meter()
        found.ns = Counter({name: self.ns[name] - earlier.ns[name] for name in self.ns})
        found.counts = Counter(
            {name: self.counts[name] - earlier.counts[name] for name in self.counts}
        )
        return found

    @property
    def total_ns(self) -> int:
        """All parts."""
        return sum(self.ns[name] for name in PARTS)

    def verify(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        """The check of another validator's signature."""
        began = clock()
        found = verify(public_key, message, signature)
        self.ns[VOTES] += clock() - began
        self.counts["votes_verified"] += 1
        return found


class TimedSigner:
    """A validator's key."""

    def __init__(self, signer: Signer, meter: Meter) -> None:
        self._signer = signer
        self._meter = meter

    @property
    def public_key(self) -> PublicKey:
        """The 32-byte public key."""
        return self._signer.public_key

    def sign(self, message: bytes) -> Signature:
        """The 64-byte signature over `message`."""
        began = clock()
        found = self._signer.sign(message)
        self._meter.ns[VOTES] += clock() - began
        return found


class _Job:
    """A batch under verification, some envelopes at a time."""

    __slots__ = ("job", "opened", "place")

    def __init__(self, job: VerifyJob) -> None:
        self.job = job
        self.place = 0
        self.opened: list[tuple[Transaction, ...]] = []


class Seat:
    """One validator. It does nothing by itself: `turn` gives it time and what has come."""

    def __init__(
        self, genesis: Genesis, index: int, signer: SigningKey, contract_for: ContractFor
    ) -> None:
        self.meter = Meter()
        self.index = index
        self._chain_id = genesis.chain_id
        self._peers = tuple(
            ValidatorIndex(peer) for peer in range(genesis.validators.size) if peer != index
        )
        self.disk = NodeDisk(MemoryFiles(), MemoryStore(), genesis.chain_id)
        root = genesis_block(
            genesis.chain_id, genesis.time_ms, genesis.validators, EMPTY_LOG.root()
        )
        self.disk.create((), genesis_writes(genesis.chain_id, root, genesis_state(genesis)))
        self._inbox: deque[Event] = deque((self.disk.recover(),))
        self.replica = Replica(
            ReplicaConfig(
                genesis=genesis,
                me=ValidatorIndex(index),
                signer=TimedSigner(signer, self.meter),
                verify=self.meter.verify,
                contract_for=contract_for,
                begin_block=timed_execution(self.meter),
            ),
            self.disk.store,
        )
        self._jobs: deque[_Job] = deque()
        self.wake_at_ms: int | None = None

    def has_work(self, now_ms: int) -> bool:
        """Whether a turn would do something though nothing has arrived."""
        is_due = self.wake_at_ms is not None and self.wake_at_ms <= now_ms
        return bool(self._inbox or self._jobs or is_due)

    def turn(self, turn: Turn) -> Said:
        """One step over what has come, and a chunk of signatures: a round of a node's loop."""
        began = self.meter.total_ns
        for item in turn.arrived:
            self._take(item)
        events: list[Event] = []
        if self.wake_at_ms is not None and self.wake_at_ms <= turn.now_ms:
            events.append(Tick())
        while self._inbox and len(events) < limits.EVENTS_PER_STEP_MAX:
            events.append(self._inbox.popleft())
        wires: tuple[tuple[ValidatorIndex, bytes], ...] = ()
        verdicts: tuple[Verdict, ...] = ()
        persisted = False
        if events:
            effects = self._step(events, turn.now_ms)
            wires = self._wires(effects)
            verdicts = effects.commit.verdicts if effects.commit is not None else ()
            persisted = bool(effects.persist or effects.commit or effects.store)
        self._verify_chunk()
        self.meter.counts["turns"] += 1
        self.meter.counts["executed"] += len(verdicts)
        return Said(
            spent_ns=self.meter.total_ns - began,
            persisted=persisted,
            wires=wires,
            verdicts=verdicts,
        )

    def state_root(self, height: int) -> bytes:
        """The root of the state after a block; empty where there is no such block."""
        stored = read_block(self.disk.store, height)
        return b"" if stored is None else stored.state_root

    def _take(self, item: Arrival) -> None:
        began = clock()
        match item:
            case Wire(peer=peer, data=data):
                _, frames = parse_peer_frame(data)
                for frame in frames:
                    self._inbox.append(Received(peer=peer, message=decode_frame(frame)))
                self.meter.ns[MESSAGES] += clock() - began
            case Handed(envelopes=envelopes):
                checked = tuple(
                    CheckedEnvelope(
                        data=data, transactions=check_envelope(data, self._chain_id, verify)
                    )
                    for data in envelopes
                )
                self._inbox.append(Submitted(envelopes=checked))
                self.meter.ns[CLIENTS] += clock() - began
            case PeerUp():
                self._inbox.append(item)

    def _step(self, events: Sequence[Event], now_ms: int) -> Effects:
        ns = self.meter.ns
        apart = ns[VOTES] + ns[EXECUTION]
        began = clock()
        effects = self.replica.step_all(events, now_ms)
        stepped = clock()
        ns[RULES] += stepped - began - (ns[VOTES] + ns[EXECUTION] - apart)
        self.disk.stage(effects)
        self.disk.write()
        ns[DISK] += clock() - stepped
        self.wake_at_ms = effects.wake_at_ms
        self._jobs.extend(map(_Job, effects.verify))
        return effects

    def _wires(self, effects: Effects) -> tuple[tuple[ValidatorIndex, bytes], ...]:
        """What a step sends to a peer travels together."""
        began = clock()
        by_peer: dict[ValidatorIndex, list[bytes]] = {}
        for outbound in effects.send:
            frame = encode_frame(outbound.message)
            for peer in self._peers if outbound.to is None else (outbound.to,):
                by_peer.setdefault(peer, []).append(frame)
        for serve in effects.serve:
            page = encode_frame(chain_page(self.disk, serve.from_height))
            by_peer.setdefault(serve.to, []).append(page)
        found = tuple(
            (peer, peer_frames(*frames[start : start + limits.PEER_FRAMES_MAX]))
            for peer, frames in by_peer.items()
            for start in range(0, len(frames), limits.PEER_FRAMES_MAX)
        )
        self.meter.ns[MESSAGES] += clock() - began
        self.meter.counts["frames"] += sum(map(len, by_peer.values()))
        self.meter.counts["wires"] += len(found)
        self.meter.counts["bytes"] += sum(len(data) for _, data in found)
        return found

    def _verify_chunk(self) -> None:
        """The next envelopes of the oldest batch, as `runtime.verification` does it."""
        if not self._jobs:
            return
        began = clock()
        work = self._jobs[0]
        envelopes = work.job.batch.envelopes
        error = ""
        for envelope in envelopes[work.place : work.place + limits.VERIFY_CHUNK_ENVELOPES]:
            try:
                work.opened.append(check_envelope(envelope, self._chain_id, verify))
            except RejectedError as fault:
                error = str(fault)
        work.place += limits.VERIFY_CHUNK_ENVELOPES
        if error or work.place >= len(envelopes):
            self._jobs.popleft()
            opened = None if error else tuple(work.opened)
            self._inbox.append(BatchChecked(head=work.job.head, opened=opened, error=error))
        self.meter.ns[CLIENTS] += clock() - began


def timed_execution(meter: Meter) -> BeginBlock:
    """`ReplicaConfig.begin_block` that times the execution of blocks apart from the rules."""

    class TimedExecution(BlockExecution):
        """Times its slices and its end."""

        __slots__ = ()

        def run(self, bodies_max: int) -> bool:
            began = clock()
            try:
                return super().run(bodies_max)
            finally:
                meter.ns[EXECUTION] += clock() - began

        def finish(self) -> ExecutedBlock:
            began = clock()
            try:
                return super().finish()
            finally:
                meter.ns[EXECUTION] += clock() - began

    return TimedExecution
