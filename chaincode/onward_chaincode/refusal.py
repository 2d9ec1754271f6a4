"""Refused onward shares are evidence: who tried, what, and which rule said no.

The record is readable by the sharer, by the rights holder and by every custodian on the path of
the data that was attempted. So that nobody fills the ledger with refusals, a party may cause a
bounded number of records per hour of block time (R20); past it an attempt is refused plainly and
leaves no record.
"""

from __future__ import annotations

from onward_chaincode import limits
from onward_chaincode.contract import Context, Recorded, Refuse
from onward_chaincode.errors import Code, refuse
from onward_chaincode.keys import agreement_key, quota_key, refusal_key, share_key
from onward_chaincode.onward import Attempt
from onward_chaincode.records import (
    AgreementRecord,
    QuotaRecord,
    RefusalRecord,
    ShareEntry,
    load,
    must_load,
    save,
)
from onward_chaincode.standing import line_of, parties_of

EVENT = "share.refused"


def record_refusal(ctx: Context, attempt: Attempt, refusal: Refuse) -> Recorded:
    """Keep the refusal of an attempt. Raises `Refuse` E_QUOTA (R20) past the bound."""
    _spend_quota(ctx, refusal)
    readers = _readers(ctx, attempt)
    record = RefusalRecord(
        code=refusal.code,
        rule=refusal.rule,
        sharer=attempt.sharer,
        recipient=attempt.recipient.party_id,
        parent_agreement_id=attempt.parent_agreement_id,
        parent_share_id=attempt.parent_share_id,
        refused_at_ms=ctx.time_ms,
        readers=readers,
    )
    save(ctx, refusal_key(ctx.tx_id), record)
    ctx.emit(
        EVENT,
        {
            "at_ms": ctx.time_ms,
            "code": refusal.code,
            "parent_agreement_id": attempt.parent_agreement_id.hex(),
            "parent_share_id": attempt.parent_share_id.hex(),
            "recipient": attempt.recipient.party_id,
            "rule": refusal.rule,
            "sharer": attempt.sharer,
        },
        readers,
    )
    return Recorded(code=refusal.code, rule=refusal.rule, message=str(refusal))


def _spend_quota(ctx: Context, refusal: Refuse) -> None:
    hour = ctx.time_ms // limits.HOUR_MS
    key = quota_key(ctx.caller)
    spent = load(ctx, key, QuotaRecord)
    count = spent.count if spent is not None and spent.hour == hour else 0
    if count >= limits.REFUSALS_PER_HOUR_MAX:
        raise refuse(
            Code.QUOTA,
            f"{ctx.caller} caused {count} refusals in this hour; this one ({refusal.code}) "
            "is not recorded",
        )
    save(ctx, key, QuotaRecord(hour=hour, count=count + 1))


def _readers(ctx: Context, attempt: Attempt) -> tuple[str, ...]:
    """The sharer and everybody on the path of the data, as far as the attempt names any."""
    share = load(ctx, share_key(attempt.parent_share_id), ShareEntry)
    if share is not None:
        agreement = must_load(ctx, agreement_key(share.agreement_id), AgreementRecord)
        return _with_path(ctx, attempt.sharer, agreement)
    named = load(ctx, agreement_key(attempt.parent_agreement_id), AgreementRecord)
    return (attempt.sharer,) if named is None else _with_path(ctx, attempt.sharer, named)


def _with_path(ctx: Context, sharer: str, agreement: AgreementRecord) -> tuple[str, ...]:
    return tuple(sorted({sharer, *parties_of(line_of(ctx, agreement))}))
