"""What a disk does beside crashing: it fills up, a byte of it rots, a folder of it is deleted.

A home that rotted or lost a part is *ruined*: this validator may have forgotten a vote, and every
later start must be refused. What cannot be refused is left out here: a last frame that rots looks
like the torn end of a write that was never acknowledged, to whoever reads the file alone.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from onward.ledger.store import Store
from onward.simulation.faults import FaultKind
from onward.storage.batch_log import decode_position
from onward.storage.disk import FLOOR_KEY
from onward.storage.files import segment_name, segments
from onward.storage.framing import HEADER_BYTES
from onward.storage.memory_files import MemoryFiles

JOURNAL, BATCHES = "journal", "batches"

Span = tuple[str, int, int]
"""A file, and where a frame of it begins and ends."""


class PowerCut(Exception):
    """The machine stops here."""

    def __init__(self, fault: FaultKind) -> None:
        """`fault`: what made it stop."""
        super().__init__(fault)
        self.fault = fault


class FailingFiles(MemoryFiles):
    """Files in memory whose disk may be full, and may not keep what it was given."""

    def __init__(self, rng: random.Random) -> None:
        """`rng` decides how much of a write fits."""
        super().__init__()
        self.is_full = False
        self._rng = rng

    def append(self, name: str, data: bytes) -> None:
        """As `write` does on a full disk: a part of the bytes, then the error that ends a node."""
        if self.is_full:
            super().append(name, data[: self._rng.randrange(len(data))])
            raise PowerCut(FaultKind.DISK_FULL)
        super().append(name, data)

    def spoil(self, span: Span, draw: int) -> None:
        """Turn one bit within a frame."""
        name, start, end = span
        written = self._file(name).written
        written[start + draw % (end - start)] ^= 1 << draw % 8

    def delete(self, folder: str) -> None:
        """All files of a folder are gone for good."""
        for names in (self._files, self._durable):
            for name in [name for name in names if name.startswith(folder + "/")]:
                del names[name]


def spoilable(files: FailingFiles, store: Store) -> tuple[Span, ...]:
    """The frames of a stopped machine that its next boot reads, and knows to have been durable."""
    return (*_journal_frames(files), *_batch_frames(files, store))


def _journal_frames(files: FailingFiles) -> Iterator[Span]:
    numbers = segments(files, JOURNAL)
    if not numbers:
        return
    frames = tuple(_frames(files, segment_name(JOURNAL, numbers[-1]), 0))
    if len(frames) == 1 and len(numbers) == 1:
        yield from frames  # every segment begins with a frame that was durable before it counted
    yield from frames[:-1]


def _batch_frames(files: FailingFiles, store: Store) -> Iterator[Span]:
    numbers, floor = segments(files, BATCHES), store.get(FLOOR_KEY)
    if not numbers or floor is None:
        return
    position = decode_position(floor)
    if position.segment == numbers[-1]:
        name = segment_name(BATCHES, position.segment)
        yield from tuple(_frames(files, name, position.offset))[:-1]


def _frames(files: FailingFiles, name: str, start: int) -> Iterator[Span]:
    """The frames of a file by their lengths alone, up to what a power cut tore."""
    size = files.size(name)
    while start + HEADER_BYTES < size:
        length = int.from_bytes(files.read(name, start, 4), "big")
        end = start + HEADER_BYTES + length
        if not length or end > size:
            return
        yield name, start, end
        start = end
