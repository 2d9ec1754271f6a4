"""What a validator does for an envelope, a batch, a body, a block and a receipt: one call each.

    make microbench ARGS="benchmarks/bench_calls.py -k execute"

The calls and what they work on stand in `calls.py`; `make instructions` counts the same ones.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from calls import CALLS, Material
from pytest_benchmark.fixture import BenchmarkFixture
from stock import build_stock


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """A chain of some thousand transactions and a state map of a hundred thousand keys."""
    folder: Path = tmp_path_factory.mktemp("stock")
    build_stock(folder)
    return Material(folder)


@pytest.mark.parametrize("name", CALLS)
def test_call(benchmark: BenchmarkFixture, material: Material, name: str) -> None:
    benchmark.group = name.partition("-")[0]
    ready = CALLS[name](material)
    for _ in range(ready.items):
        ready.call()
    benchmark(ready.call)
