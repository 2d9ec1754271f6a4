"""The queries: what a party may ask, from committed state and from projections.

A party reads what it takes part in: its agreements and those derived from them, its shares, its
offers, the refusals that concern its data. Terms, schemas, open offers and intentcasts are
readable by every party. Answers that come from projections say `proven: false`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from onward_chaincode import aggregate, changes, limits, supervision, trace
from onward_chaincode.agreement import find_agreement
from onward_chaincode.answers import (
    Arguments,
    agreement_json,
    duty_json,
    intent_json,
    offer_json,
    read_page,
    require_path_reader,
    require_reader,
    response_json,
    share_json,
    standing_json,
)
from onward_chaincode.contract import Json, View
from onward_chaincode.errors import Code, refuse
from onward_chaincode.forms import TAG
from onward_chaincode.intent import OPEN, find_intent, intent_status
from onward_chaincode.keys import moment, response_key, sanction_key, schema_key
from onward_chaincode.lineage import lineage
from onward_chaincode.offer import find_offer
from onward_chaincode.projections import DIRECTIONS, RECEIVED, read_step
from onward_chaincode.records import (
    AgreementRecord,
    ResponseRecord,
    SchemaRecord,
    must_load,
)
from onward_chaincode.schema import find_schema
from onward_chaincode.share import find_share
from onward_chaincode.standing import current_of, line_of, standing
from onward_chaincode.terms import find_terms
from onward_proto.documents import parse_document

Query = Callable[[View, Arguments], Json]


def agreement(view: View, arguments: Arguments) -> Json:
    """`agreement_id`; `at_ms` asks how it stands at another time, as recorded now."""
    agreement_id = arguments.id("agreement_id")
    at_ms = arguments.whole("at_ms", view.time_ms, limits.TIME_MS_MAX)
    arguments.done()
    line = line_of(view, find_agreement(view, agreement_id))
    require_path_reader(view, line, "this agreement")
    found = line[0]
    return {
        **agreement_json(line, at_ms),
        "current_id": current_of(view, found).agreement_id.hex(),
        "duty": duty_json(view, line, at_ms),
        "sanctioned": view.get(sanction_key(found.root_id, found.second_party)) is not None,
    }


def share(view: View, arguments: Arguments) -> Json:
    """`share_id`."""
    share_id = arguments.id("share_id")
    arguments.done()
    found = find_share(view, share_id)
    line = line_of(view, current_of(view, find_agreement(view, found.agreement_id)))
    require_path_reader(view, line, "this share")
    return {**share_json(found), **standing_json(line, view.time_ms)}


def blob(view: View, arguments: Arguments) -> Json:
    """`record`: a share's blob, for the node that keeps it: its hash, its holders, its end."""
    found = find_share(view, arguments.id("record"))
    arguments.done()
    line = line_of(view, find_agreement(view, found.agreement_id))
    require_path_reader(view, line, "this share")
    return {
        "blob": None if found.blob is None else found.blob.hex(),
        "holders": sorted({found.sender, found.recipient}),
        "purged_at_ms": found.purged_at_ms,
    }


def history(view: View, arguments: Arguments) -> Json:
    """`agreement_id`, `after`, `limit`: what happened under an agreement, oldest first."""
    agreement_id = arguments.id("agreement_id")
    after, limit = arguments.page()
    arguments.done()
    line = line_of(view, find_agreement(view, agreement_id))
    require_path_reader(view, line, "this history")
    rows, following = read_page(view.projected, f"history/{agreement_id.hex()}/", after, limit)
    return {"next": following, "proven": False, "steps": _steps(rows)}


def offer(view: View, arguments: Arguments) -> Json:
    """`offer_id`."""
    offer_id = arguments.id("offer_id")
    arguments.done()
    found = find_offer(view, offer_id)
    if found.to is not None:
        require_reader(view, (found.offeror, found.to), "this offer")
    return offer_json(found, view.time_ms)


def handshake(view: View, arguments: Arguments) -> Json:
    """`offer_id`, `after`, `limit`: the steps that the reader may see, oldest first."""
    offer_id = arguments.id("offer_id")
    after, limit = arguments.page()
    arguments.done()
    found = find_offer(view, offer_id)
    if found.to is not None:
        require_reader(view, (found.offeror, found.to), "this handshake")
    thread = found.counter_of or found.offer_id
    rows, following = _own_and_common(view, f"thread/{thread.hex()}", after, limit)
    steps = [read_step(rest, value) for rest, value in rows]
    seen = [{"readers": list(readers), **step} for step, readers in steps]
    return {"next": following, "proven": False, "steps": seen}


def _own_and_common(
    view: View, kind: str, after: str, limit: int
) -> tuple[list[tuple[str, bytes]], str]:
    """As `read_page`, of the rows for the reader and those for everybody, as one list."""
    found: list[tuple[str, bytes]] = []
    for reader in ("*", view.reader):
        rows, _ = read_page(view.projected, f"{kind}/{reader}/", after, limit + 1)
        found += rows
    found.sort()
    return found[:limit], found[limit - 1][0] if len(found) > limit else ""


def _steps(rows: list[tuple[str, bytes]]) -> list[Json]:
    return [read_step(rest, value)[0] for rest, value in rows]


def agreements(view: View, arguments: Arguments) -> Json:
    """`after`, `limit`: the reader's agreements with her role in each, by id."""
    after, limit = arguments.page()
    arguments.done()
    rows, following = read_page(view.projected, f"holds/{view.reader}/", after, limit)
    found = []
    for rest, _ in rows:
        line = line_of(view, find_agreement(view, bytes.fromhex(rest)))
        role = _role_in(line[0], view.reader)
        found.append({"role": role, **agreement_json(line, view.time_ms)})
    return {"agreements": found, "next": following, "proven": False}


def shares(view: View, arguments: Arguments) -> Json:
    """`direction` (given, received, passed_on, onward), `after`, `limit`: oldest first."""
    direction = arguments.word("direction")
    after, limit = arguments.page()
    arguments.done()
    if direction not in DIRECTIONS:
        raise refuse(Code.FORMAT, f"direction is one of {', '.join(DIRECTIONS)}", rule="")
    prefix = f"moved/{view.reader}/{direction}/"
    rows, following = read_page(view.projected, prefix, after, limit)
    found = [_moved_share(view, direction, rest) for rest, _ in rows]
    return {"next": following, "proven": False, "shares": found}


def _role_in(agreement: AgreementRecord, party: str) -> str:
    if party == agreement.second_party:
        return "second_party"
    return "first_party" if party == agreement.first_party else "rights_holder"


def _moved_share(view: View, direction: str, rest: str) -> Json:
    """A hand-over as a list shows it; its key ends in `rest`. None of this ever changes."""
    share = find_share(view, bytes.fromhex(rest.rsplit("/", 1)[-1]))
    return {
        "agreement_id": share.agreement_id.hex(),
        "at_ms": share.recorded_at_ms,
        "counterparty": share.sender if direction == RECEIVED else share.recipient,
        "fields": list(share.fields),
        "purpose": share.purpose,
        "schema_id": find_agreement(view, share.agreement_id).schema_id.hex(),
        "sender": share.sender,
        "share_id": share.share_id.hex(),
    }


def refusals(view: View, arguments: Arguments) -> Json:
    """`after`, `limit`: refused onward shares that the reader tried or that concern her data."""
    after, limit = arguments.page()
    arguments.done()
    rows, following = read_page(view.projected, f"refused/{view.reader}/", after, limit)
    return {"next": following, "proven": False, "refusals": _steps(rows)}


def party_view(view: View, arguments: Arguments) -> Json:
    """`within_ms`: the reader's sharing at a glance.

    Every part counts at most `limits.VIEW_ROWS_MAX` rows and says so with `complete`; the queries
    agreements, shares and refusals give all of them in pages.
    """
    within = arguments.whole("within_ms", limits.ENDING_SOON_MS_DEFAULT, limits.DURATION_MS_MAX)
    arguments.done()
    moved = {direction: _moved(view, direction) for direction in DIRECTIONS}
    return {
        "agreements": _agreement_counts(view),
        "ending_soon": _ending_soon(view, within),
        "party": view.reader,
        "proven": False,
        "refused": _refused(view),
        **moved,
    }


def _agreement_counts(view: View) -> Json:
    prefix = f"holds/{view.reader}/"
    rows, following = read_page(view.projected, prefix, "", limits.VIEW_ROWS_MAX)
    counts: dict[str, int] = {}
    for rest, _ in rows:
        line = line_of(view, find_agreement(view, bytes.fromhex(rest)))
        status = standing(line, view.time_ms).status
        counts[status] = counts.get(status, 0) + 1
    return {"by_status": _sorted(counts), "complete": not following, "total": len(rows)}


def _moved(view: View, direction: str) -> Json:
    prefix = f"moved/{view.reader}/{direction}/"
    rows, following = read_page(view.projected, prefix, "", limits.VIEW_ROWS_MAX)
    by_counterparty: dict[str, int] = {}
    by_purpose: dict[str, int] = {}
    by_index: dict[tuple[str, int], int] = {}
    for rest, _ in rows:
        row = _moved_share(view, direction, rest)
        by_counterparty[row["counterparty"]] = by_counterparty.get(row["counterparty"], 0) + 1
        by_purpose[row["purpose"]] = by_purpose.get(row["purpose"], 0) + 1
        for index in row["fields"]:
            seen = row["schema_id"], index
            by_index[seen] = by_index.get(seen, 0) + 1
    return {
        "by_counterparty": _sorted(by_counterparty),
        "by_field": _by_name(view, by_index),
        "by_purpose": _sorted(by_purpose),
        "complete": not following,
        "total": len(rows),
    }


def _by_name(view: View, by_index: dict[tuple[str, int], int]) -> dict[str, int]:
    """Counts by (schema, field index) as counts by field name; each schema is read once."""
    names = {
        schema_id: find_schema(view, bytes.fromhex(schema_id)).names
        for schema_id in sorted({schema_id for schema_id, _ in by_index})
    }
    counts: dict[str, int] = {}
    for (schema_id, index), count in by_index.items():
        name = names[schema_id][index]
        counts[name] = counts.get(name, 0) + count
    return _sorted(counts)


def _ending_soon(view: View, within_ms: int) -> Json:
    prefix = f"ending/{view.reader}/"
    first, last = moment(view.time_ms), moment(view.time_ms + within_ms)
    rows = view.projected(prefix + first, prefix + last + "0", limits.VIEW_ROWS_MAX + 1)
    found: dict[str, Json] = {}
    for key, _ in rows[: limits.VIEW_ROWS_MAX]:
        agreement_id = key.rsplit("/", 1)[-1]
        line = line_of(view, find_agreement(view, bytes.fromhex(agreement_id)))
        state = standing_json(line, view.time_ms)
        if state["effective"]:
            found[agreement_id] = {
                "agreement_id": agreement_id,
                "ends_at_ms": state["ends_at_ms"],
                "first_party": line[0].first_party,
                "second_party": line[0].second_party,
            }
    ordered = sorted(found.values(), key=lambda item: (item["ends_at_ms"], item["agreement_id"]))
    return {"agreements": ordered, "complete": len(rows) <= limits.VIEW_ROWS_MAX}


def _refused(view: View) -> Json:
    prefix = f"refused/{view.reader}/"
    rows, following = read_page(view.projected, prefix, "", limits.VIEW_ROWS_MAX)
    by_code: dict[str, int] = {}
    by_sharer: dict[str, int] = {}
    for row in _steps(rows):
        by_code[row["code"]] = by_code.get(row["code"], 0) + 1
        by_sharer[row["sharer"]] = by_sharer.get(row["sharer"], 0) + 1
    return {
        "by_code": _sorted(by_code),
        "by_sharer": _sorted(by_sharer),
        "complete": not following,
        "total": len(rows),
    }


def _sorted(counts: dict[str, int]) -> dict[str, int]:
    return {key: counts[key] for key in sorted(counts)}


def intent(view: View, arguments: Arguments) -> Json:
    """`intent_id`: an intentcast, as every party may read it."""
    intent_id = arguments.id("intent_id")
    arguments.done()
    return intent_json(find_intent(view, intent_id), view.time_ms)


def intents(view: View, arguments: Arguments) -> Json:
    """`industry`, `tag`, `brand`, `after`, `limit`: open intentcasts, oldest first by industry."""
    industry, tag = arguments.word("industry"), arguments.word("tag")
    brand = arguments.word("brand")
    after, limit = arguments.page()
    arguments.done()
    if industry and not TAG.fullmatch(industry):
        raise refuse(Code.FORMAT, "argument 'industry': expected a tag", rule="")
    prefix = f"casting/{industry}/" if industry else "casting/"
    rows, following = read_page(view.projected, prefix, after, limit)
    found = []
    for rest, _ in rows:
        cast = find_intent(view, bytes.fromhex(rest.rsplit("/", 1)[-1]))
        fits = (not tag or tag in cast.tags) and (not brand or brand in cast.brands)
        if fits and intent_status(cast, view.time_ms) == OPEN:
            found.append(intent_json(cast, view.time_ms))
    return {"intents": found, "next": following, "proven": False}


def responses(view: View, arguments: Arguments) -> Json:
    """`intent_id`, `after`, `limit`: the caster sees all responses, a responder its own."""
    intent_id = arguments.id("intent_id")
    after, limit = arguments.page()
    arguments.done()
    find_intent(view, intent_id)
    prefix = f"answered/{intent_id.hex()}/{view.reader}/"
    rows, following = read_page(view.projected, prefix, after, limit)
    found: list[Any] = []
    for rest, _ in rows:
        key = response_key(bytes.fromhex(rest.rsplit("/", 1)[-1]))
        found.append(response_json(must_load(view, key, ResponseRecord), view.time_ms))
    return {"next": following, "proven": False, "responses": found}


def terms(view: View, arguments: Arguments) -> Json:
    """`terms_id`: the document and its state."""
    terms_id = arguments.id("terms_id")
    arguments.done()
    record, _ = find_terms(view, terms_id)
    return {
        "changed_at_ms": record.changed_at_ms,
        "document": parse_document(record.document),
        "publisher": record.publisher,
        "state": record.state,
        "terms_id": terms_id.hex(),
    }


def schema(view: View, arguments: Arguments) -> Json:
    """`schema_id`: the document."""
    schema_id = arguments.id("schema_id")
    arguments.done()
    find_schema(view, schema_id)
    record = must_load(view, schema_key(schema_id), SchemaRecord)
    return {
        "document": parse_document(record.document),
        "published_at_ms": record.published_at_ms,
        "publisher": record.publisher,
        "schema_id": schema_id.hex(),
    }


QUERIES: dict[str, Query] = {
    "aggregate": aggregate.aggregate,
    "agreement": agreement,
    "agreements": agreements,
    "approvals": supervision.approvals,
    "breaches": supervision.breaches,
    "catalogue": supervision.catalogue,
    "changes": changes.changes,
    "compliance": supervision.compliance,
    "feed": changes.feed,
    "blob": blob,
    "handshake": handshake,
    "history": history,
    "intent": intent,
    "intents": intents,
    "lineage": lineage,
    "mandates": supervision.mandates,
    "obligations": supervision.obligations,
    "offer": offer,
    "party_view": party_view,
    "refusals": refusals,
    "responses": responses,
    "schema": schema,
    "share": share,
    "shares": shares,
    "terms": terms,
    "trace": trace.trace,
    "violations": supervision.violations,
}
