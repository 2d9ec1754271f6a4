"""Planted bugs about what must be durable before what."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from onward.ledger.store import TIP_KEY, WriteBatch
from onward.replica.effects import Commit, Effects
from onward.simulation.disk import SteppedDisk
from onward.simulation.mutants.mutant import Mutant, on_disk
from onward.storage.page_log import FOLDER as PAGES


class SendBeforePersist(Mutant):
    """What a step sends leaves at once; the journal may follow."""

    def on_host(self, host: Any) -> None:
        """The driver has the order wrong."""
        host.sends_early = True


class _RotatesEarly(SteppedDisk):
    """The journal forgets votes and proofs that the database does not have yet."""

    def persist(self) -> bool:
        done = super().persist()
        for place, work in enumerate(self._to_settle):
            if work.rotate is not None:
                self._journal.rotate(work.rotate)
                self._to_settle[place] = replace(work, rotate=None)
                self._rotating = False
        return done


class _SaysTooEarly(SteppedDisk):
    """The disk says that a step is durable when it has only been handed over."""

    @property
    def persisted_through(self) -> int:
        return self._staged_through


class _JournalUnsynced(SteppedDisk):
    """The journal is written and not synced."""

    def _persist_group(self) -> bool:
        _without_sync(self._journal)
        return super()._persist_group()


class _BatchesUnsynced(SteppedDisk):
    """The batch log is written and not synced."""

    def _persist_group(self) -> bool:
        _without_sync(self._log)
        return super()._persist_group()


class _PagesUnsynced(SteppedDisk):
    """The page log is written and not synced before the database says that it is."""

    def _settle_next(self) -> None:
        files: Any = self._files
        synced = files.sync

        def sync(name: str) -> None:
            if not name.startswith(f"{PAGES}/"):
                synced(name)

        files.sync = sync
        try:
            super()._settle_next()
        finally:
            files.sync = synced


class _NamesUnsynced(SteppedDisk):
    """A new journal segment's name is not synced to its directory."""

    def _settle_next(self) -> None:
        files: Any = self._files
        synced = files.sync_directory
        files.sync_directory = _nothing
        try:
            super()._settle_next()
        finally:
            files.sync_directory = synced


class _TailLeft(SteppedDisk):
    """The torn tail of the journal is not cut off at a start: what follows it is never read."""

    def recover(self) -> Any:
        journal: Any = self._journal
        files: Any = self._files
        cut, files.truncate = files.truncate, _nothing
        try:
            boot = super().recover()
        finally:
            files.truncate = cut
        name = journal._name(journal._number)  # noqa: SLF001
        journal._end = self._files.size(name)  # noqa: SLF001
        return boot


class _AllDelivered(SteppedDisk):
    """The log's scan floor passes batches that no block has delivered yet."""

    def _passed_by(self, delivered: dict[int, tuple[int, int]]) -> set[bytes]:
        lanes = {lane: (order[0], order[1] + 1) for lane, order in delivered.items()}
        return super()._passed_by(lanes)


class _TipLate(SteppedDisk):
    """A block's tip is written with the next block: after a crash it is executed twice."""

    def stage(self, effects: Effects) -> int:
        if effects.commit is None:
            return super().stage(effects)
        kept = tuple(row for row in effects.commit.writes.entries if row[0] != TIP_KEY)
        late = self.__dict__.get("late", ())
        self.__dict__["late"] = tuple(
            row for row in effects.commit.writes.entries if row[0] == TIP_KEY
        )
        return super().stage(replace(effects, commit=_with(effects.commit, (*kept, *late))))


def _with(commit: Commit, entries: tuple[tuple[bytes, bytes | None], ...]) -> Commit:
    return replace(commit, writes=WriteBatch(entries=entries))


def _without_sync(log: Any) -> None:
    """From here on its `sync` only says that it did."""

    def sync() -> None:
        log._unsynced = False  # noqa: SLF001

    log.sync = sync


def _nothing(*arguments: object) -> None:
    """Nothing is done."""
    del arguments


DISKS: dict[str, type[Mutant]] = {
    "send-before-persist": SendBeforePersist,
    "rotate-before-sync": on_disk(_RotatesEarly, "reboots"),
    "durable-said-too-early": on_disk(_SaysTooEarly, "reboots"),
    "journal-not-synced": on_disk(_JournalUnsynced, "reboots"),
    "batch-log-not-synced": on_disk(_BatchesUnsynced, "reboots"),
    "page-log-not-synced": on_disk(_PagesUnsynced, "reboots"),
    "segment-name-not-synced": on_disk(_NamesUnsynced, "rotations"),
    "torn-tail-not-cut": on_disk(_TailLeft, "reboots"),
    "undelivered-batch-passed-by": on_disk(_AllDelivered),
    "block-executed-twice": on_disk(_TipLate, "reboots"),
}
