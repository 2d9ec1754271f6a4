"""Disks, clocks and pauses: what befalls machines in cellars, told one at a time.

The bound everywhere is the one that is promised: once the fault is gone, the first new block comes
within two seconds and the longest time-out for each validator that is still faulty. No restart.
"""

from __future__ import annotations

import pytest

from onward.errors import CorruptionError, RejectedError
from onward.ledger.chain import read_block
from onward.simulation.consortium import GENESIS_TIME_MS
from onward.simulation.disk import Loss
from onward.simulation.faults import Fault, FaultKind, Options
from onward.simulation.host import Host
from onward.simulation.injector import DARK_MS
from onward.simulation.oracles import Violation
from onward.simulation.pace import RESUME_MS
from onward.simulation.rare_faults import DAY_MS
from onward.simulation.ruin import Span
from onward.simulation.world import World

ALL = (0, 1, 2, 3)
HALF_AN_HOUR_MS = 30 * 60_000


def happens(
    w: World, kind: FaultKind, nodes: tuple[int, ...], for_ms: int = 4_000, count: int = 0
) -> None:
    """It begins now."""
    w.injector.apply(Fault(at_ms=w.now_ms, kind=kind, nodes=nodes, for_ms=for_ms, count=count))


def expect_resumed(w: World, faulty: int = 0) -> None:
    """The promise, from now on."""
    goal = w.height + 1
    parameters = w.consortium.genesis.parameters
    assert w.run_until(
        lambda: w.height >= goal, RESUME_MS + faulty * parameters.timeout_ms_max, step_ms=20
    )


def at_work(seed: int = 21, **knobs: int) -> World:
    """Four validators with clients, one second old."""
    w = World(seed=seed, options=Options(**knobs))  # type: ignore[arg-type]
    w.start_clients()
    w.run_ms(1_000)
    return w


# -- the disk is full ------------------------------------------------------------------------------


def test_full_disk_stops_its_node_and_nobody_else_and_it_comes_back() -> None:
    """A write that fits in part must be a torn tail at the next start, and no lost promise."""
    w = at_work()
    happens(w, FaultKind.DISK_FULL, (2,))
    w.run_until(lambda: w.host(2).machine is None, 1_000, step_ms=1)
    w.expect_pace(4_000)
    assert w.counts["disk.full"] > 1  # it tried again and again
    w.run_ms(DARK_MS)
    w.expect_finalized(height=w.height, within_ms=5_000)
    w.stop_clients()
    w.expect_told()
    assert w.host(2).height == w.height


def test_full_disks_everywhere_stop_everything_and_lose_nothing() -> None:
    """They were bought together and fill up together."""
    w = at_work(settle_ms=1_500)
    told = dict(w.oracles.told)
    happens(w, FaultKind.DISK_FULL, ALL, for_ms=6_000)
    w.expect_no_finality(for_ms=5_000)
    w.run_ms(1_000 + DARK_MS)
    expect_resumed(w)
    w.stop_clients()
    w.expect_told()
    for tx_hash, (height, code) in told.items():
        assert w.host(1).disk.verdict(tx_hash)[:2] == (height, code)  # type: ignore[index]


# -- the disk forgets ------------------------------------------------------------------------------


@pytest.mark.parametrize("part", range(3))
def test_wiped_home_is_never_started_with_its_old_key(part: int) -> None:
    """It would vote a second time in views that it has voted in: that is how a fork begins."""
    w = at_work()
    happens(w, FaultKind.WIPE, (1,), for_ms=300, count=part)
    w.expect_pace(3_000)
    assert w.host(1).machine is None
    assert w.counts["boot.refused"] == 1
    assert "new key" in refusal_of(w.host(1))
    w.reboot(1)
    assert w.host(1).machine is None


def test_bit_that_turned_in_the_journal_or_the_batch_log_is_found_at_the_next_start() -> None:
    """Behind the bad byte may stand a vote: to cut it away would be to forget it."""
    w = at_work(settle_ms=1_500)
    disk = w.host(3).disk
    both = {"journal", "batches"}
    assert w.run_until(lambda: {folder_of(span) for span in disk.spoilable()[1]} == both, 9_000)
    w.crash(3)
    files, spans = disk.spoilable()
    assert {folder_of(span) for span in spans} == both
    for draw in range(400):
        span = spans[draw % len(spans)]
        files.spoil(span, draw)
        with pytest.raises(CorruptionError, match=span[0]):
            disk.open()
        files.spoil(span, draw)  # the bit turns back
    w.reboot(3)
    w.expect_finalized(height=w.height)


def test_node_with_a_rotten_home_is_missed_and_not_obeyed() -> None:
    """One of four may rot away; the others owe their clients every answer."""
    w = at_work()
    w.run_ms(1_000)
    happens(w, FaultKind.ROT, (0,), for_ms=300, count=3)
    w.expect_pace(3_000)
    assert w.counts["disk.rot"] == 1
    assert w.counts["boot.refused"] == 1
    w.stop_clients()
    w.expect_told()


def test_start_over_a_damaged_home_is_a_violation() -> None:
    """The oracle itself can fail."""
    w = at_work()
    w.crash(1)
    w.host(1).disk.ruin = "only claimed"
    with pytest.raises(Violation, match="damage refused"):
        w.reboot(1)


# -- clocks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("off_ms", [DAY_MS, -DAY_MS])
def test_one_clock_a_day_off_costs_its_own_views(off_ms: int) -> None:
    """A battery is empty: the validator comes up in another day, and back when it is changed."""
    w = at_work()
    happens(w, FaultKind.CLOCK_DAY, (1,), for_ms=6_000, count=off_ms)
    w.expect_pace(6_000, within_ms=RESUME_MS + 1_000)
    assert w.host(1).boots == 2
    assert abs(newest_time_ms(w) - GENESIS_TIME_MS - w.now_ms) < 3_000
    w.run_ms(DARK_MS)  # back to today, by a restart
    assert w.host(1).boots == 3
    w.expect_finalized(height=w.height + 2, within_ms=5_000)


@pytest.mark.parametrize(("nodes", "off_ms"), [((1, 3), DAY_MS), ((1, 3), -DAY_MS), (ALL, -DAY_MS)])
def test_nothing_is_left_of_clocks_a_day_off_once_they_are_right(
    nodes: tuple[int, ...], off_ms: int
) -> None:
    """More of them than may fail: meanwhile nobody's time need be believed by a quorum."""
    w = at_work()
    happens(w, FaultKind.CLOCK_DAY, nodes, for_ms=60_000, count=off_ms)
    w.run_ms(5_000)
    w.stop_clients()
    w.run_ms(55_000 + DARK_MS)
    w.start_clients()
    expect_resumed(w)


def test_half_of_the_clocks_in_tomorrow_give_no_block_its_time() -> None:
    """An offer must not lapse because two batteries are dead."""
    w = at_work()
    happens(w, FaultKind.CLOCK_DAY, (1, 3), for_ms=10_000, count=DAY_MS)
    w.run_ms(10_000)
    assert newest_time_ms(w) <= GENESIS_TIME_MS + w.now_ms


def test_quorum_that_lived_in_tomorrow_does_not_wait_for_it_when_it_is_back() -> None:
    """No child of tomorrow's block can be of today: were it refused for that, all would wait."""
    w = at_work()
    happens(w, FaultKind.CLOCK_DAY, (1, 2, 3), count=DAY_MS)
    w.run_ms(4_000)
    assert newest_time_ms(w) > GENESIS_TIME_MS + DAY_MS
    w.run_ms(DARK_MS)
    expect_resumed(w)
    w.expect_finalized(height=w.height + 5, within_ms=5_000)


# -- pauses ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("paused", [(2, 3), (1, 2, 3)])
def test_network_goes_on_after_most_of_it_stood_still_for_half_an_hour(
    paused: tuple[int, ...],
) -> None:
    """A host that moves its machines; time-outs must not have grown with the wait."""
    w = at_work()
    w.stop_clients()
    w.expect_told()
    before = w.height
    happens(w, FaultKind.PAUSE, paused, for_ms=HALF_AN_HOUR_MS)
    w.run_ms(HALF_AN_HOUR_MS - 1)
    assert w.height <= before + 2
    expect_resumed(w)
    assert [host.boots for host in w.hosts] == [1, 1, 1, 1]


@pytest.mark.parametrize("seed", range(21, 26))
def test_machines_that_go_on_early_do_what_was_due_meanwhile(seed: int) -> None:
    """A world that healed them and kept their disks waiting looked like a stuck network."""
    w = at_work(seed, sync_ms=30)  # so that one is under way when they stop
    happens(w, FaultKind.FREEZE, (1, 2, 3), for_ms=30_000)
    w.run_ms(2_000)
    w.injector.stabilize()
    expect_resumed(w)


def folder_of(span: Span) -> str:
    """Journal or batch log."""
    return span[0].partition("/")[0]


def newest_time_ms(w: World) -> int:
    """The time of the newest block that the first validator has executed."""
    stored = read_block(w.host(0).disk.store, w.host(0).height)
    assert stored is not None
    return stored.block.time_ms


def refusal_of(host: Host) -> str:
    """What a start over this home is answered with."""
    host.disk.crash(Loss.PROCESS)
    with pytest.raises((CorruptionError, RejectedError)) as caught:
        host.disk.open()
    return str(caught.value)
