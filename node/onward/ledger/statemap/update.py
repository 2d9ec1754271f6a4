"""Writing a block's changes into the map: one pass, each touched page read and written once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from onward.errors import invariant
from onward.ledger.statemap.cache import PageCache
from onward.ledger.statemap.pages import (
    BRANCH_BYTES,
    DEPTH_MAX,
    EMPTY_PAGE,
    PAGES_PER_HEIGHT_MAX,
    QUADS,
    SLOTS,
    MapRef,
    Page,
    ReadPage,
    encode_page,
    load_page,
    nibbles,
    page_key,
    page_top,
    page_version,
    quad_over,
)
from onward.ledger.statemap.trie import EMPTY_ROOT, HASH_BYTES, LEAF_BYTES, Place, place_hash

Change = tuple[bytes, bytes | None]
"""(path, value hash); None removes the key."""

Move = tuple[bytes, bytes]
"""(nibbles, version) of a page of the map that is to be written anew as it is."""


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
    read: ReadPage,
    ref: MapRef,
    height: int,
    writes: Mapping[str, bytes | None],
    pages: PageCache | None = None,
    *,
    moves: Sequence[Move] = (),
) -> MapUpdate:
    """The map after `writes` (None removes a key; removing a missing one changes nothing).

    `height` must be above that of every version before, so that no stored page is ever overwritten.
    The order of `writes` is irrelevant: they are sorted by path. `pages` saves reading; it belongs
    to the store behind `read`. `moves`: pages of `ref` (see `living`), ascending, that are written
    anew with those above them, changed or not, so that nothing refers to the old ones any more.
    """
    changes: list[Change] = []
    for key, value in writes.items():
        if value is None:
            changes.append((sha256(key.encode()).digest(), None))
        else:
            invariant(value, "an empty value in the state map")
            changes.append((sha256(key.encode()).digest(), sha256(value).digest()))
    changes.sort()
    return apply_hashed(read, ref, height, changes, pages, moves=moves)


def apply_hashed(
    read: ReadPage,
    ref: MapRef,
    height: int,
    changes: Sequence[Change],
    pages: PageCache | None = None,
    *,
    moves: Sequence[Move] = (),
) -> MapUpdate:
    """`apply` for changes that are hashed already, ascending by path, each path once."""
    empty = ref.root == EMPTY_ROOT
    invariant(empty or height > ref.height, f"height {height} does not follow {ref.height}")
    nothing = MapUpdate(ref=ref, node_writes=(), stale=())
    if not (changes or moves):
        return nothing
    work = _Update(read, height, changes, moves, PageCache(0) if pages is None else pages)
    before = ref.encode()
    page = EMPTY_PAGE if empty else work.page(0, before, 0)
    parts = list(page)
    if not work.change(0, parts, 0, len(work.steps)) and before[HASH_BYTES:] not in work.moving:
        if not empty:
            work.pages.keep(before, page)
        return nothing
    if not empty:
        work.stale.append(page_key(b"", before[HASH_BYTES:]))
    after = MapRef(height=height, root=place_hash(page_top(parts)))
    if after.root != EMPTY_ROOT:
        work.write(b"", after.encode(), parts)
    return MapUpdate(ref=after, node_writes=tuple(work.writes), stale=tuple(work.stale))


class _Update:
    """One run of `apply`: what it reads from, its changes side by side, and what it collects."""

    __slots__ = ("height", "leaves", "moving", "pages", "read", "stale", "steps", "writes")

    def __init__(
        self,
        read: ReadPage,
        height: int,
        changes: Sequence[Change],
        moves: Sequence[Move],
        pages: PageCache,
    ) -> None:
        self.read = read
        self.pages = pages
        self.height = height
        self.steps = [nibbles(path) for path, _ in changes]
        # What a change makes of its own slot; the path of a removed key is told by its steps.
        self.leaves = [b"" if value is None else path + value for path, value in changes]
        self.moving = {version for _, version in moves}
        if moves:
            # A move is a way that ends at a page, before all ways that lead on through it. Whatever
            # the changes do, the page that it leads to stands: it is looked up in the map before.
            ways = sorted(
                [*zip(self.steps, self.leaves, strict=True), *((steps, b"") for steps, _ in moves)]
            )
            self.steps = [steps for steps, _ in ways]
            self.leaves = [leaf for _, leaf in ways]
        self.writes: list[tuple[bytes, bytes]] = []
        self.stale: list[bytes] = []

    def page(self, depth: int, slot: Place, change: int) -> Page:
        """The page below a branch slot, on the way of a change."""
        found = self.pages.take(slot)
        if found is None:
            found = load_page(self.read, self.steps[change][:depth], slot[HASH_BYTES:])
        return found

    def write(self, steps: bytes, slot: Place, parts: list[Place]) -> None:
        """Collect a new page, which `slot` is to name."""
        self.writes.append((page_key(steps, slot[HASH_BYTES:]), encode_page(parts)))
        self.pages.keep(slot, tuple(parts))

    def change(self, depth: int, parts: list[Place], start: int, end: int) -> bool:
        """Make the changes from `start` to `end` in a page; whether anything is different now."""
        steps = self.steps
        touched: set[int] = set()
        while start < end and len(steps[start]) == depth:
            start += 1  # moves of this very page end here
        while start < end:
            place = steps[start][depth]
            after = start + 1
            while after < end and steps[after][depth] == place:
                after += 1
            old = parts[place]
            new = self.slot(depth + 1, old, start, after)
            if new != old:
                parts[place] = new
                touched.add(place >> 2)
            start = after
        for quad in touched:  # in any order: no quad depends on another
            parts[SLOTS + quad] = quad_over(parts, quad)
        return bool(touched)

    def slot(self, depth: int, slot: Place, start: int, end: int) -> Place:
        """What becomes of a slot whose page below is, or would be, at `depth`."""
        if len(slot) != BRANCH_BYTES:
            if end - start == 1:
                leaf = self.leaves[start]
                if not slot or slot[:HASH_BYTES] == leaf[:HASH_BYTES]:
                    return leaf
            return self._build(depth, self._merged(slot, start, end))
        invariant(depth < DEPTH_MAX, "two keys with one path")
        page = self.page(depth, slot, start)
        parts = list(page)
        if not self.change(depth, parts, start, end) and slot[HASH_BYTES:] not in self.moving:
            self.pages.keep(slot, page)
            return slot
        steps = self.steps[start][:depth]
        self.stale.append(page_key(steps, slot[HASH_BYTES:]))
        return self._store(steps, parts)

    def _merged(self, slot: Place, start: int, end: int) -> list[bytes]:
        """The leaf that stands in a slot, if any, with the changes to it: leaves ascending."""
        found = [leaf for leaf in self.leaves[start:end] if leaf]
        if slot and nibbles(slot[:HASH_BYTES]) not in self.steps[start:end]:
            found.append(slot)
            found.sort()
        return found

    def _build(self, depth: int, found: list[bytes]) -> Place:
        """The slot over these leaves, ascending; new pages where there are two or more."""
        if not found:
            return b""
        if len(found) == 1:
            return found[0]
        invariant(depth < DEPTH_MAX, "two keys with one path")
        steps = [nibbles(leaf[:HASH_BYTES]) for leaf in found]
        parts = list(EMPTY_PAGE)
        start, count = 0, len(found)
        while start < count:
            place = steps[start][depth]
            end = start + 1
            while end < count and steps[end][depth] == place:
                end += 1
            parts[place] = self._build(depth + 1, found[start:end])
            start = end
        for quad in range(QUADS):
            parts[SLOTS + quad] = quad_over(parts, quad)
        return self._store(steps[0][:depth], parts)

    def _store(self, steps: bytes, parts: list[Place]) -> Place:
        """The slot above a page, which is written only if it has two leaves below it or more."""
        top = page_top(parts)
        if not top or len(top) == LEAF_BYTES:
            return top
        invariant(len(top) == HASH_BYTES, "the top of a page is a hash")
        number = len(self.writes) + 1  # 0 is the root's page
        invariant(number < PAGES_PER_HEIGHT_MAX, "a block writes too many pages of the state map")
        slot = top + page_version(self.height, number)
        self.write(steps, slot, parts)
        return slot
