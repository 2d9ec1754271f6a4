"""Files in memory that lose in a crash what a disk may lose: for simulation and tests.

`crash(chooser)` is a power cut. Of each file it keeps the synced bytes and any part of the unsynced
ones, some of them zeroed, because pages reach a disk in any order and a length may reach it before
they do. Of each folder it undoes any of the creations and removals that no `sync_directory`
covered. All choices come from the chooser, so the same seed gives the same ruin.

`gate` is called with the name of each operation that changes something, before it takes effect.
What it raises comes out of the operation: that is how a test stops a node between any two of
them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from onward.errors import invariant


class Crash(Exception):
    """Raised by a gate: the machine stops here. Nobody catches it but whoever set the gate."""


class Chooser(Protocol):
    """The one method of `random.Random` that a crash needs."""

    def randrange(self, stop: int, /) -> int:
        """A number from 0 to `stop - 1`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashLoss:
    """What one crash did."""

    torn_files: int  # an unsynced end was kept in part or damaged
    lost_bytes: int  # unsynced bytes that are gone
    undone_entries: int  # creations and removals that did not happen after all


class _File:
    """What a reader sees, how much of it is durable, and what a cut removed that was."""

    __slots__ = ("before_cut", "synced", "written")

    def __init__(self) -> None:
        self.written = bytearray()
        self.synced = 0
        self.before_cut: bytes | None = None


def no_gate(operation: str) -> None:
    """Let every operation pass."""


class MemoryFiles:
    """The files of one simulated home."""

    def __init__(self) -> None:
        self.gate: Callable[[str], None] = no_gate
        self._folders: set[str] = set()
        self._files: dict[str, _File] = {}
        self._durable: dict[str, _File] = {}
        self._locked = False

    def lock(self) -> None:
        """Hold the home; a second holder is a bug of the test, not of an operator."""
        invariant(not self._locked, "the simulated home is held already")
        self._locked = True

    def make_folder(self, folder: str) -> None:
        """Create a folder durably."""
        if folder not in self._folders:
            self.gate("make_folder")
            self._folders.add(folder)

    def names(self, folder: str) -> tuple[str, ...]:
        """The files of a folder."""
        start = folder + "/"
        return tuple(sorted(name[len(start) :] for name in self._files if name.startswith(start)))

    def size(self, name: str) -> int:
        """Length, unsynced bytes included."""
        file = self._files.get(name)
        return 0 if file is None else len(file.written)

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Bytes as the page cache has them, unsynced ones included."""
        file = self._files.get(name)
        return b"" if file is None else bytes(file.written[offset : offset + length])

    def append(self, name: str, data: bytes) -> None:
        """Write into the page cache."""
        self.gate("append")
        self._file(name).written += data

    def truncate(self, name: str, length: int) -> None:
        """Cut in the page cache."""
        self.gate("truncate")
        file = self._file(name)
        if length < file.synced:
            if file.before_cut is None:
                file.before_cut = bytes(file.written[: file.synced])
            file.synced = length
        del file.written[length:]

    def sync(self, name: str) -> None:
        """Make the content durable, not the name."""
        self.gate("sync")
        file = self._file(name)
        file.synced = len(file.written)
        file.before_cut = None

    def unlink(self, name: str) -> None:
        """Remove a name; a crash may bring it back."""
        self.gate("unlink")
        self._files.pop(name, None)

    def sync_directory(self, folder: str) -> None:
        """Make the names of a folder durable."""
        self.gate("sync_directory")
        start = folder + "/"
        for name in [name for name in self._durable if name.startswith(start)]:
            if name not in self._files:
                del self._durable[name]
        for name, file in self._files.items():
            if name.startswith(start):
                self._durable[name] = file

    def close(self) -> None:
        """Let go of the lock."""
        self._locked = False

    def crash(self, chooser: Chooser) -> CrashLoss:
        """Cut the power: see the module's head. The files can be opened again at once."""
        self.gate = no_gate
        self._locked = False
        undone = self._undo_entries(chooser)
        torn = lost = 0
        for name in sorted(self._files):
            file = self._files[name]
            if file.synced == len(file.written) and file.before_cut is None:
                continue
            before = len(file.written)
            damaged = _tear(file, chooser)
            torn += damaged
            lost += max(0, before - len(file.written))
            file.synced, file.before_cut = len(file.written), None
        self._durable = dict(self._files)
        return CrashLoss(torn_files=torn, lost_bytes=lost, undone_entries=undone)

    def _undo_entries(self, chooser: Chooser) -> int:
        undone = 0
        for name in sorted(self._files.keys() | self._durable.keys()):
            now, then = self._files.get(name), self._durable.get(name)
            if now is then or not chooser.randrange(2):
                continue
            undone += 1
            if then is None:
                del self._files[name]
            else:
                self._files[name] = then
        return undone

    def _file(self, name: str) -> _File:
        file = self._files.get(name)
        if file is None:
            folder = name.rpartition("/")[0]
            invariant(folder in self._folders, f"there is no folder {folder}")
            file = self._files[name] = _File()
        return file


def _tear(file: _File, chooser: Chooser) -> bool:
    """Leave of a file what a crash may leave; True when a piece of an unsynced write remains."""
    if file.before_cut is not None and chooser.randrange(2):
        file.written = bytearray(file.before_cut)  # the cut itself had not reached the disk
        return False
    unsynced = len(file.written) - file.synced
    if not unsynced:
        return False
    kept = (0, unsynced, chooser.randrange(unsynced + 1))[chooser.randrange(3)]
    end = file.synced + kept
    del file.written[end:]
    torn = 0 < kept < unsynced
    if kept and not chooser.randrange(3):
        first = file.synced + chooser.randrange(kept)
        last = first + 1 + chooser.randrange(end - first)
        file.written[first:last] = bytes(last - first)
        torn = True
    return torn
