"""The mutation score: how many planted bugs the simulation catches, and how soon.

Each bug is tried in its worlds (`trials`), seed after seed from 0 on, until an oracle speaks or
the bound is reached. A seed that fails without the bug as well has caught nothing.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from onward.simulation.campaign import clear_away, workers
from onward.simulation.mutants import MUTANTS, ROOMS
from onward.simulation.run import CRASH
from onward.simulation.trials import try_seed

SEEDS_MAX = 12
CAUGHT_PERCENT_MIN = 95
_OWN_FILE = re.compile(rf", ({'|'.join((*ROOMS, 'mutant'))})\.py:|in on_(replica|config|host),")


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What became of one planted bug. `oracle` is empty where none spoke."""

    name: str
    room: str
    trial: str
    about: str
    seeds: int
    oracle: str
    failure: str
    cpu_s: float

    @property
    def is_caught(self) -> bool:
        """Whether an oracle spoke."""
        return bool(self.oracle)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """All of them, and what the seeds that caught them do without a bug."""

    scores: tuple[Score, ...]
    false_alarms: tuple[tuple[str, int, str], ...]
    cpu_s: float

    @property
    def caught(self) -> int:
        """How many were caught by a seed that is clean without the bug."""
        false = {(trial, seed) for trial, seed, _ in self.false_alarms}
        return sum(
            item.is_caught and (item.trial, item.seeds - 1) not in false for item in self.scores
        )

    @property
    def is_enough(self) -> bool:
        """Whether so many were caught that the oracles are worth their name."""
        return self.caught * 100 >= CAUGHT_PERCENT_MIN * len(self.scores)

    @property
    def summary(self) -> str:
        """One line."""
        percent = 100 * self.caught / max(1, len(self.scores))
        return (
            f"{self.caught} of {len(self.scores)} planted bugs caught ({percent:.1f} %), "
            f"{len(self.false_alarms)} false alarms, {self.cpu_s:.0f} s of CPU"
        )

    def as_json(self) -> dict[str, object]:
        """The same for programs."""
        return {
            "mutants": len(self.scores),
            "caught": self.caught,
            "cpu_seconds": round(self.cpu_s, 1),
            "false_alarms": [list(item) for item in self.false_alarms],
            "scores": [
                {
                    "name": item.name,
                    "room": item.room,
                    "trial": item.trial,
                    "about": item.about,
                    "caught": item.is_caught,
                    "seeds": item.seeds,
                    "oracle": item.oracle,
                    "failure": item.failure,
                    "cpu_seconds": round(item.cpu_s, 1),
                }
                for item in self.scores
            ],
        }


def score(names: Sequence[str], jobs: int = 1, seeds_max: int = SEEDS_MAX) -> Iterator[Score]:
    """Try these bugs, over `jobs` processes; each score as it comes."""
    work = partial(score_one, seeds_max=seeds_max)
    if jobs <= 1:
        yield from map(work, names)
        return
    with workers(jobs) as pool:
        yield from pool.imap_unordered(work, names)


def conclude(scores: Sequence[Score]) -> Scores:
    """Run the seeds that caught something once more, with nothing planted."""
    began = time.process_time()
    caught = sorted({(item.trial, item.seeds - 1) for item in scores if item.is_caught})
    alarms = tuple(
        (trial, seed, failure)
        for trial, seed in caught
        if (failure := try_seed(trial, seed, None).failure)
    )
    spent_s = time.process_time() - began + sum(item.cpu_s for item in scores)
    places = {name: place for place, name in enumerate(MUTANTS)}
    ordered = sorted(scores, key=lambda item: places[item.name])
    return Scores(scores=tuple(ordered), false_alarms=alarms, cpu_s=spent_s)


def score_one(name: str, seeds_max: int = SEEDS_MAX) -> Score:
    """Try one bug."""
    bug = MUTANTS[name]
    began = time.process_time()
    oracle = failure = ""
    seeds = 0
    while not oracle and seeds < seeds_max:
        failure = try_seed(bug.trial, seeds, bug()).failure
        oracle = oracle_of(failure)
        seeds += 1
        clear_away()
    return Score(
        name=name,
        room=next(room for room, bugs in ROOMS.items() if name in bugs),
        trial=bug.trial,
        about=" ".join((bug.__doc__ or "").split()),
        seeds=seeds,
        oracle=oracle,
        failure=failure,
        cpu_s=time.process_time() - began,
    )


def oracle_of(failure: str) -> str:
    """Which oracle ended a run: its name, or the class of the error with which a node stopped.

    A Python error out of the node's own code ends a node as well; one out of a planted bug's says
    only that the bug is badly written.
    """
    if failure.startswith(CRASH):
        return "" if _OWN_FILE.search(failure) else "no crash"
    kind, _, rest = failure.partition(": ")
    return rest.partition(":")[0] if kind == "Violation" else kind
