"""Blocks above the last finalized one, and which of them may be built on.

A block is *valid* when its parent is, its header follows from the parent's, and the replica found
its payload valid; *bad* when a reason that every replica finds speaks against it. Both are for
ever.
"""

from __future__ import annotations

from onward.consensus.messages import Certificate
from onward.errors import DivergenceError, invariant, unreachable
from onward.ledger.block import BLOCK_FORMAT, Block
from onward.types import Digest


class Stray(Exception):
    """A certified block, `goal`, that does not descend from the delivered one."""

    def __init__(self, goal: bytes) -> None:
        super().__init__(f"block {goal.hex()} does not descend from the root")
        self.goal = goal


class BlockTree:
    """The root, which is the last delivered block, and what is known above it."""

    def __init__(self, root: Block, digest: bytes) -> None:
        self.root = root
        self.root_digest = Digest(digest)
        self._blocks: dict[bytes, Block] = {digest: root}
        self._valid: set[bytes] = {digest}
        self._bad: set[bytes] = set()

    def get(self, digest: bytes) -> Block | None:
        """The block with this digest, if it is known."""
        return self._blocks.get(digest)

    def block(self, digest: bytes) -> Block:
        """The block with this digest, which must be known."""
        found = self._blocks.get(digest)
        if found is None:
            unreachable(f"block {digest.hex()[:16]} is not known")
        return found

    def add(self, digest: bytes, block: Block) -> None:
        """Keep a block, whatever is thought of it."""
        self._blocks.setdefault(digest, block)

    def is_valid(self, digest: bytes) -> bool:
        """Whether the block and all its ancestors are held and valid."""
        return digest in self._valid

    def is_bad(self, digest: bytes) -> bool:
        """Whether the block can never become valid."""
        return digest in self._bad

    def accept(self, digest: bytes) -> None:
        """The block is valid; its parent must be."""
        block = self.block(digest)
        invariant(block.parent in self._valid, "a valid block has a valid parent")
        invariant(digest not in self._bad, "a bad block cannot become valid")
        self._valid.add(digest)

    def refuse(self, digest: bytes) -> None:
        """The block is bad."""
        invariant(digest not in self._valid, "a valid block cannot become bad")
        self._bad.add(digest)

    def check_accepted(self, certificate: Certificate) -> None:
        """What a quorum accepted, at least f + 1 honest validators accepted.

        Raises: DivergenceError where it is bad here. It may be that this node executed an ancestor
        otherwise, so the error says what the block names as its result.
        """
        digest = certificate.digest
        if digest in self._bad:
            block = self._blocks.get(digest)
            raise DivergenceError(
                f"a quorum accepted block {digest.hex()} of view {certificate.view}, "
                "which is invalid here",
                certified=None if block is None else block.executed,
            )

    def lowest_undecided(self, digest: bytes) -> bytes | None:
        """The first block to fetch or to judge on the way from the root to this one.

        None when nothing is to be done: the block is valid, or it or an ancestor is bad.

        Raises: Stray when the way up from the block passes the root by.
        """
        goal = digest
        while digest not in self._valid and digest not in self._bad:
            block = self._blocks.get(digest)
            if block is None:
                return digest
            if block.parent_view < self.root.view or (
                block.parent_view == self.root.view and block.parent != self.root_digest
            ):
                raise Stray(goal)
            if block.parent in self._valid:
                return digest
            digest = block.parent
        return None

    def judge_header(self, digest: bytes) -> None:
        """Refuse a known block of a valid parent when its header does not follow."""
        block = self._blocks.get(digest)
        if block is None or digest in self._valid or block.parent not in self._valid:
            return
        if self.header_fault(block) is not None:
            self.refuse(digest)

    def header_fault(self, block: Block) -> str | None:
        """What is wrong with a header, given its valid parent. The same for every replica."""
        parent = self.block(block.parent)
        if block.format != BLOCK_FORMAT:
            return f"format {block.format}, expected {BLOCK_FORMAT}"
        if block.epoch != parent.epoch:
            return f"epoch {block.epoch} on a parent of {parent.epoch}"
        if block.height != parent.height + 1:
            return f"height {block.height} on a parent at {parent.height}"
        if block.parent_view != parent.view or block.view <= parent.view:
            return f"view {block.view} on {block.parent_view}, the parent's is {parent.view}"
        if block.time_ms <= parent.time_ms:
            return f"time {block.time_ms} is not after the parent's {parent.time_ms}"
        if len(block.cut) != len(parent.cut):
            return f"a cut over {len(block.cut)} lanes of {len(parent.cut)}"
        return None

    def chain_to(self, digest: bytes) -> tuple[Block, ...]:
        """The valid blocks above the root up to this one, in height order."""
        chain: list[Block] = []
        while digest != self.root_digest:
            invariant(digest in self._valid, "a valid block has valid ancestors")
            chain.append(self.block(digest))
            digest = chain[-1].parent
        return tuple(reversed(chain))

    def above(self) -> tuple[tuple[bytes, Block], ...]:
        """Every block above the root that is not bad, by view."""
        kept = [
            (digest, block)
            for digest, block in self._blocks.items()
            if digest != self.root_digest and digest not in self._bad
        ]
        return tuple(sorted(kept, key=lambda item: (item[1].view, item[0])))

    def advance(self, root: Block, digest: bytes) -> None:
        """A valid block becomes the root."""
        self._move(root, digest)
        self._valid = {known for known in self._valid if known in self._blocks}
        self._bad = {known for known in self._bad if known in self._blocks}

    def replant(self, root: Block, digest: bytes) -> None:
        """A block from elsewhere becomes the root; what is above must be judged again."""
        self._move(root, digest)
        self._valid = {digest}
        self._bad = set()

    def _move(self, root: Block, digest: bytes) -> None:
        above = {known: block for known, block in self._blocks.items() if block.view > root.view}
        self.root, self.root_digest = root, Digest(digest)
        self._blocks = {digest: root, **above}
