"""Pages that need no second reading: what the last blocks wrote or looked at.

A page is known by the slot above it: its hash and the version that wrote it. The hash names what
stands below, so a page of another history is never taken for the one that is asked for; a page that
is not here is read from the store. So what is here, or was dropped, changes no root.
"""

from __future__ import annotations

from onward import limits
from onward.ledger.statemap.pages import Page


class PageCache:
    """The pages of one store's map, in two generations: what one of them asked for stays longer.

    When the younger one is full, the older one goes: memory is bounded without an order of use.
    """

    __slots__ = ("_generation_max", "_old", "_young")

    def __init__(self, generation_max: int = limits.STATE_PAGES_CACHED_MAX) -> None:
        """Up to `generation_max` pages in each of the two generations."""
        self._generation_max = generation_max
        self._young: dict[bytes, Page] = {}
        self._old: dict[bytes, Page] = {}

    def __len__(self) -> int:
        """How many pages are here."""
        return len(self._young) + len(self._old)

    def take(self, slot: bytes) -> Page | None:
        """The page below a branch slot, or None. It is gone: most pages are taken to supersede."""
        return self._young.pop(slot, None) or self._old.pop(slot, None)

    def look(self, slot: bytes) -> Page | None:
        """The page below a branch slot, or None; it stays."""
        return self._young.get(slot) or self._old.get(slot)

    def keep(self, slot: bytes, page: Page) -> None:
        """Remember a page under the branch slot above it."""
        if len(self._young) >= self._generation_max:
            self._old = self._young
            self._young = {}
        self._young[slot] = page
