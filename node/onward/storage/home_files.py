"""The real files of a node's home."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from threading import Lock

from onward import limits
from onward.errors import RejectCode, RejectedError

LOCK_NAME = "lock"

_sync_data = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync


class HomeFiles:
    """The files below a real folder. `lock` aside, one thread writes; any thread may read."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._open: dict[str, int] = {}
        self._readers: dict[str, int] = {}
        self._reading = Lock()
        self._lock: int | None = None

    def lock(self) -> None:
        """Hold the home. The lock ends with the process, so a killed one leaves none behind."""
        descriptor = os.open(self._home / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise RejectedError(
                RejectCode.STATE, f"{self._home} is in use by process {holder}"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._lock = descriptor

    def make_folder(self, folder: str) -> None:
        """Create a folder and sync each folder that got a new entry."""
        path = self._home
        for part in folder.split("/"):
            parent, path = path, path / part
            if not path.is_dir():
                path.mkdir(mode=0o700)
                sync_folder(parent)

    def names(self, folder: str) -> tuple[str, ...]:
        """The regular files of a folder."""
        path = self._home / folder
        if not path.is_dir():
            return ()
        return tuple(sorted(entry.name for entry in path.iterdir() if entry.is_file()))

    def size(self, name: str) -> int:
        """Length as the system knows it, unsynced bytes included."""
        try:
            return (self._home / name).stat().st_size
        except FileNotFoundError:
            return 0

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Read through a descriptor that is kept: opening costs as much as reading a page does.

        The lock keeps another thread from closing it meanwhile. The writer has its own.
        """
        with self._reading:
            descriptor = self._readers.get(name)
            if descriptor is None:
                try:
                    descriptor = os.open(self._home / name, os.O_RDONLY | os.O_CLOEXEC)
                except FileNotFoundError:
                    return b""
                while len(self._readers) >= limits.FILES_KEPT_OPEN_MAX:
                    os.close(self._readers.pop(next(iter(self._readers))))
                self._readers[name] = descriptor
            parts = []
            while length > 0 and (part := os.pread(descriptor, length, offset)):
                parts.append(part)
                offset += len(part)
                length -= len(part)
            return parts[0] if len(parts) == 1 else b"".join(parts)

    def append(self, name: str, data: bytes) -> None:
        """Write all of `data`; a full disk raises `OSError` and leaves a torn tail."""
        descriptor = self._descriptor(name)
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]

    def truncate(self, name: str, length: int) -> None:
        """Cut a file."""
        os.ftruncate(self._descriptor(name), length)

    def sync(self, name: str) -> None:
        """`fdatasync`: content and length, without the time stamps."""
        _sync_data(self._descriptor(name))

    def unlink(self, name: str) -> None:
        """Close and remove a file."""
        descriptor = self._open.pop(name, None)
        if descriptor is not None:
            os.close(descriptor)
        with self._reading:
            descriptor = self._readers.pop(name, None)
            if descriptor is not None:
                os.close(descriptor)
        (self._home / name).unlink(missing_ok=True)

    def sync_directory(self, folder: str) -> None:
        """`fsync` of the folder itself: without it a new file's name can be lost with its bytes."""
        sync_folder(self._home / folder)

    def close(self) -> None:
        """Close everything; the lock goes last."""
        for name in sorted(self._open):
            os.close(self._open[name])
        self._open.clear()
        with self._reading:
            for name in sorted(self._readers):
                os.close(self._readers[name])
            self._readers.clear()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _descriptor(self, name: str) -> int:
        """What the writer writes through. It syncs a file before it goes on to another one."""
        descriptor = self._open.get(name)
        if descriptor is None:
            while len(self._open) >= limits.FILES_WRITTEN_OPEN_MAX:
                os.close(self._open.pop(next(iter(self._open))))
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            descriptor = self._open[name] = os.open(self._home / name, flags, 0o600)
        return descriptor


def sync_folder(path: Path) -> None:
    """`fsync` of a folder: the names in it are durable on return."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
