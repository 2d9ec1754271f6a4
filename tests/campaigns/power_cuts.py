"""Power cuts of a whole network on real disks, by the hundred.

    python -m tests.campaigns.power_cuts                 200 points
    python -m tests.campaigns.power_cuts --seeds 17:18   the point that failed, again

Each seed is one network of four validators on real LevelDB, journal and batch log
(`tests.support.powered_network`). Its power is cut `CUTS_PER_SEED` times, each time at a random
operation of the disks, also while it recovers from the cut before; every time it has to come back
from what had been synced.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.support.powered_network import PoweredNetwork

from onward.storage.memory_files import Crash

CUTS_PER_SEED = 5
OPERATIONS_MAX = 600  # about eight blocks
OPERATIONS_OF_RECOVERY_MAX = 80
SEEDS = range(40)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one network went through."""

    cuts: int
    cuts_in_recovery: int
    rotations: int
    acknowledged: int
    height: int


def survive_power_cuts(folder: Path, seed: int, cuts: int = CUTS_PER_SEED) -> Figures:
    """Run one seed. Raises what a broken promise raises."""
    network = PoweredNetwork(folder, seed)
    in_recovery = 0
    try:
        network.restart()
        while network.cuts < cuts:
            network.arm(network.rng.randrange(1, OPERATIONS_MAX))
            network.run_to_power_cut()
            while not _comes_back(network):
                in_recovery += 1
        return Figures(
            cuts=network.cuts,
            cuts_in_recovery=in_recovery,
            rotations=network.rotations,
            acknowledged=len(network.acknowledged),
            height=max(network.heights()),
        )
    finally:
        network.close()


def _comes_back(network: PoweredNetwork) -> bool:
    """Whether the network recovered, which it must unless power goes again meanwhile."""
    if network.rng.randrange(4) == 0:
        network.arm(network.rng.randrange(1, OPERATIONS_OF_RECOVERY_MAX))
    try:
        network.restart()
        network.expect_recovered()
    except Crash:
        network.lose_power()
        return False
    network.disarm()
    return True


def main() -> None:
    """Run the campaign and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default=f"{SEEDS.start}:{SEEDS.stop}", metavar="A:B")
    first, last = map(int, parser.parse_args().seeds.split(":"))
    began = time.monotonic()
    found: list[Figures] = []
    for seed in range(first, last):
        with tempfile.TemporaryDirectory() as folder:
            try:
                found.append(survive_power_cuts(Path(folder), seed))
            except BaseException:
                print(
                    f"seed {seed} failed: python -m tests.campaigns.power_cuts"
                    f" --seeds {seed}:{seed + 1}"
                )
                raise
    print(
        f"{sum(item.cuts for item in found)} power cuts of four validators"
        f" ({sum(item.cuts_in_recovery for item in found)} during recovery),"
        f" {sum(item.acknowledged for item in found)} acknowledged transactions,"
        f" {sum(item.height for item in found)} blocks,"
        f" {sum(item.rotations for item in found)} journal rotations:"
        f" nothing lost, no fork, no forgotten vote; {time.monotonic() - began:.0f} s"
    )


if __name__ == "__main__":
    main()
