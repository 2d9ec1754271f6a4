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
    load_page,
    nibbles,
    page_top,
    quad_over,
)
from onward.ledger.statemap.trie import EMPTY_ROOT, HASH_BYTES, LEAF_BYTES, key_path, place_hash


def lookup(read: ReadPage, ref: MapRef, key: str) -> bytes | None:
    """The value hash that the map holds for `key`, or None."""
    if ref.root == EMPTY_ROOT:
        return None
    path, version = key_path(key), ref.encode()[HASH_BYTES:]
    steps = nibbles(path)
    for depth in range(DEPTH_MAX):
        slot = load_page(read, steps[:depth], version)[steps[depth]]
        if not slot:
            return None
        if len(slot) == LEAF_BYTES:
            return slot[HASH_BYTES:] if slot[:HASH_BYTES] == path else None
        version = slot[HASH_BYTES:]
    raise CorruptionError("state map: pages below the last level")


def leaves(read: ReadPage, ref: MapRef) -> Iterator[tuple[bytes, bytes]]:
    """Every (path, value hash) ascending by path, with every hash on the way checked.

    What was yielded before an error is proved by `ref.root`; nothing after it is.

    Raises:
        CorruptionError: a page is missing, misplaced, or does not have the hash that is named above
        it.
    """
    if ref.root != EMPTY_ROOT:
        yield from subtree(read, b"", ref.encode())


def subtree(read: ReadPage, steps: bytes, named: bytes) -> Iterator[tuple[bytes, bytes]]:
    """`leaves` of the page at these nibbles. `named`: its hash and version, as above it."""
    expected, version = named[:HASH_BYTES], named[HASH_BYTES:]
    where = (
        f"state map: page at {steps.hex()[1::2] or 'the root'}, "
        f"version {int.from_bytes(version, 'big')}"
    )
    depth = len(steps)
    if depth == DEPTH_MAX:
        raise CorruptionError(f"{where}: below the last level")
    page = load_page(read, steps, version)
    for quad in range(QUADS):
        if page[SLOTS + quad] != quad_over(page, quad):
            raise CorruptionError(f"{where}: quad {quad} does not match its slots")
    found = place_hash(page_top(page))
    if found != expected:
        raise CorruptionError(f"{where}: hash {found.hex()}, expected {expected.hex()}")
    for place in range(SLOTS):
        slot = page[place]
        below = steps + bytes((place,))
        if len(slot) == LEAF_BYTES:
            path = slot[:HASH_BYTES]
            if not nibbles(path).startswith(below):
                raise CorruptionError(f"{where}: slot {place} holds the leaf of another path")
            yield path, slot[HASH_BYTES:]
        elif slot:
            yield from subtree(read, below, slot)
