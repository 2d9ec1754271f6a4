"""Sends bytes that are almost right: what it says is mutated on the wire, past the real decoder."""

from __future__ import annotations

from onward.consensus.messages import PeerMessage, decode_frame, encode_frame
from onward.errors import MalformedError
from onward.simulation.byzantine.liar import LiarKit


class Garbler:
    """Changes, cuts, doubles or inserts bytes of some frames."""

    def __init__(self, kit: LiarKit) -> None:
        """`kit`: its own key and chance."""
        self._kit = kit

    def outgoing(self, to: int, message: PeerMessage) -> tuple[PeerMessage, ...]:
        """The message, or what the receiver's decoder makes of its ruin (often nothing)."""
        del to
        rng = self._kit.rng
        if rng.random() < 0.7:
            return (message,)
        data = bytearray(encode_frame(message))
        for _ in range(rng.randrange(1, 4)):
            self._ruin(data)
        try:
            garbled = decode_frame(bytes(data))
        except MalformedError:
            self._kit.counts["lie.garbage_refused"] += 1
            return (message,) if rng.random() < 0.5 else ()
        self._kit.counts["lie.garbage_decoded"] += 1
        return (garbled,)

    def _ruin(self, data: bytearray) -> None:
        rng = self._kit.rng
        if not data:
            return
        place = rng.randrange(len(data))
        match rng.randrange(4):
            case 0:
                data[place] ^= 1 << rng.randrange(8)
            case 1:
                data[place] = rng.randrange(256)
            case 2:
                del data[place : place + rng.randrange(1, 8)]
            case _:
                end = place + rng.randrange(1, 40)
                data[place:place] = data[place:end]
