"""The growing log answers as the RFC 6962 tree over all of its leaves would."""

from __future__ import annotations

import pytest

from onward.errors import CorruptionError, InvariantError
from onward.ledger.log import (
    EMPTY_LOG,
    LogFrontier,
    consistency_path,
    inclusion_path,
    root_at,
)
from onward.ledger.merkle import (
    EMPTY_ROOT,
    ProofError,
    leaf_hash,
    merkle_root,
    verify_consistency,
    verify_inclusion,
)
from onward.ledger.merkle import inclusion_path as path_in_memory

SIZE = 40
LEAVES = [leaf_hash(b"leaf %d" % index) for index in range(SIZE)]


class Nodes:
    """What a node keeps of its log."""

    def __init__(self) -> None:
        self.kept: dict[tuple[int, int], bytes] = {}
        self.frontier = EMPTY_LOG

    def append(self, leaves: list[bytes]) -> None:
        self.frontier, writes = self.frontier.append(leaves)
        for level, index, digest in writes:
            assert (level, index) not in self.kept
            self.kept[level, index] = digest

    def read(self, level: int, index: int) -> bytes:
        return self.kept[level, index]


def log_of(size: int) -> Nodes:
    nodes = Nodes()
    nodes.append(LEAVES[:size])
    return nodes


@pytest.mark.parametrize("step", [1, 3, 7, SIZE])
def test_the_root_does_not_depend_on_how_leaves_were_grouped_into_blocks(step: int) -> None:
    nodes = Nodes()
    for start in range(0, SIZE, step):
        nodes.append(LEAVES[start : start + step])
    assert nodes.frontier == log_of(SIZE).frontier
    assert nodes.kept == log_of(SIZE).kept
    assert nodes.frontier.root() == merkle_root(LEAVES)


def test_every_leaf_is_proved_in_every_size_that_the_log_ever_had() -> None:
    """A receipt may carry any checkpoint: the proofs for old sizes must stay possible."""
    nodes = log_of(SIZE)
    for size in range(1, SIZE + 1):
        root = merkle_root(LEAVES[:size])
        assert root_at(nodes.read, size) == root
        for index in range(size):
            path = inclusion_path(nodes.read, index, size)
            assert path == path_in_memory(LEAVES[:size], index)
            verify_inclusion(LEAVES[index], index, size, path, root)


def test_every_size_is_proved_to_extend_every_smaller_one() -> None:
    nodes = log_of(SIZE)
    roots = [root_at(nodes.read, size) for size in range(SIZE + 1)]
    for new in range(SIZE + 1):
        for old in range(new + 1):
            path = consistency_path(nodes.read, old, new)
            verify_consistency(old, new, roots[old], roots[new], path)
            if 0 < old < new:
                for wrong in (path[:-1], (*path, EMPTY_ROOT)):
                    with pytest.raises(ProofError):
                        verify_consistency(old, new, roots[old], roots[new], wrong)
                with pytest.raises(ProofError):
                    verify_consistency(old, new, roots[old - 1], roots[new], path)
                with pytest.raises(ProofError):
                    verify_consistency(old, new, roots[old], roots[new - 1], path)


def test_a_rewritten_leaf_cannot_be_called_an_extension() -> None:
    honest, forked = log_of(SIZE), Nodes()
    forked.append([*LEAVES[:5], EMPTY_ROOT, *LEAVES[6:]])
    path = consistency_path(forked.read, 9, SIZE)
    with pytest.raises(ProofError):
        verify_consistency(9, SIZE, root_at(honest.read, 9), forked.frontier.root(), path)


def test_a_frontier_survives_its_encoding_and_refuses_any_other_length() -> None:
    for size in range(SIZE + 1):
        frontier = log_of(size).frontier
        data = frontier.encode()
        assert LogFrontier.decode(data) == frontier
        for wrong in (data[:-1], data + b"\x00", b""):
            with pytest.raises(CorruptionError):
                LogFrontier.decode(wrong)


def test_the_frontier_is_all_that_appending_needs() -> None:
    nodes = log_of(13)
    resumed = LogFrontier.decode(nodes.frontier.encode())
    assert resumed.append(LEAVES[13:])[0].root() == merkle_root(LEAVES)


def test_asking_for_what_is_not_in_the_log_is_a_bug_of_ours() -> None:
    nodes = log_of(4)
    with pytest.raises(InvariantError):
        inclusion_path(nodes.read, 4, 4)
    with pytest.raises(InvariantError):
        consistency_path(nodes.read, 4, 3)
    with pytest.raises(InvariantError):
        EMPTY_LOG.append([b"short"])
