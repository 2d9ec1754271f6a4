"""The batch log is the only copy of the bodies: it loses none, and knows when one is damaged."""

from __future__ import annotations

from random import Random

import pytest
from tests.support.disk_samples import CHAIN

from onward import limits
from onward.errors import CorruptionError, InvariantError
from onward.storage.batch_log import (
    FOLDER,
    START,
    BatchLog,
    Place,
    Position,
    decode_place,
    decode_position,
    encode_place,
    encode_position,
)
from onward.storage.memory_files import MemoryFiles

FIRST = f"{FOLDER}/0000000001.log"
A, B, C = ((bytes([n]) * 32, bytes([n]) * 50) for n in (1, 2, 3))


def _log(files: MemoryFiles) -> BatchLog:
    log = BatchLog(files, CHAIN)
    log.create()
    assert list(log.open(START)) == []
    return log


def _append(log: BatchLog, *batches: tuple[bytes, bytes]) -> tuple[Position, tuple[Place, ...]]:
    found = log.append(batches)
    log.sync()
    return found


def _scan(files: MemoryFiles, start: Position = START) -> list[tuple[bytes, bytes]]:
    return [(found.head, found.data) for found in BatchLog(files, CHAIN).open(start)]


def test_a_batch_is_read_by_its_place() -> None:
    files = MemoryFiles()
    log = _log(files)
    _, (place_a, place_b) = _append(log, A, B)
    _, (place_c,) = _append(log, C)
    assert [log.read(A[0], place_a), log.read(B[0], place_b), log.read(C[0], place_c)] == [
        A[1],
        B[1],
        C[1],
    ]
    assert [found.place for found in BatchLog(files, CHAIN).open(START)] == [
        place_a,
        place_b,
        place_c,
    ]


def test_a_scan_begins_at_any_frame() -> None:
    files = MemoryFiles()
    log = _log(files)
    _append(log, A)
    second, _ = _append(log, B, C)
    assert _scan(files, second) == [B, C]
    assert _scan(files, log.end) == []


def test_a_scan_from_behind_the_end_is_refused() -> None:
    """The database has seen a batch durable that is gone: bodies are lost."""
    files = MemoryFiles()
    log = _log(files)
    _append(log, A)
    end = log.end
    for start in (Position(segment=1, offset=end.offset + 1), Position(segment=2, offset=1)):
        with pytest.raises(CorruptionError, match="the log ends before"):
            _scan(files, start)


def test_a_full_segment_is_followed_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BATCH_SEGMENT_BYTES_MAX", 102 * 2)
    files = MemoryFiles()
    log = _log(files)
    for batch in (A, B, C):
        _append(log, batch)
    assert files.names(FOLDER) == ("0000000001.log", "0000000002.log")
    assert files.size(FIRST) == limits.BATCH_SEGMENT_BYTES_MAX
    files.crash(Random(3))
    assert _scan(files) == [A, B, C]
    assert _scan(files, Position(segment=1, offset=204)) == [C]


def test_one_byte_less_than_two_batches_makes_a_segment_of_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "BATCH_SEGMENT_BYTES_MAX", 102 * 2 - 1)
    files = MemoryFiles()
    log = _log(files)
    for batch in (A, B):
        _append(log, batch)
    assert files.names(FOLDER) == ("0000000001.log", "0000000002.log")
    assert files.size(FIRST) == 102


def test_a_missing_segment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BATCH_SEGMENT_BYTES_MAX", 102)
    files = MemoryFiles()
    log = _log(files)
    for batch in (A, B, C):
        _append(log, batch)
    files.unlink(f"{FOLDER}/0000000002.log")
    with pytest.raises(CorruptionError, match="gap"):
        _scan(files)


def test_only_the_newest_segment_may_have_a_torn_tail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BATCH_SEGMENT_BYTES_MAX", 102)
    files = MemoryFiles()
    log = _log(files)
    for batch in (A, B):
        _append(log, batch)
    files.truncate(FIRST, 100)
    with pytest.raises(CorruptionError, match="goes on in the next segment"):
        _scan(files)


@pytest.mark.parametrize("chance", range(60))
def test_a_crash_costs_at_most_the_group_that_was_not_synced(chance: int) -> None:
    files = MemoryFiles()
    log = _log(files)
    _append(log, A)
    log.append([B, C])
    files.crash(Random(chance))
    found = _scan(files)
    assert found in ([A], [A, B, C])
    files.crash(Random(chance))
    log = BatchLog(files, CHAIN)
    assert [(item.head, item.data) for item in log.open(START)] == found
    _append(log, C)
    assert _scan(files) == [*found, C]


def test_a_damaged_batch_is_never_served() -> None:
    files = MemoryFiles()
    log = _log(files)
    _, (place,) = _append(log, A)
    with pytest.raises(CorruptionError, match=f"offset 12 does not hold batch {B[0].hex()}"):
        log.read(B[0], place)
    data = bytearray(files.read(FIRST, 0, 1_000))
    data[-1] ^= 1
    files.truncate(FIRST, 0)
    files.append(FIRST, bytes(data))
    with pytest.raises(CorruptionError, match=FIRST):
        log.read(A[0], place)


def test_nothing_is_appended_before_the_log_was_opened() -> None:
    with pytest.raises(InvariantError, match="not open"):
        BatchLog(MemoryFiles(), CHAIN).append([A])


def test_places_and_positions_have_one_form() -> None:
    place = Place(segment=3, offset=2**40, length=17)
    position = Position(segment=2**32 - 1, offset=0)
    assert decode_place(encode_place(place)) == place
    assert decode_position(encode_position(position)) == position
    for data in (b"", encode_place(place) + b"\0"):
        with pytest.raises(CorruptionError):
            decode_place(data)
        with pytest.raises(CorruptionError):
            decode_position(data)
