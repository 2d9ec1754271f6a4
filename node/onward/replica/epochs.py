"""One node through all epochs: a replica where it is a validator, a follower where it is none.

Each epoch has a machine of its own, built over the store as at a boot: nothing of an epoch gets
into the next one but what is on the disk, and the clients' bytes that no block has ordered. It
changes over in two steps:

1. the last block of the epoch is executed and its result is in the store: the journal begins a new
   segment with the new epoch's floor, which waits until that result is durable;
2. the new machine starts over that journal.

So a crash finds either an epoch that has not ended, or one that has begun and in which nothing was
promised yet. The votes of an ended epoch are not read any more: its validators gave each of them,
and none is asked for again.

A driver knows other nodes by their *seats*, numbers that stay; within an epoch they have places in
its set. Who has no place is numbered behind the set.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from onward import limits
from onward.consensus.journal import Floor, JournalRecord
from onward.consensus.messages import Evidence, Packet, PeerMessage
from onward.errors import CorruptionError
from onward.ledger.block import Batch
from onward.ledger.chain import read_block
from onward.ledger.store import Store, WriteBatch, transaction_key
from onward.ledger.transaction import CheckedEnvelope, open_envelope
from onward.replica.config import ReplicaConfig
from onward.replica.effects import (
    Boot,
    Effects,
    Event,
    Happened,
    Outbound,
    PeerDown,
    PeerUp,
    Received,
    Serve,
    Submitted,
)
from onward.replica.executor import Executor
from onward.replica.follower import Follower
from onward.replica.last_checkpoint import LastCheckpoint
from onward.replica.replica import Replica
from onward.replica.standing import read_end, standing_of, validators_of
from onward.types import ValidatorIndex, ValidatorSet

_NAMING = ("peer", "signer", "lane")
"""The fields of typed events that name a validator by its place."""


class EpochMachine:
    """What a driver drives: the events and effects are those of `replica.effects`, with seats."""

    def __init__(
        self,
        config: ReplicaConfig,
        store: Store,
        prepare: Callable[[Replica], None] | None = None,
    ) -> None:
        """`prepare` is shown each epoch's replica before its first event.

        Raises `CorruptionError`.
        """
        self._config = config
        self._store = store
        self._prepare = prepare
        genesis = config.genesis.validators
        self._keys = config.seats or tuple(item.public_key for item in genesis.members)
        self._up: dict[int, None] = {}
        self._served_ms: dict[int, int] = {}
        self._held: tuple[Event, ...] | None = None  # what came while the new journal was written
        self._floor: Floor | None = None
        self._carried: tuple[CheckedEnvelope, ...] = ()
        self._last: LastCheckpoint | None = None
        self._inner: Replica | Follower = self._build()

    # -- what a driver or a gateway may ask --------------------------------------------------------

    @property
    def epoch(self) -> int:
        """The number of the epoch."""
        return self.validators.epoch

    @property
    def validators(self) -> ValidatorSet:
        """The validators of the epoch."""
        return self._inner.validators

    def validators_at(self, epoch: int) -> ValidatorSet:
        """The validators of an epoch that has begun. Raises `CorruptionError` for another one."""
        found = validators_of(self._store, self._config.genesis, epoch)
        if found is None:
            raise CorruptionError(f"the database has no validator set of epoch {epoch}")
        return found

    @property
    def is_validator(self) -> bool:
        """Whether this node is one of them."""
        return isinstance(self._inner, Replica)

    @property
    def view(self) -> int:
        """The current view; 0 where it only follows."""
        return self._inner.view

    @property
    def leader(self) -> ValidatorIndex:
        """The seat of the leader of the current view."""
        return ValidatorIndex(self._seat(self._inner.leader))

    @property
    def height(self) -> int:
        """The last executed height."""
        return self._inner.height

    @property
    def executor(self) -> Executor:
        """What is executed. For looks between steps only."""
        return self._inner.executor

    @property
    def finalized_height(self) -> int:
        """The last delivered height; execution may be a little behind."""
        return self._inner.finalized_height

    @property
    def checkpoint_height(self) -> int:
        """The newest height whose result a quorum has signed."""
        return self._inner.checkpoint_height

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """What is proved against validators, of this epoch and of earlier ones."""
        return self._inner.evidence

    @property
    def abstains(self) -> bool:
        """Whether it only follows, because it is no validator or its journal is not the newest."""
        return self._inner.abstains

    @property
    def waiting(self) -> int:
        """How many envelopes wait at this node for a batch."""
        return self._inner.waiting

    # -- the step ----------------------------------------------------------------------------------

    def step(self, event: Event, now_ms: int) -> Effects:
        """Take one event in; answers what the driver must do before the next step."""
        return self.step_all((event,), now_ms)

    def step_all(self, events: Sequence[Event], now_ms: int) -> Effects:
        """Take in what has come since the last step."""
        for event in events:
            self._note_connection(event)
        if self._held is None and self._inner.is_over:
            self._carried = self._inner.unordered()
            return self._change_over(tuple(events), now_ms)
        boot = next((event for event in events if isinstance(event, Boot)), None)
        if boot is not None:
            return self._boot(boot, now_ms)
        more: list[Outbound] = []
        serve: list[Serve] = []
        taken: list[Event] = [] if self._held is None else list(self._first_events())
        writes: list[WriteBatch] = []
        for event in (*(self._held or ()), *events):
            inner = self._inward(event)
            if inner is not None:
                taken.append(inner)
            if isinstance(event, Received) and isinstance(event.message, Packet):
                writes += self._attend(event.peer, event.message, now_ms, more, serve)
        self._held = None
        effects = self._outward(self._inner.step_all(taken, now_ms))
        return self._with_last(effects, (more, serve, writes), now_ms)

    # -- from one epoch to the next ----------------------------------------------------------------

    def _build(self) -> Replica | Follower:
        """The machine of the epoch that the store stands in."""
        config, store = self._config, self._store
        standing = standing_of(store, config.genesis)
        validators = standing.validators
        self._floor = Floor(root=standing.root, final=standing.final)
        self._last = self._last_checkpoint(validators.epoch - 1)
        me = validators.index_of(config.signer.public_key)
        self._places: dict[int, ValidatorIndex] = {
            seat: place
            for seat, key in enumerate(self._keys)
            if (place := validators.index_of(key)) is not None
        }
        self._seats: dict[int, int] = {place: seat for seat, place in self._places.items()}
        self._is_plain = all(seat == place for seat, place in self._places.items())
        if me is None:
            return Follower(config, store)
        replica = Replica(replace(config, me=me), store)
        if self._prepare is not None:
            self._prepare(replica)
        return replica

    def _last_checkpoint(self, epoch: int) -> LastCheckpoint | None:
        """What may still be gathered of the epoch before this one."""
        validators = validators_of(self._store, self._config.genesis, epoch) if epoch >= 0 else None
        if validators is None:
            return None
        end = read_end(self._store, epoch)
        last = None if end is None else read_block(self._store, end.height)
        if last is None:
            raise CorruptionError(f"the database has no proof of how epoch {epoch} ended")
        return LastCheckpoint(self._config, validators, last, self._store)

    def _boot(self, boot: Boot, now_ms: int) -> Effects:
        is_first = self.epoch == self._config.genesis.validators.epoch
        journal = boot.journal if is_first else records_of_epoch(boot.journal, self.epoch)
        self._refuse_lost(boot.journal)
        self._carried = self._left_over(boot)
        if journal or is_first or not self.is_validator:
            own = Boot(journal=journal, batches=boot.batches)
            carried = (Submitted(envelopes=self._carried),) if self._carried else ()
            self._carried = ()
            effects = self._inner.step_all((own, *carried), now_ms)
            return self._with_last(self._outward(effects), ([], [], []), now_ms)
        return self._begin_journal((), now_ms)

    def _refuse_lost(self, journal: tuple[JournalRecord, ...]) -> None:
        """A segment begins only once its floor is durable in the database."""
        for record in journal:
            if isinstance(record, Floor) and record.root.height > self.height:
                raise CorruptionError(
                    f"the journal begins at block {record.root.height}, the database ends at "
                    f"{self.height}: it has lost what was synced"
                )

    def _change_over(self, events: tuple[Event, ...], now_ms: int) -> Effects:
        """The epoch has ended and its last block is in the store."""
        self._inner = self._build()
        self._served_ms.clear()
        return self._begin_journal(events, now_ms)

    def _begin_journal(self, held: tuple[Event, ...], now_ms: int) -> Effects:
        self._held = tuple(event for event in held if not isinstance(event, PeerUp | PeerDown))
        happened = Happened(
            name="epoch_begun",
            fields=(("epoch", self.epoch), ("votes", "yes" if self.is_validator else "no")),
        )
        floor = None if self._floor is None else (self._floor,)
        return Effects(rotate=floor, wake_at_ms=now_ms, events=(happened,))

    def _first_events(self) -> tuple[Event, ...]:
        """What a machine is told that begins now."""
        floor = () if self._floor is None else (self._floor,)
        ups = (PeerUp(peer=ValidatorIndex(self._places[s])) for s in self._up if s in self._places)
        carried = (Submitted(envelopes=self._carried),) if self._carried else ()
        self._carried = ()
        return (Boot(journal=floor, batches=()), *ups, *carried)

    def _left_over(self, boot: Boot) -> tuple[CheckedEnvelope, ...]:
        """What this node had sealed in an earlier epoch and no block has ordered."""
        found: list[CheckedEnvelope] = []
        for batch in boot.batches:
            if batch.epoch >= self.epoch:
                continue
            validators = validators_of(self._store, self._config.genesis, batch.epoch)
            own = validators and validators.index_of(self._config.signer.public_key)
            if own != batch.author:
                continue
            for data in batch.envelopes:
                item = CheckedEnvelope(data=data, transactions=open_envelope(data))
                if any(self._store.get(transaction_key(h)) is None for h in item.tx_hashes):
                    found.append(item)
        return tuple(found)

    # -- other epochs ------------------------------------------------------------------------------

    def _attend(
        self,
        seat: int,
        packet: Packet,
        now_ms: int,
        more: list[Outbound],
        serve: list[Serve],
    ) -> list[WriteBatch]:
        """A packet of another epoch: help who is behind, and go after who is ahead."""
        if packet.epoch == self.epoch or seat >= len(self._keys):
            return []
        is_due = now_ms >= self._served_ms.get(seat, 0)
        if is_due:
            self._served_ms[seat] = now_ms + limits.CATCH_UP_RETRY_MS // 2
        if packet.epoch > self.epoch:
            if is_due:
                self._inner.aim(packet.height)
            return []
        if packet.height < self._inner.height and is_due:
            serve.append(Serve(to=ValidatorIndex(seat), from_height=packet.height + 1))
        last = self._last
        if last is None or last.epoch != packet.epoch:
            return []
        answer = last.packet() if is_due and last.is_asked(packet) else None
        if answer is not None:
            more.append(Outbound(to=ValidatorIndex(seat), message=answer))
        return list(last.learn(self._keys[seat], packet))

    def _with_last(
        self,
        effects: Effects,
        extra: tuple[list[Outbound], list[Serve], list[WriteBatch]],
        now_ms: int,
    ) -> Effects:
        """Add what concerns the epoch before this one, and come back when it is due."""
        more, serve, writes = extra
        if self._inner.is_over:
            effects = replace(effects, wake_at_ms=now_ms)
        if self._last is not None:
            packet = self._last.due(now_ms)
            if packet is not None:
                more.append(Outbound(to=None, message=packet))
            writes += self._last.writes
            self._last.writes = ()
            due_ms = self._last.due_at_ms()
            if due_ms is not None:
                wake_ms = effects.wake_at_ms
                at_ms = due_ms if wake_ms is None else min(due_ms, wake_ms)
                effects = replace(effects, wake_at_ms=at_ms)
        if more or serve or writes:
            effects = replace(
                effects,
                send=(*effects.send, *more),
                serve=(*effects.serve, *serve),
                store=(*effects.store, *writes),
            )
        return effects

    # -- seats and places --------------------------------------------------------------------------

    def _note_connection(self, event: Event) -> None:
        if isinstance(event, PeerUp):
            self._up[event.peer] = None
        elif isinstance(event, PeerDown):
            self._up.pop(event.peer, None)

    def _place(self, seat: int) -> ValidatorIndex:
        return ValidatorIndex(self._places.get(seat, self.validators.size + seat))

    def _seat(self, place: int) -> int:
        """A number behind all seats for a validator that the driver does not know."""
        size = self.validators.size
        return place - size if place >= size else self._seats.get(place, len(self._keys) + place)

    def _inward(self, event: Event) -> Event | None:
        """An event as the epoch's machine understands it; None if it is not for it."""
        match event:
            case Received(peer=seat, message=message):
                if not self._concerns(seat, message):
                    return None
                place = self._place(seat)
                return event if place == seat else Received(peer=place, message=message)
            case PeerUp(peer=seat) if seat not in self._places and self.is_validator:
                return None
            case PeerUp(peer=seat):
                return PeerUp(peer=self._place(seat))
            case PeerDown(peer=seat) if seat not in self._places:
                return None
            case PeerDown(peer=seat):
                return PeerDown(peer=self._place(seat))
            case _:
                return event

    def _concerns(self, seat: int, message: PeerMessage) -> bool:
        match message:
            case Packet():
                return message.epoch == self.epoch and seat in self._places
            case Batch():
                return message.epoch == self.epoch
            case Evidence():
                return message.epoch <= self.epoch
            case _:
                return True

    def _outward(self, effects: Effects) -> Effects:
        """Effects with seats in place of places, and packets that say their epoch."""
        size = self.validators.size
        epoch = self.epoch
        is_plain = (
            self._is_plain
            and epoch == 0
            and all(item.to is None or item.to < size for item in effects.send)
            and all(item.to < size for item in effects.serve)
        )
        if is_plain:
            return effects
        return replace(
            effects,
            send=tuple(
                Outbound(
                    to=None if item.to is None else ValidatorIndex(self._seat(item.to)),
                    message=replace(item.message, epoch=epoch)
                    if isinstance(item.message, Packet)
                    else item.message,
                )
                for item in effects.send
            ),
            serve=tuple(
                Serve(to=ValidatorIndex(self._seat(item.to)), from_height=item.from_height)
                for item in effects.serve
            ),
            events=tuple(self._seated(item) for item in effects.events),
        )

    def _seated(self, happened: Happened) -> Happened:
        fields = dict(happened.fields)
        of = int(fields.get("epoch", 0)) if happened.name == "evidence" else self.epoch
        for name in _NAMING:
            place = fields.get(name)
            if isinstance(place, int):
                fields[name] = self._seat_of(of, place)
        return Happened(name=happened.name, fields=tuple(fields.items()))

    def _seat_of(self, epoch: int, place: int) -> int:
        validators = validators_of(self._store, self._config.genesis, epoch)
        if epoch == self.epoch or validators is None or place >= validators.size:
            return self._seat(place)
        key = validators.public_key(place)
        return self._keys.index(key) if key in self._keys else place


def records_of_epoch(journal: tuple[JournalRecord, ...], epoch: int) -> tuple[JournalRecord, ...]:
    """The records of an epoch in a journal's segment: from its first floor on."""
    for place, record in enumerate(journal):
        if isinstance(record, Floor) and record.root.epoch == epoch:
            return journal[place:]
    return ()
