"""Nothing in the node may know a contract: what it runs by default stands in a few named places.

A rule of one contract that moved into the node would bind every other one.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from onward_chaincode.registry import offered

ROOT = Path(__file__).parents[3] / "node" / "onward"
NAMES = frozenset(name for name, _ in offered())

# Where a default or a workload is chosen: by whoever assembles, drives or measures a network.
DEFAULTS = {
    "bench/cast.py",  # who takes part in the workload
    "bench/grown.py",  # which workload a chain is grown with
    "bench/runner.py",  # what a measured network has
    "bench/stories.py",  # the workloads
    "bench/virtual_run.py",  # as bench/runner.py
    "cli/bench.py",  # the workload when nobody names one
    "cli/bench_faults.py",
    "cli/bench_growth.py",
    "cli/bench_validators.py",
    "network/definition.py",  # what a new network has when nobody says
    "scenario/grammar.py",  # what a scenario speaks of when it does not say
    "simulation/workload.py",  # what the simulated clients do
}


def names_in(source: str) -> set[str]:
    """The contracts that a source names: in a text of its own, or by importing their modules."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Constant(value=str(text)) if text in NAMES:
                found.add(text)
            case ast.ImportFrom(module=str(module), names=items):
                parts = {module.rpartition(".")[2], *(item.name for item in items)}
                if module.partition(".")[0] == "onward_chaincode":
                    found |= {part.partition("_")[0] for part in parts} & NAMES
            case ast.Import(names=items):
                for item in items:
                    if item.name.partition(".")[0] == "onward_chaincode":
                        found |= {item.name.rpartition(".")[2].partition("_")[0]} & NAMES
            case _:
                pass
    return found


def test_only_defaults_and_workloads_name_a_contract() -> None:
    naming = {
        path.relative_to(ROOT).as_posix(): names
        for path in sorted(ROOT.rglob("*.py"))
        if (names := names_in(path.read_text(encoding="utf-8")))
    }
    assert set(naming) <= DEFAULTS
    assert set(naming) >= DEFAULTS, "a place on the list that names none is to be taken off"


def test_the_second_contract_is_named_nowhere_in_the_node() -> None:
    """It came through the registry: not a line of the node was written for it."""
    for path in sorted(ROOT.rglob("*.py")):
        assert "reconciliation" not in names_in(path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize(
    "source",
    [
        "CONTRACT = 'isa'",
        "from onward_chaincode.isa import Isa",
        "from onward_chaincode import reconciliation",
        "from onward_chaincode.reconciliation_records import PAYLOADS",
        "import onward_chaincode.opaque",
    ],
)
def test_the_rule_sees_every_way_of_naming(source: str) -> None:
    assert names_in(source)


def test_the_rule_lets_other_words_be() -> None:
    assert not names_in("x = 'isa/1'\nfrom onward_chaincode.registry import contract_for")
