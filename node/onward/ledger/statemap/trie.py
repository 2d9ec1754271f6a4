"""The hashes of the logical trie: paths, leaves, nodes.

While a trie is computed, a place in it is one of: None (no key below), a *leaf* of 64 bytes (path ‖
value hash, not yet hashed, because it may still rise), or the 32-byte hash of a node.
"""

from __future__ import annotations

from hashlib import sha256

PATH_BITS = 256
HASH_BYTES = 32
LEAF_BYTES = 64

_TAG_LEAF = b"onward/state-leaf/1"
_TAG_NODE = b"onward/state-node/1"
EMPTY_ROOT = sha256(b"onward/state-empty/1").digest()

Place = bytes | None
"""None, a leaf (64 bytes), or the hash of a node (32 bytes)."""


def key_path(key: str) -> bytes:
    """The 32-byte path of a key."""
    return sha256(key.encode()).digest()


def value_hash(value: bytes) -> bytes:
    """What a leaf says of its value: the plain SHA-256."""
    return sha256(value).digest()


def combine(left: Place, right: Place) -> Place:
    """The place above two places. A lone leaf rises; a lone node does not, its bits are decided."""
    if left is None:
        if right is None or len(right) == LEAF_BYTES:
            return right
        return sha256(_TAG_NODE + EMPTY_ROOT + right).digest()
    if right is None:
        if len(left) == LEAF_BYTES:
            return left
        return sha256(_TAG_NODE + left + EMPTY_ROOT).digest()
    if len(left) == LEAF_BYTES:
        left = sha256(_TAG_LEAF + left).digest()
    if len(right) == LEAF_BYTES:
        right = sha256(_TAG_LEAF + right).digest()
    return sha256(_TAG_NODE + left + right).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of the node over two hashes."""
    return sha256(_TAG_NODE + left + right).digest()


def place_hash(place: Place) -> bytes:
    """The hash that stands for a place in the node above it, or as the root."""
    if place is None:
        return EMPTY_ROOT
    if len(place) == LEAF_BYTES:
        return sha256(_TAG_LEAF + place).digest()
    return place
