"""Says that it holds what it does not: batches of every lane, heights that nobody has reached."""

from __future__ import annotations

from dataclasses import replace

from onward.consensus.messages import Packet, PeerMessage
from onward.ledger.block import LANE_START, LanePoint
from onward.simulation.byzantine.liar import LiarKit


class Boaster:
    """Changes the tips and the height in its packets."""

    def __init__(self, kit: LiarKit) -> None:
        """`kit`: its own key and chance."""
        self._kit = kit

    def outgoing(self, to: int, message: PeerMessage) -> tuple[PeerMessage, ...]:
        """The packet with other claims; most of them could be true."""
        del to
        rng = self._kit.rng
        if not isinstance(message, Packet) or rng.random() < 0.3:
            return (message,)
        self._kit.counts["lie.false_tips"] += 1
        if rng.random() < 0.1:
            ahead = rng.choice((1, 50, 10_000, 2**52))
            message = replace(message, height=message.height + ahead)
        draw, known = rng.random(), message.tips or (LANE_START,) * self._kit.size
        if draw < 0.6:
            tips = tuple(
                LanePoint(seq=point.seq + rng.choice((0, 1, 3, 30)), head=rng.randbytes(32))
                for point in known
            )
        elif draw < 0.99:
            tips = (LANE_START,) * self._kit.size
        else:
            tips = known[1:]  # lanes that do not exist: this one is provable
        return (replace(message, tips=tips),)
