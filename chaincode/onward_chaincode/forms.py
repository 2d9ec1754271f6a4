"""The forms that values in payloads must have, stated beside the wire kind of each field.

A payload's class says everything about R01 and R02: the wire kind bounds the bytes, a `Form`
says that a list is a set (ascending, unique), which texts are allowed, and how many values a
rule admits. Handlers therefore receive payloads that are right in themselves, and drafts are
built from the same statements.
"""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Callable
from itertools import pairwise
from typing import Any, TypeVar

from onward_chaincode import limits
from onward_chaincode.errors import Code, refuse
from onward_proto.canonical import CanonicalError, Wire, decode, raw, text, uint

T = TypeVar("T")

PARTY_ID = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?", re.ASCII)
IRI = re.compile(r"[a-z][a-z0-9.+-]*:[A-Za-z0-9._~/#-]+", re.ASCII)
TAG = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.&+-]*[A-Za-z0-9])?", re.ASCII)
COUNTRY = re.compile(r"[A-Z]{2}", re.ASCII)
CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclasses.dataclass(frozen=True, slots=True)
class Form:
    """What a field's value must look like beyond its wire kind."""

    is_set: bool = False  # ascending and unique
    is_document: bool = False  # the bytes of a canonical JSON document
    pattern: re.Pattern[str] | None = None
    choices: tuple[str, ...] = ()
    most: int | None = None  # a rule's bound on the count: more is E_SIZE
    # Where a draft may say what it commits to, instead: from that to the 32 bytes.
    commits: Callable[[dict[str, Any]], bytes] | None = None


LAWFUL_BASES = (
    "dpv:Consent",
    "dpv:Contract",
    "dpv:LegalObligation",
    "dpv:LegitimateInterest",
    "dpv:PublicInterest",
    "dpv:VitalInterest",
)


def id_wire(number: int) -> Wire:
    """The wire kind of an id, a hash or a commitment."""
    return raw(number, size=32)


def party_wire(number: int) -> Wire:
    """The wire kind of a party id."""
    return text(number, minimum=1, maximum=limits.PARTY_ID_BYTES_MAX)


def enum_wire(number: int) -> Wire:
    """The wire kind of a word out of a closed set."""
    return text(number, minimum=1, maximum=limits.ENUM_BYTES_MAX)


def time_wire(number: int) -> Wire:
    """The wire kind of a time in milliseconds."""
    return uint(number, maximum=limits.TIME_MS_MAX)


def duration_wire(number: int) -> Wire:
    """The wire kind of a duration in milliseconds: whatever it is added to is still a time."""
    return uint(number, maximum=limits.DURATION_MS_MAX)


def fields_wire(number: int) -> Wire:
    """The wire kind of a set of schema field indexes."""
    return uint(number, maximum=limits.FIELD_INDEX_MAX, count=limits.SET_WIRE_MAX)


def words_wire(number: int, maximum: int) -> Wire:
    """The wire kind of a set of short texts."""
    return text(number, minimum=1, maximum=maximum, count=limits.SET_WIRE_MAX)


PARTY_FORM = Form(pattern=PARTY_ID)
FIELDS_FORM = Form(is_set=True, most=limits.FIELDS_MAX)
PURPOSES_FORM = Form(is_set=True, pattern=IRI, most=limits.PURPOSES_MAX)
JURISDICTIONS_FORM = Form(is_set=True, pattern=COUNTRY, most=limits.JURISDICTIONS_MAX)
TAGS_FORM = Form(is_set=True, pattern=TAG, most=limits.TAGS_MAX)
BASIS_FORM = Form(choices=LAWFUL_BASES)


@dataclasses.dataclass(frozen=True, slots=True)
class Shape:
    """One field of a message as its class states it."""

    name: str
    wire: Wire
    form: Form
    optional: bool
    required: bool


_shapes: dict[type[Any], tuple[Shape, ...]] = {}
_formed: dict[type[Any], tuple[Shape, ...]] = {}


def shapes(cls: type[Any]) -> tuple[Shape, ...]:
    """The fields of a message class, in wire order."""
    found = _shapes.get(cls)
    if found is None:
        # gate: N10 what a class says of itself, read once: no answer depends on it
        found = _shapes[cls] = _read_shapes(cls)
    return found


def formed(cls: type[Any]) -> tuple[Shape, ...]:
    """The fields of a message class whose values have a form to be checked, in wire order."""
    found = _formed.get(cls)
    if found is None:
        # gate: N10 as for `shapes`
        found = _formed[cls] = tuple(
            shape for shape in shapes(cls) if shape.wire.kind == "nested" or shape.form != Form()
        )
    return found


def open_payload(cls: type[T], payload: bytes) -> T:
    """The message in `payload`, right in itself. Raises `Refuse` E_FORMAT (R01) or E_SIZE (R02)."""
    try:
        message = decode(cls, payload)
    except CanonicalError as error:
        raise refuse(Code.FORMAT, str(error)) from None
    _check_form(message, cls.__name__)
    _check_size(message, cls.__name__)
    return message


def _read_shapes(cls: type[Any]) -> tuple[Shape, ...]:
    hints = typing.get_type_hints(cls, include_extras=True)
    found = []
    for field in dataclasses.fields(cls):
        hint = hints[field.name]
        extras = hint.__metadata__
        wire = next(extra for extra in extras if isinstance(extra, Wire))
        form = next((extra for extra in extras if isinstance(extra, Form)), Form())
        optional = type(None) in typing.get_args(hint.__origin__)
        has_default = field.default is not dataclasses.MISSING
        required = not (optional or has_default or wire.count is not None)
        found.append(Shape(field.name, wire, form, optional, required))
    return tuple(found)


def _check_form(message: object, where: str) -> None:
    for shape in formed(type(message)):
        value = getattr(message, shape.name)
        if value is None:
            continue
        at = f"{where}.{shape.name}"
        items = value if isinstance(value, tuple) else (value,)
        for item in items:
            if shape.wire.kind == "nested":
                _check_form(item, at)
            elif shape.form.choices and item not in shape.form.choices:
                raise refuse(Code.FORMAT, f"{at}: {item!r} is none of {list(shape.form.choices)}")
            elif shape.form.pattern and not shape.form.pattern.fullmatch(item):
                raise refuse(Code.FORMAT, f"{at}: {item!r} has not the form asked for")
        if shape.form.is_set and any(a >= b for a, b in pairwise(items)):
            raise refuse(Code.FORMAT, f"{at}: a set is written ascending, each value once")


def _check_size(message: object, where: str) -> None:
    for shape in formed(type(message)):
        value = getattr(message, shape.name)
        at = f"{where}.{shape.name}"
        if shape.wire.kind == "nested" and value is not None:
            for item in value if isinstance(value, tuple) else (value,):
                _check_size(item, at)
        elif shape.form.most is not None and len(value) > shape.form.most:
            raise refuse(Code.SIZE, f"{at}: {len(value)} values, at most {shape.form.most}")
