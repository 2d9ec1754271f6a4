"""Amendments: both parties replace an agreement by another of the same terms and schema.

The old one is SUPERSEDED and stays readable; the new one carries on its counts and its place on
the path. What was derived from the old one stands on the new one from then on, and so does what
was received under it. Whatever is withdrawn in this way is withdrawn for everybody below at once.

While others build on it, an agreement only narrows: a child itself always, a root while somebody
holds data that came through it, and any agreement under deprecated terms.
"""

from __future__ import annotations

from onward_chaincode.agreement import (
    find_agreement,
    grant_of,
    require_root_grant,
    store_agreement,
)
from onward_chaincode.contract import Context
from onward_chaincode.errors import Code, refuse
from onward_chaincode.keys import current_key, derive_id
from onward_chaincode.payloads import AgreementAmend
from onward_chaincode.records import AgreementRecord, Reference, save
from onward_chaincode.standing import (
    ACTIVE,
    SCHEDULED,
    SUPERSEDED,
    Line,
    line_of,
    own_status,
    parties_of,
)
from onward_chaincode.terms import DEPRECATED, RECALLED, find_terms
from onward_proto.canonical import changed


def amend(ctx: Context, payload: AgreementAmend) -> None:
    """agreement.amend: one party acts, the other signs beside it."""
    old = find_agreement(ctx, payload.agreement)
    both = {old.first_party, old.second_party}
    if ctx.caller not in both:
        raise refuse(Code.SIGNER, f"{ctx.caller} is no party of this agreement")
    if not both <= {ctx.caller, *ctx.cosigners}:
        raise refuse(Code.COUNTERSIG, "an amendment is signed by both parties", rule="")
    line = line_of(ctx, old)
    _require_amendable(line, ctx.time_ms)
    new = _amended(ctx, old, payload)
    record, terms = find_terms(ctx, old.terms_id)
    if record.state == RECALLED:
        raise refuse(Code.TERMS_RECALLED, f"the terms {terms.label} were recalled", rule="")
    if new.expires_at_ms is not None and new.expires_at_ms <= max(ctx.time_ms, new.not_before_ms):
        raise refuse(Code.WINDOW, f"would expire at {new.expires_at_ms}", rule="")
    if len(line) > 1 or old.open_child_count > 0 or record.state == DEPRECATED:
        _require_narrower(old, new)
    else:
        require_root_grant(ctx, grant_of(new), ctx.time_ms)
    store_agreement(ctx, changed(old, state=SUPERSEDED, changed_at_ms=ctx.time_ms))
    store_agreement(ctx, new)
    save(ctx, current_key(old.series), Reference(target=new.agreement_id))
    ctx.emit(
        "agreement.amend",
        {
            "agreement_id": new.agreement_id.hex(),
            "at_ms": ctx.time_ms,
            "by": ctx.caller,
            "series_id": new.series.hex(),
            "supersedes_id": old.agreement_id.hex(),
        },
        parties_of(line),
    )


def _require_amendable(line: Line, time_ms: int) -> None:
    """Not ended, not suspended, not attested; nothing above it has ended either."""
    own = own_status(line[0], time_ms)
    if own not in (ACTIVE, SCHEDULED) or line[0].attested_at_ms is not None:
        raise refuse(Code.STATE, f"the agreement is {own} or attested")
    for ancestor in line[1:]:
        status = own_status(ancestor, time_ms)
        if status not in (ACTIVE, SCHEDULED):
            raise refuse(
                Code.ANCESTOR_ENDED, f"ancestor {ancestor.agreement_id.hex()} is {status}", rule=""
            )


def _amended(ctx: Context, old: AgreementRecord, payload: AgreementAmend) -> AgreementRecord:
    """The record that takes the old one's place; what the payload leaves out stays."""
    fields = payload.fields or tuple(sorted({*old.fields} - {*old.withdrawn_fields}))
    purposes = payload.purposes or tuple(sorted({*old.purposes} - {*old.withdrawn_purposes}))
    expires_at_ms, retention_ms = payload.expires_at_ms, payload.retention_ms
    return changed(
        old,
        agreement_id=derive_id("agreement", ctx.tx_id),
        fields=fields,
        purposes=purposes,
        notice=payload.notice,
        accepted_at_ms=ctx.time_ms,
        expires_at_ms=old.expires_at_ms if expires_at_ms is None else expires_at_ms,
        retention_ms=old.retention_ms if retention_ms is None else retention_ms,
        withdrawn_fields=(),
        withdrawn_purposes=(),
        state=ACTIVE,
        changed_at_ms=ctx.time_ms,
        supersedes_id=old.agreement_id,
        series_id=old.series,
        tallied_month="",
        tallies=(),
    )


def _require_narrower(old: AgreementRecord, new: AgreementRecord) -> None:
    """Raises `Refuse` E_WIDENS, naming what would grow."""
    before, after = old.expires_at_ms, new.expires_at_ms
    wider = (
        ("fields", not {*new.fields} <= {*old.fields} - {*old.withdrawn_fields}),
        ("purposes", not {*new.purposes} <= {*old.purposes} - {*old.withdrawn_purposes}),
        ("the period", before is not None and (after is None or after > before)),
        ("the retention", new.retention_ms > old.retention_ms),
    )
    grows = [name for name, found in wider if found]
    if grows:
        raise refuse(Code.WIDENS, f"{' and '.join(grows)} would grow while others build on less")
