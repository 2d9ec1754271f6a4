"""JSON Schemas say what the parsers say, as far as JSON Schema can.

Each document is drawn valid, then spoilt in one place; schema and parser must agree about both.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from tests.support.terms_documents import EDGES, clauses, document
from tests.unit.chaincode.world import fixture

from onward.errors import MalformedError
from onward.exchange.document_schemas import CLAUSE_SCHEMAS, document_names, document_schema
from onward.ledger.genesis import parse_genesis
from onward_chaincode.contract import Refuse
from onward_chaincode.drafts import DraftError, draft
from onward_chaincode.forms import Shape, open_payload, shapes
from onward_chaincode.registry import payload_of
from onward_chaincode.schema import parse_schema
from onward_chaincode.terms import CLAUSES, parse_terms
from onward_proto.documents import DocumentError, canonical_document

jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed: nothing checks")

# What no schema can say, by the words with which the parser says it (docs/spec/exchange.md).
BEYOND = (
    "ascending",
    "indexes ascend",
    "a name stands twice",
    "stands twice",
    "below twice timeout_ms_max",
    "is below timeout_ms",
    "this opens no commitment",
)


def chosen(cls: type[Any] | None) -> Iterator[str]:
    """The words of all closed sets in a message."""
    for shape in shapes(cls) if cls else ():
        yield from shape.form.choices
        yield from chosen(shape.wire.message)


KINDS = tuple(name for name in document_names() if "." in name)
WORDS = (
    *("DE", "FR", "EUR", "dpv:A", "dpv:B-c", "acme", "beta", "Ford"),
    *(word for kind in KINDS for word in chosen(payload_of(kind))),
)
GONE, MORE = object(), object()
CONTACT = fixture("schemas", "S-CONTACT")
SPOILERS: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 7, 256, 2**53 - 1, 2**53, "", "x", "acme", "DE", "dpv:A", "no iri",
    "EUR", "a" * 97, "a" * 301, "A-", "ab" * 31, "ab" * 32, "ab" * 33, "AN_ENUM", [], {}, [0, 0],
    ["dpv:A", "dpv:A"], [1, "x"], ["DE"], {"x": 1}, {"group": "acme"}, {"until_ms": 1},
)  # fmt: skip


@functools.cache
def validator(name: str) -> Any:
    schema = document_schema(name)
    return jsonschema.Draft202012Validator(schema)


def full_draft(cls: type[Any]) -> dict[str, Any]:
    """A draft with every field that there is."""
    return {shape.name: _field(shape) for shape in shapes(cls)}


def _field(shape: Shape) -> Any:
    if shape.wire.count is None:
        return _single(shape, 0)
    return [_single(shape, place) for place in range(2)]


def _single(shape: Shape, place: int) -> Any:
    wire = shape.wire
    if wire.message is not None:
        return full_draft(wire.message)
    match wire.kind:
        case "raw":
            return f"{place + 1:02x}" * max(1, wire.minimum)
        case "uint":
            return place + 1
        case "flag":
            return True
        case _:
            return next(islice((word for word in WORDS if _fits(word, shape)), place, None))


def _fits(word: str, shape: Shape) -> bool:
    if shape.form.choices:
        return word in shape.form.choices
    within = shape.wire.minimum <= len(word) <= shape.wire.maximum
    return within and (shape.form.pattern is None or bool(shape.form.pattern.fullmatch(word)))


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a document, the document itself left out."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield (*path, key)
        if isinstance(item, dict | list):
            yield from places(item, (*path, key))


def spoilt(valid: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The document with a key gone, a key more, or another value, in every place in turn."""
    yield valid | {"surplus": 1}
    for path in places(valid):
        for spoiler in (*SPOILERS, GONE, MORE):
            copied = copy.deepcopy(valid)
            holder: Any = copied
            for step in path[:-1]:
                holder = holder[step]
            here = holder[path[-1]]
            if spoiler is GONE:
                del holder[path[-1]]
            elif spoiler is not MORE:
                holder[path[-1]] = copy.deepcopy(spoiler)
            elif isinstance(here, dict):
                here["surplus"] = 1
            elif isinstance(here, list):
                here.append(copy.deepcopy(here[0]) if here else "x")
            else:
                continue
            yield copied


def objection(name: str, value: dict[str, Any]) -> str:
    """What the parser has against a document; empty for nothing."""
    try:
        if name == "genesis":
            parse_genesis(canonical_document(value))
        elif name in ("terms", "schema"):
            {"terms": parse_terms, "schema": parse_schema}[name](canonical_document(value))
        else:
            cls = payload_of(name)
            assert cls is not None
            payload = open_payload(cls, draft(name, value))
            inner = getattr(payload, "document", b"")
            if name in ("terms.publish", "schema.publish"):
                {"terms": parse_terms, "schema": parse_schema}[name.partition(".")[0]](inner)
    except (DraftError, DocumentError, MalformedError, Refuse) as error:
        return str(error) or "refused"
    return ""


def agree(name: str, value: dict[str, Any]) -> None:
    admitted = validator(name).is_valid(value)
    said = objection(name, value)
    if not said:
        assert admitted, f"the parser takes what the schema does not: {value}"
    elif admitted:
        assert any(words in said for words in BEYOND), f"only the parser objects: {said}: {value}"


@pytest.mark.parametrize("kind", KINDS)
def test_a_draft_is_admitted_where_the_contract_opens_it(kind: str) -> None:
    """Spoilt in every place, one at a time."""
    cls = payload_of(kind)
    assert cls is not None
    valid = full_draft(cls)
    documents = {"terms.publish": fixture("terms", "T-DDA-365"), "schema.publish": CONTACT}
    if kind in documents:
        valid["document"] = {"format": "onward/nothing/1"}
        agree(kind, valid)
        valid["document"] = documents[kind]
        assert not objection(kind, valid)
        return  # the document itself is spoilt below
    assert not objection(kind, valid)
    agree(kind, valid)
    for value in spoilt(valid):
        agree(kind, value)


@pytest.mark.parametrize("place", [-1, -2])
def test_terms_that_say_everything_are_admitted_until_they_are_spoilt(place: int) -> None:
    valid = document({clause: values[place] for clause, values in EDGES.items()})
    assert not objection("terms", valid)
    for value in (valid, *spoilt(valid | {"roster": "r", "text_hash": "ab" * 32})):
        agree("terms", value)


@settings(max_examples=60)
@given(clauses)
def test_terms_are_admitted_where_the_contract_reads_them(said: dict[str, Any]) -> None:
    assert not objection("terms", document(said))
    agree("terms", document(said))
    for clause in (*said, "onward.recipients"):
        agree("terms", document({name: said[name] for name in said if name != clause}))


def test_a_schema_is_admitted_until_it_is_spoilt() -> None:
    few = CONTACT | {"fields": CONTACT["fields"][:2]}
    assert not objection("schema", few)
    for value in (few, CONTACT, *spoilt(few)):
        agree("schema", value)


def genesis() -> dict[str, Any]:
    keys = [bytes([place]) * 32 for place in range(4)]
    times = ("timeout_ms", "timeout_ms_max", "heartbeat_ms", "propose_age_ms")
    return {
        "format": 1,
        "network": "n-1",
        "time_ms": 1,
        "parameters": dict.fromkeys((*times, "future_ms_max"), 5) | {"past_ms_max": 10},
        "validators": [
            {"name": f"v{key[0]}", "organisation": "Org", "public_key": key.hex()} for key in keys
        ],
        "parties": [{"party": "acme", "kind": "ORG", "public_key": keys[0].hex()}],
        "contracts": [{"name": "isa", "version": 1, "from_height": 1}],
    }


def test_a_genesis_is_admitted_until_it_is_spoilt() -> None:
    assert not objection("genesis", genesis())
    for value in (genesis(), *spoilt(genesis())):
        agree("genesis", value)


def test_every_clause_has_a_schema() -> None:
    assert set(CLAUSE_SCHEMAS) == set(CLAUSES)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("terms", document({"duration": "UNLIMITED", "purposes_allowed": ["dpv:B", "dpv:A"]})),
        ("schema", CONTACT | {"fields": 2 * CONTACT["fields"]}),
        ("genesis", genesis() | {"parameters": genesis()["parameters"] | {"past_ms_max": 9}}),
    ],
)  # fmt: skip
def test_what_only_the_parser_can_say(name: str, value: dict[str, Any]) -> None:
    """The list in the specification is not longer than it has to be: each of these is real."""
    assert validator(name).is_valid(value)
    assert any(words in objection(name, value) for words in BEYOND)
