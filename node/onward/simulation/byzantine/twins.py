"""Twins: two honest machines with one key, each with its own disk and its own part of the network.

Together they are a validator that tells two consistent stories. Which peers hear which twin is
dealt anew from time to time; twins of different validators meet when they stand on the same side.

Source: Bano et al., "Twins: BFT Systems Made Robust".
"""

from __future__ import annotations

import random

from onward.simulation.host import Host

TWINS = "twins"
CLOCKS_APART_MS = (
    7  # to the millisecond alike, they would propose the same block, and lie to nobody
)


class TwinRoutes:
    """Who talks to which twin."""

    def __init__(self, rng: random.Random) -> None:
        """`rng` deals the sides."""
        self._rng = rng
        self._twins: set[int] = set()
        self._sides: dict[tuple[int, int], int] = {}

    @property
    def has_twins(self) -> bool:
        """Whether there are any."""
        return bool(self._twins)

    def add(self, index: int) -> None:
        """The validator `index` is a pair of twins."""
        self._twins.add(index)

    def is_twin(self, host: Host) -> bool:
        """Whether `host` is one of a pair."""
        return host.index in self._twins

    def deal(self, size: int) -> None:
        """Give every peer of every pair a side."""
        for index in sorted(self._twins):
            for peer in range(size):
                self._sides[index, peer] = self._rng.randrange(2)

    def next_deal_ms(self) -> int:
        """How long the sides stay as they are."""
        return self._rng.randrange(500, 4_000)

    def meet(self, a: Host, b: Host) -> bool:
        """Whether the two machines are on each other's side."""
        if a.index in self._twins and b.index in self._twins:
            return a.side == b.side
        if a.index in self._twins:
            return self._sides.get((a.index, b.index), 0) == a.side
        if b.index in self._twins:
            return self._sides.get((b.index, a.index), 0) == b.side
        return True
