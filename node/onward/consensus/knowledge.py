"""Certificates above the last delivered block, and what follows from them.

Those of views that were settled lately are kept too, for one purpose: a certificate that excludes
one of them proves who cheats.
"""

from __future__ import annotations

from onward import limits
from onward.consensus.evidence import OPPOSITE
from onward.consensus.messages import Certificate, VoteKind
from onward.errors import invariant
from onward.ledger.block import Block


class Knowledge:
    """What quorums have said. Grows until `learn_final` settles it.

    `final` finalizes the last delivered block, `top` the highest block known to be final. A
    finalization counts as a notarization too; `notarized` always holds `final`.
    """

    def __init__(self, final: Certificate) -> None:
        self.final = final
        self.top = final
        self.notarized: dict[int, Certificate] = {final.view: final}
        self.nullified: dict[int, Certificate] = {}
        # The first of each (kind, view), down to VIEW_WINDOW views below `final`.
        self._record: dict[tuple[int, int], Certificate] = {}

    def is_certified(self, kind: int, view: int) -> bool:
        """Whether a certificate of this kind for this view would tell nothing new."""
        if view <= self.final.view:
            return True
        match kind:
            case VoteKind.FINALIZE:
                return view <= self.top.view
            case VoteKind.NOTARIZE:
                return view in self.notarized
            case _:
                return view in self.nullified

    def is_news(self, certificate: Certificate) -> bool:
        """Whether this certificate, once verified, would be kept."""
        return self._fills_final(certificate) or not self.is_certified(
            certificate.kind, certificate.view
        )

    def _fills_final(self, certificate: Certificate) -> bool:
        """Whether this is the proof for the delivered block, which a reboot may come without.

        Only the last block of a delivery has a finalization of its own.
        """
        final = self.final
        is_same = (certificate.kind, certificate.view, certificate.digest) == (
            VoteKind.FINALIZE,
            final.view,
            final.digest,
        )
        return is_same and final.view > 0 and not final.signatures

    def rival_of(self, certificate: Certificate) -> Certificate | None:
        """A known certificate that excludes this one, unless more than f validators cheat."""
        view, kind = certificate.view, certificate.kind  # unverified: it may be no kind at all
        for other in (kind, OPPOSITE.get(kind)):
            known = None if other is None else self._record.get((other, view))
            if known is not None and known.digest != certificate.digest:
                return known
        return None

    def learn(self, certificate: Certificate) -> None:
        """Take in a verified certificate. Of two notarizations of a view the first one stays."""
        view = certificate.view
        if certificate.signatures:
            self._record.setdefault((certificate.kind, view), certificate)
        if self._fills_final(certificate):
            if self.top is self.final:
                self.top = certificate
            self.final = self.notarized[view] = certificate
        if view <= self.final.view:
            return
        if certificate.kind == VoteKind.NULLIFY:
            self.nullified.setdefault(view, certificate)
        elif certificate.kind == VoteKind.NOTARIZE:
            self.notarized.setdefault(view, certificate)
        else:
            self.notarized[view] = certificate
            if view > self.top.view:
                self.top = certificate

    def learn_final(self, final: Certificate) -> None:
        """The block of `final` was delivered: forget what is at or below it."""
        self.final = final
        if self.top.view < final.view:
            self.top = final
        self.notarized = {
            final.view: final,
            **{view: item for view, item in self.notarized.items() if view > final.view},
        }
        self.nullified = {v: item for v, item in self.nullified.items() if v > final.view}
        oldest = final.view - limits.VIEW_WINDOW
        self._record = {key: item for key, item in self._record.items() if key[1] > oldest}
        if final.signatures:
            self._record.setdefault((final.kind, final.view), final)

    def highest_reach(self) -> int:
        """The highest view that may be entered."""
        return self._reach(max(self.notarized))

    def ticket(self, view: int, parent_view: int | None = None) -> tuple[Certificate, ...]:
        """The proof that `view` may be entered: the notarized parent, nullifications since.

        Without `parent_view`: from the highest parent possible.
        """
        if parent_view is None:
            below = [p for p in self.notarized if p < view]
            is_reached = bool(below) and self._reach(max(below)) >= view
            invariant(is_reached, f"view {view} was entered without a ticket")
            parent_view = max(below)
        since = range(parent_view + 1, view)
        return (self.notarized[parent_view], *(self.nullified[item] for item in since))

    def record_of(self, block: Block) -> tuple[Certificate, ...]:
        """Its notarization and the nullifications between its parent and it, where known."""
        own = self._record.get((VoteKind.NOTARIZE, block.view))
        between = range(block.parent_view + 1, block.view)
        since = (self._record.get((VoteKind.NULLIFY, view)) for view in between)
        found = tuple(item for item in (own, *since) if item is not None)
        return found[: limits.BLOCK_RECORD_CERTIFICATES_MAX]

    def is_justified(self, block: Block) -> bool:
        """Whether the parent is notarized and every view between is nullified."""
        parent = self.notarized.get(block.parent_view)
        if parent is None or parent.digest != block.parent:
            return False
        return all(view in self.nullified for view in range(block.parent_view + 1, block.view))

    def open_digests(self) -> tuple[bytes, ...]:
        """The blocks that quorums accepted above the delivered one, by view; the final one too."""
        views = sorted(view for view in self.notarized if view > self.final.view)
        return (*(self.notarized[view].digest for view in views), self.top.digest)

    def above(self) -> tuple[Certificate, ...]:
        """Every certificate above the delivered block, by view."""
        items = [*self.notarized.values(), *self.nullified.values()]
        kept = [item for item in items if item.view > self.final.view]
        return tuple(sorted(kept, key=lambda item: (item.view, item.kind)))

    def _reach(self, view: int) -> int:
        """The first view after `view` that is not nullified.

        Of two notarized views the later one reaches at least as far: where the earlier one reaches
        beyond it, everything in between is nullified, and so is what the later one has to pass.
        """
        view += 1
        while view in self.nullified:
            view += 1
        return view
