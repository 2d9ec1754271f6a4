"""The one codec for everything that is hashed or signed.

A canonical message is proto3 wire form with every freedom removed, so that one value has exactly
one encoding and one encoding exactly one value:

- fields in ascending order of their numbers, each at most once unless repeated;
- minimal varints, at most 64 bits;
- no default on the wire: a zero, an empty string and an empty list are absent;
- no unknown field, no map, no float, no group, no negative number;
- text is UTF-8; every length and count has a bound, checked before anything is allocated.

A message is a frozen dataclass whose fields are annotated with a wire kind::

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Point:
        seq: Annotated[int, uint(1)]
        head: Annotated[bytes, raw(2, size=32)]
        note: Annotated[str | None, text(3, maximum=64)]     # None is absent
        tail: Annotated[tuple[bytes, ...], raw(4, size=32, count=8)]   # count makes it repeated

`encode` and `decode` are inverse to each other, and both refuse what the other would. The module
depends on nothing, so the node, the contracts and the tools share it without sharing a runtime.

Source: Protocol Buffers encoding (proto3); the restrictions are ours (docs/spec/encoding.md).
"""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any, TypeVar

from onward_proto.compiled import Change, Decode, Encode, compile_change, compile_message
from onward_proto.remembered import Doubt

UINT64_MAX = 2**64 - 1
TEXT_BYTES_MAX_DEFAULT = 256
BYTES_MAX_DEFAULT = 1 << 20

_VARINT = 0
_LENGTH = 2
_VARINT_BYTES_MAX = 10

T = TypeVar("T")


class CanonicalError(ValueError):
    """The bytes are not the canonical form of a message, or the value has none.

    The message names the type, the field and the position where it went wrong.
    """


@dataclasses.dataclass(frozen=True, slots=True)
class Wire:
    """How one field travels; built by `uint`, `flag`, `raw`, `text` and `nested`."""

    number: int
    kind: str
    minimum: int = 0
    maximum: int = UINT64_MAX
    count: int | None = None  # None: a single value; else the most values of a repeated field
    message: type[Any] | None = None


def uint(number: int, *, maximum: int = UINT64_MAX, count: int | None = None) -> Wire:
    """An unsigned integer. Optional (`int | None`): absent is None, and zero is refused."""
    return Wire(number, "uint", 0, maximum, count)


def flag(number: int) -> Wire:
    """A boolean; False is absent."""
    return Wire(number, "flag", 0, 1)


def raw(
    number: int,
    *,
    size: int | None = None,
    minimum: int = 0,
    maximum: int = BYTES_MAX_DEFAULT,
    count: int | None = None,
) -> Wire:
    """Bytes: exactly `size`, or from `minimum` to `maximum`."""
    if size is not None:
        return Wire(number, "raw", size, size, count)
    return Wire(number, "raw", minimum, maximum, count)


def text(
    number: int,
    *,
    minimum: int = 0,
    maximum: int = TEXT_BYTES_MAX_DEFAULT,
    count: int | None = None,
) -> Wire:
    """UTF-8 text of `minimum` to `maximum` bytes."""
    return Wire(number, "text", minimum, maximum, count)


def nested(
    number: int, message: type[Any], *, maximum: int = BYTES_MAX_DEFAULT, count: int | None = None
) -> Wire:
    """A message inside a message, of at most `maximum` encoded bytes."""
    return Wire(number, "nested", 0, maximum, count, message)


@dataclasses.dataclass(frozen=True, slots=True)
class _Field:
    """A `Wire` bound to its attribute."""

    name: str
    wire: Wire
    tag: int
    tag_bytes: bytes
    optional: bool


@dataclasses.dataclass(frozen=True, slots=True)
class _Plan:
    """Everything `encode` and `decode` need to know of a class, computed once."""

    fields: tuple[_Field, ...]
    by_tag: dict[int, tuple[int, _Field]]
    compiled: tuple[Encode, Decode]


_plans: dict[type[Any], _Plan] = {}
_encoders: dict[type[Any], Encode] = {}
_decoders: dict[type[Any], Decode] = {}
_changes: dict[type[Any], Change] = {}


def encode(message: object) -> bytes:
    """The canonical bytes of a message. Raises `CanonicalError` for a value that has none."""
    cls = type(message)
    fast = _encoders.get(cls) or _plan(cls).compiled[0]
    try:
        return fast(message)
    except Doubt:
        return define_encode(message)


def decode(cls: type[T], data: bytes) -> T:
    """The message whose canonical form `data` is. Raises `CanonicalError` for anything else."""
    if type(data) is bytes:
        fast = _decoders.get(cls) or _plan(cls).compiled[1]
        try:
            found: T = fast(data, 0, len(data))
        except Doubt:
            pass
        else:
            return found
    return define_decode(cls, data)


def changed(message: T, **values: object) -> T:
    """The message with other values in these fields. `encode` judges them, not this.

    Raises: AttributeError or TypeError for a field that the message does not have.
    """
    cls = type(message)
    change = _changes.get(cls)
    if change is None:
        names = tuple(field.name for field in _plan(cls).fields)
        change = _changes[cls] = compile_change(cls, names)
    found: T = change(message, **values)
    return found


def define_encode(message: object) -> bytes:
    """`encode` as it is defined; the compiled encoders are held to it."""
    out = bytearray()
    for field in _plan(type(message)).fields:
        value = getattr(message, field.name)
        try:
            _write(out, field, value)
        except CanonicalError as error:
            raise CanonicalError(f"{type(message).__name__}.{field.name}: {error}") from None
    return bytes(out)


def define_decode(cls: type[T], data: bytes) -> T:
    """`decode` as it is defined; the compiled decoders are held to it."""
    plan = _plan(cls)
    values: list[Any] = [None] * len(plan.fields)
    position, end, last = 0, len(data), 0
    while position < end:
        start = position
        try:
            tag, position = _read_varint(data, position, end)
            slot, field = _next_field(plan, tag, last)
            position = _read(data, position, field, values, slot)
        except CanonicalError as error:
            raise CanonicalError(f"{cls.__name__} at byte {start}: {error}") from None
        last = tag
    for slot, field in enumerate(plan.fields):
        if values[slot] is None:
            values[slot] = _absent(cls, field)
        elif field.wire.count is not None:
            values[slot] = tuple(values[slot])
    return cls(**{field.name: values[slot] for slot, field in enumerate(plan.fields)})


def _next_field(plan: _Plan, tag: int, last: int) -> tuple[int, _Field]:
    known = plan.by_tag.get(tag)
    if known is None:
        raise CanonicalError(f"unknown field {tag >> 3} with wire type {tag & 7}")
    field = known[1]
    if tag < last:
        raise CanonicalError(f"field {field.name} comes after a higher one")
    if tag == last and (field.wire.count is None or field.wire.kind == "uint"):
        raise CanonicalError(f"field {field.name} stands twice")
    return known


def _plan(cls: type[Any]) -> _Plan:
    plan = _plans.get(cls)
    if plan is None:
        plan = _plans[cls] = _make_plan(cls)
        _encoders[cls], _decoders[cls] = plan.compiled
    return plan


def _make_plan(cls: type[Any]) -> _Plan:
    if not dataclasses.is_dataclass(cls):
        raise TypeError(f"{cls.__name__} is not a canonical message: it is no dataclass")
    hints = typing.get_type_hints(cls, include_extras=True)
    fields: list[_Field] = []
    for attribute in dataclasses.fields(cls):
        hint = hints[attribute.name]
        wires = [extra for extra in getattr(hint, "__metadata__", ()) if isinstance(extra, Wire)]
        if len(wires) != 1:
            raise TypeError(f"{cls.__name__}.{attribute.name} needs exactly one wire kind")
        wire = wires[0]
        bare = hint.__origin__
        optional = typing.get_origin(bare) in (typing.Union, types.UnionType) and type(
            None
        ) in typing.get_args(bare)
        wire_type = _VARINT if wire.kind in ("uint", "flag") and wire.count is None else _LENGTH
        tag = wire.number << 3 | wire_type
        fields.append(_Field(attribute.name, wire, tag, _varint(tag), optional))
    numbers = [field.wire.number for field in fields]
    if numbers != sorted(set(numbers)) or not numbers or numbers[0] < 1:
        raise TypeError(f"{cls.__name__}: field numbers must ascend from 1")
    by_tag = {field.tag: (i, field) for i, field in enumerate(fields)}
    return _Plan(tuple(fields), by_tag, compile_message(cls, tuple(fields), _compiled))


def _compiled(cls: type[Any]) -> tuple[Encode, Decode]:
    """The pair of an inner message."""
    return _plan(cls).compiled


def _absent(cls: type[Any], field: _Field) -> Any:
    """The value that a field absent from the wire has, or the error that it may not be absent."""
    wire = field.wire
    if wire.count is not None:
        return ()
    if field.optional:
        return None
    if wire.kind == "uint":
        return 0
    if wire.kind == "flag":
        return False
    if wire.kind == "nested" or wire.minimum > 0:
        raise CanonicalError(f"{cls.__name__}: field {field.name} is missing")
    return b"" if wire.kind == "raw" else ""


# -- writing ---------------------------------------------------------------------------------------


def _write(out: bytearray, field: _Field, value: Any) -> None:
    if field.wire.count is not None:
        _write_repeated(out, field, value)
    elif value is None:
        if not field.optional:
            raise CanonicalError("may not be None")
    elif field.wire.kind in ("uint", "flag"):
        number = _checked_uint(field.wire, value)
        if number:
            out += field.tag_bytes
            out += _varint(number)
        elif field.optional:
            raise CanonicalError("zero has no form in an optional field; use None")
    else:
        payload = _payload(field.wire, value)
        if payload or field.wire.kind == "nested":
            _write_length(out, field, payload)
        elif field.optional:
            raise CanonicalError("empty has no form in an optional field; use None")


def _write_repeated(out: bytearray, field: _Field, values: Any) -> None:
    if not isinstance(values, tuple):
        raise CanonicalError(f"expected a tuple, got {type(values).__name__}")
    if len(values) > (field.wire.count or 0):
        raise CanonicalError(f"{len(values)} values, at most {field.wire.count}")
    if field.wire.kind == "uint":
        _write_packed(out, field, values)
        return
    for item in values:
        _write_length(out, field, _payload(field.wire, item))


def _write_packed(out: bytearray, field: _Field, values: tuple[Any, ...]) -> None:
    packed = b"".join(_varint(_checked_uint(field.wire, value)) for value in values)
    if packed:
        _write_length(out, field, packed)


def _write_length(out: bytearray, field: _Field, payload: bytes) -> None:
    out += field.tag_bytes
    out += _varint(len(payload))
    out += payload


def _checked_uint(wire: Wire, value: Any) -> int:
    if wire.kind == "flag":
        if not isinstance(value, bool):
            raise CanonicalError(f"expected a bool, got {type(value).__name__}")
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise CanonicalError(f"expected an int, got {type(value).__name__}")
    if not 0 <= value <= wire.maximum:
        raise CanonicalError(f"{value} is not in 0..{wire.maximum}")
    return int(value)


def _payload(wire: Wire, value: Any) -> bytes:
    if wire.kind == "nested":
        if wire.message is None or not isinstance(value, wire.message):
            raise CanonicalError(f"expected {wire.message}, got {type(value).__name__}")
        payload = define_encode(value)
        if len(payload) > wire.maximum:
            raise CanonicalError(f"{len(payload)} bytes, at most {wire.maximum}")
        return payload
    if wire.kind == "text":
        if not isinstance(value, str):
            raise CanonicalError(f"expected text, got {type(value).__name__}")
        try:
            payload = value.encode()
        except UnicodeEncodeError:
            raise CanonicalError("text holds a lone surrogate") from None
    else:
        if not isinstance(value, bytes):
            raise CanonicalError(f"expected bytes, got {type(value).__name__}")
        payload = value
    _check_size(wire, len(payload))
    return payload


def _check_size(wire: Wire, size: int) -> None:
    if not wire.minimum <= size <= wire.maximum:
        expected = (
            f"{wire.minimum}"
            if wire.minimum == wire.maximum
            else f"{wire.minimum} to {wire.maximum}"
        )
        raise CanonicalError(f"{size} bytes, expected {expected}")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


# -- reading ---------------------------------------------------------------------------------------


def _read(data: bytes, position: int, field: _Field, values: list[Any], slot: int) -> int:
    """Read one value of `field` into `values[slot]`; answers the position behind it."""
    wire, end = field.wire, len(data)
    if field.tag & 7 == _VARINT:
        number, position = _read_varint(data, position, end)
        if number == 0:
            raise CanonicalError(f"field {field.name} is zero, which has no place on the wire")
        if number > wire.maximum:
            raise CanonicalError(f"field {field.name} is {number}, at most {wire.maximum}")
        values[slot] = bool(number) if wire.kind == "flag" else number
        return position
    size, position = _read_varint(data, position, end)
    if size > end - position:
        raise CanonicalError(f"field {field.name} claims {size} bytes, {end - position} are left")
    stop = position + size
    if wire.count is None:
        if size == 0 and wire.kind != "nested":
            raise CanonicalError(f"field {field.name} is empty, which has no place on the wire")
        values[slot] = _read_payload(field, data[position:stop])
        return stop
    if wire.kind == "uint":
        values[slot] = _read_packed(field, data, position, stop)
        return stop
    if values[slot] is None:
        values[slot] = []
    if len(values[slot]) == wire.count:
        raise CanonicalError(f"field {field.name} has more than {wire.count} values")
    values[slot].append(_read_payload(field, data[position:stop]))
    return stop


def _read_payload(field: _Field, payload: bytes) -> Any:
    wire = field.wire
    if wire.kind == "nested":
        if len(payload) > wire.maximum:
            raise CanonicalError(f"{field.name}: {len(payload)} bytes, at most {wire.maximum}")
        if wire.message is None:
            raise CanonicalError(f"field {field.name} names no message")
        return define_decode(wire.message, payload)
    try:
        _check_size(wire, len(payload))
        return payload if wire.kind == "raw" else payload.decode()
    except UnicodeDecodeError:
        raise CanonicalError(f"field {field.name} is not UTF-8") from None
    except CanonicalError as error:
        raise CanonicalError(f"field {field.name}: {error}") from None


def _read_packed(field: _Field, data: bytes, position: int, stop: int) -> list[int]:
    if position == stop:
        raise CanonicalError(f"field {field.name} is empty, which has no place on the wire")
    numbers: list[int] = []
    while position < stop:
        number, position = _read_varint(data, position, stop)
        if number > field.wire.maximum:
            raise CanonicalError(f"field {field.name}: {number}, at most {field.wire.maximum}")
        if len(numbers) == field.wire.count:
            raise CanonicalError(f"field {field.name} has more than {field.wire.count} values")
        numbers.append(number)
    return numbers


def _read_varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    value = shift = 0
    for index in range(position, min(end, position + _VARINT_BYTES_MAX)):
        byte = data[index]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if byte == 0 and index > position:
                raise CanonicalError("a varint is longer than it needs to be")
            if value > UINT64_MAX:
                raise CanonicalError("a varint exceeds 64 bits")
            return value, index + 1
        shift += 7
    raise CanonicalError("a varint does not end")
