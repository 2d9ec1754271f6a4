"""Planted bugs: each must make some seed fail, or the oracles are not worth their name.

They are applied to the real objects from outside, at the seams that a mistake would sit in; nothing
in the node knows of them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from onward.consensus.effects import BlockVerdict
from onward.consensus.promises import FINALIZE
from onward.errors import invariant
from onward.ledger.block import Batch
from onward.ledger.store import STATE, Store
from onward.ledger.transaction import Opened, open_envelope
from onward.simulation.disk import SteppedDisk
from onward.system.parties import read_party
from onward.types import ValidatorSet


class Mutant:
    """A bug. The methods say where one may sit; by default it sits nowhere."""

    checks_batches = False
    disk_type: type[SteppedDisk] = SteppedDisk

    def on_host(self, host: Any) -> None:
        """Change a machine before it starts."""

    def on_config(self, config: Any) -> Any:
        """Change what a replica is started with."""
        return config

    def on_replica(self, replica: Any) -> None:
        """Change a replica before its first event."""

    def check_batch(self, host: Any, batch: Batch) -> tuple[Opened | None, str]:
        """Stands in for the stateless check of a batch, where `checks_batches`."""
        del host, batch
        return None, ""


class _WeakSet(ValidatorSet):
    """A validator set that takes 2f for a quorum."""

    __slots__ = ()

    @property
    def quorum(self) -> int:
        return max(1, 2 * ((self.size - 1) // 3))


class QuorumOfTwoF(Mutant):
    """Two quorums need not share an honest validator: halves of the network decide alone."""

    def on_config(self, config: Any) -> Any:
        """Every certificate of this validator is made and checked with 2f votes."""
        honest = config.genesis.validators
        weak = _WeakSet(epoch=honest.epoch, members=honest.members)
        return replace(config, genesis=replace(config.genesis, validators=weak))


class FinalizeAfterNullify(Mutant):
    """S2 is forgotten: a view that was given up is finalized all the same."""

    def on_replica(self, replica: Any) -> None:
        """Neither the rule nor the kernel asks about the other kind."""
        promises = replica._core._promises  # noqa: SLF001

        def may_finalize(view: int) -> bool:
            return view > promises._floor_view and not promises.has(FINALIZE, view)  # noqa: SLF001

        def check_history(kind: Any, view: int) -> None:
            invariant(not promises.has(kind, view), "S1")

        promises.may_finalize = may_finalize
        promises._check_history = check_history  # noqa: SLF001


class SendBeforePersist(Mutant):
    """What a step sends leaves at once; the journal may follow."""

    def on_host(self, host: Any) -> None:
        """The driver has the order wrong."""
        host.sends_early = True


class OwnVotesNotRecounted(Mutant):
    """A rebooted validator remembers its votes without counting them: all wait for one more."""

    def on_replica(self, replica: Any) -> None:
        """Restored votes are not tallied."""
        replica._core._recount = _ignore  # noqa: SLF001


class UntimelyIsBad(Mutant):
    """A proposal that came at the wrong time by this clock is remembered as invalid."""

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


class _RotatesEarly(SteppedDisk):
    """Rotates as soon as the step is persisted; the database is written when it is written."""

    def persist(self) -> bool:
        done = super().persist()
        for place, work in enumerate(self._to_settle):
            if work.rotate is not None:
                self._journal.rotate(work.rotate)
                self._to_settle[place] = replace(work, rotate=None)
                self._rotating = False
        return done


class RotateBeforeSync(Mutant):
    """The journal forgets votes and proofs that the database does not have yet."""

    disk_type = _RotatesEarly


class KeyLookupAtBatchCheck(Mutant):
    """Whether a batch is valid depends on which keys this validator has seen registered so far."""

    checks_batches = True

    def check_batch(self, host: Any, batch: Batch) -> tuple[Opened | None, str]:
        """The check asks the state, which is another one at each validator."""
        state = _State(host.disk.store)
        opened = tuple(open_envelope(envelope) for envelope in batch.envelopes)
        for transactions in opened:
            for transaction in transactions:
                record = read_party(state, transaction.body.actor)
                if record is None or not set(record.public_keys) & set(transaction.signers):
                    return None, f"E_PARTY: {transaction.body.actor}"
        return opened, ""


class _State:
    """A store's contract state by text key."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, key: str) -> bytes | None:
        """The value of `key`."""
        return self._store.get(STATE + key.encode())


def _ignore(vote: object) -> None:
    """Nothing is counted."""
    del vote


MUTANTS: dict[str, type[Mutant]] = {
    "finalize-after-nullify": FinalizeAfterNullify,
    "key-lookup-at-batch-check": KeyLookupAtBatchCheck,
    "own-votes-not-recounted": OwnVotesNotRecounted,
    "quorum-of-2f": QuorumOfTwoF,
    "rotate-before-sync": RotateBeforeSync,
    "send-before-persist": SendBeforePersist,
    "untimely-is-bad": UntimelyIsBad,
}
"""By the name that `onward simulate --mutant` takes."""
