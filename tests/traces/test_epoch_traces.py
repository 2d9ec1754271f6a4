"""What whole nodes report while their validators change, line by line."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests import datadriven

from onward.simulation.faults import Options
from onward.simulation.world import World

TRACES = sorted(Path(__file__).parent.glob("epoch_*.txt"))
TOLD = {"caught_up", "epoch_begun", "epoch_ended", "finalized", "forgot_vote"}


class EvenLinks:
    """Every message takes as long as the one before: one more of them moves nothing."""

    def expovariate(self, rate: float) -> float:
        return 0.0 * rate

    def randrange(self, stop: int) -> int:
        return stop - 1


class Transcript:
    """Performs the commands of a trace on a simulated network."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.world = World(seed=0)

    def perform(self, step: datadriven.Step) -> str:
        arguments = step.arguments
        self.lines.clear()
        match step.command:
            case "network":
                options = Options(
                    validators=int(arguments["validators"]),
                    newcomers=int(arguments["newcomers"]),
                    delay_ms_mean=1,
                )
                self.world = World(seed=0, options=options, trace=self.say)
                self.world.network._rng = EvenLinks()  # type: ignore[assignment]
            case "change":
                members = tuple(map(int, arguments["members"].split(",")))
                self.world.change_validators(members)
            case "crash":
                self.world.crash(int(arguments["node"]))
            case "boot":
                self.world.reboot(int(arguments["node"]))
            case "run":
                self.world.run_ms(int(arguments["ms"]))
            case "standing":
                return "\n".join(self.standing())
            case _:
                raise ValueError(step.command)
        return "\n".join(self.lines)

    def say(self, line: str) -> None:
        head, *parts = line.split(" | ")
        told = [part for part in parts if part.split(" ")[0] in TOLD]
        now_ms, name = head.split()[:2]
        self.lines += [f"{now_ms:>6} {name}: {part}" for part in told]

    def standing(self) -> list[str]:
        """Where each machine stands."""
        lines = []
        for host in self.world.hosts:
            epoch = getattr(host.machine, "epoch", "-")
            votes = "votes" if getattr(host.machine, "is_validator", False) else "does not vote"
            lines.append(f"{host.name}: height {host.height}, epoch {epoch}, {votes}")
        return lines


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
def test_trace_is_what_was_approved(path: Path, request: pytest.FixtureRequest) -> None:
    datadriven.run(path, Transcript().perform, rewrite=request.config.getoption("--rewrite"))


def test_there_are_traces() -> None:
    assert TRACES
