"""One validator's machine: a real replica, its disk, its clock, and how effects are performed.

The rules are those at the head of `replica.effects`. A work queue holds the effects of each step;
the disk works on one group of them at a time, and what a group sends leaves when the group is
durable. Every primitive operation burns the fuse, so that power can go between any two of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from onward import limits
from onward.consensus.journal import JournalRecord
from onward.consensus.messages import PeerMessage, Vote
from onward.errors import OnwardError
from onward.ledger.block import Batch
from onward.ledger.store import Store
from onward.ledger.transaction import CheckedEnvelope, Opened
from onward.replica.effects import (
    Answer,
    BatchChecked,
    Boot,
    Commit,
    Effects,
    Event,
    Happened,
    Received,
    Submitted,
    Tick,
    VerifyJob,
)
from onward.simulation.disk import Loss, SimulatedDisk
from onward.simulation.faults import FaultKind
from onward.simulation.oracles import Violation
from onward.simulation.ruin import PowerCut
from onward.storage.catch_up import chain_page
from onward.types import Digest

_SETTLED_PER_TURN = 16


class Machine(Protocol):
    """What a host drives; `Replica` is one."""

    @property
    def view(self) -> int:
        """The current view."""

    @property
    def leader(self) -> int:
        """The leader of the current view."""

    @property
    def epoch(self) -> int:
        """The number of the epoch."""

    def step_all(self, events: Sequence[Event], now_ms: int) -> Effects:
        """See `replica.effects`."""


StartMachine = Callable[[Store], Machine]
"""Builds the machine over what the disk holds."""


class Surroundings(Protocol):
    """What the world is to a host."""

    @property
    def now_ms(self) -> int:
        """Simulated time since the start."""

    def later(self, delay_ms: int, action: Callable[..., None], *arguments: object) -> None:
        """Call `action(*arguments)` in simulated time."""

    def transmit(self, host: Host, to: int, message: PeerMessage) -> None:
        """Put a message on the link from `host` to the validator `to`."""

    def check_batch(self, host: Host, batch: Batch, head: Digest) -> tuple[Opened | None, str]:
        """The stateless check of a batch: how many bodies it holds, or None and why not."""

    def on_booted(self, host: Host, journal: tuple[JournalRecord, ...]) -> None:
        """The machine starts over what its disk holds, this journal among it."""

    def on_effects(self, host: Host, events: tuple[Event, ...], effects: Effects) -> None:
        """A step was taken; nothing of it has been performed."""

    def on_sending(self, host: Host, to: int, message: PeerMessage) -> None:
        """A message leaves."""

    def on_durable(self, host: Host, votes: Iterable[Vote], epoch: int) -> None:
        """Votes are in the synced journal."""

    def on_released(self, host: Host, commit: Commit | None, answers: tuple[Answer, ...]) -> None:
        """Clients may hear of this now."""

    def on_power_cut(self, host: Host, fault: FaultKind) -> None:
        """The power of the host went, in the midst of something."""


class Host:
    """A machine that can be started, stopped, slowed down and pulled the plug of."""

    def __init__(
        self,
        world: Surroundings,
        *,
        index: int,
        side: int,
        epoch_ms: int,
        start: StartMachine,
        disk: SimulatedDisk,
    ) -> None:
        """`side` tells twins apart; `epoch_ms` is the UTC time of simulated zero."""
        self.index = index
        self.side = side
        self.name = f"n{index}" + ("" if side == 0 else "'")
        self.is_liar = False
        self.disk = disk
        self.machine: Machine | None = None
        self.boots = 0
        self.waits_for = (0, 0)  # the view that it was last seen in, and that view's leader
        self.height = 0
        self.peers_up: set[int] = set()
        self.sync_ms = 1
        self.settle_ms = 1
        self.verify_ms = 1
        self.turn_ms = 0
        self.clock_offset_ms = 0
        self._frozen_until_ms: int | None = None
        self._held: list[tuple[int, Callable[..., None], tuple[object, ...]]] = []
        self.fuse: int | None = None
        self.disk_fuse: int | None = None
        self.cut_before: str | None = None  # the disk operation before which power goes
        self.sends_early = False
        self.overhear: Callable[[int, PeerMessage], None] | None = None  # a liar that listens
        self._world = world
        self._start = start
        self._epoch_ms = epoch_ms
        self._clock_ms = 0
        self._wake_at_ms: int | None = None
        self._wakes = 0
        self._steps: deque[tuple[int, Effects, int]] = deque()  # number and epoch
        self._inbox: deque[Event] = deque()
        self._has_turn = False  # whether a turn is coming
        self._persisting = False
        self._settle_at_ms: int | None = None

    # -- life --------------------------------------------------------------------------------------

    def boot(self) -> None:
        """Start the machine over what the disk still holds."""
        self.boots += 1
        boot = self.disk.open()
        self.height = self.disk.height()
        self._world.on_booted(self, boot.journal)
        self.machine = self._start(self.disk.store)
        try:
            self._step((boot,))
        except PowerCut as cut:
            self._world.on_power_cut(self, cut.fault)

    def crash(self, loss: Loss) -> None:
        """Stop at once. What the disk had not synced may be lost, if the power went too."""
        self.look()
        self.machine = None
        self.fuse = self.disk_fuse = self.cut_before = None
        self.peers_up.clear()
        self._steps.clear()
        self._inbox.clear()
        self._has_turn = False
        self._persisting = False
        self._settle_at_ms = None
        self._wake_at_ms = None
        self._frozen_until_ms = None
        self._held.clear()
        self._clock_ms = 0  # a restart takes over the system's time, also where that went back
        self.disk.crash(loss)

    @property
    def is_frozen(self) -> bool:
        """Whether the process stands still: nothing is lost, and nothing happens."""
        return self._frozen_until_ms is not None

    def freeze(self, for_ms: int) -> None:
        """Stand still for a while from now on, also where it stood still already."""
        until_ms = self._world.now_ms + for_ms
        self._frozen_until_ms = until_ms
        self._world.later(for_ms, self._thaw_at, until_ms)

    def thaw(self) -> None:
        """Go on, with all that was due meanwhile, in its order."""
        self._frozen_until_ms = None
        held = self._held.copy()
        self._held.clear()
        for boots, action, arguments in held:
            self._guarded(boots, action, *arguments)

    def _thaw_at(self, until_ms: int) -> None:
        if self._frozen_until_ms == until_ms:
            self.thaw()

    def look(self) -> None:
        """Note whom the machine waits for."""
        if self.machine is not None:
            self.waits_for = (self.machine.view, int(self.machine.leader))

    def clock(self) -> int:
        """This machine's UTC time: it may be off, and between boots it never runs backwards."""
        self._clock_ms = max(
            self._clock_ms, self._epoch_ms + self._world.now_ms + self.clock_offset_ms
        )
        return self._clock_ms

    def burn(self) -> None:
        """One more effect or disk operation. Raises `PowerCut` when the fuse is through."""
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse <= 0:
                raise PowerCut(FaultKind.FUSE)

    def burn_disk(self, operation: str) -> None:
        """One more disk operation: it burns both fuses."""
        if operation == self.cut_before:
            raise PowerCut(FaultKind.ROTATION)
        if self.disk_fuse is not None:
            self.disk_fuse -= 1
            if self.disk_fuse <= 0:
                raise PowerCut(FaultKind.POWER)
        self.burn()

    @property
    def queue_length(self) -> int:
        """Steps whose effects are not performed yet."""
        return len(self._steps)

    # -- events ------------------------------------------------------------------------------------

    def deliver(self, boots: int, event: Event) -> None:
        """An event reaches the incarnation `boots` of this machine, if it still runs."""
        self._guarded(boots, self._take, event)

    def submit(self, envelope: CheckedEnvelope) -> None:
        """A client's envelope, past the checks at the door."""
        self._guarded(self.boots, self._take, Submitted(envelopes=(envelope,)))

    def receive(self, boots: int, sender: int, message: PeerMessage) -> None:
        """A message arrives on the connection with `sender`, if that still stands."""
        if sender in self.peers_up:
            if self.overhear is not None:
                self.overhear(sender, message)
            self.deliver(boots, Received(peer=sender, message=message))  # type: ignore[arg-type]

    def _guarded(self, boots: int, action: Callable[..., None], *arguments: object) -> None:
        if self.machine is None or boots != self.boots:
            return
        if self.is_frozen:
            self._held.append((boots, action, arguments))
            return
        try:
            action(*arguments)
        except PowerCut as cut:
            self._world.on_power_cut(self, cut.fault)

    def _take(self, event: Event) -> None:
        """What comes while a turn is on its way is taken in by one step, as the driver does."""
        self._inbox.append(event)
        self._turn_soon()

    def _turn_soon(self) -> None:
        if not self._has_turn and not self.disk.node_disk.full:
            self._has_turn = True
            self._world.later(self.turn_ms, self._guarded, self.boots, self._turn)

    def _turn(self) -> None:
        self._has_turn = False
        inbox = self._inbox
        if self.disk.node_disk.full:
            return
        self._step(
            tuple(inbox.popleft() for _ in range(min(len(inbox), limits.EVENTS_PER_STEP_MAX)))
        )
        if inbox:
            self._turn_soon()

    def _step(self, events: tuple[Event, ...]) -> None:
        machine = self.machine
        if machine is None or not events:
            return
        try:
            effects = machine.step_all(events, self.clock())
        except OnwardError as error:
            self._stop_after(error)
            return
        self._world.on_effects(self, events, effects)
        if effects.commit is not None:
            self.height = effects.commit.height
        number = self.disk.node_disk.stage(effects)
        for job in effects.verify:
            self._world.later(self.verify_ms, self._guarded, self.boots, self._verified, job)
        self._wake(effects.wake_at_ms)
        if self.sends_early:
            self._release(effects)
        self._steps.append((number, effects, machine.epoch))
        self._pump()
        if effects.halt is not None:
            self._stop_after(effects.halt)

    def _stop_after(self, error: OnwardError) -> None:
        """The machine will not go on. An honest one may say so only where too many cheat."""
        if not self.is_liar:
            raise Violation("no halt", f"{self.name}: {type(error).__name__}: {error}") from error
        self.crash(Loss.PROCESS)

    def _verified(self, job: VerifyJob) -> None:
        opened, error = self._world.check_batch(self, job.batch, job.head)
        self._take(BatchChecked(head=job.head, opened=opened, error=error))

    def _wake(self, at_ms: int | None) -> None:
        """Only the newest wish counts."""
        if at_ms == self._wake_at_ms and at_ms is not None:
            return
        self._wake_at_ms = at_ms
        self._wakes += 1
        if at_ms is not None:
            delay_ms = max(1, at_ms - self.clock())
            self._world.later(delay_ms, self._guarded, self.boots, self._tick, self._wakes)

    def _tick(self, wakes: int) -> None:
        if wakes != self._wakes or self._wake_at_ms is None:
            return
        early_ms = self._wake_at_ms - self.clock()
        if early_ms > 0:  # the clock was put back meanwhile
            self._world.later(early_ms, self._guarded, self.boots, self._tick, wakes)
            return
        self._wake_at_ms = None
        self._take(Tick())

    # -- effects -----------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Let go what is durable, and give the disk its next turn."""
        disk = self.disk.node_disk
        while self._steps and self._steps[0][0] <= disk.persisted_through:
            _, step, epoch = self._steps.popleft()
            self._world.on_durable(self, (r for r in step.persist if isinstance(r, Vote)), epoch)
            if not self.sends_early:
                self._release(step)
        if disk.must_persist and not self._persisting:
            self._persisting = True
            self._world.later(self.sync_ms, self._guarded, self.boots, self._persist)
        if disk.must_settle:
            self._settle_soon(disk.full or disk.rotating)
        if self._inbox:
            self._turn_soon()

    def _persist(self) -> None:
        """The sync of a group is done."""
        self._persisting = False
        self.disk.node_disk.persist()
        self._pump()

    def _settle_soon(self, is_waited_for: bool) -> None:  # noqa: FBT001
        """The database may lag, unless something waits for it."""
        due_ms = self._world.now_ms + (self.sync_ms if is_waited_for else self.settle_ms)
        if self._settle_at_ms is None or due_ms < self._settle_at_ms:
            self._settle_at_ms = due_ms
            self._world.later(
                due_ms - self._world.now_ms, self._guarded, self.boots, self._settle, due_ms
            )

    def _settle(self, due_ms: int) -> None:
        """The database catches up, a few steps at a time."""
        if due_ms != self._settle_at_ms:
            return
        self._settle_at_ms = None
        for _ in range(_SETTLED_PER_TURN):
            if not self.disk.node_disk.settle():
                break
        self._pump()

    def _release(self, step: Effects) -> None:
        for outbound in step.send:
            targets = self.peers_up if outbound.to is None else {int(outbound.to)}
            for to in sorted(targets):
                self._send(to, outbound.message)
        for request in step.serve:
            self._send(request.to, chain_page(self.disk.node_disk, request.from_height))
        if step.answers or step.commit is not None:
            self.burn()
            self._world.on_released(self, step.commit, step.answers)

    def _send(self, to: int, message: PeerMessage) -> None:
        self.burn()
        self._world.on_sending(self, to, message)
        self._world.transmit(self, to, message)


def describe_all(events: tuple[Event, ...]) -> str:
    """The events of one step, in order."""
    return ", ".join(map(describe, events))


def describe(event: Event) -> str:
    """An event in a few words, the same in every run."""
    match event:
        case Received(peer=peer, message=message):
            return f"{type(message).__name__} from n{peer}"
        case Boot(journal=journal, batches=batches):
            return f"Boot journal={len(journal)} batches={len(batches)}"
        case BatchChecked(head=head, error=error):
            return f"BatchChecked {head.hex()[:8]} {error or 'ok'}"
        case Submitted(envelopes=(first, *_)):
            return f"Submitted {first.tx_hashes[0].hex()[:8]}"
        case _:
            return type(event).__name__


def describe_happened(happened: Happened) -> str:
    """A typed event on one line."""
    return " ".join((happened.name, *(f"{name}={value}" for name, value in happened.fields)))
