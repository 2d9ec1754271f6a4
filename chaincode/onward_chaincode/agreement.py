"""How an agreement begins: what a root may grant, and the record that acceptance writes."""

from __future__ import annotations

from onward_chaincode.contract import Context, Party, Reader
from onward_chaincode.errors import Code, refuse
from onward_chaincode.keys import agreement_key, approval_key, derive_id
from onward_chaincode.onward import USED, Case, require_jurisdiction
from onward_chaincode.payloads import Grant
from onward_chaincode.records import (
    AgreementRecord,
    ApprovalRecord,
    OfferRecord,
    load,
    must_load,
    save,
)
from onward_chaincode.schema import find_schema
from onward_chaincode.standing import ACTIVE, current_of
from onward_chaincode.terms import CONSENT_PER_SHARE, DEPRECATED, RECALLED, Terms, find_terms
from onward_proto.canonical import changed


def require_active_party(ctx: Context, party_id: str) -> Party:
    """The party. Raises `Refuse` E_PARTY (R04) when it is unknown or deactivated."""
    party = ctx.party(party_id)
    if party is None:
        raise refuse(Code.PARTY, f"{party_id} is not registered")
    if not party.active:
        raise refuse(Code.PARTY, f"{party_id} is deactivated")
    return party


def find_agreement(reader: Reader, agreement_id: bytes) -> AgreementRecord:
    """An agreement. Raises `Refuse` E_UNKNOWN_AGREEMENT."""
    record = load(reader, agreement_key(agreement_id), AgreementRecord)
    if record is None:
        raise refuse(Code.UNKNOWN_AGREEMENT, f"agreement {agreement_id.hex()} is not recorded")
    return record


def find_current(reader: Reader, agreement_id: bytes) -> AgreementRecord:
    """The agreement, or the one that amended it: who ends one ends what stands in its place."""
    return current_of(reader, find_agreement(reader, agreement_id))


def store_agreement(ctx: Context, agreement: AgreementRecord) -> None:
    """Write an agreement."""
    save(ctx, agreement_key(agreement.agreement_id), agreement)


def require_root_grant(reader: Reader, grant: Grant, time_ms: int) -> Terms:
    """What a root agreement must satisfy when it is offered, countered and accepted; its terms.

    Raises `Refuse`: E_UNKNOWN_TERMS, E_TERMS_RECALLED, E_TERMS_DEPRECATED, E_UNKNOWN_SCHEMA,
    E_FIELDS, E_PURPOSE, E_JURISDICTION, E_WINDOW.
    """
    record, terms = find_terms(reader, grant.terms)
    if record.state == RECALLED:
        raise refuse(Code.TERMS_RECALLED, f"the terms {terms.label} were recalled")
    if record.state == DEPRECATED:
        raise refuse(Code.TERMS_DEPRECATED, f"the terms {terms.label} are deprecated")
    schema = find_schema(reader, grant.schema)
    unknown = [index for index in grant.fields if index not in schema.indexes]
    if unknown or not grant.fields:
        raise refuse(Code.FIELDS, f"fields {unknown} not in {schema.label}", rule="")
    allowed = frozenset(terms.purposes_allowed) - frozenset(terms.purposes_forbidden)
    beyond = [purpose for purpose in grant.purposes if purpose not in allowed]
    if beyond or not grant.purposes:
        raise refuse(Code.PURPOSE, f"purposes {beyond} not allowed by {terms.label}", rule="")
    outside = [item for item in grant.jurisdictions if item not in terms.jurisdictions]
    if terms.jurisdictions and outside:
        raise refuse(Code.JURISDICTION, f"{outside} not allowed by {terms.label}", rule="")
    _require_root_window(grant, terms, time_ms)
    return terms


def _require_root_window(grant: Grant, terms: Terms, time_ms: int) -> None:
    begins = max(time_ms, grant.not_before_ms or 0)
    latest = terms.expiry(time_ms)
    ends = grant.expires_at_ms
    if latest is not None and ends is not None and ends > latest:
        raise refuse(
            Code.WINDOW, f"expires at {ends}, {terms.label} allows {latest} at most", rule=""
        )
    end = latest if ends is None else ends
    if end is not None and end <= begins:
        raise refuse(Code.WINDOW, f"would expire at {end}, not after {begins}", rule="")
    kept = terms.retention_after_end_ms
    if kept is not None and grant.retention_ms > kept:
        raise refuse(
            Code.WINDOW, f"keeps data for {grant.retention_ms} ms, at most {kept}", rule=""
        )


def begin_root(
    ctx: Context, offer: OfferRecord, terms: Terms, second_party: str
) -> AgreementRecord:
    """Write the root agreement that accepting `offer` creates."""
    grant = offer.grant
    jurisdictions = grant.jurisdictions or terms.jurisdictions
    require_jurisdiction(require_active_party(ctx, second_party), jurisdictions)
    agreement_id = derive_id("agreement", ctx.tx_id)
    latest = terms.expiry(ctx.time_ms)
    agreement = AgreementRecord(
        agreement_id=agreement_id,
        root_id=agreement_id,
        parent_id=None,
        parent_share_id=None,
        depth=0,
        first_party=offer.first_party,
        second_party=second_party,
        rights_holder=offer.first_party,
        terms_id=grant.terms,
        schema_id=grant.schema,
        fields=grant.fields,
        purposes=grant.purposes,
        jurisdictions=jurisdictions,
        lawful_basis=grant.lawful_basis,
        notice=grant.notice,
        accepted_at_ms=ctx.time_ms,
        not_before_ms=max(ctx.time_ms, grant.not_before_ms or 0),
        expires_at_ms=latest if grant.expires_at_ms is None else grant.expires_at_ms,
        retention_ms=grant.retention_ms,
        withdrawn_fields=(),
        withdrawn_purposes=(),
        state=ACTIVE,
        changed_at_ms=ctx.time_ms,
        terminates_at_ms=None,
        offer_id=offer.offer_id,
        intent_id=offer.intent_id,
        share_count=0,
        last_share_id=None,
        child_count=0,
    )
    store_agreement(ctx, agreement)
    return agreement


def begin_child(ctx: Context, case: Case, offer_id: bytes | None) -> AgreementRecord:
    """The child agreement of a case that every rule allows, counted at its parent.

    With its first share it counts among the children that hold data. The caller writes it: with
    that share, or as it is.
    """
    grant, parent = case.attempt.child, case.parent
    agreement = changed(
        parent,
        agreement_id=derive_id("agreement", ctx.tx_id),
        parent_id=parent.series,
        parent_share_id=case.share.share_id,
        depth=parent.depth + 1,
        first_party=case.attempt.sharer,
        second_party=case.attempt.recipient.party_id,
        fields=grant.fields,
        purposes=grant.purposes,
        jurisdictions=case.jurisdictions,
        lawful_basis=grant.lawful_basis,
        notice=grant.notice,
        accepted_at_ms=ctx.time_ms,
        not_before_ms=max(ctx.time_ms, grant.not_before_ms or 0),
        expires_at_ms=grant.expires_at_ms,
        retention_ms=grant.retention_ms,
        withdrawn_fields=(),
        withdrawn_purposes=(),
        state=ACTIVE,
        changed_at_ms=ctx.time_ms,
        terminates_at_ms=None,
        offer_id=offer_id,
        intent_id=None,
        share_count=0,
        last_share_id=None,
        child_count=0,
        open_child_count=0,
        attested_at_ms=None,
        supersedes_id=None,
        series_id=None,
        tallied_month="",
        tallies=(),
    )
    counted = (
        parent.open_child_count if case.attempt.parcel is None else parent.open_child_count + 1
    )
    store_agreement(
        ctx, changed(parent, child_count=parent.child_count + 1, open_child_count=counted)
    )
    use_approval(ctx, case, agreement.agreement_id)
    return agreement


def use_approval(ctx: Context, case: Case, agreement_id: bytes) -> None:
    """R18 has found the approval right: it is used up by what is written now."""
    if case.terms.onward_mode != CONSENT_PER_SHARE or case.attempt.approval is None:
        return
    key = approval_key(case.attempt.approval)
    approval = must_load(ctx, key, ApprovalRecord)
    save(ctx, key, changed(approval, state=USED, used_for=agreement_id))


def count_first_share(ctx: Context, case: Case) -> None:
    """A child that was agreed on before anything was shared now holds data: its parent counts it.

    From then on the parent's holder attests only after the child's has.
    """
    parent = case.parent
    store_agreement(ctx, changed(parent, open_child_count=parent.open_child_count + 1))


def grant_of(agreement: AgreementRecord) -> Grant:
    """What an agreement granted when it was made, withdrawals aside."""
    return Grant(
        terms=agreement.terms_id,
        schema=agreement.schema_id,
        fields=agreement.fields,
        purposes=agreement.purposes,
        jurisdictions=agreement.jurisdictions,
        lawful_basis=agreement.lawful_basis,
        notice=agreement.notice,
        not_before_ms=agreement.not_before_ms,
        expires_at_ms=agreement.expires_at_ms,
        retention_ms=agreement.retention_ms,
    )
