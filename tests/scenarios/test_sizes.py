"""Seven, thirteen and twenty-five validators: what is promised for four is promised for them.

A consortium of four says little about thresholds: there a quorum, the others and n - f are the same
three. Here f + 1, 2f + 1 and n - f lie apart, and several faulty leaders may come one after the
other.
"""

from __future__ import annotations

import pytest

from onward.consensus.leader import leader_of
from onward.simulation.faults import Options
from onward.simulation.pace import resume_ms_max
from onward.simulation.world import World

SIZES = (7, 13, 25)
LIARS_MS = 2_500
"""Two views that must be given up, one after the other, and half a second for the rest."""


def at_work(n: int, *, liars: tuple[str, ...] = (), seed: int = 31) -> World:
    """So many validators with clients, one second old."""
    # Few bodies: every validator checks each, and it is the protocol that is looked at.
    options = Options(validators=n, liars=liars, burst_every_ms=300, burst_envelopes_max=2)
    w = World(seed=seed, options=options)
    w.start_clients()
    w.run_ms(1_000)
    return w


def leader_index(w: World) -> int:
    """Who leads the view of the foremost validator."""
    view = max(host.machine.view for host in w.honest if host.machine is not None)
    return leader_of(w.consortium.genesis.validators, view)


@pytest.mark.parametrize("n", SIZES)
def test_as_many_as_may_fail_in_a_row_hold_nobody_up_and_one_more_stops_everything(n: int) -> None:
    """Leaders that are gone in a row: every view costs its time-out before somebody is there."""
    w = at_work(n)
    gone = [(leader_index(w) + step) % n for step in range(n // 3 + 1)]
    w.crash(*gone[:-1])
    parameters = w.consortium.genesis.parameters
    for _ in range(3):
        w.expect_finalized(w.height + 1, within_ms=resume_ms_max(parameters, n // 3))
    w.crash(gone[-1])
    w.expect_no_finality(for_ms=2_000)
    height = w.height
    w.reboot(*gone)
    w.expect_finalized(height + 1, within_ms=resume_ms_max(parameters, 0))
    w.stop_clients()
    w.expect_told()
    w.expect_finalized(height=w.height)


@pytest.mark.parametrize("n", SIZES)
def test_one_short_of_a_quorum_decides_nothing_on_either_side_of_a_split(n: int) -> None:
    """A quorum reckoned too small would let both sides, or the larger one, go on alone."""
    w = World(seed=32, n=n)
    w.expect_finalized(height=1)
    larger = set(range(n - n // 3 - 1))
    w.partition(larger, set(range(n)) - larger)
    w.submit(3)
    w.expect_no_finality(for_ms=3_000)
    w.heal()
    w.expect_finalized(height=w.height + 1, within_ms=5_000)
    w.expect_told()


@pytest.mark.parametrize(
    "liars",
    [
        ("equivocator", "withholder"),
        ("equivocator", "double_voter", "misreporter", "lane_forker"),
    ],
)
def test_as_many_liars_as_may_be_fork_nothing_and_delay_nobody_for_long(
    liars: tuple[str, ...],
) -> None:
    """Of four there is one liar, who has nobody to lie with."""
    n = 3 * len(liars) + 1
    w = at_work(n, liars=liars)
    w.expect_pace(3_000, within_ms=LIARS_MS)
    w.stop_clients()
    w.expect_told()
    w.expect_finalized(height=w.height)
    assert w.counts["event.evidence"] > 0
