"""Every state that four voters can reach in a few views, three honest ones and a liar.

The liar has signed everything and shows anybody anything at any time. So a certificate can exist as
soon as two honest voters agree, and since the rules ask for knowledge and never for its absence, it
is enough to look at voters who know every certificate that exists: who knows less may do less. What
is left of a state are the votes of the honest and how far each has delivered (and forgotten).

What makes the space small leaves no case out:

- The honest are interchangeable: no rule of safety asks who leads. A state is a multiset of them.
- Two blocks to a place (view and parent): two of the honest must agree for a block to be notarized,
  so a third sibling could only be voted for to no effect, and not voting leaves more open.
- Siblings are interchangeable: the first that is voted for is called the first.

A scope `in_quorums` takes larger steps: as many honest voters as a certificate needs cast the same
vote at once. Every run is one of these as far as its certificates go. A vote that ends in no
certificate can be left out, for a vote only ever takes from what its voter may still do; one that
ends in a certificate can wait until this is complete, for what allowed it (J, F) stays true and
what could forbid it (S1, S2) is a matter of pairs, not of order. Deliveries can be left out
too while S3 holds: all they do is forbid. (A test compares both kinds of scope.)

A set of votes is an int, a bit for each ballot. The rules themselves are those of `vote_rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, reduce
from itertools import combinations
from operator import and_

from tests.spec.vote_rules import Ballot, Kind, Proposal, broken_promises

ROOT = Proposal("root", 0, "", 0)
Local = tuple[int, int]
"""One honest voter: its votes so far as a mask, and its floor."""
Option = tuple[int, Local]
"""The bit of a vote, or minus the view for a delivery, and where it leads."""
State = tuple[Local, ...]


def blocks_of(views: int) -> tuple[Proposal, ...]:
    """Two siblings on every block below, in every view."""
    blocks = [ROOT]
    for view in range(1, views + 1):
        blocks += [
            Proposal(f"{parent.name}-{view}{sibling}", view, parent.name, parent.view)
            for parent in tuple(blocks)
            if parent.view < view
            for sibling in "ab"
        ]
    return tuple(blocks)


@dataclass
class Scope:
    """The state space of some views; `ignored` are rules that this scope's voters do not keep."""

    views: int
    in_quorums: bool = False
    ignored: frozenset[str] = frozenset()
    honest: int = 3
    agreeing: int = 2  # how many honest votes make a certificate, with those of the liars
    visit: Callable[[Local, int], None] | None = None
    states: int = 0
    certified: set[int] = field(default_factory=set)  # which certificates can stand together
    _options: dict[tuple[Local, int], tuple[Option, ...]] = field(default_factory=dict)

    # -- the votes that there can be ---------------------------------------------------------------

    @cached_property
    def blocks(self) -> dict[str, Proposal]:
        return {block.name: block for block in blocks_of(self.views)}

    @cached_property
    def ballots(self) -> tuple[Ballot, ...]:
        above = [block for block in self.blocks.values() if block.view]
        return (
            *(Ballot(Kind.NULLIFY, view) for view in range(1, self.views + 1)),
            *(Ballot(Kind.NOTARIZE, block.view, block.name) for block in above),
            *(Ballot(Kind.FINALIZE, block.view, block.name) for block in above),
        )

    @cached_property
    def _bits(self) -> dict[Ballot, int]:
        return {ballot: 1 << place for place, ballot in enumerate(self.ballots)}

    @cached_property
    def _elder(self) -> dict[int, int]:
        """Of each NOTARIZE for a second sibling: that for the first."""
        return {
            bit: self._bits[Ballot(ballot.kind, ballot.view, f"{ballot.block[:-1]}a")]
            for ballot, bit in self._bits.items()
            if ballot.kind is Kind.NOTARIZE and ballot.block.endswith("b")
        }

    def votes(self, mask: int) -> frozenset[Ballot]:
        """The ballots in a mask."""
        return frozenset(ballot for ballot, bit in self._bits.items() if mask & bit)

    # -- what one voter may do ---------------------------------------------------------------------

    def options(self, local: Local, certified: int) -> tuple[Option, ...]:
        """One more vote, or one more delivery, of a voter who knows all certificates."""
        key = (local, certified)
        if key not in self._options:
            if self.visit is not None:
                self.visit(local, certified)
            self._options[key] = tuple(self._options_of(local, certified))
        return self._options[key]

    def _options_of(self, local: Local, certified: int) -> Iterator[Option]:
        mask, floor = local
        objections = self.objections(local, certified)
        for ballot, bit in self._bits.items():
            if not mask & bit and self.ignored.issuperset(objections(ballot)):
                yield bit, (mask | bit, floor)
        for vote in () if self.in_quorums else self.votes(certified):
            if vote.kind is Kind.FINALIZE and vote.view > floor:
                yield -vote.view, (mask, vote.view)

    def objections(self, local: Local, certified: int) -> Callable[[Ballot], tuple[str, ...]]:
        """What the spec says against a vote of this voter."""
        mask, floor = local
        votes = self.votes(certified)
        # A finalization counts as a notarization.
        notarized = {ROOT.name, *(vote.block for vote in votes if vote.block)}
        remembered = {vote for vote in self.votes(mask) if vote.view > floor}

        def of(ballot: Ballot) -> tuple[str, ...]:
            return broken_promises(
                ballot,
                remembered,
                floor,
                self.blocks.get(ballot.block),
                lambda name, _: name in notarized,
                lambda view: Ballot(Kind.NULLIFY, view) in votes,
            )

        return of

    # -- all of them -------------------------------------------------------------------------------

    def violation(self) -> str:
        """Visit every reachable state, nearest first: the first broken invariant, or nothing."""
        first: State = ((0, 0),) * self.honest
        seen, layer, sound = {first}, [first], {0: ""}
        while layer:
            following: list[State] = []
            for state in layer:
                certified, used = self._common(state)
                if certified not in sound:
                    sound[certified] = self.unsound(self.votes(certified))
                if sound[certified]:
                    return sound[certified]
                self.states += 1
                for reached in self._successors(state, certified, used):
                    if reached not in seen:
                        seen.add(reached)
                        following.append(reached)
            layer = following
        self.certified = set(sound)
        return ""

    def _common(self, state: State) -> tuple[int, int]:
        """What enough of the honest agree on, and what any of them voted for."""
        certified = used = 0
        for group in combinations([mask for mask, _ in state], self.agreeing):
            certified |= reduce(and_, group)
        for mask, _ in state:
            used |= mask
        return certified, used

    def _successors(self, state: State, certified: int, used: int) -> Iterator[State]:
        steps: dict[int, dict[int, Local]] = {}  # per vote, who may cast it
        for place, local in enumerate(state):
            for bit, moved in self.options(local, certified):
                if used & self._elder.get(bit, used) or bit not in self._elder:
                    steps.setdefault(bit, {})[place] = moved
        for bit, moves in steps.items():
            together = self.agreeing if self.in_quorums else 1
            if self.in_quorums and certified & bit:
                continue
            for places in combinations(moves, together):
                reached = list(state)
                for place in places:
                    reached[place] = moves[place]
                yield tuple(sorted(reached))

    def unsound(self, votes: frozenset[Ballot]) -> str:
        """Which invariant these certificates break, if any."""
        accepted = {(vote.view, vote.block) for vote in votes if vote.block}
        notarized = {vote.block for vote in votes if vote.kind is Kind.NOTARIZE} | {ROOT.name}
        if len({view for view, _ in accepted}) < len(accepted):
            return "two blocks of one view are certified"
        finals = [self.blocks[vote.block] for vote in votes if vote.kind is Kind.FINALIZE]
        for block in finals:
            if Ballot(Kind.NULLIFY, block.view) in votes:
                return "a view is finalized and nullified"
            if not notarized.issuperset(self.branch(block)):
                return "a finalized block has an ancestor that is not notarized"
        for block in finals:
            for other in finals:
                if other.view > block.view and block.name not in self.branch(other):
                    return "two finalized blocks are not on one branch"
        return ""

    def branch(self, block: Proposal) -> tuple[str, ...]:
        """The block and its ancestors."""
        names = [block.name]
        while block.view:
            block = self.blocks[block.parent]
            names.append(block.name)
        return tuple(names)
