"""What a campaign's seeds have in common is in what they draw, and in the command that replays."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from dataclasses import replace

import pytest
from click.testing import CliRunner

from onward.cli.simulate import simulate
from onward.simulation.campaign import interrupts_held, run_campaign, workers
from onward.simulation.plan import AS_DRAWN, Plan, Settings
from onward.simulation.run import Result


def result(seed: int) -> Result:
    return Result(seed=seed, failure="", events=10, blocks=1, bodies=1, simulated_ms=1, audit="")


@pytest.mark.parametrize("size", [4, 7, 25])
def test_every_seed_has_as_many_validators_as_are_asked_for(size: int) -> None:
    settings = Settings(validators=size)
    assert {settings.plan(seed).options.validators for seed in range(30)} == {size}


def test_the_command_that_replays_a_seed_draws_the_same_plan(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without the campaign's settings it would show another world, in which nothing fails."""
    played: list[Plan] = []

    def replay(plan: Plan, **_: object) -> int:
        played.append(plan)
        return 0

    monkeypatch.setattr("onward.cli.simulate._replay", replay)
    for settings in (AS_DRAWN, Settings(mutant="send-before-persist", validators=7)):
        arguments = settings.command(9).split()[2:]
        assert CliRunner().invoke(simulate, arguments).exit_code == 0
        assert played.pop() == settings.plan(9)


def test_an_interrupted_campaign_reports_what_was_done_and_is_not_clean(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever stops it after an hour wants that hour's figures, and no verdict on the rest."""

    def run_one(seed: int, settings: Settings) -> Result:
        del settings
        if seed == 2:
            raise KeyboardInterrupt
        return result(seed)

    monkeypatch.setattr("onward.simulation.campaign.run_one", run_one)
    told = CliRunner().invoke(simulate, ["--seeds", "0:4", "--json"])
    document = json.loads(told.stdout)
    assert (document["seeds"], document["interrupted"], document["failed"]) == (2, True, [])
    assert document["totals"]["events"] == 20
    assert told.exit_code != 0


def test_processor_time_is_that_of_the_seeds_and_of_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The start of workers and what surrounds the seeds differ with their number and the jobs."""

    class Spending:
        def __init__(self, seed: int) -> None:
            self._seed = seed

        def run(self) -> Result:
            clock["cpu_s"] += 0.5
            return result(self._seed)

    def progress(_done: int, _result: Result) -> None:
        clock["cpu_s"] += 100

    clock = {"cpu_s": 7.0}
    monkeypatch.setattr(Settings, "plan", lambda _, seed: Spending(seed))
    monkeypatch.setattr("onward.simulation.campaign.time.process_time", lambda: clock["cpu_s"])
    report = run_campaign(range(4), progress=progress)
    assert report.cpu_seconds_per_seed == 0.5


def test_what_a_seed_costs_is_no_part_of_what_it_did() -> None:
    """Two runs of a seed are equal: whoever compares them compares no clocks."""
    assert result(1) == replace(result(1), cpu_s=3.0)


def test_a_worker_never_hears_the_interrupt_that_its_campaign_hears() -> None:
    """In the middle of its start it would print where it was, once for each worker."""
    with workers(1) as pool:
        assert signal.SIGINT in pool.apply(signal.pthread_sigmask, (signal.SIG_BLOCK, ()))
        assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.fixture
def _heeding() -> Iterator[None]:
    """A shell lets its background jobs ignore interrupts, and so all that they start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_heeding")
def test_an_interrupt_while_workers_start_is_heard_after_that() -> None:
    """It would else leave workers behind that nobody ends, or be lost."""
    reached = []

    def start() -> None:
        with interrupts_held():
            signal.raise_signal(signal.SIGINT)
            reached.append("the end")

    with pytest.raises(KeyboardInterrupt):
        start()
    assert reached == ["the end"]
