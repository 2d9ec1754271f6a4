"""Payloads from plain values and back: for people, command lines and scenario files.

`draft` takes what TOML and JSON can say: ids as hex, sets as lists in any order, documents as
objects. It is driven by the payload classes, so there is no second definition of a payload. It
checks names and kinds, not rules: what the chain would refuse can be drafted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onward_chaincode.forms import Shape, shapes
from onward_chaincode.keys import KINDS, derive_id
from onward_chaincode.payloads import PAYLOADS
from onward_chaincode.reconciliation import campaign_id_of
from onward_chaincode.registry import payload_of
from onward_proto.canonical import CanonicalError, decode, encode
from onward_proto.documents import DocumentError, canonical_document, document_id, parse_document


class DraftError(ValueError):
    """A draft that says something unknown, too little, or in the wrong kind; names the key."""


def draft(kind: str, fields: Mapping[str, Any]) -> bytes:
    """The payload of transaction type `kind` that `fields` describes. Raises `DraftError`."""
    cls = payload_of(kind)
    if cls is None:
        raise DraftError(f"unknown transaction type {kind!r}; known: {', '.join(sorted(PAYLOADS))}")
    try:
        return encode(_build(cls, fields, ""))
    except CanonicalError as error:
        raise DraftError(f"{kind}: {error}") from None


def explain(kind: str, payload: bytes) -> dict[str, Any]:
    """What a payload says, in the form that `draft` takes. Raises `DraftError`."""
    cls = payload_of(kind)
    if cls is None:
        raise DraftError(f"unknown transaction type {kind!r}")
    try:
        return _plain(decode(cls, payload))
    except (CanonicalError, DocumentError) as error:
        raise DraftError(f"{kind}: {error}") from None


def ids_of(tx_id: str) -> dict[str, str]:
    """The ids that a transaction gives to what it creates, of each kind, in hex."""
    ids = {f"{kind}_id": derive_id(kind, tx_id).hex() for kind in KINDS}
    return {**ids, "campaign_id": campaign_id_of(tx_id).hex()}


def published_id(document: Mapping[str, Any]) -> str:
    """The terms_id or schema_id of a document, in hex. Raises `DraftError`."""
    try:
        return document_id(canonical_document(dict(document))).hex()
    except DocumentError as error:
        raise DraftError(f"document: {error}") from None


def template(kind: str) -> dict[str, str]:
    """The keys of a type's draft, each with what it takes: for help texts."""
    cls = payload_of(kind)
    if cls is None:
        raise DraftError(f"unknown transaction type {kind!r}")
    return _describe(cls, "")


def _build(cls: type[Any], fields: Mapping[str, Any], path: str) -> Any:
    if not isinstance(fields, Mapping):
        raise DraftError(f"{path[:-1] or 'draft'}: expected a table, got {type(fields).__name__}")
    known = {shape.name: shape for shape in shapes(cls)}
    for name in fields:
        if name not in known:
            raise DraftError(f"{path}{name}: unknown; known are {', '.join(known)}")
    values = {}
    for name, shape in known.items():
        value = fields.get(name)
        if value is None:
            if shape.required:
                raise DraftError(f"{path}{name}: is missing")
            continue
        values[name] = _value(shape, value, path + name)
    # A field that is optional or has a default may be left out; other lists are empty.
    for name, shape in known.items():
        if name not in values and shape.wire.count is not None:
            values[name] = ()
    return cls(**values)


def _value(shape: Shape, value: Any, at: str) -> Any:
    if shape.wire.count is None:
        return _single(shape, value, at)
    if not isinstance(value, list | tuple):
        raise DraftError(f"{at}: expected a list, got {type(value).__name__}")
    items = [_single(shape, item, at) for item in value]
    if not shape.form.is_set:
        return tuple(items)
    if len(set(items)) != len(items):
        raise DraftError(f"{at}: a value stands twice")
    return tuple(sorted(items))


def _single(shape: Shape, value: Any, at: str) -> Any:
    match shape.wire.kind:
        case "nested":
            return _build(_message(shape), value, f"{at}.")
        case "raw" if shape.form.is_document:
            if not isinstance(value, Mapping):
                raise DraftError(f"{at}: expected a document, got {type(value).__name__}")
            try:
                return canonical_document(dict(value))
            except DocumentError as error:
                raise DraftError(f"{at}: {error}") from None
        case "raw" if shape.form.commits is not None and isinstance(value, Mapping):
            try:
                return shape.form.commits(dict(value))
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                raise DraftError(f"{at}: this opens no commitment: {error!r}") from None
        case "raw":
            return _bytes(value, at)
        case "uint":
            if not isinstance(value, int) or isinstance(value, bool):
                raise DraftError(f"{at}: expected a whole number, got {value!r}")
            return value
        case _:
            if not isinstance(value, str):
                raise DraftError(f"{at}: expected a text, got {value!r}")
            return value


def _bytes(value: Any, at: str) -> bytes:
    try:
        return bytes.fromhex(value)
    except (TypeError, ValueError):
        raise DraftError(f"{at}: expected hexadecimal digits, got {value!r}") from None


def _message(shape: Shape) -> type[Any]:
    if shape.wire.message is None:
        raise DraftError(f"{shape.name}: names no message")
    return shape.wire.message


def _plain(message: object) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for shape in shapes(type(message)):
        value = getattr(message, shape.name)
        if value is None:
            continue
        if isinstance(value, tuple):
            found[shape.name] = [_plain_single(shape, item) for item in value]
        else:
            found[shape.name] = _plain_single(shape, value)
    return found


def _plain_single(shape: Shape, value: Any) -> Any:
    if shape.wire.kind == "nested":
        return _plain(value)
    if shape.form.is_document:
        return parse_document(value)
    return value.hex() if shape.wire.kind == "raw" else value


def _describe(cls: type[Any], path: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for shape in shapes(cls):
        if shape.wire.kind == "nested":
            found |= _describe(_message(shape), f"{path}{shape.name}.")
            continue
        words = {"uint": "number", "raw": "hex", "text": "text"}[shape.wire.kind]
        if shape.form.is_document:
            words = "document"
        elif shape.form.choices:
            words = " | ".join(shape.form.choices)
        if shape.wire.count is not None:
            words = f"list of {words}"
        found[path + shape.name] = words if shape.required else f"{words} (may be left out)"
    return found
