"""What a validator does for every transaction and every vote, one call at a time."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from onward.crypto.signing import SigningKey, verify
from onward.ledger.merkle import inclusion_path, leaf_hash, merkle_root

KEY = SigningKey(bytes(range(32)))
MESSAGE = b"m" * 1_024
SIGNATURE = KEY.sign(MESSAGE)


def test_sign_a_kilobyte(benchmark: BenchmarkFixture) -> None:
    benchmark(KEY.sign, MESSAGE)


def test_verify_a_kilobyte(benchmark: BenchmarkFixture) -> None:
    assert benchmark(verify, bytes(KEY.public_key), MESSAGE, SIGNATURE)


@pytest.mark.parametrize("leaf_count", [16, 256, 4_096])
def test_merkle_root(benchmark: BenchmarkFixture, leaf_count: int) -> None:
    leaves = [leaf_hash(number.to_bytes(4)) for number in range(leaf_count)]
    benchmark(merkle_root, leaves)


def test_inclusion_path_among_4096(benchmark: BenchmarkFixture) -> None:
    leaves = [leaf_hash(number.to_bytes(4)) for number in range(4_096)]
    benchmark(inclusion_path, leaves, 1_234)
