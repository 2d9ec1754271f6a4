"""Any dossier that the chain could answer with has a valid export in every format."""

from __future__ import annotations

import copy
import functools
import json
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.support.dossiers import collected
from tests.support.format_schemas import SCHEMAS
from tests.support.terms_documents import clauses, document
from tests.unit.chaincode.world import cases, fixture

from onward.exchange.coherence import parse_dossier
from onward.exchange.exports import FORMATS, export_text
from onward_chaincode import limits
from onward_chaincode.drafts import published_id
from onward_proto.documents import canonical_document

jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed: nothing checks")

CALENDAR_END_MS = (
    253_402_300_800_000  # the year 10 000: parties may name it, blocks have no such time
)
EVENTS = (
    "agreement.accept", "agreement.amend", "agreement.offer", "agreement.resume",
    "agreement.revoke", "agreement.suspend", "agreement.terminate", "breach.notify", "share.ack",
    "violation.flag",
)  # fmt: skip

times = st.one_of(st.integers(0, limits.TIME_MS_MAX), st.sampled_from([0, 1, 999, CALENDAR_END_MS]))
steps = st.fixed_dictionaries(
    {"event": st.sampled_from(EVENTS), "tx_id": st.sampled_from(["ab" * 32, "cd" * 32])},
    optional={"scope": st.sampled_from(["ALL", "FIELDS", "PURPOSES"])},
)


def part_of(items: list[Any]) -> st.SearchStrategy[list[Any]]:
    return st.sets(st.sampled_from(items)).map(sorted) if items else st.just([])


@functools.cache
def bases() -> tuple[dict[str, Any], ...]:
    """A root and a child, before anything is drawn."""
    c = cases()
    return tuple(collected(c.world, "alice", agreement) for agreement in (c.g1, c.g1a))


@st.composite
def dossiers(draw: st.DrawFn) -> dict[str, Any]:
    found: dict[str, Any] = copy.deepcopy(draw(st.sampled_from(bases())))
    terms = document(draw(clauses))
    schema = fixture("schemas", draw(st.sampled_from(["S-CONTACT", "S-HEALTH", "S-INTENT"])))
    fields = draw(part_of([field["index"] for field in schema["fields"]]))
    purposes = terms["clauses"]["purposes_allowed"]
    own = {
        "terms_id": published_id(terms),
        "schema_id": published_id(schema),
        "fields": fields,
        "withdrawn_fields": draw(part_of(fields)),
        "purposes": purposes,
        "withdrawn_purposes": draw(part_of(purposes)),
        "jurisdictions": draw(part_of(["DE", "FR", "US"])),
        "accepted_at_ms": draw(st.integers(0, CALENDAR_END_MS - 1)),
        "not_before_ms": draw(times),
        "ends_at_ms": draw(st.none() | times),
        "retention_ms": draw(st.integers(0, limits.DURATION_MS_MAX)),
    }
    as_of_ms = draw(times)
    above = found["lineage"]["path"][1:]
    for item in above:
        status = draw(st.sampled_from(["ACTIVE", "REVOKED"]))
        item |= {"status": status, "effective": status == "ACTIVE", "ends_at_ms": None}
    status = draw(st.sampled_from(statuses(own, as_of_ms, [item["status"] for item in above])))
    own |= {"status": status, "effective": status == "ACTIVE"}
    found["agreement"] |= own | {"as_of_ms": as_of_ms}
    found["lineage"]["path"][0] |= own
    found["terms"]["document"], found["schema"]["document"] = terms, schema
    for share in found["shares"]:
        share |= {
            "fields": draw(part_of(fields)),
            "purpose": draw(st.sampled_from(["", *purposes])),
        }
    made = [step for step in found["history"] if "share_id" in step]
    more = {part: draw(st.lists(steps, max_size=4)) for part in ("history", "handshake")}
    about = {"agreement_id": found["agreement"]["agreement_id"]}
    actors = st.sampled_from([found["agreement"][side] for side in ("first_party", "second_party")])
    for part, rows in more.items():
        found[part] = [step | about | {"at_ms": draw(times), "by": draw(actors)} for step in rows]
    found["history"] += made
    return found


def statuses(own: dict[str, Any], as_of_ms: int, above: list[str]) -> list[str]:
    """How an agreement with these times, below these, may stand."""
    always = ["REVOKED", "SUPERSEDED"]
    if own["ends_at_ms"] is not None and own["ends_at_ms"] <= as_of_ms:
        return [*always, "EXPIRED", "TERMINATED"]
    if as_of_ms < own["not_before_ms"]:
        return [*always, "SUSPENDED", "SCHEDULED"]
    return [*always, "SUSPENDED", "ENDED_BY_ANCESTOR" if "REVOKED" in above else "ACTIVE"]


# Not shrunk: a dossier is large, and making it small takes longer than a test may.
@settings(max_examples=60, phases=[Phase.explicit, Phase.generate])
@given(dossiers())
def test_every_format_can_say_every_agreement_validly(dossier: dict[str, Any]) -> None:
    """Times without end, nothing left of what was granted, every state that times allow."""
    parsed = parse_dossier(canonical_document(dossier))
    for name in FORMATS:
        exported = json.loads(export_text(name, parsed))
        jsonschema.Draft202012Validator(SCHEMAS[name]).validate(exported)
        policy = exported if name == "odrl" else {}
        assert not (policy.get("permission") and parsed.agreement.status == "REVOKED")
