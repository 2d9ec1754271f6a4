"""The handshake: offer, one counter-offer, withdrawal, acceptance, rejection.

    OPEN -> WITHDRAWN | REJECTED | ACCEPTED | COUNTERED        LAPSED from expires_at_ms on, derived

A directed offer is decided by its one answer. An open offer (no `to`) goes on until it is
withdrawn, lapses or is full: each party may answer it once, and the answer is kept under (offer,
party).
"""

from __future__ import annotations

from dataclasses import replace

from onward_chaincode.agreement import (
    begin_child,
    begin_root,
    require_active_party,
    require_root_grant,
    store_agreement,
)
from onward_chaincode.contract import Context, Party, Reader, Refuse
from onward_chaincode.errors import Code, refuse, without_details
from onward_chaincode.intent import find_intent, require_open
from onward_chaincode.keys import derive_id, intent_key, offer_key, reply_key
from onward_chaincode.onward import Attempt, Case, judge, require_jurisdiction
from onward_chaincode.payloads import (
    AgreementAccept,
    AgreementCounter,
    AgreementOffer,
    AgreementReject,
    AgreementWithdrawOffer,
)
from onward_chaincode.records import (
    AgreementRecord,
    IntentRecord,
    OfferRecord,
    ReplyRecord,
    load,
    save,
)
from onward_chaincode.standing import line_of, parties_of
from onward_chaincode.terms import EVERYONE, Terms, find_terms
from onward_proto.canonical import changed

OPEN, WITHDRAWN, LAPSED = "OPEN", "WITHDRAWN", "LAPSED"
ACCEPTED, REJECTED, COUNTERED = "ACCEPTED", "REJECTED", "COUNTERED"


def offer(ctx: Context, payload: AgreementOffer) -> None:
    """agreement.offer: to one party or open, at the root or below a parent."""
    first_party = _require_shape(ctx.caller, payload)
    to = None if payload.to is None else require_active_party(ctx, payload.to)
    intent = None if payload.intent is None else find_intent(ctx, payload.intent)
    if payload.offer_expires_at_ms <= ctx.time_ms:
        raise refuse(
            Code.WINDOW, f"the offer would lapse at {payload.offer_expires_at_ms}", rule=""
        )
    most = 1
    if payload.to is None:
        most = payload.max_acceptances or (1 if intent is None else intent.max_acceptances)
    record = OfferRecord(
        offer_id=derive_id("offer", ctx.tx_id),
        offeror=ctx.caller,
        to=payload.to,
        first_party=first_party,
        grant=payload.grant,
        offered_at_ms=ctx.time_ms,
        expires_at_ms=payload.offer_expires_at_ms,
        intent_id=payload.intent,
        max_acceptances=most,
        acceptance_count=0,
        parent_agreement_id=payload.parent_agreement,
        parent_share_id=payload.parent_share,
        counter_of=None,
        state=OPEN,
        approval_id=payload.approval,
    )
    if intent is not None:
        _require_matching_intent(record, intent, ctx.time_ms)
    if record.parent_agreement_id is not None:
        _judge_child(ctx, record)
    else:
        terms = require_root_grant(ctx, payload.grant, ctx.time_ms)
        _require_second_jurisdiction(ctx, record, terms, to)
    _store(ctx, record)
    _announce(ctx, "agreement.offer", record)


def counter(ctx: Context, payload: AgreementCounter) -> None:
    """agreement.counter: the addressee's one alternative, out of the same roster."""
    original = _answerable(ctx, payload.offer)
    if original.counter_of is not None:
        raise refuse(Code.COUNTER_LIMIT, "this is a counter-offer already")
    if original.parent_agreement_id is not None:
        raise refuse(Code.COUNTER_LIMIT, "an onward agreement keeps its parent's terms")
    if payload.offer_expires_at_ms <= ctx.time_ms:
        raise refuse(
            Code.WINDOW, f"the offer would lapse at {payload.offer_expires_at_ms}", rule=""
        )
    _require_roster(ctx, original, payload.terms)
    grant = replace(
        original.grant,
        terms=payload.terms,
        fields=payload.fields,
        purposes=payload.purposes,
        not_before_ms=payload.not_before_ms,
        expires_at_ms=payload.expires_at_ms,
    )
    terms = require_root_grant(ctx, grant, ctx.time_ms)
    record = replace(
        original,
        offer_id=derive_id("offer", ctx.tx_id),
        offeror=ctx.caller,
        to=original.offeror,
        grant=grant,
        offered_at_ms=ctx.time_ms,
        expires_at_ms=payload.offer_expires_at_ms,
        max_acceptances=1,
        acceptance_count=0,
        counter_of=original.offer_id,
        state=OPEN,
    )
    _require_second_jurisdiction(ctx, record, terms, ctx.party(original.offeror))
    _store(ctx, record)
    _reply(ctx, original, COUNTERED, record.offer_id, "")
    _announce(ctx, "agreement.counter", record, answers=original)


def withdraw(ctx: Context, payload: AgreementWithdrawOffer) -> None:
    """agreement.withdraw_offer: the offeror takes an undecided offer back."""
    record = find_offer(ctx, payload.offer)
    if ctx.caller != record.offeror:
        raise refuse(Code.SIGNER, f"the offer was not made by {ctx.caller}")
    _require_open(record, ctx.time_ms)
    record = changed(record, state=WITHDRAWN)
    _store(ctx, record)
    _announce(ctx, "agreement.withdraw_offer", record)


def reject(ctx: Context, payload: AgreementReject) -> None:
    """agreement.reject: by the addressee, or by anyone who declines an open offer."""
    record = _answerable(ctx, payload.offer)
    _reply(ctx, record, REJECTED, None, payload.reason)
    _announce(ctx, "agreement.reject", record, answers=record, reason=payload.reason)


def accept(ctx: Context, payload: AgreementAccept) -> None:
    """agreement.accept: all is judged again at this block's time, then the agreement begins."""
    record = _answerable(ctx, payload.offer)
    if record.acceptance_count >= record.max_acceptances:
        raise refuse(Code.OFFER_FULL, f"{record.acceptance_count} have accepted")
    require_active_party(ctx, record.offeror)
    if record.intent_id is not None:
        _count_on_intent(ctx, record.intent_id)
    second_party = ctx.caller if record.first_party == record.offeror else record.offeror
    if record.parent_agreement_id is not None:
        agreement = begin_child(ctx, _judge_child(ctx, record), record.offer_id)
        store_agreement(ctx, agreement)
    else:
        terms = require_root_grant(ctx, record.grant, ctx.time_ms)
        agreement = begin_root(ctx, record, terms, second_party)
    record = changed(record, acceptance_count=record.acceptance_count + 1)
    _store(ctx, record)
    _reply(ctx, record, ACCEPTED, agreement.agreement_id, "")
    _announce(ctx, "agreement.accept", record, answers=record, agreement=agreement)


def find_offer(reader: Reader, offer_id: bytes) -> OfferRecord:
    """An offer. Raises `Refuse` E_UNKNOWN_OFFER."""
    record = load(reader, offer_key(offer_id), OfferRecord)
    if record is None:
        raise refuse(Code.UNKNOWN_OFFER, f"offer {offer_id.hex()} is not recorded")
    return record


def offer_status(record: OfferRecord, time_ms: int) -> str:
    """The stored state, or LAPSED."""
    return LAPSED if record.state == OPEN and time_ms >= record.expires_at_ms else record.state


# -- what an offer must satisfy --------------------------------------------------------------------


def _require_shape(caller: str, payload: AgreementOffer) -> str:
    """The parts of an offer fit together; answers its first party."""
    first_party = payload.first_party or caller
    if payload.to == caller:
        raise refuse(Code.TOPOLOGY, f"{caller} would agree with itself", rule="")
    if first_party not in (caller, payload.to):
        raise refuse(Code.FORMAT, "first_party is neither the offeror nor the addressee")
    if (payload.parent_agreement is None) != (payload.parent_share is None):
        raise refuse(Code.FORMAT, "parent_agreement and parent_share go together")
    if payload.approval is not None and payload.parent_share is None:
        raise refuse(Code.FORMAT, "an approval is for passing a share on")
    if payload.to is None and payload.parent_share is not None:
        raise refuse(Code.FORMAT, "an offer with a parent names its addressee")
    if payload.to is not None and payload.max_acceptances is not None:
        raise refuse(Code.FORMAT, "max_acceptances is for open offers")
    if payload.intent is not None and payload.parent_share is not None:
        raise refuse(Code.FORMAT, "an offer answers an intent or passes data on, not both")
    return first_party


def _require_matching_intent(record: OfferRecord, intent: IntentRecord, time_ms: int) -> None:
    require_open(intent, time_ms)
    if record.first_party != intent.caster:
        raise refuse(Code.INTENT_MISMATCH, f"the first party must be the caster, {intent.caster}")
    same = (record.grant.terms, record.grant.schema) == (intent.terms_id, intent.schema_id)
    if not same:
        raise refuse(Code.INTENT_MISMATCH, "the offer must copy the intentcast's terms and schema")
    if record.max_acceptances > intent.max_acceptances:
        raise refuse(
            Code.INTENT_MISMATCH, f"the intentcast allows {intent.max_acceptances} acceptances"
        )


def _require_second_jurisdiction(
    ctx: Context, record: OfferRecord, terms: Terms, addressee: Party | None
) -> None:
    """The second party, when it is known, sits where the data may be."""
    second = addressee if record.first_party == record.offeror else ctx.party(record.offeror)
    if second is not None and record.to is not None:
        require_jurisdiction(second, record.grant.jurisdictions or terms.jurisdictions)


def _judge_child(ctx: Context, record: OfferRecord) -> Case:
    """The rules of an onward share, for an offer with a parent and for its acceptance.

    Whoever would receive is told the verdict alone: she does not stand on the path yet.
    """
    sharer = record.first_party
    recipient = record.to if sharer == record.offeror else record.offeror
    if record.parent_agreement_id is None or record.parent_share_id is None or recipient is None:
        raise refuse(Code.FORMAT, "an offer with a parent names both parents and its addressee")
    attempt = Attempt(
        sharer=sharer,
        recipient=require_active_party(ctx, recipient),
        parent_agreement_id=record.parent_agreement_id,
        parent_share_id=record.parent_share_id,
        child=record.grant,
        parcel=None,
        inside=None,
        approval=record.approval_id,
    )
    try:
        return judge(attempt, ctx, ctx.time_ms)
    except Refuse as refusal:
        if ctx.caller != sharer:
            raise without_details(refusal) from None
        raise


def _require_roster(ctx: Context, original: OfferRecord, wanted: bytes) -> None:
    """The counter's terms: the original's, in their counter roster, or of the same roster."""
    if wanted == original.grant.terms:
        return
    _, terms = find_terms(ctx, original.grant.terms)
    if wanted in terms.counter_roster:
        return
    _, other = find_terms(ctx, wanted)
    if not terms.roster or terms.roster != other.roster:
        raise refuse(
            Code.COUNTER_ROSTER, f"{other.label} is not in the roster that {terms.label} names"
        )


# -- answers ---------------------------------------------------------------------------------------


def _answerable(ctx: Context, offer_id: bytes) -> OfferRecord:
    """An open offer that the caller may answer now."""
    record = find_offer(ctx, offer_id)
    if ctx.caller == record.offeror or record.to not in (None, ctx.caller):
        raise refuse(Code.SIGNER, f"the offer is not addressed to {ctx.caller}")
    _require_open(record, ctx.time_ms)
    if ctx.get(reply_key(offer_id, ctx.caller)) is not None:
        raise refuse(Code.STATE, f"{ctx.caller} has answered this offer")
    return record


def _require_open(record: OfferRecord, time_ms: int) -> None:
    status = offer_status(record, time_ms)
    if status == LAPSED:
        raise refuse(Code.OFFER_LAPSED, f"the offer lapsed at {record.expires_at_ms}")
    if status != OPEN:
        raise refuse(Code.STATE, f"the offer is {status}")


def _count_on_intent(ctx: Context, intent_id: bytes) -> None:
    intent = find_intent(ctx, intent_id)
    require_open(intent, ctx.time_ms)
    if intent.acceptance_count >= intent.max_acceptances:
        raise refuse(Code.OFFER_FULL, f"the intentcast has {intent.acceptance_count} acceptances")
    counted = changed(intent, acceptance_count=intent.acceptance_count + 1)
    save(ctx, intent_key(intent_id), counted)


def _reply(
    ctx: Context, record: OfferRecord, answer: str, target: bytes | None, reason: str
) -> None:
    """Keep the caller's answer; it decides a directed offer."""
    reply = ReplyRecord(answer=answer, target=target, reason=reason, replied_at_ms=ctx.time_ms)
    save(ctx, reply_key(record.offer_id, ctx.caller), reply)
    if record.to is not None:
        _store(ctx, changed(record, state=answer))


def _store(ctx: Context, record: OfferRecord) -> None:
    save(ctx, offer_key(record.offer_id), record)


def _announce(
    ctx: Context,
    event: str,
    record: OfferRecord,
    *,
    answers: OfferRecord | None = None,
    agreement: AgreementRecord | None = None,
    reason: str = "",
) -> None:
    """Emit; `thread_id` is the offer with which the handshake began."""
    thread = record.offer_id if record.counter_of is None else record.counter_of
    payload = {
        "at_ms": ctx.time_ms,
        "by": ctx.caller,
        "offer_id": record.offer_id.hex(),
        "thread_id": thread.hex(),
    }
    if reason:
        payload["reason"] = reason
    if agreement is not None:
        payload["agreement_id"] = agreement.agreement_id.hex()
    readers: tuple[str, ...] = tuple(sorted({record.offeror, record.to or ctx.caller, ctx.caller}))
    if record.to is None and answers is None:
        readers = EVERYONE
    elif agreement is not None:
        readers = parties_of(line_of(ctx, agreement))
    ctx.emit(event, payload, readers)
