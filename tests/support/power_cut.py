"""Cutting the power of a real home: a copy that holds only what had been synced.

Killing a process leaves the page cache intact, so it tests no durability. Here a home is driven
through `RecordingFiles` and `RecordingStore`, which note what each sync covered, and `lose_power`
copies the home as a disk may hold it after the power went:

- journal, batch log and page log: of each file the synced bytes and, as chance has it, nothing,
  a part or all of the rest, partly zeroed. A file whose creation no directory sync covered may be
  missing; one whose removal none covered may be back, with its content.
- LevelDB: every write of the node is synced, so each of its files is copied as it is but for the
  newest log. That one is cut anywhere behind the last write that returned: inside the write that
  the cut interrupted, if it did, and nowhere else. LevelDB syncs tables and manifest by itself
  before it uses them, and a file system keeps the name of a new log whose content was synced (ext4
  and XFS do); both are trusted, not modelled.
- What was staged in memory is gone.

`gate` is called before each operation that changes something, and once more ("flushing") between
the moment when a database write is in the file and the moment when it counts as synced. Raising
`Crash` from it stops the node there. `Fuse` does that at the operation with a given number.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from onward.storage.disk import NodeDisk
from onward.storage.home import DATABASE
from onward.storage.home_files import LOCK_NAME, HomeFiles
from onward.storage.leveldb import LevelStore
from onward.storage.memory_files import Chooser, Crash, no_gate

D = TypeVar("D", bound=NodeDisk)


class Fuse:
    """Lets `left` operations pass and stops the machine before the next."""

    def __init__(self, left: int) -> None:
        self.left = left

    def __call__(self, operation: str) -> None:
        if self.left == 0:
            raise Crash(operation)
        self.left -= 1


class RecordingFiles(HomeFiles):
    """Real files that know what of them is durable. What stands at the start counts as durable."""

    def __init__(self, home: Path, gate: Callable[[str], None] = no_gate) -> None:
        super().__init__(home)
        self.gate = gate
        self.synced = {
            name: path.stat().st_size
            for path in home.rglob("*")
            if path.is_file() and not (name := str(path.relative_to(home))).startswith(DATABASE)
        }
        self.unsure_new: set[str] = set()
        self.unsure_gone: dict[str, bytes] = {}
        self._root = home

    def append(self, name: str, data: bytes) -> None:
        self.gate("append")
        if name not in self.synced:
            self.synced[name] = 0
            self.unsure_new.add(name)
        super().append(name, data)

    def truncate(self, name: str, length: int) -> None:
        self.gate("truncate")
        super().truncate(name, length)
        self.synced[name] = min(self.synced[name], length)

    def sync(self, name: str) -> None:
        self.gate("sync")
        super().sync(name)
        self.synced[name] = self.size(name)

    def unlink(self, name: str) -> None:
        self.gate("unlink")
        content = self.read(name, 0, self.synced.pop(name, 0))
        if name not in self.unsure_new:
            self.unsure_gone[name] = content
        self.unsure_new.discard(name)
        super().unlink(name)

    def sync_directory(self, folder: str) -> None:
        self.gate("sync_directory")
        super().sync_directory(folder)
        start = folder + "/"
        self.unsure_new = {name for name in self.unsure_new if not name.startswith(start)}
        for name in [name for name in self.unsure_gone if name.startswith(start)]:
            del self.unsure_gone[name]


class RecordingStore(LevelStore):
    """A LevelDB that knows which part of its newest log is durable."""

    def __init__(self, path: Path, gate: Callable[[str], None] = no_gate) -> None:
        super().__init__(path)
        self.gate = gate
        self._path = path
        self.synced_log = self._newest_log()

    def _write(self, entries: Iterable[tuple[bytes, bytes | None]]) -> None:
        self.gate("flush")
        super()._write(entries)
        self.gate("flushing")
        self.synced_log = self._newest_log()

    def _newest_log(self) -> tuple[str, int]:
        logs = sorted(self._path.glob("*.log"), key=lambda path: int(path.stem))
        return (logs[-1].name, logs[-1].stat().st_size) if logs else ("", 0)


def open_recorded(home: Path, chain_id: bytes, gate: Callable[[str], None] = no_gate) -> NodeDisk:
    """`open_home`, with recording bodies that share one gate."""
    return open_recorded_as(NodeDisk, home, chain_id, gate)


def open_recorded_as(
    disk_type: type[D], home: Path, chain_id: bytes, gate: Callable[[str], None] = no_gate
) -> D:
    """`open_recorded`, for a disk whose writer is driven in another way."""
    files = RecordingFiles(home, gate)
    files.lock()
    return disk_type(files, RecordingStore(home / DATABASE, gate), chain_id)


def lose_power(disk: NodeDisk, home: Path, target: Path, chooser: Chooser) -> None:
    """Close a disk of `open_recorded` and copy its home to `target` as a power cut may leave it."""
    files, store = disk._files, disk.database
    if not (isinstance(files, RecordingFiles) and isinstance(store, RecordingStore)):
        raise TypeError("the disk was not opened by open_recorded")
    store.close()  # writes nothing; waits for LevelDB's own thread, whose files are synced
    shutil.copytree(home, target, ignore=shutil.ignore_patterns(LOCK_NAME, "LOCK"))
    _cut_database(target / DATABASE, store.synced_log, chooser)
    for name in sorted(files.synced):
        path = target / name
        if name == LOCK_NAME:
            continue
        if name in files.unsure_new and chooser.randrange(2):
            path.unlink()
        else:
            _cut_file(path, files.synced[name], chooser)
    for name in sorted(files.unsure_gone):
        if chooser.randrange(2):
            (target / name).write_bytes(files.unsure_gone[name])
    files.close()


def _cut_database(database: Path, synced: tuple[str, int], chooser: Chooser) -> None:
    logs = sorted(database.glob("*.log"), key=lambda path: int(path.stem))
    if not logs:
        return
    name, length = synced
    kept = length if logs[-1].name == name else 0
    extra = logs[-1].stat().st_size - kept
    with logs[-1].open("r+b") as log:
        log.truncate(kept + chooser.randrange(extra + 1))


def _cut_file(path: Path, synced: int, chooser: Chooser) -> None:
    content = bytearray(path.read_bytes())
    unsynced = len(content) - synced
    if unsynced <= 0:
        return
    kept = (0, unsynced, chooser.randrange(unsynced + 1))[chooser.randrange(3)]
    del content[synced + kept :]
    if kept and not chooser.randrange(3):
        first = synced + chooser.randrange(kept)
        content[first:] = bytes(len(content) - first)
    path.write_bytes(content)
