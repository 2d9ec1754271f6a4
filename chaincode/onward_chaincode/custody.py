"""What a custodian does with what it holds: give it back, destroy it, tell of a breach."""

from __future__ import annotations

from onward_chaincode.agreement import find_agreement
from onward_chaincode.contract import Context
from onward_chaincode.errors import Code, refuse
from onward_chaincode.keys import breach_key, derive_id, return_key, share_key
from onward_chaincode.onward import require_never_named
from onward_chaincode.payloads import BlobPurge, BreachNotify, ShareReturn
from onward_chaincode.records import BreachRecord, ReturnRecord, save
from onward_chaincode.share import find_share, note_named
from onward_chaincode.standing import current_of, line_of, parties_of
from onward_chaincode.terms import find_terms
from onward_proto.canonical import changed


def give_back(ctx: Context, payload: ShareReturn) -> None:
    """share.return: what R27 forbids an onward share to be: to the sender or further up, once each.

    The agreement may have ended; what was attested as erased cannot be given back.
    """
    share = find_share(ctx, payload.share)
    if ctx.caller != share.recipient:
        raise refuse(Code.SIGNER, f"the share did not go to {ctx.caller}")
    agreement = current_of(ctx, find_agreement(ctx, share.agreement_id))
    line = line_of(ctx, agreement)
    to = payload.to or share.sender
    if to not in {item.first_party for item in line}:
        raise refuse(Code.TOPOLOGY, f"{to} does not stand above {ctx.caller} on the path")
    key = return_key(share.share_id, to)
    if agreement.attested_at_ms is not None or ctx.get(key) is not None:
        raise refuse(Code.STATE, f"it was erased, or has been given back to {to}")
    require_never_named(ctx, payload.commitment, payload.blob)
    record = ReturnRecord(
        share_id=share.share_id,
        to=to,
        returned_by=ctx.caller,
        commitment=payload.commitment,
        blob=payload.blob,
        returned_at_ms=ctx.time_ms,
    )
    save(ctx, key, record)
    note_named(ctx, payload.commitment, payload.blob, share.share_id)
    ctx.emit(
        "share.return",
        {
            "agreement_id": agreement.agreement_id.hex(),
            "at_ms": ctx.time_ms,
            "by": ctx.caller,
            "share_id": share.share_id.hex(),
            "to": to,
        },
        parties_of(line),
    )


def purge(ctx: Context, payload: BlobPurge) -> None:
    """blob.purge: the event names the hash; the parties' nodes destroy the file and its salt.

    The rights holder alone may ask for it. The two parties do so together: neither destroys what
    the other may need to prove. The commitment stays, and says nothing any more without its salt.
    """
    share = find_share(ctx, payload.share)
    agreement = find_agreement(ctx, share.agreement_id)
    together = {ctx.caller, *ctx.cosigners} >= {share.sender, share.recipient}
    if ctx.caller != agreement.rights_holder and not together:
        raise refuse(Code.SIGNER, "the rights holder purges, or both parties together")
    if share.blob is None or share.purged_at_ms is not None:
        raise refuse(Code.STATE, "the share names no blob, or it has been purged")
    save(ctx, share_key(share.share_id), changed(share, purged_at_ms=ctx.time_ms))
    ctx.emit(
        "blob.purge",
        {
            "agreement_id": agreement.agreement_id.hex(),
            "at_ms": ctx.time_ms,
            "blobs": [share.blob.hex()],
            "by": ctx.caller,
            "purges": [share.share_id.hex()],  # for the nodes: see docs/spec/chaincode.md
            "share_id": share.share_id.hex(),
        },
        tuple(sorted({share.sender, share.recipient, agreement.rights_holder})),
    )


def notify_breach(ctx: Context, payload: BreachNotify) -> None:
    """breach.notify: late is recorded as late, never refused: a late notice is better than none."""
    if not payload.agreements:
        raise refuse(Code.FORMAT, "names no agreement")
    if payload.detected_at_ms > ctx.time_ms:
        raise refuse(Code.WINDOW, f"detected at {payload.detected_at_ms}", rule="")
    readers, late_count = {ctx.caller}, 0
    for agreement_id in payload.agreements:
        agreement = find_agreement(ctx, agreement_id)
        if ctx.caller != agreement.second_party:
            raise refuse(Code.SIGNER, f"{ctx.caller} is no custodian under {agreement_id.hex()}")
        _, terms = find_terms(ctx, agreement.terms_id)
        late_count += ctx.time_ms > payload.detected_at_ms + terms.breach_notice_ms
        readers |= set(parties_of(line_of(ctx, agreement)))
    record = BreachRecord(
        breach_id=derive_id("breach", ctx.tx_id),
        party=ctx.caller,
        agreement_ids=payload.agreements,
        detected_at_ms=payload.detected_at_ms,
        notified_at_ms=ctx.time_ms,
        late_count=late_count,
        evidence=payload.evidence,
        readers=tuple(sorted(readers)),
    )
    save(ctx, breach_key(record.breach_id), record)
    ctx.emit(
        "breach.notify",
        {
            "agreement_ids": [item.hex() for item in payload.agreements],
            "at_ms": ctx.time_ms,
            "breach_id": record.breach_id.hex(),
            "detected_at_ms": payload.detected_at_ms,
            "late_count": late_count,
            "party": ctx.caller,
        },
        record.readers,
    )
