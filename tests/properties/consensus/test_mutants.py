"""Planted bugs: oracles that do not see these would not see ours either."""

from __future__ import annotations

import pytest
from tests.properties.consensus.test_schedules import calm, storm
from tests.support.consensus_world import World

from onward.consensus.core import Core
from onward.consensus.promises import FINALIZE, Promises
from onward.errors import DivergenceError
from onward.types import Digest, ValidatorSet


class _TwoF(ValidatorSet):
    @property
    def quorum(self) -> int:
        return 2 * ((self.size - 1) // 3)


def test_quorum_of_2f_forks() -> None:
    world = World(set_class=_TwoF)
    world.partition((0, 1), (2, 3))
    world.submit(0, b"left")
    world.submit(2, b"right")
    with pytest.raises(AssertionError, match="fork"):
        world.run_ms(9_000)


class _Loose(Promises):
    def may_finalize(self, view: int) -> bool:
        return view > self._floor_view and not self.has(FINALIZE, view)

    def _check_history(self, kind: object, view: int) -> None:
        pass


class _FinalizesAfterNullify(Core):
    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self._promises.__class__ = _Loose


def test_finalize_after_nullify_is_seen_within_20_seeds() -> None:
    with pytest.raises(AssertionError, match="contradicts itself"):
        weather(20, _FinalizesAfterNullify)


def weather(seeds: int, core_class: type[Core]) -> None:
    for seed in range(seeds):
        world = World(seed=seed, core_class=core_class)
        storm(world)
        calm(world)


class _HoldsAGrudge(Core):
    def _on_not_now(self, digest: Digest, again_ms: int | None) -> None:
        self._tree.refuse(digest)


def test_untimely_proposal_remembered_as_bad_halts_the_node() -> None:
    world = World(core_class=_HoldsAGrudge)
    world.skew_ms = {0: -10_000}
    with pytest.raises(DivergenceError):
        world.run_ms(2_000)
