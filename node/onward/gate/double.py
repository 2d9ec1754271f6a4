"""Double execution: the same contract in processes that differ in all that may not matter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from onward import limits
from onward.errors import MalformedError
from onward.gate.subject import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """How one process differs from the others."""

    name: str
    variables: Mapping[str, str]
    options: tuple[str, ...] = ()
    clock_shift_s: int = 0
    warm: bool = False  # it has done everything once before
    deeper: int = 0  # frames further down the stack
    collect_often: bool = False


# An island of our own time zone needs no table of zones.
SURROUNDINGS = (
    Surroundings(
        name="plain",
        variables={"PYTHONHASHSEED": "0", "TZ": "UTC", "LC_ALL": "C", "USER": "one", "LANG": "C"},
    ),
    Surroundings(
        name="elsewhere",
        variables={
            "PYTHONHASHSEED": "4242",
            "TZ": "ISLE-12:45",
            "LC_ALL": "C.UTF-8",
            "LANG": "tr_TR.UTF-8",
            "USER": "two",
            "HOME": "/nowhere",
        },
        options=("-O",),
        clock_shift_s=40_000_123,
        deeper=200,
    ),
    Surroundings(
        name="after a long time",
        variables={"PYTHONHASHSEED": "7", "TZ": "REEF+10", "LC_ALL": "POSIX", "USER": "three"},
        clock_shift_s=-90_061,
        warm=True,
        collect_often=True,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A key under which the executions left different things; `values`: by surroundings."""

    key: str
    values: Mapping[str, str]

    def __str__(self) -> str:
        """For people."""
        told = ", ".join(f"{name}: {value}" for name, value in self.values.items())
        return f"{self.key} differs ({told})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Executions:
    """What the executions of one contract showed."""

    accepted: int
    compared: int
    differences: tuple[Difference, ...]
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A contract and the scenario files that are run with it; none: calls of the gate's own."""

    subject: Subject
    scenarios: tuple[str, ...] = field(default=())


def execute(trials: tuple[Trial, ...]) -> dict[str, Executions]:
    """Run every trial once in each surroundings, at the same time, and compare, by label."""
    with tempfile.TemporaryDirectory() as folder:
        running = [_start(each, trials, Path(folder)) for each in SURROUNDINGS]
        traces = {
            each.name: _answer(process) for each, process in zip(SURROUNDINGS, running, strict=True)
        }
    labels = [trial.subject.label for trial in trials]
    return {
        label: compare({name: found[label] for name, found in traces.items()}) for label in labels
    }


def compare(traces: Mapping[str, Mapping[str, Any]]) -> Executions:
    """Every key that any execution left, and what each left under it."""
    plain = next(iter(traces.values()))
    keys = list(dict.fromkeys(key for trace in traces.values() for key in trace["rows"]))
    differences = [
        Difference(key=key, values=values)
        for key in keys
        if len(set((values := _under(key, traces)).values())) > 1
    ]
    return Executions(
        accepted=plain["accepted"],
        compared=len(keys),
        differences=tuple(differences[: limits.GATE_DIFFERENCES_MAX]),
        failure=plain["rows"].get("loading", ""),
    )


def _under(key: str, traces: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    return {name: trace["rows"].get(key, "nothing") for name, trace in traces.items()}


def _start(
    each: Surroundings, trials: tuple[Trial, ...], folder: Path
) -> tuple[subprocess.Popen[str], str]:
    own = folder / each.name
    own.mkdir()
    job = {
        "clock_shift_s": each.clock_shift_s,
        "collect_often": each.collect_often,
        "deeper": each.deeper,
        "subjects": [asdict(trial) for trial in trials],
        "warm": each.warm,
    }
    search = os.pathsep.join(path for path in sys.path if path)
    kept = {name: os.environ[name] for name in ("PATH",) if name in os.environ}
    process = subprocess.Popen(
        [sys.executable, *each.options, "-m", "onward.gate.trial"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=own,
        env={**kept, "PYTHONPATH": search, **each.variables},
    )
    return process, json.dumps(job)


def _answer(started: tuple[subprocess.Popen[str], str]) -> dict[str, Any]:
    process, job = started
    try:
        said, complaint = process.communicate(job, timeout=limits.GATE_TRIAL_S_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise MalformedError(
            f"the contract did not end within {limits.GATE_TRIAL_S_MAX} s"
        ) from None
    if process.returncode != 0:
        raise MalformedError(f"the trial ended with {process.returncode}: {complaint[-500:]}")
    traces: dict[str, Any] = json.loads(said)
    return traces
