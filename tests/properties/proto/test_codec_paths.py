"""Every message there is, on both paths of the codec: what is defined, and what is compiled.

A replica that takes one path and a replica that takes the other must never differ by a byte, by a
verdict, or by a word of the reason.
"""

from __future__ import annotations

import dataclasses
import importlib
import random
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Annotated, Any

import pytest

import onward
import onward_chaincode
from onward_proto.canonical import (
    UINT64_MAX,
    CanonicalError,
    Wire,
    _plan,
    decode,
    define_decode,
    define_encode,
    encode,
    flag,
    nested,
    raw,
    text,
    uint,
)

MESSAGES_EACH = 25
NUMBERS = [0, 1, 2, 127, 128, 300, 2**14 - 1, 2**14, 2**21 - 1, 2**21, 2**28, 2**35 - 1, 2**35]
NUMBERS += [1_750_000_000_000, 2**42 - 1, 2**42, 2**49, 2**53 - 1, 2**56, 2**63, UINT64_MAX]
ALPHABET = "aZ0:.-\x00\x7fä€\U0001f600"


@dataclass(frozen=True, slots=True, kw_only=True)
class Small:
    """No field that must stand."""

    low: Annotated[int | None, uint(1, maximum=100)]
    word: Annotated[str, text(9, maximum=150)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Corner:
    """The bounds and tags at which the compiled lines change their shape."""

    tiny: Annotated[int, uint(1, maximum=1)]
    seven: Annotated[int, uint(2, maximum=127)]
    eight: Annotated[int, uint(3, maximum=128)]
    time: Annotated[int, uint(4, maximum=2**42 - 1)]
    under: Annotated[int, uint(5, maximum=2**42 - 2)]
    small: Annotated[Small, nested(14, Small, maximum=200)]
    perhaps: Annotated[Small | None, nested(15, Small)]
    yes: Annotated[bool, flag(16)]
    no: Annotated[bool | None, flag(17)]
    word: Annotated[str, text(18, maximum=64)]
    wordy: Annotated[str | None, text(19, maximum=64)]
    line: Annotated[str, text(20, minimum=1, maximum=127)]
    prose: Annotated[str | None, text(21, minimum=2, maximum=128)]
    fixed: Annotated[bytes | None, raw(31, size=127)]
    large: Annotated[bytes, raw(32, size=128)]
    any: Annotated[bytes, raw(33, maximum=20_000)]
    few: Annotated[tuple[int, ...], uint(2047, maximum=100, count=3)]
    more: Annotated[tuple[int, ...], uint(2048, count=300)]
    words: Annotated[tuple[str, ...], text(2049, maximum=5, count=3)]
    lines: Annotated[tuple[str, ...], text(2050, minimum=1, maximum=90, count=3)]
    keys: Annotated[tuple[bytes, ...], raw(2051, size=32, count=3)]
    blobs: Annotated[tuple[bytes, ...], raw(2052, maximum=300, count=3)]
    smalls: Annotated[tuple[Small, ...], nested(2**18, Small, count=3)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounded:
    """Integers with a bound on each side of a varint's sizes."""

    one: Annotated[int, uint(1, maximum=127)]
    two: Annotated[int, uint(2, maximum=128)]
    below: Annotated[int, uint(3, maximum=2**21 - 2)]
    three: Annotated[int, uint(4, maximum=2**21 - 1)]
    before: Annotated[int, uint(5, maximum=2**42 - 2)]
    time: Annotated[int, uint(6, maximum=2**42 - 1)]
    large: Annotated[int, uint(7, maximum=2**53 - 1)]
    few: Annotated[tuple[int, ...], uint(8, maximum=126, count=3)]
    more: Annotated[tuple[int, ...], uint(9, maximum=127, count=3)]
    rest: Annotated[tuple[int, ...], uint(10, maximum=2**35, count=3)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundless:
    """The same without the bounds."""

    one: Annotated[int, uint(1)]
    two: Annotated[int, uint(2)]
    below: Annotated[int, uint(3)]
    three: Annotated[int, uint(4)]
    before: Annotated[int, uint(5)]
    time: Annotated[int, uint(6)]
    large: Annotated[int, uint(7)]
    few: Annotated[tuple[int, ...], uint(8, count=5)]
    more: Annotated[tuple[int, ...], uint(9, count=5)]
    rest: Annotated[tuple[int, ...], uint(10, count=5)]


class Number(IntEnum):
    ONE = 1


class Word(StrEnum):
    OK = "OK"


class Octets(bytes):
    pass


WRONG: list[object] = [None, True, False, -1, 1.0, UINT64_MAX + 1, Number.ONE, Word.OK, "\ud800"]
WRONG += ["", "a" * 65, "a" * 200, "€" * 30, b"", b"x" * 33, b"x" * 200, Octets(b"x" * 32), (), []]
WRONG += [(True,), (1, -1), ("",), ("a", 1), (b"x",), (None,), (Number.ONE,), (0,) * 2_000]


def _messages() -> Iterator[type[Any]]:
    """Every class of the repository whose fields carry wire kinds."""
    for package in (onward, onward_chaincode):
        root = Path(package.__path__[0])
        for file in sorted(root.rglob("*.py")):
            if "onward_proto.canonical" not in file.read_text():
                continue
            module = ".".join(file.relative_to(root.parent).with_suffix("").parts)
            for item in vars(importlib.import_module(module)).values():
                if dataclasses.is_dataclass(item) and _is_message(item, module):
                    yield typing.cast("type[Any]", item)


def _is_message(item: Any, module: str) -> bool:
    fields = dataclasses.fields(item)
    return bool(
        isinstance(item, type)
        and item.__module__ == module
        and fields
        and all(str(field.type).startswith("Annotated[") for field in fields)
    )


CLASSES = [*_messages(), Small, Corner, Bounded]
each_class = pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: f"{cls.__name__}")


def _draw(cls: type[Any], dice: random.Random) -> Any:
    return cls(
        **{
            field.name: _value(field.wire, dice, optional=field.optional)
            for field in _plan(cls).fields
        }
    )


def _value(wire: Wire, dice: random.Random, *, optional: bool) -> Any:
    if wire.count is not None:
        return tuple(_one(wire, dice) for _ in range(dice.randint(0, min(wire.count, 3))))
    if optional and dice.random() < 0.4:
        return None
    value = _one(wire, dice)
    return None if optional and wire.kind != "nested" and not value else value


def _one(wire: Wire, dice: random.Random) -> Any:
    if wire.kind == "nested":
        assert wire.message is not None
        return _draw(wire.message, dice)
    if wire.kind == "flag":
        return dice.random() < 0.5
    if wire.kind == "uint":
        return dice.choice([n for n in [*NUMBERS, wire.maximum] if n <= wire.maximum])
    sizes = {wire.minimum, wire.maximum, 1, 20, 63, 64, 127, 128, 129, 1_000}
    bounds = range(wire.minimum, min(wire.maximum, 1_000) + 1)
    size = dice.choice(sorted(size for size in sizes if size in bounds))
    if wire.kind == "raw":
        return dice.randbytes(size)
    letters = ""
    while len(letters.encode()) < size:
        letters += dice.choice(ALPHABET)
    return letters if len(letters.encode()) == size else "w" * size


def _outcome(work: Any, *arguments: Any) -> object:
    """What comes out, or why nothing does."""
    try:
        return work(*arguments)
    except CanonicalError as error:
        return f"refused: {error}"


def test_the_messages_of_every_room_are_found() -> None:
    """A search that finds nothing would hold everything to be true."""
    names = {cls.__name__ for cls in CLASSES}
    assert len(CLASSES) > 75
    assert {"Block", "Envelope", "Vote", "AgreementRecord", "ShareOnward", "Hello"} <= names


@each_class
def test_the_fast_path_reaches_every_right_message(cls: type[Any]) -> None:
    """A field that leaves it in doubt costs ten times the time, and nobody would notice."""
    fast_encode, fast_decode = _plan(cls).compiled
    assert "m = draft()" in fast_encode.__source__  # type: ignore[attr-defined]
    dice = random.Random(cls.__name__)
    for _ in range(MESSAGES_EACH):
        message = _draw(cls, dice)
        data = fast_encode(message)
        assert data == define_encode(message)
        found = fast_decode(data, 0, len(data))
        assert found == define_decode(cls, data) == message
        assert type(found) is cls


@each_class
def test_both_paths_say_the_same_of_wrong_values(cls: type[Any]) -> None:
    dice = random.Random(cls.__name__)
    for field in _plan(cls).fields:
        message = _draw(cls, dice)
        for wrong in WRONG:
            changed = dataclasses.replace(message, **{field.name: wrong})
            assert _outcome(encode, changed) == _outcome(define_encode, changed)


@each_class
def test_both_paths_say_the_same_of_changed_bytes(cls: type[Any]) -> None:
    dice = random.Random(cls.__name__)
    for _ in range(MESSAGES_EACH):
        data = encode(_draw(cls, dice))
        for _ in range(8):
            changed = _changed(data, dice)
            found = _outcome(decode, cls, changed)
            assert found == _outcome(define_decode, cls, changed)
            assert isinstance(found, str) or encode(found) == changed


@each_class
def test_both_paths_refuse_a_number_that_is_longer_than_it_needs_to_be(cls: type[Any]) -> None:
    """A length may hide it as well as a value: the same message would have two ids."""
    dice = random.Random(cls.__name__)
    for _ in range(2):
        data = encode(_draw(cls, dice))
        for place in range(min(len(data), 400)):
            longer = data[:place] + bytes([data[place] | 0x80, 0]) + data[place + 1 :]
            assert _outcome(decode, cls, longer) == _outcome(define_decode, cls, longer)


@pytest.mark.parametrize("field", dataclasses.fields(Bounded), ids=lambda field: field.name)
def test_both_paths_draw_the_line_at_one_number(field: dataclasses.Field[Any]) -> None:
    nothing = Boundless(
        one=0, two=0, below=0, three=0, before=0, time=0, large=0, few=(), more=(), rest=()
    )
    bounds = {known.wire.maximum for known in _plan(Bounded).fields}
    numbers = sorted({*NUMBERS, *bounds, *(number + 1 for number in bounds)})
    repeated = field.name in ("few", "more", "rest")
    for number in numbers:
        values: list[Any] = [number]
        if repeated:
            values = [(number,), (0, number), (number,) * 3, (number,) * 4]
        for value in values:
            data = encode(dataclasses.replace(nothing, **{field.name: value}))
            assert _outcome(decode, Bounded, data) == _outcome(define_decode, Bounded, data)


def _changed(data: bytes, dice: random.Random) -> bytes:
    """One to three mistakes, near the beginning where the short fields are as often as not."""
    out = bytearray(data)
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(min(len(out), dice.choice([8, 80, 10_000])) + 1)
        kind = dice.choice(["set", "flip", "cut", "insert", "double", "end"])
        if kind == "insert":
            out.insert(at, dice.choice([0, 1, 0x7F, 0x80, 0xFF]))
        elif kind == "double":
            out[at:at] = out[at : at + dice.randint(1, 40)]
        elif kind == "end":
            del out[at:]
        elif at < len(out) and kind == "set":
            out[at] = dice.choice([0, 1, 32, 0x7F, 0x80, 0xFF, dice.randrange(256)])
        elif at < len(out) and kind == "flip":
            out[at] ^= 1 << dice.randrange(8)
        else:
            del out[at : at + dice.randint(1, 3)]
    return bytes(out)
