"""The verdict that an onward share would get now, rule by rule, and how each ancestor stands.

It is the code of the real path: `open_case` and `RULES`. Asked is by the sharer or by the
recipient. A sharer who turns out to hold the share is told every rule and every ancestor. Anybody
else, and the recipient too as long as she does not stand on the path, learns the verdict, in the
words of the table of codes: whoever has seen an id learns no more than a refused attempt would say.
"""

from __future__ import annotations

from onward_chaincode import onward
from onward_chaincode.agreement import find_agreement
from onward_chaincode.answers import Arguments, standing_json
from onward_chaincode.contract import Json, Refuse, View
from onward_chaincode.errors import Code, refuse, without_details
from onward_chaincode.onward import Attempt, Case, open_case
from onward_chaincode.payloads import TRANSFORMS, Grant, Parcel
from onward_chaincode.records import ShareEntry
from onward_chaincode.share import find_share
from onward_chaincode.standing import current_of
from onward_chaincode.terms import PROHIBITED, find_terms

_NOTHING = bytes(32)


def trace(view: View, arguments: Arguments) -> Json:
    """`parent_share_id, recipient, fields, purpose` and what a share.onward may say besides.

    `parent_agreement_id`, `terms_id` and `schema_id` are those of the share unless given;
    `purposes` is the one purpose; `sharer` is the reader.
    """
    share = find_share(view, arguments.id("parent_share_id"))
    attempt = _attempt(view, arguments, share)
    arguments.done()
    told, case = _judge(attempt, view)
    failed = next((refusal for _, refusal in told if refusal is not None), None)
    if case is None or view.reader != attempt.sharer or (failed and failed.rule == "R10"):
        case, told = None, []
        if failed is not None:
            failed = without_details(failed)
            told = [(failed.rule, failed)]
    return {
        "code": "OK" if failed is None else failed.code,
        "message": "" if failed is None else str(failed),
        "path": [] if case is None else _path(view, case),
        "rule": "" if failed is None else failed.rule,
        "rules": [_said(rule, refusal) for rule, refusal in told],
    }


def _attempt(view: View, arguments: Arguments, share: ShareEntry) -> Attempt:
    sharer = arguments.party("sharer", view.reader)
    name = arguments.party("recipient")
    if view.reader not in (sharer, name):
        raise refuse(Code.READER, f"{view.reader} would neither share nor receive")
    recipient = view.party(name)
    if recipient is None or not recipient.active:
        raise refuse(Code.PARTY, f"{name} is not registered, or deactivated")
    named = arguments.optional_id("parent_agreement_id")
    made_under = current_of(view, find_agreement(view, share.agreement_id))
    fields, purpose = arguments.indexes("fields"), arguments.word("purpose")
    transform = arguments.word("transform", "NONE")
    if transform not in TRANSFORMS:
        raise refuse(Code.FORMAT, f"transform is one of {', '.join(TRANSFORMS)}", rule="")
    purposes = arguments.words("purposes") or ((purpose,) if purpose else ())
    return Attempt(
        sharer=sharer,
        recipient=recipient,
        parent_agreement_id=named or made_under.agreement_id,
        parent_share_id=share.share_id,
        child=Grant(
            terms=arguments.optional_id("terms_id") or made_under.terms_id,
            schema=arguments.optional_id("schema_id") or made_under.schema_id,
            fields=arguments.indexes("child_fields") or fields,
            purposes=purposes,
            jurisdictions=arguments.words("jurisdictions"),
            notice=_NOTHING,
            not_before_ms=arguments.optional_whole("not_before_ms"),
            expires_at_ms=arguments.optional_whole("expires_at_ms"),
            retention_ms=arguments.optional_whole("retention_ms") or 0,
        ),
        parcel=Parcel(
            fields=fields,
            purpose=purpose,
            transform=transform,
            commitment=arguments.optional_id("commitment") or _NOTHING,
            blob=arguments.optional_id("blob"),
        ),
        inside=None,
        approval=arguments.optional_id("approval_id"),
    )


def _judge(attempt: Attempt, view: View) -> tuple[list[tuple[str, Refuse | None]], Case | None]:
    """Every rule with why it does not hold, None if it does; the case, if there is one."""
    try:
        case = open_case(attempt, view, view.time_ms)
    except Refuse as refusal:
        return [(refusal.rule, refusal)], None
    found: list[tuple[str, Refuse | None]] = [("R08", None), ("R09", None)]
    for name, rule in onward.RULES:
        try:
            rule(case)
        except Refuse as refusal:
            found.append((name, refusal))
        else:
            found.append((name, None))
    return found, case


def _said(rule: str, refusal: Refuse | None) -> Json:
    if refusal is None:
        return {"code": "OK", "holds": True, "message": "", "rule": rule}
    return {"code": refusal.code, "holds": False, "message": str(refusal), "rule": rule}


def _path(view: View, case: Case) -> list[Json]:
    """How each agreement from the parent up to the root stands, and what it leaves to pass on."""
    found = []
    for index, agreement in enumerate(case.path):
        _, terms = find_terms(view, agreement.terms_id)
        found.append(
            {
                "agreement_id": agreement.agreement_id.hex(),
                "attested_at_ms": agreement.attested_at_ms,
                "depth": agreement.depth,
                "first_party": agreement.first_party,
                "onward": terms.onward_mode != PROHIBITED,
                "second_party": agreement.second_party,
                **standing_json(case.path[index:], view.time_ms),
            }
        )
    return found
