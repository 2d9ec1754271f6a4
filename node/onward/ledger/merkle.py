"""The Merkle tree of RFC 6962 over lists that fit in memory, and the two checks of its proofs.

- hash of a leaf: SHA-256(0x00 ‖ leaf); of a node: SHA-256(0x01 ‖ left ‖ right). The two prefixes
  keep a node from being passed off as a leaf (a second preimage of the root).
- root of no leaves: SHA-256 of nothing.
- a tree of n > 1 leaves splits at the largest power of two below n. Built from below, that is: pair
  neighbours on each level; a last one without a neighbour rises unchanged.

Used as it stands for the bodies of an envelope; `log` is the same tree for a list that only grows.
A proof is a path of 32-byte hashes and nothing else. Both checks consume the whole path: a proof
with a hash too many is refused like one with a hash too few.

Source: RFC 6962 section 2.1, checks after RFC 9162 sections 2.1.3.2 and 2.1.4.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from onward.errors import MalformedError, invariant
from onward.limits import PROOF_HASHES_MAX

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()

_LEAF = b"\x00"
_NODE = b"\x01"


class ProofError(MalformedError):
    """A proof that does not prove what it is offered for."""


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of one leaf's bytes."""
    return sha256(_LEAF + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of the node above two hashes."""
    return sha256(_NODE + left + right).digest()


def merkle_root(leaf_hashes: Sequence[bytes]) -> bytes:
    """The root over leaf hashes in order; `EMPTY_ROOT` for none."""
    if not leaf_hashes:
        return EMPTY_ROOT
    level = list(leaf_hashes)
    while len(level) > 1:
        level = _level_above(level)
    return level[0]


def inclusion_path(leaf_hashes: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """The hashes that lead from leaf `index` to the root, the leaf's sibling first."""
    invariant(0 <= index < len(leaf_hashes), f"leaf {index} of a tree of {len(leaf_hashes)}")
    path: list[bytes] = []
    level = list(leaf_hashes)
    while len(level) > 1:
        sibling = index ^ 1
        if sibling < len(level):
            path.append(level[sibling])
        level = _level_above(level)
        index >>= 1
    return tuple(path)


def verify_inclusion(
    leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes
) -> None:
    """Check that leaf hash `leaf` stands at `index` in the tree of `size` leaves under `root`.

    Raises:
        ProofError: the index is outside the tree, the path has the wrong shape, or leads elsewhere.
    """
    if not 0 <= index < size:
        raise ProofError(f"leaf index {index} is outside a tree of {size}")
    _check_hashes(path)
    current, place, last = leaf, index, size - 1
    for sibling in path:
        if last == 0:
            raise ProofError(f"the path has {len(path)} hashes, more than the tree has levels")
        if place & 1 or place == last:
            current = node_hash(sibling, current)
            # On the right edge: rise past the levels on which there is no left neighbour.
            while not place & 1 and place:
                place >>= 1
                last >>= 1
        else:
            current = node_hash(current, sibling)
        place >>= 1
        last >>= 1
    if last != 0:
        raise ProofError(
            f"the path has {len(path)} hashes, fewer than leaf {index} of {size} needs"
        )
    if current != root:
        raise ProofError(f"leaf {index} of {size} does not lead to the root {root.hex()}")


def verify_consistency(
    old_size: int, new_size: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]
) -> None:
    """Check that the tree of `new_size` leaves begins with the tree of `old_size` leaves.

    Raises:
        ProofError: the sizes are in the wrong order, the path has the wrong shape, or a root
        differs.
    """
    if not 0 <= old_size <= new_size:
        raise ProofError(f"a tree of {new_size} cannot extend one of {old_size}")
    _check_hashes(path)
    if old_size in (0, new_size):
        if path:
            raise ProofError(f"the path from size {old_size} to {new_size} must be empty")
        expected = EMPTY_ROOT if old_size == 0 else new_root
        if old_root != expected:
            raise ProofError(f"the root at size {old_size} is not {expected.hex()}")
        return
    # A left part that is a whole subtree is the old root itself; it is not sent.
    hashes = [old_root, *path] if old_size & (old_size - 1) == 0 else list(path)
    if not hashes:
        raise ProofError(f"the path from size {old_size} to {new_size} is empty")
    old_found, new_found = _fold_both(old_size - 1, new_size - 1, hashes)
    if old_found != old_root:
        raise ProofError(f"the path does not lead to the root at size {old_size}")
    if new_found != new_root:
        raise ProofError(f"the path does not lead to the root at size {new_size}")


def _fold_both(place: int, last: int, hashes: Sequence[bytes]) -> tuple[bytes, bytes]:
    """The roots of the old tree (last leaf `place`) and of the new one (last leaf `last`)."""
    while place & 1:
        place >>= 1
        last >>= 1
    old_found = new_found = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise ProofError(f"the path of {len(hashes)} hashes is longer than the tree is high")
        if place & 1 or place == last:
            old_found = node_hash(sibling, old_found)
            new_found = node_hash(sibling, new_found)
            while not place & 1 and place:
                place >>= 1
                last >>= 1
        else:
            new_found = node_hash(new_found, sibling)
        place >>= 1
        last >>= 1
    if last != 0:
        raise ProofError(f"the path of {len(hashes)} hashes ends too early")
    return old_found, new_found


def _level_above(level: list[bytes]) -> list[bytes]:
    above = [node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
    if len(level) & 1:
        above.append(level[-1])
    return above


def _check_hashes(path: Sequence[bytes]) -> None:
    if len(path) > PROOF_HASHES_MAX:
        raise ProofError(f"the path has {len(path)} hashes, at most {PROOF_HASHES_MAX}")
    for position, item in enumerate(path):
        if len(item) != HASH_BYTES:
            raise ProofError(
                f"hash {position} of the path has {len(item)} bytes, expected {HASH_BYTES}"
            )
