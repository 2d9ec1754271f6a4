"""The chain-wide log: an RFC 6962 tree that only grows.

In memory stands a `LogFrontier`: the size and the roots of the full subtrees on the right edge, one
per set bit of the size, widest first. Appending completes further full subtrees; each completed one
is known by (level, index) and never changes: it covers the leaves [index·2^level,
(index+1)·2^level). Level 0 holds the leaf hashes themselves. `log_tiles` says how they are stored.

Every node of every tree, of any size up to now, is either such a full subtree or lies on that
tree's right edge, where it is computed from at most one full subtree per level. So proofs for old
sizes stay possible for good, with O(log size) reads, and nothing on disk depends on which sizes
were ever signed.

Source: RFC 6962 sections 2.1.1 and 2.1.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from onward.errors import CorruptionError, invariant, unreachable
from onward.ledger.merkle import EMPTY_ROOT, HASH_BYTES, node_hash
from onward.limits import PROOF_HASHES_MAX

ReadNode = Callable[[int, int], bytes]
"""(level, index) -> the 32-byte root of that full subtree. Raises if it is not there."""

NodeWrite = tuple[int, int, bytes]
"""(level, index, hash): a full subtree that has just been completed."""

_SIZE_BYTES = 8
LOG_SIZE_MAX = 2**PROOF_HASHES_MAX - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFrontier:
    """All that is needed to append to the log and to know its root.

    `edge`: the roots of the full subtrees on the right edge, 32 bytes each, widest first.
    """

    size: int
    edge: tuple[bytes, ...]

    def append(self, leaf_hashes: Iterable[bytes]) -> tuple[LogFrontier, tuple[NodeWrite, ...]]:
        """The frontier after these leaves, and every full subtree that they completed, in order."""
        edge = list(self.edge)
        size = self.size
        writes: list[NodeWrite] = []
        for leaf in leaf_hashes:
            if len(leaf) != HASH_BYTES:
                unreachable(f"leaf hash of {len(leaf)} bytes")
            writes.append((0, size, leaf))
            current, level, rest = leaf, 0, size
            # Each trailing one of the size is a full subtree of that width waiting on the left.
            while rest & 1:
                current = node_hash(edge.pop(), current)
                level += 1
                rest >>= 1
                writes.append((level, rest, current))
            edge.append(current)
            size += 1
        invariant(size <= LOG_SIZE_MAX, f"log of {size} leaves")
        return LogFrontier(size=size, edge=tuple(edge)), tuple(writes)

    def root(self) -> bytes:
        """The root of the log at this size."""
        if not self.edge:
            return EMPTY_ROOT
        current = self.edge[-1]
        for left in reversed(self.edge[:-1]):
            current = node_hash(left, current)
        return current

    def encode(self) -> bytes:
        """Size as 8 bytes, big-endian, then the edge."""
        return self.size.to_bytes(_SIZE_BYTES, "big") + b"".join(self.edge)

    @classmethod
    def decode(cls, data: bytes) -> LogFrontier:
        """The inverse of `encode`. Raises `CorruptionError`: only our own disk holds such bytes."""
        size = int.from_bytes(data[:_SIZE_BYTES], "big")
        expected = _SIZE_BYTES + HASH_BYTES * size.bit_count()
        if len(data) != expected or size > LOG_SIZE_MAX:
            raise CorruptionError(f"log frontier of size {size}: {len(data)} bytes, not {expected}")
        edge = range(_SIZE_BYTES, len(data), HASH_BYTES)
        return cls(size=size, edge=tuple(data[i : i + HASH_BYTES] for i in edge))


EMPTY_LOG = LogFrontier(size=0, edge=())


def root_at(read_node: ReadNode, size: int) -> bytes:
    """The root that the log had at `size`."""
    return EMPTY_ROOT if size == 0 else _range_hash(read_node, 0, size)


def inclusion_path(read_node: ReadNode, index: int, size: int) -> tuple[bytes, ...]:
    """The proof that leaf `index` stands in the log at `size`, the leaf's sibling first."""
    invariant(0 <= index < size, f"leaf {index} of a log of {size}")
    path: list[bytes] = []
    level, place, last = 0, index, size - 1
    while last:
        sibling = place ^ 1
        if sibling <= last:
            start = sibling << level
            path.append(_range_hash(read_node, start, min(start + (1 << level), size)))
        level += 1
        place >>= 1
        last >>= 1
    return tuple(path)


def consistency_path(read_node: ReadNode, old_size: int, new_size: int) -> tuple[bytes, ...]:
    """The proof that the log at `new_size` begins with the log at `old_size`.

    Empty where nothing needs proving: `old_size` is 0 or `new_size`.
    """
    invariant(0 <= old_size <= new_size, f"consistency of {old_size} and {new_size}")
    if old_size in (0, new_size):
        return ()
    # Walk down to the node where the old tree ends; `path` collects from the top, so it is
    # reversed.
    path: list[bytes] = []
    start, end, whole = 0, new_size, True
    while old_size != end:
        middle = start + _split(end - start)
        if old_size <= middle:
            path.append(_range_hash(read_node, middle, end))
            end = middle
        else:
            path.append(_range_hash(read_node, start, middle))
            start = middle
            whole = False
    if not whole:
        path.append(_range_hash(read_node, start, end))
    return tuple(reversed(path))


def _split(width: int) -> int:
    """The largest power of two below `width` (at least 2)."""
    return 1 << ((width - 1).bit_length() - 1)


def _range_hash(read_node: ReadNode, start: int, end: int) -> bytes:
    """The root over leaves [start, end); `start` is aligned to a power of two >= the width."""
    parts: list[bytes] = []
    position, left = start, end - start
    while left:
        level = left.bit_length() - 1
        parts.append(read_node(level, position >> level))
        position += 1 << level
        left -= 1 << level
    current = parts.pop()
    while parts:
        current = node_hash(parts.pop(), current)
    return current
