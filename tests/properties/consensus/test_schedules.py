"""Random schedules of loss, doubling, reordering, partitions and crashes, under the oracles.

The full simulation does this to whole replicas; here the core and the lanes are alone, so that a
red seed points into this room.
"""

from __future__ import annotations

import random

import pytest
from tests.support.consensus_world import World

STORM_MS, CALM_MS = 2_500, 9_000


def storm(world: World) -> None:
    """Faults of every kind, then a healed network."""
    chance = random.Random(world.chance.random())
    world.drop, world.duplicate = chance.choice([0.0, 0.05, 0.3]), chance.choice([0.0, 0.2])
    world.delay_ms = chance.choice([5, 60, 400])
    end_ms = world.now_ms + STORM_MS
    number = 0
    while world.now_ms < end_ms:
        number += 1
        world.run_ms(chance.randint(10, 400))
        me = chance.randrange(len(world.machines))
        alive = world.machines[me]
        match chance.randrange(9):
            case 0 | 1 | 2:
                world.submit(me, b"%d" % number)
            case 3 if alive is not None:
                # Between any two effects: the next step that does so much ends in the middle.
                alive.effects_until_crash = chance.randrange(6)
            case 4:
                world.crash(*range(len(world.machines)))
            case 5:
                world.cut_links = {
                    (a, b)
                    for a in range(len(world.machines))
                    for b in range(len(world.machines))
                    if chance.random() < 0.3
                }
            case 6:
                world.cut_links = set()
            case 7:
                side = [slot for slot in range(len(world.machines)) if chance.random() < 0.5]
                rest = set(range(len(world.machines))) - set(side)
                world.partition(tuple(side), tuple(sorted(rest)))
            case _ if alive is not None:
                alive.rotate()
            case _:
                pass
        for peer in range(len(world.machines)):
            if world.machines[peer] is None and chance.random() < 0.5:
                world.boot(peer)


def calm(world: World) -> None:
    """Everything heals: everybody must go on, and arrive at the same place."""
    for me, machine in enumerate(world.machines):
        if machine is None:
            world.boot(me)
        else:
            machine.effects_until_crash = None
    world.heal()
    before = len(world.canonical)
    honest = [slot for slot in range(len(world.machines)) if slot not in world.liars]
    for me in honest:
        world.submit(me, b"after %d" % me)
    world.run_ms(CALM_MS, until=lambda: min(world.heights()) >= before + 3)
    assert min(world.heights()) >= before + 3, f"stuck: {world.heights()}, {before} before"
    world.run_ms(1_000)
    orders = [world.ordered(me) for me in honest]
    shortest = min(map(len, orders))
    assert len({tuple(order[:shortest]) for order in orders}) == 1
    assert {b"after %d" % me for me in honest} <= set(orders[0])
    assert len(set(orders[0])) == len(orders[0]), "a batch was delivered twice"


@pytest.mark.parametrize("first", range(0, 60, 10))
def test_no_schedule_forks_loses_or_sticks(first: int) -> None:
    """The danger: a fork, a broken promise, or a network that stays stuck after it has healed."""
    for seed in range(first, first + 10):
        world = World(4 if seed % 3 else 7, seed=seed, twins=(seed % 4,) if seed % 2 else ())
        try:
            storm(world)
            calm(world)
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise
