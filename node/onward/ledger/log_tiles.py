"""How the store keeps the log's full subtree hashes: sixteen side by side, the rest computed.

A *tile* holds the hashes of one level whose number is a multiple of four, sixteen of them in order;
the last one of a level is shorter and grows at its end, never otherwise. A subtree of a level
between is the tree over one, two, four or eight neighbours in a tile. So a block writes a row for
eight of its leaves or so, instead of two rows for each; reading a hash costs one row and at most
seven more hashes. The layout is local: nothing that is hashed or sent depends on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from onward.errors import CorruptionError
from onward.ledger.log import NodeWrite
from onward.ledger.merkle import HASH_BYTES, merkle_root

ReadTile = Callable[[int, int], bytes | None]
"""(tile level, index) -> the bytes of that tile, or None."""

_LEVELS = 4
_WIDTH = 1 << _LEVELS


def tile_writes(read: ReadTile, nodes: Iterable[NodeWrite]) -> dict[tuple[int, int], bytes]:
    """The tiles, by (tile level, index), after `nodes`, which were completed in this order.

    Raises `CorruptionError`: the tile that they continue does not end where they begin.
    """
    tiles: dict[tuple[int, int], list[bytes]] = {}
    for level, index, digest in nodes:
        if level % _LEVELS:
            continue
        place = level // _LEVELS, index // _WIDTH
        tile = tiles.get(place)
        if tile is None:
            tile = tiles[place] = []
            filled = index % _WIDTH * HASH_BYTES
            if filled:
                tile.append(_checked(read, place, filled))
        tile.append(digest)
    return {place: b"".join(tile) for place, tile in tiles.items()}


def read_node(read: ReadTile, level: int, index: int) -> bytes:
    """The root of the full subtree at (level, index). Raises `CorruptionError`: it is not there."""
    width = 1 << level % _LEVELS
    first = index * width
    place = level // _LEVELS, first // _WIDTH
    start = first % _WIDTH * HASH_BYTES
    end = start + width * HASH_BYTES
    tile = read(*place)
    if tile is None or len(tile) < end:
        raise CorruptionError(f"database: log node {index} of level {level} is missing")
    return merkle_root([tile[at : at + HASH_BYTES] for at in range(start, end, HASH_BYTES)])


def _checked(read: ReadTile, place: tuple[int, int], filled: int) -> bytes:
    tile = read(*place)
    if tile is None or len(tile) != filled:
        found = "nothing" if tile is None else f"{len(tile)} bytes"
        raise CorruptionError(f"database: log tile {place}: {found}, expected {filled} bytes")
    return tile
