"""Validators of a running network are frozen, cut off and lost. The others go on, and so do all.

Samples of `python -m tests.campaigns.failover` and `python -m tests.campaigns.pauses`, which also
measure how long it takes (tests/README.md).
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.campaigns.failover import fail_leader
from tests.campaigns.pauses import pause
from tests.support import namespaces
from tests.support.observer import Observer, observing
from tests.support.outages import Outage, begin, end, network_for
from tests.support.real_network import RealNetwork
from tests.support.steady_load import SteadyLoad, steady_load

pytestmark = pytest.mark.timeout(120)
PER_S = 20
ACKNOWLEDGED = 10  # between two events of a story
WATCHED_S = 0.5
ROOT = Path(__file__).parents[2]

Story = Callable[[RealNetwork, Observer, SteadyLoad], Awaitable[None]]


def tell(story: Story, network: RealNetwork) -> None:
    """The story under a steady load; then nobody was refused and nothing is missing."""

    async def whole() -> None:
        await network.start()
        async with observing(network) as observer, steady_load(network, per_s=PER_S) as load:
            await story(network, observer, load)
        assert load.failures == []
        reports = await network.level(max(height for height, _ in load.told.values()))
        assert len({report.status.state_root for report in reports if report.status}) == 1
        await network.expect_told(load.told)

    with network:
        asyncio.run(whole())


def test_frozen_leader_is_passed_over_and_a_half_frozen_network_goes_on_by_itself(
    tmp_path: Path,
) -> None:
    """A frozen process keeps its connections: nobody is told that it is gone.

    Without one of four the others are a quorum. Without two they are none, and nothing may become
    final; ledgers have stayed stuck when such a fault was long over.
    """

    async def story(network: RealNetwork, observer: Observer, load: SteadyLoad) -> None:
        await fail_leader(network, observer, load, Outage.FREEZE, watched_s=WATCHED_S)
        await pause(network, observer, load, fault=Outage.FREEZE, away=(1, 2), pause_s=2)
        await load.more(ACKNOWLEDGED)

    tell(story, RealNetwork(tmp_path / "network"))


def test_cut_cables_of_the_leader_and_between_two_halves_are_survived(tmp_path: Path) -> None:
    """Packets vanish and no connection ends: nothing but the lack of an answer tells of a cut."""
    if reason := namespaces.why_not():
        pytest.skip(reason)

    async def story(network: RealNetwork, observer: Observer, load: SteadyLoad) -> None:
        await fail_leader(network, observer, load, Outage.CUT, watched_s=WATCHED_S)
        await pause(network, observer, load, fault=Outage.SPLIT, away=(0, 3), pause_s=2)
        await load.more(ACKNOWLEDGED)

    tell(story, network_for(Outage.CUT, tmp_path / "network"))


def test_seven_validators_go_on_without_two_of_them_the_leader_included(tmp_path: Path) -> None:
    """Sizes and quorums that are right for four only would show here."""

    async def story(network: RealNetwork, observer: Observer, load: SteadyLoad) -> None:
        await load.more(ACKNOWLEDGED)
        leader = await observer.leader()
        dead, frozen = leader, (leader + 1) % 7
        since = time.monotonic()
        await begin(network, Outage.KILL, (dead,))
        await begin(network, Outage.FREEZE, (frozen,))
        await observer.watch(set(range(7)) - {dead, frozen}, since=since, for_s=WATCHED_S)
        await load.more(ACKNOWLEDGED)
        assert await observer.statuses((dead, frozen)) == {}
        await end(network, Outage.FREEZE, (frozen,))
        await end(network, Outage.KILL, (dead,))
        await observer.settled()

    tell(story, RealNetwork(tmp_path / "network", validators=7))


KILLED_RUN = """
import subprocess, time
from tests.support.namespaces import Namespaces
with Namespaces(1) as lab:
    node = subprocess.Popen(lab.command(0, ["sleep", "100"]))
    print(lab.name, flush=True)
    time.sleep(100)
"""


def test_namespaces_of_a_killed_run_are_removed_by_the_next_and_of_a_running_one_are_not() -> None:
    """Nobody tidies up behind SIGKILL, and a machine fills with switches and old processes."""
    if reason := namespaces.why_not():
        pytest.skip(reason)
    line = [sys.executable, "-c", KILLED_RUN]
    with subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, text=True) as run:
        try:
            assert run.stdout is not None
            name = run.stdout.readline().strip()
            namespaces.sweep()
            assert name in namespaces.runs()
        finally:
            run.kill()
    namespaces.sweep()
    assert name not in namespaces.runs()
