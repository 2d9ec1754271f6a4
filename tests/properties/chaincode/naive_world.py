"""What happened in a forest of agreements, as plain dicts, and what holds of it at a moment.

Written from docs/spec/isa.md and not from the contract: the second half of `naive_rules`.

A step of a story: `kind` (a transaction type, or "party"), `actor`, `signed` (who signed beside
her), `payload` (as in a draft), `now` (block time) and `tx` (the transaction's id).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any, NamedTuple

Row = dict[str, Any]

UNSAID: Row = {
    "onward.mode": "PROHIBITED",
    "onward.max_depth": 1,
    "onward.recipients": None,
    "onward.max_count": None,
    "retention_after_end_ms": 0,
    "purposes_forbidden": (),
    "jurisdictions": None,
    "deletion": "REQUIRED",
    "attest_within_ms": 30 * 24 * 3_600_000,
}


class Judged(NamedTuple):
    """What must happen: `accepted`, `recorded` (refused, with a record) or `refused` plainly."""

    code: str
    rule: str
    outcome: str


ACCEPTED = Judged("OK", "", "accepted")


def new_world() -> Row:
    """Nobody and nothing."""
    return {
        "parties": {},  # name: active, groups, jurisdiction
        "terms": {},  # id: clauses, status
        "schemas": {},  # id: {index: identifying}
        "offers": {},
        "agreements": {},
        "shares": {},
        "records": [],  # (party, moment) of every recorded refusal
        "newest": {},  # the first of a series of amendments: the newest
        "approvals": {},
        "violations": {},  # those that bar somebody
    }


# ---------------------------------------------------------------- what holds at a moment


def clause(world: Row, terms: str, name: str) -> Any:
    """The value of a clause, or what the document says of it when it is unsaid."""
    clauses: Row = world["terms"][terms]["clauses"]
    return clauses.get(name, UNSAID.get(name))


def path_up(world: Row, agreement_id: str | None) -> list[Row]:
    """The agreement, its parent, and so on up to the root."""
    path = []
    while agreement_id is not None:
        path.append(world["agreements"][agreement_id])
        agreement_id = newest(world, path[-1]["parent"])
    return path


def newest(world: Row, agreement_id: str | None) -> str | None:
    """What stands in the place of an agreement: itself, or what amended it last."""
    if agreement_id is None:
        return None
    series = world["agreements"][agreement_id]["series"]
    found: str = world["newest"].get(series, agreement_id)
    return found


def standing_for(world: Row, agreement_id: str) -> Row:
    """What is ended or stopped when an agreement is named that may have been amended."""
    found: Row = world["agreements"][newest(world, agreement_id)]
    return found


def root_of(world: Row, agreement_id: str) -> str:
    """The root, by the first of its series."""
    series: str = path_up(world, agreement_id)[-1]["series"]
    return series


def barred(world: Row, party: str, root: str) -> bool:
    """Whether an overdue duty has been flagged and not met, or a violation stands open."""
    for agreement_id, one in world["agreements"].items():
        owes = one["second"] == party and one["flagged"] and not one["attested"]
        if owes and root_of(world, agreement_id) == root:
            return True
    accused = {"against": party, "root": root}
    return any(one == accused for one in world["violations"].values())


def over_since(world: Row, agreement_id: str, now: int) -> int | None:
    """Since when something is owed under an agreement; None: nothing is."""
    if world["agreements"][agreement_id]["superseded"] or not shares_under(world, agreement_id):
        return None
    return ended_at(world, agreement_id, now)


def ended_at(world: Row, agreement_id: str, now: int) -> int | None:
    """When the first on the path ended for good; None: nobody did."""
    ends = []
    for one in path_up(world, agreement_id):
        kind = condition(one, now)
        known = {"REVOKED": "revoked_at", "TERMINATED": "terminated_at", "EXPIRED": "expires"}
        if kind in known:
            ends.append(one[known[kind]])
    return min(ends) if ends else None


def due_at(world: Row, agreement_id: str, now: int) -> int | None:
    """When the duty under an agreement is overdue, if there is one."""
    since = over_since(world, agreement_id, now)
    if since is None:
        return None
    path = path_up(world, agreement_id)
    deletion = clause(world, path[0]["terms"], "deletion")
    asked = any(condition(one, now) in ("REVOKED", "TERMINATED") for one in path)
    erase = deletion == "REQUIRED" or (deletion == "ON_REQUEST" and asked)
    kept = min(one["retention"] for one in path) if erase else 0
    within: int = clause(world, path[0]["terms"], "attest_within_ms")
    return since + kept + within


def shares_under(world: Row, agreement_id: str) -> list[Row]:
    """The shares under an agreement and those that it amended."""
    agreements = world["agreements"]
    series = agreements[agreement_id]["series"]
    return [
        one for one in world["shares"].values() if agreements[one["agreement"]]["series"] == series
    ]


def holders_below(world: Row, agreement_id: str) -> list[str]:
    """The children that hold data and have not said that they erased it."""
    agreements = world["agreements"]
    series = agreements[agreement_id]["series"]
    return [
        one
        for one, row in agreements.items()
        if row["parent"] == series
        and not row["superseded"]
        and not row["attested"]
        and shares_under(world, one)
    ]


def condition(agreement: Row, now: int) -> str:
    """The agreement by itself: "" in force, or what it is instead."""
    if agreement["superseded"]:
        return "NOT_ACTIVE"
    if agreement["revoked"]:
        return "REVOKED"
    ends = [(agreement["terminated_at"], 0, "TERMINATED"), (agreement["expires"], 1, "EXPIRED")]
    past = sorted(end for end in ends if end[0] is not None and end[0] <= now)
    if past:
        return past[0][2]  # what ended it first
    if agreement["suspended"]:
        return "SUSPENDED"
    return "NOT_YET" if now < agreement["not_before"] else ""


def effective(world: Row, agreement_id: str, now: int) -> bool:
    """In force by itself, and so is every ancestor."""
    return not any(condition(one, now) for one in path_up(world, agreement_id))


def in_force(world: Row, agreement_id: str, what: str) -> set[Any]:
    """The fields or purposes that nobody on the path kept back or withdrew."""
    path = path_up(world, agreement_id)
    return set.intersection(*(set(one[what]) - set(one["withdrawn_" + what]) for one in path))


def share_and_origins(world: Row, share_id: str) -> list[Row]:
    """The share, the one that it comes from, and so on."""
    found: list[Row] = []
    following: str | None = share_id
    while following is not None:
        found.append(world["shares"][following])
        following = found[-1]["parent_share"]
    return found


# ---------------------------------------------------------------- the case that the rules look at


def onward_case(world: Row, attempt: Row) -> Row:
    """An onward share."""
    payload = attempt["payload"]
    people = (attempt["actor"], payload["recipient"])
    case = child_case(world, people, payload, payload["child"], attempt["now"])
    case["parcel"] = payload["share"]
    return case


def offered_case(world: Row, by: str, payload: Row, now: int) -> Row:
    """A child agreement without a share yet; the recipient may be the one who offers."""
    people = (by, payload["to"])
    if payload.get("first_party", by) != by:
        people = (payload["to"], by)
    return child_case(world, people, payload, payload["grant"], now)


def child_case(world: Row, people: tuple[str, str], payload: Row, grant: Row, now: int) -> Row:
    """A new child, with what was left out filled in."""
    child = dict(grant)
    parent = world["agreements"].get(payload["parent_agreement"], {"jurisdictions": None})
    child.setdefault("jurisdictions", parent["jurisdictions"])
    child.setdefault("expires_at_ms", None)
    child.setdefault("not_before_ms", now)
    child.setdefault("retention_ms", 0)
    return {
        "world": world,
        "now": now,
        "sharer": people[0],
        "recipient": people[1],
        "parent_id": payload["parent_agreement"],
        "share_id": payload["parent_share"],
        "child": child,
        "existing": None,
        "parcel": None,
        "approval": payload.get("approval"),
    }


def inside_case(world: Row, attempt: Row) -> Row:
    """A further share inside a child agreement: what is left of the child counts."""
    payload = attempt["payload"]
    child = world["agreements"][payload["agreement"]]
    path = path_up(world, payload["agreement"])
    ends = [one["expires"] for one in path if one["expires"] is not None]
    return {
        "world": world,
        "now": attempt["now"],
        "sharer": attempt["actor"],
        "recipient": child["second"],
        "parent_id": newest(world, child["parent"]),
        "share_id": payload["parent_share"],
        "approval": payload.get("approval"),
        "child": {
            "terms": child["terms"],
            "schema": child["schema"],
            "fields": in_force(world, payload["agreement"], "fields"),
            "purposes": in_force(world, payload["agreement"], "purposes"),
            "jurisdictions": child["jurisdictions"],
            "not_before_ms": child["not_before"],
            "expires_at_ms": min(ends) if ends else None,
            "retention_ms": min(one["retention"] for one in path),
        },
        "existing": child,
        "parcel": payload["share"],
    }


def last_moment(world: Row, terms: str, now: int) -> int | None:
    """When an agreement made now ends if it does not say so: "what the terms say"."""
    if terms not in world["terms"]:
        return None
    duration = clause(world, terms, "duration")
    if duration == "UNLIMITED":
        return None
    if "until_ms" in duration:
        return int(duration["until_ms"])
    return now + int(duration["from_accept_ms"])


# ---------------------------------------------------------------- what is left behind


def happen(world: Row, step: Row, judged: Judged) -> None:
    """Write down what a step leaves behind, given its verdict."""
    if judged.outcome == "recorded":
        world["records"].append((step["actor"], step["now"]))
    if judged.outcome == "accepted":
        LEFT_BEHIND[step["kind"]](world, step, step["payload"])


def id_of(kind: str, step: Row) -> str:
    """Ids derive from the body."""
    return hashlib.sha256(f"isa/{kind}/1".encode() + bytes.fromhex(step["tx"])).hexdigest()


def document_id(document: Row) -> str:
    """The id of a document: SHA-256 of its RFC 8785 form (plain ASCII here)."""
    return hashlib.sha256(document_bytes(document)).hexdigest()


def document_bytes(document: Row) -> bytes:
    """The RFC 8785 form of a document in ASCII with whole numbers."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def party_is(world: Row, _step: Row, payload: Row) -> None:
    """Somebody joins, or changes: no transaction of the contract."""
    world["parties"][payload["name"]] = payload


def terms_published(world: Row, _step: Row, payload: Row) -> None:
    """Terms exist."""
    document = payload["document"]
    entry = {"clauses": document["clauses"], "status": "PUBLISHED"}
    world["terms"][document_id(document)] = entry


def terms_changed(world: Row, step: Row, payload: Row) -> None:
    """Terms are deprecated or recalled."""
    status = {"terms.deprecate": "DEPRECATED", "terms.recall": "RECALLED"}[step["kind"]]
    world["terms"][payload["terms"]]["status"] = status


def schema_published(world: Row, _step: Row, payload: Row) -> None:
    """A schema exists."""
    fields = payload["document"]["fields"]
    entry = {field["index"]: field["identifying"] for field in fields}
    world["schemas"][document_id(payload["document"])] = entry


def offered(world: Row, step: Row, payload: Row) -> None:
    """An offer is open."""
    world["offers"][id_of("offer", step)] = {"by": step["actor"], "payload": payload, "open": True}


def accepted(world: Row, step: Row, payload: Row) -> None:
    """An offer has become an agreement, a root or a child."""
    offer = world["offers"][payload["offer"]]
    offer["open"] = False
    body, now = offer["payload"], step["now"]
    if "parent_share" in body:
        case = offered_case(world, offer["by"], body, now)
        agree(world, id_of("agreement", step), case, case["parent_id"])
        used_up(case)
        return
    child = dict(body["grant"])
    child.setdefault("jurisdictions", clause(world, child["terms"], "jurisdictions"))
    child.setdefault("not_before_ms", now)
    child.setdefault("expires_at_ms", last_moment(world, child["terms"], now))
    child.setdefault("retention_ms", 0)
    case = {"child": child, "sharer": offer["by"], "recipient": step["actor"], "now": now}
    case |= {"world": world}
    agree(world, id_of("agreement", step), case, None)


def agree(world: Row, agreement_id: str, case: Row, parent_id: str | None) -> None:
    """An agreement exists."""
    child = case["child"]
    world["agreements"][agreement_id] = {
        "series": agreement_id,
        "superseded": False,
        "suspended": False,
        "attested": False,
        "flagged": False,
        "parent": None if parent_id is None else world["agreements"][parent_id]["series"],
        "first": case["sharer"],
        "second": case["recipient"],
        "terms": child["terms"],
        "schema": child["schema"],
        "fields": set(child["fields"]),
        "purposes": set(child["purposes"]),
        "jurisdictions": child["jurisdictions"],
        "not_before": max(child["not_before_ms"], case["now"]),
        "expires": child["expires_at_ms"],
        "retention": child["retention_ms"],
        "withdrawn_fields": set(),
        "withdrawn_purposes": set(),
        "revoked": False,
        "terminated_at": None,
    }


def passed_on(world: Row, step: Row, payload: Row) -> None:
    """Child agreement and share at once."""
    case = onward_case(world, step)
    agree(world, id_of("agreement", step), case, case["parent_id"])
    used_up(case)
    given(world, step, {**payload, "agreement": id_of("agreement", step)})


def used_up(case: Row) -> None:
    """An approval serves once, where one is asked for."""
    terms = case["world"]["agreements"][case["parent_id"]]["terms"]
    if clause(case["world"], terms, "onward.mode") == "CONSENT_PER_SHARE":
        case["world"]["approvals"][case["approval"]]["open"] = False


def shared(world: Row, step: Row, payload: Row) -> None:
    """One more share, which may have needed an approval."""
    if "parent_share" in payload:
        used_up(inside_case(world, step))
    given(world, step, payload)


def given(world: Row, step: Row, payload: Row) -> None:
    """A share exists."""
    agreement = world["agreements"][payload["agreement"]]
    world["shares"][id_of("share", step)] = {
        "agreement": payload["agreement"],
        "from": agreement["first"],
        "to": agreement["second"],
        "fields": set(payload["share"]["fields"]),
        "commitment": payload["share"]["commitment"],
        "blob": payload["share"].get("blob"),
        "parent_share": payload.get("parent_share"),
        "withdrawn": False,
    }


def taken_back(world: Row, _step: Row, payload: Row) -> None:
    """A share is withdrawn."""
    world["shares"][payload["share"]]["withdrawn"] = True


def revoked(world: Row, step: Row, payload: Row) -> None:
    """An agreement is revoked, or some fields or purposes of it."""
    agreement = standing_for(world, payload["agreement"])
    if payload["scope"] == "ALL":
        agreement["revoked"], agreement["revoked_at"] = True, step["now"]
    agreement["withdrawn_fields"] |= set(payload.get("fields", ()))
    agreement["withdrawn_purposes"] |= set(payload.get("purposes", ()))


def terminated(world: Row, _step: Row, payload: Row) -> None:
    """The second party has given notice."""
    standing_for(world, payload["agreement"])["terminated_at"] = payload["effective_at_ms"]


def approved(world: Row, step: Row, payload: Row) -> None:
    """The rights holder has said yes to one onward share."""
    world["approvals"][id_of("approval", step)] = {**payload, "open": True}


def amended(world: Row, step: Row, payload: Row) -> None:
    """Another agreement stands in the place of one."""
    old = world["agreements"][payload["agreement"]]
    made = id_of("agreement", step)
    world["agreements"][made] = {
        **old,
        "fields": set(payload.get("fields") or old["fields"] - old["withdrawn_fields"]),
        "purposes": set(payload.get("purposes") or old["purposes"] - old["withdrawn_purposes"]),
        "expires": payload.get("expires_at_ms", old["expires"]),
        "withdrawn_fields": set(),
        "withdrawn_purposes": set(),
    }
    old["superseded"] = True
    world["newest"][old["series"]] = made


def attested(world: Row, _step: Row, payload: Row) -> None:
    """Somebody has said that it keeps nothing."""
    world["agreements"][payload["agreement"]]["attested"] = True


def flagged(world: Row, _step: Row, payload: Row) -> None:
    """Somebody has said that a duty is overdue."""
    world["agreements"][payload["agreement"]]["flagged"] = True


def suspension(world: Row, step: Row, payload: Row) -> None:
    """An auditor stops an agreement, or lets it go on."""
    row = standing_for(world, payload["agreement"])
    row["suspended"] = step["kind"] == "agreement.suspend"


def accused(world: Row, step: Row, payload: Row) -> None:
    """The auditor, who has a mandate over everything, accuses."""
    against = world["agreements"][payload["agreement"]]["second"]
    root = root_of(world, payload["agreement"])
    world["violations"][id_of("violation", step)] = {"against": against, "root": root}


def closed(world: Row, _step: Row, payload: Row) -> None:
    """The auditor closes an accusation."""
    del world["violations"][payload["violation"]]


def nothing(_world: Row, _step: Row, _payload: Row) -> None:
    """Nothing that the rules look at."""


LEFT_BEHIND: dict[str, Callable[[Row, Row, Row], None]] = {
    "party": party_is,
    "terms.publish": terms_published,
    "terms.deprecate": terms_changed,
    "terms.recall": terms_changed,
    "schema.publish": schema_published,
    "agreement.offer": offered,
    "agreement.accept": accepted,
    "agreement.revoke": revoked,
    "agreement.terminate": terminated,
    "share.onward": passed_on,
    "share.record": shared,
    "agreement.amend": amended,
    "agreement.resume": suspension,
    "agreement.suspend": suspension,
    "mandate.grant": nothing,
    "obligation.attest": attested,
    "obligation.flag_overdue": flagged,
    "onward.approve": approved,
    "violation.flag": accused,
    "violation.resolve": closed,
    "share.withdraw": taken_back,
}
