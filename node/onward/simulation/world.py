"""The world: one heap of events in simulated time, n machines, their links and their clients.

    w = World(seed=7, n=4)
    w.partition({0, 1}, {2, 3})
    w.run_ms(5_000)
    w.expect_no_finality()
    w.heal()
    w.expect_finalized(height=1)

Everything is drawn from the seed. The oracles look on at every event; a broken promise raises
`Violation` out of whatever made time pass. `audit` is a hash of all that happened: the same seed
gives the same one.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable, Iterable
from hashlib import blake2b

from onward.consensus.journal import JournalRecord
from onward.consensus.messages import (
    ChainPage,
    ChainRequest,
    Fetch,
    Packet,
    PeerMessage,
    Vote,
    decode_frame,
    encode_frame,
)
from onward.errors import RejectedError, invariant
from onward.ledger.block import Batch, block_digest
from onward.ledger.chain import read_block
from onward.ledger.transaction import Opened, check_envelope
from onward.replica.effects import Answer, Commit, Effects, Event
from onward.replica.epochs import records_of_epoch
from onward.simulation.byzantine import LIARS
from onward.simulation.byzantine.liar import Liar, LiarKit, Listener
from onward.simulation.byzantine.twins import CLOCKS_APART_MS, TWINS, TwinRoutes
from onward.simulation.certified import QuorumProofs, expect_proved
from onward.simulation.clients import Clients
from onward.simulation.connections import Connections
from onward.simulation.consortium import GENESIS_TIME_MS, build_consortium
from onward.simulation.disk import Loss, SimulatedDisk, SteppedDisk
from onward.simulation.faults import Fault, FaultKind, Options
from onward.simulation.host import Host, Machine, describe_all, describe_happened
from onward.simulation.injector import DARK_MS, Injector
from onward.simulation.lane_oracles import LaneOracles
from onward.simulation.mutants import Mutant
from onward.simulation.network import Network, links_between
from onward.simulation.oracles import SafetyOracles, Violation, ends_in
from onward.simulation.pace import Pace, resume_ms_max
from onward.simulation.sharing import SharedExecutions
from onward.simulation.signing import verify
from onward.simulation.stand import CONTRACTS, start_replica
from onward.simulation.validator_change import ValidatorChange
from onward.simulation.workload import SharingWorkload
from onward.types import Digest, ValidatorIndex, ValidatorSet, quorum_of

_CONNECT_EVERY_MS = 100
_CLIENT_CHECK_EVERY_MS = 500
_MEMORY_CHECK_EVERY_MS = 5_000
_ROUND_TRIP_ONE_IN = 50  # this share of the messages passes through the codec, as on a real wire
_STEPS_QUEUED_MAX = 20_000
_LULL_ONE_IN = 16  # bursts
_ENOUGH_EVERY_MS = 400  # when the run has what makes it one, so much is enough to go on

Trace = Callable[[str], None]


class World:
    """One simulated network."""

    def __init__(
        self,
        seed: int,
        *,
        n: int = 4,
        options: Options | None = None,
        schedule: Iterable[Fault] = (),
        mutant: Mutant | None = None,
        trace: Trace | None = None,
    ) -> None:
        """A calm network of `n` unless `options` say otherwise; `schedule`: what goes wrong."""
        self.options = options if options is not None else Options(validators=n)
        self.seed = seed
        self.now_ms = 0
        self.events = 0
        self.counts: Counter[str] = Counter()
        self.mutant = mutant
        self.epoch = 0
        self.wire: Callable[[PeerMessage], PeerMessage] = lambda message: message  # may lose parts
        self._trace = trace
        self._heap: list[tuple[int, int, Callable[..., None], tuple[object, ...]]] = []
        self._sequence = 0
        self._audit = blake2b(digest_size=16)
        self._checked: dict[bytes, tuple[Opened | None, str]] = {}
        self._messages = 0
        self.size = self.options.validators
        self.network = Network(self._source("network"), self.options)
        self.consortium = build_consortium(self.options, CONTRACTS)
        self.oracles = SafetyOracles(quorum_of(self.size))
        self.lanes = LaneOracles(self.consortium.genesis.chain_id)
        self.pace = Pace()
        self.twin_routes = TwinRoutes(self._source("twins"))
        self._proofs = QuorumProofs(self.consortium.genesis, self.oracles.epochs)
        self._executions = SharedExecutions(self._source("executions"))
        self.hosts: list[Host] = []
        self._liars: dict[str, Liar] = {}
        self._kits: dict[str, LiarKit] = {}
        self._build_hosts()
        self.connections = Connections(self)
        self.injector = Injector(self)
        self.workload = SharingWorkload(self._source("workload"), self.consortium)
        self.clients = Clients(
            self._source("clients"), self.honest, self.workload, self.oracles, self.counts
        )
        self._client_chance = self._source("bursts")
        self._clients_on = False
        self._start(schedule)

    def _source(self, name: str) -> random.Random:
        """A source of chance for each concern: one drawing more does not move the rest."""
        return random.Random(f"{name}/{self.seed}")

    def _build_hosts(self) -> None:
        liars = {self.size - 1 - place: name for place, name in enumerate(self.options.liars)}
        for index in self.machines:
            name = liars.get(index)
            for side in (0, 1) if name == TWINS else (0,):
                host = self._build_host(index, side)
                host.is_liar = name is not None
                self.hosts.append(host)
            if name == TWINS:
                self.twin_routes.add(index)
            elif name is not None:
                kit = LiarKit(
                    rng=self._source(f"liar/{index}"),
                    signer=self.consortium.validators[index],
                    chain_id=self.consortium.genesis.chain_id,
                    index=index,
                    size=self.size,
                    machines=len(self.machines),
                    counts=self.counts,
                )
                self._kits[self.hosts[-1].name] = kit
                liar = self._liars[self.hosts[-1].name] = LIARS[name](kit)
                if isinstance(liar, Listener):
                    self.hosts[-1].overhear = liar.hear
            if name is not None:
                self.counts[f"liar.{name}"] += 1

    def _build_host(self, index: int, side: int) -> Host:
        disk = SimulatedDisk(
            self._source(f"disk/{index}/{side}"),
            self.consortium.genesis,
            self.counts,
            SteppedDisk if self.mutant is None else self.mutant.disk_type,
        )
        host = Host(
            self,
            index=index,
            side=side,
            epoch_ms=GENESIS_TIME_MS + side * CLOCKS_APART_MS,
            start=lambda store: start_replica(
                store,
                self.consortium,
                ValidatorIndex(index),
                mutant=self.mutant,
                begin_block=self._executions.begin,
                may_abstain=not self.size - len(self.options.liars) <= index < self.size,
            ),
            disk=disk,
        )
        host.sync_ms = self.options.sync_ms
        host.settle_ms = self.options.settle_ms
        host.verify_ms = self.options.verify_ms
        host.turn_ms = self.options.turn_ms
        disk.burn = host.burn_disk
        if self.mutant is not None:
            self.mutant.on_host(host)
        return host

    def _start(self, schedule: Iterable[Fault]) -> None:
        for host in self.hosts:
            host.boot()
        if self.twin_routes.has_twins:
            self._deal_twins()
        self.connections.refresh()
        self.later(_CONNECT_EVERY_MS, self._keep_connected)
        self.later(_MEMORY_CHECK_EVERY_MS, self._check_memory)
        for fault in schedule:
            self.later(fault.at_ms, self.injector.apply, fault)
        for change in self.options.changes:
            self.later(change.at_ms, self.change_validators, change.members)

    # -- who is who --------------------------------------------------------------------------------

    @property
    def machines(self) -> range:
        """The indexes of all machines: of the first validators, and then of the newcomers."""
        return range(self.size + self.options.newcomers)

    @property
    def honest(self) -> list[Host]:
        """The validators that follow the protocol, by index."""
        return [host for host in self.hosts if not host.is_liar]

    @property
    def liar_indexes(self) -> set[int]:
        """The validators that do not."""
        return {host.index for host in self.hosts if host.is_liar}

    def host(self, index: int) -> Host:
        """The machine of a validator; of twins the first."""
        return next(host for host in self.hosts if host.index == index)

    def liar(self, index: int) -> Liar:
        """What speaks for this validator, which must be a liar and no twin."""
        return self._liars[self.host(index).name]

    @property
    def audit(self) -> str:
        """A hash of every event so far and of what came out of it."""
        return self._audit.hexdigest()

    # -- time --------------------------------------------------------------------------------------

    def later(self, delay_ms: int, action: Callable[..., None], *arguments: object) -> None:
        """Call `action(*arguments)` after `delay_ms` of simulated time."""
        self._sequence += 1
        heapq.heappush(self._heap, (self.now_ms + delay_ms, self._sequence, action, arguments))

    def run_ms(self, duration_ms: int) -> None:
        """Let time pass."""
        end_ms = self.now_ms + duration_ms
        heap = self._heap
        while heap and heap[0][0] <= end_ms:
            self.now_ms, _, action, arguments = heapq.heappop(heap)
            self.events += 1
            action(*arguments)
        self.now_ms = end_ms

    def run_until(self, reached: Callable[[], bool], limit_ms: int, step_ms: int = 50) -> bool:
        """Let time pass until `reached`, at most `limit_ms`; answers whether it was."""
        end_ms = self.now_ms + limit_ms
        while not reached():
            if self.now_ms >= end_ms:
                return False
            self.run_ms(step_ms)
        return True

    def _keep_connected(self) -> None:
        self.connections.refresh()
        self.later(_CONNECT_EVERY_MS, self._keep_connected)

    def _deal_twins(self) -> None:
        self.twin_routes.deal(self.size)
        self.connections.rewire()
        self.later(self.twin_routes.next_deal_ms(), self._deal_twins)

    def _check_memory(self) -> None:
        self.expect_bounded_memory()
        self.later(_MEMORY_CHECK_EVERY_MS, self._check_memory)

    def expect_bounded_memory(self) -> None:
        """No honest machine remembers more than it may."""
        for host in self.honest:
            if host.machine is not None:
                self.oracles.check_memory(host.name, (host.machine,))
            if host.queue_length > _STEPS_QUEUED_MAX:
                raise Violation("bounded memory", f"{host.name}: {host.queue_length} steps queued")

    # -- clients -----------------------------------------------------------------------------------

    def start_clients(self) -> None:
        """Clients submit at the rate of the options until `stop_clients`."""
        self._clients_on = True
        self.later(0, self._burst)
        self.later(_CLIENT_CHECK_EVERY_MS, self._retry)

    def stop_clients(self) -> None:
        """No new transactions; those under way are still followed."""
        self._clients_on = False

    def submit(self, count: int = 1) -> None:
        """Submit `count` new envelopes at once; they are followed to their verdicts."""
        self.clients.submit_burst(count, self.now_ms, GENESIS_TIME_MS + self.now_ms, 0)
        self.later(_CLIENT_CHECK_EVERY_MS, self._retry)

    def change_validators(self, members: Iterable[int], *, is_hasty: bool = False) -> None:
        """The organisations propose and approve that these machines be the validators."""
        ValidatorChange(self, tuple(members), is_hasty=is_hasty).begin()
        self.later(_CLIENT_CHECK_EVERY_MS, self._retry)

    def _burst(self) -> None:
        if not self._clients_on:
            return
        chance, options = self._client_chance, self.options
        is_enough = len(self.oracles.executed_bodies) >= options.bodies_min
        self.clients.submit_burst(
            1 if is_enough else chance.randrange(1, options.burst_envelopes_max + 1),
            self.now_ms,
            GENESIS_TIME_MS + self.now_ms,
            options.double_submit_permille,
        )
        self.later(chance.randrange(2 * self._burst_every_ms(is_enough)) + 1, self._burst)

    def _burst_every_ms(self, is_enough: bool) -> int:  # noqa: FBT001
        """How far apart bursts are on average from here."""
        options = self.options
        if is_enough and self.height >= options.blocks_min:
            return max(options.burst_every_ms, _ENOUGH_EVERY_MS)
        is_calm = self.now_ms >= options.stable_at_ms  # then each wait for a block is measured
        if is_calm or not options.lull_ms or self._client_chance.randrange(_LULL_ONE_IN):
            return options.burst_every_ms
        return options.lull_ms

    def _retry(self) -> None:
        self.clients.retry(self.now_ms)
        if self._clients_on or self.clients.waiting:
            self.later(_CLIENT_CHECK_EVERY_MS, self._retry)

    # -- what the hosts ask for (`Surroundings`) ---------------------------------------------------

    def transmit(self, host: Host, to: int, message: PeerMessage) -> None:
        """Put a message on its link, as the sender's liar, the network and the twins have it."""
        receiver = self.connections.receiver(host, to)
        if receiver is None or receiver.machine is None:
            return
        liar, message = self._liar_of(host), self.wire(message)
        for item in (message,) if liar is None else liar.outgoing(to, message):
            self._count_message(item)
            for at_ms in self.network.arrivals(host.index, to, self.now_ms):
                self.later(at_ms - self.now_ms, receiver.receive, receiver.boots, host.index, item)

    def _liar_of(self, host: Host) -> Liar | None:
        """Who speaks for `host`, if anybody does: a liar lies as a validator."""
        kit = self._kits.get(host.name)
        if kit is None:
            return None
        epoch = 0 if host.machine is None else host.machine.epoch
        if epoch != kit.epoch:
            validators = getattr(host.machine, "validators", None)
            if not isinstance(validators, ValidatorSet):
                return None
            place = validators.index_of(kit.signer.public_key)
            if place is None:
                return None
            kit.epoch, kit.index, kit.size = epoch, place, validators.size
        return self._liars[host.name]

    def _count_message(self, message: PeerMessage) -> None:
        self._messages += 1
        if isinstance(message, Fetch):
            self.counts["fetch"] += 1
        elif isinstance(message, ChainRequest):
            self.counts["catch_up.request"] += 1
        elif isinstance(message, ChainPage) and message.entries:
            self.counts["catch_up.page"] += 1
        if self._messages % _ROUND_TRIP_ONE_IN == 0:
            invariant(decode_frame(encode_frame(message)) == message, "codec round trip")

    def check_batch(self, host: Host, batch: Batch, head: Digest) -> tuple[Opened | None, str]:
        """What a verifier process answers. Stateless, so one answer serves all."""
        if head not in self._checked:
            self._checked[head] = self._judge_batch(batch)
        if self.mutant is not None and self.mutant.checks_batches:
            return self.mutant.check_batch(host, batch)
        return self._checked[head]

    def _expect_valid(self, host: Host, commit: Commit) -> None:
        """Nothing is executed that its clients did not sign."""
        for head in commit.batch_heads:
            opened, error = self._checked.get(head, ((), ""))
            if opened is None:
                raise Violation("valid batches", f"{host.name}, block {commit.height}: {error}")

    def _judge_batch(self, batch: Batch) -> tuple[Opened | None, str]:
        chain_id = self.consortium.genesis.chain_id
        try:
            opened = tuple(check_envelope(item, chain_id, verify) for item in batch.envelopes)
        except RejectedError as error:
            return None, f"{error.code}: {error}"
        return opened, ""

    def on_booted(self, host: Host, journal: tuple[JournalRecord, ...]) -> None:
        """Heights begin where the disk left them; no promise is forgotten."""
        if not host.is_liar:
            self.oracles.on_boot(host.name, host.height)
            self.oracles.on_journal(host.name, journal)
            tip = read_block(host.disk.store, host.height)
            if tip is not None:
                epoch = tip.block.epoch + tip.block.last
                view = 0 if tip.block.last else tip.block.view
                kept = journal if epoch == 0 else records_of_epoch(journal, epoch)
                expect_proved(host.name, kept, view, block_digest(tip.block))

    def on_effects(self, host: Host, events: tuple[Event, ...], effects: Effects) -> None:
        """Audit, trace and judge a step."""
        self._audit.update(
            f"{self.now_ms} {host.name} {describe_all(events)} {len(effects.persist)} "
            f"{len(effects.send)} {effects.wake_at_ms}\n".encode()
        )
        for record in effects.persist:
            self._audit.update(record.signature if isinstance(record, Vote | Batch) else b".")
        if effects.commit is not None:
            self._audit.update(effects.commit.state_root)
        if effects.rotate is not None:
            self.counts["journal.rotated"] += 1
        if self._trace is not None:
            self._say(host, events, effects)
        if host.is_liar:
            return
        for happened in effects.events:
            if happened.name == "epoch_begun" and host.machine is not None:
                self._on_epoch(host.machine)
            self.counts[f"event.{happened.name}"] += 1
            accused = self.connections.accused_by(happened)
            if accused is not None:
                self.oracles.on_accused(host.name, accused, is_liar=accused in self.liar_indexes)
                if happened.name == "misbehaved":
                    self.counts["peer.disconnected"] += 1
                    self.later(0, self.connections.drop, host, accused)
        if effects.commit is not None:
            self.oracles.on_commit(host.name, effects.commit)
            self._expect_valid(host, effects.commit)
            self.pace.on_commit(host.name, self.now_ms)
        self.lanes.on_effects(host.name, effects)
        self._proofs.on_effects(host.name, effects)
        for end in ends_in(effects.store):
            self.oracles.on_end(host.name, end)
            self.counts["epoch.filler"] += len(end.fillers)

    def on_sending(self, host: Host, to: int, message: PeerMessage) -> None:
        """Judge what leaves an honest machine."""
        del to
        if not host.is_liar:
            self.oracles.on_sent(host.name, host.index, message)
            if isinstance(message, Packet):
                for certificate in message.certificates:
                    self._proofs.on_certificate(host.name, certificate, message.epoch)

    def on_durable(self, host: Host, votes: Iterable[Vote], epoch: int) -> None:
        """Remember what an honest machine has promised."""
        if not host.is_liar:
            self.oracles.on_durable(host.name, votes, epoch)

    def _on_epoch(self, machine: Machine) -> None:
        """An honest machine goes on with other validators."""
        validators = getattr(machine, "validators", None)
        if isinstance(validators, ValidatorSet) and validators.epoch > self.epoch:
            self.epoch = validators.epoch
            self.counts["epoch.changed"] += 1
            seats = enumerate(self.consortium.validators)
            found = ((seat, validators.index_of(signer.public_key)) for seat, signer in seats)
            places = {seat: int(place) for seat, place in found if place is not None}
            self.oracles.on_epoch(validators.epoch, validators.quorum, places)
            self._proofs.on_epoch(validators)

    def on_released(self, host: Host, commit: Commit | None, answers: tuple[Answer, ...]) -> None:
        """Tell the clients."""
        if host.is_liar:
            return
        if commit is not None:
            self.clients.on_commit(host, commit)
        for answer in answers:
            self.clients.on_answer(answer, self.now_ms)

    def on_power_cut(self, host: Host, fault: FaultKind) -> None:
        """An armed fault cut the power of `host`, or its disk was full: it is down for a while."""
        self.counts[fault] += 1
        is_full = fault is FaultKind.DISK_FULL
        self.injector.crash(host, Loss.PROCESS if is_full else Loss.POWER, DARK_MS)

    def _say(self, host: Host, events: tuple[Event, ...], effects: Effects) -> None:
        if self._trace is None:
            return
        parts = [f"{self.now_ms:>6} {host.name:<3} h={host.height:<4} {describe_all(events)}"]
        if effects.persist:
            parts.append(f"persist {len(effects.persist)}")
        if effects.send:
            parts.append(f"send {len(effects.send)}")
        if effects.commit is not None:
            parts.append(f"commit {effects.commit.height}")
        parts.extend(describe_happened(item) for item in effects.events)
        self._trace(" | ".join(parts))

    # -- scripts -----------------------------------------------------------------------------------

    def partition(self, left: Iterable[int], right: Iterable[int]) -> None:
        """Nothing passes between the two groups until `heal`."""
        self.network.cut(links_between(left, right))

    def heal(self) -> None:
        """Every link is open again."""
        self.network.heal()

    def crash(self, *indexes: int, power: bool = True) -> None:
        """Stop these machines; with `power`, what they had not synced may be lost."""
        for index in indexes:
            self.injector.crash(self.host(index), Loss.POWER if power else Loss.PROCESS, None)

    def reboot(self, *indexes: int) -> None:
        """Start these machines again."""
        for index in indexes:
            self.injector.reboot(self.host(index))

    @property
    def height(self) -> int:
        """The highest block that an honest validator has executed."""
        return len(self.oracles.chain)

    def expect_finalized(self, height: int, within_ms: int = 20_000) -> None:
        """Every honest machine that runs executes the block at `height` in time."""
        running = [host for host in self.honest if host.machine is not None]
        if not self.run_until(lambda: all(h.height >= height for h in running), within_ms):
            reached = {host.name: host.height for host in running}
            raise Violation("liveness", f"height {height} within {within_ms} ms: {reached}")

    def expect_pace(self, for_ms: int, within_ms: int | None = None) -> None:
        """While `for_ms` pass, no honest machine that runs waits longer than that for a block.

        Without `within_ms`: than what the liars and the machines that stand still may cost.
        """
        running = [host.name for host in self.honest if host.machine is not None]
        parameters = self.consortium.genesis.parameters
        bound_ms = resume_ms_max(parameters, self.size - len(running))
        self.pace.watch(running, self.now_ms, within_ms or bound_ms)
        self.run_ms(for_ms)
        self.pace.stop(self.now_ms)

    def expect_no_finality(self, for_ms: int = 3_000) -> None:
        """Nobody executes another block while `for_ms` pass, after what is under way has ended."""
        self.run_ms(500)
        before = self.height
        self.run_ms(for_ms)
        if self.height != before:
            raise Violation("no finality", f"height went from {before} to {self.height}")

    def expect_told(self, within_ms: int = 20_000) -> None:
        """Every client has its verdict in time."""
        if not self.run_until(lambda: not self.clients.waiting, within_ms):
            raise Violation("liveness", f"{self.clients.waiting} transactions have no verdict")
