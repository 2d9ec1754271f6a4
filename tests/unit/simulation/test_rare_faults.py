"""What a seed draws of the rarer faults: never more than the network promises to survive."""

from __future__ import annotations

from collections import Counter

from onward.simulation.byzantine import LIAR_KINDS
from onward.simulation.faults import RUINOUS, Fault, FaultKind
from onward.simulation.rare_faults import draw_rare
from onward.simulation.schedule import draw_options, draw_schedule
from onward.types import quorum_of

SEEDS = range(600)


def drawn(seed: int) -> tuple[Fault, ...]:
    """The rare faults of a seed."""
    return tuple(draw_rare(seed, draw_options(seed, LIAR_KINDS)))


def test_lost_homes_and_liars_together_are_never_more_than_f() -> None:
    """With one more, a stuck network would be nobody's bug."""
    for seed in SEEDS:
        options = draw_options(seed, LIAR_KINDS)
        lost = [fault.nodes[0] for fault in drawn(seed) if fault.kind in RUINOUS]
        assert len(lost) + len(options.liars) <= (options.validators - 1) // 3
        assert len(set(lost)) == len(lost)
        assert all(node < options.validators - len(options.liars) for node in lost)


def test_clocks_in_tomorrow_and_liars_together_are_never_a_quorum() -> None:
    """A quorum sets the time, and what clients signed for today would expire."""
    for seed in SEEDS:
        options = draw_options(seed, LIAR_KINDS)
        days = [fault for fault in drawn(seed) if fault.kind is FaultKind.CLOCK_DAY]
        assert len({(fault.nodes, fault.count) for fault in days}) <= 1
        for fault in days:
            ahead = len(fault.nodes) if fault.count > 0 else 0
            assert ahead + len(options.liars) < quorum_of(options.validators)


def test_pauses_are_of_more_than_may_fail() -> None:
    """Fewer are the ordinary freeze."""
    for seed in SEEDS:
        size = draw_options(seed, LIAR_KINDS).validators
        for fault in drawn(seed):
            if fault.kind is FaultKind.PAUSE:
                assert len(fault.nodes) > (size - 1) // 3


def test_every_kind_is_drawn_and_none_by_every_seed() -> None:
    """A world in which everything always goes wrong never meets what needs one thing alone."""
    seen = Counter(kind for seed in SEEDS for kind in {fault.kind for fault in drawn(seed)})
    kinds = (FaultKind.PAUSE, FaultKind.CLOCK_DAY, FaultKind.DISK_FULL, *RUINOUS)
    assert all(10 < seen[kind] < len(SEEDS) / 3 for kind in kinds)


def test_schedule_has_them_in_order_of_time() -> None:
    """A schedule is read from top to bottom, by people too."""
    for seed in range(100):
        options = draw_options(seed, LIAR_KINDS)
        schedule = draw_schedule(seed, options)
        assert set(draw_rare(seed, options)) <= set(schedule)
        times = [fault.at_ms for fault in schedule]
        assert times == sorted(times)
