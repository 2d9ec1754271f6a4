"""Documents are JSON without its freedoms, and their form is RFC 8785's."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward_proto.documents import (
    COMBINING_MAX,
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


@pytest.mark.parametrize(
    "text",
    [
        "b\u1dc0\u0323",  # U+1DC0 combines since 4.1: newer tables put it behind U+0323
        "\U00011131\U00011127",  # compose to U+1112E since 6.1
        "b\u0301\U00010efd\u0323",  # U+10EFD combines since 15.0: Python 3.12 knows it, 3.11 not
    ],
)
def test_a_character_unknown_to_the_tables_neither_combines_nor_composes(text: str) -> None:
    """Replicas under two versions of Python would disagree on what terms are, and fork."""
    document = {"a": text}
    assert parse_document(canonical_document(document)) == document


@pytest.mark.parametrize(
    "text", ["x\U0001f600e\u0301", "e\u0301\u1dc0", "a\u0301\u0323", "\u0f73", "\u0344"]
)
def test_characters_of_the_tables_are_in_order_and_composed_beside_any_others(text: str) -> None:
    with pytest.raises(DocumentError, match="NFC"):
        canonical_document({"a": text})


def test_combining_characters_in_a_row_are_bounded() -> None:
    """64 KiB of them once took two and a half seconds: more than a view lasts."""
    assert canonical_document({"a": "q" + "\u0323" * COMBINING_MAX})
    for text in ("\u0323" * (COMBINING_MAX + 1), "\u0f73" * 20_000, "\u0301\u0323" * 16_000):
        with pytest.raises(DocumentError, match=r"in a row|NFC"):
            canonical_document({"a": "q" + text})


def test_an_error_says_under_which_key_it_found_what() -> None:
    with pytest.raises(DocumentError, match=r"^/a/1/b: 9007199254740992 is not within"):
        canonical_document({"a": [0, {"b": INTEGER_MAX + 1}]})
