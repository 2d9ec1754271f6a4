"""Lives in the past: tells certificates, heights and questions of earlier views as if of now."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from onward.consensus.messages import Certificate, Packet, PeerMessage
from onward.simulation.byzantine.liar import LiarKit

_CERTIFICATES_MAX = 128
_PACKETS_MAX = 64
_TOLD_MAX = 12


class Stale:
    """Repeats old packets of its own, and gives old certificates for new ones."""

    def __init__(self, kit: LiarKit) -> None:
        """`kit`: its own key and chance."""
        self._kit = kit
        self._certificates: deque[Certificate] = deque(maxlen=_CERTIFICATES_MAX)
        self._packets: deque[Packet] = deque(maxlen=_PACKETS_MAX)

    def hear(self, sender: int, message: PeerMessage) -> None:
        """Keep every certificate."""
        del sender
        if isinstance(message, Packet):
            self._certificates.extend(message.certificates)

    def outgoing(self, to: int, message: PeerMessage) -> tuple[PeerMessage, ...]:
        """The message, a repetition of an earlier one, or the message with an old proof."""
        del to
        if not isinstance(message, Packet):
            return (message,)
        rng, draw = self._kit.rng, self._kit.rng.random()
        self._packets.append(message)
        if draw < 0.6 or not self._certificates:
            return (message,)
        self._kit.counts["lie.stale_certificates"] += 1
        if draw < 0.8:
            old = rng.choice(self._packets)
            return (old, message) if rng.random() < 0.7 else (old,)
        count = rng.randrange(1, min(_TOLD_MAX, len(self._certificates)) + 1)
        proof = tuple(dict.fromkeys(rng.sample(self._certificates, count)))
        return (replace(message, certificates=proof, status=rng.choice((0, proof[0].view))),)
