"""The journal forgets nothing that was synced, whenever the power goes."""

from __future__ import annotations

from random import Random

import pytest
from tests.support.disk_samples import CHAIN, OTHER_CHAIN
from tests.support.power_cut import Fuse

from onward.errors import CorruptionError, InvariantError
from onward.storage.journal import FOLDER, Journal
from onward.storage.memory_files import Crash, MemoryFiles

FIRST = f"{FOLDER}/0000000001.log"
SECOND = f"{FOLDER}/0000000002.log"
OLD = (b"floor 0", b"vote 1", b"vote 2")
NEW = (b"floor 7", b"vote 8")


def _journal(files: MemoryFiles) -> Journal:
    journal = Journal(files, CHAIN)
    journal.create(OLD[:1])
    for record in OLD[1:]:
        journal.append([record])
        journal.sync()
    return journal


def test_records_come_back_in_order() -> None:
    files = MemoryFiles()
    _journal(files)
    assert Journal(files, CHAIN).open() == OLD


def test_several_records_become_durable_together() -> None:
    files = MemoryFiles()
    journal = _journal(files)
    syncs: list[str] = []
    files.gate = syncs.append
    journal.append([b"a", b"", b"b"])
    journal.sync()
    assert syncs == ["append", "sync"]
    files.crash(Random(1))
    assert Journal(files, CHAIN).open() == (*OLD, b"a", b"", b"b")


def test_a_tail_torn_at_any_byte_costs_only_the_group_that_was_not_synced() -> None:
    """A power cut in the middle of a write must neither stop the node nor touch older votes."""
    files = MemoryFiles()
    journal = _journal(files)
    before = journal.size
    journal.append([b"never synced"])
    whole = files.read(FIRST, 0, journal.size)
    for length in range(before, len(whole)):
        torn = MemoryFiles()
        torn.make_folder(FOLDER)
        torn.append(FIRST, whole[:length])
        reopened = Journal(torn, CHAIN)
        assert reopened.open() == OLD
        assert torn.size(FIRST) == before
        reopened.append([b"next"])
        reopened.sync()
        assert Journal(torn, CHAIN).open() == (*OLD, b"next")


def test_a_damaged_record_before_a_good_one_is_refused() -> None:
    """What cannot be a torn tail is a disk that lies, and behind it may stand a vote."""
    files = MemoryFiles()
    journal = _journal(files)
    data = bytearray(files.read(FIRST, 0, journal.size))
    data[15] ^= 1
    files.truncate(FIRST, 0)
    files.append(FIRST, bytes(data))
    with pytest.raises(CorruptionError, match=rf"{FIRST}: the frame at offset 0 is damaged"):
        Journal(files, CHAIN).open()


def test_a_missing_journal_is_never_created_by_opening_it() -> None:
    """A validator that begins an empty journal has forgotten its votes and is Byzantine."""
    files = MemoryFiles()
    with pytest.raises(CorruptionError, match="vote journal is missing"):
        Journal(files, CHAIN).open()
    assert not Journal(files, CHAIN).exists()


def test_a_journal_of_another_chain_is_refused() -> None:
    files = MemoryFiles()
    _journal(files)
    with pytest.raises(CorruptionError, match="its first frame is not whole"):
        Journal(files, OTHER_CHAIN).open()


def test_a_journal_is_not_created_over_another() -> None:
    files = MemoryFiles()
    _journal(files)
    with pytest.raises(InvariantError, match="stands here already"):
        Journal(files, CHAIN).create([])


def test_nothing_is_appended_behind_bytes_that_were_not_synced() -> None:
    """Two unsynced frames could be torn in either order: the first bad, the second good."""
    journal = _journal(MemoryFiles())
    journal.append([b"a"])
    with pytest.raises(InvariantError, match="never synced"):
        journal.append([b"b"])
    with pytest.raises(InvariantError, match="never synced"):
        journal.rotate(NEW)


def test_rotation_leaves_one_segment_that_begins_with_the_given_records() -> None:
    files = MemoryFiles()
    journal = _journal(files)
    journal.rotate(NEW)
    journal.append([b"vote 9"])
    journal.sync()
    assert files.names(FOLDER) == ("0000000002.log",)
    assert Journal(files, CHAIN).open() == (*NEW, b"vote 9")


@pytest.mark.parametrize("chance", range(40))
def test_a_rotation_stopped_anywhere_leaves_the_old_segment_or_the_new_one(chance: int) -> None:
    """Between two operations, with names and bytes lost at will, one whole segment remains."""
    for at in range(100):
        files = MemoryFiles()
        journal = _journal(files)
        files.gate = Fuse(at)
        try:
            journal.rotate(NEW)
            journal.append([b"vote 9"])
            journal.sync()
            finished = True
        except Crash:
            finished = False
        files.crash(Random(f"{chance}/{at}"))
        found = Journal(files, CHAIN).open()
        if finished:
            assert at == 7, "a rotation is five operations, an append and its sync"
            assert found == (*NEW, b"vote 9")
            return
        assert found in {OLD, NEW, (*NEW, b"vote 9")}
        assert at < 5 or found != OLD, "the old segment came back after the new one was in service"
        files.crash(Random(chance))
        assert Journal(files, CHAIN).open() == found, "what was read once must stay"
    pytest.fail("the rotation never finished")


def test_damage_to_a_segment_in_service_is_not_taken_for_an_unfinished_rotation() -> None:
    files = MemoryFiles()
    journal = _journal(files)
    journal.rotate(NEW)
    journal.append([b"vote 9"])
    journal.sync()
    data = bytearray(files.read(SECOND, 0, journal.size))
    data[3] ^= 1
    files.truncate(SECOND, 0)
    files.append(SECOND, bytes(data))
    with pytest.raises(CorruptionError, match=SECOND):
        Journal(files, CHAIN).open()


def test_other_files_do_not_belong_into_the_journal() -> None:
    files = MemoryFiles()
    _journal(files)
    files.append(f"{FOLDER}/0000000001.log.bak", b"x")
    with pytest.raises(CorruptionError, match=r"0000000001\.log\.bak is no segment file"):
        Journal(files, CHAIN).open()
