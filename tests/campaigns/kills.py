"""SIGKILL under a steady stream of transactions, and how long finality stalls.

    python -m tests.campaigns.kills            12 kills of one validator, then all four at once

A validator is killed while eight clients submit all the time; every third time the one that
leads the current view. It is started again and has to catch up; every fourth time it is killed once
more while it comes back. At the end every validator must
hold everything that was acknowledged, with one state root. Exit code 1 when finality stalled for
longer than `STALL_S_MAX`: the promise holds on a machine that has processors to spare.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.support.real_network import RealNetwork, Stream, streaming

from onward.errors import OnwardError
from onward.network import processes

STALL_S_MAX = 2.0
WATCHED_S = 3.0  # how long after a kill a stall is looked for
BEFORE = 30  # acknowledged transactions before each kill
CLIENTS = (0, 1, 2, 3) * 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """One kill: who, how long finality stalled, how long until it was level and linked again."""

    validator: int
    is_leader: bool
    stall_s: float
    back_s: float


async def kill_one(
    network: RealNetwork, stream: Stream, *, leader: bool, again_after_s: float = 0
) -> Kill:
    """Kill a validator under load, watch, start it again, and wait until it has caught up.

    With `again_after_s` it is killed once more so long after its start, while it comes back.
    """
    await stream.more(BEFORE)
    victim = await network.led_by(0 if leader else 3)
    node = network.nodes[victim]
    since = time.monotonic()
    await network.kill(node)
    await asyncio.sleep(WATCHED_S)
    await stream.more(1)  # a stall that has not ended yet counts whole
    stall_s = stream.stall_s(since, time.monotonic())
    if again_after_s:
        processes.start(network.network, node)
        await asyncio.sleep(again_after_s)
        await network.kill(node)
    began = time.monotonic()
    await network.start(node)
    await caught_up(network, victim)
    await linked(network, victim)
    return Kill(
        validator=victim, is_leader=leader, stall_s=stall_s, back_s=time.monotonic() - began
    )


async def caught_up(network: RealNetwork, index: int, *, lag_max: int = 1) -> None:
    """Wait until a validator is as far as another one was when it was asked."""
    other = (index + 1) % len(network.nodes)
    async with (
        asyncio.timeout(60),
        network.client_of(other) as there,
        network.client_of(index) as here,
    ):
        goal = (await there.status(0)).height
        while True:
            try:
                if (await here.status(0)).height >= goal - lag_max:
                    return
            except OnwardError:
                pass  # it is just coming up
            await asyncio.sleep(0.05)


async def linked(network: RealNetwork, index: int) -> None:
    """Wait until all others have a link to a validator.

    It is level as soon as one of them tells it the chain. But with the next one killed, each of the
    three that are left must hear both others, or only the views of some leaders end in a block.
    """
    others = [other for other in range(len(network.nodes)) if other != index]
    async with asyncio.timeout(60):
        while not all([await _sees(network, other, index) for other in others]):
            await asyncio.sleep(0.05)


async def _sees(network: RealNetwork, index: int, peer: int) -> bool:
    async with network.client_of(index) as client:
        return any(item.up for item in (await client.status(0)).peers if item.index == peer)


async def campaign(network: RealNetwork, kills: int) -> tuple[list[Kill], int, float]:
    """All kills; answers them, how much was acknowledged, and how long a start took."""
    chance = random.Random(kills)
    start_s = await network.start()
    async with streaming(network, CLIENTS) as stream:
        found = []
        for number in range(kills):
            found.append(
                await kill_one(
                    network,
                    stream,
                    leader=number % 3 == 0,
                    again_after_s=chance.uniform(0.5, 4) if number % 4 == 3 else 0,
                )
            )
            print(f"{number + 1:3} {found[-1]}", flush=True)
        await stream.more(BEFORE)
        await network.kill(*network.nodes)
        await network.start()
        await stream.more(BEFORE)
    await network.level(max(height for height, _ in stream.told.values()))
    await network.expect_told(stream.told)
    return found, len(stream.told), start_s


def main() -> int:
    """Run the campaign and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=12)
    kills = parser.parse_args().kills
    with tempfile.TemporaryDirectory() as folder, RealNetwork(Path(folder) / "network") as network:
        found, told, start_s = asyncio.run(campaign(network, kills))
    stall_s = max(item.stall_s for item in found)
    print(
        f"{len(found)} kills, {sum(item.is_leader for item in found)} of the view's leader, then"
        f" all four at once; {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}\n"
        f"{told} acknowledged transactions, none missing; one state root\n"
        f"longest stall of finality {stall_s:.2f} s,"
        f" mean {sum(item.stall_s for item in found) / len(found):.2f} s;"
        f" level and linked again after at most {max(item.back_s for item in found):.1f} s;"
        f" four validators ready after {start_s:.1f} s"
    )
    return int(stall_s > STALL_S_MAX)


if __name__ == "__main__":
    sys.exit(main())
