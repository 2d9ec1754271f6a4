"""All partitions of a network with one pair of twins, view by view, on the real core.

Four validators, one of them twice: two instances of the core with one key, which by themselves are
honest and together are a liar. For each view, the five instances are split into two sets, and what
an instance sends while it is in that view reaches its own set only. After the last of these views
everything arrives. Who leads is fixed by rotation, so the choice of the twin stands for the choice
of the leaders. Afterwards the network heals, and the honest must go on.

A run chooses the split of a view when something is first sent in it: where a network never gets
that far, all its choices are one. Two schedules that differ only in which twin is called which are
alike but for the order in which one millisecond's messages arrive; `explore` can leave one of
such a pair out.

Source: Bano et al., "Twins: BFT Systems Made Robust".
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.support.consensus_world import START_MS, core_config, genesis_of, validator_set

from onward.consensus.config import Payload
from onward.consensus.core import Core
from onward.consensus.effects import (
    BlockVerdict,
    Broadcast,
    Build,
    CoreEffect,
    Deliver,
    EvidenceFound,
    FarBehind,
    FetchBlock,
    ForkDetected,
    Misbehaved,
    SendTo,
    Validate,
)
from onward.consensus.evidence import are_conflicting
from onward.consensus.messages import EMPTY_PACKET, Packet, Vote
from onward.errors import OnwardError
from onward.ledger.block import Block, Executed, block_digest
from onward.types import Digest, ValidatorIndex

SIZE = 4
TWIN_SLOT = SIZE
SLOTS = SIZE + 1
SPLITS = range(2 ** (SLOTS - 1))
"""A split is the set of those who are not with slot 0, a bit for each of the other slots."""
PACE_MS = 50
STUCK_MS = 4_000
HEALED_MS = 30_000
BLOCKS_AFTER = 2
VALIDATORS = validator_set(SIZE)

CoreType = type[Core]


class Broken(Exception):
    """A promise of the consensus does not hold in a schedule."""


@dataclass(slots=True)
class Instance:
    """One core and what its replica would keep for it."""

    slot: int
    index: int
    core: Core
    chain: list[Block]
    building: Build | None = None
    build_at_ms: int = 0
    is_dead: bool = False
    inbox: list[tuple[int, Packet]] = field(default_factory=list)

    @property
    def due_ms(self) -> int:
        """When it wants to be woken."""
        build = self.building
        is_building = build is not None and build.view == self.core.view
        return (
            min(self.core.deadline_ms, self.build_at_ms) if is_building else self.core.deadline_ms
        )


@dataclass(slots=True)
class Schedule:
    """One run. `choose(view)` answers with the split of a view."""

    twin: int
    views: int
    choose: Callable[[int], int]
    core_type: CoreType = Core
    now_ms: int = START_MS
    is_healed: bool = False
    events: int = 0
    instances: list[Instance] = field(default_factory=list)
    canonical: list[Block] = field(default_factory=list)
    evidence: int = 0
    early_blocks: int = 0  # finalized before the network healed
    _splits: dict[int, int] = field(default_factory=dict)
    _queue: list[tuple[int, int, int, int, Packet]] = field(default_factory=list)
    _said: dict[tuple[int, int], list[Vote]] = field(default_factory=dict)

    # -- the run -----------------------------------------------------------------------------------

    def run(self) -> None:
        """Raises `Broken`."""
        root, final = genesis_of(VALIDATORS)
        self.canonical = [root]
        for slot in range(SLOTS):
            index = self.twin if slot == TWIN_SLOT else slot
            core = self.core_type(core_config(VALIDATORS, index), root, final)
            self.instances.append(Instance(slot, index, core, [root]))
        for instance in self.instances:
            self._perform(instance, instance.core.start((), self.now_ms))
            self._perform(instance, instance.core.on_pending(self.now_ms, is_pending=True))
        self._pass_time(START_MS + STUCK_MS, self._is_past_the_splits)
        self.is_healed, self.early_blocks = True, len(self.canonical) - 1
        for instance in self.instances:
            for peer in range(SIZE):
                if peer != instance.index:
                    self._do(instance, Core.on_peer_up, ValidatorIndex(peer), self.now_ms)
        goal = len(self.canonical) + BLOCKS_AFTER
        honest = [item for item in self.instances if item.index != self.twin]
        self._pass_time(
            self.now_ms + HEALED_MS, lambda: all(len(item.chain) >= goal for item in honest)
        )
        reached = [len(item.chain) - 1 for item in honest]
        if min(reached) + 1 < goal:
            raise Broken(f"stuck after the network healed: heights {reached}, goal {goal - 1}")

    def _is_past_the_splits(self) -> bool:
        return all(item.core.view > self.views for item in self.instances)

    def _pass_time(self, end_ms: int, is_reached: Callable[[], bool]) -> None:
        while not is_reached():
            waking = min(self.instances, key=lambda item: item.due_ms)
            at_ms = self._queue[0][0] if self._queue else end_ms
            self.now_ms = max(self.now_ms, min(waking.due_ms, at_ms))
            if self.now_ms >= end_ms:
                return
            self.events += 1
            if waking.due_ms < at_ms:
                self._wake(waking)
                continue
            _, _, sender, receiver, packet = heapq.heappop(self._queue)
            peer = ValidatorIndex(self.instances[sender].index)
            self._do(self.instances[receiver], Core.on_packet, peer, packet, self.now_ms)

    def _wake(self, instance: Instance) -> None:
        build, now_ms = instance.building, self.now_ms
        is_open = build is not None and build.view == instance.core.view
        if build is not None and is_open and now_ms >= instance.build_at_ms:
            instance.building = None
            payload = self._payload(build.parent_block, instance.slot)
            self._do(instance, Core.on_built, build.view, build.parent, payload, now_ms)
        if now_ms >= instance.core.deadline_ms:
            self._do(instance, Core.on_time, now_ms)

    def _payload(self, parent: Block, slot: int) -> Payload:
        """The block's time tells the proposals of twins apart."""
        return Payload(
            time_ms=max(self.now_ms, parent.time_ms) + 1 + (slot == TWIN_SLOT),
            cut=parent.cut,
            executed=Executed(height=0, log_size=0, log_root=bytes(32)),
            last=False,
            next_set_hash=bytes(32),
        )

    # -- what a replica does -----------------------------------------------------------------------

    def _do(
        self, instance: Instance, event: Callable[..., tuple[CoreEffect, ...]], *given: object
    ) -> None:
        if instance.is_dead:
            return
        try:
            effects = getattr(instance.core, event.__name__)(*given)  # a planted bug may sit there
        except OnwardError as error:
            if instance.index != self.twin:
                raise Broken(f"validator {instance.index} halts: {error}") from error
            instance.is_dead = True
            return
        self._perform(instance, effects)

    def _perform(self, instance: Instance, effects: tuple[CoreEffect, ...]) -> None:
        for effect in effects:
            self._judge(instance, effect)
            match effect:
                case Broadcast():
                    for peer in range(SIZE):
                        self._send(instance, peer, effect.packet)
                case SendTo():
                    self._send(instance, effect.peer, effect.packet)
                case Build():
                    instance.building = effect
                    instance.build_at_ms = self.now_ms + PACE_MS
                case Validate():
                    verdict = (effect.digest, BlockVerdict.VALID, self.now_ms)
                    self._do(instance, Core.on_verdict, *verdict)
                case FetchBlock():
                    self._fetch(instance, effect.digest)
                case Deliver():
                    self._deliver(instance, effect.blocks)
                case _:
                    pass

    def _send(self, sender: Instance, peer: int, packet: Packet) -> None:
        if peer == sender.index:
            return
        if sender.index != self.twin:
            for vote in packet.votes:
                self._expect_no_conflict(vote)
        for receiver in self.instances:
            if receiver.index == peer and self._is_linked(sender, receiver):
                self.events += 1
                item = (self.now_ms + 1, self.events, sender.slot, receiver.slot, packet)
                heapq.heappush(self._queue, item)

    def _is_linked(self, sender: Instance, receiver: Instance) -> bool:
        view = sender.core.view
        if self.is_healed or view > self.views:
            return True
        if view not in self._splits:
            self._splits[view] = self.choose(view) << 1
        split = self._splits[view]
        return (split >> sender.slot) & 1 == (split >> receiver.slot) & 1

    def _fetch(self, asker: Instance, digest: Digest) -> None:
        """Whoever is linked with the asker and has the block sends it."""
        for other in self.instances:
            if other.index != asker.index and self._is_linked(asker, other):
                delivered = (block for block in other.chain if block_digest(block) == digest)
                block = other.core.block(digest) or next(delivered, None)
                if block is not None and self._is_linked(other, asker):
                    packet = Packet(**{**_FIELDS, "blocks": (block,)})
                    self._send(other, asker.index, packet)

    # -- what must hold ----------------------------------------------------------------------------

    def _judge(self, instance: Instance, effect: CoreEffect) -> None:
        if instance.index == self.twin:
            return
        match effect:
            case EvidenceFound():
                self.evidence += 1
                self._expect_guilt(instance, effect.first.signer)
            case Misbehaved():
                self._expect_guilt(instance, effect.peer)
            case ForkDetected() | FarBehind():
                raise Broken(f"validator {instance.index}: {type(effect).__name__}")
            case _:
                pass

    def _deliver(self, instance: Instance, blocks: tuple[Block, ...]) -> None:
        instance.chain.extend(blocks)
        if instance.index == self.twin:
            return
        for block in blocks:
            if block.height < len(self.canonical):
                if self.canonical[block.height] != block:
                    raise Broken(f"fork at height {block.height}")
            elif block.height == len(self.canonical):
                self.canonical.append(block)
            else:
                raise Broken(f"height {block.height} after {len(self.canonical) - 1}")

    def _expect_guilt(self, accuser: Instance, accused: int) -> None:
        if accused != self.twin:
            raise Broken(f"validator {accuser.index} accuses the honest {accused}")

    def _expect_no_conflict(self, vote: Vote) -> None:
        said = self._said.setdefault((vote.view, vote.signer), [])
        if vote not in said:
            if any(are_conflicting(vote, other) for other in said):
                raise Broken(f"validator {vote.signer} contradicts itself in view {vote.view}")
            said.append(vote)


_FIELDS = {name: getattr(EMPTY_PACKET, name) for name in EMPTY_PACKET.__slots__}


# -- all of them -----------------------------------------------------------------------------------


@dataclass(slots=True)
class Figures:
    """What a whole enumeration came to."""

    runs: int = 0
    schedules: int = 0  # how many schedules these runs stand for
    events: int = 0
    with_evidence: int = 0
    with_early_blocks: int = 0  # finalized before the network healed


def swapped(split: int, twin: int) -> int:
    """The same split with the names of the twins exchanged."""
    sides = [0, *((split >> place) & 1 for place in range(SIZE))]
    sides[twin], sides[TWIN_SLOT] = sides[TWIN_SLOT], sides[twin]
    return sum((side ^ sides[0]) << place for place, side in enumerate(sides[1:]))


def explore(
    twin: int, views: int, core_type: CoreType = Core, *, names_twins: bool = False
) -> Figures:
    """Every schedule of some views with this twin; raises `Broken`, naming the splits.

    Unless it `names_twins`, one of each pair that differs in the twins' names alone.
    """
    figures = Figures()
    waiting: list[tuple[int, ...]] = [()]
    while waiting:
        prefix = waiting.pop()
        chosen = list(prefix)

        def choose(view: int, prefix: tuple[int, ...] = prefix, chosen: list[int] = chosen) -> int:
            """The splits of the prefix; beyond it the first, and the others are kept for later."""
            if view <= len(prefix):
                return prefix[view - 1]
            assert view == len(chosen) + 1, "the views are entered one by one"
            is_open = not names_twins and all(split == swapped(split, twin) for split in chosen)
            others = [item for item in SPLITS if not is_open or item <= swapped(item, twin)]
            waiting.extend((*chosen, other) for other in others[1:])
            chosen.append(others[0])
            return others[0]

        schedule = Schedule(twin, views, choose, core_type)
        try:
            schedule.run()
        except Broken as broken:
            broken.add_note(f"twin {twin}, splits {chosen}")
            raise
        is_single = names_twins or all(split == swapped(split, twin) for split in chosen)
        figures.runs += 1
        figures.schedules += len(SPLITS) ** (views - len(chosen)) * (1 if is_single else 2)
        figures.events += schedule.events
        figures.with_evidence += schedule.evidence > 0
        figures.with_early_blocks += schedule.early_blocks > 0
    return figures
