"""The vote journal on disk: the one file whose loss would let this validator contradict itself.

A segment's first frame holds everything that must be kept from earlier segments; each later frame
holds what one group commit added. Rotation writes the first frame of a new segment, syncs file
and folder, then removes the old segment and syncs the folder again, before anything is appended.
So at any moment either the old segment stands whole or the new one does, and a newest segment
without a whole first frame is a rotation that did not happen.

Nothing here creates a journal but `create`, and only setting up a new home calls that: a
validator whose journal is gone has forgotten its votes, and must come back with a new key.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct

from onward.errors import CorruptionError, invariant
from onward.storage.files import Files, segment_name, segments
from onward.storage.framing import encode_frame, file_seed, read_frame

FOLDER = "journal"
_TAG = b"onward/journal/1"
_COUNT = Struct(">I")

NEW_KEY = (
    "a validator that has voted with its key and lost its home must come back with a new key, "
    "at a change of the validator set"
)
MISSING = f"the vote journal is missing beside an existing chain, and with it votes; {NEW_KEY}"


class Journal:
    """The records that keep this validator's promises. One thread writes."""

    def __init__(self, files: Files, chain_id: bytes) -> None:
        self._files = files
        self._chain_id = chain_id
        self._number = 0  # 0: not open
        self._end = 0
        self._unsynced = False

    @property
    def size(self) -> int:
        """Bytes in the segment."""
        return self._end

    def exists(self) -> bool:
        """True when there is any segment, whole or not."""
        return bool(segments(self._files, FOLDER))

    def create(self, records: Sequence[bytes]) -> None:
        """Begin the journal of a new validator. Raises `InvariantError` where one stands."""
        invariant(not self.exists(), "a journal stands here already")
        self._files.make_folder(FOLDER)
        self._begin(1, records)

    def open(self) -> tuple[bytes, ...]:
        """The records of the newest whole segment, in order; from here on they are durable.

        Cuts a torn tail and finishes or undoes a rotation that a crash interrupted. Raises
        `CorruptionError` when the journal is missing or damaged.
        """
        numbers = segments(self._files, FOLDER)
        if not numbers:
            raise CorruptionError(MISSING)
        newest = numbers[-1]
        found = self._load(newest)
        if found is None:
            newest = self._undo_rotation(numbers)
            found = self._load(newest)
            if found is None:
                raise CorruptionError(f"{self._name(newest)}: its first frame is not whole")
        records, self._end = found
        self._number = newest
        self._settle(numbers)
        return records

    def append(self, records: Sequence[bytes]) -> None:
        """Write records behind the others as one frame. They are durable after `sync`."""
        invariant(self._number, "the journal is not open")
        invariant(not self._unsynced, "the journal's last frame was never synced")
        frame = self._frame(self._number, self._end, records)
        self._unsynced = True
        self._files.append(self._name(self._number), frame)
        self._end += len(frame)

    def sync(self) -> None:
        """Return when every record is durable."""
        if self._unsynced:
            self._files.sync(self._name(self._number))
            self._unsynced = False

    def rotate(self, records: Sequence[bytes]) -> None:
        """Replace everything by one new segment that begins with these records.

        The caller has made durable elsewhere whatever they no longer say.
        """
        invariant(self._number, "the journal is not open")
        invariant(not self._unsynced, "the journal's last frame was never synced")
        old = self._number
        self._begin(old + 1, records)
        self._files.unlink(self._name(old))
        # Were the old segment to come back beside a new one that had grown, damage to the new
        # one's beginning would look like a rotation that never happened.
        self._files.sync_directory(FOLDER)

    def _begin(self, number: int, records: Sequence[bytes]) -> None:
        frame = self._frame(number, 0, records)
        self._files.append(self._name(number), frame)
        self._files.sync(self._name(number))
        self._files.sync_directory(FOLDER)
        self._number, self._end = number, len(frame)

    def _undo_rotation(self, numbers: tuple[int, ...]) -> int:
        """Drop the newest segment, which never became whole; the number of the one before."""
        newest = numbers[-1]
        if numbers[:-1] != (newest - 1,):
            raise CorruptionError(
                f"{self._name(newest)}: its first frame is not whole, and no segment precedes it"
            )
        self._files.unlink(self._name(newest))
        return newest - 1

    def _settle(self, numbers: tuple[int, ...]) -> None:
        """Make what was just read durable, then let go of older segments."""
        name = self._name(self._number)
        if self._files.size(name) > self._end:
            self._files.truncate(name, self._end)
        self._files.sync(name)
        self._files.sync_directory(FOLDER)
        for number in numbers:
            if number < self._number:
                self._files.unlink(self._name(number))
        self._files.sync_directory(FOLDER)

    def _load(self, number: int) -> tuple[tuple[bytes, ...], int] | None:
        """All records of a segment and where its whole frames end; None without a first frame."""
        name, seed = self._name(number), self._seed(number)
        records: list[bytes] = []
        end = 0
        while (frame := read_frame(self._files, name, seed, end)) is not None:
            records += _unpack(frame.content, f"{name} at offset {end}")
            end = frame.end
        return (tuple(records), end) if end else None

    def _frame(self, number: int, offset: int, records: Sequence[bytes]) -> bytes:
        return encode_frame(self._seed(number), offset, _pack(records))

    def _seed(self, number: int) -> int:
        return file_seed(_TAG, self._chain_id, number)

    @staticmethod
    def _name(number: int) -> str:
        return segment_name(FOLDER, number)


def _pack(records: Sequence[bytes]) -> bytes:
    parts = [_COUNT.pack(len(records))]
    for record in records:
        parts += (_COUNT.pack(len(record)), record)
    return b"".join(parts)


def _unpack(content: bytes, where: str) -> list[bytes]:
    if len(content) < _COUNT.size:
        raise CorruptionError(f"{where}: a frame of {len(content)} bytes holds no records")
    (count,) = _COUNT.unpack_from(content)
    at = _COUNT.size
    records = []
    for _ in range(count):
        if at + _COUNT.size > len(content):
            break
        (length,) = _COUNT.unpack_from(content, at)
        at += _COUNT.size
        records.append(content[at : at + length])
        at += length
    if len(records) != count or at != len(content):
        raise CorruptionError(f"{where}: the frame's records do not fill it")
    return records
