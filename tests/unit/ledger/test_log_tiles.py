"""Tiles of the log answer as the single hashes would, whatever the blocks were."""

from __future__ import annotations

import pytest

from onward.errors import CorruptionError
from onward.ledger.log import EMPTY_LOG
from onward.ledger.log_tiles import read_node, tile_writes
from onward.ledger.merkle import leaf_hash

Tiles = dict[tuple[int, int], bytes]
Nodes = dict[tuple[int, int], bytes]


def log_of(blocks: list[int]) -> tuple[Tiles, Nodes]:
    """What is stored after blocks of so many leaves, and every full subtree by itself."""
    frontier, tiles, nodes = EMPTY_LOG, Tiles(), Nodes()
    for count in blocks:
        first = frontier.size
        frontier, written = frontier.append(leaf_hash(b"%d" % (first + n)) for n in range(count))
        tiles.update(tile_writes(lambda *place: tiles.get(place), written))
        nodes.update({(level, index): digest for level, index, digest in written})
    return tiles, nodes


@pytest.mark.parametrize("blocks", [[600], [1] * 70, [3, 13, 16, 1, 31, 300], [15, 2, 0, 240]])
def test_every_full_subtree_is_read_back_however_the_leaves_came(blocks: list[int]) -> None:
    tiles, nodes = log_of(blocks)
    assert tiles == log_of([sum(blocks)])[0]
    for (level, index), digest in nodes.items():
        assert read_node(lambda *place: tiles.get(place), level, index) == digest


def test_what_is_not_in_the_log_is_corruption_and_never_a_hash_over_less() -> None:
    tiles, _ = log_of([21])
    for level, index in ((0, 21), (1, 10), (2, 5), (4, 1), (8, 0)):
        with pytest.raises(CorruptionError, match=f"log node {index} of level {level}"):
            read_node(lambda *place: tiles.get(place), level, index)


def test_a_tile_that_does_not_end_where_the_log_ends_is_not_continued() -> None:
    """Hashes behind a gap would be served under the numbers of others."""
    frontier, written = EMPTY_LOG.append([leaf_hash(b"%d" % n) for n in range(5)])
    (whole,) = tile_writes(lambda *_: None, written).values()
    _, more = frontier.append([leaf_hash(b"5")])
    for found in (None, whole[:-32], whole + bytes(32)):
        with pytest.raises(CorruptionError, match="expected 160 bytes"):
            tile_writes(lambda *_, found=found: found, more)
