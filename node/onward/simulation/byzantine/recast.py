"""What the liars share that propose otherwise than their replica does.

The replica makes an honest proposal and votes for it. The liar puts another block in its place in
everything that leaves, and signs its own votes on the one as votes on the other. So the liar is of
one mind towards all; only its own replica wonders.
"""

from __future__ import annotations

from dataclasses import replace

from onward.consensus.messages import Evidence, Packet, PeerMessage, Vote, VoteKind
from onward.ledger.block import Block, block_digest
from onward.simulation.byzantine.liar import LiarKit

_REMEMBERED_MAX = 256


class Blocks:
    """The newest blocks that somebody has said, by digest."""

    def __init__(self) -> None:
        """None yet."""
        self._blocks: dict[bytes, Block] = {}

    def learn(self, message: PeerMessage) -> None:
        """Remember what a packet carries."""
        if isinstance(message, Packet):
            for block in message.blocks:
                self.add(block_digest(block), block)

    def add(self, digest: bytes, block: Block) -> None:
        """Remember one."""
        self._blocks[digest] = block
        while len(self._blocks) > _REMEMBERED_MAX:
            del self._blocks[next(iter(self._blocks))]

    def get(self, digest: bytes) -> Block | None:
        """The block, if it was said not too long ago."""
        return self._blocks.get(digest)


class Recaster:
    """Tells everybody `lie(block)` in place of each own proposal that it has a lie for."""

    counted = ""

    def __init__(self, kit: LiarKit) -> None:
        """`kit`: its own key and chance."""
        self.kit = kit
        self.heard = Blocks()
        self._instead: dict[bytes, tuple[Block, bytes] | None] = {}  # None: told as it is

    def lie(self, block: Block) -> Block | None:
        """What to propose instead; None to be honest this time."""
        raise NotImplementedError

    def hear(self, sender: int, message: PeerMessage) -> None:
        """What others propose is what a lie builds on."""
        del sender
        self.heard.learn(message)

    def outgoing(self, to: int, message: PeerMessage) -> tuple[PeerMessage, ...]:
        """The message with every own proposal, and every own vote on it, exchanged."""
        del to
        if isinstance(message, Evidence) and message.signer == self.kit.index:
            return ()  # its replica wonders at votes that it never gave
        if not isinstance(message, Packet):
            return (message,)
        for block in message.blocks:
            self._decide(block, message.votes)
        told = self._exchanged(message)
        if told is not message:
            self.kit.counts[self.counted] += 1
        return (told,)

    def _decide(self, block: Block, votes: tuple[Vote, ...]) -> None:
        digest = block_digest(block)
        is_own = any(vote.kind == VoteKind.NOTARIZE and vote.digest == digest for vote in votes)
        if digest in self._instead or not is_own or not self._leads(block):
            return
        other = self.lie(block)
        self._instead[digest] = None if other is None else (other, block_digest(other))
        if other is not None:
            self.heard.add(block_digest(other), other)
        while len(self._instead) > _REMEMBERED_MAX:
            del self._instead[next(iter(self._instead))]

    def _leads(self, block: Block) -> bool:
        return (block.view + block.epoch) % self.kit.size == self.kit.index

    def _exchanged(self, message: Packet) -> Packet:
        blocks, votes, is_changed = list(message.blocks), list(message.votes), False
        for place, block in enumerate(blocks):
            other = self._instead.get(block_digest(block))
            if other is not None:
                blocks[place], is_changed = other[0], True
        for place, vote in enumerate(votes):
            other = self._instead.get(vote.digest)
            if other is not None:
                votes[place] = self.kit.vote(vote.kind, vote.view, other[1])
                is_changed = True
        return replace(message, blocks=tuple(blocks), votes=tuple(votes)) if is_changed else message
