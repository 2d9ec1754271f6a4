"""A torn write is cut; a rotten disk is refused."""

from __future__ import annotations

import pytest
from tests.support.disk_samples import CHAIN, OTHER_CHAIN

from onward import limits
from onward.errors import CorruptionError, InvariantError
from onward.storage.framing import HEADER_BYTES, encode_frame, file_seed, read_frame
from onward.storage.memory_files import MemoryFiles

SEED = file_seed(b"test", CHAIN, 1)
NAME = "journal/0000000001.log"


def _files(*contents: bytes) -> MemoryFiles:
    files = MemoryFiles()
    files.make_folder("journal")
    for content in contents:
        files.append(NAME, encode_frame(SEED, files.size(NAME), content))
    return files


def _damaged(files: MemoryFiles, offset: int) -> MemoryFiles:
    data = bytearray(files.read(NAME, 0, files.size(NAME)))
    data[offset] ^= 0xFF
    files.truncate(NAME, 0)
    files.append(NAME, bytes(data))
    return files


def _contents(files: MemoryFiles) -> list[bytes]:
    found, offset = [], 0
    while (frame := read_frame(files, NAME, SEED, offset)) is not None:
        found.append(frame.content)
        offset = frame.end
    return found


def test_frames_come_back_in_order() -> None:
    assert _contents(_files(b"one", b"two" * 1_000, b"3")) == [b"one", b"two" * 1_000, b"3"]


def test_a_tail_torn_at_any_byte_is_not_a_frame() -> None:
    """Whatever part of the last write reached the disk, what stood before it is kept."""
    whole = _files(b"one", b"the last record")
    last = HEADER_BYTES + len(b"one")
    for length in range(last, whole.size(NAME)):
        files = _files(b"one", b"the last record")
        files.truncate(NAME, length)
        assert _contents(files) == [b"one"], length


def test_any_single_damaged_byte_of_the_last_frame_makes_it_torn() -> None:
    start = HEADER_BYTES + len(b"one")
    for offset in range(start, start + HEADER_BYTES + len(b"last")):
        assert _contents(_damaged(_files(b"one", b"last"), offset)) == [b"one"], offset


def test_any_single_damaged_byte_before_a_good_frame_is_refused() -> None:
    """Behind a frame that was durable stand votes that a validator must not forget."""
    for offset in range(HEADER_BYTES + len(b"one")):
        with pytest.raises(CorruptionError, match=rf"{NAME}.* offset 0"):
            _contents(_damaged(_files(b"one", b"two", b"three"), offset))


def test_zeros_are_no_frames() -> None:
    """A file's length can reach the disk before its bytes do."""
    files = _files(b"one")
    files.append(NAME, bytes(500))
    assert _contents(files) == [b"one"]


def test_a_frame_inside_a_torn_frame_is_not_mistaken_for_a_later_one() -> None:
    """A client who puts frames into its bytes must not be able to stop a node that lost power."""
    inner = encode_frame(SEED, 0, b"forged")
    files = _files(b"one", inner + b"rest")
    assert _contents(_damaged(files, HEADER_BYTES + len(b"one"))) == [b"one"]


def test_a_frame_of_another_chain_is_no_frame() -> None:
    files = MemoryFiles()
    files.make_folder("journal")
    files.append(NAME, encode_frame(file_seed(b"test", OTHER_CHAIN, 1), 0, b"foreign"))
    assert _contents(files) == []


def test_a_frame_holds_at_most_its_limit_and_never_nothing() -> None:
    most = encode_frame(SEED, 0, bytes(limits.FRAME_BYTES_MAX))
    assert len(most) == limits.FRAME_BYTES_MAX + HEADER_BYTES
    for size in (0, limits.FRAME_BYTES_MAX + 1):
        with pytest.raises(InvariantError, match="a frame cannot hold"):
            encode_frame(SEED, 0, bytes(size))
