"""Catching up from far: the delivered chain, page by page, from one peer at a time.

A page proves itself: its blocks are linked by digest to a finalization with q signatures, and its
batches by head to the blocks' cuts. So a lying peer can waste a request and nothing else. Nor can
a slow one hold us back: the next page comes from the next peer, whatever the last one was like.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from onward import limits
from onward.consensus.certificates import VoteVerifier
from onward.consensus.epochs import EpochEnd, end_at, unsigned_final
from onward.consensus.messages import Certificate, ChainEntry, ChainPage, VoteKind
from onward.errors import PeerFault
from onward.execution.block import OrderedBlock
from onward.ledger.block import (
    Batch,
    Block,
    Cut,
    batch_head,
    batch_signed_bytes,
    block_digest,
)
from onward.types import PublicKey, ValidatorIndex, ValidatorSet
from onward_proto.canonical import encode

if TYPE_CHECKING:
    from onward.crypto.signing import Verify


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedPage:
    """What a page adds to the delivered chain."""

    ordered: tuple[OrderedBlock, ...]
    final: Certificate  # of the last block; without signatures if a later one finalizes it
    end: EpochEnd | None  # where the last block ends its epoch


def peers_of(
    validators: ValidatorSet, me: PublicKey, seats: tuple[PublicKey, ...]
) -> tuple[ValidatorIndex, ...]:
    """Whom to ask for the chain: the validators, and behind them who else is known by a seat.

    The others are asked because an epoch's own validators may all have been replaced since. Who has
    no place in the set is numbered behind it, by its seat.
    """
    size = validators.size
    placed = [place for place in range(size) if validators.public_key(place) != me]
    others = [
        size + seat
        for seat, key in enumerate(seats)
        if key != me and validators.index_of(key) is None
    ]
    return tuple(map(ValidatorIndex, (*placed, *others)))


class CatchUp:
    """Whom to ask for the next page, and whether what came is the chain."""

    __slots__ = (
        "_asked_at_ms",
        "_chain_id",
        "_peers",
        "_turns",
        "_useless",
        "_validators",
        "_verifier",
        "_verify",
        "target",
    )

    def __init__(
        self,
        chain_id: bytes,
        validators: ValidatorSet,
        verify: Verify,
        *,
        peers: tuple[ValidatorIndex, ...],
        first: int = 0,
    ) -> None:
        """Nothing is asked until `aim` says how far the others are.

        `peers` are asked in turn, from the place `first` among them on.
        """
        self._chain_id = chain_id
        self._peers = peers
        self._turns = first
        self._validators = validators
        self._verify = verify
        self._verifier = VoteVerifier(chain_id, validators, verify)
        self._asked_at_ms: int | None = None
        self._useless = 0  # answers in a row that brought nothing
        self.target = 0

    def aim(self, height: int) -> None:
        """The peers are at `height` or beyond."""
        self.target = max(self.target, height)

    def ask(self, height: int, now_ms: int) -> ValidatorIndex | None:
        """The peer to ask for what follows `height`, if it is time to ask."""
        if not self._peers or self.target <= height:
            return None
        if self._asked_at_ms is not None:
            if now_ms < self._asked_at_ms + limits.CATCH_UP_RETRY_MS:
                return None
            self._turns += 1
        self._asked_at_ms = now_ms
        return self._peer

    def next_at_ms(self, height: int) -> int | None:
        """When `ask` will next name a peer."""
        if self._asked_at_ms is None or self.target <= height:
            return None
        return self._asked_at_ms + limits.CATCH_UP_RETRY_MS

    def open(
        self, peer: ValidatorIndex, page: ChainPage, root: Block, digest: bytes = b""
    ) -> VerifiedPage | None:
        """What a page adds behind `root`; None if it adds nothing.

        `digest`: of `root`, where that is not its own: as the root of a later epoch.

        Raises `PeerFault` for a page that no honest peer sends.
        """
        target = self.target
        if self._asked_at_ms is not None and peer == self._peer:
            self._asked_at_ms = None
            self._turns += 1
            self._useless += 1
            if self._useless >= len(self._peers):
                # Nobody has more: the hint that set the target was a lie, or comes again.
                self.target, self._useless = root.height, 0
        entries = _entries_behind(root, page)
        if not entries:
            return None
        if any(entry.block.last for entry in entries[:-1]):
            raise PeerFault("a page that goes on behind the last block of an epoch")
        if page.final is None:
            raise PeerFault(f"page from height {root.height + 1} without a finalization")
        blocks = [*(entry.block for entry in entries), *page.links]
        digests = _linked(root, digest or block_digest(root), blocks)
        self._check_final(page.final, blocks[-1], digests[-1])
        tail_final = unsigned_final(entries[-1].block, digests[len(entries) - 1])
        final = tail_final if page.links else page.final
        verified = self._verified(entries, final, root, digests)
        if entries[-1].block.last:
            end = end_at(entries[-1].block, page.links, page.final)
            verified = replace(verified, end=end)
        self._useless = 0
        self.target = max(target, page.tip)
        return verified

    def _verified(
        self,
        entries: tuple[ChainEntry, ...],
        final: Certificate,
        root: Block,
        digests: list[bytes],
    ) -> VerifiedPage:
        """`final` is the last entry's, unsigned where the page's links prove it."""
        ordered = []
        cut = root.cut
        last = len(entries) - 1
        for index, entry in enumerate(entries):
            own = index == last and final.signatures
            ordered.append(
                OrderedBlock(
                    block=entry.block,
                    digest=digests[index],
                    final=encode(final) if own else b"",
                    batches=entry.batches,
                    heads=self._checked_heads(cut, entry),
                )
            )
            cut = entry.block.cut
        return VerifiedPage(ordered=tuple(ordered), final=final, end=None)

    def _check_final(self, final: Certificate, block: Block, digest: bytes) -> None:
        fits = final.kind == VoteKind.FINALIZE and final.view == block.view
        if not fits or final.digest != digest:
            raise PeerFault(f"finalization of another block than {block.height} closes the page")
        fault = self._verifier.certificate_fault(final, lambda *_: None)
        if fault is not None:
            raise PeerFault(f"finalization of block {block.height}: {fault}")

    def _checked_heads(self, cut: Cut, entry: ChainEntry) -> tuple[bytes, ...]:
        """The heads of an entry's batches, which must lead from `cut` to the block's cut.

        A head does not cover the author's signature, which is kept and passed on: it is checked.
        """
        lanes: dict[int, list[Batch]] = {}
        for batch in entry.batches:
            lanes.setdefault(batch.author, []).append(batch)
        height = entry.block.height
        heads: list[bytes] = []
        for author, (before, after) in enumerate(zip(cut, entry.block.cut, strict=True)):
            seq, head, key = before.seq, before.head, self._validators.public_key(author)
            for batch in lanes.pop(author, []):
                if batch.seq != seq + 1 or batch.previous != head:
                    raise PeerFault(
                        f"batch {batch.seq} of lane {author} does not follow batch {seq}"
                    )
                seq, head = batch.seq, batch_head(self._chain_id, batch)
                if not self._verify(key, batch_signed_bytes(head), batch.signature):
                    raise PeerFault(f"batch {seq} of block {height} is not of lane {author}")
                heads.append(head)
            if (seq, head) != (after.seq, after.head):
                raise PeerFault(f"block {height}: lane {author} misses its cut at {seq}")
        if lanes or list(entry.batches) != sorted(entry.batches, key=lambda item: item.author):
            raise PeerFault(f"block {height}: batches are not in delivery order")
        return tuple(heads)

    @property
    def _peer(self) -> ValidatorIndex:
        """Who was asked last, or is next."""
        return self._peers[self._turns % len(self._peers)]


def _entries_behind(root: Block, page: ChainPage) -> tuple[ChainEntry, ...]:
    """A page's entries above `root`; none when it begins later.

    The chain may have grown since the page was asked for, and a page that came unasked must not
    make the answer worthless.
    """
    if not page.entries:
        return ()
    known = root.height + 1 - page.entries[0].block.height
    return page.entries[known:] if known >= 0 else ()


def _linked(root: Block, parent_digest: bytes, blocks: list[Block]) -> list[bytes]:
    """The digests of `blocks`, each the parent of the next and the first a child of `root`."""
    digests: list[bytes] = []
    parent = root
    for block in blocks:
        follows = block.height == parent.height + 1 and block.parent == parent_digest
        if not follows or block.epoch != root.epoch:
            raise PeerFault(f"block {block.height} of a page does not follow its predecessor")
        parent, parent_digest = block, block_digest(block)
        digests.append(parent_digest)
    return digests
