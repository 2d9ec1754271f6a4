"""What a campaign's seeds have in common is in what they draw, and in the command that replays."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from onward.cli.simulate import simulate
from onward.simulation.plan import AS_DRAWN, Plan, Settings


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
