"""Duties after the end: to stop using what was received, to erase it, and to say so.

When an agreement ends, however it ends, everybody below it owes the same. Nothing is written then:
whether a duty is open, of which kind and until when follows from the path to the root, and is
derived whenever somebody asks. Written is only what somebody says of it: `obligation.attest` by
the party that owes it, `obligation.flag_overdue` by anybody once the date has passed.

    kind    ERASE if the terms say REQUIRED, or ON_REQUEST and something on the path was revoked or
            terminated (who leaves leaves nobody to ask); else STOP
    due     end + how long it may be kept (ERASE only) + attest_within_ms
    order   a party attests after everybody who received from it has: the parent's record counts
            the children that hold data and have not attested
"""

from __future__ import annotations

from dataclasses import dataclass

from onward_chaincode.agreement import find_agreement, store_agreement
from onward_chaincode.contract import Context, Json, Reader
from onward_chaincode.errors import BrokenStateError, Code, refuse
from onward_chaincode.keys import obligation_key, sanction_key
from onward_chaincode.payloads import ObligationAttest, ObligationFlagOverdue
from onward_chaincode.records import (
    AgreementRecord,
    ObligationRecord,
    SanctionRecord,
    load,
    save,
)
from onward_chaincode.standing import (
    REVOKED,
    SUPERSEDED,
    TERMINATED,
    Line,
    line_of,
    own_end,
    own_status,
    parties_of,
)
from onward_chaincode.terms import Terms, find_terms
from onward_proto.canonical import changed

STOP, ERASE, RETURN, ANONYMISE = "STOP", "ERASE", "RETURN", "ANONYMISE"
OPEN, OVERDUE, ATTESTED = "OPEN", "OVERDUE", "ATTESTED"

# Whoever has erased has stopped; whoever gave back everything keeps nothing.
_MET_BY = {STOP: (ANONYMISE, ERASE, RETURN, STOP), ERASE: (ERASE, RETURN)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """What the second party of an agreement owes since `since_ms`."""

    kind: str
    since_ms: int
    due_ms: int
    state: str


def duty_of(line: Line, terms: Terms, time_ms: int) -> Duty | None:
    """The duty under the first agreement of `line`; None while it goes on, or if it never shared.

    The earliest end on the path counts: from then on nothing was in force below.
    """
    agreement = line[0]
    if agreement.share_count == 0 or agreement.state == SUPERSEDED:
        return None
    ends = [end for item in line if (end := own_end(item, time_ms)) is not None]
    if not ends:
        return None
    asked = any(own_status(item, time_ms) in (REVOKED, TERMINATED) for item in line)
    erase = terms.deletion == "REQUIRED" or (terms.deletion == "ON_REQUEST" and asked)
    kept = min(item.retention_ms for item in line) if erase else 0
    due_ms = min(ends) + kept + terms.attest_within_ms
    if agreement.attested_at_ms is not None:
        state = ATTESTED
    else:
        state = OVERDUE if time_ms >= due_ms else OPEN
    return Duty(kind=ERASE if erase else STOP, since_ms=min(ends), due_ms=due_ms, state=state)


def attest(ctx: Context, payload: ObligationAttest) -> None:
    """obligation.attest: by the party that owes it, after everybody below; early erasure too."""
    agreement = find_agreement(ctx, payload.agreement)
    if ctx.caller != agreement.second_party:
        raise refuse(Code.SIGNER, f"{ctx.caller} is not the second party of this agreement")
    if agreement.state == SUPERSEDED or agreement.share_count == 0:
        raise refuse(Code.STATE, "nothing was received under this agreement, or it was amended")
    if agreement.attested_at_ms is not None:
        raise refuse(Code.STATE, f"attested at {agreement.attested_at_ms}")
    if agreement.open_child_count > 0:
        raise refuse(
            Code.CHILD_OUTSTANDING,
            f"{agreement.open_child_count} who received from {ctx.caller} have not attested",
        )
    line = line_of(ctx, agreement)
    _, terms = find_terms(ctx, agreement.terms_id)
    duty = duty_of(line, terms, ctx.time_ms)
    meeting = _MET_BY[ERASE if duty is None else duty.kind]
    if payload.kind not in meeting:
        raise refuse(
            Code.OBLIGATION, f"{payload.kind} is attested, expected {' or '.join(meeting)}"
        )
    store_agreement(ctx, changed(agreement, attested_at_ms=ctx.time_ms))
    if len(line) > 1:
        above = line[1]
        store_agreement(ctx, changed(above, open_child_count=above.open_child_count - 1))
    said = find_obligation(ctx, agreement)
    if said.flagged_at_ms is not None:
        count_sanction(ctx, agreement.root_id, agreement.second_party, overdue=-1)
    said = changed(
        said,
        attested_at_ms=ctx.time_ms,
        attested_kind=payload.kind,
        evidence=payload.evidence,
    )
    save(ctx, obligation_key(agreement.agreement_id), said)
    about = {
        "kind": payload.kind,
        "party": agreement.second_party,
        "since_ms": None if duty is None else duty.since_ms,
    }
    _announce(ctx, "obligation.attest", line, duty, about)


def flag_overdue(ctx: Context, payload: ObligationFlagOverdue) -> None:
    """obligation.flag_overdue: by anybody, once; R14 reads what it writes.

    Whoever signs is shown the event: it names nobody whom a stranger might not know.
    """
    agreement = find_agreement(ctx, payload.agreement)
    line = line_of(ctx, agreement)
    _, terms = find_terms(ctx, agreement.terms_id)
    duty = duty_of(line, terms, ctx.time_ms)
    if duty is None or duty.state != OVERDUE:
        raise refuse(Code.NOT_OVERDUE, "no duty under this agreement is overdue")
    said = find_obligation(ctx, agreement)
    if said.flagged_at_ms is not None:
        raise refuse(Code.STATE, "this duty has been flagged")
    said = changed(said, flagged_at_ms=ctx.time_ms, flagged_by=ctx.caller)
    save(ctx, obligation_key(agreement.agreement_id), said)
    count_sanction(ctx, agreement.root_id, agreement.second_party, overdue=1)
    _announce(ctx, "obligation.flag_overdue", line, duty, {"kind": duty.kind})


def find_obligation(reader: Reader, agreement: AgreementRecord) -> ObligationRecord:
    """What was said of the duty under an agreement, if anything was."""
    said = load(reader, obligation_key(agreement.agreement_id), ObligationRecord)
    return said or ObligationRecord(
        agreement_id=agreement.agreement_id,
        root_id=agreement.root_id,
        party=agreement.second_party,
    )


def count_sanction(
    ctx: Context, root_id: bytes, party: str, *, overdue: int = 0, violations: int = 0
) -> None:
    """Add to, or take away from, what bars a party under a root; the key goes when nothing does."""
    key = sanction_key(root_id, party)
    found = load(ctx, key, SanctionRecord) or SanctionRecord()
    overdue_count = found.overdue_count + overdue
    violation_count = found.violation_count + violations
    if min(overdue_count, violation_count) < 0:
        raise BrokenStateError(f"{key} would count below zero")
    if overdue_count == violation_count == 0:
        ctx.delete(key)
        return
    counted = SanctionRecord(overdue_count=overdue_count, violation_count=violation_count)
    save(ctx, key, counted)


def _announce(ctx: Context, event: str, line: Line, duty: Duty | None, more: Json) -> None:
    """Tell everybody on the path."""
    ctx.emit(
        event,
        {
            "agreement_id": line[0].agreement_id.hex(),
            "at_ms": ctx.time_ms,
            "due_ms": None if duty is None else duty.due_ms,
            **more,
        },
        parties_of(line),
    )
