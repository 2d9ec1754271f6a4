"""The fast path of the canonical codec: one encoder and one decoder, written for each message.

A class is compiled to two plain functions the first time it is used. They do what
`onward_proto.canonical` defines and nothing else; at the first doubt they give up with `Doubt`, and
the definition, which knows how to say what is wrong, judges the whole message. So the definition
alone decides what is canonical, and `tests/unit/proto` holds the two to each other.

The source of a compiled pair is kept as `__source__` of its encoder, for whoever wants to read it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

_ONE_BYTE_TAG_MAX = 0x7F
_VARINT_BYTES_MAX = 10
_UINT64_MAX = 2**64 - 1


class Doubt(Exception):
    """The fast path gives up: ask the definition."""


class FieldShape(Protocol):
    """What is read of a field of a `canonical` plan."""

    @property
    def name(self) -> str:
        """The attribute."""

    @property
    def wire(self) -> Any:
        """How it travels."""

    @property
    def tag(self) -> int:
        """Number and wire type in one."""

    @property
    def optional(self) -> bool:
        """Whether None stands for absent."""


Encode = Callable[[Any], bytes]
Decode = Callable[[bytes, int, int], Any]
Nested = Callable[[type[Any]], tuple[Encode, Decode]]


def compile_message(
    cls: type[Any], fields: tuple[FieldShape, ...], nested: Nested
) -> tuple[Encode, Decode] | None:
    """Encoder and decoder of a class; None where the fast path does not reach.

    `nested` answers the pair of an inner message.
    """
    if any(field.tag > _ONE_BYTE_TAG_MAX for field in fields):
        return None
    names: dict[str, Any] = {
        "cls": cls,
        "Doubt": Doubt,
        "varint": _varint,
        "read_varint": _read_varint,
    }
    writing = ["def encode(m):", " out = bytearray()"]
    reading = ["def decode(data, at, end):"]
    for field in fields:
        if field.wire.kind == "nested":
            encode, decode = nested(field.wire.message)
            names[f"encode_{field.name}"] = encode
            names[f"decode_{field.name}"] = decode
            names[f"type_{field.name}"] = field.wire.message
        writing += _indented(_writes(field))
        reading += _indented(_reads(field))
    writing += [" return bytes(out)"]
    arguments = ", ".join(f"{field.name}=v_{field.name}" for field in fields)
    reading += [" if at != end: raise Doubt", f" return cls({arguments})"]
    source = "\n".join([*writing, "", *reading, ""])
    exec(compile(source, f"<canonical {cls.__name__}>", "exec"), names)  # noqa: S102
    names["encode"].__source__ = source
    return names["encode"], names["decode"]


# -- writing ---------------------------------------------------------------------------------------


def _writes(field: FieldShape) -> list[str]:
    """Lines that append the field of `m` to `out`."""
    lines = [f"v = m.{field.name}"]
    if field.wire.count is not None:
        lines += [f"if v.__class__ is not tuple or len(v) > {field.wire.count}: raise Doubt"]
        if field.wire.kind == "uint":
            check = _indented(_integer_check(field, "i"))
            lines += ["if v:", " p = bytearray()", " for i in v:"]
            lines += [*_indented(check), "  p += varint(i)"]
            return [*lines, f" out += {_tag(field)} + varint(len(p))", " out += p"]
        return [*lines, "for v in v:", *_indented(_write_length(field))]
    body = _write_scalar(field) if field.wire.kind in ("uint", "flag") else _write_length(field)
    if field.optional:
        return [*lines, "if v is not None:", *_indented(body)]
    return [*lines, *body]


def _write_scalar(field: FieldShape) -> list[str]:
    if field.wire.kind == "flag":
        return [
            "if v is True:",
            f" out += {_tag(field)} + b'\\x01'",
            "elif v is not False: raise Doubt",
        ]
    lines = _integer_check(field, "v")
    lines += [
        "if v:",
        f" out += {_tag(field)}",
        " if v < 128: out.append(v)",
        " else: out += varint(v)",
    ]
    return [*lines, "else: raise Doubt"] if field.optional else lines


def _integer_check(field: FieldShape, name: str) -> list[str]:
    wrong = f"not isinstance({name}, int) or {name} is True or {name} is False"
    return [f"if {wrong} or not 0 <= {name} <= {field.wire.maximum}: raise Doubt"]


def _write_length(field: FieldShape) -> list[str]:
    """Lines that append `v` with its tag and length."""
    wire, lines = field.wire, list[str]()
    if wire.kind == "nested":
        lines += [
            f"if v.__class__ is not type_{field.name}: raise Doubt",
            f"v = encode_{field.name}(v)",
        ]
    elif wire.kind == "text":
        lines += ["if v.__class__ is not str: raise Doubt"]
        lines += ["try: v = v.encode()", "except UnicodeEncodeError: raise Doubt from None"]
    else:
        lines += ["if v.__class__ is not bytes: raise Doubt"]
    if wire.kind != "nested" and wire.minimum == wire.maximum > 0:
        head = bytes([field.tag]) + _varint(wire.maximum)
        return [*lines, f"if len(v) != {wire.maximum}: raise Doubt", f"out += {head!r}", "out += v"]
    lines += ["size = len(v)", f"if {_outside(wire, 'size')}: raise Doubt"]
    append = [
        f"out += {_tag(field)}",
        "if size < 128: out.append(size)",
        "else: out += varint(size)",
    ]
    append += ["out += v"]
    if wire.kind == "nested" or wire.count is not None:
        return [*lines, *append]
    lines += ["if size:", *_indented(append)]
    return [*lines, "else: raise Doubt"] if field.optional else lines


# -- reading ---------------------------------------------------------------------------------------


def _reads(field: FieldShape) -> list[str]:
    """Lines that read the field from `data` at `at`, if it stands there, into `v_<name>`.

    Fields are tried in ascending order, so one that comes late, twice or unasked is left over.
    """
    name = f"v_{field.name}"
    here = f"at < end and data[at] == {field.tag}"
    if field.wire.count is None:
        lines = [f"{name} = {_absent(field)}", f"if {here}:", " at += 1"]
        scalar = field.wire.kind in ("uint", "flag")
        body = _read_scalar(field, name) if scalar else _read_length(field, name)
        return [*lines, *_indented(body), *_required(field, name)]
    if field.wire.kind == "uint":
        lines = [f"{name} = ()", f"if {here}:", " at += 1", *_indented(_read_size()), " items = []"]
        lines += [" while at < stop:", "  n, at = read_varint(data, at, stop)"]
        lines += [f"  if n > {field.wire.maximum}: raise Doubt", "  items.append(n)"]
        lines += [f" if not items or len(items) > {field.wire.count}: raise Doubt"]
        return [*lines, f" {name} = tuple(items)"]
    lines = [f"{name} = ()", f"if {here}:", " items = []", f" while {here}:", "  at += 1"]
    lines += _indented(_indented(_read_length(field, "item")))
    lines += ["  items.append(item)", f" if len(items) > {field.wire.count}: raise Doubt"]
    return [*lines, f" {name} = tuple(items)"]


def _read_scalar(field: FieldShape, name: str) -> list[str]:
    lines = ["if at >= end: raise Doubt", "n = data[at]"]
    lines += ["if n < 128: at += 1", "else: n, at = read_varint(data, at, end)"]
    lines += [f"if not 0 < n <= {field.wire.maximum}: raise Doubt"]
    return [*lines, f"{name} = " + ("True" if field.wire.kind == "flag" else "n")]


def _read_size() -> list[str]:
    """Lines that read a length and set `stop`."""
    lines = ["if at >= end: raise Doubt", "size = data[at]"]
    lines += ["if size < 128: at += 1", "else: size, at = read_varint(data, at, end)"]
    return [*lines, "stop = at + size", "if stop > end: raise Doubt"]


def _read_length(field: FieldShape, name: str) -> list[str]:
    """Lines that read a length and that many bytes into `name`."""
    wire = field.wire
    lines = [*_read_size(), f"if {_outside(wire, 'size')}: raise Doubt"]
    if wire.count is None and wire.kind != "nested":
        lines += ["if not size: raise Doubt"]
    if wire.kind == "nested":
        lines += [f"{name} = decode_{field.name}(data, at, stop)"]
    elif wire.kind == "text":
        lines += [
            f"try: {name} = data[at:stop].decode()",
            "except UnicodeDecodeError: raise Doubt from None",
        ]
    else:
        lines += [f"{name} = data[at:stop]"]
    return [*lines, "at = stop"]


def _absent(field: FieldShape) -> str:
    if field.optional or field.wire.kind == "nested" or field.wire.minimum > 0:
        return "None"
    return {"uint": "0", "flag": "False", "raw": "b''", "text": "''"}[field.wire.kind]


def _required(field: FieldShape, name: str) -> list[str]:
    missing = not field.optional and _absent(field) == "None"
    return [f"if {name} is None: raise Doubt"] if missing else []


# -- parts -----------------------------------------------------------------------------------------


def _tag(field: FieldShape) -> str:
    return repr(bytes([field.tag]))


def _outside(wire: Any, name: str) -> str:
    return f"not {wire.minimum} <= {name} <= {wire.maximum}"


def in_doubt(*_: object) -> Any:
    """The path of a message that was not compiled."""
    raise Doubt


def _indented(lines: list[str]) -> list[str]:
    return [" " + line for line in lines]


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    for index in range(at, min(end, at + _VARINT_BYTES_MAX)):
        byte = data[index]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if (byte == 0 and index > at) or value > _UINT64_MAX:
                raise Doubt
            return value, index + 1
        shift += 7
    raise Doubt
