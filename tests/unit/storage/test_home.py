"""Real homes: a folder, a lock, LevelDB, and power cuts on copies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from tests.support.disk_samples import CHAIN, GENESIS, OTHER_CHAIN, batch, commit, floor, head, vote
from tests.support.power_cut import Fuse, lose_power, open_recorded

from onward import limits
from onward.errors import CorruptionError, RejectedError
from onward.ledger.chain import read_tip
from onward.ledger.store import WriteBatch
from onward.replica.effects import Effects
from onward.storage.disk import NodeDisk
from onward.storage.home import create_home, open_home
from onward.storage.home_files import HomeFiles
from onward.storage.memory_files import Crash

HOLD = """
import sys
from pathlib import Path
from onward.storage.home_files import HomeFiles
HomeFiles(Path(sys.argv[1])).lock()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "home"
    path.mkdir()
    create_home(path, CHAIN, (), GENESIS)
    return path


def _height(disk: NodeDisk) -> int:
    tip = read_tip(disk.store)
    return 0 if tip is None else tip.height


def test_a_home_keeps_what_was_written_over_a_clean_stop(home: Path) -> None:
    disk = open_home(home, CHAIN)
    disk.recover()
    disk.stage(Effects(persist=(vote(1), batch(0, 1), batch(1, 1))))
    disk.stage(Effects(commit=commit(1, batch(0, 1))))
    disk.write()
    disk.close()
    again = open_home(home, CHAIN)
    boot = again.recover()
    assert (boot.journal, boot.batches) == ((vote(1),), (batch(1, 1),))
    assert _height(again) == 1
    assert again.batch(head(batch(0, 1))) == batch(0, 1)
    again.close()


def test_a_home_is_held_by_one_process(home: Path) -> None:
    """Two processes on one home would vote twice with one key."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RejectedError, match=f"in use by process {holder.pid}$"):
            open_home(home, CHAIN)
        holder.kill()
        holder.wait()
    open_home(home, CHAIN).close()


def test_an_empty_folder_is_no_home_and_stays_empty(tmp_path: Path) -> None:
    with pytest.raises(RejectedError, match="there is no database"):
        open_home(tmp_path, CHAIN)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RejectedError, match="there is no home"):
        create_home(tmp_path / "nowhere", CHAIN, (), GENESIS)


def test_a_home_is_not_set_up_over_another(home: Path) -> None:
    with pytest.raises(RejectedError, match="stands in"):
        create_home(home, CHAIN, (), GENESIS)


def test_a_home_of_another_chain_does_not_start_and_is_let_go(home: Path) -> None:
    disk = open_home(home, OTHER_CHAIN)
    with pytest.raises(RejectedError, match="belongs to chain"):
        disk.recover()
    disk.close()
    open_home(home, CHAIN).close()


def test_no_descriptor_stays_open_for_each_file_that_was_ever_written(tmp_path: Path) -> None:
    """Logs begin a new file again and again; a process may hold a thousand."""
    files = HomeFiles(tmp_path)
    files.make_folder("logs")
    for number in range(200):
        files.append(f"logs/{number}", b"written")
        files.sync(f"logs/{number}")
    assert len(files._open) <= limits.FILES_WRITTEN_OPEN_MAX
    files.append("logs/0", b" and again")
    files.truncate("logs/0", 15)
    assert files.read("logs/0", 0, 100) == b"written and aga"
    files.close()


def test_a_deleted_journal_is_noticed(home: Path) -> None:
    (home / "journal/0000000001.log").unlink()
    disk = open_home(home, CHAIN)
    with pytest.raises(CorruptionError, match="vote journal is missing"):
        disk.recover()
    disk.close()


def test_a_database_that_lost_its_manifest_is_named_as_damaged(home: Path) -> None:
    for manifest in (home / "database").glob("MANIFEST-*"):
        manifest.write_bytes(b"rot")
    with pytest.raises((CorruptionError, RejectedError), match="database"):
        open_home(home, CHAIN)


def _steps(count: int) -> list[Effects]:
    """A chain of `count` blocks, each with a vote and a batch, a rotation at every fourth."""
    steps = []
    for height in range(1, count + 1):
        steps.append(Effects(persist=(vote(height), batch(height % 4, height, 600))))
        rotate = (floor(height),) if height % 4 == 0 else None
        delivered = commit(height, batch(height % 4, height, 600))
        steps.append(Effects(commit=delivered, rotate=rotate))
    return steps


@pytest.mark.parametrize("at", range(0, 66, 4))
def test_a_real_home_cut_to_what_was_synced_breaks_no_promise(
    home: Path, tmp_path: Path, at: int
) -> None:
    """The same promise as in simulation, on real files and a real database."""
    disk = open_recorded(home, CHAIN, Fuse(at + 4))
    told = [0]
    try:
        disk.recover()
        for step in _steps(6):
            disk.stage(step)
            disk.write(told.append)
    except Crash:
        pass
    copy = tmp_path / "copy"
    lose_power(disk, home, copy, Random(at))

    revived = open_home(copy, CHAIN)
    boot = revived.recover()
    height = _height(revived)
    promised = (told[-1] + 1) // 2
    floors = [record.root.height for record in boot.journal if hasattr(record, "root")]
    votes = [record.view for record in boot.journal if hasattr(record, "view")]
    assert all(covered <= height for covered in floors)
    assert set(range(1 + max(floors, default=0), promised + 1)) <= set(votes)
    for number in range(1, max(promised, height) + 1):
        value = batch(number % 4, number, 600)
        assert revived.batch(head(value)) == value
        assert (value in boot.batches) is (number > height)
    assert height >= promised - 1, "a synced database write was lost"
    revived.close()


def test_the_cut_copy_really_lacks_what_was_not_synced(home: Path, tmp_path: Path) -> None:
    """A test of the instrument: without a sync nothing in a copy is certain."""
    found = set()
    for chance in range(12):
        source, copy = tmp_path / f"source{chance}", tmp_path / f"copy{chance}"
        source.mkdir()
        create_home(source, CHAIN, (), GENESIS)
        disk = open_recorded(source, CHAIN)
        disk.recover()
        disk._files.append("journal/0000000001.log", b"never synced")
        lose_power(disk, source, copy, Random(chance))
        found.add((copy / "journal/0000000001.log").stat().st_size)
    kept = min(found)
    assert {kept, kept + len(b"never synced")} < found


def test_a_database_write_that_the_cut_interrupted_is_whole_or_absent(tmp_path: Path) -> None:
    heights = set()
    for chance in range(10):
        source, copy = tmp_path / f"source{chance}", tmp_path / f"copy{chance}"
        source.mkdir()
        create_home(source, CHAIN, (), GENESIS)

        def stop(operation: str) -> None:
            if operation == "flushing":
                raise Crash(operation)

        disk = open_recorded(source, CHAIN, stop)
        disk.recover()
        disk.stage(Effects(persist=(batch(0, 1),), commit=commit(1, batch(0, 1))))
        with pytest.raises(Crash):
            disk.write()
        lose_power(disk, source, copy, Random(chance))
        revived = open_home(copy, CHAIN)
        boot = revived.recover()
        heights.add(_height(revived))
        assert len(boot.batches) == 1 - _height(revived)
        revived.close()
    assert 0 in heights


def _home_with_blocks(home: Path, count: int) -> Path:
    """A home whose database log holds `count` writes of 20 kB; the log's file."""
    disk = open_home(home, CHAIN)
    disk.recover()
    for height in range(1, count + 1):
        padding = WriteBatch(entries=((b"p/%d" % height, bytes(20_000)),))
        disk.stage(Effects(commit=commit(height), store=(padding,)))
        disk.write()
    disk.close()
    return max((home / "database").glob("*.log"), key=lambda path: int(path.stem))


def test_a_torn_last_write_of_the_database_costs_one_block(home: Path) -> None:
    """Pages reach a disk in any order: the end of a write may be there and its middle not."""
    log = _home_with_blocks(home, 6)
    data = bytearray(log.read_bytes())
    data[-100:-50] = bytes([1]) * 50
    log.write_bytes(data)
    disk = open_home(home, CHAIN)
    disk.recover()
    assert _height(disk) == 5
    disk.close()


def test_a_damaged_older_write_of_the_database_is_refused(home: Path) -> None:
    """LevelDB itself drops it in silence and opens, with a hole in the chain."""
    log = _home_with_blocks(home, 6)
    data = bytearray(log.read_bytes())
    data[45_000:45_050] = bytes([1]) * 50
    log.write_bytes(data)
    disk = open_home(home, CHAIN)
    with pytest.raises(CorruptionError, match=r"block \d stands above block \d"):
        disk.recover()
    disk.close()
