"""Reading the map: one key, or every key with every hash checked."""

from __future__ import annotations

from collections.abc import Iterator

from onward.errors import CorruptionError
from onward.ledger.statemap.cache import PageCache
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
    version_height,
)
from onward.ledger.statemap.trie import EMPTY_ROOT, HASH_BYTES, LEAF_BYTES, key_path, place_hash


def lookup(read: ReadPage, ref: MapRef, key: str, pages: PageCache | None = None) -> bytes | None:
    """The value hash that the map holds for `key`, or None.

    `pages` saves reading, now and when the key is written; it belongs to the store behind `read`.
    """
    if ref.root == EMPTY_ROOT:
        return None
    path, slot = key_path(key), ref.encode()
    steps = nibbles(path)
    cache = PageCache(0) if pages is None else pages
    for depth in range(DEPTH_MAX):
        page = cache.look(slot)
        if page is None:
            page = load_page(read, steps[:depth], slot[HASH_BYTES:])
            cache.keep(slot, page)
        slot = page[steps[depth]]
        if not slot:
            return None
        if len(slot) == LEAF_BYTES:
            return slot[HASH_BYTES:] if slot[:HASH_BYTES] == path else None
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
        f"state map: page at {steps.hex()[1::2] or 'the root'}, height {version_height(version)}"
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
