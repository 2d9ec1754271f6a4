"""The port to files.

The journal and the batch log live in files that only ever grow, so the port is small. What it
promises is what POSIX does, and no more:

- bytes that were appended survive a crash only once `sync` returned; before, any part may survive;
- a file that was created or unlinked is so after a crash only once `sync_directory` of its folder
  returned.

Names are relative to the home, with `/` between folder and file. Killing a process does not lose
the page cache, so the port exists for tests too: `memory_files` has a body that really loses what
was not synced.
"""

from __future__ import annotations

from typing import Protocol

from onward.errors import CorruptionError


class Files(Protocol):
    """Files under one home. Every operation but `read`, `size` and `names` may be a crash point."""

    def lock(self) -> None:
        """Hold the home until `close`. Raises `RejectedError` when another process holds it."""

    def make_folder(self, folder: str) -> None:
        """Create a folder, durably, with its parents. Nothing happens when it stands already."""

    def names(self, folder: str) -> tuple[str, ...]:
        """The files of a folder by name, ascending; none when there is no such folder."""

    def size(self, name: str) -> int:
        """Length of a file, 0 when there is none."""

    def read(self, name: str, offset: int, length: int) -> bytes:
        """At most `length` bytes from `offset` on; fewer where the file ends or is missing."""

    def append(self, name: str, data: bytes) -> None:
        """Write behind the end of a file, which is created when it is missing."""

    def truncate(self, name: str, length: int) -> None:
        """Forget what stands behind `length`. As with `append`, durable after `sync`."""

    def sync(self, name: str) -> None:
        """Return when the content of a file is durable. Its name need not be."""

    def unlink(self, name: str) -> None:
        """Remove a file. Nothing happens when there is none."""

    def sync_directory(self, folder: str) -> None:
        """Return when all files of a folder stand there durably, and those removed do not."""

    def close(self) -> None:
        """Let go of the lock and of every open file."""


def segment_name(folder: str, number: int) -> str:
    """Segment files are numbered from 1; their names sort by number."""
    return f"{folder}/{number:010d}.log"


def segments(files: Files, folder: str) -> tuple[int, ...]:
    """The numbers of a folder's segment files, ascending. Raises `CorruptionError` for others."""
    found = []
    for name in files.names(folder):
        stem, dot, end = name.partition(".")
        number = int(stem) if stem.isascii() and stem.isdigit() else 0
        if number < 1 or dot + end != ".log" or segment_name(folder, number) != f"{folder}/{name}":
            raise CorruptionError(f"{folder}/{name} is no segment file; nothing else belongs there")
        found.append(number)
    return tuple(found)
