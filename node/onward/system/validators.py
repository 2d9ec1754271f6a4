"""Who the next validators are: proposals, votes of the organisations, readiness of newcomers.

    validators/newest              the number of the newest approved set; absent while it is 0
    validators/set/<epoch>         ApprovedSet, from epoch 1 on; kept for ever
    validators/proposal/<org>      ProposalRecord: one open proposal for each organisation
    validators/ready/<key>         ReadyRecord: which result the holder of a key has computed

    validators.propose   signed by a validator's key: a whole next set, and the one it replaces
    validators.ready     signed by a newcomer's key: it has computed a recent result of the chain
    validators.approve   signed by a validator's key: one vote for its organisation

Statements about validators are judged by the validators' own keys, which the chain knows: were an
organisation's vote that of a party, whoever registers parties could vote in its name. The actor of
such a transaction may be any registered party; a validator's key signs beside it.

A set is approved by more than two thirds of the organisations that have a validator in the newest
approved set. Approval cannot be taken back: blocks are judged by it (docs/spec/consensus.md). Who
is *ready* is what the chain knows: the validators that stay under their keys, and newcomers with a
fresh `validators.ready`. Whether a machine runs at this moment is not state.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Protocol

from onward import limits
from onward.errors import CorruptionError, RejectCode
from onward.ledger.block import set_hash
from onward.ledger.genesis import CONTROL_CHARACTERS
from onward.ledger.leaf import EVERYONE
from onward.system.parties import NAMESPACE, StateReader
from onward.types import Epoch, PublicKey, Validator, ValidatorSet
from onward_chaincode.contract import Context, Json, Reader, Refuse
from onward_proto.canonical import CanonicalError, decode, encode, nested, raw, text, uint

_U53 = 2**53 - 1
_NEWEST = "validators/newest"
_PROPOSALS = "validators/proposal/"
_PROPOSALS_END = "validators/proposal0"  # "0" follows "/": behind every name, whatever its letters
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?", re.ASCII)
_FEWEST = 4
"""Fewer validators tolerate no liar: only a chain that began with fewer may go below."""


class ChainHistory(Protocol):
    """What the node knows of the chain below the block that is being executed."""

    @property
    def height(self) -> int:
        """The height of the block that is being executed."""

    @property
    def first_set_hash(self) -> bytes:
        """The id of the genesis' validator set."""

    def log_at(self, height: int) -> tuple[int, bytes] | None:
        """Size and root of the log after an earlier block, or None."""


class ValidatorsContext(Context, Protocol):
    """A context of the system's own contract."""

    @property
    def signers(self) -> tuple[bytes, ...]:
        """The public keys that signed the transaction."""

    @property
    def history(self) -> ChainHistory | None:
        """The chain so far; None where a transaction is tried without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A validator in a proposal or in an approved set."""

    name: Annotated[str, text(1, minimum=1, maximum=32)]
    organisation: Annotated[str, text(2, minimum=1, maximum=limits.PARTY_ID_BYTES_MAX)]
    public_key: Annotated[bytes, raw(3, size=32)]


Members = tuple[Member, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Propose:
    """Payload of validators.propose: the newest approved set as it is, and the next one."""

    current: Annotated[Members, nested(1, Member, count=limits.VALIDATORS_MAX)]
    following: Annotated[Members, nested(2, Member, count=limits.VALIDATORS_MAX)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Approve:
    """Payload of validators.approve: whose proposal, and which transaction made it."""

    organisation: Annotated[str, text(1, minimum=1, maximum=limits.PARTY_ID_BYTES_MAX)]
    proposal: Annotated[bytes, raw(2, size=32)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """Payload of validators.ready: the log after a recent block, as the newcomer computed it."""

    public_key: Annotated[bytes, raw(1, size=32)]
    height: Annotated[int, uint(2, maximum=_U53)]
    log_size: Annotated[int, uint(3, maximum=_U53)]
    log_root: Annotated[bytes, raw(4, size=32)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalRecord:
    """An open proposal. `approved_by`: the organisations that voted for it, sorted."""

    proposal: Annotated[bytes, raw(1, size=32)]
    epoch: Annotated[int, uint(2, maximum=_U53)]
    current: Annotated[Members, nested(3, Member, count=limits.VALIDATORS_MAX)]
    following: Annotated[Members, nested(4, Member, count=limits.VALIDATORS_MAX)]
    approved_by: Annotated[
        tuple[str, ...],
        text(5, minimum=1, maximum=limits.PARTY_ID_BYTES_MAX, count=limits.VALIDATORS_MAX),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyRecord:
    """The height of the newest result that the holder of a key has shown to know."""

    height: Annotated[int, uint(1, maximum=_U53)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovedSet:
    """The validators of an epoch, and the time of the block whose state first held them."""

    members: Annotated[Members, nested(1, Member, count=limits.VALIDATORS_MAX)]
    approved_ms: Annotated[int, uint(2, maximum=_U53)]


# -- what the node reads ---------------------------------------------------------------------------


def approved_key(epoch: int) -> str:
    """Where the set of an epoch stands in the whole state."""
    return f"{NAMESPACE}/{_set_key(epoch)}"


def approved_set(state: StateReader, epoch: int) -> tuple[ValidatorSet, int] | None:
    """The approved set of an epoch from 1 on, and the time of its approval, or None."""
    data = state.get(approved_key(epoch))
    if data is None:
        return None
    try:
        record = decode(ApprovedSet, data)
    except CanonicalError as error:
        raise CorruptionError(f"validator set of epoch {epoch}: {error}") from None
    return validator_set(epoch, record.members), record.approved_ms


def validator_set(epoch: int, members: Members) -> ValidatorSet:
    """The set of an epoch with these members, in their order."""
    return ValidatorSet(
        epoch=Epoch(epoch),
        members=tuple(
            Validator(
                name=item.name,
                organisation=item.organisation,
                public_key=PublicKey(item.public_key),
            )
            for item in members
        ),
    )


def members_of(validators: ValidatorSet) -> Members:
    """The members of a set, as payloads carry them."""
    return tuple(
        Member(name=item.name, organisation=item.organisation, public_key=item.public_key)
        for item in validators.members
    )


def describe(view: Reader) -> Json:
    """The newest approved set and the open proposals, for people and programs.

    Without `validators` while the newest set is that of the genesis.
    """
    data = view.get(_NEWEST)
    epoch = 0 if data is None else int(data)
    known = view.get(_set_key(epoch)) if epoch else None
    rows = view.scan(_PROPOSALS, _PROPOSALS_END, limits.VALIDATORS_MAX)
    proposals = [(key.removeprefix(_PROPOSALS), decode(ProposalRecord, row)) for key, row in rows]
    return {
        "epoch": epoch,
        "validators": [] if known is None else _listed(decode(ApprovedSet, known).members),
        "proposals": [
            {
                "organisation": organisation,
                "proposal": record.proposal.hex(),
                "epoch": record.epoch,
                "validators": _listed(record.following),
                "approved_by": list(record.approved_by),
            }
            for organisation, record in proposals
        ],
    }


def _listed(members: Members) -> list[dict[str, str]]:
    return [
        {"name": m.name, "organisation": m.organisation, "public_key": m.public_key.hex()}
        for m in members
    ]


# -- the transactions ------------------------------------------------------------------------------


def propose(ctx: ValidatorsContext, payload: Propose) -> None:
    """Open a proposal for the set after the newest one, in place of the organisation's earlier."""
    history = _history(ctx)
    epoch = _newest(ctx)
    known = ctx.get(_set_key(epoch)) if epoch else None
    if known is not None:
        is_current = decode(ApprovedSet, known).members == payload.current
    else:
        is_current = set_hash(validator_set(0, payload.current)) == history.first_set_hash
    if not is_current:
        raise Refuse(RejectCode.STATE, f"the set it replaces is not that of epoch {epoch}")
    organisation = _voter(ctx, payload.current)
    _check_set(payload.following, first_size=_first_size(ctx, payload, epoch))
    if payload.following == payload.current:
        raise Refuse(RejectCode.VALIDATORS, "it changes nothing")
    for item in payload.following:
        before = next((old for old in payload.current if old.public_key == item.public_key), None)
        if before is not None and before.name != item.name:
            raise Refuse(RejectCode.VALIDATORS, f"the key of {before.name} under {item.name}")
    record = ProposalRecord(
        proposal=bytes.fromhex(ctx.tx_id),
        epoch=epoch + 1,
        current=payload.current,
        following=payload.following,
        approved_by=(),
    )
    ctx.put(_PROPOSALS + organisation, encode(record))
    if epoch == 0:
        first = ApprovedSet(members=payload.current, approved_ms=0)
        ctx.put(_set_key(0), encode(first))
    ctx.emit(
        "validators.proposed",
        {
            "epoch": epoch + 1,
            "organisation": organisation,
            "proposal": ctx.tx_id,
            "validators": [item.name for item in payload.following],
        },
        EVERYONE,
    )


def ready(ctx: ValidatorsContext, payload: Ready) -> None:
    """A newcomer shows that it holds its key and follows the chain."""
    history = _history(ctx)
    if payload.public_key not in ctx.signers:
        raise Refuse(RejectCode.COUNTERSIGNATURE, "the validator's new key has not signed")
    if not any(payload.public_key in _newcomers(item) for item in _open_proposals(ctx)):
        raise Refuse(RejectCode.VALIDATORS, "no open proposal names this key as a new one")
    _check_fresh(history, payload.height)
    if history.log_at(payload.height) != (payload.log_size, payload.log_root):
        raise Refuse(RejectCode.STATE, f"the log after block {payload.height} was another one")
    ctx.put(_ready_key(payload.public_key), encode(ReadyRecord(height=payload.height)))
    ctx.emit(
        "validators.ready",
        {"key": payload.public_key.hex(), "height": payload.height},
        EVERYONE,
    )


def approve(ctx: ValidatorsContext, payload: Approve) -> None:
    """One organisation's vote; the one that makes more than two thirds approves the set."""
    history = _history(ctx)
    data = ctx.get(_PROPOSALS + payload.organisation)
    record = None if data is None else decode(ProposalRecord, data)
    if record is None or record.proposal != payload.proposal:
        raise Refuse(RejectCode.NOT_FOUND, f"{payload.organisation} has no such open proposal")
    if record.epoch != _newest(ctx) + 1:  # an approval sweeps the others away; this is the bolt
        raise Refuse(RejectCode.STATE, f"it was for epoch {record.epoch}, which has its validators")
    voter = _voter(ctx, record.current)
    if voter in record.approved_by:
        raise Refuse(RejectCode.DUPLICATE, f"{voter} has approved it already")
    _check_ready(ctx, history, record)
    votes = tuple(sorted({*record.approved_by, voter}))
    organisations = {item.organisation for item in record.current}
    is_approved = 3 * len(votes) > 2 * len(organisations)
    if is_approved:
        approved = ApprovedSet(members=record.following, approved_ms=ctx.time_ms)
        ctx.put(_set_key(record.epoch), encode(approved))
        ctx.put(_NEWEST, str(record.epoch).encode())
        for key, _ in _proposal_rows(ctx):
            ctx.delete(key)  # the others replace a set that is the newest no more
    else:
        changed = ProposalRecord(
            proposal=record.proposal,
            epoch=record.epoch,
            current=record.current,
            following=record.following,
            approved_by=votes,
        )
        ctx.put(_PROPOSALS + payload.organisation, encode(changed))
    ctx.emit(
        "validators.approved" if is_approved else "validators.voted",
        {"epoch": record.epoch, "votes": list(votes), "organisations": len(organisations)},
        EVERYONE,
    )


# -- the rules -------------------------------------------------------------------------------------


def _check_set(members: Members, first_size: int) -> None:
    fewest = min(_FEWEST, first_size)
    if not fewest <= len(members) <= limits.VALIDATORS_MAX:
        raise Refuse(
            RejectCode.VALIDATORS,
            f"{len(members)} validators, expected {fewest} to {limits.VALIDATORS_MAX}",
        )
    for what, found in (
        ("name", [item.name for item in members]),
        ("key", [item.public_key.hex() for item in members]),
    ):
        if len(set(found)) != len(found):
            raise Refuse(RejectCode.VALIDATORS, f"one {what} stands twice in the set")
    for item in members:
        if not _NAME.fullmatch(item.name):
            raise Refuse(RejectCode.VALIDATORS, f"{item.name!r} is no name of a validator")
        if CONTROL_CHARACTERS.search(item.organisation):
            raise Refuse(
                RejectCode.VALIDATORS, f"a control character in {item.name}'s organisation"
            )


def _check_ready(ctx: ValidatorsContext, history: ChainHistory, record: ProposalRecord) -> None:
    """The set must be able to go on: newcomers are ready, and the ready ones are a quorum."""
    missing = [
        item.name
        for item in record.following
        if item.public_key in _newcomers(record) and not _is_ready(ctx, history, item.public_key)
    ]
    size = len(record.following)
    quorum, count = validator_set(record.epoch, record.following).quorum, size - len(missing)
    if count < quorum:
        raise Refuse(
            RejectCode.QUORUM,
            f"{count} of {size} validators would be ready, a quorum is {quorum}: "
            f"{', '.join(missing)} posted no fresh validators.ready",
        )
    if missing:
        raise Refuse(RejectCode.NOT_READY, f"{', '.join(missing)} posted no fresh validators.ready")


def _is_ready(ctx: ValidatorsContext, history: ChainHistory, public_key: bytes) -> bool:
    data = ctx.get(_ready_key(public_key))
    return data is not None and _is_fresh(history, decode(ReadyRecord, data).height)


def _is_fresh(history: ChainHistory, height: int) -> bool:
    return history.height - limits.READY_BLOCKS_MAX <= height < history.height


def _check_fresh(history: ChainHistory, height: int) -> None:
    if height < 1 or not _is_fresh(history, height):
        raise Refuse(
            RejectCode.STATE,
            f"a result of block {height} at block {history.height}: at most "
            f"{limits.READY_BLOCKS_MAX} blocks old",
        )


def _voter(ctx: ValidatorsContext, members: Members) -> str:
    """The organisation in whose name a validator's key has signed: exactly one."""
    found = sorted({item.organisation for item in members if item.public_key in ctx.signers})
    if len(found) != 1:
        raise Refuse(
            RejectCode.SIGNER,
            f"signed by validators of {len(found)} organisations, expected one",
        )
    return found[0]


def _newcomers(record: ProposalRecord) -> frozenset[bytes]:
    """The keys that would be new in the set: of joiners, and of who changes its key."""
    before = {item.public_key for item in record.current}
    return frozenset(item.public_key for item in record.following) - before


def _open_proposals(ctx: ValidatorsContext) -> list[ProposalRecord]:
    return [decode(ProposalRecord, data) for _, data in _proposal_rows(ctx)]


def _proposal_rows(ctx: ValidatorsContext) -> list[tuple[str, bytes]]:
    """One for each organisation in the newest set at most: an approval sweeps them away."""
    return ctx.scan(_PROPOSALS, _PROPOSALS_END, limits.VALIDATORS_MAX)


def _first_size(ctx: ValidatorsContext, payload: Propose, epoch: int) -> int:
    """How many validators the genesis has."""
    data = ctx.get(_set_key(0))
    if epoch == 0 or data is None:
        return len(payload.current)
    return len(decode(ApprovedSet, data).members)


def _newest(ctx: ValidatorsContext) -> int:
    data = ctx.get(_NEWEST)
    return 0 if data is None else int(data)


def _history(ctx: ValidatorsContext) -> ChainHistory:
    if ctx.history is None:
        raise Refuse(RejectCode.UNAVAILABLE, "validators change only where there is a chain")
    return ctx.history


def _set_key(epoch: int) -> str:
    return f"validators/set/{epoch}"


def _ready_key(public_key: bytes) -> str:
    return f"validators/ready/{public_key.hex()}"
