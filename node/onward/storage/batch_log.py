"""The batch log: the only copy of the transactions' bodies, in segments that only grow.

A frame holds the batches that were made durable together, each as

    head 32 bytes ‖ check u32 ‖ length u32 ‖ the batch's canonical bytes

so that one batch can be read and checked by its `Place` alone. A segment that has reached its
size is followed by the next; none is ever removed. Only the newest can have a torn tail.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from struct import Struct
from zlib import crc32

from onward import limits
from onward.errors import CorruptionError, invariant
from onward.storage.files import Files, segment_name, segments
from onward.storage.framing import HEADER_BYTES, Frame, encode_frame, file_seed, read_frame

FOLDER = "batches"
_TAG = b"onward/batches/1"
_ITEM = Struct(">32sII")
_PLACE = Struct(">IQI")
_POSITION = Struct(">IQ")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Position:
    """Where a frame begins, or will: what a scan can start from."""

    segment: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one batch stands: the offset of its item, and the length of the batch's bytes."""

    segment: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedBatch:
    """A batch of the log: its head, its bytes, its place, and the frame that brought it."""

    head: bytes
    data: bytes
    place: Place
    position: Position


START = Position(segment=1, offset=0)


class BatchLog:
    """Append-only storage of batches. One thread writes, any may `read`."""

    def __init__(self, files: Files, chain_id: bytes) -> None:
        self._files = files
        self._chain_id = chain_id
        self._end = Position(segment=0, offset=0)  # segment 0: not open
        self._unsynced = False
        self._new_name = False

    @property
    def end(self) -> Position:
        """Where the next frame begins, unless it begins a new segment."""
        return self._end

    def create(self) -> None:
        """Make room for a new log."""
        self._files.make_folder(FOLDER)

    def open(self, start: Position) -> Iterator[LoggedBatch]:
        """Durable batches from `start` on, in order. Take all of them before the first `append`.

        Cuts a torn tail. Raises `CorruptionError` when something is missing or damaged.
        """
        numbers = [n for n in segments(self._files, FOLDER) if n >= start.segment]
        if numbers != list(range(start.segment, start.segment + len(numbers))):
            raise CorruptionError(
                f"{FOLDER}: segments {numbers} from {start.segment} on have a gap"
            )
        end = Position(segment=start.segment, offset=0)
        for number in numbers:
            offset = start.offset if number == start.segment else 0
            for frame in self._frames(number, offset, newest=number == numbers[-1]):
                offset = frame.end
                yield from _items(frame, number)
            end = Position(segment=number, offset=offset)
        if end < start or self._files.size(segment_name(FOLDER, end.segment)) < end.offset:
            raise CorruptionError(
                f"{FOLDER}: the log ends before segment {start.segment} offset {start.offset}, "
                "which the database says was durable"
            )
        self._settle(end, stands=bool(numbers))

    def append(self, batches: Sequence[tuple[bytes, bytes]]) -> tuple[Position, tuple[Place, ...]]:
        """Write `(head, bytes)` pairs as one frame, durable after `sync`; where they are."""
        invariant(self._end.segment, "the batch log is not open")
        invariant(not self._unsynced, "the batch log's last frame was never synced")
        content = b"".join(
            part
            for head, data in batches
            for part in (_ITEM.pack(head, crc32(data), len(data)), data)
        )
        position = self._position_for(len(content) + HEADER_BYTES)
        places, offset = [], position.offset + HEADER_BYTES
        for _, data in batches:
            places.append(Place(segment=position.segment, offset=offset, length=len(data)))
            offset += _ITEM.size + len(data)
        frame = encode_frame(self._seed(position.segment), position.offset, content)
        self._unsynced = True
        self._new_name = position.offset == 0
        self._files.append(segment_name(FOLDER, position.segment), frame)
        self._end = Position(segment=position.segment, offset=position.offset + len(frame))
        return position, tuple(places)

    def sync(self) -> None:
        """Return when every batch is durable."""
        if self._unsynced:
            self._files.sync(segment_name(FOLDER, self._end.segment))
            if self._new_name:
                self._files.sync_directory(FOLDER)
            self._unsynced = self._new_name = False

    def read(self, head: bytes, place: Place) -> bytes:
        """The bytes of the batch at a place. Raises `CorruptionError` when they are not its."""
        name = segment_name(FOLDER, place.segment)
        item = self._files.read(name, place.offset, _ITEM.size + place.length)
        data = item[_ITEM.size :]
        if len(data) != place.length or _ITEM.unpack_from(item) != (
            head,
            crc32(data),
            place.length,
        ):
            raise CorruptionError(f"{name}: offset {place.offset} does not hold batch {head.hex()}")
        return data

    def _position_for(self, size: int) -> Position:
        end = self._end
        if end.offset and end.offset + size > limits.BATCH_SEGMENT_BYTES_MAX:
            return Position(segment=end.segment + 1, offset=0)
        return end

    def _frames(self, number: int, offset: int, *, newest: bool) -> Iterator[Frame]:
        name, seed = segment_name(FOLDER, number), self._seed(number)
        while (frame := read_frame(self._files, name, seed, offset)) is not None:
            yield frame
            offset = frame.end
        if not newest and offset < self._files.size(name):
            raise CorruptionError(
                f"{name}: no frame at offset {offset}, though the log goes on in the next segment"
            )

    def _settle(self, end: Position, *, stands: bool) -> None:
        """Make what was just read durable and cut what was torn."""
        self._end = end
        if not stands:
            return
        name = segment_name(FOLDER, end.segment)
        if self._files.size(name) > end.offset:
            self._files.truncate(name, end.offset)
        self._files.sync(name)
        self._files.sync_directory(FOLDER)

    def _seed(self, number: int) -> int:
        return file_seed(_TAG, self._chain_id, number)


def encode_place(place: Place) -> bytes:
    """The value of an `a/<head>` entry of the store."""
    return _PLACE.pack(place.segment, place.offset, place.length)


def decode_place(data: bytes) -> Place:
    """The place in a store's value. Raises `CorruptionError`."""
    if len(data) != _PLACE.size:
        raise CorruptionError(f"database: a batch's place has {len(data)} bytes")
    segment, offset, length = _PLACE.unpack(data)
    return Place(segment=segment, offset=offset, length=length)


def encode_position(position: Position) -> bytes:
    """The value of the store's scan floor."""
    return _POSITION.pack(position.segment, position.offset)


def decode_position(data: bytes) -> Position:
    """The scan floor in a store's value. Raises `CorruptionError`."""
    if len(data) != _POSITION.size:
        raise CorruptionError(f"database: the batch log's scan floor has {len(data)} bytes")
    segment, offset = _POSITION.unpack(data)
    return Position(segment=segment, offset=offset)


def _items(frame: Frame, number: int) -> Iterator[LoggedBatch]:
    position = Position(segment=number, offset=frame.offset)
    content, at = frame.content, 0
    while at < len(content):
        if at + _ITEM.size > len(content):
            raise CorruptionError(f"{segment_name(FOLDER, number)}: {_unfilled(frame)}")
        head, check, length = _ITEM.unpack_from(content, at)
        data = content[at + _ITEM.size : at + _ITEM.size + length]
        if len(data) != length or crc32(data) != check:
            raise CorruptionError(f"{segment_name(FOLDER, number)}: {_unfilled(frame)}")
        offset = frame.offset + HEADER_BYTES + at
        place = Place(segment=number, offset=offset, length=length)
        yield LoggedBatch(head=head, data=data, place=place, position=position)
        at += _ITEM.size + length


def _unfilled(frame: Frame) -> str:
    return f"the batches of the frame at offset {frame.offset} do not fill it"
