"""One run: a world under its schedule, then the proof that it recovers.

First faults and clients together; then nothing new goes wrong, and within a bound every healed
validator must go on, every client must have its verdict, and the run must have done enough to count
as one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import PurePath
from traceback import extract_tb, format_exception

from onward.errors import OnwardError
from onward.simulation.byzantine import LIAR_KINDS
from onward.simulation.faults import Fault, Options
from onward.simulation.mutants import Mutant
from onward.simulation.oracles import Violation
from onward.simulation.pace import RESUME_MS, resume_ms_max
from onward.simulation.schedule import draw_options, draw_schedule
from onward.simulation.world import Trace, World

RECOVERY_MS_MAX = 20_000
QUOTA_MS_MAX = 90_000
VERDICT_MS_MAX = 20_000
BLOCKS_AFTER_MIN = 5
CRASH = "crash"
"""How the failure of a run begins that no oracle ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one seed. `failure` is empty for a clean run."""

    seed: int
    failure: str
    events: int
    blocks: int
    bodies: int
    simulated_ms: int
    audit: str
    counts: dict[str, int] = field(default_factory=dict)
    cpu_s: float = field(default=0.0, compare=False)  # a campaign's; a run knows no clock


def build_world(
    seed: int,
    *,
    options: Options | None = None,
    schedule: Iterable[Fault] | None = None,
    mutant: Mutant | None = None,
    trace: Trace | None = None,
) -> World:
    """The world of a seed; what is given replaces what the seed would draw."""
    chosen = options if options is not None else draw_options(seed, LIAR_KINDS)
    faults = schedule if schedule is not None else draw_schedule(seed, chosen)
    return World(seed, options=chosen, schedule=faults, mutant=mutant, trace=trace)


def run_seed(
    seed: int,
    *,
    options: Options | None = None,
    schedule: Iterable[Fault] | None = None,
    mutant: Mutant | None = None,
    trace: Trace | None = None,
) -> Result:
    """Run a seed to its end or to its first broken promise; the rest as in `build_world`."""
    return judge_world(
        seed,
        lambda: build_world(seed, options=options, schedule=schedule, mutant=mutant, trace=trace),
        run_world,
        trace,
    )


def judge_world(
    seed: int,
    build: Callable[[], World],
    play: Callable[[World], None],
    trace: Trace | None = None,
) -> Result:
    """Build a world and play in it, to the end or to the first broken promise."""
    world: World | None = None
    failure = ""
    try:
        world = build()
        play(world)
    except (Violation, OnwardError) as error:
        failure = f"{type(error).__name__}: {error}"
    except Exception as error:  # noqa: BLE001 - whatever it is, the seed that shows it must be named
        failure = f"{CRASH}: {error!r} {_place_of(error)}"
        if trace is not None:
            trace("".join(format_exception(error)))
    if world is None:
        return _stillborn(seed, failure)
    return result_of(world, failure and f"{failure} (at {world.now_ms} ms)")


def _stillborn(seed: int, failure: str) -> Result:
    """A world in which a machine failed at its first start."""
    return Result(
        seed=seed, failure=failure, events=0, blocks=0, bodies=0, simulated_ms=0, audit=""
    )


def run_world(world: World) -> None:
    """Faults, recovery, the rest. Raises `Violation`."""
    options = world.options
    world.start_clients()
    world.run_ms(options.stable_at_ms)
    world.injector.stabilize()
    _expect_recovery(world)
    _watch_pace(world)
    world.run_ms(max(0, options.duration_ms - world.now_ms))
    _expect_quota(world)
    world.pace.stop(world.now_ms)
    world.stop_clients()
    world.expect_told(VERDICT_MS_MAX)
    _expect_nothing_lost(world)
    world.expect_bounded_memory()


def result_of(world: World, failure: str) -> Result:
    """The figures of a run that has ended."""
    counts = world.counts
    counts["view.nullified"] = world.oracles.nullified_views
    counts["verdict.void"] = world.oracles.void_count
    counts["message.dropped"] = world.network.dropped
    counts["message.duplicated"] = world.network.doubled
    counts["message.cut_off"] = world.network.blocked
    counts[f"healing.{world.options.healing}"] += 1
    return Result(
        seed=world.seed,
        failure=failure,
        events=world.events,
        blocks=world.height,
        bodies=len(world.oracles.executed_bodies),
        simulated_ms=world.now_ms,
        audit=world.audit,
        counts={name: counts[name] for name in sorted(counts) if counts[name]},
    )


def _place_of(error: Exception) -> str:
    """Where it was raised; the replay tells the whole traceback."""
    last = extract_tb(error.__traceback__)[-1]
    return f"in {last.name}, {PurePath(last.filename).name}:{last.lineno}"


def _expect_recovery(world: World) -> None:
    """Every healed validator executes new blocks soon, whatever stays broken.

    The first new block comes within two seconds and the longest time-out for each validator that is
    not healed, which may lead one after the other, and one for the view that the faults spoilt.
    """
    first, goal = world.height + 1, world.height + BLOCKS_AFTER_MIN
    healed = world.injector.healed
    parameters = world.consortium.genesis.parameters
    broken = len(world.machines) - len(healed)
    resume_ms = RESUME_MS + (broken + 1) * parameters.timeout_ms_max
    if not world.run_until(lambda: world.height >= first, resume_ms):
        raise Violation("latency", f"no block {first} within {resume_ms} ms of the healing")
    if not world.run_until(lambda: all(h.height >= goal for h in healed), RECOVERY_MS_MAX):
        reached = {host.name: host.height for host in healed}
        raise Violation("liveness", f"height {goal} within {RECOVERY_MS_MAX} ms: {reached}")


def _watch_pace(world: World) -> None:
    """From here on liars, and what stays broken, may cost their own views and no more."""
    healed = [host.name for host in world.injector.healed]
    parameters = world.consortium.genesis.parameters
    broken = len(world.machines) - len(healed)
    world.pace.watch(healed, world.now_ms, resume_ms_max(parameters, broken))


def _expect_quota(world: World) -> None:
    """Enough happened for this to be called a run."""
    options = world.options

    def is_enough() -> bool:
        bodies = len(world.oracles.executed_bodies)
        return world.height >= options.blocks_min and bodies >= options.bodies_min

    if not world.run_until(is_enough, QUOTA_MS_MAX):
        bodies = len(world.oracles.executed_bodies)
        raise Violation("liveness", f"only {world.height} blocks and {bodies} bodies")


def _expect_nothing_lost(world: World) -> None:
    """Every healed validator has every verdict that a client was told, as it was told."""
    world.run_until(
        lambda: all(host.height >= world.height for host in world.injector.healed), 10_000
    )
    for host in world.injector.healed:
        for tx_hash, told in world.oracles.told.items():
            known = host.disk.verdict(tx_hash)
            if known is None or known[:2] != told:
                raise Violation(
                    "acknowledged", f"{host.name} has {known} for {tx_hash.hex()[:8]}, told {told}"
                )
