"""Planted bugs about results: execution, checkpoints, catching up, evidence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from onward.consensus.effects import BlockVerdict
from onward.consensus.messages import Certificate, ChainEntry, Evidence
from onward.execution.block import BlockExecution
from onward.ledger.block import Block, Cut, batch_head
from onward.ledger.store import TRANSACTION, Store
from onward.replica.accusations import Accusations
from onward.replica.catchup import CatchUp
from onward.replica.checkpoints import Checkpoints
from onward.replica.payload import VALID, PayloadRules
from onward.replica.proposals import Proposals
from onward.simulation.mutants.mutant import Mutant, planted


class _AnyResult(PayloadRules):
    """The result that a proposal names is not compared with the own one."""

    __slots__ = ()

    def judge(self, block: Block, parent: Block, *, first_sight: bool, now_ms: int) -> Any:
        judged = super().judge(block, parent, first_sight=first_sight, now_ms=now_ms)
        is_other = judged.verdict is BlockVerdict.INVALID and "another result" in judged.reason
        return VALID if is_other else judged


class _TimeGoesBack(Proposals):
    """A proposal has the time of its leader's clock, even where the parent's is later."""

    __slots__ = ()

    def build(self, view: int, now_ms: int) -> Any:
        built = super().build(view, now_ms)
        return built and (built[0], replace(built[1], time_ms=now_ms))


class ReplayNotSeen(Mutant):
    """A body that was executed in an earlier block is executed again."""

    trial = "resubmitted"

    def on_config(self, config: Any) -> Any:
        """Execution does not find the transactions of earlier blocks."""
        return replace(config, begin_block=_begin_without_history)


class _NoHistory:
    """A store without executed transactions."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, key: bytes) -> bytes | None:
        """The value, unless it is a transaction's."""
        return None if key.startswith(TRANSACTION) else self._store.get(key)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def _begin_without_history(store: Any, *arguments: Any) -> BlockExecution:
    return BlockExecution(_NoHistory(store), *arguments)


class LocalTime(Mutant):
    """One validator executes with a time of its own: its result differs from the others'."""

    def on_config(self, config: Any) -> Any:
        """Where the result of another replica is taken over, this is not seen; elsewhere it is."""
        if config.me != 1:
            return config
        begin = config.begin_block

        def begin_later(store: Any, tip: Any, ordered: Any, *rest: Any) -> BlockExecution:
            later = replace(ordered.block, time_ms=ordered.block.time_ms + 1)
            found: BlockExecution = begin(store, tip, replace(ordered, block=later), *rest)
            return found

        return replace(config, begin_block=begin_later)


class _EarlyCheckpoints(Checkpoints):
    """A result is certified with one signature too few."""

    __slots__ = ()

    def _certify(self, height: int) -> Any:
        whole = self._validators
        self._validators = _Fewer(whole)  # type: ignore[assignment]
        try:
            return super()._certify(height)
        finally:
            self._validators = whole


class _Fewer:
    def __init__(self, validators: Any) -> None:
        self._validators = validators
        self.quorum = validators.quorum - 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._validators, name)


class _AnyCheckpoint(Checkpoints):
    """A peer's signature over a result is counted without being verified."""

    __slots__ = ()

    def _count(self, signer: int, height: int, signature: bytes) -> None:
        self._judged[height].add(signer)
        self._signatures[height][signer] = signature


class _PageUnproved(CatchUp):
    """The finalization that closes a page is not verified."""

    __slots__ = ()

    def _check_final(self, final: Certificate, block: Block, digest: bytes) -> None:
        del final, block, digest


class _PageBatchesUnchecked(CatchUp):
    """The batches of a page are taken as they come."""

    __slots__ = ()

    def _checked_heads(self, cut: Cut, entry: ChainEntry) -> tuple[bytes, ...]:
        del cut
        return tuple(batch_head(self._chain_id, batch) for batch in entry.batches)


class _EvidenceKept(Accusations):
    """Evidence is kept and told to nobody."""

    __slots__ = ()

    def accuse(self, evidence: Evidence) -> None:
        out: Any = self._out()
        send, out.send = out.send, _nothing
        try:
            super().accuse(evidence)
        finally:
            out.send = send

    def of_each(self) -> tuple[Evidence, ...]:
        return ()


class _EvidenceDropped(Accusations):
    """A cheater that was found is not accused."""

    __slots__ = ()

    def accuse(self, evidence: Evidence) -> None:
        del evidence


def _nothing(*arguments: object) -> None:
    """Nothing is done."""
    del arguments


RESULTS: dict[str, type[Mutant]] = {
    "executed-result-not-compared": planted("_proposals._rules", _AnyResult, "swarm:misreporter"),
    "time-goes-back": planted("_proposals", _TimeGoesBack, "clocks"),
    "body-executed-twice": ReplayNotSeen,
    "executes-with-own-time": LocalTime,
    "checkpoint-too-early": planted("_checkpoints", _EarlyCheckpoints),
    "checkpoint-unverified": planted("_checkpoints", _AnyCheckpoint, "swarm:garbler"),
    "page-unproved": planted("_catch_up", _PageUnproved, "left behind:page_liar"),
    "page-batches-unchecked": planted("_catch_up", _PageBatchesUnchecked, "left behind:page_liar"),
    "evidence-not-told": planted("_accusations", _EvidenceKept, "accountable:equivocator"),
    "evidence-dropped": planted("_accusations", _EvidenceDropped, "accountable:double_voter"),
}
