"""Planted bugs about views: tickets, justification, timers, repair by digest."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from onward.consensus.core import Core
from onward.consensus.effects import BlockVerdict, CoreEffect
from onward.consensus.journal import JournalRecord
from onward.consensus.knowledge import Knowledge
from onward.consensus.messages import Certificate, Packet, Vote, VoteKind
from onward.consensus.outbox import Outbox
from onward.consensus.pursuit import Pursuit
from onward.consensus.timing import ViewTimer
from onward.ledger.block import Block
from onward.simulation.mutants.mutant import Mutant, planted
from onward.types import ValidatorIndex, View

_FOR_EVER_MS = 2**60


class _JustifiesAnything(Knowledge):
    """J is forgotten: a block on any notarized parent will do, whatever lies between."""

    def is_justified(self, block: Block) -> bool:
        parent = self.notarized.get(block.parent_view)
        return parent is not None and parent.digest == block.parent


class _JustifiesSkippedLast(Knowledge):
    """The view just before a block's need not be nullified: off by one."""

    def is_justified(self, block: Block) -> bool:
        parent = self.notarized.get(block.parent_view)
        if parent is None or parent.digest != block.parent:
            return False
        return all(view in self.nullified for view in range(block.parent_view + 1, block.view - 1))


class _ShortTickets(Knowledge):
    """A ticket lacks its last nullification."""

    def ticket(self, view: int, parent_view: int | None = None) -> tuple[Certificate, ...]:
        whole = super().ticket(view, parent_view)
        return whole if len(whole) == 1 else whole[:-1]


class _ReachesTooFar(Knowledge):
    """A view is entered when the one before the last is settled."""

    def highest_reach(self) -> int:
        return super().highest_reach() + 1


class _NullifiedForgotten(Knowledge):
    """Nullifications are not kept: a view that was given up is entered again and again."""

    def learn(self, certificate: Certificate) -> None:
        if certificate.kind != VoteKind.NULLIFY:
            super().learn(certificate)


class _TicketsUnjournaled(Outbox):
    """A vote is journaled without what it rests on."""

    def promise(self, vote: Vote, proof: tuple[Certificate, ...], block: Block | None) -> None:
        del proof
        super().promise(vote, (), block)


class _BlocksUnjournaled(Outbox):
    """A vote is journaled without the block that it is for."""

    def promise(self, vote: Vote, proof: tuple[Certificate, ...], block: Block | None) -> None:
        del block
        super().promise(vote, proof, None)


class _NullifyUnjournaled(Outbox):
    """A NULLIFY is sent and never written down."""

    def record(self, record: JournalRecord) -> None:
        if not (isinstance(record, Vote) and record.kind == VoteKind.NULLIFY):
            super().record(record)


class _NoTimer(ViewTimer):
    """The timer of a view never fires."""

    def enter(self, now_ms: int, *, leader: int, open_views: int, is_pending: bool) -> None:
        super().enter(now_ms, leader=leader, open_views=open_views, is_pending=is_pending)
        self.deadline_ms = now_ms + _FOR_EVER_MS

    def pend(self, now_ms: int, *, open_views: int) -> None:
        del now_ms, open_views


class _TimerOnce(ViewTimer):
    """The timer of a view fires once: what it said and was lost is not said again."""

    def expire(self, now_ms: int) -> None:
        self._is_expired = True
        self.deadline_ms = now_ms + _FOR_EVER_MS


class _DeafTimer(ViewTimer):
    """Every leader counts as silent: views are given no time."""

    def _is_silent(self, leader: int, left_ms: int, now_ms: int) -> bool:
        del leader, left_ms, now_ms
        self._hasty_views = 0
        return True


class _TicketsKept(Core):
    """R1 is half there: who enters a view keeps the ticket for itself."""

    def _enter(self) -> bool:
        view = View(self._known.highest_reach())
        if view <= self._view:
            return False
        self._view = view
        self._start_timer()
        return True


class _LaggardsIgnored(Core):
    """A peer that asks and is behind is told nothing."""

    def _answer_laggard(self, peer: ValidatorIndex, packet: Packet) -> None:
        del peer, packet


class _Mute(Core):
    """What was said is never repeated: nobody says a status."""

    def _say_status(self) -> None:
        pass


class _SnapshotWithoutVotes(Core):
    """A new segment of the journal begins without the votes above its floor."""

    def journal_snapshot(self) -> tuple[JournalRecord, ...]:
        records = super().journal_snapshot()
        return tuple(record for record in records if not isinstance(record, Vote))


class _SnapshotWithoutCertificates(Core):
    """A new segment of the journal begins without the certificates above its floor."""

    def journal_snapshot(self) -> tuple[JournalRecord, ...]:
        records = super().journal_snapshot()
        return tuple(record for record in records if not isinstance(record, Certificate))


class _NothingFetched(Pursuit):
    """A block that a quorum accepted and that is not here is waited for, and not asked for."""

    def _ask(self, digest: bytes, standing: Any, now_ms: int) -> tuple[CoreEffect, ...]:
        return () if self._tree.get(digest) is None else super()._ask(digest, standing, now_ms)


class UntimelyIsBad(Mutant):
    """A proposal that came at the wrong time by this clock is remembered as invalid."""

    trial = "clocks"

    def on_replica(self, replica: Any) -> None:
        """NOT_NOW because of the clock becomes INVALID."""
        rules = _Hasty(replica._proposals._rules)  # noqa: SLF001
        replica._proposals._rules = rules  # noqa: SLF001


class _Hasty:
    """Payload rules that know no "not now" about time."""

    def __init__(self, rules: Any) -> None:
        self._rules = rules

    def judge(self, *arguments: Any, **named: Any) -> Any:
        """As the rules, but too early or too late is wrong."""
        judged = self._rules.judge(*arguments, **named)
        if judged.verdict is BlockVerdict.NOT_NOW and "clock" in judged.reason:
            return replace(judged, verdict=BlockVerdict.INVALID)
        return judged

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rules, name)


VIEWS: dict[str, type[Mutant]] = {
    "unjustified-block-accepted": planted(
        "_core._known", _JustifiesAnything, "pipelined:unjustified"
    ),
    "last-view-not-nullified": planted(
        "_core._known", _JustifiesSkippedLast, "pipelined:unjustified"
    ),
    "ticket-too-short": planted("_core._known", _ShortTickets),
    "view-entered-too-early": planted("_core._known", _ReachesTooFar),
    "nullification-not-kept": planted("_core._known", _NullifiedForgotten),
    "ticket-not-journaled": planted("_core._out", _TicketsUnjournaled, "reboots"),
    "block-not-journaled": planted("_core._out", _BlocksUnjournaled, "reboots"),
    "nullify-not-journaled": planted("_core._out", _NullifyUnjournaled),
    "timer-never-fires": planted("_core._timer", _NoTimer),
    "timer-fires-once": planted("_core._timer", _TimerOnce, "unnoticed"),
    "every-leader-silent": planted("_core._timer", _DeafTimer),
    "ticket-not-passed-on": planted("_core", _TicketsKept, "relayed"),
    "laggard-not-answered": planted("_core", _LaggardsIgnored, "answered"),
    "status-never-said": planted("_core", _Mute, "unnoticed"),
    "rotation-forgets-votes": planted("_core", _SnapshotWithoutVotes),
    "rotation-forgets-certificates": planted("_core", _SnapshotWithoutCertificates, "reboots"),
    "block-not-fetched": planted("_core._pursuit", _NothingFetched, "fed:withholder"),
    "untimely-is-bad": UntimelyIsBad,
}
