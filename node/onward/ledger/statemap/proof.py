"""Proofs of the map: made from pages, checked against a root with nothing else at hand.

Bytes of a proof: depth (2, big-endian) ‖ one bit per depth from the root down, set where the
sibling is not EMPTY, filled with zeros to whole bytes ‖ those siblings, root's child first ‖ for
the absence of a key in whose place another stands: that key's path and value hash (64).
"""

from __future__ import annotations

from dataclasses import dataclass

from onward.errors import CorruptionError
from onward.ledger.merkle import ProofError
from onward.ledger.statemap.pages import (
    DEPTH_MAX,
    SLOTS,
    MapRef,
    ReadPage,
    load_page,
    nibbles,
)
from onward.ledger.statemap.trie import (
    EMPTY_ROOT,
    HASH_BYTES,
    LEAF_BYTES,
    PATH_BITS,
    Place,
    combine,
    key_path,
    node_hash,
    place_hash,
)

_PAGE_LEVELS = 4
_DEPTH_BYTES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class MapProof:
    """The way from the root to where a key stands, or would stand.

    `siblings`: 32-byte hashes, the root's child first, one per level. `other`: 64 bytes, the leaf
    of another key that stands in the key's place; only to prove absence.
    """

    siblings: tuple[bytes, ...]
    other: bytes | None


def prove(read: ReadPage, ref: MapRef, key: str) -> MapProof:
    """The proof that `key` is present, or absent, whichever it is in this version of the map."""
    return prove_path(read, ref, key_path(key))


def prove_path(read: ReadPage, ref: MapRef, path: bytes) -> MapProof:
    """`prove` for a key of which only the path is known."""
    if ref.root == EMPTY_ROOT:
        return MapProof(siblings=(), other=None)
    steps, version = nibbles(path), ref.encode()[HASH_BYTES:]
    siblings: list[bytes] = []
    for depth in range(DEPTH_MAX):
        page = load_page(read, steps[:depth], version)
        end = _descend(list(page[:SLOTS]), steps[depth], siblings)
        if not end or len(end) == LEAF_BYTES:
            other = end if end and end[:HASH_BYTES] != path else None
            return MapProof(siblings=tuple(siblings), other=other)
        version = end[HASH_BYTES:]
    raise CorruptionError("state map: pages below the last level")


def verify_presence(root: bytes, key: str, value_hash: bytes, proof: MapProof) -> None:
    """Check that under `root` the key has a value with this SHA-256. Raises `ProofError`."""
    if proof.other is not None:
        raise ProofError("this is a proof of absence")
    if len(value_hash) != HASH_BYTES:
        raise ProofError(f"value hash of {len(value_hash)} bytes, expected {HASH_BYTES}")
    path = key_path(key)
    _check_fold(root, path, path + value_hash, proof)


def verify_absence(root: bytes, key: str, proof: MapProof) -> None:
    """Check that under `root` the key has no value. Raises `ProofError`."""
    path = key_path(key)
    if proof.other is not None:
        if len(proof.other) != LEAF_BYTES:
            raise ProofError(f"leaf of {len(proof.other)} bytes, expected {LEAF_BYTES}")
        if proof.other[:HASH_BYTES] == path:
            raise ProofError("the leaf in the key's place is the key's own")
    _check_fold(root, path, proof.other or b"", proof)


def encode_map_proof(proof: MapProof) -> bytes:
    """The one encoding of a proof."""
    depth = len(proof.siblings)
    bits = 0
    for sibling in proof.siblings:
        bits = bits << 1 | (sibling != EMPTY_ROOT)
    size = (depth + 7) // 8
    parts = [depth.to_bytes(_DEPTH_BYTES, "big"), (bits << 8 * size - depth).to_bytes(size, "big")]
    parts += [sibling for sibling in proof.siblings if sibling != EMPTY_ROOT]
    parts.append(proof.other or b"")
    return b"".join(parts)


def decode_map_proof(data: bytes) -> MapProof:
    """The inverse of `encode_map_proof`. Raises `ProofError` for any other bytes."""
    depth = int.from_bytes(data[:_DEPTH_BYTES], "big")
    size = (depth + 7) // 8
    position = _DEPTH_BYTES + size
    if depth > PATH_BITS or len(data) < position:
        raise ProofError(f"map proof of {len(data)} bytes for depth {depth}")
    bits = int.from_bytes(data[_DEPTH_BYTES:position], "big")
    spare = 8 * size - depth
    rest = len(data) - position - HASH_BYTES * bits.bit_count()
    if bits & ((1 << spare) - 1) or rest not in (0, LEAF_BYTES):
        raise ProofError(f"map proof of {len(data)} bytes is not what its bits ask for")
    siblings: list[bytes] = []
    for level in range(depth):
        if bits >> (8 * size - 1 - level) & 1:
            sibling = data[position : position + HASH_BYTES]
            if sibling == EMPTY_ROOT:
                raise ProofError(f"map proof spells out the empty sibling at depth {level}")
            siblings.append(sibling)
            position += HASH_BYTES
        else:
            siblings.append(EMPTY_ROOT)
    return MapProof(siblings=tuple(siblings), other=data[position:] or None)


def _descend(slots: list[Place], place: int, siblings: list[bytes]) -> Place:
    """Collect the siblings inside one page towards slot `place`, and answer what the way ends at.

    Nothing or a leaf: the end of the proof. A branch slot: the page to go on with.
    """
    level = slots
    levels = [level]
    while len(level) > 1:
        level = [combine(level[i], level[i + 1]) for i in range(0, len(level), 2)]
        levels.append(level)
    for rise in range(_PAGE_LEVELS, 0, -1):
        here = levels[rise][place >> rise]
        if not here or len(here) == LEAF_BYTES:
            return here
        siblings.append(place_hash(levels[rise - 1][(place >> rise - 1) ^ 1]))
    return slots[place]


def _check_fold(root: bytes, path: bytes, end: Place, proof: MapProof) -> None:
    depth = len(proof.siblings)
    if depth > PATH_BITS:
        raise ProofError(f"map proof of depth {depth}, at most {PATH_BITS}")
    bits = int.from_bytes(path, "big") >> (PATH_BITS - depth)
    current = place_hash(end)
    for level in range(depth - 1, -1, -1):
        sibling = proof.siblings[level]
        if len(sibling) != HASH_BYTES:
            raise ProofError(f"sibling of {len(sibling)} bytes at depth {level}")
        current = node_hash(sibling, current) if bits & 1 else node_hash(current, sibling)
        bits >>= 1
    if current != root:
        raise ProofError(f"the proof leads to {current.hex()}, not to the root {root.hex()}")
