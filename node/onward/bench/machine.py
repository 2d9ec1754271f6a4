"""The machine under a measurement: what it is, how fast it verifies, what its processes use."""

from __future__ import annotations

import multiprocessing
import os
import platform
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from onward.crypto.signing import SigningKey, verify

PACKAGES = ("grpcio", "PyNaCl", "plyvel", "protobuf")
VERIFIED_BYTES = 90
_VERIFIED_MESSAGES = 512
_CHUNK = 64
_TICKS = os.sysconf("SC_CLK_TCK")
_TICK_KINDS = 8  # user nice system idle iowait irq softirq steal; guests are in user


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0))


def describe() -> dict[str, Any]:
    """What a figure means nothing without."""
    return {
        "cpu": _cpu_model(),
        "cores": cores(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "commit": _commit(),
        "load_average": round(os.getloadavg()[0], 2),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifying:
    """How fast signatures are verified, with one process on each core."""

    per_s: float  # by all cores together
    cpu_us: float  # processor time of one; who else uses the machine hardly changes it


def measure_verifying(seconds: float) -> Verifying:
    """Verify on all cores for so long."""
    count = cores()
    with multiprocessing.get_context("spawn").Pool(count) as pool:
        pool.map(_verify_for, [0.1] * count, chunksize=1)  # everybody is awake
        found = pool.map(_verify_for, [seconds] * count, chunksize=1)
    return Verifying(
        per_s=sum(item.per_s for item in found),
        cpu_us=sum(item.cpu_us for item in found) / count,
    )


def _verify_for(seconds: float) -> Verifying:
    """Verify messages of which no two are equal, for so long, in this process: some at least."""
    key = SigningKey(bytes(range(32)))
    messages = [
        number.to_bytes(8, "big") + bytes(VERIFIED_BYTES - 8)
        for number in range(_VERIFIED_MESSAGES)
    ]
    signed = [(message, key.sign(message)) for message in messages]
    public_key = key.public_key
    done, elapsed = 0, 0.0
    began, cpu_began = time.perf_counter(), time.process_time()
    while not done or elapsed < seconds:
        at = done % _VERIFIED_MESSAGES
        for message, signature in signed[at : at + _CHUNK]:
            if not verify(public_key, message, signature):
                raise ValueError("a good signature did not verify")
        done += _CHUNK
        elapsed = time.perf_counter() - began
    cpu_s = time.process_time() - cpu_began
    return Verifying(per_s=done / elapsed, cpu_us=1e6 * cpu_s / done)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticks:
    """What all processors together have done since the machine began."""

    total: int
    taken: int  # by the host, for other machines, while somebody here wanted to run


def ticks(file: Path = Path("/proc/stat")) -> Ticks | None:
    """Until now; proc(5) tells the fields. None where the kernel does not tell all of them."""
    try:
        name, *words = file.read_text(encoding="ascii").partition("\n")[0].split()
        numbers = [int(word) for word in words[:_TICK_KINDS]]
    except (OSError, ValueError):
        return None
    if name != "cpu" or len(numbers) < _TICK_KINDS:
        return None
    return Ticks(total=sum(numbers), taken=numbers[-1])


def host_taken(before: Ticks | None, after: Ticks | None) -> float | None:
    """The part (0 to 1) of all processors' time in between that the host gave to others.

    None where it is not known, or no tick has passed.
    """
    if before is None or after is None or after.total <= before.total:
        return None
    # On some hosts the count of one kind goes back, or makes up for the others later.
    part = (after.taken - before.taken) / (after.total - before.total)
    return round(min(1.0, max(0.0, part)), 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a process has used so far; None where the kernel does not tell."""

    cpu_s: float
    rss_bytes: int
    written_bytes: int | None


def usage(pid: int) -> Usage | None:
    """What a process has used; None for one that is gone or has ended."""
    root = Path(f"/proc/{pid}")
    try:
        # The name stands in parentheses and may hold anything; the fields behind it are numbers.
        fields = (root / "stat").read_text(encoding="ascii", errors="replace")
        numbers = fields.rpartition(")")[2].split()
    except OSError:
        return None
    if numbers[0] == "Z":
        return None
    return Usage(
        cpu_s=(int(numbers[11]) + int(numbers[12])) / _TICKS,
        rss_bytes=int(numbers[21]) * os.sysconf("SC_PAGE_SIZE"),
        written_bytes=_written(root),
    )


def loopback_bytes() -> int | None:
    """How much the machine has sent to itself, headers included; None where nobody tells."""
    try:
        lines = Path("/proc/net/dev").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    for line in lines:
        name, colon, numbers = line.partition(":")
        if colon and name.strip() == "lo":
            return int(numbers.split()[0])
    return None


def folder_bytes(folders: Sequence[Path]) -> int:
    """What the files in these folders take up on the disk."""
    total = 0
    for folder in folders:
        for place, _, names in os.walk(folder):
            for name in names:
                try:
                    total += (Path(place) / name).stat().st_blocks * 512
                except FileNotFoundError:
                    continue  # a database drops its files as it likes
    return total


def _written(root: Path) -> int | None:
    try:
        lines = (root / "io").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, value = line.partition(":")
        if name == "write_bytes":
            return int(value)
    return None


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or "unknown"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The commit of the checkout that this runs from, with a mark where files differ from it."""
    here = Path(__file__).parent
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=here,
            capture_output=True,
            text=True,
            check=True,
            timeout=5,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
