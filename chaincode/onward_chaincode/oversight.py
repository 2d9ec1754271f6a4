"""What auditors do: suspend an agreement and let it go on, flag violations and close them.

    agreement  ACTIVE | SCHEDULED -> SUSPENDED -> ACTIVE, or REVOKED by those who may revoke
    violation  OPEN -> RESOLVED (it was mended) | REJECTED (there was none); answered at most once

Anybody on the path may flag. Only the flag of an auditor whose mandate covers the root, and who
does not stand on the path, bars the accused from passing anything on under that root (R14), until
an auditor closes it. Who names an amended agreement stops the one that stands in its place.
"""

from __future__ import annotations

from onward_chaincode.agreement import find_agreement, find_current, store_agreement
from onward_chaincode.contract import Context, Json, Reader
from onward_chaincode.errors import Code, refuse
from onward_chaincode.keys import derive_id, violation_key
from onward_chaincode.mandate import covers, require_mandate
from onward_chaincode.obligation import count_sanction
from onward_chaincode.payloads import (
    AgreementResume,
    AgreementSuspend,
    ViolationAnswer,
    ViolationFlag,
    ViolationResolve,
)
from onward_chaincode.records import AgreementRecord, ViolationRecord, load, save
from onward_chaincode.standing import (
    ACTIVE,
    SCHEDULED,
    SUSPENDED,
    line_of,
    own_status,
    parties_of,
)
from onward_proto.canonical import changed

OPEN = "OPEN"


def suspend(ctx: Context, payload: AgreementSuspend) -> None:
    """agreement.suspend: it and everything below is not in force until it is resumed."""
    agreement = find_current(ctx, payload.agreement)
    require_mandate(ctx, line_of(ctx, agreement))
    status = own_status(agreement, ctx.time_ms)
    if status not in (ACTIVE, SCHEDULED):
        raise refuse(Code.STATE, f"the agreement is {status}")
    store_agreement(ctx, changed(agreement, state=SUSPENDED, changed_at_ms=ctx.time_ms))
    _announce(ctx, "agreement.suspend", agreement, {"evidence": payload.evidence.hex()})


def resume(ctx: Context, payload: AgreementResume) -> None:
    """agreement.resume: its period went on meanwhile."""
    agreement = find_current(ctx, payload.agreement)
    require_mandate(ctx, line_of(ctx, agreement))
    status = own_status(agreement, ctx.time_ms)
    if status != SUSPENDED:
        raise refuse(Code.STATE, f"the agreement is {status}")
    store_agreement(ctx, changed(agreement, state=ACTIVE, changed_at_ms=ctx.time_ms))
    _announce(ctx, "agreement.resume", agreement, {})


def flag(ctx: Context, payload: ViolationFlag) -> None:
    """violation.flag: against the second party of an agreement, by the path or an auditor."""
    agreement = find_agreement(ctx, payload.agreement)
    line = line_of(ctx, agreement)
    blocks = covers(ctx, ctx.caller, line, ctx.time_ms)
    on_path = ctx.caller in parties_of(line)
    if not (blocks or on_path) or ctx.caller == agreement.second_party:
        raise refuse(Code.SIGNER, f"{ctx.caller} cannot accuse under this agreement")
    violation = ViolationRecord(
        violation_id=derive_id("violation", ctx.tx_id),
        agreement_id=agreement.agreement_id,
        root_id=agreement.root_id,
        against=agreement.second_party,
        flagged_by=ctx.caller,
        ground=payload.ground,
        evidence=payload.evidence,
        blocks=blocks,
        flagged_at_ms=ctx.time_ms,
        state=OPEN,
    )
    if blocks:
        count_sanction(ctx, agreement.root_id, agreement.second_party, violations=1)
    _store(ctx, violation)
    _announce(ctx, "violation.flag", agreement, _told(violation))


def answer(ctx: Context, payload: ViolationAnswer) -> None:
    """violation.answer: by the accused, once; the violation stays open."""
    violation = find_violation(ctx, payload.violation)
    if ctx.caller != violation.against:
        raise refuse(Code.SIGNER, f"{ctx.caller} is not accused")
    if violation.state != OPEN or violation.answer is not None:
        raise refuse(Code.STATE, f"the violation is {violation.state} or answered")
    violation = changed(violation, answer=payload.evidence, answered_at_ms=ctx.time_ms)
    _store(ctx, violation)
    agreement = find_agreement(ctx, violation.agreement_id)
    _announce(ctx, "violation.answer", agreement, _told(violation))


def resolve(ctx: Context, payload: ViolationResolve) -> None:
    """violation.resolve: by an auditor whose mandate covers the root."""
    violation = find_violation(ctx, payload.violation)
    agreement = find_agreement(ctx, violation.agreement_id)
    require_mandate(ctx, line_of(ctx, agreement))
    if violation.state != OPEN:
        raise refuse(Code.STATE, f"the violation is {violation.state}")
    violation = changed(
        violation, state=payload.finding, closed_by=ctx.caller, closed_at_ms=ctx.time_ms
    )
    if violation.blocks:
        count_sanction(ctx, violation.root_id, violation.against, violations=-1)
    _store(ctx, violation)
    _announce(ctx, "violation.resolve", agreement, _told(violation))


def find_violation(reader: Reader, violation_id: bytes) -> ViolationRecord:
    """A violation. Raises `Refuse` E_UNKNOWN_VIOLATION."""
    violation = load(reader, violation_key(violation_id), ViolationRecord)
    if violation is None:
        raise refuse(Code.UNKNOWN_VIOLATION, f"violation {violation_id.hex()} is not recorded")
    return violation


def _store(ctx: Context, violation: ViolationRecord) -> None:
    save(ctx, violation_key(violation.violation_id), violation)


def _told(violation: ViolationRecord) -> Json:
    return {
        "against": violation.against,
        "blocks": violation.blocks,
        "ground": violation.ground,
        "state": violation.state,
        "violation_id": violation.violation_id.hex(),
    }


def _announce(ctx: Context, event: str, agreement: AgreementRecord, more: Json) -> None:
    """Tell everybody on the path, and the auditor."""
    readers = {ctx.caller, *parties_of(line_of(ctx, agreement))}
    ctx.emit(
        event,
        {"agreement_id": agreement.agreement_id.hex(), "at_ms": ctx.time_ms, **more},
        tuple(sorted(readers)),
    )
