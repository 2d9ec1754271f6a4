"""Documents are JSON without its freedoms, and their form is RFC 8785's."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward_proto.documents import (
    DEPTH_MAX,
    INTEGER_MAX,
    DocumentError,
    canonical_document,
    document_id,
    parse_document,
)

texts = st.text(st.characters(max_codepoint=0x2FF, exclude_categories=["Cs"]), max_size=8).filter(
    lambda value: "\u0300" not in value
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-INTEGER_MAX, INTEGER_MAX) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(texts, values, max_size=4))
def test_the_canonical_form_reads_back_and_is_stable(document: dict[str, object]) -> None:
    data = canonical_document(document)
    assert parse_document(data) == document
    assert canonical_document(parse_document(data)) == data
    assert json.loads(data) == document


def test_keys_are_ordered_by_utf16_code_units() -> None:
    """RFC 8785 3.2.3: U+FF21 stands behind the surrogate pairs of U+1F600."""
    data = canonical_document({"\uff21": 1, "\U0001f600": 2, "a": 3})
    assert data == '{"a":3,"\U0001f600":2,"\uff21":1}'.encode()


def test_the_id_of_a_document_is_its_plain_sha256() -> None:
    data = canonical_document({"b": 1, "a": [True, None]})
    assert data == b'{"a":[true,null],"b":1}'
    assert document_id(data) == hashlib.sha256(data).digest()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"a":1,"a":2}', "stands twice"),
        (b'{"a":1.0}', "no floats"),
        (b'{"a":1e3}', "no floats"),
        (b'{"a":NaN}', "no floats"),
        (b'{"a":9007199254740992}', "2\\^53"),
        (b'{"a":' + b"9" * 5000 + b"}", "2\\^53"),
        (b'{"a":-0}', "2\\^53"),
        ('{"a":"e\u0301"}'.encode(), "NFC"),
        (b'{"a":"\\ud800"}', "surrogate"),
        (b"[1]", "expected one object"),
        (b'{"a":1} x', "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON|at most"),
        (b'{"a":' * 20 + b"1" + b"}" * 20, "nested deeper"),
    ],
)
def test_each_freedom_of_json_is_refused_with_its_reason(data: bytes, reason: str) -> None:
    with pytest.raises(DocumentError, match=reason):
        parse_document(data)


def test_depth_is_allowed_up_to_the_limit() -> None:
    deepest = b'{"a":' * DEPTH_MAX + b"1" + b"}" * DEPTH_MAX
    assert parse_document(deepest)
    with pytest.raises(DocumentError, match="nested deeper"):
        parse_document(b'{"a":' + deepest + b"}")
