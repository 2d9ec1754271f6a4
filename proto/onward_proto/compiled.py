"""The fast path of the canonical codec: one encoder and one decoder, written for each message.

A class is compiled to two plain functions the first time it is used. They do what
`onward_proto.canonical` defines and nothing else; at the first doubt they give up with `Doubt`, and
the definition, which knows how to say what is wrong, judges the whole message. So the definition
alone decides what is canonical, and `tests/unit/proto` holds the two to each other.

The source of a compiled pair is kept as `__source__` of its encoder, for whoever wants to read it.

How a decoder stays honest without asking at every step whether bytes are left: `at` only grows,
each field reads a bounded number of bytes at it, and behind the last field `at` must be the end.
What was read beyond the end, out of the message around, is thrown away with the rest.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

from onward_proto.remembered import (
    UINT64_MAX,
    Doubt,
    Heads,
    Scalars,
    Words,
    integer,
    known_time,
    packed,
    read_packed,
    read_varint,
    varint,
)

WORD_BYTES_MAX = 48  # words of closed sets; longer texts, the ids of people too, seldom come twice
_TIME_MAX = 2**42 - 1  # what fits in the six bytes of `known_time`
_ONE_BYTE_MAX = 0x7F
_THREE_BYTES_MAX = 2**21 - 1
_LOAD = "t = data[at] if at < end else 0"  # zero begins no field


class FieldShape(Protocol):
    """What is read of a field of a `canonical` plan."""

    @property
    def name(self) -> str:
        """The attribute."""

    @property
    def wire(self) -> Any:
        """How it travels."""

    @property
    def tag_bytes(self) -> bytes:
        """Number and wire type in one, as it stands on the wire."""

    @property
    def optional(self) -> bool:
        """Whether None stands for absent."""


Encode = Callable[[Any], bytes]
Decode = Callable[[bytes, int, int], Any]
Nested = Callable[[type[Any]], tuple[Encode, Decode]]
Change = Callable[..., Any]


def compile_message(
    cls: type[Any], fields: tuple[FieldShape, ...], nested: Nested
) -> tuple[Encode, Decode]:
    """Encoder and decoder of a class. `nested` answers the pair of an inner message."""
    names: dict[str, Any] = {
        "cls": cls,
        "Doubt": Doubt,
        "join": b"".join,
        "integer": integer,
        "known_time": known_time,
        "packed": packed,
        "read_packed": read_packed,
        "read_varint": read_varint,
    }
    writing, parts, reading = list[str](), list[str](), list[str]()
    loaded = False
    for field in fields:
        _name_helpers(field, nested, names)
        writing += _writes(field)
        parts += _parts(field)
        reading += _reads(field, loaded=loaded)
        loaded = not _required(field)
    reading += ["if at != end: raise Doubt", *_builds(cls, fields, names)]
    source = "\n".join(
        [
            "def encode(m):",
            *_indented(writing),
            f" return {_joined(parts)}",
            "",
            "def decode(data, at, end):",
            " try:",
            *_indented(_indented(reading)),
            " except (IndexError, UnicodeDecodeError): raise Doubt from None",
            "",
        ]
    )
    exec(compile(source, f"<canonical {cls.__name__}>", "exec"), names)  # noqa: S102
    names["encode"].__source__ = source
    return names["encode"], names["decode"]


def _name_helpers(field: FieldShape, nested: Nested, names: dict[str, Any]) -> None:
    """Name what the lines of a field call: its remembered encodings, its inner message."""
    wire, name = field.wire, field.name
    if wire.kind == "nested":
        names[f"type_{name}"] = wire.message
        names[f"encode_{name}"], names[f"decode_{name}"] = nested(wire.message)
    table: Scalars | Heads | Words
    if _is_word(field):
        table = Words(field.tag_bytes, _least(field), wire.maximum)
    elif wire.kind == "uint" and wire.count is None:
        table = Scalars(field.tag_bytes, wire.maximum)
    elif wire.kind == "uint":
        table = Heads(field.tag_bytes, 1, UINT64_MAX)
    else:
        table = Heads(field.tag_bytes, _least(field), wire.maximum)
    names[f"get_{name}"], names[f"make_{name}"] = table.get, table.make


# -- writing ---------------------------------------------------------------------------------------


def _writes(field: FieldShape) -> list[str]:
    """Lines that turn the field of `m` into the parts that `_parts` names."""
    wire, name = field.wire, field.name
    value = f"p_{name}"
    if wire.count is not None:
        return _writes_repeated(field)
    lines = [f"{value} = m.{name}"]
    if wire.kind == "flag":
        yes = field.tag_bytes + b"\x01"
        no = _absent(field)
        lines += [f"if {value} is True: {value} = {yes!r}", f"elif {value} is {no}: {value} = b''"]
        return [*lines, "else: raise Doubt"]
    body = _checks(field, value)
    empty_is_absent = not field.optional and wire.kind != "nested" and wire.minimum == 0
    if wire.kind == "uint" or _is_word(field):
        body += [f"{value} = {_lookup(field, value, empty_is_absent=empty_is_absent)}"]
    elif not _fixed(field):
        body += [f"size = len({value})"]
        body += [f"h_{name} = {_lookup(field, 'size', empty_is_absent=empty_is_absent)}"]
    elif field.optional:
        body += [f"h_{name} = {_fixed_head(field)!r}"]
    if not field.optional:
        return [*lines, *body]
    absent = value if len(_parts(field)) == 1 else f"h_{name} = {value}"
    return [*lines, f"if {value} is None: {absent} = b''", "else:", *_indented(body)]


def _writes_repeated(field: FieldShape) -> list[str]:
    wire, name = field.wire, field.name
    lines = [f"p_{name} = m.{name}"]
    lines += [f"if p_{name}.__class__ is not tuple or len(p_{name}) > {wire.count}: raise Doubt"]
    if wire.kind == "uint":
        pack = [f"p_{name} = packed(p_{name}, {wire.maximum})", f"size = len(p_{name})"]
        pack += [f"h_{name} = {_lookup(field, 'size')}"]
        lines += [f"if p_{name}:", *_indented(pack)]
        return [*lines, f"else: h_{name} = p_{name} = b''"]
    body = _checks(field, "v")
    if _is_word(field):
        body += [f"append({_lookup(field, 'v')})"]
    elif _fixed(field):
        body += [f"append({_fixed_head(field)!r})", "append(v)"]
    else:
        body += ["size = len(v)", f"append({_lookup(field, 'size')})", "append(v)"]
    each = [f"for v in p_{name}:", *_indented(body)]
    loop = ["items = []", "append = items.append", *each, f"p_{name} = items"]
    return [*lines, f"if p_{name}:", *_indented(loop)]


def _checks(field: FieldShape, value: str) -> list[str]:
    """Lines that refuse a value of the wrong type, and make bytes of it where that is due."""
    kind, name = field.wire.kind, field.name
    if kind == "uint":
        return [f"if {value}.__class__ is not int: {value} = integer({value})"]
    if kind == "nested":
        lines = [f"if {value}.__class__ is not type_{name}: raise Doubt"]
        return [*lines, f"{value} = encode_{name}({value})"]
    if kind == "text":
        lines = [f"if {value}.__class__ is not str: raise Doubt"]
        if _is_word(field):
            return lines
        return [
            *lines,
            f"try: {value} = {value}.encode()",
            "except UnicodeEncodeError: raise Doubt from None",
        ]
    wrong = f"{value}.__class__ is not bytes"
    if _fixed(field):
        wrong += f" or len({value}) != {field.wire.maximum}"
    return [f"if {wrong}: raise Doubt"]


def _lookup(field: FieldShape, key: str, *, empty_is_absent: bool = False) -> str:
    """The remembered encoding of `key`; it is made, and its bounds are checked, when it is new."""
    found = f"get_{field.name}({key}) or make_{field.name}({key})"
    return f"({found}) if {key} else b''" if empty_is_absent else found


def _parts(field: FieldShape) -> list[str]:
    """What of a field goes into the message, in order."""
    wire, value = field.wire, f"p_{field.name}"
    if wire.count is not None and wire.kind != "uint":
        return [f"*{value}"]
    if wire.kind == "flag" or _is_word(field) or (wire.kind == "uint" and wire.count is None):
        return [value]
    if _fixed(field) and not field.optional:
        return [repr(_fixed_head(field)), value]
    return [f"h_{field.name}", value]


def _joined(parts: list[str]) -> str:
    if any(part.startswith("*") for part in parts):
        return f"join([{', '.join(parts)}])"
    return parts[0] if len(parts) == 1 else f"join(({', '.join(parts)}))"


# -- reading ---------------------------------------------------------------------------------------


def _reads(field: FieldShape, *, loaded: bool) -> list[str]:
    """Lines that read the field from `data` at `at`, if it stands there, into `v_<name>`.

    Fields are tried in ascending order, so one that comes late, twice or unasked is left over.
    `loaded`: `t` already holds the byte at `at`; it does so again behind a field that may be
    absent.
    """
    name, tag = f"v_{field.name}", field.tag_bytes
    more = "".join(f" and data[at + {i}] == {tag[i]}" for i in range(1, len(tag)))
    here = f"t == {tag[0]}{more}"
    load = [] if loaded else [_LOAD]
    if field.wire.count is not None and field.wire.kind != "uint":
        item = [*_read_length(field, "item"), "append(item)", _LOAD]
        body = ["items = []", "append = items.append", f"while {here}:", *_indented(item)]
        body += [f"if len(items) > {field.wire.count}: raise Doubt", f"{name} = tuple(items)"]
        return [*load, f"{name} = ()", f"if {here}:", *_indented(body)]
    scalar = field.wire.kind in ("uint", "flag") and field.wire.count is None
    body = _read_scalar(field, name) if scalar else _read_length(field, name)
    if _required(field):
        first = "t" if loaded else "data[at]"
        other = "".join(f" or data[at + {i}] != {tag[i]}" for i in range(1, len(tag)))
        return [f"if {first} != {tag[0]}{other}: raise Doubt", *body]
    return [*load, f"{name} = {_absent(field)}", f"if {here}:", *_indented([*body, _LOAD])]


def _read_scalar(field: FieldShape, name: str) -> list[str]:
    size, most = len(field.tag_bytes), field.wire.maximum
    if field.wire.kind == "flag":
        return [f"if data[at + {size}] != 1: raise Doubt", f"{name} = True", f"at += {size + 1}"]
    lines = [f"{name} = data[at + {size}]"]
    if most <= _ONE_BYTE_MAX:
        return [*lines, f"if not 0 < {name} <= {most}: raise Doubt", f"at += {size + 1}"]
    long = [f"{name}, at = read_varint(data, at + {size})"]
    if most < UINT64_MAX:
        long += [f"if {name} > {most}: raise Doubt"]
    if most >= _TIME_MAX:
        known = f"{name} = known_time(data[at + {size} : at + {size + 6}])"
        long = [known, f"if {name} is None:", *_indented(long), f"else: at += {size + 6}"]
    if most >= _THREE_BYTES_MAX:
        long = [f"third = data[at + {size + 2}]", "if third >= 128:", *_indented(long)]
        long += ["elif third == 0: raise Doubt"]
        long += [f"else: {name} += (second << 7) + (third << 14) - 16512; at += {size + 3}"]
        long = [f"second = data[at + {size + 1}]", "if second >= 128:", *_indented(long)]
        long += ["elif second == 0: raise Doubt"]
        long += [f"else: {name} += (second << 7) - 128; at += {size + 2}"]
    lines += [f"if {name} < 128:", f" if not {name}: raise Doubt", f" at += {size + 1}"]
    return [*lines, "else:", *_indented(long)]


def _read_length(field: FieldShape, name: str) -> list[str]:
    """Lines that read a length and that many bytes into `name`."""
    wire, size = field.wire, len(field.tag_bytes)
    least, most = _least(field), wire.maximum
    if wire.kind == "uint":
        least, most = 1, UINT64_MAX
    if least == most <= _ONE_BYTE_MAX and wire.kind == "raw":
        begin, end = size + 1, size + 1 + most
        lines = [f"if data[at + {size}] != {most}: raise Doubt"]
        return [*lines, f"{name} = data[at + {begin} : at + {end}]", f"at += {end}"]
    if most <= _ONE_BYTE_MAX:
        lines = [f"size = data[at + {size}]", f"at += {size + 1}"]
    else:
        lines = [f"size = data[at + {size}]", f"if size < 128: at += {size + 1}", "else:"]
        lines += [f" more = data[at + {size + 1}]"]
        lines += [f" if 0 < more < 128: size += (more << 7) - 128; at += {size + 2}"]
        lines += [f" else: size, at = read_varint(data, at + {size})"]
    lines += [f"if {_outside(least, most)}: raise Doubt", "stop = at + size"]
    if wire.kind == "nested":
        lines += [f"{name} = decode_{field.name}(data, at, stop)"]
    elif wire.kind == "text":
        lines += [f"{name} = data[at:stop].decode()"]
    elif wire.kind == "raw":
        lines += [f"{name} = data[at:stop]"]
    else:
        lines += [f"{name} = read_packed(data[at:stop], {wire.maximum})"]
        lines += [f"if len({name}) > {wire.count}: raise Doubt"]
    return [*lines, "at = stop"]


def _builds(cls: type[Any], fields: tuple[FieldShape, ...], names: dict[str, Any]) -> list[str]:
    """Lines that answer the message made of the values."""
    draft = names["draft"] = _draft(cls, tuple(field.name for field in fields))
    if draft is None:
        arguments = ", ".join(f"{field.name}=v_{field.name}" for field in fields)
        return [f"return cls({arguments})"]
    lines = [f"m.{field.name} = v_{field.name}" for field in fields]
    return ["m = draft()", *lines, "m.__class__ = cls", "return m"]


def compile_change(cls: type[Any], slots: tuple[str, ...]) -> Change:
    """`dataclasses.replace` for a message class, without its checks and several times as fast."""
    draft = _draft(cls, slots)
    if draft is None:
        return dataclasses.replace
    source = "\n".join(
        [
            "def change(m, **values):",
            " d = draft()",
            *(f" d.{name} = m.{name}" for name in slots),
            " for name, value in values.items(): setattr(d, name, value)",
            " d.__class__ = cls",
            " return d",
            "",
        ]
    )
    names: dict[str, Any] = {"cls": cls, "draft": draft, "setattr": setattr}
    exec(compile(source, f"<change of {cls.__name__}>", "exec"), names)  # noqa: S102
    change: Change = names["change"]
    return change


def _draft(cls: type[Any], slots: tuple[str, ...]) -> type[Any] | None:
    """A class of the same layout whose fields can still be set, if `cls` has nothing to add.

    The `__init__` of a frozen dataclass sets each field through `object.__setattr__`. Setting
    them on a draft and making that a `cls` at the end is several times faster, and before the
    message is handed out it is as frozen as any other.
    """
    own = vars(cls)
    plain = (
        cls.__bases__ == (object,)
        and own.get("__slots__") == slots
        and own["__dataclass_params__"].frozen
        and all(field.init for field in dataclasses.fields(cls))
        and not {"__new__", "__post_init__"} & own.keys()
        # Where dataclasses wrote `__init__`, it does nothing but set the fields.
        and getattr(own.get("__init__"), "__code__", compile_message.__code__).co_filename
        == "<string>"
    )
    return type(cls.__name__, (), {"__slots__": slots}) if plain else None


# -- parts -----------------------------------------------------------------------------------------


def _required(field: FieldShape) -> bool:
    """Whether a message without the field on the wire is refused."""
    wire = field.wire
    never_empty = wire.kind == "nested" or wire.minimum > 0
    return bool(never_empty and wire.count is None and not field.optional)


def _least(field: FieldShape) -> int:
    """The fewest bytes that the field may have where it stands on the wire."""
    wire = field.wire
    stands_empty = wire.count is not None or wire.kind == "nested"
    return int(wire.minimum) if stands_empty else max(1, wire.minimum)


def _fixed(field: FieldShape) -> bool:
    """Whether the field is bytes of one size."""
    wire = field.wire
    return bool(wire.kind == "raw" and wire.minimum == wire.maximum > 0)


def _fixed_head(field: FieldShape) -> bytes:
    return field.tag_bytes + varint(field.wire.maximum)


def _is_word(field: FieldShape) -> bool:
    """Whether the field holds short text, which is likely to come again."""
    return bool(field.wire.kind == "text" and field.wire.maximum <= WORD_BYTES_MAX)


def _absent(field: FieldShape) -> str:
    if field.wire.count is not None:
        return "()"
    if field.optional:
        return "None"
    return {"uint": "0", "flag": "False", "raw": "b''", "text": "''"}[field.wire.kind]


def _outside(least: int, most: int) -> str:
    if least == 0:
        return f"size > {most}"
    return f"size == 0 or size > {most}" if least == 1 else f"not {least} <= size <= {most}"


def _indented(lines: list[str]) -> list[str]:
    return [" " + line for line in lines]
