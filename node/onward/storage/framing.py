"""How bytes stand in journal and batch log, so that a torn write is told from a rotten disk.

    frame = length u32 ‖ place check u32 ‖ content check u32 ‖ content

A frame is written by one append and synced before the next one begins: however many records were
made durable together, they stand in one frame. So after a crash at most the last frame of a file
can be torn, in whatever order its pages reached the disk, and it is cut away. Any other bad frame
is bytes that were durable once and no longer are what was written: that is refused, because
behind it may stand a vote of ours that we must not forget.

The place check is over the length, the frame's own offset and the file's `seed` (chain, kind,
number). A frame that stands where it was not written (a misdirected write, a copied file, a frame
inside a client's bytes) is no frame. Content is never empty, so a run of zeros is no frame
either.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from zlib import crc32

from onward import limits
from onward.errors import CorruptionError, invariant
from onward.storage.files import Files

_HEADER = Struct(">III")
_PLACE = Struct(">QI")
HEADER_BYTES = _HEADER.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One whole frame: where it begins, where the next one would, and what it holds."""

    offset: int
    end: int
    content: bytes


def file_seed(tag: bytes, chain_id: bytes, number: int) -> int:
    """What binds a file's frames to their chain, their kind and their segment."""
    return crc32(tag + chain_id + number.to_bytes(8, "big"))


def encode_frame(seed: int, offset: int, content: bytes) -> bytes:
    """The frame that holds `content` at `offset` of the file with this seed."""
    size = len(content)
    invariant(0 < size <= limits.FRAME_BYTES_MAX, f"a frame cannot hold {size} bytes")
    check = crc32(_PLACE.pack(offset, size), seed)
    return _HEADER.pack(size, check, crc32(content, check)) + content


def read_frame(files: Files, name: str, seed: int, offset: int) -> Frame | None:
    """The frame at `offset`, or None where the file ends or its torn tail begins.

    Raises `CorruptionError` when what stands there is bad and cannot be a torn tail.
    """
    size = files.size(name)
    if offset >= size:
        return None
    header = files.read(name, offset, HEADER_BYTES)
    length = _whole_header(header, seed, offset)
    if length is None:
        later = _find_later_frame(files, name, seed, offset + 1)
        if later is not None:
            raise CorruptionError(
                f"{name}: no frame at offset {offset}, where one was written: "
                f"a whole one follows at offset {later}"
            )
        return None
    end = offset + HEADER_BYTES + length
    if end > size:
        return None
    content = files.read(name, offset + HEADER_BYTES, length)
    _, check, expected = _HEADER.unpack(header)
    if crc32(content, check) == expected:
        return Frame(offset=offset, end=end, content=content)
    if end < size:
        raise CorruptionError(
            f"{name}: the frame at offset {offset} is damaged, and {size - end} bytes follow it: "
            "they were written when it was durable"
        )
    return None


def _whole_header(header: bytes, seed: int, offset: int) -> int | None:
    if len(header) < HEADER_BYTES:
        return None
    length, check, _ = _HEADER.unpack(header)
    if not 0 < length <= limits.FRAME_BYTES_MAX:
        return None
    return length if crc32(_PLACE.pack(offset, length), seed) == check else None


def _find_later_frame(files: Files, name: str, seed: int, start: int) -> int | None:
    """The offset of the first whole frame at `start` or behind it."""
    tail = files.read(name, start, files.size(name) - start)
    for at in range(len(tail) - HEADER_BYTES):
        if tail[at] > limits.FRAME_BYTES_MAX >> 24:  # no length begins like this: most bytes
            continue
        length = _whole_header(tail[at : at + HEADER_BYTES], seed, start + at)
        if length is None:
            continue
        content = tail[at + HEADER_BYTES : at + HEADER_BYTES + length]
        _, check, expected = _HEADER.unpack_from(tail, at)
        if len(content) == length and crc32(content, check) == expected:
            return start + at
    return None
