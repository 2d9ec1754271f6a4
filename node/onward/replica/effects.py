"""What goes into a replica and what comes out of it.

A driver (the asyncio node or the seeded simulation) owns time, disk and network. It calls
`Replica.step(event, now_ms)` and performs the `Effects` that come back. `now_ms` is UTC in
milliseconds and never runs backwards.

The order of a step's effects is a rule of safety:

1. `persist` goes to the journal and the batch log, and both are synced. Later steps may run
   meanwhile, but
2. `send` and `answers` of a step leave only when every `persist` of this and of earlier steps is
   durable, and in the order of the steps: a vote that a crash could make us forget must never have
   been sent.
3. `commit` and `store` are visible to reads of the store before the next step. They become durable
   later, in order, and never before the `persist` of the same and earlier steps.
4. `rotate` replaces the journal by one new segment with these records, after every earlier `commit`
   is durable in the database and before any later `persist`.
5. `verify` jobs may run anywhere; each is answered by one `BatchChecked`.
6. `serve` asks the driver to read a `ChainPage` from disk (blocks and batches from a height on) and
   to send it to the peer; the replica itself never reads the batch log.
7. `wake_at_ms`: the next step, with `Tick`, at the latest then. It replaces every earlier wish.
8. `halt`: no further step. What this one and earlier ones persist, store and send is done as ever,
   and then the node ends with this error: the evidence of a fork must outlive it.
"""

from __future__ import annotations

from dataclasses import dataclass

from onward.consensus.journal import JournalRecord
from onward.consensus.messages import PeerMessage
from onward.errors import DivergenceError, RejectedError, Unavailable
from onward.ledger.block import Batch
from onward.ledger.leaf import LedgerEvent
from onward.ledger.store import WriteBatch
from onward.ledger.transaction import CheckedEnvelope, Opened
from onward.types import Digest, ValidatorIndex

# -- events ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """The first event: what this validator's disk still holds."""

    journal: tuple[JournalRecord, ...]  # the newest segment, in order; empty for a new validator
    batches: tuple[Batch, ...]  # durable, not yet delivered as the store knows, in log order


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """Time has passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerUp:
    """A peer's connection stands; what was sent on an earlier one may be lost."""

    peer: ValidatorIndex


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerDown:
    """A peer's connection is gone."""

    peer: ValidatorIndex


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A decoded message of an authenticated peer. Its content has not been verified."""

    peer: ValidatorIndex
    message: PeerMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """Envelopes that passed `check_envelope` at this node's door, in the order they came."""

    envelopes: tuple[CheckedEnvelope, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchChecked:
    """The answer to a `verify` job.

    `opened`: the batch's envelopes taken apart, or None when some envelope is invalid, and then
    `error` is the first reason.
    """

    head: Digest
    opened: Opened | None
    error: str = ""


Event = Boot | Tick | PeerUp | PeerDown | Received | Submitted | BatchChecked


# -- effects ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbound:
    """A message to one peer, or to every other validator."""

    to: ValidatorIndex | None
    message: PeerMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyJob:
    """Check every envelope of a batch (`check_envelope`) and its body count."""

    head: Digest
    batch: Batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of one ordered body. `code` is `OK` or `E_...`; void bodies have no leaf."""

    tx_hash: Digest
    height: int
    code: str
    rule: str
    message: str
    outcome: int  # ledger.leaf.Outcome, or 0 for void
    log_index: int  # place of its leaf; meaningless when void
    event: LedgerEvent | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One executed block: the database's write batch, and the verdicts to answer clients with."""

    height: int
    time_ms: int
    state_root: Digest
    writes: WriteBatch
    batch_heads: tuple[Digest, ...]  # the batches that the block delivered, in order
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A submission that was not taken in."""

    tx_hashes: tuple[Digest, ...]
    error: RejectedError | Unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class Serve:
    """A peer wants the delivered chain from `from_height` on."""

    to: ValidatorIndex
    from_height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """A typed event for logs, metrics and golden traces; dropping it changes nothing.

    Fields are text or integers, in a fixed order.
    """

    name: str
    fields: tuple[tuple[str, str | int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """What the driver must do. The module's head gives the order."""

    persist: tuple[JournalRecord | Batch, ...] = ()
    rotate: tuple[JournalRecord, ...] | None = None
    commit: Commit | None = None
    store: tuple[WriteBatch, ...] = ()
    send: tuple[Outbound, ...] = ()
    verify: tuple[VerifyJob, ...] = ()
    answers: tuple[Answer, ...] = ()
    serve: tuple[Serve, ...] = ()
    wake_at_ms: int | None = None
    events: tuple[Happened, ...] = ()
    halt: DivergenceError | None = None
