"""The log in any grouping of leaves, with proofs between any two of its sizes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onward.ledger.log import EMPTY_LOG, consistency_path, inclusion_path
from onward.ledger.merkle import (
    ProofError,
    leaf_hash,
    merkle_root,
    verify_consistency,
    verify_inclusion,
)

PICK = st.integers(0, 10**6)


@given(
    groups=st.lists(st.integers(0, 40), min_size=1, max_size=12), picks=st.tuples(PICK, PICK, PICK)
)
@settings(max_examples=80)
def test_any_leaf_and_any_two_sizes_are_proved(
    groups: list[int], picks: tuple[int, int, int]
) -> None:
    leaves = [leaf_hash(b"%d" % index) for index in range(sum(groups))]
    frontier, nodes, start = EMPTY_LOG, {}, 0
    for count in groups:
        frontier, writes = frontier.append(leaves[start : start + count])
        nodes.update({(level, index): digest for level, index, digest in writes})
        start += count
    size = len(leaves)
    assert frontier.root() == merkle_root(leaves)
    assert len(nodes) == 2 * size - size.bit_count()
    if not size:
        return

    def read(level: int, index: int) -> bytes:
        return nodes[level, index]

    new = picks[0] % size + 1
    old, index = picks[1] % (new + 1), picks[2] % new
    old_root, new_root = merkle_root(leaves[:old]), merkle_root(leaves[:new])
    verify_inclusion(leaves[index], index, new, inclusion_path(read, index, new), new_root)
    path = consistency_path(read, old, new)
    verify_consistency(old, new, old_root, new_root, path)
    for position in range(len(path)):
        forged = (*path[:position], leaf_hash(path[position]), *path[position + 1 :])
        with pytest.raises(ProofError):
            verify_consistency(old, new, old_root, new_root, forged)
