"""Intentcasts: an intention to buy, answered only under an agreement made for it."""

from __future__ import annotations

from onward_chaincode.agreement import find_agreement, find_current
from onward_chaincode.contract import Context, Reader
from onward_chaincode.errors import Code, refuse
from onward_chaincode.keys import (
    caster_key,
    derive_id,
    intent_key,
    responded_key,
    response_key,
)
from onward_chaincode.onward import require_in_force
from onward_chaincode.payloads import IntentCast, IntentRespond, IntentSelect, IntentWithdraw
from onward_chaincode.records import (
    AgreementRecord,
    IntentRecord,
    Reference,
    ResponseRecord,
    load,
    must_load,
    save,
)
from onward_chaincode.schema import find_schema
from onward_chaincode.terms import EVERYONE, PUBLISHED, find_terms
from onward_proto.canonical import changed

OPEN, WITHDRAWN, SELECTED, EXPIRED = "OPEN", "WITHDRAWN", "SELECTED", "EXPIRED"


def cast(ctx: Context, payload: IntentCast) -> None:
    """intent.cast: a person's pseudonym, used for this cast only, advertises."""
    party = ctx.party(ctx.caller)
    if party is None or party.kind != "PERSON":
        raise refuse(Code.SIGNER, f"{ctx.caller} is no person's pseudonym")
    if ctx.get(caster_key(ctx.caller)) is not None:
        raise refuse(Code.PSEUDONYM, f"{ctx.caller} has cast an intent before")
    terms_record, terms = find_terms(ctx, payload.terms)
    if terms_record.state != PUBLISHED:
        code = Code.TERMS_DEPRECATED if terms_record.state == "DEPRECATED" else Code.TERMS_RECALLED
        raise refuse(code, f"the terms {terms.label} are {terms_record.state}", rule="")
    find_schema(ctx, payload.schema)
    if payload.expires_at_ms <= ctx.time_ms:
        raise refuse(Code.WINDOW, f"would expire at {payload.expires_at_ms}", rule="")
    if payload.price_low > payload.price_high or payload.max_acceptances < 1 or not payload.tags:
        raise refuse(
            Code.FORMAT, "price_low exceeds price_high, or max_acceptances or tags is empty"
        )
    intent = IntentRecord(
        intent_id=derive_id("intent", ctx.tx_id),
        caster=ctx.caller,
        terms_id=payload.terms,
        schema_id=payload.schema,
        industry=payload.industry,
        tags=payload.tags,
        brands=payload.brands,
        currency=payload.currency,
        price_low=payload.price_low,
        price_high=payload.price_high,
        cast_at_ms=ctx.time_ms,
        expires_at_ms=payload.expires_at_ms,
        max_acceptances=payload.max_acceptances,
        commitment=payload.commitment,
        state=OPEN,
        acceptance_count=0,
        selected=None,
    )
    save(ctx, intent_key(intent.intent_id), intent)
    save(ctx, caster_key(ctx.caller), Reference(target=intent.intent_id))
    _announce(ctx, "intent.cast", intent, EVERYONE)


def withdraw(ctx: Context, payload: IntentWithdraw) -> None:
    """intent.withdraw: the caster ends the cast; agreements made for it go on."""
    intent = _own_open_intent(ctx, payload.intent)
    save(ctx, intent_key(intent.intent_id), changed(intent, state=WITHDRAWN))
    _announce(ctx, "intent.withdraw", intent, EVERYONE)


def respond(ctx: Context, payload: IntentRespond) -> None:
    """intent.respond: a price, by the second party of an agreement in force made for the intent."""
    intent = find_intent(ctx, payload.intent)
    require_open(intent, ctx.time_ms)
    agreement = find_agreement(ctx, payload.agreement)
    if agreement.intent_id != intent.intent_id:
        raise refuse(Code.INTENT_MISMATCH, "the agreement was not made for this intentcast")
    if ctx.caller != agreement.second_party:
        raise refuse(Code.SIGNER, f"{ctx.caller} is not the second party of this agreement")
    require_in_force(agreement, ctx.time_ms)
    if payload.valid_until_ms <= ctx.time_ms:
        raise refuse(Code.WINDOW, f"valid until {payload.valid_until_ms}", rule="")
    slot = responded_key(intent.intent_id, agreement.series)
    earlier = load(ctx, slot, Reference)
    if earlier is not None:
        live = must_load(ctx, response_key(earlier.target), ResponseRecord)
        if ctx.time_ms < live.valid_until_ms:
            raise refuse(Code.STATE, f"a response stands until {live.valid_until_ms}")
    response = ResponseRecord(
        response_id=derive_id("response", ctx.tx_id),
        intent_id=intent.intent_id,
        agreement_id=agreement.agreement_id,
        responder=ctx.caller,
        price_minor=payload.price_minor,
        valid_until_ms=payload.valid_until_ms,
        commitment=payload.commitment,
        responded_at_ms=ctx.time_ms,
    )
    save(ctx, response_key(response.response_id), response)
    save(ctx, slot, Reference(target=response.response_id))
    _announce(ctx, "intent.respond", intent, _pair(intent, agreement), response)


def select(ctx: Context, payload: IntentSelect) -> None:
    """intent.select: the caster chooses a live response; the cast is over for the others."""
    intent = _own_open_intent(ctx, payload.intent)
    response = load(ctx, response_key(payload.response), ResponseRecord)
    if response is None or response.intent_id != intent.intent_id:
        raise refuse(
            Code.UNKNOWN_RESPONSE, f"no response {payload.response.hex()} to this intentcast"
        )
    if ctx.time_ms >= response.valid_until_ms:
        raise refuse(Code.STATE, f"the response was valid until {response.valid_until_ms}")
    agreement = find_current(ctx, response.agreement_id)
    require_in_force(agreement, ctx.time_ms)
    chosen = changed(intent, state=SELECTED, selected=response.response_id)
    save(ctx, intent_key(intent.intent_id), chosen)
    _announce(ctx, "intent.select", intent, _pair(intent, agreement), response)


def find_intent(reader: Reader, intent_id: bytes) -> IntentRecord:
    """An intentcast. Raises `Refuse` E_UNKNOWN_INTENT."""
    intent = load(reader, intent_key(intent_id), IntentRecord)
    if intent is None:
        raise refuse(Code.UNKNOWN_INTENT, f"intentcast {intent_id.hex()} is not recorded")
    return intent


def intent_status(intent: IntentRecord, time_ms: int) -> str:
    """The stored state, or EXPIRED."""
    return EXPIRED if intent.state == OPEN and time_ms >= intent.expires_at_ms else intent.state


def require_open(intent: IntentRecord, time_ms: int) -> None:
    """Raises `Refuse` E_INTENT_CLOSED unless the cast is open."""
    status = intent_status(intent, time_ms)
    if status != OPEN:
        raise refuse(Code.INTENT_CLOSED, f"intentcast {intent.intent_id.hex()} is {status}")


def _own_open_intent(ctx: Context, intent_id: bytes) -> IntentRecord:
    intent = find_intent(ctx, intent_id)
    if ctx.caller != intent.caster:
        raise refuse(Code.SIGNER, f"the intent was cast by {intent.caster}")
    require_open(intent, ctx.time_ms)
    return intent


def _pair(intent: IntentRecord, agreement: AgreementRecord) -> tuple[str, ...]:
    return tuple(sorted({intent.caster, agreement.second_party}))


def _announce(
    ctx: Context,
    event: str,
    intent: IntentRecord,
    readers: tuple[str, ...],
    response: ResponseRecord | None = None,
) -> None:
    payload = {
        "at_ms": ctx.time_ms,
        "industry": intent.industry,
        "intent_id": intent.intent_id.hex(),
    }
    if response is not None:
        payload["response_id"] = response.response_id.hex()
        payload["agreement_id"] = response.agreement_id.hex()
    ctx.emit(event, payload, readers)
