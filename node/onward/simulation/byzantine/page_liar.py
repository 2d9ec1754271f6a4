"""Answers who catches up with pages that are not the chain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from onward.consensus.messages import ChainEntry, ChainPage, IndexedSignature, PeerMessage
from onward.ledger.block import block_digest
from onward.simulation.byzantine.liar import LiarKit

_FAR = 1_000_000


class PageLiar:
    """Changes what a page tells, what proves it, or how much there is."""

    def __init__(self, kit: LiarKit) -> None:
        """`kit`: its own key and chance."""
        self._kit = kit
        self._ways: tuple[Callable[[ChainPage], ChainPage], ...] = (
            self._other_time,
            self._without_batches,
            self._other_batch,
            self._without_a_block,
            self._unproved,
            self._forged,
            self._another_end,
            self._nothing,
        )

    def outgoing(self, to: int, message: PeerMessage) -> tuple[PeerMessage, ...]:
        """The message; a page with blocks in one of several wrong forms."""
        del to
        if not isinstance(message, ChainPage) or not message.entries:
            return (message,)
        self._kit.counts["lie.page"] += 1
        return (self._kit.rng.choice(self._ways)(message),)

    def _entry(self, page: ChainPage, change: Callable[[ChainEntry], ChainEntry]) -> ChainPage:
        place = self._kit.rng.randrange(len(page.entries))
        entries = list(page.entries)
        entries[place] = change(entries[place])
        return replace(page, entries=tuple(entries))

    def _other_time(self, page: ChainPage) -> ChainPage:
        return self._entry(
            page,
            lambda entry: replace(
                entry, block=replace(entry.block, time_ms=entry.block.time_ms + 1)
            ),
        )

    def _without_batches(self, page: ChainPage) -> ChainPage:
        return self._entry(page, lambda entry: replace(entry, batches=entry.batches[1:]))

    def _other_batch(self, page: ChainPage) -> ChainPage:
        def change(entry: ChainEntry) -> ChainEntry:
            if not entry.batches:
                return entry
            first, *rest = entry.batches
            swapped = replace(first, envelopes=(*first.envelopes, first.envelopes[0]))
            return replace(entry, batches=(swapped, *rest))

        return self._entry(page, change)

    def _without_a_block(self, page: ChainPage) -> ChainPage:
        place = self._kit.rng.randrange(len(page.entries))
        return replace(page, entries=page.entries[:place] + page.entries[place + 1 :])

    def _unproved(self, page: ChainPage) -> ChainPage:
        return replace(page, final=None, tip=page.tip + _FAR)

    def _forged(self, page: ChainPage) -> ChainPage:
        if page.final is None:
            return page
        invented = tuple(
            IndexedSignature(signer=item.signer, signature=self._kit.rng.randbytes(64))
            for item in page.final.signatures
        )
        return replace(page, final=replace(page.final, signatures=invented))

    def _another_end(self, page: ChainPage) -> ChainPage:
        """A last block that fits the others, under signatures that were given to another one."""
        if page.final is None or page.links:
            return page
        last = page.entries[-1]
        block = replace(last.block, time_ms=last.block.time_ms + 1)
        return replace(
            page,
            entries=(*page.entries[:-1], replace(last, block=block)),
            final=replace(page.final, digest=block_digest(block)),
        )

    def _nothing(self, page: ChainPage) -> ChainPage:
        """It has the chain, says how far it goes, and keeps it."""
        return replace(page, tip=page.tip + _FAR, entries=(), links=(), final=None)
