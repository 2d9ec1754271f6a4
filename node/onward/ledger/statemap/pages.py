"""Pages: four levels of the trie in one stored value.

A page has 16 slots. A slot is empty, a leaf (64 bytes: path ‖ value hash) or a branch (40 bytes:
the hash of the page below ‖ its version, 8 bytes big-endian). A page other than the root's has two
leaves below it or more; with fewer, what is left stands in the slot above.

Between the slots and the page's own hash stand four *quads*, each over four slots. Those that are
nodes are kept too: a block that touches one slot then computes 6 hashes instead of 15, and does
not hash the leaves of the other quads again (docs/adr/0003-state-map.md measures it). A quad that
is a lone leaf or nothing is kept empty: it is whatever its slots hold.

In memory a page is its 20 parts, 16 slots and 4 quads, empty ones as empty bytes. Its bytes are the
20 lengths, one byte each, ‖ the parts. Bytes of a page's key: version (8) ‖ the path so far, one
nibble a byte. A version is the height that wrote the page (5 bytes) ‖ its number among the pages
that the height wrote (3); the root's page has number 0. So what a block writes lies together, and
a store can find a page by its version alone (docs/adr/0009-page-log.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from onward.errors import CorruptionError
from onward.ledger.statemap.trie import (
    EMPTY_ROOT,
    HASH_BYTES,
    LEAF_BYTES,
    Place,
    combine_four,
)

ReadPage = Callable[[bytes], bytes | None]
"""The stored bytes under a page's key, or None."""

Page = tuple[Place, ...]
"""The slots, then the quads."""

SLOTS = 16
QUADS = 4
PARTS = SLOTS + QUADS
DEPTH_MAX = 64
BRANCH_BYTES = 40
EMPTY_PAGE: Page = (b"",) * PARTS
_VERSION_BYTES = 8
_NUMBER_BITS = 24
PAGES_PER_HEIGHT_MAX = 1 << _NUMBER_BITS
_PART_SIZES = b"\x00\x20\x28\x40"
_NO_NODE = (0, LEAF_BYTES)  # bytes of four slots that hold nothing, or a leaf that rises
_NIBBLES = bytes.maketrans(b"0123456789abcdef", bytes(range(16)))


@dataclass(frozen=True, slots=True, kw_only=True)
class MapRef:
    """One version of the map: its root, and the height that wrote the root page.

    An empty map has no page.
    """

    height: int
    root: bytes

    def encode(self) -> bytes:
        """40 bytes: root, then the version of the root's page."""
        return self.root + page_version(self.height)

    @classmethod
    def decode(cls, data: bytes) -> MapRef:
        """The inverse of `encode`. Raises `CorruptionError`: only our own disk holds such bytes."""
        if len(data) != BRANCH_BYTES:
            raise CorruptionError(f"reference to the state map: {len(data)} bytes")
        return cls(root=data[:HASH_BYTES], height=version_height(data[HASH_BYTES:]))


EMPTY_MAP = MapRef(height=0, root=EMPTY_ROOT)


def quad_over(parts: Sequence[Place], quad: int) -> Place:
    """The quad that the slots ask for, as it is kept: empty where it is no node."""
    at = 4 * quad
    first, second, third, fourth = parts[at : at + 4]
    if len(first) + len(second) + len(third) + len(fourth) in _NO_NODE:
        return b""
    return combine_four(first, second, third, fourth)


def page_top(parts: Sequence[Place]) -> Place:
    """What a page is to the slot above it. Of four slots without a node at most one is filled."""
    return combine_four(
        parts[16] or b"".join(parts[0:4]),
        parts[17] or b"".join(parts[4:8]),
        parts[18] or b"".join(parts[8:12]),
        parts[19] or b"".join(parts[12:16]),
    )


def nibbles(path: bytes) -> bytes:
    """The slots that `path` takes, from the root's page down: one byte each, 0 to 15."""
    return path.hex().encode().translate(_NIBBLES)


def page_version(height: int, number: int = 0) -> bytes:
    """The version of a page: which height wrote it, and as which of its pages."""
    return (height << _NUMBER_BITS | number).to_bytes(_VERSION_BYTES, "big")


def version_height(version: bytes) -> int:
    """The height that wrote the page with this version."""
    return int.from_bytes(version, "big") >> _NUMBER_BITS


def version_number(version: bytes) -> int:
    """Which of its height's pages this is."""
    return int.from_bytes(version, "big") & PAGES_PER_HEIGHT_MAX - 1


def page_key(steps: bytes, version: bytes) -> bytes:
    """The key of the page that these nibbles lead to. `version`: 8 bytes."""
    return version + steps


def encode_page(parts: Sequence[Place]) -> bytes:
    """The bytes that are stored."""
    return bytes(map(len, parts)) + b"".join(parts)


def load_page(read: ReadPage, steps: bytes, version: bytes) -> Page:
    """The page there. Raises `CorruptionError` if it is missing or is no page.

    Its hashes are not checked: a wrong one leads to a wrong state root, which stops the node.
    `walk` checks them.
    """
    data = read(page_key(steps, version))
    if data is None:
        height = version_height(version)
        raise CorruptionError(f"state map: page at depth {len(steps)} of height {height} missing")
    return decode_page(data)


def decode_page(data: bytes) -> Page:
    """The inverse of `encode_page`. Raises `CorruptionError`."""
    sizes = data[:PARTS]
    parts = list(EMPTY_PAGE)
    start = PARTS
    for part, size in enumerate(sizes):
        if size:
            end = start + size
            parts[part] = data[start:end]
            start = end
    if start != len(data) or sizes.translate(None, _PART_SIZES):
        raise CorruptionError(f"state map: page of {len(data)} bytes, its parts end at {start}")
    return tuple(parts)
