"""The page log: what a block leaves behind for a while, one piece after the other, in segments.

A *frame* holds a block's parts: its pages of the state map, and its write sets. A frame's bytes:

    count u32 ‖ the ends of the parts, u32 each ‖ check ‖ the parts, each with its check

A check is a crc32 that knows the frame's place, so bytes that stand where they were not written are
none.

The log knows nothing of torn writes: the database says how far it reaches, and is written after the
log was synced. What stands behind that end is of a block that never was, and is cut at a start.
Nothing is ever changed in place. Whole segments go, the oldest first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct
from zlib import crc32

from onward import limits
from onward.errors import CorruptionError, invariant
from onward.storage.files import Files, segment_name, segments

FOLDER = "pages"
_TAG = b"onward/pages/1"
_COUNT = Struct(">I")
_ENDS = Struct(">II")
_FRAME = Struct(">IQI")
_CHECK_BYTES = 4


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class FramePlace:
    """Where a frame stands, and how long it is."""

    segment: int
    offset: int
    length: int

    def encode(self) -> bytes:
        """16 bytes: a row of the database."""
        return _FRAME.pack(self.segment, self.offset, self.length)

    @classmethod
    def decode(cls, data: bytes) -> FramePlace:
        """The inverse of `encode`. Raises `CorruptionError`."""
        if len(data) != _FRAME.size:
            raise CorruptionError(f"database: a place in the page log has {len(data)} bytes")
        segment, offset, length = _FRAME.unpack(data)
        return cls(segment=segment, offset=offset, length=length)


START = FramePlace(segment=1, offset=0, length=0)
"""The place of the last frame, before there is one."""


class PageLog:
    """Append-only frames. One thread writes, any may read."""

    def __init__(self, files: Files, chain_id: bytes) -> None:
        self._files = files
        self._seed = crc32(_TAG + chain_id)
        self._last: FramePlace | None = None  # None: not open
        self._oldest = 1
        self._tables: dict[tuple[int, int], tuple[bytes, int]] = {}
        self._tables_bytes = 0

    def create(self) -> None:
        """Make room for a new log."""
        self._files.make_folder(FOLDER)
        self._last = START

    def open(self, first: int, last: FramePlace) -> None:
        """Go on behind the frame `last`; segments below `first` are of no use any more.

        Cuts what stands behind it. Raises `CorruptionError` when the log does not reach so far.
        """
        numbers = segments(self._files, FOLDER)
        end = last.offset + last.length
        kept = [number for number in numbers if first <= number <= last.segment]
        name = segment_name(FOLDER, last.segment)
        size = self._files.size(name)
        if end and (len(kept) != last.segment - first + 1 or size < end):
            raise CorruptionError(
                f"{FOLDER}: segments {kept}, the newest of {size} bytes, where the database says "
                f"that {first} to {last.segment} were durable, the newest with {end} bytes"
            )
        for number in numbers:  # only now: what is refused is left as it is found
            if number not in kept:
                self._files.unlink(segment_name(FOLDER, number))
        if size > end:
            self._files.truncate(name, end)
        self._last, self._oldest = last, first

    def append(self, parts: Sequence[bytes]) -> FramePlace:
        """Write a frame; it is durable when this returns."""
        last = self._last
        invariant(last is not None, "the page log is not open")
        last = last or START
        offset = last.offset + last.length
        segment = last.segment
        if offset >= limits.PAGE_SEGMENT_BYTES_MAX:
            segment, offset = segment + 1, 0
        ends, end = [], _COUNT.size * (len(parts) + 1) + _CHECK_BYTES
        for part in parts:
            end += len(part) + _CHECK_BYTES
            ends.append(end)
        place = FramePlace(segment=segment, offset=offset, length=end)
        head = Struct(f">{len(parts) + 1}I").pack(len(parts), *ends)
        seed = crc32(place.encode(), self._seed)
        content = [head, _check(seed, -1, head)]
        for number, part in enumerate(parts):
            content += (part, _check(seed, number, part))
        name = segment_name(FOLDER, segment)
        self._files.append(name, b"".join(content))
        self._files.sync(name)
        if not offset:
            self._files.sync_directory(FOLDER)
        self._last = place
        return place

    def read(self, place: FramePlace, number: int) -> bytes | None:
        """A part of a frame, or None. Raises `CorruptionError` when it is not what was written."""
        table, seed = self._table(place)
        if _COUNT.size * (number + 2) > len(table):
            return None
        start, end = _span(table, number)
        name = segment_name(FOLDER, place.segment)
        data = self._files.read(name, place.offset + start, max(0, end - start))
        return _checked(place, seed, number, data)

    def read_all(self, place: FramePlace) -> list[bytes]:
        """All parts of a frame, in one reading. Raises `CorruptionError`."""
        table, seed = self._table(place)  # first: its check knows the length
        name = segment_name(FOLDER, place.segment)
        data = self._files.read(name, place.offset, place.length)
        spans = (_span(table, number) for number in range(len(table) // _COUNT.size - 1))
        return [
            _checked(place, seed, number, data[start:end])
            for number, (start, end) in enumerate(spans)
        ]

    def drop(self, first: int) -> None:
        """Remove the segments below `first`; the database must not name them any more."""
        if first > self._oldest:
            for number in range(self._oldest, first):
                self._files.unlink(segment_name(FOLDER, number))
            self._files.sync_directory(FOLDER)
            self._oldest = first

    def _table(self, place: FramePlace) -> tuple[bytes, int]:
        """The count and the ends of a frame, and the seed of its checks."""
        known = self._tables.get((place.segment, place.offset))
        if known is not None:
            return known
        name = segment_name(FOLDER, place.segment)
        data = self._files.read(name, place.offset, _COUNT.size)
        count = int.from_bytes(data, "big")
        size = _COUNT.size * (count + 1)
        found = b""
        if size <= place.length:
            found = self._files.read(name, place.offset, size + _CHECK_BYTES)
        seed = crc32(place.encode(), self._seed)
        table = _checked(place, seed, -1, found)
        if self._tables_bytes + size > limits.PAGE_TABLES_CACHED_BYTES_MAX:
            self._tables, self._tables_bytes = {}, 0
        self._tables[place.segment, place.offset] = table, seed
        self._tables_bytes += size
        return table, seed


def _span(table: bytes, number: int) -> tuple[int, int]:
    """Where a part begins and ends; the first one begins behind the table."""
    before, end = _ENDS.unpack_from(table, _COUNT.size * number)
    return before if number else len(table) + _CHECK_BYTES, end


def _check(seed: int, number: int, part: bytes) -> bytes:
    return _COUNT.pack(crc32(part, seed + number & 0xFFFFFFFF))


def _checked(place: FramePlace, seed: int, number: int, data: bytes) -> bytes:
    part, check = data[:-_CHECK_BYTES], data[-_CHECK_BYTES:]
    if check != _check(seed, number, part):
        what = f"part {number}" if number >= 0 else "its table"
        raise CorruptionError(f"{_where(place)}: {what} is not what was written")
    return part


def _where(place: FramePlace) -> str:
    return f"{segment_name(FOLDER, place.segment)}: the frame at offset {place.offset}"
