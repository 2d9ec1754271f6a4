"""Planted bugs about batches: lanes, acknowledgements, fetching, the check of envelopes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from onward import limits
from onward.consensus.effects import LaneEffect, StoreBatch
from onward.consensus.lanes import DurableBatch, Lanes
from onward.consensus.links import Link
from onward.ledger.block import Batch, Block, Cut, LanePoint
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


@contextmanager
def _without(limit: str) -> Iterator[None]:
    """As if nobody had thought of this limit."""
    bound = getattr(limits, limit)
    setattr(limits, limit, _NO_LIMIT)
    try:
        yield
    finally:
        setattr(limits, limit, bound)


class _Unlimited(Lanes):
    """Proposers and voters alike forget one limit of a cut."""

    limit = ""

    def make_cut(self, parent: Cut, executed: Cut, turn: int) -> Cut:
        with _without(self.limit):
            return super().make_cut(parent, executed, turn)

    def lacks(self, parent: Cut, cut: Cut, executed: Cut) -> tuple[Digest, ...]:
        with _without(self.limit):
            return super().lacks(parent, cut, executed)

    def lacks_final(self, parent: Cut, cut: Cut) -> tuple[Digest, ...]:
        with _without(self.limit):
            return super().lacks_final(parent, cut)


class _AnyGrowth(_Unlimited):
    """A block takes all that waits in a lane, however many batches that are."""

    limit = "LANE_BATCHES_PER_BLOCK_MAX"


class _AnyDistance(_Unlimited):
    """Lanes are ordered however far ahead of execution they are."""

    limit = "LANE_AHEAD_OF_EXECUTED_MAX"


class _AnySize(_Unlimited):
    """The bytes of a block are not counted."""

    limit = "BLOCK_BYTES_MAX"


class _AnyCount(_Unlimited):
    """The bodies of a block are not counted."""

    limit = "BLOCK_BODIES_MAX"


class _MadeTooLong(Lanes):
    """Leaders take all that waits in a lane, and voters refuse it."""

    def make_cut(self, parent: Cut, executed: Cut, turn: int) -> Cut:
        with _without("LANE_BATCHES_PER_BLOCK_MAX"):
            return super().make_cut(parent, executed, turn)


class _GrowthUnjudged(Lanes):
    """Voters do not look how far a cut grows, and one leader takes what it likes."""

    def make_cut(self, parent: Cut, executed: Cut, turn: int) -> Cut:
        if self._config.me != _GREEDY:
            return super().make_cut(parent, executed, turn)
        with _without("LANE_BATCHES_PER_BLOCK_MAX"):
            return super().make_cut(parent, executed, turn)

    def _check_growth(
        self, author: int, start: LanePoint, point: LanePoint, executed: LanePoint
    ) -> None:
        del author, start, point, executed


class _OrdersUnexecuted(Proposals):
    """More and more is ordered however far execution is behind."""

    __slots__ = ()

    def _cut(self, parent: Block, executed: Any) -> Cut:
        with _without("EXECUTION_LAG_BLOCKS_MAX"):
            return super()._cut(parent, executed)

    def _reply(self, *arguments: Any) -> Any:
        with _without("EXECUTION_LAG_BLOCKS_MAX"):
            return super()._reply(*arguments)


class _TipStays(Lanes):
    """A tip on a branch that was not delivered stays where it is, and the lane with it."""

    def jump_to(self, cut: Cut) -> None:
        before = tuple(self._tips)
        super().jump_to(cut)
        for author, tip in enumerate(before):
            if tip.seq > cut[author].seq and tip.head not in self._links:
                self._tips[author] = tip


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
_NO_LIMIT = 2**53
_GREEDY = 3  # it leads the first view in which anything is heard again

LANES: dict[str, type[Mutant]] = {
    "batch-acknowledged-unstored": planted(_LANES, _AcksUnstored),
    "own-lane-forks-at-reboot": planted(_LANES, _OwnLaneForgotten, "reboots"),
    "batch-delivered-twice": planted(_LANES, _CutNotAdvanced),
    "lane-delivered-backwards": planted(_LANES, _Backwards, "left behind"),
    "cut-grows-without-limit": planted(_LANES, _AnyGrowth, "overfull"),
    "cut-made-too-long": planted(_LANES, _MadeTooLong, "overfull"),
    "cut-growth-not-judged": planted(_LANES, _GrowthUnjudged, "overfull"),
    "cut-ahead-without-limit": planted(_LANES, _AnyDistance, "overfull"),
    "block-bytes-not-counted": planted(_LANES, _AnySize, "large"),
    "block-bodies-not-counted": planted(_LANES, _AnyCount, "many"),
    "orders-while-execution-lags": planted("_proposals", _OrdersUnexecuted, "unsigned"),
    "tip-on-a-dead-branch": planted(_LANES, _TipStays, "pipelined:lane_forker"),
    "votes-for-unheld-batches": planted("_proposals", _VotesUnheld),
    "envelope-lost-in-sealing": planted("_lanes.mempool", _TakesAndDrops),
    "client-signature-unverified": _Anything,
    "key-lookup-at-batch-check": KeyLookupAtBatchCheck,
}
