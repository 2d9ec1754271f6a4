"""The host's part: on a rented machine the processors are taken away, for seconds at a time.

While nobody runs, nobody votes. A promise about time is one about a machine that runs, so a trial
in which the host took more than `TAKEN_OF_TRIAL_MAX` is told apart, and made again. Where the
kernel does not tell what the host took, every trial counts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tests.campaigns.course import Course, Trial
from tests.campaigns.figures import progress

TAKEN_OF_TRIAL_MAX = 0.25
"""Share of all processors' time until the blocks came again, which is watched for 3 s after a
leader's fault, 1 s after a pause, and longer while no block comes. A second without any processor
is more of 3 s; of a wait of 4 s and more it is less, and the wait counts."""

ATTEMPTS_MAX = 2
"""A campaign gives up after so many trials for each that it wants."""


async def undisturbed(course: Course[Trial], attempt: Callable[[int], Awaitable[Trial]]) -> None:
    """Make as many trials as are wanted that the host let run, and tell apart those it did not.

    `attempt`: makes one trial, and is told how many count so far. There are fewer than wanted where
    the host took too much of too many. What it raises ends the campaign: of a network that did not
    come back there is no next trial.
    """
    kept, disturbed = course.kept, course.disturbed
    while len(kept) < course.wanted and len(kept) + len(disturbed) < ATTEMPTS_MAX * course.wanted:
        trial = await attempt(len(kept))
        is_kept = trial.taken is None or trial.taken <= TAKEN_OF_TRIAL_MAX
        (kept if is_kept else disturbed).append(trial)
        progress(f"{len(kept):3}/{course.wanted} {trial}{'' if is_kept else ' (not counted)'}")
