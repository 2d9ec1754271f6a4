"""Accidents on the simulated network, told step by step; and that the simulation can be trusted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner

from onward.cli.simulate import simulate
from onward.replica.effects import Effects, Event, Tick
from onward.simulation.byzantine import LIAR_KINDS
from onward.simulation.campaign import run_campaign
from onward.simulation.faults import Fault, FaultKind, Options
from onward.simulation.mutants import MUTANTS, Mutant
from onward.simulation.oracles import Violation
from onward.simulation.plan import Settings
from onward.simulation.report import CAMPAIGN_SEEDS_MIN, EXPECTED_KINDS, summarize
from onward.simulation.run import CRASH, Result, build_world, run_seed, run_world
from onward.simulation.schedule import draw_options, draw_schedule
from onward.simulation.world import World


def short(options: Options) -> Options:
    """The same knobs, a shorter run: enough for a test, too little for a claim."""
    return replace(
        options,
        duration_ms=9_000,
        stable_at_ms=7_000,
        blocks_min=15,
        bodies_min=40,
        burst_every_ms=200,
        burst_envelopes_max=2,
    )


# -- accidents -------------------------------------------------------------------------------------


def test_halves_of_a_split_network_decide_nothing_and_go_on_when_it_heals() -> None:
    """Two halves that both decide are a fork; two that never meet again are dead."""
    w = World(seed=7, n=4)
    w.expect_finalized(height=1)
    w.partition({0, 1}, {2, 3})
    w.submit(3)
    w.expect_no_finality(for_ms=5_000)
    w.heal()
    w.expect_finalized(height=w.height + 1, within_ms=5_000)
    w.expect_told()


def test_one_validator_cut_off_holds_nobody_up_and_catches_up() -> None:
    """A consortium of four lives with one member's network being down."""
    w = World(seed=8, n=4)
    w.start_clients()
    w.partition({3}, {0, 1, 2})
    w.run_ms(5_000)
    assert w.height > 10
    assert w.host(3).height < 3
    w.heal()
    w.expect_finalized(height=w.height)


@pytest.mark.parametrize("seed", range(2))
def test_crash_of_the_leader_stalls_finality_for_two_seconds_at_most(seed: int) -> None:
    """Whoever leads, its death may cost its view, and no client's transaction."""
    w = World(seed=seed, n=4)
    w.start_clients()
    w.run_ms(2_000)
    w.host(0).look()
    _, leader = w.host(0).waits_for
    w.crash(leader)
    # Its turn comes again every fourth view, and a block under way may still end after the crash.
    stalls_ms = []
    for _ in range(4):
        began_ms, before = w.now_ms, w.height
        w.run_until(lambda before=before: w.height > before, 5_000, step_ms=10)  # type: ignore[misc]
        stalls_ms.append(w.now_ms - began_ms)
    assert max(stalls_ms) <= 2_000
    w.stop_clients()
    w.expect_told()


def test_power_cut_everywhere_loses_nothing_that_a_client_was_told() -> None:
    """All machines lose what they had not synced, at one moment: the case backups do not cover."""
    w = World(seed=9, n=4, options=Options(settle_ms=1_500))
    w.start_clients()
    w.run_ms(3_000)
    told = dict(w.oracles.told)
    assert told
    w.crash(0, 1, 2, 3)
    assert w.counts["disk.lost_database_writes"] > 4
    w.run_ms(500)
    w.reboot(0, 1, 2, 3)
    w.expect_finalized(height=w.height + 3)
    for host in w.hosts:
        for tx_hash, (height, code) in told.items():
            assert host.disk.verdict(tx_hash)[:2] == (height, code)  # type: ignore[index]


def test_validator_that_was_away_for_long_fetches_the_chain_by_height() -> None:
    """Repair by digest reaches back to the last finalization only; behind that stands the chain."""
    w = World(seed=10, n=4)
    w.start_clients()
    w.run_ms(1_000)
    w.crash(2)
    w.run_ms(12_000)
    assert w.counts["event.caught_up"] == 0
    w.reboot(2)
    w.expect_finalized(height=w.height)
    assert w.counts["event.caught_up"] > 0


def test_bytes_submitted_at_two_validators_at_once_are_executed_once() -> None:
    """A client that retries at other validators must not pay twice."""
    w = World(seed=11, n=4, options=Options(double_submit_permille=1000))
    w.start_clients()
    w.run_ms(3_000)
    w.stop_clients()
    w.expect_told()
    assert w.counts["client.double_submit"] > 10
    assert w.oracles.void_count > 0  # the second copies, ordered and without effect


# -- the swarm -------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_seed_keeps_every_promise(seed: int) -> None:
    """A short walk through each seed's faults; `onward simulate` walks the whole way."""
    world = build_world(seed, options=short(draw_options(seed, LIAR_KINDS)))
    run_world(world)
    assert world.height >= 15


def test_same_seed_does_the_same_thing_twice() -> None:
    """A failure that cannot be repeated cannot be mended."""
    assert _audit_of(3) == _audit_of(3)
    assert _audit_of(3) != _audit_of(4)


def test_same_seed_does_the_same_thing_in_another_process() -> None:
    """Hashes of text and bytes differ between processes: no order may depend on them."""
    program = (
        "from onward.simulation.faults import Fault, FaultKind, Options\n"
        "from onward.simulation.world import World\n"
        "kinds = enumerate((FaultKind.SPLIT, FaultKind.POWER, FaultKind.KILL))\n"
        "faults = [Fault(at_ms=800 + 400 * node, kind=kind, nodes=(node,), for_ms=500, count=3)\n"
        "          for node, kind in kinds]\n"
        "options = Options(liars=('equivocator',), drop_permille=20, in_order=False)\n"
        "w = World(seed=5, options=options, schedule=faults)\n"
        "w.start_clients(); w.run_ms(4_000)\n"
        "assert w.counts['lie.equivocation'] and w.counts['reboot'] == 2\n"
        "print(w.audit)"
    )
    audits = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "77")
    }
    assert len(audits) == 1


def test_schedule_is_data_that_can_be_cut_down_and_replayed() -> None:
    """Whoever shrinks a failure takes faults away and runs the rest."""
    options = short(Options())
    schedule = draw_schedule(2, options)
    assert schedule == draw_schedule(2, options)
    world = build_world(2, options=options, schedule=schedule[:1])
    run_world(world)
    assert [kind for kind in FaultKind if world.counts[kind]] == [schedule[0].kind]


def test_power_goes_between_any_two_effects() -> None:
    """The fuse counts effects and disk operations, so that every gap between them is hit."""
    for count in range(1, 12):
        fault = Fault(at_ms=800, kind=FaultKind.FUSE, nodes=(1,), for_ms=300, count=count)
        w = World(seed=count, n=4, schedule=(fault,))
        w.start_clients()
        w.run_ms(1_500)
        assert w.counts["crash.between_effects"] == 1
        w.expect_finalized(height=w.height + 2)


# -- the oracles can fail --------------------------------------------------------------------------


def test_validators_that_judge_batches_by_their_own_state_contradict_each_other() -> None:
    """A newcomer acts at one validator before another has executed her registration."""
    options = Options(delay_ms_mean=40, in_order=False, drop_permille=200)
    mutant = MUTANTS["key-lookup-at-batch-check"]
    caught = ""
    for seed in range(1, 7):
        w = World(seed=seed, n=4, options=options, mutant=mutant())
        w.start_clients()
        try:
            w.run_ms(6_000)
        except Violation as violation:
            caught = violation.oracle
            break
    assert caught


@pytest.mark.parametrize("name", ["own-votes-not-recounted", ""])
def test_quorum_that_forgot_to_count_itself_is_stuck_and_the_real_one_is_not(name: str) -> None:
    """All gave up the view and went dark; three come back, and need all three of their votes."""
    w = World(seed=1, n=4, mutant=MUTANTS[name]() if name else None)
    w.expect_finalized(height=1)
    w.partition({0, 1}, {2, 3})
    w.submit(2)
    w.run_ms(4_500)
    w.host(0).look()
    _, leader = w.host(0).waits_for
    w.crash(0, 1, 2, 3)
    w.heal()
    w.reboot(*({0, 1, 2, 3} - {leader}))
    if name:
        with pytest.raises(Violation, match="liveness"):
            w.expect_finalized(height=w.height + 2)
    else:
        w.expect_finalized(height=w.height + 2)


def test_expectations_fail_when_they_should() -> None:
    """A scenario that cannot fail proves nothing."""
    w = World(seed=13, n=4)
    with pytest.raises(Violation, match="no finality"):
        w.expect_no_finality(for_ms=6_000)
    w.crash(0, 1)
    with pytest.raises(Violation, match="liveness"):
        w.expect_finalized(height=w.height + 1, within_ms=3_000)


# -- the report ------------------------------------------------------------------------------------


def _result(seed: int, **counts: int) -> Result:
    return Result(
        seed=seed,
        failure="",
        events=1,
        blocks=1,
        bodies=1,
        simulated_ms=1,
        audit="",
        counts=counts,
    )


def test_campaign_without_some_kind_of_fault_is_not_clean() -> None:
    """A fault that never occurs is a fault that nobody tested, whatever the options say."""
    everything = dict.fromkeys(EXPECTED_KINDS, 1)
    results = [_result(seed, **everything) for seed in range(CAMPAIGN_SEEDS_MIN)]
    assert summarize(results, 1.0).is_clean
    del everything["disk.torn_tails"]
    report = summarize([_result(seed, **everything) for seed in range(CAMPAIGN_SEEDS_MIN)], 1.0)
    assert report.missing == ("disk.torn_tails",)
    assert not report.is_clean


def test_short_campaign_promises_no_kinds() -> None:
    """Ten seeds cannot contain everything."""
    assert summarize([_result(seed) for seed in range(10)], 1.0).is_clean


def test_campaign_is_the_same_on_one_process_and_on_two() -> None:
    """How the seeds are spread decides nothing."""
    settings = Settings(mutant="send-before-persist", validators=5)
    alone, spread = (run_campaign(range(3), jobs, settings=settings) for jobs in (1, 2))
    assert len(alone.failed) == 3  # within the first moments, which makes them quick
    assert (spread.totals, spread.failed) == (alone.totals, alone.failed)


def test_seed_that_ends_in_an_error_of_ours_is_named_like_any_other() -> None:
    """A `KeyError` in the middle of three hundred seeds must not cost all of them."""

    class Broken(Mutant):
        def on_replica(self, replica: Any) -> None:
            honest = replica.step_all

            def step_all(events: Sequence[Event], now_ms: int) -> Effects:
                if any(isinstance(event, Tick) for event in events):
                    raise KeyError(now_ms)
                return honest(events, now_ms)  # type: ignore[no-any-return]

            replica.step_all = step_all

    told: list[str] = []
    result = run_seed(0, mutant=Broken(), trace=told.append)
    assert result.failure.startswith(f"{CRASH}: KeyError")
    assert "Traceback" in told[-1]


def test_fault_that_meets_nothing_is_not_counted() -> None:
    """Who kills the dead, or waits for a rotation that never comes, has tested nothing."""
    kill = Fault(at_ms=500, kind=FaultKind.KILL, nodes=(1,), for_ms=5_000)
    again = replace(kill, at_ms=600)
    rotation = replace(kill, at_ms=700, kind=FaultKind.ROTATION)
    w = World(seed=1, n=4, schedule=(kill, again, rotation))
    w.run_ms(2_000)
    assert w.counts["crash.kill"] == 1
    assert w.counts["crash.rotation"] == 0


def test_command_prints_how_to_replay_a_failure_and_exits_one() -> None:
    """The person who reads the failure has a command to type."""
    answer = CliRunner().invoke(
        simulate, ["--seeds", "0:2", "--mutant", "send-before-persist", "--json"]
    )
    assert answer.exit_code == 1
    assert "onward simulate --seed 0 --mutant send-before-persist" in answer.stderr
    document = json.loads(answer.stdout)
    assert document["seeds"] == 1
    assert document["failed"][0]["seed"] == 0


@pytest.mark.parametrize("arguments", [[], ["--seeds", "5:5"], ["--seeds", "0:2", "--seed", "1"]])
def test_command_refuses_what_it_cannot_mean(arguments: list[str]) -> None:
    """Exit status 2 is the caller's mistake, never a verdict."""
    assert CliRunner().invoke(simulate, arguments).exit_code == 2


def _audit_of(seed: int) -> str:
    w = World(seed=seed, n=4)
    w.start_clients()
    w.run_ms(2_000)
    return w.audit
