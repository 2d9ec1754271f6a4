"""How many instructions a call takes: a regression shows on a machine that is never quiet.

    python benchmarks/instructions.py [--only TEXT] [--json] [--write] [--over 5]

Every call of `calls.py` is made a few times and then more times, each in a process of its own; the
difference of the two counts, divided by that of the times, is one call: the interpreter's start and
all material cancel out. The first calls, which find nothing at hand, are in both.

Compared is with `benchmarks/results/instructions.json`, which `--write` replaces. Exit code 0: no
call is more than `--over` per cent above it, or the two cannot be compared, which it says; 1: one
is; 2: nothing can count here, or something failed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from counters import HELP, Counter, CountingError, find_counter
from stock import TINY, WHOLE, build_stock

from onward.bench.machine import cores, describe

FORMAT = "onward/instructions/1"
BASELINE = Path(__file__).parent / "results" / "instructions.json"
OVER_PER_CENT = 5.0
DIRTY = "-dirty"
"""How the commit ends of a checkout in which files differ from it."""

# How often each call is made, the first time and the second. The first number covers the items that
# a call has, so that what is counted finds everything at hand. A block has been executed once while
# its material was made; every block of the state map is another one that follows on the one before.
TIMES: dict[str, tuple[int, int]] = {
    "check-envelope": (14, 42),
    "check-envelope-without-signature": (14, 84),
    "encode-batch": (10, 40),
    "decode-batch": (10, 40),
    "hash-batch": (10, 30),
    "execute-party.register": (14, 56),
    "execute-agreement.offer": (14, 42),
    "execute-agreement.accept": (14, 42),
    "execute-share.record": (14, 42),
    "execute-share.ack": (14, 56),
    "execute-share.onward": (14, 42),
    "execute-block": (0, 1),
    "update-state-map": (1, 4),
    "write-block": (1, 4),
    "build-receipt": (14, 42),
    "verify-receipt": (4, 12),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A measured document beside the baseline. `why_not` says why they cannot be compared."""

    ratios: dict[str, float]
    over: tuple[str, ...]
    why_not: str


def measure(
    counter: Counter, stock: Path, times: Mapping[str, tuple[int, int]], jobs: int
) -> dict[str, int]:
    """Instructions for one call of each. Raises `CountingError`."""
    tasks = [f"{name}={count}" for name, pair in times.items() for count in pair]
    found = counter.count(stock, tasks, jobs)
    return {
        name: round((found[f"{name}={more}"] - found[f"{name}={few}"]) / (more - few))
        for name, (few, more) in times.items()
    }


def document(counter: Counter, calls: Mapping[str, int], scale: str) -> dict[str, Any]:
    """What a run found, with what it means nothing without."""
    return {
        "format": FORMAT,
        "command": "make instructions",
        "counter": counter.name,
        "material": scale,
        "machine": describe(),
        "calls": dict(calls),
    }


def compare(now: Mapping[str, Any], baseline: Mapping[str, Any] | None, over: float) -> Comparison:
    """Ratios to the baseline, and which of them are more than `over` per cent too high."""
    why_not = _why_not(now, baseline)
    if baseline is None:
        return Comparison(ratios={}, over=(), why_not=why_not)
    before = baseline["calls"]
    ratios = {
        name: count / before[name] for name, count in now["calls"].items() if before.get(name)
    }
    high = [name for name, ratio in ratios.items() if ratio > 1 + over / 100]
    return Comparison(ratios=ratios, over=() if why_not else tuple(high), why_not=why_not)


def _why_not(now: Mapping[str, Any], baseline: Mapping[str, Any] | None) -> str:
    if baseline is None:
        return "There is no baseline yet; --write makes one."
    here, there = now["machine"]["python"], baseline["machine"]["python"]
    if here != there:
        return (
            f"The ratios cannot be judged: this is Python {here}, the baseline's is {there}, "
            "and every interpreter takes its own number of instructions."
        )
    for key in ("counter", "material"):
        if now[key] != baseline[key]:
            return (
                f"The ratios cannot be judged: the {key} is {now[key]!r} here "
                f"and {baseline[key]!r} in the baseline."
            )
    return ""


def sentences(found: Comparison, over: float) -> list[str]:
    """What the numbers say."""
    if found.why_not:
        return [found.why_not]
    if not found.over:
        return [f"No call is more than {over:g} % over the baseline."]
    return [
        f"{name} takes {(found.ratios[name] - 1) * 100:.1f} % more instructions than the baseline; "
        f"allowed are {over:g} %."
        for name in found.over
    ]


def table(
    now: Mapping[str, Any], baseline: Mapping[str, Any] | None, found: Comparison
) -> list[str]:
    """Lines for people."""
    lines = [f"{'call':34} {'instructions':>14} {'of baseline':>12}"]
    for name, count in now["calls"].items():
        ratio = f"{found.ratios[name]:.3f}" if name in found.ratios else "new"
        lines.append(f"{name:34} {count:14,} {ratio:>12}")
    lines += ["", f"now:      {_origin(now)}"]
    if baseline is not None:
        lines.append(f"baseline: {_origin(baseline)}")
    return lines


def _origin(found: Mapping[str, Any]) -> str:
    machine = found["machine"]
    return (
        f"{found['counter']}, Python {machine['python']}, {machine['cpu']}, "
        f"commit {_short(machine['commit'])}"
    )


def _short(commit: str | None) -> str:
    if commit is None:
        return "unknown"
    return commit[:12] + (DIRTY if commit.endswith(DIRTY) else "")


def chosen_times(only: str | None) -> dict[str, tuple[int, int]]:
    """The calls whose name holds a text; all without one."""
    return {name: pair for name, pair in TIMES.items() if only is None or only in name}


def read_baseline(file: Path) -> dict[str, Any] | None:
    """The committed document, or None."""
    if not file.exists():
        return None
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    if found.get("format") != FORMAT:
        raise CountingError(f"{file}: format {found.get('format')!r}, expected {FORMAT!r}")
    return found


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", metavar="TEXT", help="calls whose name holds this text")
    parser.add_argument("--over", type=float, default=OVER_PER_CENT, metavar="PER CENT")
    parser.add_argument("--baseline", type=Path, default=BASELINE, metavar="FILE")
    parser.add_argument("--write", action="store_true", help="replace the baseline")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--tiny", action="store_true", help="small material: does it work at all?")
    parser.add_argument("--jobs", type=int, default=cores(), help="processes at once")
    chosen = parser.parse_args(arguments)
    if not chosen_times(chosen.only):
        parser.error(f"no call is named like {chosen.only!r}; there are {', '.join(TIMES)}")
    if chosen.write and (chosen.only is not None or chosen.tiny):
        parser.error("a baseline has all calls, on the whole material")
    return chosen


def main(arguments: Sequence[str] | None = None) -> int:
    """Count, compare, print."""
    chosen = parsed(arguments)
    counter = find_counter()
    if counter is None:
        sys.stderr.write(HELP)
        return 2
    commit = describe()["commit"]
    if chosen.write and (commit is None or commit.endswith(DIRTY)):
        sys.stderr.write(
            f"--write: a baseline is of a commit, at which it can be made again; this is "
            f"{_short(commit)}\n"
        )
        return 2
    try:
        baseline = read_baseline(chosen.baseline)
        with tempfile.TemporaryDirectory() as name:
            stock = Path(name)
            build_stock(stock, TINY if chosen.tiny else WHOLE)
            calls = measure(counter, stock, chosen_times(chosen.only), chosen.jobs)
    except CountingError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    now = document(counter, calls, "tiny" if chosen.tiny else "whole")
    found = compare(now, baseline, chosen.over)
    said = sentences(found, chosen.over)
    if chosen.write:
        said = [f"{chosen.baseline.name} holds these counts from now on."]
    if chosen.json:
        judged = {
            "baseline": baseline and {key: baseline[key] for key in ("counter", "machine")},
            "ratios": found.ratios,
            "over": found.over,
            "said": said,
        }
        print(json.dumps({**now, "compared": judged}, indent=2))
    else:
        print("\n".join([*table(now, baseline, found), "", *said]))
    if chosen.write:
        chosen.baseline.write_text(json.dumps(now, indent=2) + "\n", encoding="utf-8")
        return 0
    return int(bool(found.over))


if __name__ == "__main__":
    sys.exit(main())
