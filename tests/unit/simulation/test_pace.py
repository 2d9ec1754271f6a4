"""Slowness is seen where nothing else fails: the latency oracle can fail, and only then."""

from __future__ import annotations

import pytest

from onward.ledger.genesis import Parameters
from onward.simulation.faults import Options
from onward.simulation.oracles import Violation
from onward.simulation.pace import RESUME_MS, Pace, resume_ms_max
from onward.simulation.world import World

SHORT, LONG = "n0", "n1"


def test_wait_of_exactly_the_bound_is_no_violation_and_one_more_is() -> None:
    """An oracle that is off by one is blamed on the network."""
    pace = Pace()
    pace.watch((SHORT, LONG), 1_000, 500)
    pace.on_commit(SHORT, 1_500)
    pace.on_commit("another", 9_000)  # nobody asked about it
    with pytest.raises(Violation, match=r"^latency: n1 waited 501 ms"):
        pace.on_commit(LONG, 1_501)


def test_who_never_executes_anything_is_seen_at_the_end() -> None:
    """The slowest of all is the one whose commit never comes."""
    pace = Pace()
    pace.watch((SHORT,), 0, 500)
    with pytest.raises(Violation, match="latency"):
        pace.stop(501)


def test_nothing_is_watched_after_the_end() -> None:
    """The run goes on with fewer clients, and slower."""
    pace = Pace()
    pace.watch((SHORT,), 0, 500)
    pace.stop(400)
    pace.on_commit(SHORT, 90_000)
    assert pace.worst_ms == 400


def test_bound_grows_with_the_faulty_leaders_and_stays_below_what_is_promised() -> None:
    """Two seconds and the longest time-out for each of them is the promise to operators."""
    parameters = Parameters()
    bounds = [resume_ms_max(parameters, faulty) for faulty in range(9)]
    assert bounds[:3] == [RESUME_MS, RESUME_MS + 1_000, RESUME_MS + 2_000]
    assert bounds == sorted(bounds)
    for faulty, bound_ms in enumerate(bounds):
        assert bound_ms <= RESUME_MS + faulty * parameters.timeout_ms_max


def test_network_that_is_slower_than_its_bound_is_a_violation() -> None:
    """Blocks still come, every client is told: no other oracle would say a word."""
    w = World(seed=4, options=Options(heartbeat_ms=5_000))
    w.run_ms(500)
    with pytest.raises(Violation, match="latency"):
        w.expect_pace(12_000)
