"""Says nothing at all, and hears everything: a crash that nobody is told of."""

from __future__ import annotations

from onward.consensus.messages import PeerMessage
from onward.simulation.byzantine.liar import LiarKit


class Silent:
    """Lets no message through, for spells."""

    def __init__(self, kit: LiarKit) -> None:
        """`kit`: its own key and chance."""
        self._kit = kit
        self._left = 0
        self._quiet = True

    def outgoing(self, to: int, message: PeerMessage) -> tuple[PeerMessage, ...]:
        """Nothing, while the spell lasts."""
        del to
        if self._left == 0:
            self._quiet = not self._quiet
            self._left = self._kit.rng.randrange(20, 400)
        self._left -= 1
        if not self._quiet:
            return (message,)
        self._kit.counts["lie.silence"] += 1
        return ()
