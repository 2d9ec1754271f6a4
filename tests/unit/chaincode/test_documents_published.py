"""Terms and schemas: who may publish, what is refused, what silence means."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.chaincode.world import FIXTURES, World, fixture, new_world

from onward_chaincode.contract import Refuse
from onward_chaincode.drafts import published_id
from onward_chaincode.payloads import TermsPublish
from onward_chaincode.schema import parse_schema
from onward_chaincode.terms import CLAUSES, parse_terms
from onward_proto.canonical import encode
from onward_proto.documents import canonical_document

FILES = sorted(FIXTURES.glob("*/*.json"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_fixture_parses_and_cites_its_source(path: Path) -> None:
    document = json.loads(path.read_text())
    parse = parse_terms if path.parent.name == "terms" else parse_schema
    parsed = parse(canonical_document(document))
    assert parsed.label == path.stem
    assert len(document["source"]) > 10


def test_the_intent_terms_let_the_analytics_terms_be_the_counter() -> None:
    parsed = parse_terms(canonical_document(fixture("terms", "T-INTENT-30D")))
    assert [item.hex() for item in parsed.counter_roster] == [
        published_id(fixture("terms", "T-SD-BASE-A"))
    ]


def test_what_is_unsaid_is_denied() -> None:
    document = fixture("terms", "T-SD-BASE")
    document["clauses"] = {"duration": "UNLIMITED", "purposes_allowed": ["dpv:ServiceProvision"]}
    terms = parse_terms(canonical_document(document))
    assert (terms.onward_mode, terms.onward_max_depth) == ("PROHIBITED", 1)
    assert (terms.onward_list, terms.onward_group) == ((), None)
    assert (terms.deletion, terms.retention_after_end_ms) == ("REQUIRED", 0)
    assert (terms.revocable_by, terms.portability) == ("FIRST", False)


@pytest.mark.parametrize(
    ("clauses", "code"),
    [
        ({"onward.mod": "PROHIBITED"}, "E_CLAUSE_UNKNOWN"),
        ({"SharingDisallowed": True}, "E_CLAUSE_UNKNOWN"),
        ({"duration": None}, "E_CLAUSE"),
        ({"duration": {"from_accept_ms": 0}}, "E_CLAUSE"),
        ({"duration": {"from_accept_ms": 1, "until_ms": 2}}, "E_CLAUSE"),
        ({"duration": "FOREVER"}, "E_CLAUSE"),
        ({"onward.mode": "PERHAPS"}, "E_CLAUSE"),
        ({"onward.mode": "SAME_TERMS"}, "E_CLAUSE"),  # to whom is not said
        ({"onward.max_depth": 0}, "E_CLAUSE"),
        ({"onward.max_depth": 9}, "E_CLAUSE"),
        ({"onward.max_depth": True}, "E_CLAUSE"),
        ({"onward.recipients": {"group": "Not A Group"}}, "E_CLAUSE"),
        ({"purposes_allowed": ["b:B", "a:A"]}, "E_CLAUSE"),
        ({"purposes_allowed": ["a line\nbreak"]}, "E_CLAUSE"),
        ({"jurisdictions": ["EU27"]}, "E_CLAUSE"),
        ({"counter_roster": ["T-SD-BASE"]}, "E_CLAUSE"),
        ({"portability": 1}, "E_CLAUSE"),
        ({"transparency": {"ex_ante_ms": -1}}, "E_CLAUSE"),
    ],
)
def test_clauses_that_are_refused(clauses: dict[str, Any], code: str) -> None:
    w, _ = new_world()
    document = fixture("terms", "T-SD-BASE")
    document["clauses"] |= clauses
    assert w.submit("registry", "terms.publish", {"document": document}).code == code


@pytest.mark.parametrize("name", ["duration", "purposes_allowed"])
def test_clauses_that_must_be_said(name: str) -> None:
    w, _ = new_world()
    document = fixture("terms", "T-SD-BASE")
    del document["clauses"][name]
    assert w.submit("registry", "terms.publish", {"document": document}).code == "E_CLAUSE"


@pytest.mark.parametrize(
    "change",
    [
        {"format": "onward/terms/2"},
        {"memo": "call me"},
        {"label": ""},
        {"label": "x" * 65},
        {"source": None},
        {"text_hash": "abc"},
        {"clauses": []},
    ],
)
def test_terms_documents_of_another_form(change: dict[str, Any]) -> None:
    w, _ = new_world()
    document = fixture("terms", "T-SD-BASE") | change
    assert w.submit("registry", "terms.publish", {"document": document}).code == "E_FORMAT"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data + b"\n",
        lambda data: data.replace(b":", b": ", 1),
        lambda data: data.replace(b'{"clauses"', b'{"label":"T-SD-BASE","clauses"'),
        lambda data: data[:-1],
    ],
    ids=["newline", "space", "doubled-key", "cut"],
)
def test_a_document_has_one_spelling(spoil: Any) -> None:
    """Two spellings would be two ids for the same terms, or one id for two readings."""
    w, _ = new_world()
    document = fixture("terms", "T-SD-BASE") | {"label": "T-SD-OTHER"}
    payload = encode(TermsPublish(document=spoil(canonical_document(document))))
    assert w.apply("registry", "terms.publish", payload).code == "E_FORMAT"


def field(**changes: Any) -> dict[str, Any]:
    return {
        "index": 0,
        "name": "email",
        "category": "dpv-pd:EmailAddress",
        "sensitivity": "NONE",
        "identifying": True,
        **changes,
    }


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [field(index=256)],
        [field(index=True)],
        [field(index=1), field(index=1, name="b")],
        [field(), field(index=1)],
        [field(name="has a space")],
        [field(category="no iri")],
        [field(sensitivity="SECRET")],
        [field(identifying="yes")],
        [field(extra=1)],
        ["email"],
    ],
)
def test_schemas_that_are_refused(fields: list[Any]) -> None:
    w, _ = new_world()
    document = fixture("schemas", "S-CONTACT") | {"fields": fields}
    assert w.submit("registry", "schema.publish", {"document": document}).code == "E_FORMAT"


def test_only_a_registry_publishes_and_only_once() -> None:
    w, ids = new_world()
    document = {"document": fixture("terms", "T-P2B1")}
    for caller in ("alice", "acme", "auditor"):
        assert w.submit(caller, "terms.publish", document).code == "E_SIGNER"
        assert w.submit(caller, "terms.recall", {"terms": ids["T-P2B1"]}).code == "E_SIGNER"
    assert w.submit("registry", "terms.publish", document).code == "E_DUPLICATE"
    schema = {"document": fixture("schemas", "S-CONTACT")}
    assert w.submit("registry", "schema.publish", schema).code == "E_DUPLICATE"


def test_terms_change_in_one_direction_and_by_their_publisher() -> None:
    w, ids = new_world()
    terms = {"terms": ids["T-P2B1"]}
    w.join("registry-2", "REGISTRY")
    assert w.submit("registry-2", "terms.deprecate", terms).code == "E_SIGNER"
    w.must("registry", "terms.deprecate", terms)
    assert w.submit("registry", "terms.deprecate", terms).code == "E_STATE"
    w.must("registry", "terms.recall", terms)
    assert w.submit("registry", "terms.recall", terms).code == "E_STATE"
    assert w.submit("registry", "terms.recall", {"terms": "00" * 32}).code == "E_UNKNOWN_TERMS"
    assert w.ask("alice", "terms", terms_id=ids["T-P2B1"])["state"] == "RECALLED"


def test_everyone_hears_of_published_terms() -> None:
    w = World()
    w.join("registry", "REGISTRY")
    done = w.must("registry", "terms.publish", {"document": fixture("terms", "T-P2B1")})
    assert done.event is not None
    assert done.event.readers == ("*",)


def test_the_clauses_are_the_ones_of_the_specification() -> None:
    spec = Path(__file__).parents[3] / "docs" / "spec" / "isa.md"
    text = spec.read_text()
    assert all(f"`{name}`" in text for name in CLAUSES)


def test_a_refused_document_is_refused_every_time() -> None:
    """Parsed documents are remembered by their bytes; refusals must not depend on that."""
    document = fixture("terms", "T-SD-BASE")
    document["clauses"]["nonsense"] = 1
    for _ in range(2):
        with pytest.raises(Refuse):
            parse_terms(canonical_document(document))
