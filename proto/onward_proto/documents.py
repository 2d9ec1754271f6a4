"""Documents: what people write and read (terms, schemas, genesis) as one strict form of JSON.

A document is JSON without its freedoms: no duplicate key, no float, integers within 2^53, text in
NFC, bounded depth and size. Its canonical form is RFC 8785, and its id is the plain SHA-256 of that
form, so that anybody can recompute it with a tool of her choice.

The NFC check uses the Unicode 3.2 tables on purpose: every supported Python carries the same ones,
while its newest tables differ from release to release, and replicas must agree on what they refuse.
Python's 3.2 database answers for single characters; its `normalize`, however, orders and composes
by the newest tables, so that a text may only be handed to it in pieces of characters that 3.2 knows
(of those, nothing may change any more). The others neither combine nor decompose.

`define_parse` and `define_canonical` say what a document is, and under which key something is wrong
with one. Beside them stands a fast path for what is usual, which judges nothing: whatever is not
plainly right goes to the definition.
"""

from __future__ import annotations

import hashlib
import json
import json.encoder
import re
import unicodedata
from collections.abc import Iterable
from typing import Any, NoReturn

INTEGER_MAX = 2**53 - 1
DEPTH_MAX = 16
COMBINING_MAX = 30  # in a row, as in UAX 15's stream-safe text: ordering n takes n * n steps
DOCUMENT_BYTES_MAX = 64 * 1024

_TABLES = unicodedata.ucd_3_2_0


class DocumentError(ValueError):
    """The text is not a document: says what was expected, what came, and under which key."""


def parse_document(data: bytes, *, maximum: int = DOCUMENT_BYTES_MAX) -> dict[str, Any]:
    """The object that `data` states. Raises `DocumentError` for all but one strict object."""
    if len(data) > maximum:
        raise DocumentError(f"{len(data)} bytes, at most {maximum}")
    # `-0` is a way to write zero that the fast path would not see.
    if b"-0" not in data or not _MINUS_ZERO.search(data):
        try:
            text = data.decode()
            value, end = _usual.raw_decode(text)
            if type(value) is dict and end == len(text):
                _pass_items(value, 1)
                _pass_items(value.values(), 1)
                return value
        except (ValueError, RecursionError):
            pass
    return define_parse(data)


def canonical_document(value: dict[str, Any]) -> bytes:
    """The RFC 8785 form of a document. Raises `DocumentError` for a value that has none."""
    if type(value) is dict:
        try:
            return _write_object(value, 0).encode()
        except (_UnusualError, DocumentError, TypeError):
            pass
    return define_canonical(value)


def document_id(data: bytes) -> bytes:
    """The 32-byte id of a document in canonical form."""
    return hashlib.sha256(data).digest()


# -- the definition --------------------------------------------------------------------------------


def define_parse(data: bytes) -> dict[str, Any]:
    """`parse_document` as it is defined, for data within its bound."""
    try:
        value = json.loads(
            data.decode(),
            object_pairs_hook=_object,
            parse_float=_no_float,
            parse_constant=_no_float,
            parse_int=_integer,
        )
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise DocumentError(f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise DocumentError(f"expected one object, got {type(value).__name__}")
    _check(value, (), 0)
    return value


def define_canonical(value: dict[str, Any]) -> bytes:
    """`canonical_document` as it is defined."""
    _check(value, (), 0)
    return _ordered(value).encode()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise DocumentError(f"key {key!r} stands twice")
        found[key] = value
    return found


def _no_float(literal: str) -> NoReturn:
    raise DocumentError(f"{literal} is no integer: documents hold no floats")


def _integer(literal: str) -> int:
    if len(literal) > len(str(-INTEGER_MAX)) or literal == "-0":
        raise DocumentError(f"integer {literal[:20]} is not within 2^53")
    return int(literal)


# The keys from the document down to a value; spelled out only where something is wrong there.
_Path = tuple[str | int, ...]


def _check(value: object, path: _Path, depth: int) -> None:
    if depth > DEPTH_MAX:
        raise _wrong(path, f"nested deeper than {DEPTH_MAX}")
    if isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise _wrong(path, f"key {key!r} is no text")
            _check_text(key, path)
            _check(item, (*path, key), depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check(item, (*path, index), depth + 1)
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, int):
        if abs(value) > INTEGER_MAX:
            raise _wrong(path, f"{value} is not within 2^53")
    else:
        raise _wrong(path, f"{type(value).__name__} has no place in a document")


def _check_text(value: str, path: _Path) -> None:
    if value.isascii():
        return
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise _wrong(path, "text holds a lone surrogate")
    for piece in _pieces(value, path):
        if _TABLES.normalize("NFC", piece) != piece:
            raise _wrong(path, "text is not in NFC")


def _pieces(value: str, path: _Path) -> list[str]:
    """The longest parts of a text whose characters are all in the tables, each cheap to judge."""
    known = {character: _TABLES.category(character) != "Cn" for character in set(value)}
    # A character that is not NFC by itself may hide any number of combining ones.
    if any(known[item] and _TABLES.normalize("NFC", item) != item for item in known):
        raise _wrong(path, "text is not in NFC")
    combining = {character for character in known if _TABLES.combining(character)}
    pieces: list[str] = []
    begin = run = 0
    for place, character in enumerate(value):
        run = run + 1 if character in combining else 0
        if run > COMBINING_MAX:
            raise _wrong(path, f"more than {COMBINING_MAX} combining characters in a row")
        if not known[character]:
            pieces.append(value[begin:place])
            begin = place + 1
    return [*pieces, value[begin:]]


def _wrong(path: _Path, what: str) -> DocumentError:
    return DocumentError(f"{''.join(f'/{step}' for step in path)}: {what}")


def _ordered(value: object) -> str:
    """JSON with keys in the order of their UTF-16 code units, as RFC 8785 3.2.3 asks."""
    if isinstance(value, dict):
        items = sorted(value.items(), key=lambda item: item[0].encode("utf-16-be"))
        return "{" + ",".join(f"{_text(key)}:{_ordered(item)}" for key, item in items) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_ordered(item) for item in value) + "]"
    if isinstance(value, str):
        return _text(value)
    return _PLAIN[value] if isinstance(value, bool) or value is None else str(value)


_PLAIN: dict[object, str] = {True: "true", False: "false", None: "null"}
_text = json.JSONEncoder(ensure_ascii=False).encode


# -- the fast path ---------------------------------------------------------------------------------

_KEYS_MAX = 1_024
_MINUS_ZERO = re.compile(rb"[\s:,\[]-0")
# No character below U+0300 combines, composes or decomposes; by code points and by UTF-16 units
# they have one order.
_inert = re.compile("[\x00-\u02ff]*").fullmatch
_quoted = json.encoder.encode_basestring


class _UnusualError(ValueError):
    """This is for the definition to judge."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _UnusualError
    return found


_usual = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_no_float, parse_constant=_no_float
)

_heads: dict[str, str] = {}
_head_of = _heads.get


def _make_head(key: object) -> str:
    """A key as it stands before its value; those met lately are remembered."""
    if type(key) is not str or not _inert(key):
        raise _UnusualError
    if len(_heads) >= _KEYS_MAX:
        _heads.clear()
    head = _heads[key] = _quoted(key) + ":"
    return head


def _write_object(value: dict[str, Any], depth: int) -> str:
    """The form of an object. What is not plainly a document raises an error, not always the best.

    Of an object whose keys are all inert, Python's order is the order of RFC 8785.
    """
    if depth >= DEPTH_MAX:
        raise _UnusualError
    parts: list[str] = []
    append = parts.append
    for key in sorted(value):
        item = value[key]
        head = _head_of(key) or _make_head(key)
        if type(item) is str:
            if not item.isascii() and not _inert(item):
                _check_text(item, ())
            append(head + _quoted(item))
        elif type(item) is int and -INTEGER_MAX <= item <= INTEGER_MAX:
            append(f"{head}{item}")
        else:
            append(head + _write_value(item, depth + 1))
    return "{" + ",".join(parts) + "}"


def _write_value(item: Any, depth: int) -> str:
    kind = type(item)
    if item is None or kind is bool:
        return _PLAIN[item]
    if kind is int:
        if -INTEGER_MAX <= item <= INTEGER_MAX:
            return str(item)
    elif kind is str:
        if not item.isascii() and not _inert(item):
            _check_text(item, ())
        return _quoted(item)
    elif kind is dict:
        return _write_object(item, depth)
    elif kind is list and depth < DEPTH_MAX:
        return "[" + ",".join([_write_value(part, depth + 1) for part in item]) + "]"
    raise _UnusualError


def _pass_items(items: Iterable[Any], depth: int) -> None:
    """Raise an error, not always the best, unless the items at this depth plainly are right.

    They come from the reader of JSON, so they are of its types.
    """
    if depth > DEPTH_MAX:
        raise _UnusualError
    for item in items:
        kind = type(item)
        if kind is str:
            if not item.isascii() and not _inert(item):
                _check_text(item, ())
        elif kind is int:
            if not -INTEGER_MAX <= item <= INTEGER_MAX:
                raise _UnusualError
        elif kind is dict:
            _pass_items(item, depth + 1)
            _pass_items(item.values(), depth + 1)
        elif kind is list:
            _pass_items(item, depth + 1)
