"""Encodings seen lately: the parts of messages that repeat within a block.

Times, counts, sizes and words out of closed sets stand in one message after the other. Each field
of the fast path keeps the encodings of the values it met last, tag and length included, so that
most are one look-up. A table holds what `onward_proto.canonical` defines and nothing else; it is
emptied when it is full, and what it holds never changes a byte, only the time it takes.
"""

from __future__ import annotations

from typing import Any

UINT64_MAX = 2**64 - 1
VALUES_MAX = 1_024  # per field: the values of some blocks, and at most a few hundred KiB
_VARINT_BYTES_MAX = 10
_TIME_BYTES = 6  # milliseconds since 1970, from 2**35 (1971) to 2**42 - 1 (2109)


class Doubt(Exception):
    """The fast path gives up: ask the definition."""


class Scalars:
    """Tag and varint of the integers of one field; never asked for zero, which is absent."""

    __slots__ = ("_maximum", "_parts", "_tag", "get")

    def __init__(self, tag: bytes, maximum: int) -> None:
        self._tag = tag
        self._maximum = maximum
        self._parts: dict[int, bytes] = {}
        self.get = self._parts.get

    def make(self, value: int) -> bytes:
        """The encoding of a value that `get` does not have. Raises `Doubt` outside the bounds."""
        if not 0 < value <= self._maximum:
            raise Doubt
        part = self._tag + varint(value)
        if len(self._parts) >= VALUES_MAX:
            self._parts.clear()
        self._parts[value] = part
        return part


class Heads:
    """Tag and length of the values of one field, by their size."""

    __slots__ = ("_maximum", "_minimum", "_parts", "_tag", "get")

    def __init__(self, tag: bytes, minimum: int, maximum: int) -> None:
        self._tag = tag
        self._minimum = minimum
        self._maximum = maximum
        self._parts: dict[int, bytes] = {}
        self.get = self._parts.get

    def make(self, size: int) -> bytes:
        """The head of a size that `get` does not have. Raises `Doubt` outside the bounds."""
        if not self._minimum <= size <= self._maximum:
            raise Doubt
        part = self._tag + varint(size)
        if len(self._parts) >= VALUES_MAX:
            self._parts.clear()
        self._parts[size] = part
        return part


class Words:
    """Tag, length and bytes of the short texts of one field."""

    __slots__ = ("_maximum", "_minimum", "_parts", "_tag", "get")

    def __init__(self, tag: bytes, minimum: int, maximum: int) -> None:
        self._tag = tag
        self._minimum = minimum
        self._maximum = maximum
        self._parts: dict[str, bytes] = {}
        self.get = self._parts.get

    def make(self, value: str) -> bytes:
        """The encoding of a text that `get` does not have. Raises `Doubt` outside the bounds."""
        try:
            payload = value.encode()
        except UnicodeEncodeError:
            raise Doubt from None
        if not self._minimum <= len(payload) <= self._maximum:
            raise Doubt
        part = self._tag + varint(len(payload)) + payload
        if len(self._parts) >= VALUES_MAX:
            self._parts.clear()
        self._parts[value] = part
        return part


_times: dict[bytes, int] = {}
known_time = _times.get
"""The number in six bytes, if they are a varint of six bytes that was read lately."""


def integer(value: Any) -> int:
    """A value that is not exactly an `int` as one. Raises `Doubt` if it is no integer."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise Doubt
    return int(value)


def varint(value: int) -> bytes:
    """The minimal varint of a number from 0."""
    if value < 0x80:
        return _ONE_BYTE[value]
    if value < 0x4000:
        return bytes((value & 0x7F | 0x80, value >> 7))
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The minimal varint at `at` and the position behind it.

    Raises `Doubt` for one that is none, `IndexError` for one that the data cut off.
    """
    value, shift = data[at], 7
    if value < 0x80:
        return value, at + 1
    value -= 0x80
    for index in range(at + 1, at + _VARINT_BYTES_MAX):
        byte = data[index]
        value += (byte & 0x7F) << shift
        if byte < 0x80:
            if byte == 0 or value > UINT64_MAX:
                raise Doubt
            if index - at == _TIME_BYTES - 1:
                if len(_times) >= VALUES_MAX:
                    _times.clear()
                _times[data[at : index + 1]] = value
            return value, index + 1
        shift += 7
    raise Doubt


def packed(values: tuple[Any, ...], maximum: int) -> bytes:
    """The varints of integers one after the other. Raises `Doubt` outside the bounds."""
    if maximum >= 0x7F:
        for value in values:
            if value.__class__ is not int or not 0 <= value < 0x80:
                break
        else:
            return bytes(values)
    out = bytearray()
    for value in values:
        number = value if value.__class__ is int else integer(value)
        if not 0 <= number <= maximum:
            raise Doubt
        out += varint(number)
    return bytes(out)


def read_packed(data: bytes, maximum: int) -> tuple[int, ...]:
    """The numbers of a packed field. Raises `Doubt` or `IndexError` as `read_varint` does."""
    if maximum >= 0x7F and data.isascii():
        return tuple(data)
    numbers: list[int] = []
    at, end = 0, len(data)
    while at < end:
        number, at = read_varint(data, at)
        if number > maximum:
            raise Doubt
        numbers.append(number)
    return tuple(numbers)


_ONE_BYTE = tuple(bytes((value,)) for value in range(0x80))
