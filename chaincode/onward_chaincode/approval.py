"""Approvals: the rights holder allows one onward share, where the terms ask her each time (R18).

    OPEN -> USED | WITHDRAWN        EXPIRED from expires_at_ms on, derived

An approval names a share, a recipient, the fields and the purposes. It fits one onward share, or
one accepted child agreement, or one more share inside a child, that says exactly the same, and is
used up by it.
"""

from __future__ import annotations

from onward_chaincode.agreement import find_agreement, require_active_party
from onward_chaincode.contract import Context, Reader
from onward_chaincode.errors import Code, refuse
from onward_chaincode.keys import approval_key, derive_id
from onward_chaincode.onward import OPEN, require_subset
from onward_chaincode.payloads import OnwardApprove, OnwardWithdrawApproval
from onward_chaincode.records import AgreementRecord, ApprovalRecord, load, save
from onward_chaincode.share import find_share
from onward_chaincode.standing import (
    current_of,
    effective_fields,
    effective_purposes,
    line_of,
    parties_of,
)
from onward_chaincode.terms import CONSENT_PER_SHARE, find_terms
from onward_proto.canonical import changed

WITHDRAWN, EXPIRED = "WITHDRAWN", "EXPIRED"


def approve(ctx: Context, payload: OnwardApprove) -> None:
    """onward.approve: by the rights holder, for one of the shares that come from her."""
    share = find_share(ctx, payload.parent_share)
    agreement = current_of(ctx, find_agreement(ctx, share.agreement_id))
    if ctx.caller != agreement.rights_holder:
        raise refuse(Code.SIGNER, f"{ctx.caller} is not the rights holder of this share")
    require_active_party(ctx, payload.recipient)
    if payload.terms != agreement.terms_id:
        raise refuse(
            Code.TERMS_MISMATCH, f"the share went under terms {agreement.terms_id.hex()}", rule=""
        )
    _, terms = find_terms(ctx, agreement.terms_id)
    if terms.onward_mode != CONSENT_PER_SHARE:
        raise refuse(Code.STATE, f"{terms.label} asks for no approval ({terms.onward_mode})")
    if payload.expires_at_ms <= ctx.time_ms:
        raise refuse(Code.WINDOW, f"would expire at {payload.expires_at_ms}", rule="")
    line = line_of(ctx, agreement)
    fields = frozenset(effective_fields(line)) & frozenset(share.fields)
    require_subset(Code.FIELDS, "the approved fields", payload.fields, fields)
    purposes = frozenset(effective_purposes(line))
    require_subset(Code.PURPOSE, "the approved purposes", payload.purposes, purposes)
    approval = ApprovalRecord(
        approval_id=derive_id("approval", ctx.tx_id),
        parent_share_id=share.share_id,
        recipient=payload.recipient,
        terms_id=payload.terms,
        fields=payload.fields,
        purposes=payload.purposes,
        approved_by=ctx.caller,
        approved_at_ms=ctx.time_ms,
        expires_at_ms=payload.expires_at_ms,
        state=OPEN,
    )
    save(ctx, approval_key(approval.approval_id), approval)
    _announce(ctx, "onward.approve", approval, agreement)


def withdraw(ctx: Context, payload: OnwardWithdrawApproval) -> None:
    """onward.withdraw_approval: while it has not been used."""
    approval = find_approval(ctx, payload.approval)
    if ctx.caller != approval.approved_by:
        raise refuse(Code.SIGNER, f"{ctx.caller} did not give this approval")
    if approval.state != OPEN:
        raise refuse(Code.STATE, f"the approval is {approval.state}")
    approval = changed(approval, state=WITHDRAWN)
    save(ctx, approval_key(approval.approval_id), approval)
    share = find_share(ctx, approval.parent_share_id)
    agreement = current_of(ctx, find_agreement(ctx, share.agreement_id))
    _announce(ctx, "onward.withdraw_approval", approval, agreement)


def find_approval(reader: Reader, approval_id: bytes) -> ApprovalRecord:
    """An approval. Raises `Refuse` E_UNKNOWN_APPROVAL."""
    approval = load(reader, approval_key(approval_id), ApprovalRecord)
    if approval is None:
        raise refuse(Code.UNKNOWN_APPROVAL, f"approval {approval_id.hex()} is not recorded")
    return approval


def approval_status(approval: ApprovalRecord, time_ms: int) -> str:
    """The stored state, or EXPIRED."""
    late = approval.state == OPEN and time_ms >= approval.expires_at_ms
    return EXPIRED if late else approval.state


def _announce(
    ctx: Context, event: str, approval: ApprovalRecord, agreement: AgreementRecord
) -> None:
    """Tell everybody on the path, and the recipient."""
    readers = {approval.recipient, *parties_of(line_of(ctx, agreement))}
    ctx.emit(
        event,
        {
            "agreement_id": agreement.agreement_id.hex(),
            "approval_id": approval.approval_id.hex(),
            "at_ms": ctx.time_ms,
            "parent_share_id": approval.parent_share_id.hex(),
            "recipient": approval.recipient,
            "sharer": agreement.second_party,
        },
        tuple(sorted(readers)),
    )
