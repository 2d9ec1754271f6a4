"""Views of duties and of how they are kept: obligations, approvals, violations, breaches, mandates.

Lists come in pages of what is looked through: a page may show less than `limit`, and `next` says
whether there is more. A party sees what concerns it, an auditor what its mandates cover.
"""

from __future__ import annotations

from collections.abc import Iterator

from onward_chaincode import limits
from onward_chaincode.agreement import find_agreement
from onward_chaincode.answers import (
    Arguments,
    approval_json,
    breach_json,
    duty_json,
    may_read,
    read_page,
    violation_json,
)
from onward_chaincode.approval import find_approval
from onward_chaincode.contract import Json, View
from onward_chaincode.errors import Code, refuse
from onward_chaincode.keys import breach_key, schema_key
from onward_chaincode.mandate import ALL, ROOT, TERMS
from onward_chaincode.obligation import ATTESTED, OPEN, OVERDUE
from onward_chaincode.oversight import find_violation
from onward_chaincode.projections import read_step
from onward_chaincode.records import (
    BreachRecord,
    MandateRecord,
    SchemaRecord,
    load,
    must_load,
)
from onward_chaincode.schema import parse_schema
from onward_chaincode.standing import SUPERSEDED, Line, line_of
from onward_chaincode.terms import find_terms

_STATES = ("", OPEN, OVERDUE, ATTESTED)


def obligations(view: View, arguments: Arguments) -> Json:
    """`state`, `due_before_ms`, `after`, `limit`: duties owed by or to the reader, by agreement."""
    state = arguments.word("state")
    due_before_ms = arguments.whole("due_before_ms", limits.TIME_MS_MAX, limits.TIME_MS_MAX)
    after, limit = arguments.page()
    arguments.done()
    if state not in _STATES:
        raise refuse(Code.FORMAT, f"state is one of {', '.join(_STATES[1:])}", rule="")
    rows, following = read_page(view.projected, f"holds/{view.reader}/", after, limit)
    found = []
    for rest, _ in rows:
        line = line_of(view, find_agreement(view, bytes.fromhex(rest)))
        duty = duty_json(view, line, view.time_ms)
        if duty is None or state not in ("", duty["state"]) or duty["due_ms"] > due_before_ms:
            continue
        role = "owes" if line[0].second_party == view.reader else "is owed"
        waits = line[0].open_child_count
        found.append({"agreement_id": rest, "role": role, "waits_for_children": waits, **duty})
    return {"next": following, "obligations": found, "proven": False}


def approvals(view: View, arguments: Arguments) -> Json:
    """`after`, `limit`: approvals that the reader gave, may use, or is the recipient of."""
    rows, following = _listed(view, arguments, "approvals")
    found = [approval_json(find_approval(view, item), view.time_ms) for item in rows]
    return {"approvals": found, "next": following, "proven": False}


def violations(view: View, arguments: Arguments) -> Json:
    """`after`, `limit`: violations that the reader flagged, is accused of, or is on the path of."""
    rows, following = _listed(view, arguments, "violations")
    found = [violation_json(find_violation(view, item)) for item in rows]
    return {"next": following, "proven": False, "violations": found}


def breaches(view: View, arguments: Arguments) -> Json:
    """`after`, `limit`: notices that the reader gave or got."""
    rows, following = _listed(view, arguments, "breaches")
    found = [breach_json(must_load(view, breach_key(item), BreachRecord)) for item in rows]
    return {"breaches": found, "next": following, "proven": False}


def _listed(view: View, arguments: Arguments, kind: str) -> tuple[list[bytes], str]:
    after, limit = arguments.page()
    arguments.done()
    rows, following = read_page(view.projected, f"{kind}/{view.reader}/", after, limit)
    return [bytes.fromhex(rest.rsplit("/", 1)[-1]) for rest, _ in rows], following


def mandates(view: View, arguments: Arguments) -> Json:
    """`auditor` (the reader if left out), `after`, `limit`; those over one root only its holder."""
    auditor = arguments.party("auditor", view.reader)
    after, limit = arguments.page()
    arguments.done()
    rows, following = _mandates_seen(view, auditor, after, limit)
    found = []
    for rest in rows:
        record = load(view, f"mandate/{auditor}/{rest}", MandateRecord)
        if record is None:
            continue  # one that the reader gave, and took back
        scope, _, subject = rest.partition("/")
        found.append(
            {
                "auditor": auditor,
                "expires_at_ms": record.expires_at_ms,
                "granted_at_ms": record.granted_at_ms,
                "granted_by": record.granted_by,
                "scope": scope,
                "subject": subject or None,
            }
        )
    return {"mandates": found, "next": following}


def _mandates_seen(view: View, auditor: str, after: str, limit: int) -> tuple[list[str], str]:
    """How the keys of an auditor's mandates end, as far as the reader may know; the next cursor.

    Those over one root, the auditor reads in the state; anybody else among those that she gave.
    """
    found: list[str] = []
    for scope in (ALL, ROOT, TERMS):
        scan, prefix = view.scan, f"mandate/{auditor}/"
        if scope == ROOT and view.reader != auditor:
            scan, prefix = view.projected, f"appointed/{view.reader}/{auditor}/"
        start, end = prefix + max(after, f"{scope}/"), f"{prefix}{scope}0"
        rows = scan(start, end, limit + 2) if start < end else []
        found += [key[len(prefix) :] for key, _ in rows if key != prefix + after]
    return found[:limit], found[limit - 1] if len(found) > limit else ""


def catalogue(view: View, arguments: Arguments) -> Json:
    """`kind` (terms or schema), `after`, `limit`: what is published, by id, for everybody."""
    kind = arguments.word("kind", "terms")
    after, limit = arguments.page()
    arguments.done()
    if kind not in ("terms", "schema"):
        raise refuse(Code.FORMAT, "kind is terms or schema", rule="")
    rows, following = read_page(view.scan, f"{kind}/", after, limit)
    entry = _terms_entry if kind == "terms" else _schema_entry
    return {"kind": kind, "next": following, "published": [entry(view, rest) for rest, _ in rows]}


def _terms_entry(view: View, terms_id: str) -> Json:
    record, terms = find_terms(view, bytes.fromhex(terms_id))
    return {
        "label": terms.label,
        "publisher": record.publisher,
        "state": record.state,
        "terms_id": terms_id,
        "version": terms.version,
    }


def _schema_entry(view: View, schema_id: str) -> Json:
    record = must_load(view, schema_key(bytes.fromhex(schema_id)), SchemaRecord)
    schema = parse_schema(record.document)
    return {
        "label": schema.label,
        "publisher": record.publisher,
        "schema_id": schema_id,
        "version": schema.version,
    }


# -- compliance ------------------------------------------------------------------------------------


def compliance(view: View, arguments: Arguments) -> Json:
    """`party` (the reader if left out): how a custodian keeps its word, as far as the reader sees.

    Each part looks through at most `limits.VIEW_ROWS_MAX` rows; `complete` says whether that was
    all. Counted are agreements that the reader may read: all of them for the custodian itself,
    those of her own roots for a rights holder, those under its mandates for an auditor.
    """
    party = arguments.party("party", view.reader)
    arguments.done()
    prefix = f"holds/{party}/"
    rows, following = read_page(view.projected, prefix, "", limits.VIEW_ROWS_MAX)
    states = dict.fromkeys(("ATTESTED", "OPEN", "OVERDUE"), 0)
    counts = {"agreements": 0, "passed_on": 0, "received": 0}
    for line in _custody(view, party, [rest for rest, _ in rows]):
        duty = duty_json(view, line, view.time_ms)
        if duty is not None:
            states[duty["state"]] += 1
        counts["agreements"] += 1
        counts["received"] += line[0].share_count
        counts["passed_on"] += line[0].child_count
    return {
        **counts,
        "attested": _attested(view, party),
        "breach_notices": _notices(view, party),
        "complete": not following,
        "obligations": states,
        "party": party,
        "proven": False,
        "refused": _refused(view, party),
        "violations": _accusations(view, party),
    }


def _custody(view: View, party: str, ids: list[str]) -> Iterator[Line]:
    """The paths of the agreements under which a party holds data, that the reader may read."""
    for agreement_id in ids:
        line = line_of(view, find_agreement(view, bytes.fromhex(agreement_id)))
        if line[0].second_party == party and line[0].state != SUPERSEDED and may_read(view, line):
            yield line


def _attested(view: View, party: str) -> Json:
    """How long a party took from the end of an agreement to its word, on the mean."""
    rows, following = read_page(view.projected, f"attested/{party}/", "", limits.VIEW_ROWS_MAX)
    taken, late, early = [], 0, 0
    for rest, value in rows:
        step, _ = read_step(rest, value)
        line = line_of(view, find_agreement(view, bytes.fromhex(step["agreement_id"])))
        if not may_read(view, line):
            continue
        if step["since_ms"] is None:
            early += 1
            continue
        taken.append(step["at_ms"] - step["since_ms"])
        late += step["at_ms"] >= step["due_ms"]
    mean_ms = sum(taken) // len(taken) if taken else None
    return {
        "before_the_end": early,
        "complete": not following,
        "late": late,
        "mean_ms": mean_ms,
        "total": len(taken) + early,
    }


def _refused(view: View, party: str) -> Json:
    """Refused attempts of a party that the reader may see, by code."""
    rows, following = read_page(view.projected, f"refused/{view.reader}/", "", limits.VIEW_ROWS_MAX)
    by_code: dict[str, int] = {}
    for rest, value in rows:
        step, _ = read_step(rest, value)
        if step["sharer"] == party:
            by_code[step["code"]] = by_code.get(step["code"], 0) + 1
    ordered = {code: by_code[code] for code in sorted(by_code)}
    return {"by_code": ordered, "complete": not following, "total": sum(ordered.values())}


def _accusations(view: View, party: str) -> Json:
    """Violations flagged against a party, by state, that the reader may see."""
    rows, following = read_page(view.projected, f"violations/{party}/", "", limits.VIEW_ROWS_MAX)
    by_state = dict.fromkeys(("OPEN", "REJECTED", "RESOLVED"), 0)
    for rest, _ in rows:
        violation = find_violation(view, bytes.fromhex(rest.rsplit("/", 1)[-1]))
        line = line_of(view, find_agreement(view, violation.agreement_id))
        if violation.against == party and may_read(view, line):
            by_state[violation.state] += 1
    return {"by_state": by_state, "complete": not following}


def _notices(view: View, party: str) -> Json:
    """Breach notices of a party that the reader got, in time and late."""
    rows, following = read_page(view.projected, f"breaches/{party}/", "", limits.VIEW_ROWS_MAX)
    late, in_time = 0, 0
    for rest, _ in rows:
        key = breach_key(bytes.fromhex(rest.rsplit("/", 1)[-1]))
        breach = must_load(view, key, BreachRecord)
        if breach.party != party or view.reader not in breach.readers:
            continue
        late += breach.late_count > 0
        in_time += breach.late_count == 0
    return {"complete": not following, "in_time": in_time, "late": late}
