"""Two of four validators are stopped for a minute, or cut off from the other two, and come back.

    python -m tests.campaigns.pauses --trials 20 --pause-s 60
    python -m tests.campaigns.pauses --fault split --trials 20 --pause-s 60     takes root

No quorum is left, so no block may become final meanwhile. When the pause is over, all four must
have the next one within `RESUME_S_MAX`, with nobody started again: nobody is faulty any more, so no
leader's time-out is added to the promise (design goal: 2 s and the longest time-out of a view for
each faulty leader in a row). The pairs take turns. Clients keep trying all the time, and each gets
its verdict in the end.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Collection
from dataclasses import dataclass
from itertools import combinations, cycle, islice
from typing import Any

from tests.campaigns.course import AnyTrial, Course
from tests.campaigns.figures import (
    add_folder,
    at_least_one,
    clean_up_on_sigterm,
    network_folder,
    progress,
    spread,
    tell,
    wall_clock,
)
from tests.campaigns.host import undisturbed
from tests.support import namespaces
from tests.support.observer import Observer, observing
from tests.support.outages import ON_CABLES, Outage, begin, end, network_for, process_ids
from tests.support.real_network import RealNetwork
from tests.support.steady_load import SteadyLoad, steady_load

from onward.bench.machine import host_taken, ticks
from onward.errors import Unavailable
from onward.simulation.pace import RESUME_MS

RESUME_S_MAX = RESUME_MS / 1000
WATCHED_S = 1.0  # after the pause
ENDING_S = 1.0  # what is under way when the pause begins may still become final
BEFORE = 30  # acknowledged transactions before each pause
SIZE = 4
FAULTS = (Outage.FREEZE, Outage.SPLIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial(AnyTrial):
    """One pause: who was away, and how blocks came after it."""

    at: str  # when the pause was over; of the day, UTC
    away: tuple[int, ...]
    first_s: float
    next_s: float
    stall_s: float
    settled_s: float


async def pause(
    network: RealNetwork,
    observer: Observer,
    load: SteadyLoad,
    *,
    fault: Outage,
    away: Collection[int],
    pause_s: float,
) -> Trial:
    """These are away for a while. Raises `Unavailable` when a block comes without a quorum."""
    await load.more(BEFORE)
    before = process_ids(network)
    everybody = range(len(network.nodes))
    asked = [index for index in everybody if fault is Outage.SPLIT or index not in away]
    await begin(network, fault, away)
    await asyncio.sleep(ENDING_S)
    height = await observer.height(asked)
    await asyncio.sleep(pause_s - ENDING_S)
    later = await observer.height(asked)
    if later != height:
        raise Unavailable(f"height {height} became {later} while no quorum was there")
    at, since, before_ticks = wall_clock(), time.monotonic(), ticks()
    await end(network, fault, away)
    waits = await observer.watch(everybody, since=since, for_s=WATCHED_S, above=height)
    taken = host_taken(before_ticks, ticks())
    await observer.settled()
    load.spread()
    if process_ids(network) != before:
        raise Unavailable(f"processes {before} became {process_ids(network)}: somebody ended")
    return Trial(
        at=at,
        away=tuple(away),
        first_s=waits.first_s,
        next_s=waits.next_s,
        stall_s=waits.stall_s,
        settled_s=time.monotonic() - since,
        taken=taken,
    )


async def campaign(
    network: RealNetwork, course: Course[Trial], fault: Outage, pause_s: float, per_s: int
) -> None:
    """All trials, and those that the host disturbed; then nothing acknowledged is missing."""
    pairs = list(islice(cycle(combinations(range(SIZE), 2)), course.wanted))
    await network.start()
    async with (
        observing(network) as observer,
        steady_load(network, per_s=per_s, patience_s=pause_s + 60) as load,
    ):
        course.load = load
        await undisturbed(
            course,
            lambda number: pause(
                network, observer, load, fault=fault, away=pairs[number], pause_s=pause_s
            ),
        )
    progress(f"comparing {len(load.told)} acknowledged transactions with every validator's")
    await network.level(max(height for height, _ in load.told.values()))
    await network.expect_told(load.told)
    course.is_compared = True


def figures(fault: Outage, pause_s: float, course: Course[Trial]) -> dict[str, Any]:
    """What came out so far, and whether it is what is promised."""
    names = ("first_s", "next_s", "stall_s", "settled_s")
    spreads = {name: spread([getattr(item, name) for item in course.kept]) for name in names}
    is_in_time = spreads["next_s"].get("max", 0.0) <= RESUME_S_MAX
    return {
        "campaign": "pauses",
        "fault": str(fault),
        "pause_s": pause_s,
        "trials": len(course.kept),
        "passed": course.has_passed(is_in_time=is_in_time),
        **spreads,
        "next_s_disturbed": spread([item.next_s for item in course.disturbed]),
        **course.of_all_trials(),
    }


def main() -> int:
    """Run the campaign and tell its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fault", type=Outage, choices=FAULTS, default=Outage.FREEZE)
    parser.add_argument("--trials", type=at_least_one, default=20)
    parser.add_argument("--pause-s", type=float, default=60)
    parser.add_argument("--per-s", type=int, default=60, help="transactions a second")
    add_folder(parser)
    parser.add_argument("--json", action="store_true", help="the figures as one JSON document")
    given = parser.parse_args()
    if given.pause_s < ENDING_S:
        parser.error(f"--pause-s: at least {ENDING_S}")
    if given.fault in ON_CABLES and (reason := namespaces.why_not()):
        progress(f"skipped: {reason}")
        return 2
    clean_up_on_sigterm()
    began = time.monotonic()
    course = Course[Trial](wanted=given.trials)
    try:
        with (
            network_folder(given.folder) as folder,
            network_for(given.fault, folder, validators=SIZE) as network,
        ):
            asyncio.run(campaign(network, course, given.fault, given.pause_s, given.per_s))
    finally:  # hours of trials are not lost with the last one
        document = figures(given.fault, given.pause_s, course)
        document["seconds"] = round(time.monotonic() - began)
        tell(document, as_json=given.json)
    return int(not document["passed"])


if __name__ == "__main__":
    sys.exit(main())
