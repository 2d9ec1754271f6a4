"""Pages in files of their own: a block is there whole or not at all, whatever moment power goes."""

from __future__ import annotations

from errno import ENOSPC
from pathlib import Path
from random import Random

import pytest
from tests.support.disk_samples import CHAIN, GENESIS, OTHER_CHAIN, commit
from tests.support.power_cut import Fuse, lose_power, open_recorded

from onward import limits
from onward.errors import CorruptionError, InvariantError
from onward.ledger.chain import read_tip
from onward.ledger.statemap.pages import page_version
from onward.ledger.store import MAP_FLOOR_KEY, MAP_NODE, WRITES, Store, WriteBatch, u64
from onward.replica.effects import Effects
from onward.storage.disk import NodeDisk
from onward.storage.home import create_home
from onward.storage.memory_files import Crash, MemoryFiles
from onward.storage.memory_store import MemoryStore
from onward.storage.page_log import FOLDER
from onward.storage.paged_store import PAGE_LOG_KEY

PAGES = 5
SEGMENT_BYTES = 1_000
HEIGHTS = 14


class Machine:
    """A simulated home that can lose power and start again."""

    def __init__(self) -> None:
        self.files, self.database = MemoryFiles(), MemoryStore()
        self.disk = NodeDisk(self.files, self.database, CHAIN)
        self.disk.create((), GENESIS)
        self.disk.recover()

    def restart(self, chance: int = 0) -> None:
        self.files.crash(Random(chance))
        self.database.crash()
        self.reopen()

    def reopen(self) -> None:
        self.disk = NodeDisk(self.files, self.database, CHAIN)
        self.disk.recover()

    @property
    def segments(self) -> tuple[str, ...]:
        return self.files.names(FOLDER)


def pages_of(height: int) -> dict[bytes, bytes]:
    """The keys and bytes of what a height writes: its root's page has number 0."""
    return {
        MAP_NODE + page_version(height, n) + bytes([n] * n): b"%d/%d " % (height, n) * 4
        for n in range(PAGES)
    }


def block(height: int, floor: int | None = None) -> Effects:
    """A block with pages and write sets; from now on pages below `floor` may go."""
    rows: dict[bytes, bytes | None] = dict(pages_of(height))
    rows[WRITES + u64(height)] = b"writes of %d" % height
    if height > 3:
        rows[WRITES + u64(height - 3)] = None
    if floor is not None:
        rows[MAP_FLOOR_KEY] = u64(floor)
    return Effects(commit=commit(height), store=(WriteBatch(entries=tuple(rows.items())),))


def contents(machine: Machine) -> dict[str, bytes]:
    """Every byte of the page log's files."""
    names = [f"{FOLDER}/{name}" for name in machine.segments]
    return {name: machine.files.read(name, 0, machine.files.size(name)) for name in names}


def take(disk: NodeDisk, *blocks: Effects) -> None:
    for each in blocks:
        disk.stage(each)
    disk.write()


def height_of(disk: NodeDisk) -> int:
    tip = read_tip(disk.store)
    return 0 if tip is None else tip.height


def expect_whole(store: Store, first: int, height: int) -> None:
    """Everything up to a height from `first` on, in single reads and in scans, and no more."""
    for each in range(first, height + 1):
        found = dict(store.scan(MAP_NODE + page_version(each), MAP_NODE + page_version(each + 1)))
        assert found == pages_of(each)
        assert all(store.get(key) == page for key, page in found.items())
    for each in range(max(1, height - 2), height + 1):
        assert store.get(WRITES + u64(each)) == b"writes of %d" % each
    for each in (height + 1, height + 2):
        assert not any(store.get(key) for key in pages_of(each))
        assert store.get(WRITES + u64(each)) is None
    if height > 3:
        assert store.get(WRITES + u64(height - 3)) is None


def test_pages_are_read_the_same_staged_written_and_after_a_start() -> None:
    machine = Machine()
    machine.disk.stage(block(1))
    machine.disk.stage(block(2))
    expect_whole(machine.disk.store, 1, 2)
    machine.disk.write()
    expect_whole(machine.disk.store, 1, 2)
    machine.restart()
    expect_whole(machine.disk.store, 1, 2)
    assert machine.disk.store.get(MAP_NODE + page_version(1, PAGES)) is None
    assert machine.disk.store.get(MAP_NODE + page_version(1, 1) + b"\x02") is None


def test_the_database_has_places_instead_of_pages() -> None:
    machine = Machine()
    take(machine.disk, block(1))
    assert all(machine.database.get(key) is None for key in pages_of(1))
    assert len(machine.database.get(MAP_NODE + u64(1)) or b"") == 16


def test_a_frame_is_durable_before_the_database_names_it() -> None:
    machine = Machine()
    operations: list[str] = []
    machine.files.gate = machine.database.gate = operations.append
    take(machine.disk, block(1), block(2))
    assert operations == ["append", "sync", "sync_directory", "flush", "append", "sync", "flush"]


@pytest.mark.parametrize("chance", range(4))
def test_power_may_go_between_any_two_operations(
    monkeypatch: pytest.MonkeyPatch, chance: int
) -> None:
    """A block whose pages are not all there cannot be executed upon: the node would be lost."""
    monkeypatch.setattr(limits, "PAGE_SEGMENT_BYTES_MAX", SEGMENT_BYTES)
    cuts = 0
    for at in range(200):
        machine = Machine()
        machine.files.gate = machine.database.gate = Fuse(at)
        before = cuts
        try:
            for height in range(1, HEIGHTS):
                take(machine.disk, block(height, max(0, height - 6)))
        except Crash:
            cuts += 1
        machine.restart(1_000 * chance + at)
        reached = height_of(machine.disk)
        expect_whole(machine.disk.store, max(1, reached - 6), reached)
        for height in range(reached + 1, reached + 6):
            take(machine.disk, block(height, max(0, height - 6)))
        machine.restart(1_000 * chance + at + 1)
        expect_whole(machine.disk.store, max(1, reached - 1), reached + 5)
        if cuts == before:
            break
    assert 30 < cuts == at < 199, "the last run lost no power"


def test_whole_segments_go_when_nothing_in_them_is_of_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log may not grow with the chain, and may not lose what is still read."""
    monkeypatch.setattr(limits, "PAGE_SEGMENT_BYTES_MAX", SEGMENT_BYTES)
    machine = Machine()
    for height in range(1, 60):
        take(machine.disk, block(height, max(0, height - 6)))
        expect_whole(machine.disk.store, max(1, height - 6), height)
        assert len(machine.segments) <= 4
    assert machine.segments[0] > "0000000005.log"
    rows = machine.database.scan(MAP_NODE, MAP_NODE + b"\xff")
    assert [int.from_bytes(key[2:], "big") for key, _ in rows] == list(range(53, 60))
    machine.reopen()
    expect_whole(machine.disk.store, 53, 59)


def test_segments_that_a_crash_left_behind_go_at_the_next_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The database gave them up, and power went before they were removed."""
    monkeypatch.setattr(limits, "PAGE_SEGMENT_BYTES_MAX", SEGMENT_BYTES)
    machine = Machine()
    for height in range(1, 12):
        take(machine.disk, block(height))
    before = machine.segments

    def stop(operation: str) -> None:
        if operation == "unlink":
            raise Crash(operation)

    machine.files.gate = stop
    with pytest.raises(Crash):
        take(machine.disk, block(12, 9))
    assert before[0] in machine.segments
    machine.restart()
    assert before[0] not in machine.segments
    expect_whole(machine.disk.store, 9, 12)


@pytest.mark.parametrize("damage", ["cut", "gone", "all gone"])
def test_a_log_that_ends_before_what_the_database_names_is_refused(
    monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    monkeypatch.setattr(limits, "PAGE_SEGMENT_BYTES_MAX", SEGMENT_BYTES)
    machine = Machine()
    for height in range(1, 12):
        take(machine.disk, block(height))
    match damage:
        case "cut":
            machine.files.truncate(f"{FOLDER}/{machine.segments[-1]}", 10)
        case "gone":
            machine.files.unlink(f"{FOLDER}/{machine.segments[1]}")
        case _:
            for name in machine.segments:
                machine.files.unlink(f"{FOLDER}/{name}")
    with pytest.raises(CorruptionError, match="were durable"):
        machine.reopen()


def test_a_turned_bit_is_found_when_it_is_read() -> None:
    """A page that is believed unread would fork this node off, or prove what is not so."""
    machine = Machine()
    take(machine.disk, block(1))
    name = f"{FOLDER}/{machine.segments[0]}"
    data = machine.files.read(name, 0, 10_000)
    for position in range(len(data)):
        machine.files.truncate(name, 0)
        changed = bytearray(data)
        changed[position] ^= 1 << position % 8
        machine.files.append(name, bytes(changed))
        machine.reopen()
        with pytest.raises(CorruptionError):
            expect_whole(machine.disk.store, 1, 1)


def test_a_frame_in_the_place_of_another_is_refused() -> None:
    """A misdirected write: good bytes, and not the ones that were asked for."""
    machine = Machine()
    take(machine.disk, block(1), block(2))
    places = [machine.database.get(MAP_NODE + u64(height)) or b"" for height in (1, 2)]
    name = f"{FOLDER}/{machine.segments[0]}"
    starts = [int.from_bytes(place[4:12], "big") for place in places]
    length = int.from_bytes(places[0][12:], "big")
    first = machine.files.read(name, starts[0], length)
    second = machine.files.read(name, starts[1], length)
    machine.files.truncate(name, 0)
    machine.files.append(name, second + first)
    machine.reopen()
    with pytest.raises(CorruptionError, match="not what was written"):
        machine.disk.store.get(next(iter(pages_of(1))))


@pytest.mark.parametrize("row", [b"", b"short", bytes(19)])
def test_a_damaged_end_of_the_log_is_refused(row: bytes) -> None:
    machine = Machine()
    take(machine.disk, block(1))
    machine.database.put(WriteBatch(entries=((PAGE_LOG_KEY, row or b"\x00"),)))
    with pytest.raises(CorruptionError, match="page log"):
        machine.reopen()


def test_an_end_that_is_not_the_last_frame_is_refused_and_nothing_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A start cuts what stands behind the end: on a wrong word it would cut what is needed."""
    monkeypatch.setattr(limits, "PAGE_SEGMENT_BYTES_MAX", SEGMENT_BYTES)
    believed: list[int] = []
    for bit in range(-1, 8 * 20):
        machine = Machine()
        for height in range(1, 9):
            take(machine.disk, block(height, max(0, height - 4)))
        end = bytearray(machine.database.get(PAGE_LOG_KEY) or b"")
        end[bit >> 3] ^= 1 << bit % 8
        row = bytes(end) if bit >= 0 else None
        machine.database.put(WriteBatch(entries=((PAGE_LOG_KEY, row),)))
        before = contents(machine)
        try:
            machine.reopen()
        except CorruptionError:
            assert contents(machine) == before
        else:
            believed.append(bit)
    assert believed == []


def test_a_log_with_a_segment_missing_loses_no_other_to_the_refusal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever puts the missing file back must find the rest as it was."""
    monkeypatch.setattr(limits, "PAGE_SEGMENT_BYTES_MAX", SEGMENT_BYTES)
    machine = Machine()
    for height in range(1, 12):
        take(machine.disk, block(height))
    machine.files.append(f"{FOLDER}/0000000099.log", b"of a block that never was")
    machine.files.unlink(f"{FOLDER}/{machine.segments[1]}")
    before = contents(machine)
    with pytest.raises(CorruptionError, match="were durable"):
        machine.reopen()
    assert contents(machine) == before


def test_a_floor_above_the_height_that_sets_it_is_refused() -> None:
    """Each height below it costs a row: a rotten number would keep the writer busy for ever."""
    machine = Machine()
    take(machine.disk, block(1))
    with pytest.raises(CorruptionError, match="floor"):
        machine.disk.stage(block(2, 3))


def test_a_place_of_rotten_length_is_refused_before_that_much_is_read() -> None:
    machine = Machine()
    take(machine.disk, block(1))
    place = machine.database.get(MAP_NODE + u64(1)) or b""
    rotten = place[:12] + b"\xff" + place[13:]
    machine.database.put(WriteBatch(entries=((MAP_NODE + u64(1), rotten),)))
    lengths: list[int] = []
    honest = machine.files.read

    def read(name: str, offset: int, length: int) -> bytes:
        lengths.append(length)
        return honest(name, offset, length)

    machine.files.read = read  # type: ignore[method-assign]
    with pytest.raises(CorruptionError, match="not what was written"):
        list(machine.disk.store.scan(MAP_NODE + page_version(1), MAP_NODE + page_version(2)))
    assert max(lengths) < 100


@pytest.mark.parametrize("room", [0, 1, 40, 100, 300])
def test_a_disk_that_fills_up_within_a_frame_costs_the_block_and_no_other(room: int) -> None:
    """The part that fitted stands behind the end. A start cuts it then goes on."""
    machine = Machine()
    take(machine.disk, block(1))
    honest = machine.files.append

    def append(name: str, data: bytes) -> None:
        if name.startswith(FOLDER):
            honest(name, data[:room])
            raise OSError(ENOSPC, "No space left on device")
        honest(name, data)

    machine.files.append = append  # type: ignore[method-assign]
    with pytest.raises(OSError, match="No space"):
        take(machine.disk, block(2))
    expect_whole(machine.disk.store, 1, 2)
    machine.files.append = honest  # type: ignore[method-assign]
    machine.restart()
    expect_whole(machine.disk.store, 1, 1)
    take(machine.disk, block(2))
    machine.restart()
    expect_whole(machine.disk.store, 1, 2)


def test_files_of_another_home_are_not_taken_for_its_own() -> None:
    """Put back from the wrong backup: the same places, and pages of another chain."""
    machine, other = Machine(), MemoryFiles()
    foreign = NodeDisk(other, MemoryStore(), OTHER_CHAIN)
    foreign.create((), GENESIS)
    foreign.recover()
    for height in (1, 2):
        take(machine.disk, block(height))
        take(foreign, block(height))
    name = f"{FOLDER}/{machine.segments[0]}"
    machine.files.truncate(name, 0)
    machine.files.append(name, other.read(name, 0, other.size(name)))
    machine.reopen()
    for key in pages_of(2):
        with pytest.raises(CorruptionError, match="not what was written"):
            machine.disk.store.get(key)


def test_a_segment_that_lost_its_tail_is_found_when_it_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A start reads no segment but the newest one's length."""
    monkeypatch.setattr(limits, "PAGE_SEGMENT_BYTES_MAX", SEGMENT_BYTES)
    machine = Machine()
    for height in range(1, 12):
        take(machine.disk, block(height))
    name = f"{FOLDER}/{machine.segments[0]}"
    machine.files.truncate(name, machine.files.size(name) - 1)
    machine.reopen()
    with pytest.raises(CorruptionError, match="not what was written"):
        expect_whole(machine.disk.store, 1, 11)


def test_a_batch_has_pages_of_one_height() -> None:
    machine = Machine()
    both = tuple((pages_of(1) | pages_of(2)).items())
    with pytest.raises(InvariantError, match="several heights"):
        machine.disk.store.put(WriteBatch(entries=both))


def test_pages_that_wait_count_towards_what_may_be_staged(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are most of a block: uncounted, a slow disk would fill the memory."""
    monkeypatch.setattr(limits, "STORE_STAGED_BYTES_MAX", sum(map(len, pages_of(1).values())))
    machine = Machine()
    full = [machine.disk.full]
    for step in ("put", "put", "flush", "flush"):
        if step == "put":
            pages = tuple(pages_of(len(full)).items())
            machine.disk.store.put(WriteBatch(entries=pages))
        else:
            machine.disk.store.flush_next()
        full.append(machine.disk.full)
    assert full == [False, True, True, True, False]


@pytest.mark.parametrize("at", [0, 3, 4, 5, 6, 7, 8, 11, 14, 19, 23])
def test_a_real_home_survives_power_cuts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """The same on ext4's terms: copies of the files cut to what had been synced."""
    monkeypatch.setattr(limits, "PAGE_SEGMENT_BYTES_MAX", SEGMENT_BYTES)
    home = tmp_path / "home"
    home.mkdir()
    create_home(home, CHAIN, (), GENESIS)
    for cut in range(3):
        fuse = Fuse(1_000)
        disk = open_recorded(home, CHAIN, fuse)
        disk.recover()
        fuse.left = at + cut
        reached = height_of(disk)
        steps = [block(height, max(0, height - 6)) for height in range(reached + 1, reached + 14)]
        with pytest.raises(Crash):
            take(disk, *steps)
        target = tmp_path / f"home{cut}"
        lose_power(disk, home, target, Random(f"{at}/{cut}"))
        home = target
        disk = open_recorded(home, CHAIN)
        disk.recover()
        after = height_of(disk)
        assert after >= reached
        expect_whole(disk.store, max(1, after - 6), after)
        disk.close()
