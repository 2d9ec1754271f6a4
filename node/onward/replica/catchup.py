"""Catching up from far: the delivered chain, page by page, from one peer at a time.

A page proves itself: its blocks are linked by digest to a finalization with q signatures, and its
batches by head to the blocks' cuts. So a lying peer can waste a request and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

from onward import limits
from onward.consensus.certificates import VoteVerifier
from onward.consensus.messages import Certificate, ChainEntry, ChainPage, VoteKind
from onward.errors import PeerFault
from onward.execution.block import OrderedBlock
from onward.ledger.block import Batch, Block, Cut, batch_head, block_digest
from onward.types import ValidatorIndex
from onward_proto.canonical import encode


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedPage:
    """What a page adds to the delivered chain."""

    ordered: tuple[OrderedBlock, ...]
    final: Certificate  # of the last block; without signatures if a later one finalizes it


class CatchUp:
    """Whom to ask for the next page, and whether what came is the chain."""

    __slots__ = ("_asked_at_ms", "_chain_id", "_me", "_peer", "_size", "_verifier", "target")

    def __init__(
        self, chain_id: bytes, me: ValidatorIndex, size: int, verifier: VoteVerifier
    ) -> None:
        """`size`: how many validators there are."""
        self._chain_id = chain_id
        self._me = me
        self._size = size
        self._verifier = verifier
        self._peer = (me + 1) % size
        self._asked_at_ms: int | None = None
        self.target = 0

    def aim(self, height: int) -> None:
        """The peers are at `height` or beyond."""
        self.target = max(self.target, height)

    def ask(self, height: int, now_ms: int) -> ValidatorIndex | None:
        """The peer to ask for what follows `height`, if it is time to ask."""
        if self._size == 1 or self.target <= height:
            return None
        if self._asked_at_ms is not None:
            if now_ms < self._asked_at_ms + limits.CATCH_UP_RETRY_MS:
                return None
            self._turn()
        self._asked_at_ms = now_ms
        return ValidatorIndex(self._peer)

    def next_at_ms(self, height: int) -> int | None:
        """When `ask` will next name a peer."""
        if self._asked_at_ms is None or self.target <= height:
            return None
        return self._asked_at_ms + limits.CATCH_UP_RETRY_MS

    def open(self, peer: ValidatorIndex, page: ChainPage, root: Block) -> VerifiedPage | None:
        """What a page adds behind `root`; None if it adds nothing.

        Raises `PeerFault` for a page that no honest peer sends.
        """
        if peer == self._peer and self._asked_at_ms is not None:
            # Whatever it says, the next question goes to another one unless this page helps.
            self._asked_at_ms = None
            self._turn()
        if not page.entries:
            # This one has no more; the hint that set the target may have been a lie.
            self.target = min(self.target, max(page.tip, root.height))
            return None
        if page.entries[0].block.height != root.height + 1:
            return None  # the answer to an earlier question
        if page.final is None:
            raise PeerFault(f"page from height {root.height + 1} without a finalization")
        blocks = [*(entry.block for entry in page.entries), *page.links]
        digests = _linked(root, blocks)
        self._check_final(page.final, blocks[-1], digests[-1])
        verified = self._verified(page, page.final, root, digests)
        self._peer = peer
        self.target = max(self.target, page.tip)
        return verified

    def _verified(
        self, page: ChainPage, final: Certificate, root: Block, digests: list[bytes]
    ) -> VerifiedPage:
        ordered = []
        cut = root.cut
        last = len(page.entries) - 1
        for index, entry in enumerate(page.entries):
            own = index == last and not page.links
            ordered.append(
                OrderedBlock(
                    block=entry.block,
                    digest=digests[index],
                    final=encode(final) if own else b"",
                    batches=entry.batches,
                    heads=_checked_heads(self._chain_id, cut, entry),
                )
            )
            cut = entry.block.cut
        tail = page.entries[-1].block
        if page.links:
            final = unsigned_final(tail, digests[last])
        return VerifiedPage(ordered=tuple(ordered), final=final)

    def _check_final(self, final: Certificate, block: Block, digest: bytes) -> None:
        fits = final.kind == VoteKind.FINALIZE and final.view == block.view
        if not fits or final.digest != digest:
            raise PeerFault(f"finalization of another block than {block.height} closes the page")
        fault = self._verifier.certificate_fault(final, lambda *_: None)
        if fault is not None:
            raise PeerFault(f"finalization of block {block.height}: {fault}")

    def _turn(self) -> None:
        self._peer = (self._peer + 1) % self._size
        if self._peer == self._me:
            self._peer = (self._peer + 1) % self._size


def unsigned_final(block: Block, digest: bytes) -> Certificate:
    """The finalization of a block known to be final through a descendant; it never travels."""
    return Certificate(kind=VoteKind.FINALIZE, view=block.view, digest=digest, signatures=())


def _linked(root: Block, blocks: list[Block]) -> list[bytes]:
    """The digests of `blocks`, each the parent of the next and the first a child of `root`."""
    digests: list[bytes] = []
    parent, parent_digest = root, block_digest(root)
    for block in blocks:
        follows = block.height == parent.height + 1 and block.parent == parent_digest
        if not follows or block.epoch != root.epoch:
            raise PeerFault(f"block {block.height} of a page does not follow its predecessor")
        parent, parent_digest = block, block_digest(block)
        digests.append(parent_digest)
    return digests


def _checked_heads(chain_id: bytes, cut: Cut, entry: ChainEntry) -> tuple[bytes, ...]:
    """The heads of an entry's batches, which must lead from `cut` to the block's cut."""
    lanes: dict[int, list[Batch]] = {}
    for batch in entry.batches:
        lanes.setdefault(batch.author, []).append(batch)
    heads: list[bytes] = []
    for author, (before, after) in enumerate(zip(cut, entry.block.cut, strict=True)):
        seq, head = before.seq, before.head
        for batch in lanes.pop(author, []):
            if batch.seq != seq + 1 or batch.previous != head:
                raise PeerFault(f"batch {batch.seq} of lane {author} does not follow batch {seq}")
            seq, head = batch.seq, batch_head(chain_id, batch)
            heads.append(head)
        if (seq, head) != (after.seq, after.head):
            raise PeerFault(f"block {entry.block.height}: lane {author} misses its cut at {seq}")
    if lanes or list(entry.batches) != sorted(entry.batches, key=lambda item: item.author):
        raise PeerFault(f"block {entry.block.height}: batches are not in delivery order")
    return tuple(heads)
