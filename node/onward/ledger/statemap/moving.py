"""Which pages of the map a store still has to keep, and when the oldest of them move on.

Most pages are superseded soon, some never. If each were removed by itself, what is left of a height
would be scattered over all that a store has ever written. So nothing is removed but whole heights,
the oldest first: what the map still refers to in the oldest height is written anew with the next
block (*moved*), and then the height is of no use but to readers of the past.

Moving begins when the kept heights hold `STATE_PAGES_KEPT_RATIO` pages for each that lives, beyond
`STATE_PAGES_SPARE`. By then few of the oldest live: with pages superseded at random, at three times
the living about one of seventeen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from struct import Struct

from onward import limits
from onward.errors import CorruptionError
from onward.ledger.statemap.cache import PageCache
from onward.ledger.statemap.pages import (
    BRANCH_BYTES,
    MapRef,
    Page,
    ReadPage,
    load_page,
    page_version,
)
from onward.ledger.statemap.trie import EMPTY_ROOT, HASH_BYTES
from onward.ledger.statemap.update import MapUpdate, Move

_KEPT = Struct(">QQQ")
_VERSION_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPages:
    """How many pages of the map there are: `living` ones of the newest version, `kept` in all.

    The newest version refers to no page of a height below `floor`.
    """

    floor: int
    living: int
    kept: int

    def encode(self) -> bytes:
        """24 bytes."""
        return _KEPT.pack(self.floor, self.living, self.kept)

    @classmethod
    def decode(cls, data: bytes | None) -> KeptPages:
        """The inverse of `encode`. Raises `CorruptionError`."""
        if data is None or len(data) != _KEPT.size:
            raise CorruptionError("database: the count of the state map's pages is missing")
        floor, living, kept = _KEPT.unpack(data)
        return cls(floor=floor, living=living, kept=kept)

    @property
    def too_many(self) -> bool:
        """Whether the oldest height should be given up."""
        spare = self.kept - limits.STATE_PAGES_KEPT_RATIO * self.living
        return spare > limits.STATE_PAGES_SPARE

    def without_oldest(self, pages: int) -> KeptPages:
        """Once the oldest height, which has so many pages, is given up."""
        return KeptPages(floor=self.floor + 1, living=self.living, kept=self.kept - pages)

    def after(self, update: MapUpdate) -> KeptPages:
        """Once a block has written its pages."""
        written = len(update.node_writes)
        return KeptPages(
            floor=self.floor,
            living=self.living + written - len(update.stale),
            kept=self.kept + written,
        )


def encode_steps(update: MapUpdate) -> bytes:
    """Where the pages of a height stand: the nibbles of each behind their count, in order."""
    parts: list[bytes] = []
    for key, _ in update.node_writes:
        steps = key[_VERSION_BYTES:]
        parts += (bytes((len(steps),)), steps)
    return b"".join(parts)


def decode_steps(height: int, data: bytes) -> list[Move]:
    """The pages that a height wrote. The root's, without a nibble, is number 0, and the last."""
    found: list[Move] = []
    position = 0
    while position < len(data):
        start = position + 1
        position = start + data[position]
        steps = data[start:position]
        found.append((steps, page_version(height, len(found) + 1 if steps else 0)))
    return found


def living(
    read: ReadPage, ref: MapRef, found: Sequence[Move], pages: PageCache | None = None
) -> Iterator[Move]:
    """Those of some pages that this version of the map refers to."""
    if ref.root == EMPTY_ROOT:
        return
    cache = PageCache(0) if pages is None else pages
    known: dict[bytes, Page] = {}
    root = ref.encode()
    for steps, version in found:
        slot = root
        for depth in range(len(steps)):
            page = known.get(slot)
            if page is None:
                page = known[slot] = _page(read, steps[:depth], slot, cache)
            slot = page[steps[depth]]
            # A page is never older than those below it.
            if len(slot) != BRANCH_BYTES or slot[HASH_BYTES:] < version:
                break
        else:
            if slot[HASH_BYTES:] == version:
                yield steps, version


def _page(read: ReadPage, steps: bytes, slot: bytes, cache: PageCache) -> Page:
    page = cache.look(slot)
    if page is None:
        page = load_page(read, steps, slot[HASH_BYTES:])
        cache.keep(slot, page)
    return page
