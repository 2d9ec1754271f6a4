"""JSON Schemas (draft 2020-12) of what transactions carry, from the payload classes themselves.

There is no second definition of a payload: its class says kinds, bounds and forms, and this says
them again in JSON Schema's words. A schema describes the *draft* of a payload: ids as hex, sets as
lists in any order, documents as objects. What a schema cannot say (docs/spec/exchange.md lists it),
the contract still judges: a document that a schema admits may be refused, but never the other way
round, save for blanks between hex digits.
"""

from __future__ import annotations

from typing import Any

from onward_chaincode.forms import Form, Shape, shapes

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]

HASH = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_EVEN_HEX = "^(?:[0-9a-fA-F]{2})*$"


def titled(name: str, title: str, schema: Schema) -> Schema:
    """A whole schema: with its dialect, its name and a sentence about it."""
    return {"$schema": DIALECT, "$id": f"urn:onward:schema:{name}", "title": title, **schema}


def strict_object(
    properties: dict[str, Schema], *, optional: tuple[str, ...] = (), **more: Any
) -> Schema:
    """An object with these keys and no others; all but the optional ones must be there."""
    return {
        "type": "object",
        "properties": properties,
        "required": sorted(key for key in properties if key not in optional),
        "additionalProperties": False,
        **more,
    }


def message_schema(cls: type[Any], documents: dict[str, Schema]) -> Schema:
    """The draft of a message. `documents`: what a field that holds a document may hold, by class.

    Whatever may be left out may also be null.
    """
    found = shapes(cls)
    properties = {shape.name: _field_schema(cls, shape, documents) for shape in found}
    optional = tuple(shape.name for shape in found if not shape.required)
    return strict_object(properties, optional=optional)


def _field_schema(cls: type[Any], shape: Shape, documents: dict[str, Schema]) -> Schema:
    value = _value_schema(cls, shape, documents)
    if shape.wire.count is not None:
        most = shape.wire.count if shape.form.most is None else shape.form.most
        value = {"type": "array", "items": value, "maxItems": min(most, shape.wire.count)}
        if shape.form.is_set:
            value["uniqueItems"] = True
    return value if shape.required else nullable(value)


def nullable(value: Schema) -> Schema:
    """This, or null."""
    return {"anyOf": [value, {"type": "null"}]}


def _value_schema(cls: type[Any], shape: Shape, documents: dict[str, Schema]) -> Schema:
    wire, form = shape.wire, shape.form
    if wire.message is not None:
        return message_schema(wire.message, documents)
    if wire.kind == "raw":
        return _bytes_schema(cls, shape, documents)
    if wire.kind == "uint":
        # Zero of what may be left out would be a second way to leave it out: the codec refuses it.
        return {"type": "integer", "minimum": int(shape.optional), "maximum": wire.maximum}
    if wire.kind == "flag":
        return {"type": "boolean"}
    return _text_schema(form, wire.minimum, wire.maximum, repeated=wire.count is not None)


def _bytes_schema(cls: type[Any], shape: Shape, documents: dict[str, Schema]) -> Schema:
    wire = shape.wire
    if shape.form.is_document:
        return documents.get(cls.__name__, {"type": "object"})
    if wire.minimum == wire.maximum:
        digits: Schema = {"type": "string", "pattern": f"^[0-9a-fA-F]{{{2 * wire.minimum}}}$"}
    else:
        digits = {
            "type": "string",
            "pattern": _EVEN_HEX,
            "minLength": 2 * wire.minimum,
            "maxLength": 2 * wire.maximum,
        }
    if shape.form.commits is None:
        return digits
    return {"anyOf": [digits, {"type": "object"}]}  # what is committed to, in place of its hash


def _text_schema(form: Form, minimum: int, maximum: int, *, repeated: bool) -> Schema:
    if form.choices:
        return {"enum": list(form.choices)}
    found: Schema = {"type": "string", "maxLength": maximum}
    if minimum or repeated:
        found["minLength"] = 1
    if form.pattern is not None:
        found["pattern"] = f"^(?:{form.pattern.pattern})$"
    return found


def pattern_text(pattern: str, maximum: int) -> Schema:
    """A text of letters that the pattern admits, none of which takes more than one byte."""
    return {"type": "string", "pattern": f"^(?:{pattern})$", "maxLength": maximum}


def word_set(items: Schema, most: int) -> Schema:
    """A set: an ascending list, each value once. The order is beyond JSON Schema."""
    return {"type": "array", "items": items, "maxItems": most, "uniqueItems": True}


def whole(minimum: int, maximum: int) -> Schema:
    """A whole number within bounds."""
    return {"type": "integer", "minimum": minimum, "maximum": maximum}
