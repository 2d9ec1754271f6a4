"""What the store keeps of the executed chain: the tip, each block, each transaction's verdict."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, TypeVar

from onward import limits
from onward.errors import CorruptionError
from onward.ledger.block import Block, Executed
from onward.ledger.leaf import LedgerEvent, TransactionLeaf, WriteSet
from onward.ledger.log_tiles import read_node
from onward.ledger.store import (
    CHECKPOINT,
    TIP_KEY,
    Store,
    block_key,
    checkpoint_key,
    log_tile_key,
    prefix_end,
    transaction_key,
)
from onward_proto.canonical import CanonicalError, decode, nested, raw, text, uint

_U53 = 2**53 - 1
_HEADS_MAX = limits.VALIDATORS_MAX * limits.LANE_BATCHES_PER_BLOCK_MAX

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tip:
    """The last executed block and what execution left behind."""

    height: Annotated[int, uint(1, maximum=_U53)]
    digest: Annotated[bytes, raw(2, size=32)]
    time_ms: Annotated[int, uint(3, maximum=_U53)]
    state_map: Annotated[bytes, raw(4, size=40)]  # ledger.statemap.MapRef
    frontier: Annotated[bytes, raw(5, maximum=4096)]  # ledger.log.LogFrontier


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBlock:
    """An executed block.

    `final` is its own finalization certificate in canonical bytes, empty where a descendant's
    finalized it. `log_size` and `log_root` are the log's after this block; `first_leaf` is where
    its leaves begin. `record`: the certificates that led to it, as this node knew them (a
    `consensus.forensics.BlockRecord`, or empty); no two nodes need have the same.
    """

    block: Annotated[Block, nested(1, Block)]
    final: Annotated[bytes, raw(2, maximum=4096)]
    batch_heads: Annotated[tuple[bytes, ...], raw(3, size=32, count=_HEADS_MAX)]
    first_leaf: Annotated[int, uint(4, maximum=_U53)]
    log_size: Annotated[int, uint(5, maximum=_U53)]
    log_root: Annotated[bytes, raw(6, size=32)]
    state_root: Annotated[bytes, raw(7, size=32)]
    void_count: Annotated[int, uint(8, maximum=limits.BLOCK_BODIES_MAX)]
    record: Annotated[bytes, raw(9, maximum=limits.BLOCK_RECORD_BYTES_MAX)]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTransaction:
    """A verdict, its place in the log, and where the envelope lies that carried the body.

    `rule` and `message` are for people and outside every hash; leaf, writes and event are inside.
    """

    leaf: Annotated[TransactionLeaf, nested(1, TransactionLeaf)]
    log_index: Annotated[int, uint(2, maximum=_U53)]
    batch_head: Annotated[bytes, raw(3, size=32)]
    envelope_index: Annotated[int, uint(4, maximum=limits.BATCH_ENVELOPES_MAX)]
    body_index: Annotated[int, uint(5, maximum=limits.ENVELOPE_BODIES_MAX)]
    rule: Annotated[str, text(6, maximum=64)]
    message: Annotated[str, text(7, maximum=512)]
    event: Annotated[LedgerEvent | None, nested(8, LedgerEvent)]


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionRow:
    """A `StoredTransaction` whose leaf and event are in canonical bytes already: the same row."""

    leaf: Annotated[bytes, raw(1, minimum=1)]
    log_index: Annotated[int, uint(2, maximum=_U53)]
    batch_head: Annotated[bytes, raw(3, size=32)]
    envelope_index: Annotated[int, uint(4, maximum=limits.BATCH_ENVELOPES_MAX)]
    body_index: Annotated[int, uint(5, maximum=limits.ENVELOPE_BODIES_MAX)]
    rule: Annotated[str, text(6, maximum=64)]
    message: Annotated[str, text(7, maximum=512)]
    event: Annotated[bytes | None, raw(8, minimum=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCheckpoint:
    """A certified checkpoint: the C2SP note with a quorum's signature lines."""

    executed: Annotated[Executed, nested(1, Executed)]
    note: Annotated[bytes, raw(2, maximum=limits.NOTE_BYTES_MAX)]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockWrites:
    """The write set of every transaction of a recent block, so that a divergence can be named."""

    writes: Annotated[
        tuple[WriteSet, ...], nested(1, WriteSet, maximum=2**24, count=limits.BLOCK_BODIES_MAX)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class WritesRow:
    """A `BlockWrites` whose write sets are in canonical bytes already: the same row."""

    writes: Annotated[tuple[bytes, ...], raw(1, maximum=2**24, count=limits.BLOCK_BODIES_MAX)]


def read_tip(store: Store) -> Tip | None:
    """The executed tip, or None in an empty store."""
    data = store.get(TIP_KEY)
    return None if data is None else _tip(data)


@lru_cache(maxsize=2)  # asked for at every submission, and the same until the next block
def _tip(data: bytes) -> Tip:
    return _stored(Tip, data, "tip")


def read_block(store: Store, height: int) -> StoredBlock | None:
    """The executed block at `height`, or None."""
    data = store.get(block_key(height))
    return None if data is None else _stored(StoredBlock, data, f"block {height}")


def read_transaction(store: Store, tx_hash: bytes) -> StoredTransaction | None:
    """The verdict on a transaction, or None while it has none (or is void)."""
    data = store.get(transaction_key(tx_hash))
    return (
        None if data is None else _stored(StoredTransaction, data, f"transaction {tx_hash.hex()}")
    )


def read_log_node(store: Store, level: int, index: int) -> bytes:
    """The root of a full subtree of the log. Raises `CorruptionError`: it is not there."""
    return read_node(lambda *place: store.get(log_tile_key(*place)), level, index)


def read_checkpoint(store: Store, from_height: int) -> StoredCheckpoint | None:
    """The first certified checkpoint at or above `from_height`, or None."""
    for _, data in store.scan(checkpoint_key(from_height), prefix_end(CHECKPOINT)):
        return _stored(StoredCheckpoint, data, f"checkpoint from {from_height}")
    return None


def read_newest_checkpoint(store: Store) -> StoredCheckpoint | None:
    """The newest certified checkpoint, or None."""
    for _, data in store.scan(CHECKPOINT, prefix_end(CHECKPOINT), reverse=True):
        return _stored(StoredCheckpoint, data, "newest checkpoint")
    return None


def _stored(cls: type[T], data: bytes, what: str) -> T:
    try:
        return decode(cls, data)
    except CanonicalError as error:
        raise CorruptionError(f"database: {what}: {error}") from None
