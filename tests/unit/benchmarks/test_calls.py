"""The calls that are measured: they do their work, and the same work each time."""

from __future__ import annotations

from pathlib import Path

import pytest
from calls import CALLS, Material, expect_ok
from material import STEPS
from stock import TINY, build_stock

from onward.execution.body import BodyResult


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    folder = tmp_path_factory.mktemp("stock")
    build_stock(folder, TINY)
    return Material(folder)


@pytest.mark.parametrize("name", CALLS)
def test_a_call_finds_the_same_each_time(material: Material, name: str) -> None:
    """A call that changed what it works on would measure something else in every round."""
    ready = CALLS[name](material)
    first = [ready.call() for _ in range(ready.items)]
    assert [ready.call() for _ in range(ready.items)] == first


def test_material_is_the_same_each_time(material: Material, tmp_path: Path) -> None:
    """Counts of different material would differ by it."""
    build_stock(tmp_path, TINY)
    assert Material(tmp_path).stock == material.stock


def test_a_transaction_of_every_type_is_due(material: Material) -> None:
    assert {kind: len(items) for kind, items in material.stock.due.items()} == {
        kind: STEPS.count(kind) * TINY.stopped for kind in STEPS
    }


def test_a_refusal_is_not_measured_as_an_execution() -> None:
    refused = BodyResult(
        code="E_PARTY", rule="", message="no party", outcome=None, writes={}, event=None, rows={}
    )
    with pytest.raises(ValueError, match="E_PARTY"):
        expect_ok(refused)
