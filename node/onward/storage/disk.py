"""A node's disk: vote journal, batch log and store, in the order that safety needs.

The rules are those of `onward.replica.effects`; here is the disk's half of them.

- `stage`, on the loop, makes a step's writes visible to reads and queues the rest. `write`, on
  the writer thread (or at once, in a simulation), makes everything queued durable.
- Persisting goes before settling. What several steps want persisted becomes durable together: one
  frame and one sync of the batch log, then one of the journal. The batch log is first, so that a
  vote in the journal never speaks of batches that a crash took.
- Settling is what may be lazy: one synced write of the store per step, in order, then the step's
  rotation of the journal. Nothing is persisted between a step with a rotation and that rotation.

A batch's body is found in memory until it is logged, by its place in memory until its block is
settled, and by the store from then on. With each block goes the *scan floor*: the oldest frame of
the batch log that holds a batch still to be delivered. A boot reads the log from there, however
long the chain is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from onward import limits
from onward.consensus.journal import Floor, JournalRecord, decode_record, encode_record
from onward.errors import CorruptionError, RejectCode, RejectedError, invariant
from onward.ledger.block import Batch, batch_head
from onward.ledger.store import BATCH_PLACE, BLOCK, CHAIN_KEY, META, WriteBatch, prefix_end
from onward.replica.effects import Boot, Effects
from onward.storage.batch_log import (
    START,
    BatchLog,
    LoggedBatch,
    Place,
    Position,
    decode_place,
    decode_position,
    encode_place,
    encode_position,
)
from onward.storage.files import Files
from onward.storage.journal import MISSING, NEW_KEY, Journal
from onward.storage.paged_store import PagedStore
from onward.storage.store import DurableStore, Entries
from onward_proto.canonical import CanonicalError, decode, encode

FORMAT = b"3"  # pages, tiles and rows as they are laid out; a home of another format is refused
FORMAT_KEY = META + b"format"
FLOOR_KEY = META + b"batch-floor"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Logged:
    """A batch that is in the log and, as far as the store durably knows, not in a block."""

    place: Place
    position: Position
    lane: int
    order: tuple[int, int]  # epoch and seq


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """One step's part of what the writer does."""

    number: int
    records: tuple[bytes, ...]
    batches: tuple[tuple[bytes, bytes, Batch], ...]  # head, bytes, value
    stored: bool
    batch_heads: tuple[bytes, ...]
    rotate: tuple[bytes, ...] | None
    size: int


def _ignore(number: int) -> None:
    """Nobody waits."""


class NodeDisk:
    """A driver's view of the disk.

    One thread stages, one other writes. Over the real bodies any thread may read.
    """

    def __init__(self, files: Files, store: DurableStore, chain_id: bytes) -> None:
        self.database = store
        self.store = PagedStore(store, files, chain_id)
        self._files = files
        self._chain_id = chain_id
        self._journal = Journal(files, chain_id)
        self._log = BatchLog(files, chain_id)
        self._to_persist: deque[_Work] = deque()
        self._to_settle: deque[_Work] = deque()
        self._rotating = False
        self._failed = False
        self._failure: OSError | None = None
        self._bodies: dict[bytes, bytes] = {}  # staged, not in the log yet
        self._logged: dict[bytes, _Logged] = {}  # in log order
        self._staged_bytes = 0  # the loop counts up here,
        self._persisted_bytes = 0  # the writer here: neither waits for the other
        self._staged_through = 0
        self._persisted_through = 0

    # -- beginning and end -------------------------------------------------------------------------

    def create(self, journal: Sequence[JournalRecord], genesis: WriteBatch) -> None:
        """Set up a new home: an empty batch log, a store with `genesis`, a journal with `journal`.

        The journal comes last: a home whose setting up was interrupted has none, and does not
        start. Raises `RejectedError` where a home stands already.
        """
        if self.store.get(CHAIN_KEY) is not None or self._journal.exists():
            raise RejectedError(RejectCode.STATE, "a validator's home stands here already")
        self._log.create()
        self.store.create()
        entries = dict(genesis.entries)
        entries |= {
            CHAIN_KEY: self._chain_id,
            FORMAT_KEY: FORMAT,
            FLOOR_KEY: encode_position(START),
        }
        self.store.put(WriteBatch(entries=tuple(sorted(entries.items()))))
        self.store.flush_next()
        self._journal.create(_encoded(journal))

    def recover(self) -> Boot:
        """What a crash or a clean stop left; everything in the answer is durable.

        Raises `RejectedError` when the home is another chain's or nobody's, and `CorruptionError`
        when the disk contradicts itself. Neither is ever repaired here: see
        docs/adr/0004-durability.md.
        """
        self._refuse_foreign_home()
        self._refuse_gap()
        self.store.open()
        journal = tuple(decode_record(record) for record in self._journal.open())
        floor = self.store.get(FLOOR_KEY)
        if floor is None:
            raise CorruptionError("database: the batch log's scan floor is missing")
        delivered: dict[int, tuple[int, int]] = {}
        batches: dict[bytes, Batch] = {}
        for logged in self._log.open(decode_position(floor)):
            batch = _decode_batch(logged.data)
            if self.store.get(BATCH_PLACE + logged.head) is not None:
                delivered[batch.author] = max(delivered.get(batch.author, (0, 0)), _order(batch))
            elif logged.head not in batches:
                batches[logged.head] = batch
                self._logged[logged.head] = _logged(logged, batch)
        for head in self._passed_by(delivered):
            del self._logged[head], batches[head]
        return Boot(journal=journal, batches=tuple(batches.values()))

    def close(self) -> None:
        """Release database and files. What was not written is lost, as in a crash."""
        self.store.close()
        self._files.close()

    # -- the loop's half ---------------------------------------------------------------------------

    @property
    def full(self) -> bool:
        """True when the next step has to wait for the writer."""
        return (
            self.store.full
            or self._staged_bytes - self._persisted_bytes >= limits.DISK_PENDING_BYTES_MAX
        )

    @property
    def pending(self) -> bool:
        """True when `write` has something to do."""
        return bool(self._to_persist or self._to_settle)

    @property
    def staged_through(self) -> int:
        """Number of the last staged work: what a step sends leaves when this much is persisted."""
        return self._staged_through

    @property
    def persisted_through(self) -> int:
        """Number of the last work whose `persist` is durable."""
        return self._persisted_through

    @property
    def journal_size(self) -> int:
        """Bytes in the journal's segment."""
        return self._journal.size

    def stage(self, effects: Effects) -> int:
        """Take over a step's `persist`, `commit`, `store` and `rotate`; the number to wait for.

        Raises the writer's `OSError` where it met one a moment ago and nobody has looked yet: that
        the disk is full must not be told as a bug.
        """
        if self._failure is not None:
            raise self._failure
        invariant(not self._failed, "the disk has failed")
        records, batches = self._split(effects)
        writes = _one_batch(effects)
        if writes is not None:
            self.store.put(writes)
        rotate = None
        if effects.rotate is not None:
            first = effects.rotate[:1]
            invariant(
                first and isinstance(first[0], Floor), "a journal segment begins with a floor"
            )
            rotate = _encoded(effects.rotate)
        if records or batches or writes is not None or rotate is not None:
            size = sum(map(len, records)) + sum(len(data) for _, data, _ in batches)
            self._staged_through += 1
            self._staged_bytes += size
            self._to_persist.append(
                _Work(
                    number=self._staged_through,
                    records=records,
                    batches=batches,
                    stored=writes is not None,
                    batch_heads=effects.commit.batch_heads if effects.commit else (),
                    rotate=rotate,
                    size=size,
                )
            )
        return self._staged_through

    def batch(self, head: bytes) -> Batch | None:
        """The batch with this head, delivered or not, or None when it was never staged here."""
        data = self._bodies.get(head)
        if data is None:
            logged = self._logged.get(head)
            place = logged.place if logged is not None else self._stored_place(head)
            if place is None:
                return None
            data = self._log.read(head, place)
        return _decode_batch(data)

    # -- the writer's half -------------------------------------------------------------------------

    def write(self, persisted: Callable[[int], None] = _ignore) -> None:
        """Make everything staged durable, also what is staged meanwhile.

        `persisted` is told the number up to which every `persist` is durable, each time that it
        grows. After an error nothing is written any more: a sync that failed may have dropped the
        very pages, and one that is tried again can succeed without them.
        """
        invariant(not self._failed, "the disk has failed")
        try:
            while self.pending:
                if self._persist_group():
                    persisted(self._persisted_through)
                else:
                    self._settle_next()
        except BaseException as error:
            self._failure = error if isinstance(error, OSError) else None  # first: others look
            self._failed = True
            raise

    def _persist_group(self) -> bool:
        """Persist what is staged as one group; False when nothing is, or a rotation comes first."""
        group: list[_Work] = []
        size = 0
        while self._to_persist and not self._rotating and size < limits.DISK_GROUP_BYTES_MAX:
            work = self._to_persist.popleft()
            group.append(work)
            size += work.size
            self._rotating = work.rotate is not None
        if not group:
            return False
        self._log_batches([batch for work in group for batch in work.batches])
        records = [record for work in group for record in work.records]
        if records:
            self._journal.append(records)
            self._journal.sync()
        self._to_settle.extend(work for work in group if work.stored or work.rotate is not None)
        self._persisted_bytes += size
        self._persisted_through = group[-1].number
        return True

    def _settle_next(self) -> None:
        work = self._to_settle[0]
        if work.stored:
            self._flush(work.batch_heads)
        if work.rotate is not None:
            self._journal.rotate(work.rotate)
            self._rotating = False
        self._to_settle.popleft()

    def _log_batches(self, batches: list[tuple[bytes, bytes, Batch]]) -> None:
        if not batches:
            return
        position, places = self._log.append([(head, data) for head, data, _ in batches])
        self._log.sync()
        for (head, _, batch), place in zip(batches, places, strict=True):
            self._logged[head] = _Logged(
                place=place, position=position, lane=batch.author, order=_order(batch)
            )
            del self._bodies[head]

    def _flush(self, heads: tuple[bytes, ...]) -> None:
        """Make the oldest staged writes durable, with the places of the batches they deliver."""
        if not heads:
            self.store.flush_next()
            return
        delivered: dict[int, tuple[int, int]] = {}
        extra: list[tuple[bytes, bytes | None]] = []
        for head in heads:
            logged = self._logged.get(head)
            invariant(logged is not None, f"batch {head.hex()} is delivered and was never logged")
            if logged is not None:
                extra.append((BATCH_PLACE + head, encode_place(logged.place)))
                delivered[logged.lane] = max(delivered.get(logged.lane, (0, 0)), logged.order)
        gone = self._passed_by(delivered)
        floor = next(
            (logged.position for head, logged in self._logged.items() if head not in gone),
            self._log.end,
        )
        extra.append((FLOOR_KEY, encode_position(floor)))
        self.store.flush_next(tuple(extra))
        for head in gone:  # only now: until here a read may need the place
            del self._logged[head]

    # -- parts -------------------------------------------------------------------------------------

    def _split(
        self, effects: Effects
    ) -> tuple[tuple[bytes, ...], tuple[tuple[bytes, bytes, Batch], ...]]:
        """The encoded journal records and the batches that are not logged or on their way yet."""
        records, batches = [], []
        for item in effects.persist:
            if not isinstance(item, Batch):
                records.append(encode_record(item))
                continue
            head = batch_head(self._chain_id, item)
            if head not in self._bodies and head not in self._logged:
                data = encode(item)
                self._bodies[head] = data
                batches.append((head, data, item))
        return tuple(records), tuple(batches)

    def _stored_place(self, head: bytes) -> Place | None:
        data = self.store.get(BATCH_PLACE + head)
        return None if data is None else decode_place(data)

    def _passed_by(self, delivered: dict[int, tuple[int, int]]) -> set[bytes]:
        """Logged batches at or before these points of their lanes: delivered, or on a dead fork."""
        return {
            head
            for head, logged in self._logged.items()
            if logged.order <= delivered.get(logged.lane, (-1, 0))
        }

    def _refuse_foreign_home(self) -> None:
        chain = self.store.get(CHAIN_KEY)
        if chain is None:
            if self._journal.exists():
                raise CorruptionError(
                    f"the database is empty beside an existing vote journal; {NEW_KEY}"
                )
            raise RejectedError(
                RejectCode.NOT_FOUND, f"no validator's home was ever set up here; {NEW_KEY}"
            )
        if chain != self._chain_id:
            raise RejectedError(
                RejectCode.CHAIN,
                f"the home belongs to chain {chain.hex()}, expected {self._chain_id.hex()}",
            )
        stored_format = self.store.get(FORMAT_KEY)
        if stored_format != FORMAT:
            raise RejectedError(
                RejectCode.STATE, f"the home has format {stored_format!r}, this program {FORMAT!r}"
            )
        if not self._journal.exists():
            raise CorruptionError(MISSING)

    def _refuse_gap(self) -> None:
        """LevelDB drops a damaged write from its log in silence; a block is then missing.

        Only writes in its current log files can go like that, so a bounded look back is enough.
        """
        rows = self.store.scan(BLOCK, prefix_end(BLOCK), reverse=True)
        above: int | None = None
        for (key, _), _ in zip(rows, range(limits.BOOT_BLOCKS_CHECKED_MAX), strict=False):
            height = int.from_bytes(key[len(BLOCK) :], "big")
            if above is not None and height != above - 1:
                raise CorruptionError(f"database: block {above} stands above block {height}")
            above = height


def _encoded(records: Sequence[JournalRecord]) -> tuple[bytes, ...]:
    return tuple(encode_record(record) for record in records)


def _one_batch(effects: Effects) -> WriteBatch | None:
    """A step's writes as one batch: the block's, then the others in their order."""
    batches = (effects.commit.writes, *effects.store) if effects.commit else effects.store
    if not batches:
        return None
    if len(batches) == 1:
        return batches[0]
    entries: dict[bytes, bytes | None] = {}
    for batch in batches:
        entries.update(batch.entries)
    merged: Entries = tuple(sorted(entries.items(), key=lambda entry: entry[0]))
    return WriteBatch(entries=merged)


def _order(batch: Batch) -> tuple[int, int]:
    return batch.epoch, batch.seq


def _logged(logged: LoggedBatch, batch: Batch) -> _Logged:
    return _Logged(
        place=logged.place, position=logged.position, lane=batch.author, order=_order(batch)
    )


def _decode_batch(data: bytes) -> Batch:
    try:
        return decode(Batch, data)
    except CanonicalError as error:
        raise CorruptionError(f"batch log: {error}") from None
