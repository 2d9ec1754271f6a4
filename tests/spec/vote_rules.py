"""One honest voter of Onward's Simplex, as a state machine that only says no.

Written from docs/spec/consensus.md, not from the code: this module imports nothing of the node.
Blocks are opaque names. Every guard asks for knowledge, none for its absence: to know more never
forbids anything.

    S1  at most one vote per (kind, view)
    S2  never NULLIFY and FINALIZE in one view
    S3  no vote at or below the floor, the view of the last delivered block
    J   NOTARIZE a block whose parent is notarized, every view between nullified
    F   FINALIZE only what is notarized
    L   NOTARIZE only what the view's leader signed
    H   NOTARIZE and FINALIZE only a block that is held with all its ancestors
    E   a view is entered with a ticket, never left backwards; NOTARIZE and NULLIFY belong to it
    C   only certificates that are known are vouched for
    D1  a vote leaves only when it is durable
    D2  a reboot brings back every durable vote above the floor, and invents none
    V   what is delivered is final and extends what was delivered before
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    NOTARIZE = "NOTARIZE"
    NULLIFY = "NULLIFY"
    FINALIZE = "FINALIZE"


@dataclass(frozen=True, slots=True, order=True)
class Ballot:
    """What a vote says. `block` is empty for NULLIFY."""

    kind: Kind
    view: int
    block: str = ""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A block: its name stands for its content, so it has one parent."""

    name: str
    view: int
    parent: str
    parent_view: int


def broken_promises(
    ballot: Ballot,
    remembered: Collection[Ballot],
    floor: int,
    block: Proposal | None,
    is_notarized: Callable[[str, int], bool],
    is_nullified: Callable[[int], bool],
) -> tuple[str, ...]:
    """Which of S1, S2, S3, J and F this vote would break. `block`: the one that it names."""
    in_view = {vote.kind for vote in remembered if vote.view == ballot.view}
    broken = ["S1"] if ballot.kind in in_view else []
    if {ballot.kind, *in_view} >= {
        Kind.NULLIFY,
        Kind.FINALIZE,
    } and ballot.kind is not Kind.NOTARIZE:
        broken.append("S2")
    if ballot.view <= floor:
        broken.append("S3")
    if ballot.kind is Kind.NOTARIZE and not (
        block is not None
        and block.view == ballot.view > block.parent_view
        and is_notarized(block.parent, block.parent_view)
        and all(is_nullified(view) for view in range(block.parent_view + 1, ballot.view))
    ):
        broken.append("J")
    if ballot.kind is Kind.FINALIZE and not is_notarized(ballot.block, ballot.view):
        broken.append("F")
    return tuple(broken)


@dataclass(slots=True)
class Voter:
    """One honest validator over all its lives. Each step answers with the rules that it breaks."""

    me: int
    size: int
    quorum: int
    root: Proposal
    said: set[Ballot] = field(default_factory=set)  # in this life, and brought back by the journal
    durable: set[Ballot] = field(default_factory=set)
    heard: dict[Ballot, set[int]] = field(default_factory=dict)
    certified: set[Ballot] = field(default_factory=set)
    blocks: dict[str, Proposal] = field(default_factory=dict)
    final: set[str] = field(default_factory=set)  # names of final blocks, held or not
    notarized_views: set[int] = field(default_factory=set)
    view: int = 1
    tip: str = ""
    floor: int = 0

    def __post_init__(self) -> None:
        self._begin(self.root)

    def hear(self, ballot: Ballot, signer: int) -> None:
        """A vote of `signer`; a quorum of them is a certificate."""
        self.heard.setdefault(ballot, set()).add(signer)
        if len(self.heard[ballot]) >= self.quorum:
            self.certified.add(ballot)
            if ballot.kind is not Kind.NULLIFY:
                self.notarized_views.add(ballot.view)
            if ballot.kind is Kind.FINALIZE:
                self._settle(ballot.block)

    def hold(self, block: Proposal) -> None:
        """A block, wherever it came from."""
        self.blocks[block.name] = block
        if block.name in self.final:
            self.notarized_views.add(block.view)
            self._settle(block.parent)

    def _settle(self, name: str) -> None:
        """A finalized block finalizes its ancestors."""
        while name not in self.final:
            self.final.add(name)
            if name not in self.blocks:
                return
            self.notarized_views.add(self.blocks[name].view)
            name = self.blocks[name].parent

    def is_notarized(self, name: str, view: int) -> bool:
        return Ballot(Kind.NOTARIZE, view, name) in self.certified or name in self.final

    def is_nullified(self, view: int) -> bool:
        return Ballot(Kind.NULLIFY, view) in self.certified

    def has_ticket(self, view: int) -> bool:
        """Whether some view below is notarized, and all since are nullified."""
        view -= 1
        while view not in self.notarized_views and self.is_nullified(view):
            view -= 1
        return view in self.notarized_views

    def cast(self, ballot: Ballot) -> tuple[str, ...]:
        """It votes. The vote has not left, and is not yet durable."""
        past, block = self.said | self.durable, self.blocks.get(ballot.block)
        known = (self.is_notarized, self.is_nullified)
        broken = broken_promises(ballot, past, self.floor, block, *known)
        leader = ballot.view % self.size
        if ballot.kind is Kind.NOTARIZE and leader not in {self.me, *self.heard.get(ballot, ())}:
            broken += ("L",)
        if ballot.kind is not Kind.NULLIFY and not self._is_held(ballot.block):
            broken += ("H",)
        if ballot.kind is not Kind.FINALIZE and self.enter(ballot.view):
            broken += ("E",)
        self.said.add(ballot)
        self.hear(ballot, self.me)
        return broken

    def _is_held(self, name: str) -> bool:
        while name not in self.final:
            if name not in self.blocks:
                return False
            name = self.blocks[name].parent
        return True

    def enter(self, view: int) -> tuple[str, ...]:
        """It is in `view` now."""
        broken = () if view == self.view or (view > self.view and self.has_ticket(view)) else ("E",)
        self.view = view
        return broken

    def vouch(self, ballot: Ballot) -> tuple[str, ...]:
        """It writes down or sends a certificate for this."""
        is_final = ballot.kind is Kind.FINALIZE and ballot.block in self.final
        return () if is_final or ballot in self.certified else ("C",)

    def sync(self, ballot: Ballot) -> tuple[str, ...]:
        """The vote is durable now."""
        self.durable.add(ballot)
        return () if ballot in self.said else ("D2",)

    def send(self, ballot: Ballot, signer: int) -> tuple[str, ...]:
        """The vote leaves: its own, and durable."""
        return () if signer == self.me and ballot in self.durable else ("D1",)

    def deliver(self, block: Proposal) -> tuple[str, ...]:
        """The block becomes part of the chain."""
        self.hold(block)
        broken = () if block.name in self.final and block.parent == self.tip else ("V",)
        self.tip, self.floor = block.name, block.view
        return broken

    def reboot(self, tip: Proposal, floor: int, journal: Collection[Ballot]) -> tuple[str, ...]:
        """What is left: a chain up to `tip`, and the votes of a journal that begins at `floor`."""
        due = {vote for vote in self.durable if vote.view > floor}
        is_true = due <= set(journal) <= self.durable | self.said
        self.said, self.heard, self.certified = set(journal), {}, set()
        self.durable.update(journal)  # a sync may have ended just before the power did
        self.blocks, self.final, self.notarized_views = {}, set(), set()
        self._begin(tip)
        for ballot in journal:
            self.hear(ballot, self.me)
        return () if is_true else ("D2",)

    def _begin(self, tip: Proposal) -> None:
        self.final.add(tip.name)
        self.hold(tip)
        self.tip, self.floor, self.view = tip.name, tip.view, tip.view + 1
