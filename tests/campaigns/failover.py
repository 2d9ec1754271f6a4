"""The leader is killed, frozen or cut off under a steady load, again and again.

    python -m tests.campaigns.failover --fault kill --trials 50
    python -m tests.campaigns.failover --fault freeze --trials 50
    python -m tests.campaigns.failover --fault cut --trials 50      takes root

Each time the one that leads the current view goes. For `WATCHED_S` the others are asked how far
they are; then it comes back, and all have to be level and linked before the next one goes. At the
end every validator must hold everything that was acknowledged, with one state root.

Exit code 1 when the 99th percentile of the time until the next finalized block, or of the longest
wait for one, is above `NEXT_S_MAX`, when a client saw a failure in any trial, when a validator that
was not killed was started again, or when the host let too few trials run (tests/campaigns/host.py).
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from dataclasses import dataclass
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

NEXT_S_MAX = 2.0
WATCHED_S = 3.0  # how long each one is away, and longer while no block comes
BEFORE = 30  # acknowledged transactions before each fault
FAULTS = (Outage.KILL, Outage.FREEZE, Outage.CUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial(AnyTrial):
    """One fault: who, how blocks came to the others, how long until all was well again."""

    at: str  # of the day, UTC
    leader: int
    next_s: float
    stall_s: float
    back_s: float


async def fail_leader(
    network: RealNetwork,
    observer: Observer,
    load: SteadyLoad,
    fault: Outage,
    *,
    watched_s: float = WATCHED_S,
) -> Trial:
    """The leader goes, is missed, comes back. Raises `Unavailable` where something never ends."""
    await load.more(BEFORE)
    before = process_ids(network)
    leader = await observer.leader()
    others = [index for index in range(len(network.nodes)) if index != leader]
    at, since, before_ticks = wall_clock(), time.monotonic(), ticks()
    await begin(network, fault, (leader,))
    waits = await observer.watch(others, since=since, for_s=watched_s)
    taken = host_taken(before_ticks, ticks())
    await load.more(1)
    if leader in await observer.statuses((leader,)):
        raise Unavailable(f"{network.nodes[leader].name} still answers: {fault} did nothing")
    healed = time.monotonic()
    await end(network, fault, (leader,))
    await observer.settled()
    back_s = time.monotonic() - healed
    load.spread()
    if fault is not Outage.KILL and process_ids(network) != before:
        raise Unavailable(f"processes {before} became {process_ids(network)}: somebody ended")
    return Trial(
        at=at,
        leader=leader,
        next_s=waits.next_s,
        stall_s=waits.stall_s,
        back_s=back_s,
        taken=taken,
    )


async def campaign(network: RealNetwork, course: Course[Trial], fault: Outage, per_s: int) -> None:
    """All trials, and those that the host disturbed; then nothing acknowledged is missing."""
    await network.start()
    async with observing(network) as observer, steady_load(network, per_s=per_s) as load:
        course.load = load
        await undisturbed(course, lambda _: fail_leader(network, observer, load, fault))
    progress(f"comparing {len(load.told)} acknowledged transactions with every validator's")
    await network.level(max(height for height, _ in load.told.values()))
    await network.expect_told(load.told)
    course.is_compared = True


def figures(fault: Outage, course: Course[Trial]) -> dict[str, Any]:
    """What came out so far, and whether it is what is promised."""
    kept, disturbed = course.kept, course.disturbed
    next_s, stall_s = (spread([getattr(item, name) for item in kept]) for name in _WAITS)
    is_in_time = all(item.get("p99", 0.0) <= NEXT_S_MAX for item in (next_s, stall_s))
    return {
        "campaign": "failover",
        "fault": str(fault),
        "trials": len(course.kept),
        "passed": course.has_passed(is_in_time=is_in_time),
        "next_s": next_s,
        "stall_s": stall_s,
        "back_s": spread([item.back_s for item in kept]),
        **{f"{name}_disturbed": spread([getattr(i, name) for i in disturbed]) for name in _WAITS},
        **course.of_all_trials(),
    }


_WAITS = ("next_s", "stall_s")


def main() -> int:
    """Run the campaign and tell its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fault", type=Outage, choices=FAULTS, default=Outage.KILL)
    parser.add_argument("--trials", type=at_least_one, default=50)
    parser.add_argument("--validators", type=int, default=4)
    parser.add_argument("--per-s", type=int, default=60, help="transactions a second")
    add_folder(parser)
    parser.add_argument("--json", action="store_true", help="the figures as one JSON document")
    given = parser.parse_args()
    if given.fault in ON_CABLES and (reason := namespaces.why_not()):
        progress(f"skipped: {reason}")
        return 2
    clean_up_on_sigterm()
    began = time.monotonic()
    course = Course[Trial](wanted=given.trials)
    try:
        with (
            network_folder(given.folder) as folder,
            network_for(given.fault, folder, validators=given.validators) as network,
        ):
            asyncio.run(campaign(network, course, given.fault, given.per_s))
    finally:  # hours of trials are not lost with the last one
        document = figures(given.fault, course)
        document["seconds"] = round(time.monotonic() - began)
        tell(document, as_json=given.json)
    return int(not document["passed"])


if __name__ == "__main__":
    sys.exit(main())
