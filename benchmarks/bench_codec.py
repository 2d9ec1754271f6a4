"""The codec on the messages of the hot path: as defined, and as compiled.

    make bench ARGS="benchmarks/bench_codec.py"

The pairs of one message run one after the other, so their ratio is what counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from onward.ledger.block import BLOCK_FORMAT, Batch, Block, Executed, LanePoint
from onward.ledger.transaction import Body
from onward_proto.canonical import decode, define_decode, define_encode, encode

BLOCK = Block(
    format=BLOCK_FORMAT,
    epoch=0,
    view=90_210,
    height=90_000,
    parent_view=90_209,
    parent=b"p" * 32,
    time_ms=1_750_000_000_000,
    cut=tuple(LanePoint(seq=40_000 + lane, head=bytes([lane]) * 32) for lane in range(4)),
    executed=Executed(height=89_998, log_size=1_000_000, log_root=b"r" * 32),
    last=False,
    next_set_hash=b"s" * 32,
)
BODY = Body(
    format=1,
    contract="isa",
    type="share.record",
    actor="p-0123456789abcdef0123456789abcdef",
    cosigners=(),
    valid_until_ms=1_750_000_600_000,
    salt=bytes(range(16)),
    payload=b"x" * 200,
)
BATCH = Batch(
    author=2,
    epoch=0,
    seq=41,
    previous=b"h" * 32,
    envelopes=(b"e" * 512,) * 100,
    signature=b"s" * 64,
)
MESSAGES = {"block": BLOCK, "body": BODY, "batch of 100": BATCH}


@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize("way", [encode, define_encode], ids=["compiled", "defined"])
def test_encode(benchmark: BenchmarkFixture, name: str, way: Callable[[object], bytes]) -> None:
    benchmark.group = f"encode {name}"
    benchmark(way, MESSAGES[name])


@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize("way", [decode, define_decode], ids=["compiled", "defined"])
def test_decode(
    benchmark: BenchmarkFixture, name: str, way: Callable[[type[Any], bytes], object]
) -> None:
    benchmark.group = f"decode {name}"
    message = MESSAGES[name]
    benchmark(way, type(message), encode(message))
