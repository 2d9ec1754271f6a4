"""Candidates for the state map that lost, kept so that `bench_statemap.py` can be repeated.

All of them keep their nodes under (path, version) and answer the same call::

    apply(read, ref, height, writes) -> (ref, root, node_writes, stale)

with `writes` a sorted list of (32-byte key hash, 32-byte value hash or None). No checks, no strict
decoding: they are to be measured, not used. docs/adr/0003-state-map.md draws the conclusion.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

Read = Callable[[bytes], bytes | None]
Leaves = list[tuple[bytes, bytes | None]]

EMPTY = sha256(b"onward/state-empty/1").digest()
LEAF = b"onward/state-leaf/1"
NODE = b"onward/state-node/1"
LEAF_BYTES = 64
HASH_BITS = 256


@dataclass(slots=True)
class Out:
    """What one `apply` collects."""

    height: int
    writes: list[tuple[bytes, bytes]]
    stale: list[bytes]


class Paged:
    """The logical binary trie, stored in pages of `bits` levels: one root, whatever `bits` is.

    A slot is None, a leaf of 64 bytes (key hash, value hash), or a branch of 40 (hash, version).
    With `flat` a page's hash is one SHA-256 over its slots instead of a small tree: another root,
    and proofs that carry every sibling of every page.
    """

    def __init__(self, bits: int, *, flat: bool = False) -> None:
        self.bits, self.flat = bits, flat
        self.width = 1 << bits
        self.mask_bytes = max(1, self.width // 8)

    def start(self) -> Any:
        return None

    def apply(self, read: Read, ref: Any, height: int, writes: Leaves) -> Any:
        out = Out(height, [], [])
        slots = [None] * self.width if ref is None else self.decode(self.load(read, 0, b"", ref))
        before = list(slots)
        self.update(read, 0, slots, writes, out)
        if slots != before:
            if ref is not None:
                out.stale.append(self.key(0, b"", ref))
            out.writes.append((self.key(0, b"", height), self.encode(slots)))
            ref = height
        top = self.fold(slots)
        root = EMPTY if top is None else sha256(LEAF + top).digest() if len(top) == 64 else top
        return ref, root, out.writes, out.stale

    def update(self, read: Read, depth: int, slots: list[Any], writes: Leaves, out: Out) -> None:
        bits, byte, shift = self.bits, depth >> 3, 8 - self.bits - (depth & 7)
        mask = self.width - 1
        start, count = 0, len(writes)
        while start < count:
            place = writes[start][0][byte] >> shift & mask
            end = start + 1
            while end < count and writes[end][0][byte] >> shift & mask == place:
                end += 1
            group = writes[start:end]
            start = end
            slot = slots[place]
            if slot is None or len(slot) == LEAF_BYTES:
                leaves = {} if slot is None else {slot[:32]: slot[32:]}
                for key, value in group:
                    if value is None:
                        leaves.pop(key, None)
                    else:
                        leaves[key] = value
                slots[place] = self.build(depth + bits, sorted(leaves.items()), out)
                continue
            path, version = group[0][0], int.from_bytes(slot[32:], "big")
            child = self.decode(self.load(read, depth + bits, path, version))
            before = list(child)
            self.update(read, depth + bits, child, group, out)
            if child != before:
                out.stale.append(self.key(depth + bits, path, version))
                slots[place] = self.store(depth + bits, path, child, out)

    def build(self, depth: int, leaves: list[tuple[bytes, bytes]], out: Out) -> bytes | None:
        if not leaves:
            return None
        if len(leaves) == 1:
            return leaves[0][0] + leaves[0][1]
        byte, shift, mask = depth >> 3, 8 - self.bits - (depth & 7), self.width - 1
        groups: dict[int, list[tuple[bytes, bytes]]] = {}
        for leaf in leaves:
            groups.setdefault(leaf[0][byte] >> shift & mask, []).append(leaf)
        slots: list[bytes | None] = [None] * self.width
        for place, group in groups.items():
            slots[place] = self.build(depth + self.bits, group, out)
        return self.store(depth, leaves[0][0], slots, out)

    def store(self, depth: int, path: bytes, slots: list[Any], out: Out) -> bytes | None:
        kept = [slot for slot in slots if slot is not None]
        if not kept:
            return None
        if len(kept) == 1 and len(kept[0]) == LEAF_BYTES:
            return bytes(kept[0])
        out.writes.append((self.key(depth, path, out.height), self.encode(slots)))
        return bytes(self.fold(slots)) + out.height.to_bytes(8, "big")

    def fold(self, slots: list[Any]) -> Any:
        if self.flat:
            return self.fold_flat(slots)
        level = [s if s is None or len(s) == LEAF_BYTES else s[:32] for s in slots]
        while len(level) > 1:
            level = [combine(level[i], level[i + 1]) for i in range(0, len(level), 2)]
        return level[0]

    def fold_flat(self, slots: list[Any]) -> Any:
        kept = [slot for slot in slots if slot is not None]
        if not kept or (len(kept) == 1 and len(kept[0]) == LEAF_BYTES):
            return kept[0] if kept else None
        hashes = [
            EMPTY if s is None else sha256(LEAF + s).digest() if len(s) == 64 else s[:32]
            for s in slots
        ]
        return sha256(NODE + b"".join(hashes)).digest()

    def proof_bytes(self, read: Read, ref: Any, key: bytes) -> int:
        """Bytes of the hashes in the proof of `key`, with one bit for each sibling."""
        depth, total, bits_used = 0, 0, 0
        while True:
            slots = self.decode(self.load(read, depth, key, ref))
            place = key[depth >> 3] >> (8 - self.bits - (depth & 7)) & (self.width - 1)
            if self.flat:
                total += 32 * sum(s is not None for s in slots) - 32 * (slots[place] is not None)
                bits_used += self.width
            else:
                level: list[Any] = [s if s is None or len(s) == 64 else s[:32] for s in slots]
                at, sizes = place, []
                while len(level) > 1:
                    sizes.append(level[at ^ 1] is not None)
                    level = [combine(level[i], level[i + 1]) for i in range(0, len(level), 2)]
                    at >>= 1
                total += 32 * sum(sizes)
                bits_used += len(sizes)
            slot = slots[place]
            if slot is None or len(slot) == LEAF_BYTES:
                return total + (bits_used + 7) // 8
            depth, ref = depth + self.bits, int.from_bytes(slot[32:], "big")

    def key(self, depth: int, path: bytes, version: int) -> bytes:
        whole, rest = depth >> 3, depth & 7
        prefix = path[:whole]
        if rest:
            prefix += bytes((path[whole] & (0xFF00 >> rest) & 0xFF,))
        return bytes((depth // self.bits,)) + prefix + version.to_bytes(8, "big")

    def load(self, read: Read, depth: int, path: bytes, version: int) -> bytes:
        data = read(self.key(depth, path, version))
        if data is None:
            raise KeyError(depth)
        return data

    def encode(self, slots: list[Any]) -> bytes:
        leaf = branch = 0
        for place, slot in enumerate(slots):
            if slot is not None:
                if len(slot) == LEAF_BYTES:
                    leaf |= 1 << place
                else:
                    branch |= 1 << place
        size = self.mask_bytes
        head = leaf.to_bytes(size, "big") + branch.to_bytes(size, "big")
        return head + b"".join([slot for slot in slots if slot is not None])

    def decode(self, data: bytes) -> list[Any]:
        size = self.mask_bytes
        leaf = int.from_bytes(data[:size], "big")
        branch = int.from_bytes(data[size : 2 * size], "big")
        slots: list[Any] = [None] * self.width
        position, both = 2 * size, leaf | branch
        while both:
            low = both & -both
            width = 64 if leaf & low else 40
            slots[low.bit_length() - 1] = data[position : position + width]
            position += width
            both ^= low
        return slots


def combine(left: Any, right: Any) -> Any:
    """The node above two of the logical trie: None, a leaf's 64 bytes, or a node's hash."""
    if left is None:
        if right is None or len(right) == LEAF_BYTES:
            return right
        return sha256(NODE + EMPTY + right).digest()
    if right is None:
        if len(left) == LEAF_BYTES:
            return left
        return sha256(NODE + left + EMPTY).digest()
    if len(left) == LEAF_BYTES:
        left = sha256(LEAF + left).digest()
    if len(right) == LEAF_BYTES:
        right = sha256(LEAF + right).digest()
    return sha256(NODE + left + right).digest()


class Patricia:
    """A binary trie with one node per branching bit: paths without branches cost nothing.

    A reference is a leaf of 64 bytes or (bit, prefix, hash, version): the node at that path
    branches at `bit`, and its hash covers the bit's number and both children.
    """

    def start(self) -> Any:
        return None

    def apply(self, read: Read, ref: Any, height: int, writes: Leaves) -> Any:
        out = Out(height, [], [])
        ref = self.update(read, ref, [(int.from_bytes(k, "big"), v) for k, v in writes], out)
        return ref, EMPTY if ref is None else self.hash_of(ref), out.writes, out.stale

    def update(self, read: Read, ref: Any, writes: list[tuple[int, bytes | None]], out: Out) -> Any:
        if ref is None or isinstance(ref, bytes):
            items: dict[int, Any] = {}
            if ref is not None:
                items[int.from_bytes(ref[:32], "big")] = ref
            for key, value in writes:
                if value is None:
                    items.pop(key, None)
                else:
                    items[key] = key.to_bytes(32, "big") + value
            return self.build(sorted(items.items()), out)
        bit, prefix = ref[:2]
        shift = HASH_BITS - bit
        inside = [w for w in writes if not (w[0] ^ prefix) >> shift]
        result = ref
        if inside:
            result = self.update_node(read, ref, inside, out)
        outside = [
            (key, key.to_bytes(32, "big") + value)
            for key, value in writes
            if value is not None and (key ^ prefix) >> shift
        ]
        if not outside:
            return result
        if result is not None:
            top = int.from_bytes(result[:32], "big") if isinstance(result, bytes) else result[1]
            outside.append((top, result))
        return self.build(sorted(outside, key=lambda item: item[0]), out)

    def update_node(self, read: Read, ref: Any, writes: Any, out: Out) -> Any:
        bit, prefix, _, version = ref
        old_key = self.key(bit, prefix, version)
        data = read(old_key)
        if data is None:
            raise KeyError(bit)
        left, right = self.decode(bit, prefix, data)
        low = [w for w in writes if not w[0] >> (255 - bit) & 1]
        high = [w for w in writes if w[0] >> (255 - bit) & 1]
        new_left = self.update(read, left, low, out) if low else left
        new_right = self.update(read, right, high, out) if high else right
        if new_left == left and new_right == right:
            return ref
        out.stale.append(old_key)
        if new_left is None or new_right is None:
            return new_right if new_left is None else new_left
        return self.store(bit, prefix, new_left, new_right, out)

    def build(self, items: list[tuple[int, Any]], out: Out) -> Any:
        if not items:
            return None
        if len(items) == 1:
            return items[0][1]
        first, last = items[0][0], items[-1][0]
        bit = HASH_BITS - (first ^ last).bit_length()
        middle = next(i for i, item in enumerate(items) if item[0] >> (255 - bit) & 1)
        left, right = self.build(items[:middle], out), self.build(items[middle:], out)
        return self.store(bit, first >> (256 - bit) << (256 - bit), left, right, out)

    def store(self, bit: int, prefix: int, left: Any, right: Any, out: Out) -> Any:
        data = self.encode(bit, left) + self.encode(bit, right)
        out.writes.append((self.key(bit, prefix, out.height), data))
        node = sha256(NODE + bytes((bit,)) + self.hash_of(left) + self.hash_of(right)).digest()
        return bit, prefix, node, out.height

    def hash_of(self, ref: Any) -> bytes:
        return sha256(LEAF + ref).digest() if isinstance(ref, bytes) else bytes(ref[2])

    def key(self, bit: int, prefix: int, version: int) -> bytes:
        size = (bit + 7) // 8
        path = (prefix >> (256 - 8 * size)).to_bytes(size, "big") if size else b""
        return bytes((bit,)) + path + version.to_bytes(8, "big")

    def encode(self, parent: int, ref: Any) -> bytes:
        if isinstance(ref, bytes):
            return b"\x00" + ref
        bit, prefix, node, version = ref
        skipped: bytes = prefix.to_bytes(32, "big")[parent // 8 : (bit + 7) // 8]
        return b"".join((bytes((1, bit)), skipped, node, version.to_bytes(8, "big")))

    def decode(self, parent: int, prefix: int, data: bytes) -> list[Any]:
        refs: list[Any] = []
        position = 0
        while position < len(data):
            if data[position] == 0:
                refs.append(data[position + 1 : position + 65])
                position += 65
                continue
            bit = data[position + 1]
            start, end = parent // 8, (bit + 7) // 8
            position += 2
            skipped = int.from_bytes(data[position : position + end - start], "big")
            known = prefix >> (256 - 8 * start) if start else 0
            full = (known << 8 * (end - start) | skipped) << (256 - 8 * end)
            position += end - start
            version = int.from_bytes(data[position + 32 : position + 40], "big")
            refs.append((bit, full, data[position : position + 32], version))
            position += 40
        return refs

    def proof_bytes(self, read: Read, ref: Any, key: bytes) -> int:
        """Bytes of one sibling and one bit number per node on the way to the leaf of `key`."""
        number, total = int.from_bytes(key, "big"), 0
        while not isinstance(ref, bytes):
            data = read(self.key(ref[0], ref[1], ref[3]))
            if data is None:
                raise KeyError(ref[0])
            refs = self.decode(ref[0], ref[1], data)
            ref = refs[number >> (255 - ref[0]) & 1]
            total += 33
        return total
