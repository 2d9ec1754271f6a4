"""Seals envelopes whose client never signed them; its own lane ends there."""

from __future__ import annotations

from dataclasses import replace

from onward.consensus.messages import Packet, PeerMessage
from onward.ledger.block import Batch
from onward.ledger.transaction import Envelope
from onward.simulation.byzantine.lane import Lane
from onward.simulation.byzantine.liar import LiarKit
from onward_proto.canonical import decode, encode


class BadSealer:
    """Good batches first, then one with an invalid signature in it, then good ones behind it."""

    def __init__(self, kit: LiarKit) -> None:
        """`kit`: its own key and chance."""
        self._kit = kit
        self._lane = Lane(kit)
        self._waiting: dict[int, list[Batch]] = {peer: [] for peer in range(kit.machines)}

    def hear(self, sender: int, message: PeerMessage) -> None:
        """Material for the lane."""
        del sender
        self._lane.learn(message)

    def outgoing(self, to: int, message: PeerMessage) -> tuple[PeerMessage, ...]:
        """The message, behind the batches that are new to `to`."""
        if isinstance(message, Packet) and self._kit.rng.random() < 0.02:
            self._seal()
        batches, self._waiting[to] = self._waiting[to], []
        return (*batches, message)

    def _seal(self) -> None:
        envelopes = self._lane.envelopes
        if not envelopes:
            return
        if self._kit.rng.random() < 0.3:
            self._kit.counts["lie.invalid_signature"] += 1
            envelopes = (*envelopes[:-1], self._spoiled(envelopes[-1]))
        batch, self._lane.tip = self._lane.sealed(envelopes)
        for queue in self._waiting.values():
            queue.append(batch)

    def _spoiled(self, data: bytes) -> bytes:
        envelope = decode(Envelope, data)
        first, *rest = envelope.signatures
        wrong = replace(first, signature=self._kit.rng.randbytes(64))
        return encode(replace(envelope, signatures=(wrong, *rest)))
