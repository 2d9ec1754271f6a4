"""A leader that proposes one block to some and another to the rest, and votes for both."""

from __future__ import annotations

from dataclasses import replace

from onward.consensus.messages import Packet, PeerMessage, Vote, VoteKind
from onward.ledger.block import Block, block_digest
from onward.simulation.byzantine.liar import LiarKit

_REMEMBERED_MAX = 64


class Equivocator:
    """Makes a second block of each that it proposes."""

    def __init__(self, kit: LiarKit) -> None:
        """`kit`: its own key and chance."""
        self._kit = kit
        self._second: dict[bytes, tuple[Block, Vote, frozenset[int]]] = {}

    def outgoing(self, to: int, message: PeerMessage) -> tuple[PeerMessage, ...]:
        """The first block or the second, depending on who is told; both to the unlucky."""
        if not isinstance(message, Packet):
            return (message,)
        for block in message.blocks:
            self._equivocate(message, block)
        changed = self._swapped(to, message)
        if changed is message:
            return (message,)
        self._kit.counts["lie.equivocation"] += 1
        return (message, changed) if self._kit.rng.random() < 0.1 else (changed,)

    def _equivocate(self, message: Packet, block: Block) -> None:
        digest = block_digest(block)
        own = any(
            vote.kind == VoteKind.NOTARIZE and vote.digest == digest for vote in message.votes
        )
        if not own or digest in self._second or self._kit.rng.random() < 0.4:
            return
        second = replace(block, time_ms=block.time_ms + 1)
        vote = self._kit.vote(VoteKind.NOTARIZE, block.view, block_digest(second))
        peers = range(self._kit.machines)
        fooled = frozenset(peer for peer in peers if self._kit.rng.random() < 0.5)
        self._second[digest] = (second, vote, fooled)
        while len(self._second) > _REMEMBERED_MAX:
            self._second.pop(next(iter(self._second)))

    def _swapped(self, to: int, message: Packet) -> Packet:
        blocks, votes, changed = list(message.blocks), list(message.votes), False
        for place, block in enumerate(blocks):
            second = self._second.get(block_digest(block))
            if second is not None and to in second[2]:
                blocks[place], changed = second[0], True
        for place, vote in enumerate(votes):
            second = self._second.get(vote.digest)
            if second is None or to not in second[2]:
                continue
            changed = True
            votes[place] = (
                second[1]
                if vote.kind == VoteKind.NOTARIZE
                else self._kit.vote(vote.kind, vote.view, second[1].digest)
            )
        return replace(message, blocks=tuple(blocks), votes=tuple(votes)) if changed else message
