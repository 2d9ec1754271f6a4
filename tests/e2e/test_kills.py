"""Node processes are killed under load. What a client was told stays true.

How long finality stalls is measured by `python -m tests.campaigns.kills` (tests/README.md).
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.campaigns.kills import caught_up
from tests.support.real_network import RealNetwork, streaming

ACKNOWLEDGED = 25  # between two events of a story


@pytest.mark.timeout(120)
def test_sigkill_of_one_validator_loses_nothing_and_it_catches_up(tmp_path: Path) -> None:
    """Three validators are a quorum: they go on whoever is gone, the leader included.

    Whoever comes back has missed blocks, and must come to the very same state.
    """

    async def story(network: RealNetwork) -> None:
        await network.start()
        async with streaming(network, clients=(0, 1, 2, 3)) as stream:
            for views_ahead in (0, 3):  # the leader of the view; one whose turn is far
                await stream.more(ACKNOWLEDGED)
                victim = await network.led_by(views_ahead)
                await network.kill(network.nodes[victim])
                await stream.more(ACKNOWLEDGED)
                await network.start(network.nodes[victim])
                await caught_up(network, victim)
        await network.level(max(height for height, _ in stream.told.values()))
        await network.expect_told(stream.told)

    with RealNetwork(tmp_path / "network") as network:
        asyncio.run(story(network))


@pytest.mark.timeout(120)
def test_sigkill_of_all_validators_at_once_loses_nothing_and_the_network_goes_on(
    tmp_path: Path,
) -> None:
    """Nobody is left to ask: every promise has to come back from the validators' own disks."""

    async def story(network: RealNetwork) -> None:
        await network.start()
        async with streaming(network, clients=(0, 1, 2, 3)) as stream:
            await stream.more(ACKNOWLEDGED)
            await network.kill(*network.nodes)
            before = dict(stream.told)
            await network.start()
            await stream.more(ACKNOWLEDGED)
        reports = await network.level(max(height for height, _ in stream.told.values()))
        assert len({report.status.state_root for report in reports if report.status}) == 1
        assert before.items() <= stream.told.items()
        await network.expect_told(stream.told)

    with RealNetwork(tmp_path / "network") as network:
        asyncio.run(story(network))
