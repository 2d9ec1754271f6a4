"""Reading the map: one key, or every key with every hash checked."""

from __future__ import annotations

from collections.abc import Iterator

from onward.errors import CorruptionError
from onward.ledger.statemap.pages import (
    DEPTH_MAX,
    QUADS,
    SLOTS,
    MapRef,
    ReadPage,
    branch_version,
    fold_four,
    load_page,
    nibble,
)
from onward.ledger.statemap.trie import EMPTY_ROOT, HASH_BYTES, LEAF_BYTES, key_path, place_hash


def lookup(read: ReadPage, ref: MapRef, key: str) -> bytes | None:
    """The value hash that the map holds for `key`, or None."""
    if ref.root == EMPTY_ROOT:
        return None
    path, version = key_path(key), ref.height
    for depth in range(DEPTH_MAX):
        slot = load_page(read, depth, path, version).slots[nibble(path, depth)]
        if slot is None:
            return None
        if len(slot) == LEAF_BYTES:
            return slot[HASH_BYTES:] if slot[:HASH_BYTES] == path else None
        version = branch_version(slot)
    raise CorruptionError("state map: pages below the last level")


def leaves(read: ReadPage, ref: MapRef) -> Iterator[tuple[bytes, bytes]]:
    """Every (path, value hash) ascending by path, with every hash on the way checked.

    What was yielded before an error is proved by `ref.root`; nothing after it is.

    Raises:
        CorruptionError: a page is missing, misplaced, or does not have the hash that is named above
        it.
    """
    if ref.root != EMPTY_ROOT:
        yield from subtree(read, 0, bytes(HASH_BYTES), ref.height, ref.root)


def subtree(
    read: ReadPage, depth: int, path: bytes, version: int, expected: bytes
) -> Iterator[tuple[bytes, bytes]]:
    """`leaves` of the page at the first `depth` nibbles of `path`, whose hash is `expected`."""
    where = f"state map: page at {path.hex()[:depth] or 'the root'}, version {version}"
    if depth == DEPTH_MAX:
        raise CorruptionError(f"{where}: below the last level")
    page = load_page(read, depth, path, version)
    for quad in range(QUADS):
        if page.quads[quad] != fold_four(page.slots[4 * quad : 4 * quad + 4]):
            raise CorruptionError(f"{where}: quad {quad} does not match its slots")
    top = page.top()
    if place_hash(top) != expected:
        raise CorruptionError(f"{where}: hash {place_hash(top).hex()}, expected {expected.hex()}")
    for place in range(SLOTS):
        slot = page.slots[place]
        if slot is None:
            continue
        below = _with_nibble(path, depth, place)
        if len(slot) == LEAF_BYTES:
            if slot.hex()[: depth + 1] != below.hex()[: depth + 1]:
                raise CorruptionError(f"{where}: slot {place} holds the leaf of another path")
            yield slot[:HASH_BYTES], slot[HASH_BYTES:]
        else:
            yield from subtree(read, depth + 1, below, branch_version(slot), slot[:HASH_BYTES])


def _with_nibble(path: bytes, depth: int, place: int) -> bytes:
    """`path` with the nibble at `depth` set to `place`; what follows does not matter."""
    digits = path.hex()
    return bytes.fromhex(f"{digits[:depth]}{place:x}{digits[depth + 1 :]}")
