"""The links between validators: what each message meets on its way.

A link is one direction between two validators. Messages are delayed with an exponential tail,
dropped and doubled by chance; links that are not `in_order` also let them overtake each other. A
cut takes a set of links away until it is healed; several cuts may stand at once.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace

from onward.simulation.faults import Options

Link = tuple[int, int]
_DELAY_MS_MAX = 2_000


class Network:
    """Decides for each message when it arrives, and whether."""

    def __init__(self, rng: random.Random, options: Options) -> None:
        """`rng` is this network's own source of chance."""
        self._rng = rng
        self._options = options
        self._cuts: dict[int, frozenset[Link]] = {}
        self._cut_count = 0
        self._closed: frozenset[Link] = frozenset()
        self._last_arrival: dict[Link, int] = {}
        self.dropped = 0
        self.doubled = 0
        self.blocked = 0

    def calm(self) -> None:
        """From now on links lose and double nothing, and delay little."""
        self._options = replace(
            self._options,
            drop_permille=0,
            duplicate_permille=0,
            delay_ms_mean=min(self._options.delay_ms_mean, 10),
        )

    def cut(self, links: Iterable[Link]) -> int:
        """Close these links; answers the number under which `heal` opens them again."""
        self._cut_count += 1
        self._cuts[self._cut_count] = frozenset(links)
        self._closed = self._union()
        return self._cut_count

    def heal(self, number: int | None = None) -> None:
        """Undo one cut, or all of them."""
        if number is None:
            self._cuts.clear()
        else:
            self._cuts.pop(number, None)
        self._closed = self._union()

    def is_open(self, sender: int, receiver: int) -> bool:
        """Whether a message sent now would get through."""
        return (sender, receiver) not in self._closed

    def arrivals(self, sender: int, receiver: int, now_ms: int) -> tuple[int, ...]:
        """When a message sent now arrives: at no time, once, or twice."""
        link = (sender, receiver)
        if link in self._closed:
            self.blocked += 1
            return ()
        options, rng = self._options, self._rng
        if options.drop_permille and rng.randrange(1000) < options.drop_permille:
            self.dropped += 1
            return ()
        first = self._arrival(link, now_ms)
        if options.duplicate_permille and rng.randrange(1000) < options.duplicate_permille:
            self.doubled += 1
            return (first, self._arrival(link, now_ms))
        return (first,)

    def _arrival(self, link: Link, now_ms: int) -> int:
        tail_ms = int(self._rng.expovariate(1 / self._options.delay_ms_mean))
        at_ms = now_ms + self._options.delay_ms_min + min(tail_ms, _DELAY_MS_MAX)
        if self._options.in_order:
            at_ms = max(at_ms, self._last_arrival.get(link, 0))
            self._last_arrival[link] = at_ms
        return at_ms

    def _union(self) -> frozenset[Link]:
        return frozenset().union(*self._cuts.values())


def links_between(left: Iterable[int], right: Iterable[int]) -> set[Link]:
    """Both directions between every one of `left` and every one of `right`."""
    others = tuple(right)
    pairs = {(a, b) for a in left for b in others if a != b}
    return pairs | {(b, a) for a, b in pairs}


def links_out_of(nodes: Iterable[int], size: int) -> set[Link]:
    """What `nodes` send."""
    return {(a, b) for a in nodes for b in range(size) if a != b}


def links_into(nodes: Iterable[int], size: int) -> set[Link]:
    """What `nodes` hear."""
    return {(b, a) for a, b in links_out_of(nodes, size)}


def random_links(draw: int, size: int) -> set[Link]:
    """Some three of ten links, decided by the number `draw`."""
    rng = random.Random(f"links/{draw}")
    return {
        (a, b) for a in range(size) for b in range(size) if a != b and rng.randrange(1000) < 300
    }
