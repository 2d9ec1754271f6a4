"""How an agreement ends: revoked by the side that gave, terminated by the side that received.

Only the agreement itself is written. Everything derived from it is no longer in force from the
same block on, because `standing` looks at the whole path (the lazy cascade). Who names an
agreement that was amended ends the one that stands in its place: an amendment in the same block
gets ahead of nobody.
"""

from __future__ import annotations

from dataclasses import replace

from onward_chaincode.agreement import find_current, store_agreement
from onward_chaincode.contract import Context, Json
from onward_chaincode.errors import Code, refuse
from onward_chaincode.onward import require_subset
from onward_chaincode.payloads import AgreementRevoke, AgreementTerminate
from onward_chaincode.records import AgreementRecord
from onward_chaincode.standing import (
    ACTIVE,
    REVOKED,
    SCHEDULED,
    SUSPENDED,
    effective_fields,
    effective_purposes,
    line_of,
    own_status,
    parties_of,
)
from onward_chaincode.terms import Terms, find_terms

ALL, FIELDS = "ALL", "FIELDS"


def revoke(ctx: Context, payload: AgreementRevoke) -> None:
    """agreement.revoke: at once, never delayed by notice; a second time it changes nothing."""
    _require_scope_alone(payload)
    agreement = find_current(ctx, payload.agreement)
    _, terms = find_terms(ctx, agreement.terms_id)
    _require_may_revoke(ctx.caller, agreement, terms, payload.scope)
    status = own_status(agreement, ctx.time_ms)
    if status == REVOKED and payload.scope == ALL:
        _announce(ctx, agreement, payload, changed=False)
        return
    if status not in (ACTIVE, SCHEDULED, SUSPENDED):
        raise refuse(Code.STATE, f"agreement {agreement.agreement_id.hex()} is {status}")
    store_agreement(ctx, _revoked(ctx, agreement, payload))
    _announce(ctx, agreement, payload, changed=True)


def _require_scope_alone(payload: AgreementRevoke) -> None:
    wrong = {
        "ALL": payload.fields or payload.purposes,
        "FIELDS": payload.purposes,
        "PURPOSES": payload.fields,
    }[payload.scope]
    if wrong:
        raise refuse(Code.FORMAT, f"scope {payload.scope} does not go with {list(wrong)}")


def _require_may_revoke(caller: str, agreement: AgreementRecord, terms: Terms, scope: str) -> None:
    """The giving side may unless the terms say nobody; for BOTH the second party may end it."""
    giving = caller in (agreement.first_party, agreement.rights_holder)
    if not giving and caller != agreement.second_party:
        raise refuse(Code.SIGNER, f"{caller} is no party that could revoke this agreement")
    if terms.revocable_by == "NONE":
        raise refuse(Code.NOT_REVOCABLE, f"the terms {terms.label} allow no revocation")
    if not giving and (terms.revocable_by != "BOTH" or scope != ALL):
        raise refuse(Code.NOT_REVOCABLE, f"under {terms.label} the second party may terminate")


def _revoked(ctx: Context, agreement: AgreementRecord, payload: AgreementRevoke) -> AgreementRecord:
    changed = replace(agreement, changed_at_ms=ctx.time_ms)
    if payload.scope == ALL:
        return replace(changed, state=REVOKED)
    line = line_of(ctx, agreement)
    if payload.scope == FIELDS:
        fields = frozenset(effective_fields(line))
        require_subset(Code.FIELDS, "the fields to withdraw", payload.fields, fields)
        gone = tuple(sorted({*agreement.withdrawn_fields, *payload.fields}))
        return replace(changed, withdrawn_fields=gone)
    purposes = frozenset(effective_purposes(line))
    require_subset(Code.PURPOSE, "the purposes to withdraw", payload.purposes, purposes)
    left = tuple(sorted({*agreement.withdrawn_purposes, *payload.purposes}))
    return replace(changed, withdrawn_purposes=left)


def terminate(ctx: Context, payload: AgreementTerminate) -> None:
    """agreement.terminate: by the second party, no sooner than the terms' notice; once."""
    agreement = find_current(ctx, payload.agreement)
    if ctx.caller != agreement.second_party:
        raise refuse(Code.SIGNER, f"{ctx.caller} is not the second party of this agreement")
    status = own_status(agreement, ctx.time_ms)
    if status not in (ACTIVE, SCHEDULED, SUSPENDED) or agreement.terminates_at_ms is not None:
        raise refuse(Code.STATE, f"the agreement is {status} or has been given notice")
    _, terms = find_terms(ctx, agreement.terms_id)
    earliest = ctx.time_ms + terms.notice_ms
    at_ms = earliest if payload.effective_at_ms is None else payload.effective_at_ms
    if at_ms < earliest:
        raise refuse(Code.NOTICE, f"effective at {at_ms}, notice allows {earliest} at the earliest")
    store_agreement(ctx, replace(agreement, terminates_at_ms=at_ms, changed_at_ms=ctx.time_ms))
    _emit(ctx, "agreement.terminate", agreement, {"effective_at_ms": at_ms})


def _announce(
    ctx: Context, agreement: AgreementRecord, payload: AgreementRevoke, *, changed: bool
) -> None:
    _emit(
        ctx,
        "agreement.revoke",
        agreement,
        {
            "changed": changed,
            "fields": list(payload.fields),
            "purposes": list(payload.purposes),
            "reason": payload.reason,
            "scope": payload.scope,
        },
    )


def _emit(ctx: Context, event: str, agreement: AgreementRecord, more: Json) -> None:
    ctx.emit(
        event,
        {"agreement_id": agreement.agreement_id.hex(), "at_ms": ctx.time_ms, **more},
        parties_of(line_of(ctx, agreement)),
    )
