"""Mandates: what an auditor may read, suspend, flag and close.

A mandate covers everything (ALL, by an administrator), the agreements under one terms document
(TERMS, by its publisher), or one root with all below it (ROOT, by its rights holder). Whether one
covers an agreement is three reads at most. They lie here and not with the node, because their
scopes are nouns of this contract.
"""

from __future__ import annotations

from onward_chaincode.agreement import find_agreement, require_active_party
from onward_chaincode.contract import Context, Reader
from onward_chaincode.errors import Code, refuse
from onward_chaincode.keys import mandate_key
from onward_chaincode.payloads import MandateGrant, MandateRevoke
from onward_chaincode.records import MandateRecord, load, save
from onward_chaincode.standing import Line, parties_of
from onward_chaincode.terms import find_terms

ALL, ROOT, TERMS = "ALL", "ROOT", "TERMS"


def grant(ctx: Context, payload: MandateGrant) -> None:
    """mandate.grant: a second grant of the same scope replaces the first."""
    subject = _require_grantor(ctx, payload)
    if require_active_party(ctx, payload.auditor).kind != "AUDITOR":
        raise refuse(Code.PARTY, f"{payload.auditor} is no auditor", rule="")
    expires_at_ms = payload.expires_at_ms
    if expires_at_ms is not None and expires_at_ms <= ctx.time_ms:
        raise refuse(Code.WINDOW, f"the mandate would end at {expires_at_ms}", rule="")
    record = MandateRecord(
        granted_by=ctx.caller, granted_at_ms=ctx.time_ms, expires_at_ms=expires_at_ms
    )
    save(ctx, mandate_key(payload.auditor, payload.scope, subject), record)
    _announce(ctx, "mandate.grant", payload, subject)


def revoke(ctx: Context, payload: MandateRevoke) -> None:
    """mandate.revoke: by whoever could grant it."""
    subject = _require_grantor(ctx, payload)
    key = mandate_key(payload.auditor, payload.scope, subject)
    if ctx.get(key) is None:
        raise refuse(Code.UNKNOWN_MANDATE, f"{payload.auditor} holds no such mandate")
    ctx.delete(key)
    _announce(ctx, "mandate.revoke", payload, subject)


def covers(reader: Reader, auditor: str, line: Line, time_ms: int) -> bool:
    """Whether a mandate of this party covers the first agreement of `line` now.

    Nobody audits itself, nor those to whom it gave: who stands on the path is no auditor of it.
    """
    if auditor in parties_of(line):
        return False
    agreement = line[0]
    return any(
        _holds(reader, mandate_key(auditor, scope, subject), time_ms)
        for scope, subject in (
            (ROOT, agreement.root_id),
            (TERMS, agreement.terms_id),
            (ALL, None),
        )
    )


def require_mandate(ctx: Context, line: Line) -> None:
    """Raises `Refuse` E_MANDATE unless the caller is an auditor whose mandate covers the root."""
    if not covers(ctx, ctx.caller, line, ctx.time_ms):
        raise refuse(Code.MANDATE, f"no mandate of {ctx.caller} covers this agreement")


def _holds(reader: Reader, key: str, time_ms: int) -> bool:
    record = load(reader, key, MandateRecord)
    if record is None:
        return False
    return record.expires_at_ms is None or time_ms < record.expires_at_ms


def _require_grantor(ctx: Context, payload: MandateGrant | MandateRevoke) -> bytes | None:
    """The caller decides about this scope; answers what it is about, None for everything."""
    agreement_id, terms_id = payload.agreement, payload.terms
    stated = (agreement_id is not None, terms_id is not None)
    if stated != (payload.scope == ROOT, payload.scope == TERMS):
        raise refuse(Code.FORMAT, "ROOT goes with an agreement, TERMS with terms, ALL with neither")
    if agreement_id is not None:
        agreement = find_agreement(ctx, agreement_id)
        if ctx.caller != agreement.rights_holder:
            raise refuse(Code.SIGNER, f"{ctx.caller} is not the rights holder of this root")
        return agreement.root_id
    if terms_id is not None:
        record, terms = find_terms(ctx, terms_id)
        if ctx.caller != record.publisher:
            raise refuse(Code.SIGNER, f"{terms.label} was published by {record.publisher}")
        return terms_id
    party = ctx.party(ctx.caller)
    if party is None or party.kind != "ADMINISTRATOR":
        raise refuse(Code.SIGNER, f"{ctx.caller} is no administrator")
    return None


def _announce(
    ctx: Context, event: str, payload: MandateGrant | MandateRevoke, subject: bytes | None
) -> None:
    """A mandate over one root concerns who is in it; any other is known to everybody."""
    readers: tuple[str, ...] = ("*",)
    if payload.scope == ROOT:
        readers = tuple(sorted({ctx.caller, payload.auditor}))
    ctx.emit(
        event,
        {
            "at_ms": ctx.time_ms,
            "auditor": payload.auditor,
            "by": ctx.caller,
            "scope": payload.scope,
            "subject": None if subject is None else subject.hex(),
        },
        readers,
    )
