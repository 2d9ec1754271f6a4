"""Documents: what people write and read (terms, schemas, genesis) as one strict form of JSON.

A document is JSON without its freedoms: no duplicate key, no float, integers within 2^53, text in
NFC, bounded depth and size. Its canonical form is RFC 8785, and its id is the plain SHA-256 of that
form, so that anybody can recompute it with a tool of her choice.

The NFC check uses the Unicode 3.2 tables on purpose: every supported Python carries the same ones,
while its newest tables differ from release to release, and replicas must agree on what they refuse.
Python's 3.2 database answers for single characters; its `normalize`, however, orders and composes
by the newest tables, so that a text may only be handed to it in pieces of characters that 3.2 knows
(of those, nothing may change any more). The others neither combine nor decompose.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
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


def canonical_document(value: dict[str, Any]) -> bytes:
    """The RFC 8785 form of a document. Raises `DocumentError` for a value that has none."""
    _check(value, (), 0)
    return _ordered(value).encode()


def document_id(data: bytes) -> bytes:
    """The 32-byte id of a document in canonical form."""
    return hashlib.sha256(data).digest()


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
