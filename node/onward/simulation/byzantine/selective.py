"""Speaks with some and is dead for the others, and changes its favourites."""

from __future__ import annotations

from onward.consensus.messages import PeerMessage
from onward.simulation.byzantine.liar import LiarKit


class Selective:
    """Everything to its favourites, nothing to the rest: they disagree on whether it lives."""

    def __init__(self, kit: LiarKit) -> None:
        """`kit`: its own key and chance."""
        self._kit = kit
        self._left = 0
        self._favourites: frozenset[int] = frozenset()

    def outgoing(self, to: int, message: PeerMessage) -> tuple[PeerMessage, ...]:
        """The message, to a favourite."""
        if self._left == 0:
            self._left = self._kit.rng.randrange(50, 800)
            others = [peer for peer in range(self._kit.machines) if peer != self._kit.index]
            count = self._kit.rng.randrange(len(others))
            self._favourites = frozenset(self._kit.rng.sample(others, count))
        self._left -= 1
        if to in self._favourites:
            return (message,)
        self._kit.counts["lie.kept_from_some"] += 1
        return ()
