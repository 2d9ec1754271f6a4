"""What the execution of a block resulted in, leaf by leaf, and where two executions part.

A certified log root stands for all leaves before it. Whoever knows the log up to a height at which
it agreed can therefore check the leaves that somebody else has from there on, and each write set
against its leaf; so a node that computed something else can say exactly what, and whom to believe.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from onward import limits
from onward.errors import CorruptionError, MalformedError
from onward.ledger.block import Executed, block_digest
from onward.ledger.chain import BlockWrites, read_block, read_log_node, read_transaction
from onward.ledger.leaf import (
    BlockLeaf,
    LeafKind,
    TransactionLeaf,
    WriteSet,
    write_set_hash,
)
from onward.ledger.log import EMPTY_LOG, LogFrontier
from onward.ledger.merkle import leaf_hash
from onward.ledger.store import WRITES, Store, transactions_key, u64
from onward.types import NIL
from onward_proto.canonical import CanonicalError, decode, encode

_HASH_BYTES: Final = 32
Leaves = tuple[bytes, ...]
"""The canonical leaves of one block, in the log's order: the block's own is the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parting:
    """The first leaf of which there are two. A leaf that one side lacks is None there."""

    height: int
    index: int
    own: TransactionLeaf | BlockLeaf | None
    theirs: TransactionLeaf | BlockLeaf | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyParting:
    """The first key, in their order, that two executions of one body left with two values.

    None: that side removed the key. `is_own` and `is_theirs`: whether that side wrote it at all.
    """

    key: str
    own: bytes | None
    theirs: bytes | None
    is_own: bool
    is_theirs: bool


def leaves_at(store: Store, height: int) -> Leaves | None:
    """The leaves of the executed block at `height`, or None above the tip and for the genesis."""
    stored = read_block(store, height)
    if stored is None or height == 0:
        return None
    hashes = store.get(transactions_key(height)) or b""
    leaves: list[bytes] = []
    for start in range(0, len(hashes), _HASH_BYTES):
        found = read_transaction(store, hashes[start : start + _HASH_BYTES])
        if found is None:
            raise CorruptionError(f"database: block {height} lists a transaction that is not there")
        leaves.append(encode(found.leaf))
    block = stored.block
    last = BlockLeaf(
        kind=LeafKind.BLOCK,
        height=height,
        block_digest=block_digest(block),
        time_ms=block.time_ms,
        state_root=stored.state_root,
        epoch=block.epoch,
        next_set_hash=block.next_set_hash,
    )
    return (*leaves, encode(last))


def write_set_at(store: Store, height: int, index: int) -> bytes | None:
    """The canonical write set behind a transaction's leaf; empty for a body that wrote nothing.

    None where it is not kept any more, or where there is no such leaf.
    """
    data, leaves = store.get(WRITES + u64(height)), leaves_at(store, height)
    if data is None or leaves is None or not 0 <= index < len(leaves) - 1:
        return None
    sets = () if data == b"\x00" else decode(BlockWrites, data).writes
    written = [encode(item) for item in sets if item.writes]
    # Void bodies wrote nothing and have no leaf; a leaf says whether its body wrote anything.
    wrote = [decode(TransactionLeaf, leaf).write_set_hash != NIL for leaf in leaves[: index + 1]]
    return written[sum(wrote) - 1] if wrote[-1] else b""


def frontier_at(store: Store, size: int) -> LogFrontier:
    """The log as it was at `size`."""
    if size == 0:
        return EMPTY_LOG
    edge, position = [], 0
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            edge.append(read_log_node(store, level, position >> level))
            position += 1 << level
    return LogFrontier(size=size, edge=tuple(edge))


def check_block(leaves: Leaves, height: int) -> None:
    """Raises `MalformedError` unless these are all leaves of one block, and of this height.

    A log root stands for the leaves in a row: it does not say where a block ends, they do.
    """
    if not 0 < len(leaves) <= limits.BLOCK_BODIES_MAX + 1:
        raise MalformedError(f"block {height}: {len(leaves)} leaves")
    try:
        *others, last = map(read_leaf, leaves)
    except CanonicalError as error:
        raise MalformedError(f"block {height}: {error}") from None
    is_one = isinstance(last, BlockLeaf) and all(
        isinstance(leaf, TransactionLeaf) for leaf in others
    )
    if not is_one or any(leaf.height != height for leaf in (*others, last)):
        raise MalformedError(f"block {height}: leaves of other blocks")


def are_certified(frontier: LogFrontier, blocks: Sequence[Leaves], certified: Executed) -> bool:
    """Whether the log that goes on with these blocks' leaves is the certified one."""
    for leaves in blocks:
        frontier, _ = frontier.append(map(leaf_hash, leaves))
    return (frontier.size, frontier.root()) == (certified.log_size, certified.log_root)


def first_parting(first: int, own: Sequence[Leaves], theirs: Sequence[Leaves]) -> Parting | None:
    """The first leaf that differs; `first` is the height of the first blocks."""
    for place, (mine, others) in enumerate(zip(own, theirs, strict=True)):
        for index in range(max(len(mine), len(others))):
            pair = [leaves[index] if index < len(leaves) else None for leaves in (mine, others)]
            if pair[0] != pair[1]:
                left, right = (None if leaf is None else read_leaf(leaf) for leaf in pair)
                return Parting(height=first + place, index=index, own=left, theirs=right)
    return None


def read_leaf(data: bytes) -> TransactionLeaf | BlockLeaf:
    """A leaf from its canonical bytes. Raises `CanonicalError`."""
    try:
        return decode(TransactionLeaf, data)
    except CanonicalError:
        return decode(BlockLeaf, data)


def first_key(own: bytes, theirs: bytes, leaf: TransactionLeaf) -> KeyParting | None:
    """Where two write sets part; None where theirs is not the one that `leaf` stands for."""
    if write_set_hash(theirs) != leaf.write_set_hash:
        return None
    mine, others = (
        {item.key: item.value for item in (decode(WriteSet, data).writes if data else ())}
        for data in (own, theirs)
    )
    for key in sorted({*mine, *others}):
        if key not in mine or key not in others or mine[key] != others[key]:
            return KeyParting(
                key=key,
                own=mine.get(key),
                theirs=others.get(key),
                is_own=key in mine,
                is_theirs=key in others,
            )
    return None
