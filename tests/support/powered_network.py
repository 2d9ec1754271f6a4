"""Four validators on real homes (LevelDB, journal, batch log), and one switch for all of them.

Replicas run in this process, in simulated time, and perform their effects in the order that
`onward.replica.effects` demands: a step's messages and answers leave when the disk has synced what
the step wanted persisted. Every operation of the four disks passes one fuse. When it blows, all
four stop at once, whatever they were doing, and `restart` goes on from copies of their homes that
hold only what had been synced (`tests.support.power_cut`).

The safety oracles of the simulation look on: one chain, equal states, no vote that contradicts an
earlier one, none sent before it is durable. What this stand adds: a vote that was ever sent stands
in the journal after every restart, and so does every acknowledged verdict in every database, once
the validators are level.
"""

from __future__ import annotations

import heapq
import random
import shutil
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from tests.support.cluster import T0_MS, make_genesis, registration, submitted
from tests.support.power_cut import Fuse, lose_power, open_recorded_as

from onward.consensus.journal import Floor, JournalRecord
from onward.consensus.messages import Packet, PeerMessage, Vote, VoteKind
from onward.crypto.signing import verify
from onward.errors import RejectedError
from onward.execution.block import genesis_writes
from onward.ledger.block import genesis_block
from onward.ledger.chain import read_block, read_tip, read_transaction
from onward.ledger.log import EMPTY_LOG
from onward.ledger.transaction import check_envelope
from onward.replica.effects import (
    BatchChecked,
    Boot,
    Effects,
    Event,
    PeerUp,
    Received,
    Tick,
    VerifyJob,
)
from onward.replica.replica import Replica, ReplicaConfig
from onward.simulation.disk import SteppedDisk
from onward.simulation.oracles import SafetyOracles
from onward.storage.catch_up import chain_page
from onward.storage.home import create_home
from onward.storage.memory_files import Crash
from onward.system.contracts import genesis_state
from onward.types import ValidatorIndex

SIZE = 4
SEGMENT_BYTES_MAX = 12_000  # rotates the journal every few blocks
SUBMIT_EVERY_MS_MAX = 30
LEVEL_WITHIN_MS = 60_000


class _Machine:
    """One validator while it has power. `disk` is set first: power can go while it recovers."""

    def __init__(self, disk: SteppedDisk) -> None:
        self.disk = disk
        self.replica: Replica | None = None
        self.outgoing: deque[tuple[int, Effects]] = deque()
        self.wake_at_ms: int | None = None
        self.persisting = self.settling = False


class PoweredNetwork:
    """The network. A seed decides delays, submissions and what a power cut leaves behind."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.rng = random.Random(seed)
        self.genesis, self._keys = make_genesis(SIZE)
        self.oracles = SafetyOracles(SIZE - (SIZE - 1) // 3)
        self.now_ms = T0_MS + 1_000
        self.cuts = 0
        self.rotations = 0
        self.acknowledged: dict[bytes, tuple[int, str]] = {}
        self._fuse = Fuse(0)
        self._armed = False
        self._folder = folder
        self._homes = [folder / f"home-{index}-0" for index in range(SIZE)]
        self._machines: list[_Machine | None] = [None] * SIZE
        self._sent: list[set[Vote]] = [set() for _ in range(SIZE)]
        self._checked: dict[bytes, BatchChecked] = {}
        self._persons = 0
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._sequence = 0
        self._arrivals: dict[tuple[int, int], int] = {}
        genesis = self.genesis
        root = genesis_block(
            genesis.chain_id, genesis.time_ms, genesis.validators, EMPTY_LOG.root()
        )
        writes = genesis_writes(genesis.chain_id, root, genesis_state(genesis))
        for home in self._homes:
            home.mkdir(parents=True)
            create_home(home, genesis.chain_id, (), writes)

    # -- power ---------------------------------------------------------------------------------

    def arm(self, operations: int) -> None:
        """Power goes after this many further operations of the four disks together."""
        self._fuse.left = operations
        self._armed = True

    def disarm(self) -> None:
        """Power stays."""
        self._armed = False

    def restart(self) -> None:
        """Start all four over what their homes hold. Raises `Crash` when power goes meanwhile."""
        self._queue.clear()
        self._arrivals.clear()
        boots: list[Boot] = []
        for index in range(SIZE):
            home, chain_id = self._homes[index], self.genesis.chain_id
            machine = _Machine(open_recorded_as(SteppedDisk, home, chain_id, self._gate))
            self._machines[index] = machine
            boot = machine.disk.recover()
            self._check_memory_of_votes(index, boot.journal)
            machine.replica = self._new_replica(index, machine.disk)
            boots.append(boot)
        for index, boot in enumerate(boots):
            self.oracles.on_boot(f"n{index}", self._tip_height(index))
            self._later(0, partial(self._step, index, boot))
            for peer in range(SIZE):
                if peer != index:
                    up = PeerUp(peer=ValidatorIndex(peer))
                    self._later(1, partial(self._step, index, up))
        self._later(1, self._submit_next)

    def lose_power(self) -> None:
        """All four stop; what was not synced may be gone."""
        self.cuts += 1
        self.disarm()
        for index, machine in enumerate(self._machines):
            if machine is None:
                continue
            target = self._folder / f"home-{index}-{self.cuts}"
            lose_power(machine.disk, self._homes[index], target, self.rng)
            shutil.rmtree(self._homes[index])
            self._homes[index] = target
            self._machines[index] = None
        self.now_ms += self.rng.randrange(1, 5_000)

    def close(self) -> None:
        """Let go of the files."""
        for machine in self._machines:
            if machine is not None:
                machine.disk.close()
        self._machines = [None] * SIZE

    # -- time ----------------------------------------------------------------------------------

    def run_until(self, reached: Callable[[], bool]) -> None:
        """Let time pass until `reached`. Raises `Crash` when power goes before."""
        within_ms = LEVEL_WITHIN_MS
        end_ms = self.now_ms + within_ms
        while not reached():
            assert self._queue, "nothing will ever happen again"
            at_ms, _, action = heapq.heappop(self._queue)
            assert at_ms <= end_ms, f"not within {within_ms} ms; heights {self.heights()}"
            self.now_ms = max(self.now_ms, at_ms)
            action()

    def run_to_power_cut(self) -> None:
        """Let time pass until the fuse blows, and lose power."""
        try:
            self.run_until(lambda: False)
        except Crash:
            self.lose_power()

    # -- what must hold ------------------------------------------------------------------------

    def heights(self) -> list[int]:
        """The executed height of each validator that runs."""
        return [
            machine.replica.height
            for machine in self._machines
            if machine is not None and machine.replica is not None
        ]

    def expect_recovered(self) -> None:
        """The network goes on, and all four are level with everything acknowledged in them."""
        told = len(self.acknowledged)
        # The databases may have lost heights that clients were told of: those must come again.
        goal = max(*self.heights(), *(at for at, _ in self.acknowledged.values())) + 2
        self.run_until(lambda: min(self.heights()) >= goal and len(self.acknowledged) > told)
        height = min(self.heights())
        roots = set()
        for index, machine in enumerate(self._machines):
            assert machine is not None
            block = read_block(machine.disk.store, height)
            assert block is not None
            roots.add((block.state_root, block.log_root))
            for tx_hash, (at, code) in self.acknowledged.items():
                if at > height:
                    continue
                stored = read_transaction(machine.disk.store, tx_hash)
                assert stored is not None, f"validator {index} lost {tx_hash.hex()[:8]} of {at}"
                assert (stored.leaf.height, stored.leaf.code) == (at, code)
        assert len(roots) == 1, f"validators differ at height {height}"

    def _check_memory_of_votes(self, index: int, journal: tuple[JournalRecord, ...]) -> None:
        """Whoever forgets a vote that others have can contradict it."""
        kept = {record for record in journal if isinstance(record, Vote)}
        floor = max((item.final.view for item in journal if isinstance(item, Floor)), default=0)
        lost = {vote for vote in self._sent[index] - kept if vote.view > floor}
        assert not lost, f"validator {index} forgot {[(VoteKind(v.kind), v.view) for v in lost]}"
        for vote in kept:
            self.oracles.on_durable_vote(f"n{index}", vote)

    # -- parts ---------------------------------------------------------------------------------

    def _gate(self, operation: str) -> None:
        if self._armed:
            self._fuse(operation)

    def _new_replica(self, index: int, disk: SteppedDisk) -> Replica:
        config = ReplicaConfig(
            genesis=self.genesis,
            me=ValidatorIndex(index),
            signer=self._keys[index],
            verify=verify,
            contract_for=lambda _name, _version: None,
            journal_segment_bytes_max=SEGMENT_BYTES_MAX,
        )
        return Replica(config, disk.store)

    def _tip_height(self, index: int) -> int:
        machine = self._machines[index]
        tip = None if machine is None else read_tip(machine.disk.store)
        return 0 if tip is None else tip.height

    def _later(self, delay_ms: int, action: Callable[[], None]) -> None:
        self._sequence += 1
        heapq.heappush(self._queue, (self.now_ms + delay_ms, self._sequence, action))

    def _submit_next(self) -> None:
        self._persons += 1
        envelope, _ = registration(self.genesis, self._persons)
        self._step(self.rng.randrange(SIZE), submitted(envelope))
        self._later(self.rng.randrange(1, SUBMIT_EVERY_MS_MAX), self._submit_next)

    def _step(self, index: int, event: Event) -> None:
        machine = self._machines[index]
        if machine is None or machine.replica is None:
            return
        while machine.disk.full:
            if not machine.disk.persist():
                machine.disk.settle()
        effects = machine.replica.step(event, self.now_ms)
        if effects.commit is not None:
            self.oracles.on_commit(f"n{index}", effects.commit)
        self.rotations += effects.rotate is not None
        machine.outgoing.append((machine.disk.stage(effects), effects))
        for job in effects.verify:
            self._later(1, partial(self._checked_step, index, job))
        for request in effects.serve:
            self._transmit(index, request.to, chain_page(machine.disk, request.from_height))
        self._wake(index, machine, effects.wake_at_ms)
        self._pump(index, machine)

    def _checked_step(self, index: int, job: VerifyJob) -> None:
        self._step(index, self._check(job))

    def _wake(self, index: int, machine: _Machine, at_ms: int | None) -> None:
        machine.wake_at_ms = at_ms
        if at_ms is None:
            return

        def tick() -> None:
            if machine.wake_at_ms == at_ms:
                self._step(index, Tick())

        self._later(max(1, at_ms - self.now_ms), tick)

    def _pump(self, index: int, machine: _Machine) -> None:
        """Release what is durable, and give the disk its next turns."""
        disk = machine.disk
        while machine.outgoing and machine.outgoing[0][0] <= disk.persisted_through:
            self._release(index, machine.outgoing.popleft()[1])
        if disk.must_persist and not machine.persisting:
            machine.persisting = True
            self._later(self.rng.randrange(1, 4), lambda: self._persist(index, machine))
        if disk.must_settle and not machine.settling:
            machine.settling = True
            lag_ms = 1 if disk.rotating else self.rng.choice((1, 2, 8, 40))
            self._later(lag_ms, lambda: self._settle(index, machine))

    def _persist(self, index: int, machine: _Machine) -> None:
        machine.persisting = False
        machine.disk.persist()
        self._pump(index, machine)

    def _settle(self, index: int, machine: _Machine) -> None:
        machine.settling = False
        machine.disk.settle()
        self._pump(index, machine)

    def _release(self, index: int, effects: Effects) -> None:
        name = f"n{index}"
        for vote in _votes(effects.persist):
            self.oracles.on_durable_vote(name, vote)
        for outbound in effects.send:
            self.oracles.on_sent(name, index, outbound.message)
            if isinstance(outbound.message, Packet):
                self._sent[index].update(outbound.message.votes)
            for peer in range(SIZE) if outbound.to is None else (outbound.to,):
                if peer != index:
                    self._transmit(index, peer, outbound.message)
        if effects.commit is not None:
            for verdict in effects.commit.verdicts:
                self.oracles.on_told(verdict.tx_hash, verdict.height, verdict.code)
                self.acknowledged[verdict.tx_hash] = (verdict.height, verdict.code)

    def _transmit(self, sender: int, to: int, message: PeerMessage) -> None:
        """Streams keep their order."""
        arrival = max(self.now_ms + self.rng.randrange(1, 4), self._arrivals.get((sender, to), 0))
        self._arrivals[sender, to] = arrival
        event = Received(peer=ValidatorIndex(sender), message=message)
        self._later(arrival - self.now_ms, lambda: self._step(to, event))

    def _check(self, job: VerifyJob) -> BatchChecked:
        if job.head not in self._checked:
            try:
                opened = tuple(
                    check_envelope(item, self.genesis.chain_id, verify)
                    for item in job.batch.envelopes
                )
            except RejectedError as error:
                self._checked[job.head] = BatchChecked(head=job.head, opened=None, error=str(error))
            else:
                self._checked[job.head] = BatchChecked(head=job.head, opened=opened)
        return self._checked[job.head]


def _votes(records: Iterable[object]) -> Iterable[Vote]:
    return (record for record in records if isinstance(record, Vote))
