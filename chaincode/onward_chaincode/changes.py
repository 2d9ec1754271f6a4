"""What changed: for a party since a moment, and for one agreement between two.

Both read rows that only few events write (`feed`, `turned`), so that neither walks through shares.
How an agreement stood at an earlier time is worked out from its record, without what came later,
and by what turned it until then.
"""

from __future__ import annotations

from onward_chaincode import limits
from onward_chaincode.agreement import find_agreement
from onward_chaincode.answers import (
    Arguments,
    read_page,
    require_path_reader,
    standing_json,
)
from onward_chaincode.contract import Json, View
from onward_chaincode.errors import Code, refuse
from onward_chaincode.keys import moment
from onward_chaincode.projections import read_step
from onward_chaincode.records import AgreementRecord
from onward_chaincode.standing import (
    ACTIVE,
    REVOKED,
    SUPERSEDED,
    SUSPENDED,
    Line,
    current_of,
    line_of,
)
from onward_proto.canonical import changed


def feed(view: View, arguments: Arguments) -> Json:
    """`since_ms`, `after`, `limit`: what happened that the reader may have to act on, oldest first.

    Everything but offers, shares and their acknowledgements, which have lists of their own. What
    ends by time alone is no event: `obligations` and `party_view` tell of it.
    """
    since_ms = arguments.whole("since_ms", 0, limits.TIME_MS_MAX)
    after, limit = arguments.page()
    arguments.done()
    start = max(after, moment(since_ms))
    rows, following = read_page(view.projected, f"feed/{view.reader}/", start, limit)
    steps = [read_step(rest, value)[0] for rest, value in rows]
    return {"next": following, "proven": False, "steps": steps}


def changes(view: View, arguments: Arguments) -> Json:
    """`agreement_id`, `from_ms`, `to_ms` (now if left out): what it allowed then and allows since.

    At most `limits.CHANGES_MAX` turns of each agreement on the path are looked at, and so many
    agreements that it superseded; `complete` says whether those were all.
    """
    agreement_id = arguments.id("agreement_id")
    from_ms = arguments.whole("from_ms", 0, limits.TIME_MS_MAX)
    to_ms = arguments.whole("to_ms", view.time_ms, limits.TIME_MS_MAX)
    arguments.done()
    if from_ms > to_ms:
        raise refuse(Code.FORMAT, "from_ms lies behind to_ms", rule="")
    line = line_of(view, current_of(view, find_agreement(view, agreement_id)))
    require_path_reader(view, line, "these changes")
    earlier, complete = _line_at(view, line, from_ms)
    later, _ = _line_at(view, line, to_ms)
    before, after = _standing_at(earlier, from_ms), _standing_at(later, to_ms)
    steps: list[Json] = []
    seen = {one.agreement_id for one in (*earlier, *later)}
    for item in sorted(seen):
        turns, all_of_them = _turns(view, item)
        steps += [turn for turn in turns if from_ms < turn["at_ms"] <= to_ms]
        complete = complete and all_of_them
    unique = {(step["at_ms"], step["tx_id"]): step for step in steps}
    return {
        "after": after,
        "before": before,
        "complete": complete,
        "from_ms": from_ms,
        "gained": _missing_in(before, after),
        "lost": _missing_in(after, before),
        "proven": False,
        "steps": [unique[key] for key in sorted(unique)],
        "to_ms": to_ms,
    }


def _missing_in(one: Json | None, other: Json | None) -> Json:
    """Fields and purposes in force in `other` that are not in `one`."""
    found: Json = {}
    for part in ("fields", "purposes"):
        key = f"{part}_in_force"
        there = [] if other is None else other[key]
        here = [] if one is None else one[key]
        found[part] = [item for item in there if item not in here]
    return found


def _standing_at(line: Line, at_ms: int) -> Json | None:
    """How the first agreement of a line as of then stood; None: it did not exist yet."""
    return None if line[0].accepted_at_ms > at_ms else standing_json(line, at_ms)


def _line_at(view: View, line: Line, at_ms: int) -> tuple[Line, bool]:
    """The line as of then; False where what held then is further back than is looked."""
    found = [_version_at(view, agreement, at_ms) for agreement in line]
    return tuple(_as_of(view, item, at_ms) for item, _ in found), all(it for _, it in found)


def _version_at(view: View, agreement: AgreementRecord, at_ms: int) -> tuple[AgreementRecord, bool]:
    """The agreement, or the one that it amended, which held then; False: it was not reached."""
    for _ in range(limits.CHANGES_MAX):
        if agreement.accepted_at_ms <= at_ms or agreement.supersedes_id is None:
            return agreement, True
        agreement = find_agreement(view, agreement.supersedes_id)
    held_then = agreement.accepted_at_ms <= at_ms or agreement.supersedes_id is None
    return agreement, held_then


def _as_of(view: View, agreement: AgreementRecord, at_ms: int) -> AgreementRecord:
    """The agreement with what had turned it by then, and no more."""
    turns, _ = _turns(view, agreement.agreement_id)
    if any(turn["event"] == "agreement.terminate" for turn in turns):
        agreement = changed(agreement, terminates_at_ms=None)
    agreement = changed(agreement, state=ACTIVE, withdrawn_fields=(), withdrawn_purposes=())
    for turn in turns:
        if turn["at_ms"] <= at_ms:
            agreement = _turned(agreement, turn)
    return agreement


def _turned(agreement: AgreementRecord, turn: Json) -> AgreementRecord:
    """The agreement after one event that turned it."""
    at_ms = turn["at_ms"]
    match turn["event"]:
        case "agreement.revoke" if turn["scope"] == "ALL":
            if agreement.state == REVOKED:
                return agreement
            return changed(agreement, state=REVOKED, changed_at_ms=at_ms)
        case "agreement.revoke":
            fields = tuple(sorted({*agreement.withdrawn_fields, *turn["fields"]}))
            purposes = tuple(sorted({*agreement.withdrawn_purposes, *turn["purposes"]}))
            return changed(agreement, withdrawn_fields=fields, withdrawn_purposes=purposes)
        case "agreement.terminate":
            return changed(agreement, terminates_at_ms=turn["effective_at_ms"])
        case "agreement.suspend":
            return changed(agreement, state=SUSPENDED, changed_at_ms=at_ms)
        case "agreement.resume":
            return changed(agreement, state=ACTIVE, changed_at_ms=at_ms)
        case "agreement.amend" if turn["supersedes_id"] == agreement.agreement_id.hex():
            return changed(agreement, state=SUPERSEDED, changed_at_ms=at_ms)
        case _:
            return agreement


def _turns(view: View, agreement_id: bytes) -> tuple[list[Json], bool]:
    """The events that turned an agreement, oldest first, and whether these are all."""
    prefix = f"turned/{agreement_id.hex()}/"
    rows, following = read_page(view.projected, prefix, "", limits.CHANGES_MAX)
    return [read_step(rest, value)[0] for rest, value in rows], not following
