"""Writing a block's changes into the map: one pass, each touched page read and written once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from onward.errors import invariant
from onward.ledger.statemap.pages import (
    DEPTH_MAX,
    MapRef,
    Page,
    ReadPage,
    branch_version,
    encode_page,
    load_page,
    new_page,
    nibble,
    page_key,
)
from onward.ledger.statemap.trie import (
    EMPTY_ROOT,
    HASH_BYTES,
    LEAF_BYTES,
    Place,
    key_path,
    place_hash,
    value_hash,
)

Change = tuple[bytes, bytes | None]
"""(path, value hash); None removes the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapUpdate:
    """A new version of the map and what storage must do for it.

    `node_writes`: keys and bytes, to be written in the block's own batch.
    `stale`: keys of pages that this version no longer uses; readers of older heights may.
    """

    ref: MapRef
    node_writes: tuple[tuple[bytes, bytes], ...]
    stale: tuple[bytes, ...]

    @property
    def root(self) -> bytes:
        """The state root: 32 bytes."""
        return self.ref.root


def apply(
    read: ReadPage, ref: MapRef, height: int, writes: Mapping[str, bytes | None]
) -> MapUpdate:
    """The map after `writes` (None removes a key; removing a missing one changes nothing).

    `height` must be above that of every version before, so that no stored page is ever overwritten.
    The order of `writes` is irrelevant: they are sorted by path.
    """
    changes: list[Change] = []
    for key, value in writes.items():
        invariant(value is None or value, f"the value of {key!r} is empty")
        changes.append((key_path(key), None if value is None else value_hash(value)))
    changes.sort()
    return apply_hashed(read, ref, height, changes)


def apply_hashed(read: ReadPage, ref: MapRef, height: int, changes: Sequence[Change]) -> MapUpdate:
    """`apply` for changes that are hashed already, ascending by path, each path once."""
    empty = ref.root == EMPTY_ROOT
    invariant(empty or height > ref.height, f"height {height} does not follow {ref.height}")
    work = _Update(read, height)
    page = new_page() if empty else load_page(read, 0, b"", ref.height)
    if not changes or not work.update(0, page, changes):
        return MapUpdate(ref=ref, node_writes=(), stale=())
    if not empty:
        work.stale.append(page_key(0, b"", ref.height))
    root = place_hash(page.top())
    if root != EMPTY_ROOT:
        work.writes.append((page_key(0, b"", height), encode_page(page)))
    return MapUpdate(
        ref=MapRef(height=height, root=root),
        node_writes=tuple(work.writes),
        stale=tuple(work.stale),
    )


class _Update:
    """One run of `apply`: what it reads from, and what it has collected."""

    __slots__ = ("height", "read", "stale", "version", "writes")

    def __init__(self, read: ReadPage, height: int) -> None:
        self.read = read
        self.height = height
        self.version = height.to_bytes(8, "big")
        self.writes: list[tuple[bytes, bytes]] = []
        self.stale: list[bytes] = []

    def update(self, depth: int, page: Page, changes: Sequence[Change]) -> bool:
        """Change `page` in place; whether anything in it is different now."""
        invariant(depth < DEPTH_MAX, "two keys with one path")
        touched = 0
        start, count = 0, len(changes)
        while start < count:
            place = nibble(changes[start][0], depth)
            end = start + 1
            while end < count and nibble(changes[end][0], depth) == place:
                end += 1
            before = page.slots[place]
            after = self._slot(depth + 1, before, changes[start:end])
            if after != before:
                page.slots[place] = after
                touched |= 1 << (place >> 2)
            start = end
        for quad in range(4):
            if touched >> quad & 1:
                page.fold_quad(quad)
        return touched != 0

    def _slot(self, depth: int, slot: Place, changes: Sequence[Change]) -> Place:
        """What becomes of a slot whose page below would be at `depth`."""
        if slot is None or len(slot) == LEAF_BYTES:
            return self._build(depth, _merged(slot, changes))
        path, version = changes[0][0], branch_version(slot)
        page = load_page(self.read, depth, path, version)
        if not self.update(depth, page, changes):
            return slot
        self.stale.append(page_key(depth, path, version))
        return self._store(depth, path, page)

    def _build(self, depth: int, found: list[bytes]) -> Place:
        """The slot over these leaves, ascending; new pages where there are two or more."""
        if not found:
            return None
        if len(found) == 1:
            return found[0]
        invariant(depth < DEPTH_MAX, "two keys with one path")
        page = new_page()
        start, count = 0, len(found)
        while start < count:
            place = nibble(found[start], depth)
            end = start + 1
            while end < count and nibble(found[end], depth) == place:
                end += 1
            page.slots[place] = self._build(depth + 1, found[start:end])
            start = end
        for quad in range(4):
            page.fold_quad(quad)
        return self._store(depth, found[0], page)

    def _store(self, depth: int, path: bytes, page: Page) -> Place:
        """The slot above `page`, which is written only if it has two leaves below it or more."""
        top = page.top()
        if top is None or len(top) == LEAF_BYTES:
            return top
        invariant(len(top) == HASH_BYTES, "the top of a page is a hash")
        self.writes.append((page_key(depth, path, self.height), encode_page(page)))
        return top + self.version


def _merged(slot: Place, changes: Sequence[Change]) -> list[bytes]:
    """The leaf that stands in a slot, if any, with the changes to it: leaves ascending."""
    if slot is None:
        return [path + value for path, value in changes if value is not None]
    path = slot[:HASH_BYTES]
    found = [change + value for change, value in changes if value is not None]
    if all(change != path for change, _ in changes):
        found.append(slot)
        found.sort()
    return found
