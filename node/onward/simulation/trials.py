"""The worlds in which planted bugs are tried: short ones, each made for one kind of danger.

`swarm` is the campaign's own world cut short: every fault and every liar as the seed draws them.
The others hold still what a bug does not need, so that few seeds reach the rule that it breaks. A
world says nothing without its control: with no bug planted, every seed of it keeps every promise.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from onward.consensus.messages import Certificate, Packet, PeerMessage, Vote, VoteKind
from onward.replica.standing import epoch_proofs
from onward.simulation.byzantine import LIAR_KINDS
from onward.simulation.clients import checked
from onward.simulation.consortium import GENESIS_TIME_MS
from onward.simulation.faults import Change, Fault, FaultKind, Healing, Options
from onward.simulation.mutants import Mutant
from onward.simulation.network import links_between
from onward.simulation.oracles import Violation
from onward.simulation.overload import large, many, overfull, unsigned
from onward.simulation.run import Result, judge_world, run_world
from onward.simulation.schedule import draw_changes, draw_options, draw_schedule
from onward.simulation.world import World


class Play(Protocol):
    """What is done in a world."""

    def __call__(self, world: World) -> None:
        """Raises `Violation` where a promise is broken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A kind of world. `options` and `schedule` are of a seed."""

    about: str
    options: Callable[[int], Options]
    schedule: Callable[[int, Options], Iterable[Fault]] = draw_schedule
    play: Play = run_world


def try_seed(name: str, seed: int, mutant: Mutant | None) -> Result:
    """One seed of the trial `name`, with a bug in every replica if one is given."""
    trial = trial_of(name)
    options = trial.options(seed)
    schedule = tuple(trial.schedule(seed, options))
    return judge_world(
        seed,
        lambda: World(seed, options=options, schedule=schedule, mutant=mutant),
        trial.play,
    )


def trial_of(name: str) -> Trial:
    """The trial of this name; `NAME:LIAR` is the same with a liar that always takes part."""
    name, _, liar = name.partition(":")
    trial = TRIALS[name]
    if not liar:
        return trial
    drawn = trial.options
    return replace(
        trial,
        about=f"{trial.about}; with a {liar}",
        options=lambda seed: replace(drawn(seed), liars=(liar,)),
    )


def _short(options: Options, **changes: object) -> Options:
    return replace(
        options,
        duration_ms=6_500,
        stable_at_ms=5_000,
        blocks_min=12,
        bodies_min=30,
        lull_ms=0,
        burst_every_ms=120,
        burst_envelopes_max=2,
        **changes,  # type: ignore[arg-type]
    )


def _swarm(seed: int) -> Options:
    return _short(draw_options(seed, LIAR_KINDS, 4))


def _calm(seed: int) -> Options:
    """The swarm's speeds and delays, and nobody lies."""
    drawn = replace(draw_options(seed, ()), newcomers=0, changes=())
    return _short(drawn, validators=4, healing=Healing.ALL, drop_permille=0)


def _lossy(seed: int) -> Options:
    return replace(_calm(seed), drop_permille=250, in_order=False)


def _no_faults(seed: int, options: Options) -> tuple[Fault, ...]:
    del seed, options
    return ()


def _every(
    every_ms: int,
    kinds: tuple[FaultKind, ...],
    counts: tuple[int, ...],
    *,
    for_ms: int = 300,
    shared_by_all: bool = True,
) -> Callable[[int, Options], tuple[Fault, ...]]:
    """Faults of these kinds one after the other, at one validator or, now and then, at all."""

    def schedule(seed: int, options: Options) -> tuple[Fault, ...]:
        rng = random.Random(f"trial/{seed}")
        everyone = tuple(range(options.validators))
        faults = []
        for at_ms in range(400, options.stable_at_ms, every_ms):
            one = (rng.choice(everyone),)
            half = tuple(sorted(rng.sample(everyone, len(everyone) // 2)))
            faults.append(
                Fault(
                    at_ms=at_ms,
                    kind=rng.choice(kinds),
                    nodes=rng.choice((one, half, everyone)) if shared_by_all else one,
                    for_ms=for_ms,
                    count=rng.choice(counts),
                )
            )
        return tuple(faults)

    return schedule


def _left_behind(seed: int, options: Options) -> tuple[Fault, ...]:
    """One is away for most of the run; who asks the next one for the past asks the liar, if any."""
    del seed
    return (Fault(at_ms=300, kind=FaultKind.KILL, nodes=(2,), for_ms=options.stable_at_ms - 700),)


def _quick(seed: int) -> Options:
    """Many small blocks."""
    return replace(
        _calm(seed),
        delay_ms_min=1,
        delay_ms_mean=1,
        sync_ms=1,
        verify_ms=1,
        turn_ms=0,
        propose_age_ms=10,
        burst_every_ms=40,
        burst_envelopes_max=1,
        blocks_min=100,
    )


def _in_the_dark(world: World) -> None:
    """All gave up the view and went dark; three come back, and need all three of their votes."""
    world.expect_finalized(height=1)
    world.partition({0, 1}, {2, 3})
    world.submit(2)
    world.run_ms(4_500)
    world.host(0).look()
    _, leader = world.host(0).waits_for
    world.crash(0, 1, 2, 3)
    world.heal()
    world.reboot(*({0, 1, 2, 3} - {leader}))
    world.expect_finalized(height=world.height + 2)


def _fed(world: World) -> None:
    """What one keeps back the others have, and nobody waits until the chain is fetched instead."""
    world.start_clients()
    world.run_ms(1_000)
    names = [host.name for host in world.honest]
    world.pace.watch(names, world.now_ms, _FED_MS_MAX)
    world.run_ms(14_000)
    world.pace.stop(world.now_ms)


def _relayed(world: World) -> None:
    """Two of the three that are left do not hear each other, and the third passes all on."""
    world.start_clients()
    world.run_ms(1_000)
    world.network.cut({(0, 2), (2, 0)})
    world.crash(3)
    before = world.host(0).height
    world.run_ms(12_000)
    reached = min(world.host(index).height for index in range(3)) - before
    if reached < _RELAYED_BLOCKS_MIN:
        raise Violation("latency", f"{reached} blocks in 12 s, expected {_RELAYED_BLOCKS_MIN}")


def _followed(world: World) -> None:
    """The leader is gone, and the third voter came late to the view: its own timer runs longer."""
    world.expect_finalized(height=1)
    world.run_ms(200)
    world.host(0).look()
    view, leader = world.host(0).waits_for
    first, second, late = sorted({0, 1, 2, 3} - {leader})
    world.crash(leader, late, power=False)
    world.submit(2)
    world.run_ms(700)
    world.reboot(late)

    def is_given_up() -> bool:
        hosts = (world.host(index) for index in (first, second))
        return all(host.machine is not None and host.machine.view > view for host in hosts)

    if not world.run_until(is_given_up, _FOLLOWED_MS_MAX):
        raise Violation("latency", f"view {view} stands {_FOLLOWED_MS_MAX} ms after f + 1 left")
    world.expect_finalized(world.height + 1)


def _answered(world: World) -> None:
    """One misses a block, and the others have nothing more to say for as long as a beat lasts."""
    world.submit(2)
    world.expect_told()
    world.run_ms(200)
    world.host(0).look()
    _, leader = world.host(0).waits_for
    laggard, author = (leader + 2) % 4, world.host((leader + 3) % 4)
    order = world.workload.ballast(GENESIS_TIME_MS + world.now_ms)
    author.submit(checked(order.envelope))
    world.run_ms(_HEARD_MS)
    world.network.cut(links_between({laggard}, range(4)))
    world.run_ms(_MISSED_MS)
    world.heal()
    goal = world.height
    if world.host(laggard).height >= goal:
        raise Violation("pressure", f"n{laggard} missed nothing")
    if not world.run_until(lambda: world.host(laggard).height >= goal, _ANSWERED_MS_MAX):
        raise Violation("latency", f"n{laggard} still asks after {_ANSWERED_MS_MAX} ms")


def _held_to_account(world: World) -> None:
    """What one can prove all can, and a vote that contradicts another is always proved."""
    run_world(world)
    world.run_ms(1_000)
    proved = {
        host.name: {item.signer for item in getattr(host.machine, "evidence", ())}
        for host in world.injector.healed
    }
    guilty = world.liar_indexes if world.counts["lie.double_vote"] else set[int]()
    expected = guilty.union(*proved.values())
    for name, signers in proved.items():
        if signers != expected:
            raise Violation(
                "held to account", f"{name} can prove {sorted(signers)} of {sorted(expected)}"
            )


def _changing(seed: int) -> Options:
    """Validators come and go, from two machines that are none at first; once or more often."""
    drawn = draw_changes(seed, _calm(seed))
    return replace(drawn, stable_at_ms=9_000, duration_ms=10_500)


def _changed(world: World) -> None:
    """As a run, at the end of which the validators must have changed."""
    run_world(world)
    if not world.run_until(lambda: world.epoch > 0, _CHANGED_MS_MAX):
        raise Violation("liveness", f"no change of validators within {_CHANGED_MS_MAX} ms")
    genesis = world.consortium.genesis

    def proved() -> int:
        """How many ends of epochs the best machine can prove to an auditor."""
        return max(len(epoch_proofs(host.disk.store, genesis)) for host in world.honest)

    if not world.run_until(lambda: proved() >= world.epoch, _CHANGED_MS_MAX):
        raise Violation("epochs proved", f"{proved()} of {world.epoch}")


class _LastNotFinalized:
    """What passes on a wire that loses the votes for the last blocks of epochs."""

    def __init__(self) -> None:
        self._views: set[tuple[int, int]] = set()

    def __call__(self, message: PeerMessage) -> PeerMessage:
        if not isinstance(message, Packet):
            return message
        epoch = message.epoch
        self._views.update((epoch, block.view) for block in message.blocks if block.last)

        def passes(item: Vote | Certificate) -> bool:
            return item.kind != VoteKind.FINALIZE or (epoch, item.view) not in self._views

        return replace(
            message,
            votes=tuple(filter(passes, message.votes)),
            certificates=tuple(filter(passes, message.certificates)),
        )


def _changed_by_fillers(world: World) -> None:
    world.wire = _LastNotFinalized()
    _changed(world)
    if not world.counts["epoch.filler"]:
        raise Violation("fillers", "an epoch ended without any")


def _away_at_the_change(world: World) -> None:
    """One is away while the validators change, and comes back into an epoch that has ended."""
    world.start_clients()
    world.expect_finalized(height=2)
    world.crash(2)
    world.change_validators(range(5))
    if not world.run_until(lambda: world.epoch == 1, _CHANGED_MS_MAX):
        raise Violation("liveness", f"no change of validators within {_CHANGED_MS_MAX} ms")
    world.run_ms(500)
    world.reboot(2)
    world.expect_finalized(height=world.height + 2)


def _dark_at_the_change(world: World) -> None:
    """All go dark in the first moments of an epoch."""
    world.start_clients()
    world.expect_finalized(height=2)
    world.change_validators(range(5))
    if not world.run_until(lambda: world.epoch == 1, _CHANGED_MS_MAX, step_ms=1):
        raise Violation("liveness", f"no change of validators within {_CHANGED_MS_MAX} ms")
    world.run_ms(60 + world.seed * 20)
    world.crash(*world.machines)
    world.reboot(*world.machines)
    world.expect_finalized(height=world.height + 2)


def _hastily_changed(world: World) -> None:
    """Three newcomers are voted in that do not run: refused, or the network would stand still."""
    world.start_clients()
    world.crash(4, 5, 6)
    world.run_ms(1_000)
    world.change_validators(range(7), is_hasty=True)
    world.run_ms(4_000)
    world.expect_finalized(height=world.height + 3)


_SPLITS = _every(300, (FaultKind.SPLIT, FaultKind.LINKS, FaultKind.MUTE), (1, 2, 3), for_ms=900)

_REBOOTS = _every(650, (FaultKind.POWER, FaultKind.FUSE), (0, 1, 2, 3, 5, 12, 25))

_RELAYED_BLOCKS_MIN = 2
_CHANGED_MS_MAX = 10_000
_FOLLOWED_MS_MAX = 600  # what is left of the first two's time, and not of the third one's
_HEARD_MS = 45  # a batch is everywhere, and its block is not proposed yet
_MISSED_MS = 1_600  # by then the others have left the view that they entered with work in hand
_BEAT_MS = 20_000
_ANSWERED_MS_MAX = 1_500  # it asks at its deadline, and again every second
_FED_MS_MAX = 1_800  # short of `lag.STALL_MS`, when whoever is stuck fetches the chain

TRIALS: dict[str, Trial] = {
    "swarm": Trial(about="every fault and liar, as the seed draws them", options=_swarm),
    "reboots": Trial(
        about="power goes every half second, at one validator or everywhere",
        options=_calm,
        schedule=_every(450, (FaultKind.POWER, FaultKind.FUSE), (0, 1, 2, 3, 5, 12, 25)),
    ),
    "rotations": Trial(
        about="power goes while journals are rotated",
        options=_calm,
        schedule=_every(350, (FaultKind.ROTATION, FaultKind.POWER), (0, 1, 2, 3)),
    ),
    "lossy": Trial(about="a quarter of all messages is lost", options=_lossy, schedule=_no_faults),
    "clocks": Trial(
        about="clocks jump back and forth",
        options=_calm,
        schedule=_every(
            900, (FaultKind.CLOCK,), (-20_000, -4_000, 4_000), for_ms=2_500, shared_by_all=False
        ),
    ),
    "left behind": Trial(
        about="one validator is away for many blocks",
        options=lambda seed: replace(_quick(seed), stable_at_ms=6_000, duration_ms=7_500),
        schedule=_left_behind,
    ),
    "splits": Trial(
        about="the network falls apart and comes together again and again",
        options=_calm,
        schedule=_SPLITS,
    ),
    "unnoticed": Trial(
        about="the same, and no connection is reported lost: what was said meanwhile is gone",
        options=lambda seed: replace(_calm(seed), notices_cuts=False),
        schedule=_SPLITS,
    ),
    "pipelined": Trial(
        about="long links and much to do: blocks are proposed before the last ones are final",
        options=lambda seed: replace(
            _quick(seed), delay_ms_min=10, delay_ms_mean=40, burst_every_ms=15, blocks_min=40
        ),
        schedule=_no_faults,
    ),
    "slow": Trial(
        about="a network on which nothing is wrong, for long",
        options=lambda seed: replace(_calm(seed), duration_ms=16_000),
        schedule=_no_faults,
    ),
    "fed": Trial(
        about="the same; whoever lacks a block or a batch has it from a peer",
        options=lambda seed: replace(_quick(seed), burst_every_ms=120),
        schedule=_no_faults,
        play=_fed,
    ),
    "relayed": Trial(
        about="one validator is down, and of the others two do not hear each other",
        options=_calm,
        schedule=_no_faults,
        play=_relayed,
    ),
    "followed": Trial(
        about="a leader is gone, and one of those that must give its view up came late to it",
        options=lambda _: Options(),
        schedule=_no_faults,
        play=_followed,
    ),
    "answered": Trial(
        about="one misses a block of an idle network, and no lost connection tells of it",
        options=lambda _: Options(
            heartbeat_ms=_BEAT_MS, notices_cuts=False, delay_ms_min=20, delay_ms_mean=1
        ),
        schedule=_no_faults,
        play=_answered,
    ),
    "busy": Trial(
        about="many small blocks, and nothing wrong",
        options=lambda seed: replace(_quick(seed), burst_every_ms=20, blocks_min=360),
        schedule=_no_faults,
    ),
    "overfull": Trial(
        about="lanes are full, and execution seems to stand still",
        options=lambda _: Options(),
        schedule=_no_faults,
        play=overfull,
    ),
    "large": Trial(
        about="more bytes wait than a block may order",
        options=lambda _: Options(),
        schedule=_no_faults,
        play=large,
    ),
    "many": Trial(
        about="more bodies wait than a block may order",
        options=lambda _: Options(),
        schedule=_no_faults,
        play=many,
    ),
    "unsigned": Trial(
        about="blocks are ordered, and no signature under their results is heard",
        options=_quick,
        schedule=_no_faults,
        play=unsigned,
    ),
    "resubmitted": Trial(
        about="every envelope is sent to two validators",
        options=lambda seed: replace(_calm(seed), double_submit_permille=1000),
        schedule=_no_faults,
    ),
    "accountable": Trial(
        about="who contradicts itself is found out, by all who are well",
        options=_calm,
        schedule=_no_faults,
        play=_held_to_account,
    ),
    "changing": Trial(
        about="validators come and go while the network falls apart and power goes",
        options=_changing,
        schedule=lambda seed, options: tuple(
            sorted(
                (*_SPLITS(seed, options), *_REBOOTS(seed, options)), key=lambda fault: fault.at_ms
            )
        ),
        play=_changed,
    ),
    "changing by fillers": Trial(
        about="the same; every vote that would finalize a last block gets lost",
        options=_changing,
        schedule=_no_faults,
        play=_changed_by_fillers,
    ),
    "changing calmly": Trial(
        about="validators come and go, and nothing is wrong",
        options=_changing,
        schedule=_no_faults,
        play=_changed,
    ),
    "away": Trial(
        about="one validator is away while the others change the set",
        options=lambda seed: replace(_calm(seed), newcomers=1),
        schedule=_no_faults,
        play=_away_at_the_change,
    ),
    "dark at the change": Trial(
        about="all go dark when an epoch has just begun",
        options=lambda seed: replace(_calm(seed), newcomers=1),
        schedule=_no_faults,
        play=_dark_at_the_change,
    ),
    "replaced": Trial(
        about="half of the validators make way for newcomers at once",
        options=lambda seed: replace(
            _calm(seed), newcomers=2, changes=(Change(at_ms=700, members=(2, 3, 4, 5)),)
        ),
        schedule=_no_faults,
        play=_changed,
    ),
    "hasty": Trial(
        about="newcomers are voted in that are not there",
        options=lambda seed: replace(_calm(seed), newcomers=3),
        schedule=_no_faults,
        play=_hastily_changed,
    ),
    "dark": Trial(
        about="all go dark in a view that was given up; three come back",
        options=lambda _: Options(),
        schedule=_no_faults,
        play=_in_the_dark,
    ),
}
