"""Planted bugs about batches: lanes, acknowledgements, fetching, the check of envelopes."""

from __future__ import annotations

from typing import Any

from onward.consensus.effects import LaneEffect, StoreBatch
from onward.consensus.lanes import DurableBatch, Lanes
from onward.consensus.links import Link
from onward.ledger.block import Batch, Cut
from onward.ledger.store import STATE, Store
from onward.ledger.transaction import CheckedEnvelope, Opened, open_envelope
from onward.mempool import Mempool
from onward.replica.proposals import Proposals
from onward.simulation.mutants.mutant import Mutant, planted
from onward.system.parties import read_party
from onward.types import Digest


class _AcksUnstored(Lanes):
    """A batch is acknowledged, and voted on, without being stored."""

    def on_checked(
        self, head: bytes, bodies: int | None, opened: Opened | None = None
    ) -> tuple[LaneEffect, ...]:
        effects = super().on_checked(head, bodies, opened)
        return tuple(effect for effect in effects if not isinstance(effect, StoreBatch))


class _OwnLaneForgotten(Lanes):
    """After a reboot the own lane goes on from what was delivered: it forks."""

    def restore(self, batches: tuple[DurableBatch, ...]) -> None:
        me = self._config.me
        super().restore(tuple(item for item in batches if item.batch.author != me))


class _CutNotAdvanced(Lanes):
    """One lane's place is not moved on by a delivery: its batches are delivered again."""

    def jump_to(self, cut: Cut) -> None:
        super().jump_to((self._cut[0], *cut[1:]))


class _Backwards(Lanes):
    """The batches of a lane are delivered newest first."""

    def deliver(self, cut: Cut) -> tuple[Link, ...]:
        links = super().deliver(cut)
        return tuple(sorted(links, key=lambda link: (link.batch.author, -link.batch.seq)))


class _VotesUnheld(Proposals):
    """A proposal is voted on before its batches are here."""

    __slots__ = ()

    def _missing(self, question: Any) -> tuple[Digest, ...]:
        super()._missing(question)
        return ()


class _TakesAndDrops(Mempool):
    """One of the envelopes that go into a batch is lost where several wait."""

    __slots__ = ()

    def take(self) -> tuple[CheckedEnvelope, ...]:
        taken = super().take()
        return taken[:-1] or taken


class _Anything(Mutant):
    """Clients' signatures are not verified where a batch comes in."""

    checks_batches = True
    trial = "swarm:bad_sealer"

    def check_batch(self, host: Any, batch: Batch) -> tuple[Opened | None, str]:
        """Whatever can be taken apart will do."""
        del host
        return tuple(open_envelope(envelope) for envelope in batch.envelopes), ""


class KeyLookupAtBatchCheck(Mutant):
    """Whether a batch is valid depends on which keys this validator has seen registered so far."""

    trial = "lossy"
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


_LANES = "_lanes.lanes"

LANES: dict[str, type[Mutant]] = {
    "batch-acknowledged-unstored": planted(_LANES, _AcksUnstored),
    "own-lane-forks-at-reboot": planted(_LANES, _OwnLaneForgotten, "reboots"),
    "batch-delivered-twice": planted(_LANES, _CutNotAdvanced),
    "lane-delivered-backwards": planted(_LANES, _Backwards, "left behind"),
    "votes-for-unheld-batches": planted("_proposals", _VotesUnheld),
    "envelope-lost-in-sealing": planted("_lanes.mempool", _TakesAndDrops),
    "client-signature-unverified": _Anything,
    "key-lookup-at-batch-check": KeyLookupAtBatchCheck,
}
