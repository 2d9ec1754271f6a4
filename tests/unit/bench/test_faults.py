"""Faults on purpose: what was stopped goes on again, and only who shall lie is given to a liar."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from onward.bench import faults
from onward.bench.faults import Fault, FaultKind, happen, liar_command, liars, prepare
from onward.network.definition import Network
from onward.network.processes import NodeProcess


class Machine:
    """Processes that are numbers, on a clock that sleeping moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 100.0
        self.told: list[tuple[float, int, int]] = []
        self.pid: int | None = 7
        self.started: list[tuple[str, object]] = []
        self.give_up_s: float | None = None
        self.ends_s: float | None = None
        self.replaced_s: float | None = None
        monkeypatch.setattr(
            faults,
            "asyncio",
            SimpleNamespace(sleep=self.sleep, to_thread=asyncio.to_thread),
        )
        monkeypatch.setattr(
            faults, "time", SimpleNamespace(monotonic=lambda: self.now_s, sleep=lambda _: None)
        )
        monkeypatch.setattr(os, "kill", self.kill)
        monkeypatch.setattr(faults, "running", self.running)
        monkeypatch.setattr(faults, "start", self.start)
        monkeypatch.setattr(faults, "stop", lambda _nodes: ())

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        if self.give_up_s is not None and self.now_s >= self.give_up_s:
            raise asyncio.CancelledError

    def kill(self, pid: int, number: int) -> None:
        if self.pid is None or (self.ends_s is not None and self.now_s >= self.ends_s):
            raise ProcessLookupError(pid)
        self.told.append((round(self.now_s - 100, 3), pid, number))

    def running(self, _node: object) -> NodeProcess | None:
        gone = self.ends_s is not None and self.now_s >= self.ends_s
        if self.replaced_s is not None and self.now_s >= self.replaced_s:
            return NodeProcess(pid=8, started=2)
        return None if self.pid is None or gone else NodeProcess(pid=self.pid, started=1)

    def start(self, _network: object, node: Any, *, line: object = None) -> None:
        self.started.append((node.name, line))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def network(folder: Path) -> Network:
    places = {name: SimpleNamespace(name=name, home=folder / name) for name in ("v1", "v2")}
    for place in places.values():
        place.home.mkdir()
    return cast("Network", SimpleNamespace(node=places.__getitem__))


def fault(kind: FaultKind) -> Fault:
    return Fault(kind=kind, validator="v2", at_s=1.0, for_s=2.0)


async def test_a_slow_validator_stands_still_for_four_fifths_of_the_time(
    machine: Machine, tmp_path: Path
) -> None:
    note = await happen(fault(FaultKind.SLOW), network(tmp_path), 100.0)
    assert note["stopped_s"] == pytest.approx(1.6)
    stops = [at for at, _, number in machine.told if number == signal.SIGSTOP]
    assert len(stops) >= 20
    assert stops[0] == 1.0
    assert machine.now_s == pytest.approx(103.0)
    assert machine.told[-1][2] == signal.SIGCONT


@pytest.mark.parametrize("kind", [FaultKind.SLOW, FaultKind.FREEZE])
async def test_a_run_that_is_given_up_leaves_nobody_stopped(
    kind: FaultKind, machine: Machine, tmp_path: Path
) -> None:
    """A stopped process would stay for ever, and nobody would know why."""
    machine.give_up_s = 101.55
    with pytest.raises(asyncio.CancelledError):
        await happen(fault(kind), network(tmp_path), 100.0)
    assert machine.told[-1][2] == signal.SIGCONT


async def test_a_process_that_ended_meanwhile_is_told_nothing_more(
    machine: Machine, tmp_path: Path
) -> None:
    """Its number may be somebody else's by now."""
    machine.ends_s = 101.35
    await happen(fault(FaultKind.SLOW), network(tmp_path), 100.0)
    assert all(at < 1.35 for at, _, _ in machine.told)


async def test_who_was_started_in_its_place_is_left_alone(machine: Machine, tmp_path: Path) -> None:
    machine.replaced_s = 101.35
    await happen(fault(FaultKind.SLOW), network(tmp_path), 100.0)
    stops = [at for at, _, number in machine.told if number == signal.SIGSTOP]
    assert max(stops) < 1.35
    assert {pid for _, pid, _ in machine.told} == {7}


async def test_a_liar_lies_for_its_time_and_says_afterwards_what_it_lied(
    machine: Machine, tmp_path: Path
) -> None:
    ours = network(tmp_path)
    (tmp_path / "v2" / faults.LIES_NAME).write_text('{"lie.double_vote": 3}', encoding="utf-8")
    note = await happen(fault(FaultKind.EQUIVOCATE), ours, 100.0)
    assert note == {"lies": {"lie.double_vote": 3}, "fell_over": False}
    assert machine.told == [(1.0, 7, faults.BEGIN_LYING), (3.0, 7, faults.END_LYING)]
    assert machine.started == []


async def test_a_liar_that_fell_over_its_lies_comes_back_as_an_honest_node(
    machine: Machine, tmp_path: Path
) -> None:
    machine.ends_s = 102.0
    note = await happen(fault(FaultKind.EQUIVOCATE), network(tmp_path), 100.0)
    assert note == {"lies": {}, "fell_over": True}
    assert machine.started == [("v2", None)]


def test_only_who_shall_lie_is_replaced_by_a_program_that_can(
    machine: Machine, tmp_path: Path
) -> None:
    ours = network(tmp_path)
    honest = Fault(kind=FaultKind.KILL, validator="v1", at_s=0, for_s=1)
    assert liars((honest, fault(FaultKind.EQUIVOCATE))) == {"v2"}
    (tmp_path / "v2" / faults.LIES_NAME).write_text("{}", encoding="utf-8")
    prepare((honest, fault(FaultKind.EQUIVOCATE)), ours)
    assert machine.started == [("v2", liar_command(tmp_path / "v2"))]
    assert str((tmp_path / "v2").resolve()) in liar_command(tmp_path / "v2")
    assert not (tmp_path / "v2" / faults.LIES_NAME).exists()  # of an earlier run
