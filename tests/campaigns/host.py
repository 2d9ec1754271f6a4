"""The host's part: on a rented machine the processors are taken away, for seconds at a time.

While nobody runs, nobody votes. A promise about time is one about a machine that runs, so a trial
in which the host took more than `TAKEN_MAX` is told apart, and made again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from tests.campaigns.figures import progress

TAKEN_MAX = 0.25
"""Share of all processors' time. A second without any, of the three that are watched, is more."""

ATTEMPTS_MAX = 2
"""A campaign gives up after so many trials for each that it wants."""


class _Trial(Protocol):
    @property
    def taken(self) -> float: ...


Trial = TypeVar("Trial", bound=_Trial)


async def undisturbed(
    count: int, attempt: Callable[[int], Awaitable[Trial]]
) -> tuple[list[Trial], list[Trial]]:
    """So many trials that the host let run, and those that it did not.

    `attempt`: makes one trial, and is told how many count so far. There are fewer than `count`
    where the host took too much of too many.
    """
    kept: list[Trial] = []
    disturbed: list[Trial] = []
    while len(kept) < count and len(kept) + len(disturbed) < ATTEMPTS_MAX * count:
        trial = await attempt(len(kept))
        is_kept = trial.taken <= TAKEN_MAX
        (kept if is_kept else disturbed).append(trial)
        progress(f"{len(kept):3}/{count} {trial}{'' if is_kept else ' (not counted)'}")
    return kept, disturbed
