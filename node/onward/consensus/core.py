"""Simplex for one epoch, without I/O: n validators, at most f = (n - 1) // 3 of them liars.

Packets carry knowledge, rules fire on knowledge, votes are the only promises.

Rules
    R1 enter     a view is entered with a ticket, and what is new of the ticket is passed on
    R2 propose   the leader extends its ticket's parent, once
    R3 notarize  the first justified, valid proposal of the current view; NULLIFY a bad one
    R4 amplify   f + 1 nullifiers include an honest one: do not wait for the own timer
    R5 finalize  what is notarized, held durably, and not given up on
    R6 deliver   a finalized block finalizes its ancestors
    and the view's timer: NULLIFY, unless the view was finalized here; then repeat what was said.

A *ticket* for view v is a notarization (or finalization) of some p < v and nullifications of the
views between. A block is *justified* by a ticket for its view that begins with its parent.

Every vote passes the safety kernel, promises.py: S1 one vote per (kind, view), S2 never NULLIFY
and FINALIZE in one view, S3 nothing at or below the floor, J NOTARIZE only what is justified,
F FINALIZE only what is notarized.

The epoch ends at the first block of a branch that says it is the *last*: its finalization, or that
of a *filler* behind it, delivers the branch up to there, and no rule fires any more.

Source: Chan, Pass: Simplex Consensus (TCC 2023). docs/spec/consensus.md argues why no two blocks at
one height are delivered, and lists how this one differs.
"""

from __future__ import annotations

from onward import limits
from onward.consensus.certificates import VoteVerifier
from onward.consensus.config import CoreConfig, Payload
from onward.consensus.effects import (
    BlockVerdict,
    Broadcast,
    Build,
    CoreEffect,
    Deliver,
    EpochEnded,
    EvidenceFound,
    FarBehind,
    ForkDetected,
    Misbehaved,
    SendTo,
    VoteForgotten,
)
from onward.consensus.epochs import end_at, part_at_last, unsigned_final
from onward.consensus.evidence import conflicts_between, votes_of
from onward.consensus.journal import Floor, JournalRecord
from onward.consensus.knowledge import Knowledge
from onward.consensus.lag import Lag, is_far
from onward.consensus.leader import leader_of
from onward.consensus.messages import Certificate, Packet, Vote, VoteKind
from onward.consensus.outbox import Outbox
from onward.consensus.promises import FINALIZE, NOTARIZE, NULLIFY, Promises
from onward.consensus.pursuit import Pursuit
from onward.consensus.status import NULLIFIED_MAX, Answered, status_packet
from onward.consensus.tally import Tally
from onward.consensus.timing import ViewTimer
from onward.consensus.tree import BlockTree, Stray
from onward.errors import invariant
from onward.ledger.block import Block, Cut, block_digest
from onward.types import NIL, Digest, Height, ValidatorIndex, View

_HASTY_REFUSALS_VIEWS_MAX = 3  # from so many open views on, a bad proposal waits for the timer


class Core:
    """The consensus of one validator in one epoch. `start` comes first, then any event, any time.

    `now_ms` never runs backwards. Every event answers with effects to be performed in order.
    """

    def __init__(self, config: CoreConfig, root: Block, final: Certificate) -> None:
        """`root`: the last delivered block, `final`: its finalization, unsigned if unknown."""
        self._config = config
        self._verifier = VoteVerifier(config.chain_id, config.validators, config.verify)
        self._tree = BlockTree(root, final.digest)
        self._pursuit = Pursuit(self._tree)
        self._known = Knowledge(final)
        self._tally = Tally()
        self._timer = ViewTimer(config.parameters, config.validators, config.me)
        self._promises = Promises(
            config.chain_id, config.validators.epoch, config.me, config.signer, final.view
        )
        self._proposed: dict[int, bytes] = {}  # per view, what its leader signed first
        self._view = View(final.view + 1)
        self._building_view = 0
        self._is_pending = False
        self._answered = Answered(config.parameters.timeout_ms)
        self._lag = Lag()
        self._now_ms = 0
        self._is_over = False
        self._out = Outbox()

    # -- what the replica may ask ----------------------------------------------------------------

    @property
    def view(self) -> View:
        """The current view."""
        return self._view

    @property
    def root(self) -> Block:
        """The last delivered block."""
        return self._tree.root

    @property
    def final(self) -> Certificate:
        """The finalization of the last delivered block."""
        return self._known.final

    @property
    def leader(self) -> ValidatorIndex:
        """The leader of the current view."""
        return leader_of(self._config.validators, self._view)

    @property
    def deadline_ms(self) -> int:
        """When `on_time` is due at the latest."""
        return min(self._timer.deadline_ms, self._pursuit.deadline_ms, self._lag.deadline_ms)

    def block(self, digest: bytes) -> Block | None:
        """A block that is not yet forgotten, to answer a peer's fetch."""
        return self._tree.get(digest)

    @property
    def open_cuts(self) -> tuple[Cut, ...]:
        """The cuts of the blocks above the last delivered one that may yet be delivered."""
        return tuple(block.cut for _, block in self._tree.above())

    def is_certified(self, digest: bytes) -> bool:
        """Whether a quorum has notarized or finalized this block, above the last delivered one."""
        block = self._tree.get(digest)
        notarized = None if block is None else self._known.notarized.get(block.view)
        return notarized is not None and notarized.digest == digest

    def journal_snapshot(self) -> tuple[JournalRecord, ...]:
        """What a new journal segment begins with. Taking it means using it: see `Persist`."""
        records: tuple[JournalRecord, ...] = (
            Floor(root=self._tree.root, final=self._known.final),
            *self._known.above(),
            *(block for _, block in self._tree.above()),
            *self._promises.all,
        )
        self._out.restart_segment(records)
        return records

    # -- events ----------------------------------------------------------------------------------

    def start(self, journal: tuple[JournalRecord, ...], now_ms: int) -> tuple[CoreEffect, ...]:
        """Boot or reboot: take up the promises of the newest journal segment, in its order."""
        self._now_ms = now_ms
        self._timer.start(now_ms)
        for record in journal:
            self._recall(record)
        self._out.restart_segment(journal)
        if not journal:
            self._out.record(Floor(root=self._tree.root, final=self._known.final))
        self._start_timer()
        self._run()
        self._say_status()
        return self._out.flush()

    def on_packet(
        self, peer: ValidatorIndex, packet: Packet, now_ms: int
    ) -> tuple[CoreEffect, ...]:
        """A packet of an authenticated peer, unverified."""
        self._now_ms = now_ms
        self._timer.hear(peer, now_ms)
        view = self._view
        fault = self._absorb(peer, packet)
        if fault is not None:
            self._out.add(Misbehaved(peer=peer, reason=fault))
        self._run()
        self._answer_laggard(peer, packet)
        if self._view > view and len(packet.certificates) >= NULLIFIED_MAX:
            # A long ticket comes in parts: this one helped, so ask for the next.
            self._out.add(SendTo(peer=peer, packet=self._status(asks=True)))
        return self._out.flush()

    def on_time(self, now_ms: int) -> tuple[CoreEffect, ...]:
        """Time has passed."""
        self._now_ms = now_ms
        self._run()
        return self._out.flush()

    def on_built(
        self, view: View, parent: Digest, payload: Payload, now_ms: int
    ) -> tuple[CoreEffect, ...]:
        """The answer to `Build`. Ignored when the view has passed."""
        self._now_ms = now_ms
        is_open = view == self._view and self.leader == self._config.me
        if is_open and self._promises.may_notarize(view) and self._tree.is_valid(parent):
            self._put_forward(parent, payload)
        self._run()
        return self._out.flush()

    def on_verdict(
        self,
        digest: Digest,
        verdict: BlockVerdict,
        now_ms: int,
        *,
        again_ms: int | None = None,
    ) -> tuple[CoreEffect, ...]:
        """The answer to `Validate`; for NOT_NOW, `again_ms` may say when asking again makes sense.

        Raises: DivergenceError when a quorum accepted what is refused here.
        """
        self._now_ms = now_ms
        block = self._tree.get(digest)
        is_open = block is not None and not self._tree.is_valid(digest)
        if block is not None and is_open and not self._tree.is_bad(digest):
            if verdict is BlockVerdict.NOT_NOW:
                self._on_not_now(digest, again_ms)
            elif verdict is BlockVerdict.INVALID:
                self._tree.refuse(digest)
                self._check_divergence()
            elif self._tree.is_valid(block.parent):
                self._tree.accept(digest)
        self._run()
        return self._out.flush()

    def on_pending(self, now_ms: int, *, is_pending: bool = True) -> tuple[CoreEffect, ...]:
        """Whether transactions wait to be ordered; the first re-arm an idle view's deadline."""
        if is_pending == self._is_pending:
            return ()
        self._now_ms, self._is_pending = now_ms, is_pending
        if is_pending:
            self._timer.pend(now_ms, open_views=self._open_views())
        self._run()
        return self._out.flush()

    def on_peer_up(self, peer: ValidatorIndex, now_ms: int) -> tuple[CoreEffect, ...]:
        """A connection stands: tell the peer what it could lack, and ask the same of it."""
        self._now_ms = now_ms
        self._answered.forget(peer)
        self._out.add(SendTo(peer=peer, packet=self._status(asks=True)))
        self._run()
        return self._out.flush()

    def jump_to(self, root: Block, final: Certificate, now_ms: int) -> tuple[CoreEffect, ...]:
        """The chain was fetched by height, verified and delivered up to `root`.

        Promises above it stay promises. Ignored when it is not ahead of what was delivered here.
        """
        self._now_ms = now_ms
        if final.view > self._known.final.view:
            self._notice_forgotten(final)
            self._tree.replant(root, final.digest)
            self._known.learn_final(final)
            self._forget()
            self._enter()  # also behind a last block: what is told begins with a view's ticket
            if root.last:
                self._end()
        self._run()
        return self._out.flush()

    def abstain(self) -> None:
        """Follow from now on, and give no vote."""
        self._promises.abstain()

    # -- knowledge: monotone, idempotent, order-insensitive; nothing unverified gets in ------------

    def _recall(self, record: JournalRecord) -> None:
        """One record of our own journal."""
        match record:
            case Floor():
                self._promises.raise_floor(record.final.view)
                if record.final.view > self._known.final.view:
                    self._tree.add(record.final.digest, record.root)
                    self._learn_certificate(record.final, is_trusted=True)
            case Certificate():
                self._learn_certificate(record, is_trusted=True)
            case Block():
                if record.view > self._known.final.view:
                    self._tree.add(block_digest(record), record)
            case Vote():
                if record.view > self._known.final.view:
                    self._promises.recall(record)
                    if record.kind == NOTARIZE:
                        self._proposed[record.view] = record.digest
                    self._recount(record)

    def _recount(self, vote: Vote) -> None:
        """Our own votes count after a reboot too: if all crashed, nobody else has them."""
        self._learn_vote(vote, is_trusted=True)

    def _absorb(self, peer: ValidatorIndex, packet: Packet) -> str | None:
        """Learn a packet's content; stops at the first thing no honest peer sends, and names it."""
        self._lag.hear(packet.height)
        for certificate in packet.certificates:
            fault = self._learn_certificate(certificate)
            if fault is not None:
                return fault
        while self._enter():
            pass
        for vote in packet.votes:
            if vote.signer != peer:
                return f"vote of {vote.signer} as one's own"
            fault = self._learn_vote(vote)
            if fault is not None:
                return fault
        for block in packet.blocks:
            self._learn_block(block)
        return None

    def _learn_vote(self, vote: Vote, *, is_trusted: bool = False) -> str | None:
        if vote.view <= self._known.final.view:
            return None
        if not is_trusted:
            if vote.view > self._view + limits.VIEW_WINDOW or self._tally.is_settled(vote):
                return None
            is_first = self._tally.first_digest(vote.kind, vote.view, vote.signer) is None
            if is_first and self._known.is_certified(vote.kind, vote.view):
                return None  # a quorum is known: save the verification
            fault = self._verifier.vote_fault(vote)
            if fault is not None:
                return fault
        rival = self._tally.rival_of(vote)
        if rival is not None:
            self._tally.condemn(vote)
            self._out.add(EvidenceFound(first=rival, second=vote))
            return None
        if self._tally.count(vote) == self._quorum():
            made = self._tally.certificate(vote, self._quorum())
            self._learn_certificate(made, is_trusted=True)
        return None

    def _learn_certificate(
        self, certificate: Certificate, *, is_trusted: bool = False
    ) -> str | None:
        rival = self._known.rival_of(certificate)
        if rival is None and not self._known.is_news(certificate):
            return None
        if not is_trusted:
            fault = self._verifier.certificate_fault(certificate, self._tally.signature)
            if fault is not None:
                return fault
            self._compare(certificate)
            self._notice_forgotten(certificate)
        if rival is not None:
            self._accuse(rival, certificate)
        self._known.learn(certificate)
        self._check_divergence()
        return None

    def _notice_forgotten(self, certificate: Certificate) -> None:
        """A verified certificate may tell us of a vote that a disk put back to earlier forgot."""
        for vote in votes_of(certificate):
            if vote.signer == self._config.me and self._promises.forgot(vote):
                self._out.add(VoteForgotten(vote=vote))

    def _compare(self, certificate: Certificate) -> None:
        """Who told us otherwise than the quorum lied to somebody, although the quorum stands."""
        for vote in votes_of(certificate):
            rival = None if self._tally.is_settled(vote) else self._tally.rival_of(vote)
            if rival is not None:
                self._tally.condemn(vote)
                self._out.add(EvidenceFound(first=rival, second=vote))

    def _accuse(self, known: Certificate, other: Certificate) -> None:
        """Two certificates that cannot both be: their common signers cheat."""
        for first, second in conflicts_between(known, other):
            self._out.add(EvidenceFound(first=first, second=second))
        if known.kind == other.kind == FINALIZE:
            self._out.add(ForkDetected(first=known, second=other))

    def _learn_block(self, block: Block) -> None:
        """Keep a block that its leader signed, that a quorum certified, or that was asked for."""
        if block.epoch != self._config.validators.epoch or block.view <= self._known.final.view:
            return
        digest = block_digest(block)
        leader = leader_of(self._config.validators, block.view)
        is_led = self._tally.first_digest(NOTARIZE, block.view, leader) == digest
        certificate = self._known.notarized.get(block.view)
        is_certified = certificate is not None and certificate.digest == digest
        if is_led or is_certified or self._pursuit.is_fetching(digest):
            self._tree.add(digest, block)
            if is_led:
                self._proposed.setdefault(block.view, digest)

    def _check_divergence(self) -> None:
        for certificate in (*self._known.notarized.values(), self._known.top):
            self._tree.check_accepted(certificate)

    # -- rules -----------------------------------------------------------------------------------

    def _run(self) -> None:
        """Apply the rules until none applies, then the timer, then go after what is missing."""
        self._apply_rules()
        while self._now_ms >= self._timer.deadline_ms:
            view = self._view
            if self._promises.may_nullify(view):
                self._promise(NULLIFY, view, NIL)
                self._apply_rules()
            self._say_status()
            if view == self._view:
                self._timer.expire(self._now_ms)
        self._pursue()

    def _apply_rules(self) -> None:
        while not self._is_over and (
            self._enter()
            or self._propose()
            or self._notarize()
            or self._amplify()
            or self._finalize()
            or self._deliver()
        ):
            pass

    def _enter(self) -> bool:
        view = View(self._known.highest_reach())
        if view <= self._view:
            return False
        self._view = view
        self._out.announce(self._known.ticket(view))
        self._start_timer()
        return True

    def _propose(self) -> bool:
        view = self._view
        is_mine = self.leader == self._config.me and self._promises.may_notarize(view)
        if is_mine and self._building_view < view:
            parent = self._known.ticket(view)[0].digest
            if self._tree.is_valid(parent):
                self._building_view = view
                block = self._tree.block(parent)
                self._out.add(Build(view=view, parent=Digest(parent), parent_block=block))
        return False

    def _put_forward(self, parent: Digest, payload: Payload) -> None:
        """Make the proposal; the NOTARIZE vote that follows signs it."""
        above = self._tree.block(parent)
        block = payload.block_on(above, parent, self._view)
        fault = self._tree.header_fault(block)
        invariant(fault is None, f"the own proposal is wrong: {fault}")
        digest = block_digest(block)
        self._tree.add(digest, block)
        self._tree.accept(digest)
        self._proposed[self._view] = digest
        self._out.propose(block, self._known.ticket(self._view, above.view))

    def _notarize(self) -> bool:
        view, digest = self._view, self._proposed.get(self._view)
        if digest is None or not self._promises.may_notarize(view):
            return False
        if not self._known.is_justified(self._tree.block(digest)):
            return False
        if self._tree.is_valid(digest):
            return self._promise(NOTARIZE, view, digest)
        self._tree.judge_header(digest)
        # With finality far, refusing at once would spin through views at network speed.
        is_hasty = self._open_views() < _HASTY_REFUSALS_VIEWS_MAX
        if self._tree.is_bad(digest) and is_hasty and self._promises.may_nullify(view):
            return self._promise(NULLIFY, view, NIL)
        return False

    def _amplify(self) -> bool:
        view, f = self._view, self._config.validators.size - self._quorum()
        is_enough = self._tally.voter_count(NULLIFY, view, NIL) > f
        may = is_enough and self._promises.may_nullify(view)
        return may and self._promise(NULLIFY, view, NIL)

    def _finalize(self) -> bool:
        for view, certificate in self._known.notarized.items():
            if self._tree.is_valid(certificate.digest) and self._promises.may_finalize(view):
                return self._promise(FINALIZE, view, certificate.digest)
        return False

    def _deliver(self) -> bool:
        top = self._known.top
        if top.view <= self._known.final.view or not self._tree.is_valid(top.digest):
            return False
        blocks, fillers = part_at_last(self._tree.chain_to(top.digest))
        records = tuple(self._known.record_of(block) for block in blocks)
        final = unsigned_final(blocks[-1], fillers[0].parent) if fillers else top
        self._out.add(Deliver(blocks=blocks, final=final, records=records))
        self._tree.advance(blocks[-1], final.digest)
        self._known.learn_final(top)
        self._forget()
        if blocks[-1].last:
            self._end()
            self._out.add(EpochEnded(end=end_at(self.root, fillers, top)))
        return True

    # -- promises ----------------------------------------------------------------------------------

    def _quorum(self) -> int:
        return self._config.validators.quorum

    def _promise(self, kind: VoteKind, view: int, digest: bytes) -> bool:
        """Every vote this validator gives passes here: checked, signed, recorded, counted, sent."""
        block = self._tree.get(digest)
        vote = self._promises.give(kind, view, digest, block, self._known)
        if kind == FINALIZE:
            proof: tuple[Certificate, ...] = (self._known.notarized[view],)
        else:
            proof = self._known.ticket(view, None if block is None else block.parent_view)
        self._out.promise(vote, proof, block)
        self._learn_vote(vote, is_trusted=True)
        return True

    # -- repair ------------------------------------------------------------------------------------

    def _on_not_now(self, digest: Digest, again_ms: int | None) -> None:
        """Never remembered: whether a time is acceptable depends on when one asks."""
        soon_ms = self._now_ms + limits.REVALIDATE_MS
        self._pursuit.postpone(digest, soon_ms if again_ms is None else max(again_ms, soon_ms))

    def _pursue(self) -> None:
        """Fetch and judge what the rules wait for."""
        if self._is_over:
            return
        goals = dict.fromkeys(self._known.open_digests(), False)
        proposal = self._proposed.get(self._view)
        if proposal is not None and self._known.is_justified(self._tree.block(proposal)):
            goals.setdefault(proposal, not self._promises.has(NOTARIZE, self._view))
        if self._is_far():
            top = self._known.top.digest
            goals = {} if self._tree.get(top) else {top: False}
        try:
            for effect in self._pursuit.seek(goals, self._known.top.digest, self._now_ms):
                self._out.add(effect)
        except Stray as stray:
            self._report_fork(stray.goal)
        self._check_divergence()

    def _report_fork(self, stray: bytes) -> None:
        """A quorum accepted a block that does not descend from what was delivered here."""
        for certificate in (self._known.top, *self._known.notarized.values()):
            if certificate.digest == stray:
                self._out.add(ForkDetected(first=self._known.final, second=certificate))
                return

    def _is_far(self) -> bool:
        """Whether repair by digest is hopeless; says so, and repeats it now and then."""
        top = self._known.top
        if top.view <= self._known.final.view:
            self._lag.settle()
            return False
        self._lag.wait(self._now_ms)
        block = self._tree.get(top.digest)
        top_height = None if block is None else block.height
        height = self._lag.far_height(self._now_ms, self.root.height, top_height)
        if height is not None:
            self._out.add(FarBehind(height=Height(height)))
        return is_far(self.root.height, top_height)

    def _answer_laggard(self, peer: ValidatorIndex, packet: Packet) -> None:
        """A peer that asks and is behind is told what it lacks."""
        view, lags = packet.status, packet.status < self._view or packet.height < self.root.height
        # What a peer says of its view may be anything: it counts as one of those open here, so
        # that it cannot make each of its packets a new question.
        place = min(max(view, self._known.final.view), self._view)
        if view > 0 and lags and self._answered.is_due(peer, place, self._view, self._now_ms):
            status = self._status(asks=False, from_view=view)
            self._out.add(SendTo(peer=peer, packet=status))

    def _say_status(self) -> None:
        self._out.add(Broadcast(packet=self._status(asks=True)))

    def _status(self, *, asks: bool, from_view: int = 0) -> Packet:
        digest = self._proposed.get(self._view) if self.leader == self._config.me else None
        proposal = None if digest is None else self._tree.block(digest)
        known, votes = self._known, self._promises.all
        return status_packet(known, self._view, votes, proposal, asks=asks, from_view=from_view)

    # -- housekeeping ------------------------------------------------------------------------------

    def _open_views(self) -> int:
        return self._view - self._known.final.view

    def _start_timer(self) -> None:
        self._timer.enter(
            self._now_ms,
            leader=self.leader,
            open_views=self._open_views(),
            is_pending=self._is_pending,
        )

    def _end(self) -> None:
        """The root is the last block of the epoch: there is nothing more to decide."""
        self._is_over = True
        self._timer.stop()
        self._pursuit = Pursuit(self._tree)

    def _forget(self) -> None:
        """Drop what the last finalization settled."""
        view = self._known.final.view
        self._promises.raise_floor(view)
        self._tally.forget(view)
        self._proposed = {key: item for key, item in self._proposed.items() if key > view}
        self._lag.settle()
