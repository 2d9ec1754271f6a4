"""Journal, batch log and store together: what is promised survives, in a safe order."""

from __future__ import annotations

from collections.abc import Callable
from errno import ENOSPC
from random import Random

import pytest
from tests.support.disk_samples import CHAIN, GENESIS, OTHER_CHAIN, batch, commit, floor, head, vote
from tests.support.power_cut import Fuse

from onward import limits
from onward.consensus.journal import Floor, JournalRecord
from onward.errors import CorruptionError, InvariantError, RejectCode, RejectedError
from onward.ledger.block import Batch
from onward.ledger.chain import read_tip
from onward.ledger.store import BATCH_PLACE, CHAIN_KEY, WriteBatch, block_key
from onward.replica.effects import Effects
from onward.storage.batch_log import FOLDER as BATCHES
from onward.storage.disk import FLOOR_KEY, NodeDisk
from onward.storage.journal import FOLDER as JOURNAL
from onward.storage.memory_files import Crash, MemoryFiles, no_gate
from onward.storage.memory_store import MemoryStore


class Machine:
    """A simulated home that can lose power and start again."""

    def __init__(self, *, create: bool = True) -> None:
        self.files = MemoryFiles()
        self.store = MemoryStore()
        self.disk = NodeDisk(self.files, self.store, CHAIN)
        if create:
            self.disk.create((), GENESIS)
            self.boot = self.disk.recover()

    def gate(self, gate: Callable[[str], None]) -> None:
        self.files.gate = self.store.gate = gate

    def restart(self, chance: str | int = 0) -> None:
        self.files.crash(Random(chance))
        self.store.crash()
        self.disk = NodeDisk(self.files, self.store, CHAIN)
        self.boot = self.disk.recover()

    def take(self, *steps: Effects) -> None:
        for step in steps:
            self.disk.stage(step)
        self.disk.write()

    @property
    def height(self) -> int:
        tip = read_tip(self.store)
        return 0 if tip is None else tip.height


def _persist(*items: JournalRecord | Batch) -> Effects:
    return Effects(persist=items)


def test_a_new_home_starts_empty() -> None:
    machine = Machine()
    assert machine.boot.journal == ()
    assert machine.boot.batches == ()
    assert machine.store.get(b"s/genesis") == b"yes"


def test_a_journal_begins_with_the_records_it_was_created_with() -> None:
    machine = Machine(create=False)
    machine.disk.create((floor(3),), GENESIS)
    machine.restart()
    assert machine.boot.journal == (floor(3),)


def test_what_was_persisted_is_there_after_a_power_cut() -> None:
    machine = Machine()
    machine.take(_persist(batch(0, 1), vote(1)), _persist(vote(2), batch(1, 1)))
    machine.restart()
    assert machine.boot.journal == (vote(1), vote(2))
    assert machine.boot.batches == (batch(0, 1), batch(1, 1))
    assert machine.disk.batch(head(batch(1, 1))) == batch(1, 1)


def test_many_steps_share_one_sync_of_each_file() -> None:
    """Group commit: the price of durability is per group, not per vote."""
    machine = Machine()
    machine.take(_persist(batch(0, 1)))
    operations: list[str] = []
    machine.gate(operations.append)
    told: list[int] = []
    for seq in range(2, 50):
        machine.disk.stage(_persist(vote(seq), batch(0, seq)))
    machine.disk.write(told.append)
    assert operations == ["append", "sync", "append", "sync"]
    assert told == [machine.disk.staged_through] == [machine.disk.persisted_through]


def test_what_is_staged_while_the_writer_works_is_written_too() -> None:
    """The loop goes on while a sync is in flight; votes go before blocks that are lazy."""
    machine = Machine()
    operations: list[str] = []
    machine.gate(operations.append)

    def stage_more(number: int) -> None:
        if number < 3:
            machine.disk.stage(_persist(vote(number + 1)))

    machine.disk.stage(Effects(persist=(vote(1),), commit=commit(1)))
    machine.disk.write(stage_more)
    assert operations == ["append", "sync"] * 3 + ["flush"]
    machine.restart()
    assert machine.boot.journal == (vote(1), vote(2), vote(3))


def test_a_group_ends_at_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine()
    step = _persist(batch(0, 1, 2_000))
    told: list[int] = []
    machine.disk.stage(step)
    size = machine.disk._to_persist[0].size
    machine.disk.stage(_persist(batch(0, 2, 2_000)))
    monkeypatch.setattr(limits, "DISK_GROUP_BYTES_MAX", size + 1)
    machine.disk.write(told.append)
    assert told == [2]
    machine.disk.stage(_persist(batch(0, 3, 2_000)))
    machine.disk.stage(_persist(batch(0, 4, 2_000)))
    monkeypatch.setattr(limits, "DISK_GROUP_BYTES_MAX", size)
    machine.disk.write(told.append)
    assert told == [2, 3, 4]


def test_the_loop_is_told_to_wait_when_the_writer_is_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Machine()
    machine.disk.stage(_persist(batch(0, 1)))
    size = machine.disk._to_persist[0].size
    monkeypatch.setattr(limits, "DISK_PENDING_BYTES_MAX", size + 1)
    full = [machine.disk.full]
    monkeypatch.setattr(limits, "DISK_PENDING_BYTES_MAX", size)
    full.append(machine.disk.full)
    machine.disk.write()
    full.append(machine.disk.full)
    assert full == [False, True, False]


def test_a_block_is_read_before_it_is_durable_and_gone_after_a_crash() -> None:
    """State may be lazy: a block that was lost with the power is executed again."""
    machine = Machine()
    machine.disk.stage(_persist(batch(0, 1)))
    machine.disk.write()
    machine.disk.stage(Effects(commit=commit(1, batch(0, 1))))
    assert machine.height == 1
    machine.restart()
    assert machine.height == 0
    assert machine.boot.batches == (batch(0, 1),)


def test_a_batch_is_found_in_every_stage_of_its_life() -> None:
    """A reader must not ask in the moment when a batch is on its way from one place to the next."""
    machine = Machine()
    value, name = batch(2, 1), head(batch(2, 1))
    found: list[Batch | None] = []

    def look(operation: str = "") -> None:
        found.append(machine.disk.batch(name))

    assert machine.disk.batch(name) is None
    machine.disk.stage(_persist(value))
    machine.disk.stage(Effects(commit=commit(1, value)))
    machine.gate(look)
    machine.disk.write(lambda _: look())
    look()
    machine.restart()
    look()
    assert found == [value] * 7
    assert machine.boot.batches == ()


def test_writes_beside_a_block_join_its_batch() -> None:
    machine = Machine()
    flushes: list[str] = []
    machine.gate(flushes.append)
    extra = (
        WriteBatch(entries=((b"k/1", b"one"), (b"k/2", b"one"))),
        WriteBatch(entries=((b"k/1", None), (b"k/2", b"two"))),
    )
    machine.take(Effects(commit=commit(1), store=extra))
    assert flushes == ["flush"]
    assert machine.store.get(b"k/1") is None
    assert machine.store.get(b"k/2") == b"two"
    machine.take(Effects(store=extra[:1]))
    machine.restart()
    assert machine.store.get(b"k/1") == b"one"
    assert machine.height == 1


def test_a_boot_reads_the_log_only_from_the_oldest_undelivered_batch() -> None:
    """A long chain must not make a restart long."""
    machine = Machine()
    for seq in range(1, 6):
        machine.take(_persist(batch(0, seq)), _persist(batch(1, seq)))
    machine.take(Effects(commit=commit(1, batch(0, 1), batch(1, 1), batch(0, 2))))
    floor_of_second = machine.store.get(FLOOR_KEY)
    machine.restart()
    assert machine.boot.batches == (
        batch(1, 2),
        *(batch(lane, seq) for seq in range(3, 6) for lane in range(2)),
    )
    rest = [batch(1, 2), *(batch(lane, seq) for seq in range(3, 6) for lane in range(2))]
    machine.take(Effects(commit=commit(2, *rest)))
    assert machine.store.get(FLOOR_KEY) != floor_of_second
    reads: list[int] = []
    read = machine.files.read

    def counting_read(name: str, offset: int, length: int) -> bytes:
        reads.append(name.startswith(BATCHES))
        return read(name, offset, length)

    machine.files.read = counting_read  # type: ignore[method-assign]
    machine.restart()
    assert sum(reads) == 0
    assert machine.disk.batch(head(batch(0, 1))) == batch(0, 1)


def test_a_batch_on_a_dead_fork_does_not_hold_the_scan_floor_back() -> None:
    """An equivocating author must not be able to make every later restart slower."""
    machine = Machine()
    fork = batch(3, 1, 60)
    machine.take(_persist(fork), _persist(batch(3, 1)))
    machine.take(Effects(commit=commit(1, batch(3, 1))))
    assert machine.disk.batch(head(fork)) is None
    machine.restart()
    assert machine.boot.batches == ()


def test_a_dead_fork_behind_the_scan_floor_is_not_handed_to_the_replica() -> None:
    machine = Machine()
    fork = batch(3, 1, 60)
    machine.take(_persist(batch(0, 1)), _persist(fork), _persist(batch(3, 1)))
    machine.take(Effects(commit=commit(1, batch(3, 1))))
    machine.restart()
    assert machine.boot.batches == (batch(0, 1),)


def test_a_batch_that_is_known_is_not_logged_again() -> None:
    machine = Machine()
    machine.take(_persist(batch(0, 1)))
    size = machine.files.size(f"{BATCHES}/0000000001.log")
    machine.take(_persist(batch(0, 1)))
    machine.restart()
    machine.take(_persist(batch(0, 1)))
    assert machine.files.size(f"{BATCHES}/0000000001.log") == size
    assert machine.boot.batches == (batch(0, 1),)


def test_a_block_whose_batch_was_never_logged_is_a_bug() -> None:
    """The log is the only copy of the bodies: such a block could never be served to anyone."""
    machine = Machine()
    with pytest.raises(InvariantError, match="was never logged"):
        machine.take(Effects(commit=commit(1, batch(0, 1))))
    with pytest.raises(InvariantError, match="the disk has failed"):
        machine.disk.stage(Effects())


def test_step_that_comes_after_the_disk_failed_is_told_why() -> None:
    """Called a bug, a full disk is mended by nobody: the node's exit code is the operator's cue."""
    machine = Machine()

    def full(_: str) -> None:
        raise OSError(ENOSPC, "No space left on device")

    machine.gate(full)
    with pytest.raises(OSError, match="No space left"):
        machine.take(_persist(batch(0, 1)))
    with pytest.raises(OSError, match="No space left"):
        machine.disk.stage(Effects())
    with pytest.raises(InvariantError, match="the disk has failed"):
        machine.disk.write()


def test_the_batch_log_is_synced_before_the_journal() -> None:
    """A vote that a restart finds must not speak of batches that the same crash took."""
    for chance in range(50):
        machine = Machine()
        machine.gate(Fuse(3))
        with pytest.raises(Crash):
            machine.take(_persist(vote(1), batch(0, 1)))
        machine.restart(chance)
        assert not machine.boot.journal or machine.boot.batches


# -- rotation --------------------------------------------------------------------------------------


def test_a_rotation_waits_for_the_store_and_later_votes_wait_for_the_rotation() -> None:
    """Rotating against a lazily written store makes an honest node forget a vote."""
    machine = Machine()
    operations: list[str] = []
    machine.gate(operations.append)
    told: list[int] = []
    machine.disk.stage(Effects(persist=(vote(1),), commit=commit(1)))
    machine.disk.stage(Effects(commit=commit(2), rotate=(floor(2), vote(3))))
    machine.disk.stage(_persist(vote(4)))
    machine.disk.write(told.append)
    rotate = ["append", "sync", "sync_directory", "unlink", "sync_directory"]
    assert operations == ["append", "sync", "flush", "flush", *rotate, "append", "sync"]
    assert told == [2, 3]
    machine.restart()
    assert machine.boot.journal == (floor(2), vote(3), vote(4))


def test_a_segment_begins_with_a_floor() -> None:
    for records in ((), (vote(1),)):
        with pytest.raises(InvariantError, match="begins with a floor"):
            Machine().disk.stage(Effects(rotate=records))


# -- power cuts ------------------------------------------------------------------------------------

HISTORY = (
    Effects(persist=(batch(0, 1), vote(1))),
    Effects(persist=(batch(1, 1),)),
    Effects(persist=(vote(2),), commit=commit(1, batch(0, 1))),
    Effects(commit=commit(2, batch(1, 1)), rotate=(floor(2), vote(3))),
    Effects(persist=(vote(4), batch(0, 2))),
    Effects(persist=(vote(5),), commit=commit(3), store=(WriteBatch(entries=((b"k/1", b"c"),)),)),
    Effects(persist=(vote(6), batch(2, 1)), commit=commit(4, batch(0, 2)), rotate=(floor(4),)),
    Effects(persist=(vote(7), batch(0, 3))),
)
ALL_BATCHES = (batch(0, 1), batch(1, 1), batch(0, 2), batch(2, 1), batch(0, 3))
DELIVERED_AT = {head(batch(0, 1)): 1, head(batch(1, 1)): 2, head(batch(0, 2)): 4}


def _check_promises(machine: Machine, promised: int) -> None:
    """Everything that the first `promised` steps persisted is there, or covered by a floor."""
    found = machine.boot.journal
    covered = 0
    if found and isinstance(found[0], Floor):
        covered = found[0].root.height
        assert covered <= machine.height, "the journal was rotated before the store was synced"
    votes = {item.view for item in found if hasattr(item, "view")}
    for step in HISTORY[:promised]:
        for item in step.persist:
            if isinstance(item, Batch):
                assert machine.disk.batch(head(item)) == item
                delivered = DELIVERED_AT.get(head(item), 99) <= machine.height
                assert (item in machine.boot.batches) is not delivered
            else:
                view = item.view  # type: ignore[union-attr]
                assert view in votes or view <= {0: 0, 2: 2, 4: 6}[covered]
    heights = [n for n in range(1, 6) if machine.store.get(block_key(n)) is not None]
    assert heights == list(range(1, machine.height + 1))


@pytest.mark.parametrize("grouped", [False, True], ids=["step by step", "grouped"])
@pytest.mark.parametrize("chance", range(12))
def test_a_power_cut_between_any_two_operations_breaks_no_promise(
    chance: int, *, grouped: bool
) -> None:
    """Told that a step is durable, the node sends its votes: they must never be forgotten."""
    for at in range(200):
        machine = Machine()
        machine.gate(Fuse(at))
        told = [0]
        try:
            for step in HISTORY:
                machine.disk.stage(step)
                if not grouped:
                    machine.disk.write(told.append)
            machine.disk.write(told.append)
            finished = True
        except Crash:
            finished = False
        machine.restart(f"{chance}/{at}")
        _check_promises(machine, told[-1])
        before = (machine.boot, machine.height)
        machine.restart(chance)
        assert (machine.boot, machine.height) == before, "what one boot saw the next must see"
        machine.take(_persist(vote(90), batch(3, 1)))
        machine.restart(chance)
        assert machine.boot.journal[-1] == vote(90)
        assert machine.boot.batches[-1] == batch(3, 1)
        if finished:
            assert told[-1] == len(HISTORY)
            assert at > 20
            return
    pytest.fail("the history never finished")


def test_what_a_killed_process_wrote_is_synced_before_it_is_believed() -> None:
    """A kill keeps the page cache, so a boot reads bytes that a later power cut can still take.

    The node may act on them only once they are durable, or the second cut makes it forget.
    """
    for at in range(2, 5):
        for chance in range(8):
            machine = Machine()
            machine.gate(Fuse(at))
            with pytest.raises(Crash):
                machine.take(_persist(vote(1), batch(0, 1)))
            machine.gate(no_gate)
            machine.files.close()
            machine.store.crash()
            boot = NodeDisk(machine.files, machine.store, CHAIN).recover()
            machine.restart(chance)
            assert machine.boot == boot


# -- homes that must not start ---------------------------------------------------------------------


def _recover(machine: Machine, chain: bytes = CHAIN) -> None:
    NodeDisk(machine.files, machine.store, chain).recover()


def test_a_home_that_was_never_set_up_does_not_start() -> None:
    with pytest.raises(RejectedError, match="no validator's home was ever set up") as error:
        _recover(Machine(create=False))
    assert error.value.code == RejectCode.NOT_FOUND


def test_a_home_is_not_set_up_twice() -> None:
    with pytest.raises(RejectedError, match="stands here already"):
        Machine().disk.create((), GENESIS)


def test_the_home_of_another_chain_is_refused() -> None:
    with pytest.raises(RejectedError, match="belongs to chain") as error:
        _recover(Machine(), OTHER_CHAIN)
    assert error.value.code == RejectCode.CHAIN


def test_a_missing_journal_beside_a_chain_is_refused() -> None:
    """Whoever deletes the journal to get going again makes the validator Byzantine."""
    machine = Machine()
    machine.take(_persist(vote(1)))
    machine.files.unlink(f"{JOURNAL}/0000000001.log")
    with pytest.raises(CorruptionError, match="vote journal is missing beside an existing chain"):
        _recover(machine)


def test_an_empty_database_beside_a_journal_is_refused() -> None:
    machine = Machine()
    machine.store = MemoryStore()
    with pytest.raises(CorruptionError, match="database is empty beside an existing vote journal"):
        _recover(machine)


def test_a_home_of_another_format_is_refused() -> None:
    machine = Machine()
    machine.store.put(WriteBatch(entries=((b"m/format", b"0"),)))
    with pytest.raises(RejectedError, match="has format b'0', this program b'3'"):
        _recover(machine)


def test_a_batch_log_that_ends_before_the_scan_floor_is_refused() -> None:
    machine = Machine()
    machine.take(Effects(persist=(batch(0, 1),)), Effects(commit=commit(1, batch(0, 1))))
    machine.files.truncate(f"{BATCHES}/0000000001.log", 50)
    with pytest.raises(CorruptionError, match="the log ends before"):
        _recover(machine)


def test_a_missing_scan_floor_is_refused() -> None:
    machine = Machine()
    machine.store.put(WriteBatch(entries=((FLOOR_KEY, None),)))
    with pytest.raises(CorruptionError, match="scan floor is missing"):
        _recover(machine)


def test_a_block_that_is_missing_below_the_tip_is_refused() -> None:
    """LevelDB drops a damaged write from its log without a word."""
    machine = Machine()
    machine.take(*(Effects(commit=commit(height)) for height in range(1, 5)))
    machine.store.put(WriteBatch(entries=((block_key(3), None),)))
    with pytest.raises(CorruptionError, match="block 4 stands above block 2"):
        _recover(machine)


def test_the_look_back_for_missing_blocks_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """LevelDB's current logs hold only the newest blocks; a boot must not read a whole chain."""
    machine = Machine()
    machine.take(*(Effects(commit=commit(height)) for height in range(1, 5)))
    machine.store.put(WriteBatch(entries=((block_key(2), None),)))
    monkeypatch.setattr(limits, "BOOT_BLOCKS_CHECKED_MAX", 2)
    _recover(machine)
    monkeypatch.setattr(limits, "BOOT_BLOCKS_CHECKED_MAX", 3)
    with pytest.raises(CorruptionError, match="block 3 stands above block 1"):
        _recover(machine)


def test_a_database_ahead_of_the_journal_starts() -> None:
    """Blocks that were fetched need no vote: the replica takes the newer of both as its floor."""
    machine = Machine()
    machine.take(*(Effects(commit=commit(height)) for height in range(1, 5)))
    machine.restart()
    assert machine.boot.journal == ()
    assert machine.height == 4


def test_a_home_whose_setting_up_was_interrupted_does_not_start_or_starts_whole() -> None:
    for at in range(20):
        machine = Machine(create=False)
        machine.gate(Fuse(at))
        try:
            machine.disk.create((), GENESIS)
        except Crash:
            machine.files.crash(Random(at))
            machine.store.crash()
            try:
                _recover(machine)
            except (RejectedError, CorruptionError):
                continue
            assert machine.store.get(CHAIN_KEY) == CHAIN
            assert machine.store.get(BATCH_PLACE) is None
        else:
            assert at == 7, "folders, flush, append, sync, sync of the directory"
            return
    pytest.fail("the home was never set up")
