"""Checks the Promela model with spin: that it holds, and that it forks when a rule is taken away.

    .venv/bin/python -m tests.spec.model        the whole table; `make model` does this

Needs the Debian packages spin and gcc.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

MODEL = Path(__file__).parents[2] / "docs/spec/consensus.pml"
RULES = ("S1", "S2", "S3", "J", "F")
DEPTH_MAX = 10_000
MEMORY_MB_MAX = 2_000
SECONDS_MAX = 240


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to compile the model."""

    views: int
    in_quorums: bool = False
    without: str = ""  # the rule that is taken away

    def __str__(self) -> str:
        steps = "a quorum at a time" if self.in_quorums else "vote by vote"
        return f"{self.views} views, {steps}" + (
            f", without {self.without}" if self.without else ""
        )


@dataclass(frozen=True, slots=True)
class Checked:
    """What spin found."""

    states: int
    has_fork: bool


SOUND = (Variant(2), Variant(3, in_quorums=True))
LARGE = (Variant(4, in_quorums=True),)
BROKEN = tuple(Variant(2, without=rule) for rule in RULES)


def missing_program() -> str:
    """What this machine lacks, or nothing."""
    lacking = [name for name in ("spin", "gcc") if shutil.which(name) is None]
    if "gcc" not in lacking:
        header = ("gcc", "-E", "-include", "stdio.h", "-x", "c", os.devnull)
        is_there = subprocess.run(header, capture_output=True, check=False).returncode == 0
        lacking += [] if is_there else ["libc6-dev"]
    return f"not installed: {', '.join(lacking)} (Debian packages)" if lacking else ""


def check(variant: Variant) -> Checked:
    """Every reachable state of one variant, or a fork."""
    flags = [f"-DVIEWS={variant.views}"]
    flags += ["-DIN_QUORUMS"] if variant.in_quorums else []
    flags += [f"-DBREAK_{variant.without}"] if variant.without else []
    optimize = "-O0" if variant.without else "-O1"
    with tempfile.TemporaryDirectory() as folder:
        _run(folder, "spin", "-a", *flags, str(MODEL))
        safety = ("-DSAFETY", f"-DMEMLIM={MEMORY_MB_MAX}")
        _run(folder, "gcc", optimize, "-w", *safety, "-o", "pan", "pan.c")
        told = _run(folder, "./pan", f"-m{DEPTH_MAX}", "-b")
    found = re.search(r"errors: (\d+)\s+(\d+) states, stored", told)
    if found is None or "search was not completed" in told:
        raise RuntimeError(f"{variant}: spin did not look at everything:\n{told}")
    return Checked(states=int(found[2]), has_fork="assertion violated" in told)


def _run(folder: str, *command: str) -> str:
    """-b makes too small a bound an error, and errors are told, not exit codes."""
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=SECONDS_MAX, check=True
    )
    return done.stdout


def main() -> int:
    """Prints a line for each variant; 1 when one is not as it should be."""
    lacking = missing_program()
    if lacking:
        sys.stderr.write(f"model: {lacking}\n")
        return 2
    failed = 0
    for variant in (*SOUND, *LARGE, *BROKEN):
        checked = check(variant)
        is_right = checked.has_fork == bool(variant.without)
        failed += not is_right
        verdict = "a fork" if checked.has_fork else "no fork"
        mark = "" if is_right else "   WRONG"
        sys.stdout.write(f"{variant!s:<36} {checked.states:>9} states   {verdict}{mark}\n")
        sys.stdout.flush()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
