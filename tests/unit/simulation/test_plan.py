"""What a campaign's seeds have in common is in what they draw, and in the command that replays."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from onward.cli.simulate import simulate
from onward.simulation.plan import AS_DRAWN, Plan, Settings
from onward.simulation.run import Result


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
        return Result(
            seed=seed, failure="", events=10, blocks=1, bodies=1, simulated_ms=1, audit=""
        )

    monkeypatch.setattr("onward.simulation.campaign.run_one", run_one)
    told = CliRunner().invoke(simulate, ["--seeds", "0:4", "--json"])
    document = json.loads(told.stdout)
    assert (document["seeds"], document["interrupted"], document["failed"]) == (2, True, [])
    assert document["totals"]["events"] == 20
    assert told.exit_code != 0
