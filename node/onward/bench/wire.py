"""The bytes of a SubmitStream, put together and taken apart by hand.

A message of many envelopes is its number, a slice of a file in which the envelopes already stand in
their frames, and a tail that never changes. Replies are only counted while the clock runs, and read
when it has stopped. What the fields mean is said in `onward_proto/v1/gateway.proto`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from onward.errors import MalformedError

_FIRST_ID = b"\x08"  # StreamedSubmit.first_id
_ENVELOPES = 2  # StreamedSubmit.envelopes
_WAIT_MS = b"\x18"  # StreamedSubmit.wait_ms
_WITHOUT_EVENTS = b"\x20\x01"  # StreamedSubmit.without_events
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


@dataclass(slots=True, kw_only=True)
class Told:
    """A verdict, or why there is none."""

    code: str = ""
    message: str = ""
    height: int = 0
    outcome: int = 0
    log_index: int = 0


@dataclass(slots=True, kw_only=True)
class Settled:
    """What became of one envelope: a verdict for each of its transactions, or one refusal."""

    id: int = 0
    verdicts: list[Told] = field(default_factory=list)
    refusal: Told | None = None


def varint(value: int) -> bytes:
    """A number as seven bits to a byte, the lowest first."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def length_delimited(number: int, value: bytes) -> bytes:
    """A field of bytes or text; an empty one has no place on the wire."""
    return varint(number << 3 | _LENGTH) + varint(len(value)) + value if value else b""


def framed(envelope: bytes) -> bytes:
    """An envelope as it stands inside of a StreamedSubmit."""
    return length_delimited(_ENVELOPES, envelope)


def unframed(frame: bytes) -> bytes:
    """The inverse of `framed`."""
    return frame[_read_varint(frame, 1)[1] :]


def tail(wait_ms: int) -> bytes:
    """The end of every message. `wait_ms` is not 0."""
    return _WAIT_MS + varint(wait_ms) + _WITHOUT_EVENTS


def message(first_id: int, frames: bytes, end: bytes) -> bytes:
    """A message of framed envelopes. `first_id` is not 0: that has no place on the wire."""
    return b"".join((_FIRST_ID, varint(first_id), frames, end))


def count_settled(reply: bytes) -> int:
    """How many envelopes a StreamedReply settles, without looking at them."""
    count, position, end = 0, 0, len(reply)
    while position < end:
        position += 1
        size, shift = reply[position] & 0x7F, 0
        while reply[position] & 0x80:
            position += 1
            shift += 7
            size |= (reply[position] & 0x7F) << shift
        position += 1 + size
        count += 1
    return count


def settled_ids(reply: bytes) -> list[int]:
    """The numbers of the envelopes that a StreamedReply settles, and nothing else of it."""
    found, position, end = [], 0, len(reply)
    while position < end:
        size, position = _read_varint(reply, position + 1)
        found.append(_read_varint(reply, position + 1)[0])  # the first field of a Settled
        position += size
    return found


def read_reply(reply: bytes) -> list[Settled]:
    """Everything that a StreamedReply settles. Raises `MalformedError`."""
    try:
        return [_read_settled(value) for number, value in _fields(reply) if _is(number, 1, value)]
    except (IndexError, UnicodeDecodeError) as error:
        raise MalformedError(f"StreamedReply: {error}") from None


def _is(number: int, expected: int, value: int | bytes) -> bool:
    return number == expected and isinstance(value, bytes)


def _read_settled(data: int | bytes) -> Settled:
    found = Settled()
    for number, value in _fields(data):
        if number == 1 and isinstance(value, int):
            found.id = value
        elif number == 2:
            found.verdicts = [
                _read_verdict(verdict) for inner, verdict in _fields(value) if inner == 2
            ]
        elif number == 3:
            found.refusal = _read_refusal(value)
    return found


def _read_verdict(data: int | bytes) -> Told:
    """A verdict of a SubmitReply."""
    found = Told()
    for number, value in _fields(data):
        match number, value:
            case 2, bytes():
                found.code = value.decode()
            case 4, bytes():
                found.message = value.decode(errors="replace")
            case 5, int():
                found.height = value
            case 6, int():
                found.outcome = value
            case 7, int():
                found.log_index = value
    return found


def _read_refusal(data: int | bytes) -> Told:
    found = Told()
    for number, value in _fields(data):
        if number == 1 and isinstance(value, bytes):
            found.code = value.decode()
        elif number == 3 and isinstance(value, bytes):
            found.message = value.decode(errors="replace")
    return found


def _fields(data: int | bytes) -> list[tuple[int, int | bytes]]:
    """The fields of a message: numbers as numbers, everything else as bytes."""
    if isinstance(data, int):
        raise MalformedError("StreamedReply: a number stands where a message should")
    found: list[tuple[int, int | bytes]] = []
    position, end = 0, len(data)
    while position < end:
        tag, position = _read_varint(data, position)
        kind = tag & 7
        if kind == _VARINT:
            number, position = _read_varint(data, position)
            found.append((tag >> 3, number))
            continue
        if kind == _LENGTH:
            size, position = _read_varint(data, position)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise MalformedError(f"StreamedReply: wire type {kind}")
        if size > end - position:
            raise MalformedError(f"StreamedReply: {size} bytes claimed, {end - position} are left")
        found.append((tag >> 3, data[position : position + size]))
        position += size
    return found


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    byte = data[position]
    if byte < 0x80:
        return byte, position + 1
    value, shift = byte & 0x7F, 0
    while byte & 0x80:
        position += 1
        shift += 7
        byte = data[position]
        value |= (byte & 0x7F) << shift
    return value, position + 1
