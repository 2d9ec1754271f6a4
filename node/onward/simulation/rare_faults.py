"""The rarer faults of a schedule: each kind a knob of its own, with a source of chance of its own.

One kind more or less leaves the draws of the others as they are.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from onward.simulation.faults import Fault, FaultKind, Options
from onward.types import quorum_of

DAY_MS = 24 * 3_600_000

_PAUSE_PERMILLE = 150
_CLOCK_PERMILLE = 180
_FULL_PERMILLE = 220
_LOST_PERMILLE = 300  # of the seeds that have fewer liars than they may


def draw_rare(seed: int, options: Options) -> Iterator[Fault]:
    """What a seed has of them, in no order."""
    yield from _pauses(random.Random(f"pause/{seed}"), options)
    yield from _wrong_days(random.Random(f"clock.day/{seed}"), options)
    yield from _full_disks(random.Random(f"disk.full/{seed}"), options)
    yield from _lost_homes(random.Random(f"disk.lost/{seed}"), options)


def _moment(rng: random.Random, options: Options) -> int:
    return rng.randrange(1_000, options.stable_at_ms - 1_000)


def _pauses(rng: random.Random, options: Options) -> Iterator[Fault]:
    """More than f stand still at once, so that nobody can go on without them."""
    if rng.randrange(1_000) >= _PAUSE_PERMILLE:
        return
    size = options.validators
    count = rng.randrange((size - 1) // 3 + 1, size + 1)
    nodes = tuple(sorted(rng.sample(range(size), count)))
    yield Fault(
        at_ms=_moment(rng, options),
        kind=FaultKind.PAUSE,
        nodes=nodes,
        for_ms=rng.choice((3_000, 8_000, 30_000)),
    )


def _wrong_days(rng: random.Random, options: Options) -> Iterator[Fault]:
    """The same clocks are wrong throughout a seed, the same way.

    A quorum that lives in tomorrow orders blocks of tomorrow, and what clients signed for today has
    expired: with the liars there are never enough of those. Yesterday's may be everybody.
    """
    if rng.randrange(1_000) >= _CLOCK_PERMILLE:
        return
    size, is_ahead = options.validators, rng.random() < 0.5
    most = quorum_of(size) - 1 - len(options.liars) if is_ahead else size
    nodes = tuple(sorted(rng.sample(range(size), rng.randrange(1, most + 1))))
    for _ in range(rng.choice((1, 1, 2))):
        yield Fault(
            at_ms=_moment(rng, options),
            kind=FaultKind.CLOCK_DAY,
            nodes=nodes,
            for_ms=rng.choice((2_000, 6_000, 30_000)),
            count=DAY_MS if is_ahead else -DAY_MS,
        )


def _full_disks(rng: random.Random, options: Options) -> Iterator[Fault]:
    """Of one machine, of some, or (they were bought together) of all."""
    if rng.randrange(1_000) >= _FULL_PERMILLE:
        return
    size = options.validators
    for _ in range(rng.choice((1, 1, 2))):
        count = rng.choice((1, 1, size // 2, size))
        yield Fault(
            at_ms=_moment(rng, options),
            kind=FaultKind.DISK_FULL,
            nodes=tuple(sorted(rng.sample(range(size), count))),
            for_ms=rng.choice((1_000, 4_000, 30_000)),
        )


def _lost_homes(rng: random.Random, options: Options) -> Iterator[Fault]:
    """Homes that no boot may accept any more: with the liars never more than f."""
    honest = options.validators - len(options.liars)
    spare = (options.validators - 1) // 3 - len(options.liars)
    if rng.randrange(1_000) >= _LOST_PERMILLE or spare < 1:
        return
    for node in rng.sample(range(honest), rng.randrange(1, spare + 1)):
        yield Fault(
            at_ms=_moment(rng, options),
            kind=rng.choice((FaultKind.ROT, FaultKind.WIPE)),
            nodes=(node,),
            for_ms=rng.choice((50, 1_000)),
            count=rng.randrange(2**16),
        )
