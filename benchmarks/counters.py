"""Counting the instructions of a process: with `perf` where the kernel lets it, with valgrind else.

Both count what runs outside of the kernel, C libraries included. They do not count alike: a library
that looks at the processor may take another way under valgrind, so only counts of one counter can
be compared.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

COUNTED = Path(__file__).with_name("counted.py")
PERF_EVENT = "instructions:u"
HELP = """\
Neither perf nor valgrind can count instructions here: perf's event instructions:u is not supported
(virtual machines seldom have it) or perf is missing, and valgrind is missing. On Debian and Ubuntu:
apt install valgrind
"""

_TOTAL = re.compile(r"^(?:summary|totals): (\d+)", re.MULTILINE)


class CountingError(Exception):
    """Something that was to be counted failed."""


class Counter(Protocol):
    """Runs tasks of `counted.py` and tells how many instructions each took, set-up included."""

    name: str

    def count(self, stock: Path, tasks: Sequence[str], jobs: int) -> dict[str, int]:
        """By task. Raises `CountingError`."""


def find_counter() -> Counter | None:
    """The one that works here, or None."""
    if _perf_counts():
        return Perf()
    return Valgrind() if shutil.which("valgrind") else None


class Valgrind:
    """All tasks in one run: it starts slowly, and gives every process a file of its own."""

    name = "valgrind callgrind"

    def count(self, stock: Path, tasks: Sequence[str], jobs: int) -> dict[str, int]:
        """By task. Raises `CountingError`."""
        with tempfile.TemporaryDirectory() as folder:
            pattern = Path(folder) / "count"
            tool = [
                "valgrind",
                "--quiet",
                "--tool=callgrind",
                f"--callgrind-out-file={pattern}.%p",
            ]
            done = _run([*tool, *_program(stock), f"--jobs={jobs}", *tasks])
            begun: dict[str, str] = json.loads(done.stdout)
            return {
                task: _total(pattern.with_name(f"count.{process}"))
                for process, task in begun.items()
            }


class Perf:
    """A run for each task: it costs nothing, and counts a process with its children as one."""

    name = "perf instructions:u"

    def count(self, stock: Path, tasks: Sequence[str], jobs: int) -> dict[str, int]:
        """By task, one after the other. Raises `CountingError`."""
        del jobs
        return {task: self._count(stock, task) for task in tasks}

    def _count(self, stock: Path, task: str) -> int:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "count"
            _run([*_perf(file), *_program(stock), task])
            found = perf_total(file.read_text(encoding="utf-8"))
        if found is None:
            raise CountingError(f"perf counted nothing for {task}")
        return found


def perf_total(text: str) -> int | None:
    """The count in what `perf stat -x,` writes; None where it says why there is none."""
    for line in text.splitlines():
        value, _, rest = line.partition(",")
        if PERF_EVENT in rest and value.isdecimal():
            return int(value)
    return None


def _perf(file: Path) -> list[str]:
    return ["perf", "stat", "-x", ",", "-e", PERF_EVENT, "-o", str(file), "--"]


def _perf_counts() -> bool:
    if not shutil.which("perf"):
        return False
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "count"
        done = subprocess.run(  # noqa: S603 - our own words
            [*_perf(file), "true"], capture_output=True, check=False
        )
        if done.returncode or not file.exists():
            return False
        return bool(perf_total(file.read_text(encoding="utf-8")))


def _program(stock: Path) -> list[str]:
    return [sys.executable, str(COUNTED), str(stock)]


def _environment() -> Mapping[str, str]:
    """The same order of every set in every run."""
    return {**os.environ, "PYTHONHASHSEED": "0"}


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(  # noqa: S603 - our own words
        command, capture_output=True, text=True, check=False, env=_environment()
    )
    if done.returncode:
        raise CountingError(f"{command[0]} ended with {done.returncode}:\n{done.stderr[-4_000:]}")
    return done


def _total(file: Path) -> int:
    totals = _TOTAL.findall(file.read_text(encoding="utf-8"))
    if not totals:
        raise CountingError(f"valgrind wrote no total into {file.name}")
    return max(map(int, totals))
