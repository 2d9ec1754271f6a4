"""What the campaigns count, and what they leave to the host."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from tests.campaigns.figures import spread
from tests.campaigns.host import ATTEMPTS_MAX, TAKEN_MAX, undisturbed


@dataclass(frozen=True)
class Trial:
    number: int
    taken: float


def trials(count: int, taken: Sequence[float]) -> tuple[list[Trial], list[Trial]]:
    """A campaign of `count` on a host that takes so much of each attempt."""
    coming = iter(taken)

    async def attempt(number: int) -> Trial:
        return Trial(number, next(coming))

    return asyncio.run(undisturbed(count, attempt))


def test_a_trial_that_the_host_disturbed_is_told_apart_and_made_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A second without a processor would else be called a slow network, or hide one."""
    kept, disturbed = trials(3, [0.0, 0.9, TAKEN_MAX, 0.3, 0.1])
    assert [item.number for item in kept] == [0, 1, 2]
    assert [item.taken for item in disturbed] == [0.9, 0.3]
    assert capsys.readouterr().err.count("not counted") == 2


def test_a_campaign_on_a_host_that_never_lets_it_run_ends_with_too_few() -> None:
    """It fails then, and says nothing of the network; it does not go on for ever."""
    kept, disturbed = trials(2, [0.5] * 100)
    assert kept == []
    assert len(disturbed) == 2 * ATTEMPTS_MAX


def test_nothing_has_no_spread() -> None:
    assert spread([]) == {}
    assert spread([3.0, 1.0, 2.0]) == {"p50": 2.0, "p99": 3.0, "max": 3.0}
