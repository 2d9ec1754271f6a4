"""The swarm: which knobs a seed turns, and what goes wrong when.

Every class of fault is a knob that a seed may turn off altogether. A world in which everything
always goes a little wrong never meets the bugs that need one thing to go wrong alone (swarm
testing).
"""

from __future__ import annotations

import random
from dataclasses import replace

from onward.simulation.faults import Change, Fault, FaultKind, Healing, Options
from onward.simulation.rare_faults import draw_rare

_FAULT_KNOBS: tuple[tuple[FaultKind, int], ...] = (
    (FaultKind.SPLIT, 450),
    (FaultKind.DEAF, 300),
    (FaultKind.MUTE, 300),
    (FaultKind.LINKS, 350),
    (FaultKind.FLAP, 300),
    (FaultKind.KILL, 450),
    (FaultKind.POWER, 550),
    (FaultKind.FUSE, 500),
    (FaultKind.FREEZE, 350),
    (FaultKind.SLOW_DISK, 300),
    (FaultKind.CLOCK, 250),
    (FaultKind.ROTATION, 250),
)
"""How many of a thousand seeds have each kind turned on."""


_LONG_ONE_IN = 24
"""One of so many seeds is a world of half a minute under a heavy load, the others are short."""

_CHANGES_PERMILLE = 120
"""So many of a thousand seeds see validators come and go."""


def draw_changes(seed: int, options: Options) -> Options:
    """The same knobs, and other validators once or more often, two newcomers among them.

    No set is smaller than the first one: it must bear as many liars and losses. What is healed is
    everything, for a quorum of one epoch need be none of the next.
    """
    rng = random.Random(f"changes/{seed}")
    changes = []
    at_ms = rng.randrange(300, 4_000)
    for _ in range(rng.choice((1, 2, 3))):
        size = options.validators + rng.choice((0, 0, 1, 2))
        members = tuple(rng.sample(range(options.validators + 2), size))
        changes.append(Change(at_ms=at_ms, members=members))
        at_ms += rng.randrange(2_000, 7_000)
    return replace(options, newcomers=2, changes=tuple(changes), healing=Healing.ALL)


def draw_options(seed: int, liar_kinds: tuple[str, ...], validators: int | None = None) -> Options:
    """The knobs that a seed turns."""
    drawn = _draw_length(seed, _draw_options(seed, liar_kinds, validators))
    changes = random.Random(f"epochs/{seed}").randrange(1000) < _CHANGES_PERMILLE
    return draw_changes(seed, drawn) if changes else drawn


def _draw_length(seed: int, options: Options) -> Options:
    """Most worlds are short and lightly loaded, so that many can be tried; some stay as drawn.

    What goes wrong goes wrong within seconds in nearly all cases: an hour of short worlds has met
    more planted bugs than an hour of long ones. What needs a long absence, a full journal or a
    backlog needs the long ones.
    """
    rng = random.Random(f"length/{seed}")
    if rng.randrange(_LONG_ONE_IN) == 0:
        return options
    stable_at_ms = rng.randrange(2_000, 5_500)
    return replace(
        options,
        stable_at_ms=stable_at_ms,
        duration_ms=stable_at_ms + 1_500,
        blocks_min=8,
        bodies_min=20,
        burst_every_ms=rng.choice((80, 120, 200)),
        burst_envelopes_max=rng.choice((1, 2, 4)),
        lull_ms=rng.choice((0, 1_000)),
    )


def _draw_options(seed: int, liar_kinds: tuple[str, ...], validators: int | None) -> Options:
    rng = random.Random(f"options/{seed}")
    size = validators if validators is not None else rng.choices((4, 5, 7), (90, 4, 6))[0]
    liars = rng.choices(range((size - 1) // 3 + 1), (45, *[55] * ((size - 1) // 3)))[0]
    noisy = rng.random() < 0.5
    return Options(
        validators=size,
        healing=rng.choice((Healing.ALL, Healing.QUORUM)),
        stable_at_ms=rng.randrange(16_000, 24_000),
        delay_ms_min=rng.choice((1, 1, 2, 10)),
        delay_ms_mean=rng.choice((1, 3, 3, 10, 40)),
        drop_permille=rng.choice((5, 20, 80)) if noisy else 0,
        duplicate_permille=rng.choice((10, 60)) if rng.random() < 0.4 else 0,
        in_order=rng.random() < 0.6,
        notices_cuts=rng.random() < 0.6,
        sync_ms=rng.choice((1, 3, 8, 20)),
        settle_ms=rng.choice((2, 30, 1_500)),
        verify_ms=rng.choice((1, 2, 12)),
        turn_ms=rng.choice((0, 4, 8, 12)),
        burst_every_ms=rng.choice((60, 80, 100)),
        burst_envelopes_max=rng.choice((5, 6, 8)),
        lull_ms=rng.choice((1_000, 2_000)),
        double_submit_permille=rng.choice((0, 20, 100)),
        propose_age_ms=rng.choice((30, 60, 80)),
        liars=tuple(rng.choice(liar_kinds) for _ in range(liars)) if liar_kinds else (),
    )


def draw_schedule(seed: int, options: Options) -> tuple[Fault, ...]:
    """The faults of a run, by time."""
    rng = random.Random(f"schedule/{seed}")
    kinds = [kind for kind, permille in _FAULT_KNOBS if rng.randrange(1000) < permille]
    if not kinds:
        return tuple(sorted(draw_rare(seed, options), key=lambda fault: fault.at_ms))
    every_ms = rng.choice((900, 1_800, 3_500))
    faults: list[Fault] = []
    at_ms = rng.randrange(100, 3_000)
    while at_ms < options.stable_at_ms:
        faults.append(_draw_fault(rng, at_ms, rng.choice(kinds), options.validators))
        at_ms += 50 + int(rng.expovariate(1 / every_ms))
    # Where one validator stays broken, those that come back need each other's every vote.
    if rng.random() < (0.7 if options.healing is Healing.QUORUM else 0.2):
        faults.extend(_draw_blackout(rng, options))
    faults.extend(draw_rare(seed, options))
    return tuple(sorted(faults, key=lambda fault: fault.at_ms))


def _draw_blackout(rng: random.Random, options: Options) -> tuple[Fault, ...]:
    """All machines stop just before the network is healed: nobody remembers for anybody else.

    Often while they are split, so that the votes of a view are given and none of its quorums
    formed.
    """
    kind = rng.choice((FaultKind.KILL, FaultKind.POWER))
    everyone = tuple(range(options.validators))
    at_ms = options.stable_at_ms - rng.randrange(20, 800)
    dark = Fault(at_ms=at_ms, kind=kind, nodes=everyone, for_ms=2_000)
    if rng.random() < 0.1:
        return (dark,)
    half = tuple(sorted(rng.sample(everyone, options.validators // 2)))
    split = Fault(at_ms=at_ms - 5_000, kind=FaultKind.SPLIT, nodes=half, for_ms=6_000)
    return (split, dark)


def _draw_fault(rng: random.Random, at_ms: int, kind: FaultKind, size: int) -> Fault:
    one = (rng.randrange(size),)
    some = tuple(sorted(rng.sample(range(size), rng.randrange(1, size))))
    everyone = tuple(range(size))
    for_ms = rng.choice((300, 1_200, 1_200, 4_000))
    match kind:
        case FaultKind.SPLIT:
            return Fault(at_ms=at_ms, kind=kind, nodes=some, for_ms=for_ms)
        case FaultKind.FLAP:
            period_ms = rng.randrange(100, 2_000)
            return Fault(at_ms=at_ms, kind=kind, nodes=some, for_ms=6_000, count=period_ms)
        case FaultKind.LINKS:
            return Fault(
                at_ms=at_ms, kind=kind, nodes=everyone, for_ms=for_ms, count=rng.randrange(2**16)
            )
        case FaultKind.KILL | FaultKind.POWER:
            nodes = rng.choice((one, one, one, some, everyone))
            down_ms = rng.choice((50, 400, 2_000, 7_000)) if nodes == one else for_ms // 2
            # Not at once but in the midst of a write: that is where tails are torn.
            operation = rng.choice((0, 1, 2, 3, 5)) if kind is FaultKind.POWER else 0
            return Fault(at_ms=at_ms, kind=kind, nodes=nodes, for_ms=down_ms, count=operation)
        case FaultKind.FUSE:
            nodes = rng.choice((one, one, everyone))
            return Fault(
                at_ms=at_ms, kind=kind, nodes=nodes, for_ms=for_ms // 2, count=rng.randrange(1, 40)
            )
        case FaultKind.SLOW_DISK:
            return Fault(
                at_ms=at_ms, kind=kind, nodes=one, for_ms=3_000, count=rng.choice((60, 400, 1_500))
            )
        case FaultKind.CLOCK:
            off_ms = rng.choice((-20_000, -1_500, -200, 200, 1_500))
            return Fault(at_ms=at_ms, kind=kind, nodes=one, for_ms=4_000, count=off_ms)
        case _:
            return Fault(at_ms=at_ms, kind=kind, nodes=one, for_ms=for_ms)
