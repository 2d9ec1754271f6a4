"""Dissemination: one hash-chained lane of batches per validator, which only its author can extend.

A batch reaches each node once; blocks name only how far each lane has come (a *cut*). What peers
say they hold is a hint that costs a fetch when it is a lie, never safety: a voter notarizes only
what it holds, so the notarization is the certificate that f + 1 honest validators hold it.

States of a batch here: unknown, held (signature of its author verified), checked (every envelope
valid, and durable), bad (some envelope is not, which every replica finds), delivered and forgotten.

Invariants
    L1 `tips` is, per lane, the end of a chain of checked batches from the delivered cut.
    L2 our own lane has one batch per place: the tip comes from durable batches before anything is
    sealed.
    L3 of a fork in a lane one head per place is kept, and others only while a block that is
       justified or certified names them (`want`, `forget_rivals`): what an equivocator can make us
       hold is bounded.
    L4 a cut made here is valid for whoever holds its batches (`lacks`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from onward import limits
from onward.consensus.effects import (
    CheckBatch,
    LaneEffect,
    LaneForked,
    Misbehaved,
    SendBatch,
    StoreBatch,
    TipsMoved,
)
from onward.consensus.links import InvalidCut, Link, LinkState, Totals, size_of
from onward.errors import invariant
from onward.ledger.block import Batch, Cut, LanePoint, batch_head, batch_signed_bytes
from onward.ledger.transaction import Opened
from onward.types import Digest, ValidatorIndex, ValidatorSet

if TYPE_CHECKING:
    from onward.crypto.signing import Signer, Verify

__all__ = ["DurableBatch", "InvalidCut", "Lanes", "LanesConfig"]

_UNASKED_AHEAD_MAX = 2 * limits.LANE_AHEAD_OF_EXECUTED_MAX
_ASKED_AHEAD_MAX = limits.NEAR_REPAIR_HEIGHTS_MAX * limits.LANE_BATCHES_PER_BLOCK_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class LanesConfig:
    """Whose lanes, and which of them is ours."""

    chain_id: bytes
    validators: ValidatorSet
    me: ValidatorIndex
    signer: Signer
    verify: Verify


@dataclass(frozen=True, slots=True, kw_only=True)
class DurableBatch:
    """A batch from our own log: it was checked before it was written."""

    batch: Batch
    bodies: int


class Lanes:
    """The batches above the last delivered cut."""

    def __init__(self, config: LanesConfig, cut: Cut) -> None:
        """`cut`: of the last delivered block."""
        size = config.validators.size
        invariant(len(cut) == size, f"a cut over {len(cut)} lanes of {size}")
        self._config = config
        self._cut = list(cut)
        self._tips = list(cut)
        self._claims = [[point.seq for point in cut] for _ in range(size)]
        self._links: dict[bytes, Link] = {}
        self._next: dict[tuple[int, bytes], bytes] = {}  # author, head -> first known successor
        self._place: dict[tuple[int, int], bytes] = {}  # author, seq -> head that came unasked
        self._forked: set[int] = set()
        self._wanted: dict[bytes, None] = {}

    # -- what the replica may ask ------------------------------------------------------------------

    @property
    def tips(self) -> Cut:
        """Up to where this node holds checked, durable batches of each lane."""
        return tuple(self._tips)

    @property
    def delivered(self) -> Cut:
        """The cut of the last delivered block."""
        return tuple(self._cut)

    @property
    def has_pending(self) -> bool:
        """Whether some lane has come further than what was delivered."""
        return any(tip.seq > point.seq for tip, point in zip(self._tips, self._cut, strict=True))

    @property
    def own_pending(self) -> int:
        """How many batches of our own lane wait for their block."""
        me = self._config.me
        return self._tips[me].seq - self._cut[me].seq

    def is_full(self) -> bool:
        """Whether our own lane is so far ahead of delivery that clients must wait."""
        me = self._config.me
        ahead = self._tips[me].seq - self._cut[me].seq
        return ahead >= limits.LANE_AHEAD_OF_EXECUTED_MAX

    def held(self, head: bytes) -> Batch | None:
        """A batch above the delivered cut, to answer a peer's fetch."""
        link = self._links.get(head)
        return None if link is None or link.state is LinkState.BAD else link.batch

    def own_after(self, seq: int) -> tuple[Batch, ...]:
        """Our own batches behind place `seq`: what a peer that reconnects may have missed."""
        me = self._config.me
        point, batches = self._tips[me], list[Batch]()
        while point.seq > max(seq, self._cut[me].seq):
            link = self._links[point.head]
            batches.append(link.batch)
            point = link.previous
        return tuple(reversed(batches))

    def missing(self) -> tuple[Digest, ...]:
        """Heads to fetch: named by blocks, and then those below something that is held."""
        heads = dict.fromkeys(head for head in self._wanted if head not in self._links)
        for link in self._links.values():
            floor = self._cut[link.batch.author].seq
            if link.batch.seq > floor + 1 and link.batch.previous not in self._links:
                heads[link.batch.previous] = None
        return tuple(Digest(head) for head in heads)[: limits.FETCH_DIGESTS_MAX]

    # -- events ------------------------------------------------------------------------------------

    def restore(self, batches: tuple[DurableBatch, ...]) -> None:
        """Boot: take in what the own batch log holds above the delivered cut, in its order."""
        for item in batches:
            batch = item.batch
            is_of_epoch = batch.epoch == self._config.validators.epoch
            if is_of_epoch and batch.seq > self._cut[batch.author].seq:
                link = self._keep(batch, batch_head(self._config.chain_id, batch))
                link.state, link.bodies = LinkState.CHECKED, item.bodies
        for author in range(len(self._tips)):
            self._extend(author)

    def seal(
        self, envelopes: tuple[bytes, ...], bodies: int, opened: Opened | None = None
    ) -> tuple[LaneEffect, ...]:
        """Extend our own lane by a batch of checked envelopes with `bodies` bodies in all.

        `opened`: the same envelopes, taken apart.
        """
        invariant(not self.is_full(), "sealing into a full lane")
        me, tip = self._config.me, self._tips[self._config.me]
        unsigned = Batch(
            author=me,
            epoch=self._config.validators.epoch,
            seq=tip.seq + 1,
            previous=tip.head,
            envelopes=envelopes,
            signature=bytes(64),
        )
        is_small = size_of(unsigned) <= limits.BATCH_BYTES_MAX
        invariant(is_small and bodies <= limits.BATCH_BODIES_MAX, "the own batch is too large")
        head = batch_head(self._config.chain_id, unsigned)
        signature = self._config.signer.sign(batch_signed_bytes(head))
        batch = Batch(
            author=me,
            epoch=unsigned.epoch,
            seq=unsigned.seq,
            previous=unsigned.previous,
            envelopes=envelopes,
            signature=signature,
        )
        self._keep(batch, head)
        return (*self.on_checked(head, bodies, opened), SendBatch(batch=batch))

    def on_batch(self, peer: ValidatorIndex, batch: Batch) -> tuple[LaneEffect, ...]:
        """A batch from a peer: its author's, or the answer to a fetch."""
        author, validators = batch.author, self._config.validators
        if author >= validators.size or batch.epoch != validators.epoch:
            return (Misbehaved(peer=peer, reason=f"batch of lane {author}, epoch {batch.epoch}"),)
        head = batch_head(self._config.chain_id, batch)
        if head in self._links or batch.seq <= self._cut[author].seq:
            return ()
        if size_of(batch) > limits.BATCH_BYTES_MAX:
            # No honest validator seals, keeps or passes on such a one.
            return (Misbehaved(peer=peer, reason=f"batch {batch.seq} of {size_of(batch)} bytes"),)
        is_asked = head in self._wanted
        ahead = batch.seq - self._cut[author].seq
        rival = self._place.get((author, batch.seq))
        is_rival = rival is not None and rival != head
        if ahead > (_ASKED_AHEAD_MAX if is_asked else _UNASKED_AHEAD_MAX):
            return ()
        if not is_asked and (
            author == self._config.me or not self._is_welcome(batch, is_rival=is_rival)
        ):
            return ()
        key, message = validators.public_key(author), batch_signed_bytes(head)
        if not self._config.verify(key, message, batch.signature):
            return (Misbehaved(peer=peer, reason=f"batch {batch.seq} is not of lane {author}"),)
        effects: list[LaneEffect] = []
        if rival is not None and is_rival and author not in self._forked:
            self._forked.add(author)
            effects.append(LaneForked(first=self._links[rival].batch, second=batch))
        if is_asked or not is_rival:
            self._keep(batch, head)
            self._wanted.pop(head, None)
            effects.append(CheckBatch(head=head, batch=batch))
        return tuple(effects)

    def on_checked(
        self, head: bytes, bodies: int | None, opened: Opened | None = None
    ) -> tuple[LaneEffect, ...]:
        """The answer to `CheckBatch`: how many bodies it has, or None when some envelope is bad."""
        link = self._links.get(head)
        if link is None or link.state is not LinkState.HELD:
            return ()
        if bodies is None or bodies > limits.BATCH_BODIES_MAX:
            link.state = LinkState.BAD
            return (TipsMoved(),) if link.is_named else ()
        link.state, link.bodies, link.opened = LinkState.CHECKED, bodies, opened
        author, stored = link.batch.author, StoreBatch(batch=link.batch)
        before = self._tips[author]
        if link.previous == before:
            self._tips[author] = link.point
        self._extend(author)
        # Even a batch beside the tip matters to a block that waits for it.
        return (stored, TipsMoved()) if self._tips[author] != before or link.is_named else (stored,)

    def on_tips(self, peer: ValidatorIndex, tips: Cut) -> tuple[LaneEffect, ...]:
        """How far a peer says it is. Empty says nothing."""
        if tips and len(tips) != len(self._tips):
            return (Misbehaved(peer=peer, reason=f"{len(tips)} tips of {len(self._tips)} lanes"),)
        if tips:
            self._claims[peer] = [point.seq for point in tips]
        return ()

    def want(self, heads: tuple[Digest, ...]) -> None:
        """Justified or certified blocks need exactly these batches now, the most needed first.

        The answers of `lacks`. Earlier wishes are void: a leader can name what does not exist, and
        were that wished for ever, nothing else would be fetched.
        """
        self._wanted = {}
        for head in heads[: limits.LANE_WANTED_HEADS_MAX]:
            link = self._links.get(head)
            if link is not None:
                link.is_named = True
            else:
                self._wanted[head] = None

    # -- cuts --------------------------------------------------------------------------------------

    def make_cut(self, parent: Cut, executed: Cut, turn: int) -> Cut:
        """The cut to propose on `parent`: what a quorum says it holds, plus our own lane.

        `executed` is the cut of the block that the proposal names as executed. Within the totals
        of a block, lanes take turns batch by batch, beginning with lane `turn` mod n.
        """
        size = len(self._tips)
        chains = [self._candidates(author, parent, executed) for author in range(size)]
        cut, totals = list(parent), Totals()
        order = [(turn + step) % size for step in range(size)]
        for step in range(min(max(map(len, chains)), limits.LANE_BATCHES_PER_BLOCK_MAX)):
            for author in order:
                if step >= len(chains[author]):
                    continue
                link = chains[author][step]
                if totals.fits(link):
                    totals.add(link)
                    cut[author] = link.point
                else:
                    chains[author] = []
        return tuple(cut)

    def bodies_between(self, parent: Cut, cut: Cut) -> int:
        """How many bodies a cut made here adds to its parent."""
        count = 0
        for start, end in zip(parent, cut, strict=True):
            point = end
            while point.seq > start.seq:
                link = self._links[point.head]
                count += link.bodies
                point = link.previous
        return count

    def lacks(self, parent: Cut, cut: Cut, executed: Cut) -> tuple[Digest, ...]:
        """The heads that must be held and checked before this cut can be accepted, if any.

        Raises: InvalidCut when every replica that holds the batches refuses it.
        """
        if len(cut) != len(self._tips):
            raise InvalidCut(f"{len(cut)} lanes, expected {len(self._tips)}")
        for author, (end, start) in enumerate(zip(cut, parent, strict=True)):
            self._check_growth(author, start, end, executed[author])
        return self.lacks_final(parent, cut)

    def lacks_final(self, parent: Cut, cut: Cut) -> tuple[Digest, ...]:
        """The same for a block known to be final: the bounds against execution are settled.

        Raises: InvalidCut, which here contradicts a quorum.
        """
        needed: dict[bytes, None] = {}
        totals = Totals()
        for author, (end, start) in enumerate(zip(cut, parent, strict=True)):
            point = end
            while point.seq > start.seq:
                link = self._links.get(point.head)
                if link is None:
                    needed[point.head] = None
                    break
                if (link.batch.author, link.batch.seq) != (author, point.seq):
                    raise InvalidCut(f"lane {author} has another batch at {point.seq}")
                if link.state is LinkState.BAD:
                    raise InvalidCut(f"lane {author}: batch {point.seq} is bad")
                if link.state is LinkState.HELD:
                    needed[point.head] = None
                totals.add(link)
                point = link.previous
            else:
                if point != start:
                    raise InvalidCut(f"lane {author} does not extend the parent's cut")
        if not needed and totals.is_exceeded():
            raise InvalidCut(f"{totals.bytes} bytes and {totals.bodies} bodies in one block")
        return tuple(Digest(head) for head in needed)

    def deliver(self, cut: Cut) -> tuple[Link, ...]:
        """The block with this cut is final: its batches in delivery order, which are now forgotten.

        Every batch must be held: a delivered block was found valid here.
        """
        delivered: list[Link] = []
        for author, end in enumerate(cut):
            point, lane = end, list[Link]()
            while point.seq > self._cut[author].seq:
                link = self._links.get(point.head)
                invariant(link is not None, f"lane {author}: batch {point.seq} is not held")
                lane.append(self._links[point.head])
                point = lane[-1].previous
            invariant(point == self._cut[author], f"lane {author} leaves what is delivered")
            delivered += reversed(lane)
        self.jump_to(cut)
        return tuple(delivered)

    def jump_to(self, cut: Cut) -> None:
        """Everything up to this cut is delivered, whoever delivered it: forget what is below.

        On a fork of a lane the delivered branch wins, and the tip moves over to it.
        """
        self._cut = list(cut)
        for link in list(self._links.values()):
            if link.batch.seq <= cut[link.batch.author].seq:
                self._drop(link)
        for author, point in enumerate(cut):
            self._drop_dead_branches(author, point)
            tip = self._tips[author]
            while tip.seq > point.seq and tip.head in self._links:
                tip = self._links[tip.head].previous
            if tip != point:
                self._tips[author] = point
            self._extend(author)

    def forget_rivals(self, cuts: tuple[Cut, ...]) -> None:
        """Drop the other branches of forks, unless one of these cuts or a tip is on them.

        `cuts`: of every block that may yet be delivered. A block that was voted on is among them.
        """
        if len(self._links) == len(self._place):
            return
        kept: set[bytes] = set()
        for cut in (*cuts, self._tips):
            for point, floor in zip(cut, self._cut, strict=False):  # cuts may be anything
                at = point
                while at.seq > floor.seq and at.head in self._links and at.head not in kept:
                    kept.add(at.head)
                    at = self._links[at.head].previous
        for link in list(self._links.values()):
            if link.head not in kept and self._place.get(link.place) != link.head:
                self._drop(link)

    # -- the chains --------------------------------------------------------------------------------

    def _keep(self, batch: Batch, head: bytes) -> Link:
        link = Link(head=Digest(head), batch=batch, is_named=head in self._wanted)
        self._links[head] = link
        self._next.setdefault((batch.author, batch.previous), head)
        self._place.setdefault((batch.author, batch.seq), head)
        return link

    def _drop(self, link: Link) -> None:
        del self._links[link.head]
        successor, place = (link.batch.author, link.batch.previous), link.place
        if self._next.get(successor) == link.head:
            del self._next[successor]
        if self._place.get(place) == link.head:
            del self._place[place]

    def _drop_dead_branches(self, author: int, point: LanePoint) -> None:
        """Forget the branches of a fork that the delivered place is not on."""
        dead: set[bytes] = set()
        lane = [link for link in self._links.values() if link.batch.author == author]
        for link in sorted(lane, key=lambda link: link.batch.seq):
            is_beside = link.batch.seq == point.seq + 1 and link.batch.previous != point.head
            if is_beside or link.batch.previous in dead:
                dead.add(link.head)
                self._drop(link)

    def _extend(self, author: int) -> None:
        """Move a tip along the chain of checked batches."""
        head = self._next.get((author, self._tips[author].head))
        while head is not None:
            link = self._links[head]
            if link.state is not LinkState.CHECKED or link.previous != self._tips[author]:
                return
            self._tips[author] = link.point
            head = self._next.get((author, head))

    def _is_welcome(self, batch: Batch, *, is_rival: bool) -> bool:
        """Whether to take in a batch that nobody asked for.

        Who forked a lane may only extend its tip: a place ahead is checked at our expense, and each
        fork that is dropped would free all of them again.
        """
        if batch.author not in self._forked:
            return True
        before = LanePoint(seq=batch.seq - 1, head=batch.previous)
        return not is_rival and before == self._tips[batch.author]

    def _candidates(self, author: int, parent: Cut, executed: Cut) -> list[Link]:
        """The batches of a lane that a proposal may add, in order."""
        start, point = parent[author], self._tips[author]
        end = start.seq + limits.LANE_BATCHES_PER_BLOCK_MAX
        end = min(end, executed[author].seq + limits.LANE_AHEAD_OF_EXECUTED_MAX)
        if author != self._config.me:
            end = min(end, self._backed(author))
        chain: list[Link] = []
        while point.seq > start.seq:
            link = self._links.get(point.head)
            if link is None:
                return []
            if point.seq <= end:
                chain.append(link)
            point = link.previous
        return chain[::-1] if point == start else []

    def _backed(self, author: int) -> int:
        """Up to where q - 1 others say they hold this lane; with us they are a quorum."""
        others = [claim[author] for peer, claim in enumerate(self._claims)]
        del others[self._config.me]
        needed = self._config.validators.quorum - 1
        if needed == 0:
            return self._tips[author].seq
        return sorted(others, reverse=True)[needed - 1]

    def _check_growth(
        self, author: int, start: LanePoint, point: LanePoint, executed: LanePoint
    ) -> None:
        grown = point.seq - start.seq
        if not 0 <= grown <= limits.LANE_BATCHES_PER_BLOCK_MAX:
            raise InvalidCut(f"lane {author} grows by {grown}")
        if grown == 0 and point != start:
            raise InvalidCut(f"lane {author} changes its head at {start.seq}")
        if grown and point.seq - executed.seq > limits.LANE_AHEAD_OF_EXECUTED_MAX:
            raise InvalidCut(f"lane {author} is {point.seq - executed.seq} ahead of execution")
