"""The hashes of the logical trie: paths, leaves, nodes.

While a trie is computed, a place in it is one of: nothing (empty bytes: no key below), a *leaf* of
64 bytes (path ‖ value hash, not yet hashed, because it may still rise), the 32-byte hash of a node,
or such a hash with the version of a page behind it (40 bytes).
"""

from __future__ import annotations

from hashlib import sha256

PATH_BITS = 256
HASH_BYTES = 32
LEAF_BYTES = 64

# SHA-256 behind its tag: copying it costs less than beginning anew with the tag in front.
_LEAF_STATE = sha256(b"onward/state-leaf/1")
_NODE_STATE = sha256(b"onward/state-node/1")
EMPTY_ROOT = sha256(b"onward/state-empty/1").digest()

Place = bytes
"""Nothing (0 bytes), a leaf (64), the hash of a node (32), or that and a version (40)."""


def key_path(key: str) -> bytes:
    """The 32-byte path of a key."""
    return sha256(key.encode()).digest()


def value_hash(value: bytes) -> bytes:
    """What a leaf says of its value: the plain SHA-256."""
    return sha256(value).digest()


def combine(left: Place, right: Place) -> Place:
    """The place above two places. A lone leaf rises; a lone node does not, its bits are decided."""
    left_size, right_size = len(left), len(right)
    if left_size == LEAF_BYTES:
        if not right_size:
            return left
        left = leaf_hash(left)
    elif not left_size:
        if not right_size or right_size == LEAF_BYTES:
            return right
        left = EMPTY_ROOT
    if right_size == LEAF_BYTES:
        right = leaf_hash(right)
    elif not right_size:
        right = EMPTY_ROOT
    return node_hash(left[:HASH_BYTES], right[:HASH_BYTES])


def combine_four(first: Place, second: Place, third: Place, fourth: Place) -> Place:
    """The place two levels above four places."""
    if len(first) == len(second) == len(third) == len(fourth) != LEAF_BYTES and first:
        # Nodes only, as in every page of the upper levels.
        return node_hash(
            node_hash(first[:HASH_BYTES], second[:HASH_BYTES]),
            node_hash(third[:HASH_BYTES], fourth[:HASH_BYTES]),
        )
    return combine(combine(first, second), combine(third, fourth))


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of a leaf that does not rise any further."""
    state = _LEAF_STATE.copy()
    state.update(leaf)
    return state.digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of the node over two hashes."""
    state = _NODE_STATE.copy()
    state.update(left + right)
    return state.digest()


def place_hash(place: Place) -> bytes:
    """The hash that stands for a place in the node above it, or as the root."""
    if not place:
        return EMPTY_ROOT
    if len(place) == LEAF_BYTES:
        return leaf_hash(place)
    return place[:HASH_BYTES]
