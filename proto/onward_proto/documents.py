"""Documents: what people write and read (terms, schemas, genesis) as one strict form of JSON.

A document is JSON without its freedoms: no duplicate key, no float, integers within 2^53, text in
NFC, bounded depth and size. Its canonical form is RFC 8785, and its id is the plain SHA-256 of that
form, so that anybody can recompute it with a tool of her choice.

The NFC check uses the Unicode 3.2 tables on purpose: every supported Python carries the same ones,
while its newest tables differ from release to release, and replicas must agree on what they refuse.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from typing import Any, NoReturn

INTEGER_MAX = 2**53 - 1
DEPTH_MAX = 16
DOCUMENT_BYTES_MAX = 64 * 1024


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
    _check(value, "", 0)
    return value


def canonical_document(value: dict[str, Any]) -> bytes:
    """The RFC 8785 form of a document. Raises `DocumentError` for a value that has none."""
    _check(value, "", 0)
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


def _check(value: object, path: str, depth: int) -> None:
    if depth > DEPTH_MAX:
        raise DocumentError(f"{path}: nested deeper than {DEPTH_MAX}")
    if isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise DocumentError(f"{path}: key {key!r} is no text")
            _check_text(key, path)
            _check(item, f"{path}/{key}", depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check(item, f"{path}/{index}", depth + 1)
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, int):
        if abs(value) > INTEGER_MAX:
            raise DocumentError(f"{path}: {value} is not within 2^53")
    else:
        raise DocumentError(f"{path}: {type(value).__name__} has no place in a document")


def _check_text(value: str, path: str) -> None:
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise DocumentError(f"{path}: text holds a lone surrogate")
    if unicodedata.ucd_3_2_0.normalize("NFC", value) != value:
        raise DocumentError(f"{path}: text is not in NFC")


def _ordered(value: object) -> str:
    """JSON with keys in the order of their UTF-16 code units, as RFC 8785 3.2.3 asks."""
    if isinstance(value, dict):
        items = sorted(value.items(), key=lambda item: item[0].encode("utf-16-be"))
        return "{" + ",".join(f"{_text(key)}:{_ordered(item)}" for key, item in items) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_ordered(item) for item in value) + "]"
    if isinstance(value, str):
        return _text(value)
    return json.dumps(value)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
