"""Shares: recording a hand-over, passing it on, confirming it, taking it back."""

from __future__ import annotations

from onward_chaincode import limits
from onward_chaincode.agreement import (
    begin_child,
    count_first_share,
    find_agreement,
    grant_of,
    require_active_party,
    store_agreement,
    use_approval,
)
from onward_chaincode.contract import Context, Party, Reader, Recorded, Refuse
from onward_chaincode.errors import Code, refuse
from onward_chaincode.keys import (
    active_key,
    alike,
    blob_key,
    commitment_key,
    derive_id,
    share_key,
)
from onward_chaincode.months import month_of
from onward_chaincode.onward import (
    Attempt,
    Case,
    judge,
    require_in_force,
    require_never_named,
    require_not_attested,
    require_subset,
)
from onward_chaincode.payloads import (
    Parcel,
    ShareAck,
    ShareOnward,
    ShareRecord,
    ShareWithdraw,
)
from onward_chaincode.records import AgreementRecord, Reference, ShareEntry, Tally, load, save
from onward_chaincode.refusal import record_refusal
from onward_chaincode.standing import (
    Line,
    effective_fields,
    effective_purposes,
    line_of,
    parties_of,
)
from onward_proto.canonical import changed


def onward(ctx: Context, payload: ShareOnward) -> Recorded | None:
    """share.onward: the child agreement and the share, at once, or a recorded refusal."""
    recipient = require_active_party(ctx, payload.recipient)
    if payload.recipient not in (ctx.caller, *ctx.cosigners):
        raise refuse(Code.COUNTERSIG, f"{payload.recipient} has not signed")
    attempt = Attempt(
        sharer=ctx.caller,
        recipient=recipient,
        parent_agreement_id=payload.parent_agreement,
        parent_share_id=payload.parent_share,
        child=payload.child,
        parcel=payload.share,
        inside=None,
        approval=payload.approval,
    )
    try:
        case = judge(attempt, ctx, ctx.time_ms)
    except Refuse as refusal:
        return record_refusal(ctx, attempt, refusal)
    child = begin_child(ctx, case, None)
    share = _write_share(ctx, child, payload.share, case)
    _announce(ctx, "share.onward", share, (child, *case.path))
    return None


def record(ctx: Context, payload: ShareRecord) -> Recorded | None:
    """share.record: one more hand-over under an agreement, by its first party."""
    agreement = find_agreement(ctx, payload.agreement)
    if ctx.caller != agreement.first_party:
        raise refuse(Code.SIGNER, f"{ctx.caller} is not the first party of this agreement")
    recipient = require_active_party(ctx, agreement.second_party)
    if agreement.parent_id is not None:
        return _record_inside_child(ctx, agreement, recipient, payload)
    if payload.parent_share is not None:
        raise refuse(Code.FORMAT, "parent_share has no meaning under a root agreement")
    require_in_force(agreement, ctx.time_ms)
    parcel, line = payload.share, (agreement,)
    require_not_attested(line)
    fields = frozenset(effective_fields(line))
    require_subset(Code.FIELDS, "the share's fields", parcel.fields, fields)
    named = (parcel.purpose,) if parcel.purpose else ()
    purposes = frozenset(effective_purposes(line))
    require_subset(Code.PURPOSE, "the share's purpose", named, purposes)
    require_never_named(ctx, parcel.commitment, parcel.blob)
    share = _write_share(ctx, agreement, parcel, None)
    _announce(ctx, "share.record", share, line)
    return None


def _record_inside_child(
    ctx: Context, child: AgreementRecord, recipient: Party, payload: ShareRecord
) -> Recorded | None:
    """A share under a child agreement is an onward share: all rules, as they stand now."""
    if payload.parent_share is None or child.parent_id is None:
        raise refuse(Code.UNKNOWN_PARENT, "inside a child agreement, name the share passed on")
    attempt = Attempt(
        sharer=ctx.caller,
        recipient=recipient,
        parent_agreement_id=child.parent_id,
        parent_share_id=payload.parent_share,
        child=grant_of(child),
        parcel=payload.share,
        inside=child,
        approval=payload.approval,
    )
    try:
        case = judge(attempt, ctx, ctx.time_ms)
    except Refuse as refusal:
        return record_refusal(ctx, attempt, refusal)
    use_approval(ctx, case, child.agreement_id)
    if child.share_count == 0:
        count_first_share(ctx, case)
    share = _write_share(ctx, child, payload.share, case)
    _announce(ctx, "share.record", share, case.in_force)
    return None


def acknowledge(ctx: Context, payload: ShareAck) -> None:
    """share.ack: the recipient confirms receipt, once."""
    share = find_share(ctx, payload.share)
    if ctx.caller != share.recipient:
        raise refuse(Code.SIGNER, f"the share did not go to {ctx.caller}")
    if share.acknowledged_at_ms is not None:
        raise refuse(Code.STATE, f"acknowledged at {share.acknowledged_at_ms}")
    save(ctx, share_key(share.share_id), changed(share, acknowledged_at_ms=ctx.time_ms))
    agreement = find_agreement(ctx, share.agreement_id)
    _announce(ctx, "share.ack", share, line_of(ctx, agreement))


def withdraw(ctx: Context, payload: ShareWithdraw) -> None:
    """share.withdraw: the sender or the rights holder takes a share back; R13 then holds it."""
    share = find_share(ctx, payload.share)
    agreement = find_agreement(ctx, share.agreement_id)
    if ctx.caller not in (share.sender, agreement.rights_holder):
        raise refuse(Code.SIGNER, "only the sender or the rights holder withdraws a share")
    if share.withdrawn_at_ms is not None:
        raise refuse(Code.STATE, f"withdrawn at {share.withdrawn_at_ms}")
    save(ctx, share_key(share.share_id), changed(share, withdrawn_at_ms=ctx.time_ms))
    _announce(ctx, "share.withdraw", share, line_of(ctx, agreement))


def find_share(reader: Reader, share_id: bytes) -> ShareEntry:
    """A share. Raises `Refuse` E_UNKNOWN_SHARE."""
    share = load(reader, share_key(share_id), ShareEntry)
    if share is None:
        raise refuse(Code.UNKNOWN_SHARE, f"share {share_id.hex()} is not recorded")
    return share


def _write_share(
    ctx: Context, agreement: AgreementRecord, parcel: Parcel, case: Case | None
) -> ShareEntry:
    """Write a share that every rule allows, its indexes and its counts."""
    share_id = derive_id("share", ctx.tx_id)
    seq, month = agreement.share_count + 1, month_of(ctx.time_ms)
    tallies = _tallied(agreement, parcel, seq, month)
    share = ShareEntry(
        share_id=share_id,
        agreement_id=agreement.agreement_id,
        seq=seq,
        previous_share_id=agreement.last_share_id,
        sender=agreement.first_party,
        recipient=agreement.second_party,
        fields=parcel.fields,
        purpose=parcel.purpose,
        transform=parcel.transform,
        commitment=parcel.commitment,
        blob=parcel.blob,
        parent_share_id=None if case is None else case.share.share_id,
        recorded_at_ms=ctx.time_ms,
        acknowledged_at_ms=None,
        withdrawn_at_ms=None,
        onward_count=0,
        tally_start=tallies[-1].start,
        tally_count=tallies[-1].count,
    )
    save(ctx, share_key(share_id), share)
    note_named(ctx, parcel.commitment, parcel.blob, share_id)
    store_agreement(
        ctx,
        changed(
            agreement,
            share_count=seq,
            last_share_id=share_id,
            tallies=tallies,
            tallied_month=month,
        ),
    )
    if case is not None:
        parent = case.share
        save(ctx, share_key(parent.share_id), changed(parent, onward_count=parent.onward_count + 1))
        key = active_key(parent.share_id, share.recipient, parcel.fields)
        save(ctx, key, Reference(target=agreement.agreement_id))
    return share


def note_named(ctx: Context, commitment: bytes, blob: bytes | None, share_id: bytes) -> None:
    """Write down what R28 looks for: the commitment, and the blob if one is named."""
    for key in (commitment_key(commitment), *(() if blob is None else (blob_key(blob),))):
        save(ctx, key, Reference(target=share_id))


def _tallied(agreement: AgreementRecord, parcel: Parcel, seq: int, month: str) -> tuple[Tally, ...]:
    """The tallies of an agreement with one more share, whose tally comes last."""
    kind = alike(parcel.purpose, parcel.fields)
    earlier = agreement.tallies if agreement.tallied_month == month else ()
    own = next((one for one in earlier if one.kind == kind), Tally(kind=kind, start=seq))
    others = tuple(one for one in earlier if one.kind != kind)
    counted = changed(own, count=own.count + 1)
    return (*others[-(limits.TALLIES_MAX - 1) :], counted)


def _announce(ctx: Context, event: str, share: ShareEntry, line: Line) -> None:
    """Tell everybody on the path."""
    parent = share.parent_share_id
    ctx.emit(
        event,
        {
            "agreement_id": share.agreement_id.hex(),
            "at_ms": ctx.time_ms,
            "parent_share_id": None if parent is None else parent.hex(),
            "recipient": share.recipient,
            "sender": share.sender,
            "share_id": share.share_id.hex(),
        },
        parties_of(line),
    )
