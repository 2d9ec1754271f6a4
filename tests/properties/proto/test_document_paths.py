"""Documents on both paths: what is defined, and what is taken for usual."""

from __future__ import annotations

import json
from enum import IntEnum, StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward_proto.documents import (
    DEPTH_MAX,
    INTEGER_MAX,
    DocumentError,
    canonical_document,
    define_canonical,
    define_parse,
    parse_document,
)


class Number(IntEnum):
    ONE = 1


class Word(StrEnum):
    OK = "OK"


class Odd(dict[str, object]):
    pass


# Escapes, the edges of ASCII and of what is inert, combining and composing characters, what later
# tables know, the two sides of the surrogates (where UTF-16 and code points order differently).
EDGES = '\x00\x08\t\n\x0c\r\x1f "\\/\x7f\x80aé\u02ff\u0300\u0301\u0323\u0344\u1dc0가\u2028\ud7ff'
EDGES += "\ud800\udfff\ue000\uff21\ufffd\U00010000\U0001f600\U00011127\U0010ffff"
texts = st.text(st.sampled_from(EDGES), max_size=4) | st.text(max_size=6)
integers = st.sampled_from([0, 1, -1, INTEGER_MAX, -INTEGER_MAX, INTEGER_MAX + 1]) | st.integers()
plain = st.none() | st.booleans() | integers | texts
odd = st.sampled_from(
    [1.0, float("nan"), (1,), b"x", Number.ONE, Word.OK, Odd(a=1), {1: 2}, {}, []]
)
values = st.recursive(
    plain | odd,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)
documents = st.dictionaries(texts, values, max_size=5) | values
usual = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-INTEGER_MAX, INTEGER_MAX)
    | st.text("ab€é\n", max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc"), inner, max_size=3),
    max_leaves=8,
)


def _outcome(work: Any, argument: Any) -> object:
    """What comes out, or why nothing does; with its types, for True is not 1."""
    try:
        found = work(argument)
    except DocumentError as error:
        return f"refused: {error}"
    return found if isinstance(found, bytes) else repr(found)


@given(documents)
def test_both_paths_write_the_same_bytes_or_refuse_for_the_same_reason(document: Any) -> None:
    assert _outcome(canonical_document, document) == _outcome(define_canonical, document)


@given(documents, st.booleans(), st.sampled_from([None, (", ", ": "), (",", ":")]))
def test_both_paths_read_the_same_or_refuse_for_the_same_reason(
    document: Any, escape: bool, separators: tuple[str, str] | None
) -> None:
    try:
        text = json.dumps(document, ensure_ascii=escape, separators=separators)
        data = text.encode("utf-8", "surrogatepass")
    except TypeError:
        return
    assert _outcome(parse_document, data) == _outcome(define_parse, data)


@given(st.dictionaries(st.text("abc"), usual, max_size=4), st.data())
def test_both_paths_say_the_same_of_changed_texts(document: Any, data: st.DataObject) -> None:
    text = bytearray(canonical_document(document))
    pieces = [b"-0", b"-", b"0", b".", b"e1", b'"', b",", b" ", b"\\", b"{}", b"9" * 20, b"\xff"]
    pieces += [b'"a":1,', b"[" * 20, b"NaN", b"\xef\xbb\xbf", "e\u0301".encode(), b"\\ud800"]
    place = data.draw(st.integers(0, len(text)))
    piece = data.draw(st.sampled_from(pieces))
    text[place : place + data.draw(st.integers(0, 2))] = piece
    assert _outcome(parse_document, bytes(text)) == _outcome(define_parse, bytes(text))


@pytest.mark.parametrize("depth", range(DEPTH_MAX - 1, DEPTH_MAX + 3))
@pytest.mark.parametrize("inmost", [1, "a", {}, [], {"a": 1}, [1], None])
@pytest.mark.parametrize(
    "around", [lambda item: {"a": item}, lambda item: [item]], ids=["objects", "lists"]
)
def test_both_paths_draw_the_line_at_one_depth(depth: int, inmost: Any, around: Any) -> None:
    value = inmost
    for _ in range(depth):
        value = around(value)
    document = {"a": value}
    assert _outcome(canonical_document, document) == _outcome(define_canonical, document)
    data = json.dumps(document).encode()
    assert _outcome(parse_document, data) == _outcome(define_parse, data)


def test_every_character_of_the_fast_path_is_written_as_defined() -> None:
    """The fast path passes all below U+0300 without asking the tables."""
    for point in range(0x310):
        for text in (chr(point), f"e{chr(point)}", f"{chr(point)}\u0301"):
            for document in ({text: 1}, {"a": text}, {"a": [text]}):
                assert _outcome(canonical_document, document) == _outcome(
                    define_canonical, document
                )


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":-0}',
        b'{"a": -0}',
        b'{"a":[1,-0]}',
        b'{"a":"-0"}',
        b'{"a":" -0"}',
        b'{"a":-1}',
        b'{"a":"2024-01-05"}',
        b'{"a":-' + b"9" * 5000 + b"}",
        b' {"a":1}',
        b'{"a":1}\n',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":1}{"a":1}',
        b'{"a":{"b":1,"b":1}}',
        b"{" * 70_000,
        b"[" * 70_000,
        b'{"a":' * 20_000,
        b"",
    ],
)
def test_what_reads_oddly_is_judged_alike(data: bytes) -> None:
    assert _outcome(lambda data: parse_document(data, maximum=1 << 20), data) == _outcome(
        define_parse, data
    )
