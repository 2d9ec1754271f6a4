"""Every schedule of a few views in which one of four validators is a pair of twins."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.spec.twin_schedules import SIZE, SPLITS, Broken, Figures, Schedule, explore, swapped

from onward.consensus.config import CoreConfig
from onward.consensus.core import Core
from onward.consensus.effects import CoreEffect
from onward.consensus.messages import Certificate
from onward.consensus.promises import FINALIZE, Promises
from onward.ledger.block import Block
from onward.types import ValidatorIndex, ValidatorSet


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("twin", range(SIZE))
def test_no_schedule_of_two_views_forks_or_sticks(twin: int) -> None:
    """The danger: two stories, each consistent, told to two parts of the network."""
    figures = explore(twin, views=2)
    assert figures.schedules == len(SPLITS) ** 2  # none was left out
    assert figures.runs > 100
    assert figures.with_evidence > 20
    assert figures.with_early_blocks > 60


def test_what_the_twins_are_called_changes_nothing() -> None:
    """One of two schedules that differ in that alone is left out above, and nowhere else."""
    for twin in range(SIZE):
        halves, all_of_them = explore(twin, 1), explore(twin, 1, names_twins=True)
        assert halves.schedules == all_of_them.schedules == all_of_them.runs == len(SPLITS)
        for split in SPLITS:
            other = swapped(split, twin)
            assert swapped(other, twin) == split
            assert outcome(twin, split) == outcome(twin, other)


def outcome(twin: int, split: int) -> tuple[int, list[int]]:
    """What the honest validators made of one view under this split."""
    schedule = Schedule(twin, 1, lambda view: split)
    schedule.run()
    heights = [len(item.chain) - 1 for item in schedule.instances if item.index != twin]
    return schedule.early_blocks, heights


# -- the schedules can fail ------------------------------------------------------------------------


class _TwoF(ValidatorSet):
    @property
    def quorum(self) -> int:
        return 2 * ((self.size - 1) // 3)


class _QuorumOfTwoF(Core):
    def __init__(self, config: CoreConfig, root: Block, final: Certificate) -> None:
        honest = config.validators
        weak = _TwoF(epoch=honest.epoch, members=honest.members)
        super().__init__(replace(config, validators=weak), root, final)


class _Loose(Promises):
    def may_finalize(self, view: int) -> bool:
        return view > self._floor_view and not self.has(FINALIZE, view)

    def _check_history(self, kind: object, view: int) -> None:
        pass


class _FinalizesAfterNullify(Core):
    def __init__(self, config: CoreConfig, root: Block, final: Certificate) -> None:
        super().__init__(config, root, final)
        self._promises.__class__ = _Loose


class _TellsNoStatus(Core):
    def on_peer_up(self, peer: ValidatorIndex, now_ms: int) -> tuple[CoreEffect, ...]:
        return ()

    def _say_status(self) -> None:
        pass


@pytest.mark.parametrize(
    ("core_type", "told"),
    [
        (_QuorumOfTwoF, "fork|ForkDetected|halts"),
        (_FinalizesAfterNullify, "contradicts itself"),
        (_TellsNoStatus, "stuck"),
    ],
)
def test_planted_bug_is_found_in_two_views(core_type: type[Core], told: str) -> None:
    figures: list[Figures] = []
    with pytest.raises(Broken, match=told):
        figures.extend(explore(twin, 2, core_type) for twin in (1, 0, 2, 3))
