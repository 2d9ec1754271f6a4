"""One finalized block: bodies in order become verdicts, leaves, roots, and one write batch.

Execution is deterministic: it depends on the block, its batches and the state before it, and on
nothing else. It runs in slices, so that a full block does not hold up the votes of the next ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest

from onward import limits
from onward.errors import CorruptionError, RejectCode, invariant
from onward.execution.body import BodyResult, ContractFor, execute_body
from onward.execution.known import KnownTransactions
from onward.execution.overlay import CachedState, Overlay
from onward.ledger import statemap
from onward.ledger.block import Batch, Block, block_digest
from onward.ledger.chain import StoredBlock, Tip, TransactionRow, WritesRow, read_block
from onward.ledger.leaf import (
    BlockLeaf,
    LeafKind,
    TransactionLeaf,
    Write,
    WriteSet,
    event_hash,
    signers_hash,
    write_set_hash,
)
from onward.ledger.log import LogFrontier
from onward.ledger.log_tiles import tile_writes
from onward.ledger.merkle import leaf_hash
from onward.ledger.statemap import KeptPages, MapRef, PageCache
from onward.ledger.statemap.moving import decode_steps, encode_steps
from onward.ledger.store import (
    BLOCK_HEIGHT,
    CHAIN_KEY,
    KNOWN_KEY,
    MAP_FLOOR_KEY,
    MAP_FLOORS,
    MAP_KEPT_KEY,
    MAP_NODE,
    MAP_STEPS,
    PROJECTION,
    STATE,
    TIP_KEY,
    WRITES,
    Store,
    WriteBatch,
    block_key,
    log_tile_key,
    transaction_key,
    transactions_key,
    u64,
)
from onward.ledger.transaction import Opened, Transaction, open_envelope
from onward_proto.canonical import encode


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderedBlock:
    """A finalized block with everything that execution needs."""

    block: Block
    digest: bytes
    final: bytes  # its own finalization in canonical bytes, or empty
    batches: tuple[Batch, ...]  # in delivery order
    heads: tuple[bytes, ...]  # of the batches
    opened: tuple[Opened | None, ...] = ()  # of the batches, where they were checked in this run
    record: bytes = b""  # the certificates that led to it, where this node voted


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutedBody:
    """A body's result with its place."""

    transaction: Transaction
    result: BodyResult
    batch: int
    envelope: int
    body: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutedBlock:
    """The result of a block. `log_indexes` has the place of each leaf, None for void bodies."""

    tip: Tip
    state_root: bytes
    log_size: int
    log_root: bytes
    bodies: tuple[ExecutedBody, ...]
    log_indexes: tuple[int | None, ...]
    writes: WriteBatch


class StoredHistory:
    """`system.validators.ChainHistory` of the block at `height`."""

    __slots__ = ("_store", "height")

    def __init__(self, store: Store, height: int) -> None:
        """The store has every block below `height`."""
        self._store = store
        self.height = height

    @property
    def first_set_hash(self) -> bytes:
        """The id of the genesis' validator set."""
        return self._block(0).block.next_set_hash

    def log_at(self, height: int) -> tuple[int, bytes] | None:
        """Size and root of the log after an earlier block, or None."""
        if not 0 <= height < self.height:
            return None
        stored = self._block(height)
        return stored.log_size, stored.log_root

    def _block(self, height: int) -> StoredBlock:
        stored = read_block(self._store, height)
        if stored is None:
            raise CorruptionError(f"the database has no block {height}, below {self.height}")
        return stored


class AtHand:
    """What execution keeps at hand of one store, from block to block.

    It stands for the store's executed tip. Whoever hands the store a block's writes says so to
    `settle` in the same breath: there must be no other writer, and nobody asks in between.

    Half of what a contract asks for is not there yet. LevelDB has to look on every level for that,
    and merges tables the sooner the more often it looked in vain. The state map tells it too, from
    pages that the block needs anyway.
    """

    __slots__ = ("_store", "known", "map_ref", "pages", "state")

    def __init__(self, store: Store) -> None:
        """Nothing yet."""
        self._store = store
        self.map_ref: MapRef | None = None  # of the state that is being read
        self.known = KnownTransactions(store)
        self.pages = PageCache()
        self.state = CachedState(store, is_absent=self._is_absent)

    def settle(self, writes: Mapping[str, bytes | None], tip: Tip) -> None:
        """The store holds these writes now, and ends at this tip."""
        self.state.settle(writes)
        self.map_ref = MapRef.decode(tip.state_map)

    def is_new(self, tx_hash: bytes, tip: Tip) -> bool:
        """Whether certainly no block up to this tip, the store's, gave a verdict on a transaction.

        Raises `CorruptionError` as `KnownTransactions.follow`.
        """
        self.known.follow(tip)
        return self.known.certainly_new(tx_hash, tip.height)

    def page(self, key: bytes) -> bytes | None:
        """The stored bytes of a page of the state map."""
        return self._store.get(MAP_NODE + key)

    def _is_absent(self, key: str) -> bool:
        ref = self.map_ref
        return ref is not None and statemap.lookup(self.page, ref, key, self.pages) is None


class BlockExecution:
    """A block while it is being executed: `run` until it answers True, then `finish`."""

    __slots__ = (
        "_at_hand",
        "_contract_for",
        "_done",
        "_ordered",
        "_rows",
        "_seen",
        "_state",
        "_store",
        "_tip",
        "_work",
    )  # fmt: skip

    def __init__(
        self,
        store: Store,
        tip: Tip,
        ordered: OrderedBlock,
        contract_for: ContractFor,
        at_hand: AtHand | None = None,
    ) -> None:
        """`tip` is what the store's last executed block left behind: the parent of `ordered`.

        `at_hand` spares reading what the blocks before have read or written.
        """
        invariant(
            ordered.block.height == tip.height + 1 and ordered.block.parent == tip.digest,
            f"block {ordered.block.height} does not follow the executed tip {tip.height}",
        )
        self._store = store
        self._tip = tip
        self._ordered = ordered
        self._contract_for = contract_for
        self._at_hand = at_hand or AtHand(store)
        self._at_hand.map_ref = MapRef.decode(tip.state_map)
        self._at_hand.known.follow(tip)
        self._state = Overlay(self._at_hand.state)
        self._rows: dict[str, bytes] = {}
        self._seen: set[bytes] = set()
        self._done: list[ExecutedBody] = []
        self._work = self._bodies()

    def run(self, bodies_max: int) -> bool:
        """Execute at most `bodies_max` bodies; answers whether all are done."""
        for _ in range(bodies_max):
            following = next(self._work, None)
            if following is None:
                return True
            self._execute(*following)
        return False

    @property
    def writes(self) -> dict[str, bytes | None]:
        """What the bodies have written so far, by state key."""
        return self._state.writes

    def _bodies(self) -> Iterator[tuple[int, int, int, Transaction]]:
        ordered = self._ordered
        for b, (batch, known) in enumerate(zip_longest(ordered.batches, ordered.opened)):
            opened = known or map(open_envelope, batch.envelopes)
            for e, transactions in enumerate(opened):
                for i, transaction in enumerate(transactions):
                    yield b, e, i, transaction

    def _execute(self, batch: int, envelope: int, body: int, transaction: Transaction) -> None:
        tx_hash = transaction.tx_hash
        if tx_hash in self._seen or self._is_executed(tx_hash):
            result = BodyResult(
                code=RejectCode.REPLAY.value,
                rule="R06",
                message="this body has been executed",
                outcome=None,
                writes={},
                event=None,
                rows={},
            )
        else:
            result = execute_body(
                self._state,
                transaction,
                height=self._ordered.block.height,
                time_ms=self._ordered.block.time_ms,
                contract_for=self._contract_for,
                history=StoredHistory(self._store, self._ordered.block.height),
            )
        if result.outcome is not None:
            self._seen.add(tx_hash)
        self._state.absorb(result.writes)
        self._rows.update(result.rows)
        self._done.append(
            ExecutedBody(
                transaction=transaction, result=result, batch=batch, envelope=envelope, body=body
            )
        )

    def _is_executed(self, tx_hash: bytes) -> bool:
        """Whether an earlier block gave a verdict on this transaction."""
        if self._at_hand.known.certainly_new(tx_hash, self._tip.height):
            return False
        return self._store.get(transaction_key(tx_hash)) is not None

    def finish(self) -> ExecutedBlock:
        """Roots, leaves and the write batch, once every body is executed."""
        block = self._ordered.block
        frontier = LogFrontier.decode(self._tip.frontier)
        first_leaf = frontier.size
        kept, moves = self._oldest_pages()
        update = statemap.apply(
            self._at_hand.page,
            MapRef.decode(self._tip.state_map),
            block.height,
            self._state.writes,
            self._at_hand.pages,
            moves=moves,
        )
        verdicts = self._verdicts(first_leaf)
        block_leaf = BlockLeaf(
            kind=LeafKind.BLOCK,
            height=block.height,
            block_digest=self._ordered.digest,
            time_ms=block.time_ms,
            state_root=update.root,
            epoch=block.epoch,
            next_set_hash=block.next_set_hash,
        )
        frontier, nodes = frontier.append((*verdicts.leaf_hashes, leaf_hash(encode(block_leaf))))
        tip = Tip(
            height=block.height,
            digest=self._ordered.digest,
            time_ms=block.time_ms,
            state_map=update.ref.encode(),
            frontier=frontier.encode(),
        )
        log_root = frontier.root()
        stored = StoredBlock(
            block=block,
            final=self._ordered.final,
            batch_heads=self._ordered.heads,
            first_leaf=first_leaf,
            log_size=frontier.size,
            log_root=log_root,
            state_root=update.root,
            void_count=len(self._done) - len(verdicts.leaf_hashes),
            record=self._ordered.record,
        )
        rows = verdicts.rows
        rows[TIP_KEY] = encode(tip)
        rows[block_key(block.height)] = encode(stored)
        rows[BLOCK_HEIGHT + self._ordered.digest] = u64(block.height)
        for (level, index), data in tile_writes(self._log_tile, nodes).items():
            rows[log_tile_key(level, index)] = data
        for key, data in update.node_writes:
            rows[MAP_NODE + key] = data
        for name, value in self._state.writes.items():
            rows[STATE + name.encode()] = value
        for name, value in self._rows.items():
            rows[PROJECTION + name.encode()] = value
        rows[MAP_STEPS + u64(block.height)] = encode_steps(update) or None
        rows.update(self._recent_rows(kept.after(update)))
        known = self._at_hand.known.to_keep(self._tip.height)
        if known is not None:
            rows[KNOWN_KEY] = known
        return ExecutedBlock(
            tip=tip,
            state_root=update.root,
            log_size=frontier.size,
            log_root=log_root,
            bodies=tuple(self._done),
            log_indexes=tuple(verdicts.log_indexes),
            writes=WriteBatch(entries=tuple(rows.items())),
        )

    def _oldest_pages(self) -> tuple[KeptPages, list[statemap.Move]]:
        """Where there are too many: the pages of the oldest heights that must be written anew."""
        kept = KeptPages.decode(self._store.get(MAP_KEPT_KEY))
        found: list[statemap.Move] = []
        room = limits.STATE_PAGES_GIVEN_UP_PER_WRITE * len(self._state.writes)
        for count in range(limits.STATE_HEIGHTS_GIVEN_UP_MAX):
            if not kept.too_many or kept.floor > self._tip.height - limits.RECENT_HEIGHTS_KEPT:
                break
            if count >= limits.STATE_HEIGHTS_GIVEN_UP_MIN and len(found) >= room:
                break
            data = self._store.get(MAP_STEPS + u64(kept.floor)) or b""
            oldest = decode_steps(kept.floor, data)
            found += oldest
            kept = kept.without_oldest(len(oldest))
        if not found:
            return kept, found
        ref, pages = MapRef.decode(self._tip.state_map), self._at_hand.pages
        return kept, list(statemap.living(self._at_hand.page, ref, sorted(found), pages))

    def _log_tile(self, level: int, index: int) -> bytes | None:
        return self._store.get(log_tile_key(level, index))

    def _verdicts(self, first_leaf: int) -> _Verdicts:
        """Leaves and rows of the bodies: whatever is hashed and stored is encoded once."""
        height = self._ordered.block.height
        found = _Verdicts(log_indexes=[], leaf_hashes=[], rows={})
        sets: list[bytes] = []
        tx_hashes: list[bytes] = []
        for done in self._done:
            result = done.result
            writes = encode(write_set(result.writes)) if result.writes else b""
            sets.append(writes)
            if result.outcome is None:
                found.log_indexes.append(None)
                continue
            index = len(tx_hashes)
            event = None if result.event is None else encode(result.event)
            tx_hash = done.transaction.tx_hash
            leaf = encode(
                TransactionLeaf(
                    kind=LeafKind.TRANSACTION,
                    height=height,
                    index=index,
                    time_ms=self._ordered.block.time_ms,
                    tx_hash=tx_hash,
                    code=result.code,
                    outcome=result.outcome,
                    write_set_hash=write_set_hash(writes),
                    event_hash=event_hash(event),
                    signers_hash=signers_hash(done.transaction.signers),
                )
            )
            row = TransactionRow(
                leaf=leaf,
                log_index=first_leaf + index,
                batch_head=self._ordered.heads[done.batch],
                envelope_index=done.envelope,
                body_index=done.body,
                rule=result.rule,
                message=result.message,
                event=event,
            )
            tx_hashes.append(tx_hash)
            found.log_indexes.append(first_leaf + index)
            found.leaf_hashes.append(leaf_hash(leaf))
            found.rows[transaction_key(tx_hash)] = encode(row)
        if tx_hashes:
            found.rows[transactions_key(height)] = b"".join(tx_hashes)
        found.rows[WRITES + u64(height)] = encode(WritesRow(writes=tuple(sets))) or b"\x00"
        return found

    def _recent_rows(self, kept: KeptPages) -> Iterator[tuple[bytes, bytes | None]]:
        """Which pages recent heights refer to; what is only for them goes with its height."""
        height = self._ordered.block.height
        before = KeptPages.decode(self._store.get(MAP_KEPT_KEY))
        yield MAP_KEPT_KEY, kept.encode()
        for given_up in range(before.floor, kept.floor):
            yield MAP_STEPS + u64(given_up), None
        yield MAP_FLOORS + u64(height), u64(kept.floor)
        old = height - limits.RECENT_HEIGHTS_KEPT
        if old > 0:
            yield WRITES + u64(old), None
            yield MAP_FLOORS + u64(old), None
            floor = self._store.get(MAP_FLOORS + u64(old))
            if floor is not None and floor != self._store.get(MAP_FLOOR_KEY):
                yield MAP_FLOOR_KEY, floor


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdicts:
    """What the bodies of a block leave behind, while it is being collected."""

    log_indexes: list[int | None]
    leaf_hashes: list[bytes]
    rows: dict[bytes, bytes | None]


def write_set(writes: dict[str, bytes | None]) -> WriteSet:
    """The write set of one transaction, ascending by key."""
    return WriteSet(writes=tuple(Write(key=key, value=writes[key]) for key in sorted(writes)))


def genesis_writes(chain_id: bytes, genesis: Block, state: dict[str, bytes]) -> WriteBatch:
    """The store of a chain before its first block: the genesis block, the genesis state."""
    digest = block_digest(genesis)
    update = statemap.apply(lambda _: None, statemap.EMPTY_MAP, 0, dict(state))
    written = len(update.node_writes)
    frontier = LogFrontier(size=0, edge=())
    tip = Tip(
        height=0,
        digest=digest,
        time_ms=genesis.time_ms,
        state_map=update.ref.encode(),
        frontier=frontier.encode(),
    )
    stored = StoredBlock(
        block=genesis,
        final=b"",
        batch_heads=(),
        first_leaf=0,
        log_size=0,
        log_root=frontier.root(),
        state_root=update.root,
        void_count=0,
        record=b"",
    )
    rows: dict[bytes, bytes | None] = {
        CHAIN_KEY: chain_id,
        TIP_KEY: encode(tip),
        block_key(0): encode(stored),
        BLOCK_HEIGHT + digest: u64(0),
        MAP_KEPT_KEY: KeptPages(floor=0, living=written, kept=written).encode(),
    }
    rows.update((MAP_NODE + key, data) for key, data in update.node_writes)
    rows[MAP_STEPS + u64(0)] = encode_steps(update) or None
    rows.update((STATE + key.encode(), data) for key, data in state.items())
    return WriteBatch(entries=tuple(rows.items()))
