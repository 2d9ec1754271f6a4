"""A store whose pages of the state map, and recent write sets, lie in the page log.

They are most of what a block writes, and of no use soon after. In the database they would be merged
with all else, level by level, and once more when they are removed (docs/adr/0009-page-log.md). Here
the database has two rows for them and the frame stands in a file:

    n/<height u64>   where the frame with the pages of that height stands
    w/<height u64>   the same for its write sets, as long as they are kept
    m/page-log       the newest frame, and so how far the log is durable; its oldest segment

A batch's frame is durable before the database is written, and named by the very batch that it
belongs to. So a block is there whole or not at all, as ever. Pages are removed by whole heights
(`MAP_FLOOR_KEY`), and a segment goes when the database names no frame of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from threading import Lock

from onward import limits
from onward.errors import CorruptionError, invariant
from onward.ledger.statemap.pages import (
    PAGES_PER_HEIGHT_MAX,
    page_version,
    version_height,
    version_number,
)
from onward.ledger.store import (
    MAP_FLOOR_KEY,
    MAP_NODE,
    META,
    WRITES,
    WriteBatch,
    prefix_end,
    u64,
)
from onward.storage.files import Files
from onward.storage.page_log import START, FramePlace, PageLog
from onward.storage.store import DurableStore, Entries

PAGE_LOG_KEY = META + b"page-log"
_VERSION_END = len(MAP_NODE) + 8
_SEGMENT = Struct(">I")
_WRITE_SETS = 0  # the part of a frame; page number n is part n + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Staged:
    """What of a batch goes into the page log. `floor`: pages of heights below it may go."""

    height: int
    rows: dict[bytes, bytes]
    parts: tuple[bytes, ...]
    index_keys: tuple[bytes, ...]  # what the database is to name the frame under
    size: int
    floor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    """How far the log is durable: its newest frame, and its oldest segment that is of use."""

    last: FramePlace
    first_segment: int

    def encode(self) -> bytes:
        return self.last.encode() + _SEGMENT.pack(self.first_segment)

    @classmethod
    def decode(cls, data: bytes) -> _End:
        if len(data) < _SEGMENT.size:
            raise CorruptionError(f"database: the page log's end has {len(data)} bytes")
        (first,) = _SEGMENT.unpack(data[-_SEGMENT.size :])
        return cls(last=FramePlace.decode(data[: -_SEGMENT.size]), first_segment=first)


class PagedStore:
    """A `DurableStore` over a database and the page log.

    Its batches are numbered by the height of their pages; a batch has pages of one height.
    """

    def __init__(self, database: DurableStore, files: Files, chain_id: bytes) -> None:
        self._database = database
        self._log = PageLog(files, chain_id)
        # Youngest first, replaced as a whole: a read on another thread goes through one state.
        self._staged: tuple[_Staged, ...] = ()
        self._staged_bytes = 0
        self._lock = Lock()
        self._places: dict[int, FramePlace] = {}
        self._end = _End(last=START, first_segment=START.segment)
        self._floor = 0

    # -- beginning and end -------------------------------------------------------------------------

    def create(self) -> None:
        """Make room in a new home."""
        self._log.create()

    def open(self) -> None:
        """Begin where the database says that the log ends. Raises `CorruptionError`."""
        stored = self._database.get(PAGE_LOG_KEY)
        if stored is not None:
            self._end = _End.decode(stored)
        self._refuse_wrong_end()
        floor = self._database.get(MAP_FLOOR_KEY)
        self._floor = 0 if floor is None else int.from_bytes(floor, "big")
        self._log.open(self._end.first_segment, self._end.last)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    # -- reading -----------------------------------------------------------------------------------

    def get(self, key: bytes) -> bytes | None:
        """The value of `key`."""
        if key.startswith(MAP_NODE):
            version = key[len(MAP_NODE) : _VERSION_END]
            height, number = version_height(version), version_number(version) + 1
        elif key.startswith(WRITES):
            height, number = int.from_bytes(key[len(WRITES) :], "big"), _WRITE_SETS
        else:
            return self._database.get(key)
        for staged in self._staged:
            if staged.height == height and key in staged.rows:
                return staged.rows[key]
        if number == _WRITE_SETS:
            row = self._database.get(key)
            return None if row is None else self._log.read(FramePlace.decode(row), number)
        place = self._place(height)
        if place is None:
            return None
        steps, page = _page(self._log.read(place, number))
        return page if page and steps == key[_VERSION_END:] else None

    def scan(
        self, start: bytes, end: bytes, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Entries in order. Pages are found within one height only, see `pages_of`."""
        if start.startswith(MAP_NODE):
            height = version_height(start[len(MAP_NODE) : _VERSION_END])
            rows = [(key, page) for key, page in self.pages_of(height) if start <= key < end]
            return iter(rows[::-1] if reverse else rows)
        return self._database.scan(start, end, reverse=reverse)

    def pages_of(self, height: int) -> list[tuple[bytes, bytes]]:
        """The keys and bytes of all pages that a height wrote, ascending."""
        for staged in self._staged:
            if staged.height == height and staged.parts:
                rows = staged.rows.items()
                return sorted(row for row in rows if row[0].startswith(MAP_NODE))
        place = self._place(height)
        if place is None:
            return []
        found = []
        for number, part in enumerate(self._log.read_all(place)[_WRITE_SETS + 1 :]):
            if part:
                steps, page = _page(part)
                found.append((MAP_NODE + page_version(height, number) + steps, page))
        return found

    # -- writing -----------------------------------------------------------------------------------

    @property
    def full(self) -> bool:
        """True when no further batch may be staged."""
        return self._database.full or self._staged_bytes >= limits.STORE_STAGED_BYTES_MAX

    def put(self, batch: WriteBatch) -> None:
        """Stage a batch."""
        rows: dict[bytes, bytes] = {}
        others: list[tuple[bytes, bytes | None]] = []
        floor = 0
        for key, value in batch.entries:
            if value is not None and key.startswith((MAP_NODE, WRITES)):
                rows[key] = value
                continue
            others.append((key, value))
            if key == MAP_FLOOR_KEY and value is not None:
                floor = int.from_bytes(value, "big")
        staged = _stage(rows, floor)
        if floor > max(self._floor, staged.height):
            raise CorruptionError(f"database: height {staged.height} sets the floor {floor}")
        with self._lock:
            self._staged = (staged, *self._staged)
            self._staged_bytes += staged.size
        self._database.put(WriteBatch(entries=tuple(others)))

    def flush_next(self, extra: Entries = ()) -> None:
        """Make the oldest staged batch durable: its frame first, then what names it."""
        invariant(self._staged, "nothing is staged in the store")
        oldest = self._staged[-1]
        rows = list(extra)
        end = self._end
        if oldest.parts:
            place = self._log.append(oldest.parts)
            end = _End(last=place, first_segment=end.first_segment)
            rows += [(key, place.encode()) for key in oldest.index_keys]
        floor = max(self._floor, oldest.floor)
        if floor > self._floor:
            rows += [(MAP_NODE + u64(height), None) for height in range(self._floor, floor)]
            end = _End(last=end.last, first_segment=self._first_segment(floor))
        if end != self._end:
            rows.append((PAGE_LOG_KEY, end.encode()))
        self._database.flush_next(tuple(rows))
        self._end, self._floor = end, floor
        with self._lock:
            self._staged = self._staged[:-1]
            self._staged_bytes -= oldest.size
        self._log.drop(end.first_segment)

    # -- parts -------------------------------------------------------------------------------------

    def _refuse_wrong_end(self) -> None:
        """Everything outside of the end's row is cut or removed, so it is not believed alone."""
        newest, oldest = START, self._end.last.segment
        for family in (MAP_NODE, WRITES):
            for reverse in (True, False):
                rows = self._database.scan(family, prefix_end(family), reverse=reverse)
                for _, row in rows:
                    place = FramePlace.decode(row)
                    newest, oldest = max(newest, place), min(oldest, place.segment)
                    break
        if self._end.last != newest or self._end.first_segment > oldest:
            raise CorruptionError(
                f"database: the page log is said to begin in segment {self._end.first_segment} "
                f"and to end with {self._end.last}, where rows name segment {oldest} and {newest}"
            )

    def _place(self, height: int) -> FramePlace | None:
        """Where the frame with the pages of a height stands."""
        known = self._places.get(height)
        if known is None:
            row = self._database.get(MAP_NODE + u64(height))
            if row is None:
                return None
            known = FramePlace.decode(row)
            if len(self._places) >= limits.PAGE_PLACES_CACHED_MAX:
                self._places = {}
            self._places[height] = known
        return known

    def _first_segment(self, floor: int) -> int:
        """The oldest segment with pages of a height from `floor` on; it has all later frames."""
        for _, row in self._database.scan(MAP_NODE + u64(floor), prefix_end(MAP_NODE)):
            return FramePlace.decode(row).segment
        return self._end.first_segment


def _stage(rows: dict[bytes, bytes], floor: int) -> _Staged:
    """A batch's pages and write sets as the parts of a frame."""
    if not rows:
        return _Staged(height=-1, rows=rows, parts=(), index_keys=(), size=0, floor=floor)
    heights: set[int] = set()
    index_keys: set[bytes] = set()
    pages: dict[int, bytes] = {}
    writes = b""
    for key, value in rows.items():
        if key.startswith(WRITES):
            heights.add(int.from_bytes(key[len(WRITES) :], "big"))
            index_keys.add(key)
            writes = value
            continue
        steps = key[_VERSION_END:]
        pages[int.from_bytes(key[len(MAP_NODE) : _VERSION_END], "big")] = b"%c%b%b" % (
            len(steps),
            steps,
            value,
        )
    numbered = {version % PAGES_PER_HEIGHT_MAX: page for version, page in pages.items()}
    heights.update(version // PAGES_PER_HEIGHT_MAX for version in pages)
    invariant(len(heights) == 1, "a batch has pages or write sets of several heights")
    parts = [
        writes,
        *(numbered.get(number, b"") for number in range(max(numbered, default=-1) + 1)),
    ]
    height = heights.pop()
    if len(parts) > 1:
        index_keys.add(MAP_NODE + u64(height))
    return _Staged(
        height=height,
        rows=rows,
        parts=tuple(parts),
        index_keys=tuple(sorted(index_keys)),
        size=sum(map(len, parts)),
        floor=floor,
    )


def _page(part: bytes | None) -> tuple[bytes, bytes]:
    """The nibbles that lead to a page, and its bytes."""
    if not part:
        return b"", b""
    end = 1 + part[0]
    return part[1:end], part[end:]
