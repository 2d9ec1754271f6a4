"""The one loop of a node: take an event, step the replica, perform the effects.

The order of the effects is the rule of safety in `replica.effects`. Here it looks like this:

    step k ─ stage ─────────────────────────────────► reads see its commit
             └─ writer thread: persist + sync ─► k durable ─► send k, answer k   (in step order)
                                └─ later: database, rotation

Steps go on while the writer works, up to a bound; what they want persisted meanwhile goes into the
writer's next group with one sync. What a step sends waits in `_outgoing` until the disk has
persisted that step and all before it. An error of the disk, a divergence or a bug ends the loop,
and so the node: nothing here catches them.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Protocol

from onward import limits
from onward.consensus.messages import ChainPage, PeerMessage
from onward.errors import DivergenceError
from onward.replica.effects import (
    Answer,
    Boot,
    Effects,
    Event,
    Happened,
    Received,
    Serve,
    Tick,
    Verdict,
)
from onward.runtime.inbox import Inbox
from onward.runtime.verification import Verifier
from onward.telemetry.events import EventSink
from onward.telemetry.metrics import Metrics
from onward.types import ValidatorIndex

_OUTCOMES = {0: "void", 1: "accepted", 2: "recorded", 3: "refused"}


class Machine(Protocol):
    """The replica, as the driver uses it."""

    def step_all(self, events: Sequence[Event], now_ms: int) -> Effects:
        """Take events in, in order."""


class Disk(Protocol):
    """The node's disk: `stage` on the loop, `write` on the writer thread."""

    @property
    def full(self) -> bool:
        """Whether the next step has to wait for the writer."""

    @property
    def pending(self) -> bool:
        """Whether `write` has something to do."""

    @property
    def persisted_through(self) -> int:
        """Number of the last staged work whose `persist` is durable."""

    def stage(self, effects: Effects) -> int:
        """Take over a step's writes; answers the number to wait for before sending."""

    def write(self, persisted: Callable[[int], None]) -> None:
        """Make everything staged durable; `persisted` is told how far, each time it grows."""


class PeerSender(Protocol):
    """The links to the other validators."""

    def send(self, to: ValidatorIndex | None, message: PeerMessage) -> None:
        """Queue a message for one peer or for all."""

    def punish(self, peer: ValidatorIndex, reason: str) -> None:
        """End the stream of a peer that did what no honest validator does."""


class Clients(Protocol):
    """Those who wait for verdicts."""

    def finished(self, verdicts: Sequence[Verdict]) -> None:
        """Bodies got their verdicts."""

    def refused(self, answer: Answer) -> None:
        """A submission was not taken in."""

    def progressed(self) -> None:
        """The store has grown."""


class Time(Protocol):
    """The node's clock."""

    def now_ms(self) -> int:
        """UTC, never running backwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverPorts:
    """Everything that the driver acts on. `chain_page` reads a page of the chain from disk."""

    machine: Machine
    disk: Disk
    writer: Executor  # of one thread
    inbox: Inbox
    peers: PeerSender
    clients: Clients
    verifier: Verifier
    chain_page: Callable[[int], ChainPage]
    clock: Time
    events: EventSink
    metrics: Metrics
    accused: Callable[[], None]  # the replica holds new evidence


@dataclass(frozen=True, slots=True)
class _Outgoing:
    """What a step sends and answers, and the staged work that has to be durable before."""

    number: int
    effects: Effects


class Driver:
    """Runs one replica. `run` ends after `stop`, or with the error that ends the node."""

    def __init__(self, ports: DriverPorts) -> None:
        self._ports = ports
        self._outgoing: deque[_Outgoing] = deque()
        self._serving: dict[ValidatorIndex, Serve] = {}
        self._writing: asyncio.Future[None] | None = None
        self._progress = asyncio.Event()
        self._wake_at_ms: int | None = None
        self._stopping = False
        self._halt: DivergenceError | None = None

    async def run(self, boot: Boot) -> None:
        """Step `boot` and then whatever comes, until `stop`; leaves with everything durable.

        Raises `DivergenceError` when the replica halts: then too everything it wrote is durable.
        """
        self._step((boot,))
        while not self._stopping:
            self._ports.inbox.check()
            self._write()
            self._send_durable()
            if self._must_wait_for_disk():
                await self._disk_progress()
                continue
            self._turn()
            self._write()
            self._send_durable()
            self._serve_one()
            if len(self._ports.inbox) or self._serving:
                await asyncio.sleep(0)
                self._check_writer()
            else:
                await self._idle()
        await self._finish()
        if self._halt is not None:
            raise self._halt

    def stop(self) -> None:
        """Take no more steps; `run` returns when what was stepped is durable and sent."""
        self._stopping = True
        self._ports.inbox.wake()
        self._progress.set()

    @property
    def steps_in_flight(self) -> int:
        """Steps whose effects wait for the disk."""
        return len(self._outgoing)

    # -- stepping --------------------------------------------------------------------------------

    def _turn(self) -> None:
        """One step with what has come, up to a bound; the tick first, because it is due."""
        ports = self._ports
        events: list[Event] = []
        if self._wake_at_ms is not None and self._wake_at_ms <= ports.clock.now_ms():
            events.append(Tick())
        while len(events) < limits.EVENTS_PER_STEP_MAX:
            event = ports.inbox.take()
            if event is None:
                break
            events.append(event)
        if events:
            self._step(events)

    def _step(self, events: Sequence[Event]) -> None:
        ports = self._ports
        began = time.perf_counter()
        effects = ports.machine.step_all(events, ports.clock.now_ms())
        number = ports.disk.stage(effects)
        ports.metrics.step_seconds.observe(time.perf_counter() - began)
        for event in events:
            ports.metrics.inputs.labels(_kind_of(event)).inc()
        self._wake_at_ms = effects.wake_at_ms
        for job in effects.verify:
            ports.verifier.submit(job)
        for serve in effects.serve:
            self._serving[serve.to] = serve  # one page for each peer at a time
        if effects.events:
            self._note(effects.events)
        if effects.halt is not None:
            self._halt = effects.halt
            self._stopping = True
        if effects.send or effects.answers or effects.commit or effects.store:
            self._outgoing.append(_Outgoing(number, effects))

    def _note(self, events: tuple[Happened, ...]) -> None:
        ports = self._ports
        ports.events.happened(events)
        for event in events:
            fields = dict(event.fields)
            peer = fields.get("peer")
            if event.name == "evidence":
                ports.accused()
            elif event.name == "misbehaved" and isinstance(peer, int):
                ports.metrics.peer_faults.labels(str(peer)).inc()
                ports.peers.punish(ValidatorIndex(peer), str(fields.get("reason", "")))

    def _serve_one(self) -> None:
        """Read one page of the chain for a peer that is behind; it holds no promise of ours."""
        if self._serving:
            peer = next(iter(self._serving))
            serve = self._serving.pop(peer)
            self._ports.peers.send(peer, self._ports.chain_page(serve.from_height))

    # -- durability ------------------------------------------------------------------------------

    def _must_wait_for_disk(self) -> bool:
        return self._ports.disk.full or len(self._outgoing) >= limits.STEPS_IN_FLIGHT_MAX

    def _write(self) -> None:
        """Start the writer when there is something to write and it does nothing."""
        self._check_writer()
        if self._writing is None and self._ports.disk.pending:
            loop = asyncio.get_running_loop()
            self._writing = loop.run_in_executor(self._ports.writer, self._write_through, loop)
            self._writing.add_done_callback(self._wake)

    def _check_writer(self) -> None:
        """Raise what ended the writer, if anything did."""
        if self._writing is not None and self._writing.done():
            writing, self._writing = self._writing, None
            writing.result()

    def _write_through(self, loop: asyncio.AbstractEventLoop) -> None:
        """On the writer thread."""
        began = time.perf_counter()

        def persisted(_: int) -> None:
            loop.call_soon_threadsafe(self._persisted)

        self._ports.disk.write(persisted)
        self._ports.metrics.sync_seconds.observe(time.perf_counter() - began)

    def _persisted(self) -> None:
        """Back on the loop: promises may leave, even while the loop waits for events."""
        try:
            self._send_durable()
        except Exception as error:  # noqa: BLE001  # raised at the driver's next turn
            self._ports.inbox.fail(error)
        self._progress.set()

    def _wake(self, _: object) -> None:
        self._progress.set()
        self._ports.inbox.wake()

    async def _disk_progress(self) -> None:
        self._progress.clear()
        if self._must_wait_for_disk() and not self._stopping:
            await self._progress.wait()

    def _send_durable(self) -> None:
        """Release, in step order, what every earlier persist allows."""
        persisted = self._ports.disk.persisted_through
        while self._outgoing and self._outgoing[0].number <= persisted:
            self._release(self._outgoing.popleft().effects)
        self._ports.metrics.steps_in_flight.set(len(self._outgoing))

    def _release(self, effects: Effects) -> None:
        ports = self._ports
        for outbound in effects.send:
            ports.peers.send(outbound.to, outbound.message)
        for answer in effects.answers:
            ports.clients.refused(answer)
        if effects.commit is not None:
            ports.clients.finished(effects.commit.verdicts)
            ports.metrics.height.set(effects.commit.height)
            ports.metrics.block_time_ms.set(effects.commit.time_ms)
            outcomes = Counter(verdict.outcome for verdict in effects.commit.verdicts)
            for outcome, count in outcomes.items():
                ports.metrics.bodies.labels(_OUTCOMES[outcome]).inc(count)
        if effects.commit is not None or effects.store:
            ports.clients.progressed()

    # -- waiting and ending ----------------------------------------------------------------------

    async def _idle(self) -> None:
        """Until an event comes, the clock reaches the wish, or the writer is done."""
        timeout_s = None
        if self._wake_at_ms is not None:
            timeout_s = max(0, self._wake_at_ms - self._ports.clock.now_ms()) / 1000
        if not self._stopping:
            await self._ports.inbox.wait(timeout_s)

    async def _finish(self) -> None:
        """Make durable what was stepped, and send what that allows."""
        while True:
            self._write()
            if self._writing is None:
                break
            await asyncio.wait({self._writing})
        self._send_durable()


def _kind_of(event: Event) -> str:
    if isinstance(event, Received):
        return type(event.message).__name__.lower()
    return type(event).__name__.lower()
