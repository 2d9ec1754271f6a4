"""RFC 6962 trees against a reference written straight from the RFC's recursive definition."""

from __future__ import annotations

from hashlib import sha256

import pytest

from onward.ledger.merkle import (
    EMPTY_ROOT,
    ProofError,
    inclusion_path,
    leaf_hash,
    merkle_root,
    verify_consistency,
    verify_inclusion,
)
from onward.limits import PROOF_HASHES_MAX

SIZES = range(1, 34)


def reference_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, over the leaves themselves."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return sha256(b"\x01" + reference_root(leaves[:k]) + reference_root(leaves[k:])).digest()


def reference_path(leaves: list[bytes], m: int) -> list[bytes]:
    """PATH of RFC 6962 section 2.1.1."""
    if len(leaves) == 1:
        return []
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    if m < k:
        return [*reference_path(leaves[:k], m), reference_root(leaves[k:])]
    return [*reference_path(leaves[k:], m - k), reference_root(leaves[:k])]


def tree(size: int) -> tuple[list[bytes], list[bytes]]:
    leaves = [b"leaf %d" % index for index in range(size)]
    return leaves, [leaf_hash(leaf) for leaf in leaves]


def test_the_empty_tree_has_the_root_that_the_rfc_gives_it() -> None:
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert merkle_root([]) == EMPTY_ROOT


@pytest.mark.parametrize("size", SIZES)
def test_roots_and_paths_are_those_of_the_rfc(size: int) -> None:
    leaves, hashes = tree(size)
    root = merkle_root(hashes)
    assert root == reference_root(leaves)
    for index in range(size):
        path = inclusion_path(hashes, index)
        assert list(path) == reference_path(leaves, index)
        verify_inclusion(hashes[index], index, size, path, root)


def test_a_node_cannot_pass_for_a_leaf() -> None:
    """Without the prefixes a tree of two leaves would have the root of a tree of one long leaf."""
    _, hashes = tree(2)
    assert leaf_hash(hashes[0] + hashes[1]) != merkle_root(hashes)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 13])
def test_no_path_proves_another_index_size_leaf_or_root(size: int) -> None:
    _, hashes = tree(size)
    root = merkle_root(hashes)
    for index in range(size):
        path = inclusion_path(hashes, index)
        for other in range(size):
            if other != index:
                with pytest.raises(ProofError):
                    verify_inclusion(hashes[index], other, size, path, root)
                with pytest.raises(ProofError):
                    verify_inclusion(hashes[other], index, size, path, root)
        for wrong in (path[:-1], (*path, EMPTY_ROOT), path[1:]):
            if wrong != path:
                with pytest.raises(ProofError):
                    verify_inclusion(hashes[index], index, size, wrong, root)
        with pytest.raises(ProofError, match="does not lead"):
            verify_inclusion(hashes[index], index, size, path, EMPTY_ROOT)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (3, 3), (-1, 3), (7, 3)])
def test_an_index_outside_the_tree_is_refused(index: int, size: int) -> None:
    with pytest.raises(ProofError, match="outside"):
        verify_inclusion(EMPTY_ROOT, index, size, (), EMPTY_ROOT)


def test_a_path_is_bounded_in_number_and_in_the_size_of_its_hashes() -> None:
    with pytest.raises(ProofError, match="at most"):
        verify_inclusion(EMPTY_ROOT, 0, 1, (EMPTY_ROOT,) * (PROOF_HASHES_MAX + 1), EMPTY_ROOT)
    with pytest.raises(ProofError, match="more than the tree"):
        verify_inclusion(EMPTY_ROOT, 0, 1, (EMPTY_ROOT,) * PROOF_HASHES_MAX, EMPTY_ROOT)
    with pytest.raises(ProofError, match="31 bytes"):
        verify_inclusion(EMPTY_ROOT, 0, 2, (bytes(31),), EMPTY_ROOT)


def test_consistency_without_a_path_holds_only_for_equal_or_empty_trees() -> None:
    _, hashes = tree(5)
    root = merkle_root(hashes)
    verify_consistency(0, 5, EMPTY_ROOT, root, ())
    verify_consistency(5, 5, root, root, ())
    for old, new, old_root, path in (
        (0, 5, root, ()),
        (5, 5, EMPTY_ROOT, ()),
        (5, 5, root, (root,)),
        (6, 5, root, ()),
        (4, 5, root, ()),
        (3, 5, root, ()),
    ):
        with pytest.raises(ProofError):
            verify_consistency(old, new, old_root, root, path)
