"""The verdict that an onward share would get now, rule by rule, and how each ancestor stands.

It is the code of the real path: `open_case` and `RULES`. Asked is by the sharer or by the
recipient. Until R10 has found that the sharer holds the share, the answer is the verdict alone:
whoever guesses ids learns no more from it than a refused attempt would say.
"""

from __future__ import annotations

from onward_chaincode import onward
from onward_chaincode.agreement import find_agreement
from onward_chaincode.answers import Arguments, standing_json
from onward_chaincode.contract import Json, Refuse, View
from onward_chaincode.errors import Code, refuse
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
    rules, case = _judge(attempt, view)
    failed = next((rule for rule in rules if not rule["holds"]), None)
    shown = case is not None and all(rule["holds"] for rule in rules if rule["rule"] == "R10")
    return {
        "code": "OK" if failed is None else failed["code"],
        "message": "" if failed is None else failed["message"],
        "path": [] if case is None or not shown else _path(view, case),
        "rule": "" if failed is None else failed["rule"],
        "rules": rules if shown else [rule for rule in rules if rule is failed],
    }


def _attempt(view: View, arguments: Arguments, share: ShareEntry) -> Attempt:
    sharer = arguments.word("sharer", view.reader)
    name = arguments.word("recipient")
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
        ),
        inside=None,
        approval=arguments.optional_id("approval_id"),
    )


def _judge(attempt: Attempt, view: View) -> tuple[list[Json], Case | None]:
    """Every rule with what it says; the case, if there is one."""
    try:
        case = open_case(attempt, view, view.time_ms)
    except Refuse as refusal:
        return [_said(refusal.rule, refusal)], None
    found = [_said("R08", None), _said("R09", None)]
    for name, rule in onward.RULES:
        try:
            rule(case)
        except Refuse as refusal:
            found.append(_said(name, refusal))
        else:
            found.append(_said(name, None))
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
