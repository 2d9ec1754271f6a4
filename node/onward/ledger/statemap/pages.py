"""Pages: four levels of the trie in one stored value.

A page has 16 slots. A slot is None, a leaf (64 bytes: path ‖ value hash) or a branch (40 bytes: the
hash of the page below ‖ its version, 8 bytes big-endian). A page other than the root's has two
leaves below it or more; with fewer, what is left stands in the slot above.

Between the slots and the page's own hash stand four *quads*, each over four slots. Those that are
nodes are stored too: a block that touches one slot then computes 6 hashes instead of 15, and does
not hash the leaves of the other quads again (docs/adr/0003-state-map.md measures it).

Bytes of a page: mask of leaf slots (2) ‖ mask of branch slots (2) ‖ slots ascending ‖ quad hashes
ascending. Bytes of a page's key: depth in nibbles (1) ‖ path so far, a half byte filled with zeros
‖ version (8).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from onward.errors import CorruptionError
from onward.ledger.statemap.trie import EMPTY_ROOT, HASH_BYTES, LEAF_BYTES, Place, combine

ReadPage = Callable[[bytes], bytes | None]
"""The stored bytes under a page's key, or None."""

SLOTS = 16
QUADS = 4
DEPTH_MAX = 64
BRANCH_BYTES = 40
_VERSION_BYTES = 8
_MASKS_BYTES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class MapRef:
    """One version of the map: its root, and the height that wrote the root page.

    An empty map has no page.
    """

    height: int
    root: bytes

    def encode(self) -> bytes:
        """40 bytes: root, then height."""
        return self.root + self.height.to_bytes(_VERSION_BYTES, "big")

    @classmethod
    def decode(cls, data: bytes) -> MapRef:
        """The inverse of `encode`. Raises `CorruptionError`: only our own disk holds such bytes."""
        if len(data) != BRANCH_BYTES:
            raise CorruptionError(f"reference to the state map: {len(data)} bytes")
        return cls(root=data[:HASH_BYTES], height=int.from_bytes(data[HASH_BYTES:], "big"))


EMPTY_MAP = MapRef(height=0, root=EMPTY_ROOT)


class Page:
    """A page while it is worked on: its slots, its quads, and nothing else."""

    __slots__ = ("quads", "slots")

    def __init__(self, slots: list[Place], quads: list[Place]) -> None:
        """`slots`: 16; `quads`: 4, in agreement with the slots."""
        self.slots = slots
        self.quads = quads

    def fold_quad(self, quad: int) -> None:
        """Compute one quad again from its slots."""
        self.quads[quad] = fold_four(self.slots[4 * quad : 4 * quad + 4])

    def top(self) -> Place:
        """What the page is to the slot above it."""
        first, second, third, fourth = self.quads
        return combine(combine(first, second), combine(third, fourth))


def fold_four(slots: list[Place]) -> Place:
    """The quad over four slots."""
    first, second, third, fourth = (
        slot[:HASH_BYTES] if slot is not None and len(slot) == BRANCH_BYTES else slot
        for slot in slots
    )
    return combine(combine(first, second), combine(third, fourth))


def new_page() -> Page:
    """A page without keys."""
    return Page([None] * SLOTS, [None] * QUADS)


def nibble(path: bytes, depth: int) -> int:
    """The slot that `path` takes in the page at `depth` (counted in nibbles)."""
    byte = path[depth >> 1]
    return byte & 15 if depth & 1 else byte >> 4


def page_key(depth: int, path: bytes, version: int) -> bytes:
    """The key of the page at the first `depth` nibbles of `path`."""
    prefix = path[: depth >> 1]
    if depth & 1:
        prefix += bytes((path[depth >> 1] & 0xF0,))
    return bytes((depth,)) + prefix + version.to_bytes(_VERSION_BYTES, "big")


def branch_version(slot: bytes) -> int:
    """The version of the page below a branch slot."""
    return int.from_bytes(slot[HASH_BYTES:], "big")


def encode_page(page: Page) -> bytes:
    """The bytes that are stored."""
    leaf = branch = 0
    for place, slot in enumerate(page.slots):
        if slot is not None:
            if len(slot) == LEAF_BYTES:
                leaf |= 1 << place
            else:
                branch |= 1 << place
    parts = [(leaf << 16 | branch).to_bytes(_MASKS_BYTES, "big")]
    parts += [slot for slot in page.slots if slot is not None]
    parts += [quad for quad in page.quads if quad is not None and len(quad) == HASH_BYTES]
    return b"".join(parts)


def load_page(read: ReadPage, depth: int, path: bytes, version: int) -> Page:
    """The page there. Raises `CorruptionError` if it is missing or is no page.

    Its hashes are not checked: a wrong one leads to a wrong state root, which stops the node.
    `walk` checks them.
    """
    data = read(page_key(depth, path, version))
    if data is None:
        raise CorruptionError(f"state map: page at depth {depth} of version {version} is missing")
    return decode_page(data)


def decode_page(data: bytes) -> Page:
    """The inverse of `encode_page`. Raises `CorruptionError`."""
    masks = int.from_bytes(data[:_MASKS_BYTES], "big")
    leaf, branch = masks >> 16, masks & 0xFFFF
    slots: list[Place] = [None] * SLOTS
    position = _MASKS_BYTES
    left = leaf | branch
    while left:
        low = left & -left
        end = position + (LEAF_BYTES if leaf & low else BRANCH_BYTES)
        slots[low.bit_length() - 1] = data[position:end]
        position = end
        left ^= low
    quads: list[Place] = [None] * QUADS
    for quad in range(QUADS):
        leaves, branches = leaf >> 4 * quad & 15, branch >> 4 * quad & 15
        if not branches and not leaves & (leaves - 1):
            # No key, or a lone leaf, which rises.
            quads[quad] = slots[4 * quad + leaves.bit_length() - 1] if leaves else None
            continue
        quads[quad] = data[position : position + HASH_BYTES]
        position += HASH_BYTES
    if leaf & branch or position != len(data):
        raise CorruptionError(f"state map: page of {len(data)} bytes, its masks ask for {position}")
    return Page(slots, quads)
