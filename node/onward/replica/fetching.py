"""What this replica lacks and asks for: each digest from one peer at a time, in turn."""

from __future__ import annotations

from collections.abc import Iterable

from onward import limits
from onward.consensus.messages import Fetch
from onward.types import ValidatorIndex


class Fetching:
    """Outstanding requests for blocks (by digest) and batches (by head)."""

    __slots__ = ("_batches", "_blocks", "_me", "_peer", "_size")

    def __init__(self, me: ValidatorIndex, size: int) -> None:
        """`size`: how many validators there are."""
        self._me = me
        self._size = size
        self._peer = me  # who was asked last
        self._blocks: dict[bytes, int] = {}  # digest -> when to ask (again)
        self._batches: dict[bytes, int] = {}

    def want_block(self, digest: bytes, now_ms: int) -> None:
        """Ask for a block; asked for already changes nothing."""
        if len(self._blocks) < limits.FETCH_OUTSTANDING_MAX:
            self._blocks.setdefault(digest, now_ms)

    def got_block(self, digest: bytes) -> None:
        """A block has come."""
        self._blocks.pop(digest, None)

    def forget_blocks(self) -> None:
        """The chain went on: whoever still needs a block says so again."""
        self._blocks.clear()

    def want_batches(self, heads: Iterable[bytes], now_ms: int) -> None:
        """Exactly these batches are lacking; a new one has a moment to come by itself."""
        due_ms = now_ms + limits.FETCH_DELAY_MS
        self._batches = {head: self._batches.get(head, due_ms) for head in heads}

    def due(self, now_ms: int) -> tuple[ValidatorIndex, Fetch] | None:
        """The request to send now, and to whom."""
        blocks = _take_due(self._blocks, now_ms)
        batches = _take_due(self._batches, now_ms)
        if self._size == 1 or not (blocks or batches):
            return None
        self._peer = ValidatorIndex((self._peer + 1) % self._size)
        if self._peer == self._me:
            self._peer = ValidatorIndex((self._peer + 1) % self._size)
        return self._peer, Fetch(blocks=blocks, batches=batches)

    def next_at_ms(self) -> int | None:
        """When `due` will next have something."""
        return min((*self._blocks.values(), *self._batches.values()), default=None)


def _take_due(wanted: dict[bytes, int], now_ms: int) -> tuple[bytes, ...]:
    due = [digest for digest, at_ms in wanted.items() if at_ms <= now_ms]
    due = due[: limits.FETCH_DIGESTS_MAX]
    for digest in due:
        wanted[digest] = now_ms + limits.FETCH_RETRY_MS
    return tuple(due)
