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

from onward.exchange.dossier import parse_dossier
from onward.exchange.exports import FORMATS, export_text
from onward_chaincode import limits
from onward_chaincode.drafts import published_id
from onward_proto.documents import canonical_document

jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed: nothing checks")

STATUSES = (
    "ACTIVE", "SCHEDULED", "EXPIRED", "REVOKED", "TERMINATED", "ENDED_BY_ANCESTOR", "SUPERSEDED",
    "SUSPENDED",
)  # fmt: skip
CALENDAR_END_MS = (
    253_402_300_800_000  # the year 10 000: parties may name it, blocks have no such time
)
EVENTS = (
    "agreement.accept", "agreement.amend", "agreement.offer", "agreement.resume",
    "agreement.revoke", "agreement.suspend", "agreement.terminate", "breach.notify", "share.ack",
    "share.onward", "violation.flag",
)  # fmt: skip

times = st.one_of(st.integers(0, limits.TIME_MS_MAX), st.sampled_from([0, 1, 999, CALENDAR_END_MS]))
steps = st.fixed_dictionaries(
    {"event": st.sampled_from(EVENTS), "tx_id": st.sampled_from(["ab" * 32, "cd" * 32])},
    optional={
        "by": st.sampled_from(["alice", "acme"]),
        "scope": st.sampled_from(["ALL", "FIELDS", "PURPOSES"]),
    },
)


def part_of(items: list[Any]) -> st.SearchStrategy[list[Any]]:
    return st.sets(st.sampled_from(items)).map(sorted) if items else st.just([])


@functools.cache
def base() -> dict[str, Any]:
    c = cases()
    return collected(c.world, "alice", c.g1)


@st.composite
def dossiers(draw: st.DrawFn) -> dict[str, Any]:
    found = copy.deepcopy(base())
    terms = document(draw(clauses))
    schema = fixture("schemas", draw(st.sampled_from(["S-CONTACT", "S-HEALTH", "S-INTENT"])))
    indexes = [field["index"] for field in schema["fields"]]
    status = draw(st.sampled_from(STATUSES))
    own = {
        "terms_id": published_id(terms),
        "schema_id": published_id(schema),
        "fields": draw(part_of(indexes)),
        "withdrawn_fields": draw(part_of(indexes)),
        "purposes": terms["clauses"]["purposes_allowed"],
        "withdrawn_purposes": draw(part_of(terms["clauses"]["purposes_allowed"])),
        "jurisdictions": draw(part_of(["DE", "FR", "US"])),
        "accepted_at_ms": draw(st.integers(0, CALENDAR_END_MS - 1)),
        "not_before_ms": draw(times),
        "ends_at_ms": draw(st.none() | times),
        "retention_ms": draw(st.integers(0, limits.DURATION_MS_MAX)),
        "status": status,
        "effective": status == "ACTIVE",
    }
    found["agreement"] |= own | {"as_of_ms": draw(times)}
    found["lineage"]["path"][0] |= own
    found["terms"]["document"], found["schema"]["document"] = terms, schema
    for part in ("history", "handshake"):
        found[part] = [step | {"at_ms": draw(times)} for step in draw(st.lists(steps, max_size=4))]
    return found


# Not shrunk: a dossier is large, and making it small takes longer than a test may.
@settings(max_examples=60, phases=[Phase.explicit, Phase.generate])
@given(dossiers())
def test_every_format_can_say_every_agreement_validly(dossier: dict[str, Any]) -> None:
    """Times without end, nothing left of what was granted, states that follow from nothing."""
    parsed = parse_dossier(canonical_document(dossier))
    for name in FORMATS:
        exported = json.loads(export_text(name, parsed))
        jsonschema.Draft202012Validator(SCHEMAS[name]).validate(exported)
        policy = exported if name == "odrl" else {}
        assert not (policy.get("permission") and parsed.agreement.status == "REVOKED")
