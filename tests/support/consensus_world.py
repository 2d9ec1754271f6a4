"""n validators of the consensus room alone, in memory: core, lanes, a disk, a seeded network.

It stands in for the replica and its driver with as little as will do: an executed state is just
the delivered height. Every delivery and every vote that leaves passes the oracles at the end.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256

from onward.consensus.config import CoreConfig, Payload
from onward.consensus.core import Core
from onward.consensus.effects import (
    BlockVerdict,
    Broadcast,
    Build,
    CheckBatch,
    CoreEffect,
    Deliver,
    EvidenceFound,
    FarBehind,
    FetchBlock,
    ForkDetected,
    LaneEffect,
    LaneForked,
    Misbehaved,
    Persist,
    SendBatch,
    SendTo,
    StoreBatch,
    TipsMoved,
    Validate,
)
from onward.consensus.evidence import are_conflicting
from onward.consensus.journal import JournalRecord
from onward.consensus.lanes import DurableBatch, InvalidCut, Lanes, LanesConfig
from onward.consensus.messages import (
    EMPTY_PACKET,
    Certificate,
    Fetch,
    Packet,
    Vote,
    VoteKind,
    decode_frame,
    encode_frame,
)
from onward.ledger.block import Batch, Block, Cut, Executed, block_digest, genesis_block
from onward.ledger.genesis import Parameters
from onward.types import (
    Digest,
    Epoch,
    PublicKey,
    Signature,
    Validator,
    ValidatorIndex,
    ValidatorSet,
)

CHAIN_ID = bytes([7]) * 32
START_MS = 1_000_000
PACE_MS = 80

Message = Packet | Batch | Fetch


class CheapSigner:
    """Signs with a hash: whoever knows the public key could, and no test's liar does."""

    def __init__(self, public_key: bytes) -> None:
        self.public_key = PublicKey(public_key)

    def sign(self, message: bytes) -> Signature:
        return Signature(sha256(self.public_key + message).digest() * 2)


def cheap_verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    return sha256(public_key + message).digest() * 2 == signature


def validator_set(size: int, kind: type[ValidatorSet] = ValidatorSet) -> ValidatorSet:
    members = tuple(
        Validator(name=f"v{i}", organisation=f"o{i}", public_key=PublicKey(bytes([i + 1]) * 32))
        for i in range(size)
    )
    return kind(epoch=Epoch(0), members=members)


def core_config(
    validators: ValidatorSet, me: int, parameters: Parameters | None = None
) -> CoreConfig:
    return CoreConfig(
        chain_id=CHAIN_ID,
        validators=validators,
        me=ValidatorIndex(me),
        signer=CheapSigner(validators.public_key(me)),
        verify=cheap_verify,
        parameters=parameters or Parameters(),
    )


def lanes_config(validators: ValidatorSet, me: int) -> LanesConfig:
    return LanesConfig(
        chain_id=CHAIN_ID,
        validators=validators,
        me=ValidatorIndex(me),
        signer=CheapSigner(validators.public_key(me)),
        verify=cheap_verify,
    )


def genesis_of(validators: ValidatorSet) -> tuple[Block, Certificate]:
    root = genesis_block(CHAIN_ID, 1, validators, bytes(32))
    digest = block_digest(root)
    return root, Certificate(kind=VoteKind.FINALIZE, view=0, digest=digest, signatures=())


@dataclass
class Disk:
    """What survives a crash."""

    journal: list[JournalRecord] = field(default_factory=list)
    batches: list[DurableBatch] = field(default_factory=list)
    chain: list[tuple[Block, Certificate]] = field(default_factory=list)  # every height, from 0
    bodies: dict[bytes, Batch] = field(default_factory=dict)  # delivered batches by head


class Crash(Exception):
    """The node loses everything but its disk, in the middle of a step."""


class Machine:
    """One validator, or one of the two machines of a twin."""

    def __init__(self, world: World, slot: int) -> None:
        me, disk = world.index_of[slot], world.disks[slot]
        self.world, self.slot, self.me, self.disk = world, slot, me, disk
        root, final = disk.chain[-1]
        config = core_config(world.validators, me, world.parameters)
        self.core = world.core_class(config, root, final)
        self.lanes = Lanes(lanes_config(world.validators, me), root.cut)
        self.lanes.restore(tuple(disk.batches))
        self.building: Build | None = None
        self.build_at_ms = 0
        self.waiting: dict[bytes, Validate] = {}
        self.asked_ms: dict[bytes, int] = {}
        self.effects_until_crash: int | None = None
        self.perform(self.core.start(tuple(disk.journal), world.now_ms))
        self.settle()

    # -- events ------------------------------------------------------------------------------------

    def take(self, peer: int, message: Message) -> None:
        now_ms, sender = self.world.now_ms, ValidatorIndex(peer)
        match message:
            case Packet():
                self.perform_lanes(self.lanes.on_tips(sender, message.tips))
                self.perform(self.core.on_packet(sender, message, now_ms))
            case Batch():
                self.perform_lanes(self.lanes.on_batch(sender, message))
            case Fetch():
                self.answer(peer, message)
        self.settle()

    def tick(self) -> None:
        if self.world.now_ms >= self.core.deadline_ms:
            self.perform(self.core.on_time(self.world.now_ms))
        self.settle()

    def submit(self, content: bytes) -> None:
        if not self.lanes.is_full():
            self.perform_lanes(self.lanes.seal((content,), 1))
            self.settle()

    def greet(self, peer: int) -> None:
        """A fresh connection."""
        self.perform(self.core.on_peer_up(ValidatorIndex(peer), self.world.now_ms))
        for batch in self.lanes.own_after(0):
            self.send(peer, batch)

    def answer(self, peer: int, fetch: Fetch) -> None:
        chain: dict[bytes, Block] = {}
        if any(self.core.block(Digest(digest)) is None for digest in fetch.blocks):
            chain = {block_digest(block): block for block, _ in self.disk.chain[1:]}
        for digest in fetch.blocks:
            block = self.core.block(Digest(digest)) or chain.get(digest)
            if block is not None:
                self.send(peer, self.dressed(replace(EMPTY_PACKET, blocks=(block,))))
        for head in fetch.batches:
            batch = self.lanes.held(head) or self.disk.bodies.get(head)
            if batch is not None:
                self.send(peer, batch)

    def settle(self) -> None:
        """What a replica does at the end of each step."""
        now_ms = self.world.now_ms
        self.perform(self.core.on_pending(now_ms, is_pending=self.lanes.has_pending))
        while self.judge() or self.build():
            pass
        for head in self.lanes.missing():
            if self.asked_ms.get(head, 0) <= now_ms:
                self.asked_ms[head] = now_ms + 100
                self.send(self.other(), Fetch(blocks=(), batches=(head,)))

    def other(self) -> int:
        peers = [peer for peer in range(self.world.size) if peer != self.me]
        return self.world.chance.choice(peers)

    def build(self) -> bool:
        build, now_ms = self.building, self.world.now_ms
        if build is None or build.view != self.core.view or now_ms < self.build_at_ms:
            return False
        self.building = None
        height = len(self.disk.chain) - 1
        parent = build.parent_block
        cut = self.lanes.make_cut(parent.cut, self.disk.chain[height][0].cut, build.view)
        payload = Payload(
            time_ms=max(parent.time_ms + 1, self.clock_ms()),
            cut=cut,
            executed=Executed(height=height, log_size=0, log_root=bytes(32)),
            last=False,
            next_set_hash=bytes(32),
        )
        self.perform(self.core.on_built(build.view, build.parent, payload, now_ms))
        return True

    def clock_ms(self) -> int:
        return self.world.now_ms + self.world.skew_ms.get(self.me, 0)

    def judge(self) -> bool:
        """Answer what can be answered of the questions about blocks."""
        self.lacking: dict[Digest, None] = {}
        for digest, question in list(self.waiting.items()):
            verdict = self.verdict(question)
            if verdict is not None:
                del self.waiting[digest]
                now_ms = self.world.now_ms
                self.perform(self.core.on_verdict(Digest(digest), verdict, now_ms))
                return True
        self.lanes.want(tuple(self.lacking))
        return False

    def verdict(self, question: Validate) -> BlockVerdict | None:
        block, chain = question.block, self.disk.chain
        if question.is_final:
            lacking = self.lanes.lacks_final(question.parent.cut, block.cut)
            self.lacking.update(dict.fromkeys(lacking))
            return None if lacking else BlockVerdict.VALID
        if block.executed.height >= len(chain):
            return None  # until execution has come so far
        if question.first_sight:
            early_ms = block.time_ms - self.clock_ms()
            limits_ms = self.world.parameters
            if early_ms > limits_ms.future_ms_max or -early_ms > limits_ms.past_ms_max:
                return BlockVerdict.NOT_NOW
        executed = chain[block.executed.height][0].cut
        try:
            lacking = self.lanes.lacks(question.parent.cut, block.cut, executed)
        except InvalidCut:
            return BlockVerdict.INVALID
        self.lacking.update(dict.fromkeys(lacking))
        return None if lacking else BlockVerdict.VALID

    # -- effects -----------------------------------------------------------------------------------

    def count_effect(self) -> None:
        if self.effects_until_crash is not None:
            self.effects_until_crash -= 1
            if self.effects_until_crash < 0:
                raise Crash

    def perform(self, effects: tuple[CoreEffect, ...]) -> None:
        for effect in effects:
            self.count_effect()
            self.world.observe(self.slot, effect)
            match effect:
                case Persist():
                    self.disk.journal += effect.records
                case Broadcast():
                    self.broadcast(self.dressed(effect.packet))
                case SendTo():
                    self.send(effect.peer, self.dressed(effect.packet))
                case Build():
                    self.building = effect
                    self.build_at_ms = self.world.now_ms + PACE_MS
                case Validate():
                    self.waiting[effect.digest] = effect
                case FetchBlock():
                    self.send(self.other(), Fetch(blocks=(effect.digest,), batches=()))
                case Deliver():
                    self.deliver(effect)
                case FarBehind():
                    self.catch_up()
                case EvidenceFound() | Misbehaved() | ForkDetected():
                    pass

    def perform_lanes(self, effects: tuple[LaneEffect, ...]) -> None:
        for effect in effects:
            self.count_effect()
            self.world.observe(self.slot, effect)
            match effect:
                case StoreBatch():
                    self.disk.batches.append(DurableBatch(batch=effect.batch, bodies=1))
                case SendBatch():
                    self.broadcast(effect.batch)
                case CheckBatch():
                    bodies = None if effect.batch.envelopes[0] == b"forged" else 1
                    self.perform_lanes(self.lanes.on_checked(effect.head, bodies))
                case TipsMoved():
                    self.broadcast(self.dressed(EMPTY_PACKET))
                case LaneForked() | Misbehaved():
                    pass

    def dressed(self, packet: Packet) -> Packet:
        return replace(packet, height=len(self.disk.chain) - 1, tips=self.lanes.tips)

    def broadcast(self, message: Message) -> None:
        for peer in range(self.world.size):
            if peer != self.me:
                self.send(peer, message)

    def send(self, peer: int, message: Message) -> None:
        if isinstance(message, Packet):
            for vote in message.votes:
                self.world.heard(vote)
        self.world.carry(self.slot, peer, message)

    def deliver(self, effect: Deliver) -> None:
        for place, block in enumerate(effect.blocks):
            links = self.lanes.deliver(block.cut)
            self.disk.bodies.update((link.head, link.batch) for link in links)
            is_last = place + 1 == len(effect.blocks)
            digest = effect.final.digest if is_last else effect.blocks[place + 1].parent
            unsigned = Certificate(
                kind=VoteKind.FINALIZE, view=block.view, digest=digest, signatures=()
            )
            self.append(block, effect.final if is_last else unsigned)

    def append(self, block: Block, final: Certificate) -> None:
        self.world.delivered(self.slot, block)
        self.disk.chain.append((block, final))

    def catch_up(self) -> None:
        """Stands in for the chain by height."""
        peers = [m for m in self.world.machines if m is not None and m.slot not in self.world.liars]
        best = max(peers, key=lambda machine: len(machine.disk.chain), default=None)
        if best is None or not self.world.is_linked(self.slot, best.slot):
            return
        ahead = best.disk.chain[len(self.disk.chain) :]
        if ahead and ahead[-1][1].signatures:
            for block, final in ahead:
                self.append(block, final)
            self.disk.bodies.update(best.disk.bodies)
            root, final = self.disk.chain[-1]
            self.lanes.jump_to(root.cut)
            self.perform(self.core.jump_to(root, final, self.world.now_ms))

    def rotate(self) -> None:
        self.disk.journal = list(self.core.journal_snapshot())


class World:
    """Machines, a network between them, and a clock."""

    def __init__(
        self,
        size: int = 4,
        *,
        seed: int = 0,
        twins: tuple[int, ...] = (),
        core_class: type[Core] = Core,
        set_class: type[ValidatorSet] = ValidatorSet,
        parameters: Parameters | None = None,
    ) -> None:
        self.size, self.chance, self.core_class = size, random.Random(seed), core_class
        self.validators = validator_set(size, set_class)
        self.parameters = parameters or Parameters()
        self.now_ms, self.order = START_MS, 0
        self.queue: list[tuple[int, int, int, int, Message]] = []
        self.cut_links: set[tuple[int, int]] = set()
        self.drop, self.duplicate, self.delay_ms = 0.0, 0.0, 1
        self.encodes = False
        self.skew_ms: dict[int, int] = {}
        self.liars: set[int] = set()
        self.canonical: list[Block] = []
        self.votes: dict[tuple[int, int], dict[tuple[int, bytes], Vote]] = {}
        self.evidence: list[tuple[int, EvidenceFound]] = []
        self.log: list[tuple[int, int, CoreEffect | LaneEffect]] = []
        self.listeners: list[Callable[[int, CoreEffect | LaneEffect], None]] = []
        # A twin is two honest machines with one key, each in its own slot; together they lie.
        self.index_of = [*range(size), *twins]
        self.liars |= {slot for slot, me in enumerate(self.index_of) if me in twins}
        slots = len(self.index_of)
        self.disks = [Disk(chain=[genesis_of(self.validators)]) for _ in range(slots)]
        self.machines: list[Machine | None] = [None] * slots
        for slot in range(slots):
            self.boot(slot)

    # -- faults ------------------------------------------------------------------------------------

    def boot(self, slot: int) -> Machine:
        machine = self.machines[slot] = Machine(self, slot)
        for other, peer in enumerate(self.index_of):
            if peer != machine.me and self.machines[other] is not None:
                self.attempt(slot, partial(Machine.greet, peer=peer))
                self.attempt(other, partial(Machine.greet, peer=machine.me))
        return machine

    def crash(self, *slots: int) -> None:
        for slot in slots:
            self.machines[slot] = None
            self.queue = [item for item in self.queue if item[3] != slot]
        heapq.heapify(self.queue)

    def isolate(self, *slots: int) -> None:
        for slot in slots:
            for peer in range(len(self.machines)):
                self.cut_links |= {(slot, peer), (peer, slot)}

    def partition(self, *groups: tuple[int, ...]) -> None:
        """Only slots of one group hear each other."""
        slots = range(len(self.machines))
        together = {(a, b) for group in groups for a in group for b in group}
        self.cut_links = {(a, b) for a in slots for b in slots} - together

    def heal(self) -> None:
        """Links come back, and with them the greetings of fresh connections."""
        self.cut_links, self.drop, self.duplicate, self.delay_ms = set(), 0.0, 0.0, 1
        for machine in self.machines:
            for peer in range(self.size):
                if machine is not None and peer != machine.me:
                    self.attempt(machine.slot, partial(Machine.greet, peer=peer))

    def is_linked(self, sender: int, receiver: int) -> bool:
        return (sender, receiver) not in self.cut_links

    def submit(self, slot: int, content: bytes) -> None:
        self.attempt(slot, lambda machine: machine.submit(content))

    # -- time --------------------------------------------------------------------------------------

    def carry(self, sender: int, peer: int, message: Message) -> None:
        for slot, index in enumerate(self.index_of):
            if index == peer:
                self.carry_to(sender, slot, message)

    def carry_to(self, sender: int, receiver: int, message: Message) -> None:
        if self.chance.random() < self.drop or not self.is_linked(sender, receiver):
            return
        copies = 2 if self.chance.random() < self.duplicate else 1
        for _ in range(copies):
            delay_ms = 1 if self.delay_ms == 1 else self.chance.randint(1, self.delay_ms)
            self.order += 1
            item = (self.now_ms + delay_ms, self.order, sender, receiver, message)
            heapq.heappush(self.queue, item)

    def machine(self, slot: int) -> Machine:
        machine = self.machines[slot]
        assert machine is not None
        return machine

    def run_ms(self, duration_ms: int, until: Callable[[], bool] | None = None) -> None:
        end_ms = self.now_ms + duration_ms
        while self.step(end_ms):
            if until is not None and until():
                return
        self.now_ms = end_ms

    def step(self, end_ms: int) -> bool:
        """The next message or timer."""
        alive = [machine for machine in self.machines if machine is not None]
        due = [(machine.core.deadline_ms, machine.slot) for machine in alive]
        due += [
            (machine.build_at_ms, machine.slot)
            for machine in alive
            if machine.building is not None and machine.building.view == machine.core.view
        ]
        timer_ms, me = min(due, default=(end_ms + 1, 0))
        at_ms = self.queue[0][0] if self.queue else end_ms + 1
        if min(timer_ms, at_ms) > end_ms:
            return False
        if timer_ms < at_ms:
            self.now_ms = max(self.now_ms, timer_ms)
            self.attempt(me, lambda machine: machine.tick())
            return True
        self.now_ms, _, sender, receiver, message = heapq.heappop(self.queue)
        if self.encodes:
            decoded = decode_frame(encode_frame(message))
            assert decoded == message
        self.attempt(receiver, lambda machine: machine.take(self.index_of[sender], message))
        return True

    def attempt(self, slot: int, action: Callable[[Machine], None]) -> None:
        machine = self.machines[slot]
        if machine is not None:
            try:
                action(machine)
            except Crash:
                self.crash(slot)

    # -- oracles -----------------------------------------------------------------------------------

    def heights(self) -> list[int]:
        honest = [slot for slot in range(len(self.disks)) if slot not in self.liars]
        return [len(self.disks[slot].chain) - 1 for slot in honest]

    def delivered(self, me: int, block: Block) -> None:
        if me in self.liars:
            return
        assert len(self.disks[me].chain) == block.height, "delivered out of order"
        if block.height <= len(self.canonical):
            assert self.canonical[block.height - 1] == block, f"fork at height {block.height}"
        else:
            self.canonical.append(block)

    def heard(self, vote: Vote) -> None:
        """Every vote that leaves an honest machine, over all its lives."""
        if vote.signer in self.liars:
            return
        said = self.votes.setdefault((vote.view, vote.signer), {})
        for other in said.values():
            assert not are_conflicting(vote, other), f"{vote.signer} contradicts itself"
        said[vote.kind, vote.digest] = vote

    def observe(self, me: int, effect: CoreEffect | LaneEffect) -> None:
        self.log.append((self.now_ms, me, effect))
        for listener in self.listeners:
            listener(me, effect)
        if me in self.liars:
            return
        assert not isinstance(effect, ForkDetected), "fork"
        if isinstance(effect, EvidenceFound):
            assert effect.first.signer in self.liars, "evidence against an honest validator"
            self.evidence.append((me, effect))
        if isinstance(effect, Misbehaved):
            assert effect.peer in self.liars, effect.reason

    def ordered(self, me: int) -> list[bytes]:
        """The contents of all batches that this machine delivered, in order."""
        cut: Cut = self.disks[me].chain[0][0].cut
        contents: list[bytes] = []
        for block, _ in self.disks[me].chain[1:]:
            for start, end in zip(cut, block.cut, strict=True):
                lane: list[bytes] = []
                head, seq = end.head, end.seq
                while seq > start.seq:
                    batch = self.disks[me].bodies[head]
                    lane.append(batch.envelopes[0])
                    head, seq = batch.previous, seq - 1
                contents += reversed(lane)
            cut = block.cut
        return contents
