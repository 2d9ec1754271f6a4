"""What this replica lacks and asks for: each digest from one peer at a time, in turn."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from onward import limits
from onward.consensus.messages import Fetch
from onward.types import ValidatorIndex


@dataclass(slots=True)
class _Wish:
    """One digest: when to ask (again), and whom. Each takes its own round of the peers.

    Were the turn everybody's, wishes that come in step with each other would always meet the same
    peer, and a liar could arrange that.
    """

    due_ms: int
    peer: ValidatorIndex


class Fetching:
    """Outstanding requests for blocks (by digest) and batches (by head)."""

    __slots__ = ("_batches", "_blocks", "_first", "_me", "_size")

    def __init__(self, me: ValidatorIndex, size: int) -> None:
        """`size`: how many validators there are."""
        self._me = me
        self._size = size
        self._first = me  # whom the newest wish asks first
        self._blocks: dict[bytes, _Wish] = {}
        self._batches: dict[bytes, _Wish] = {}

    def want_block(self, digest: bytes, now_ms: int) -> None:
        """Ask for a block; asked for already changes nothing."""
        if digest not in self._blocks and len(self._blocks) < limits.FETCH_OUTSTANDING_MAX:
            self._blocks[digest] = _Wish(now_ms, self._after(self._first))

    def got_block(self, digest: bytes) -> None:
        """A block has come."""
        self._blocks.pop(digest, None)

    def forget_blocks(self) -> None:
        """The chain went on: whoever still needs a block says so again."""
        self._blocks.clear()

    def want_batches(self, heads: Iterable[bytes], now_ms: int) -> None:
        """Exactly these batches are lacking; a new one has a moment to come by itself."""
        due_ms = now_ms + limits.FETCH_DELAY_MS
        self._batches = {
            head: self._batches.get(head) or _Wish(due_ms, self._after(self._first))
            for head in heads
        }

    def due(self, now_ms: int) -> tuple[tuple[ValidatorIndex, Fetch], ...]:
        """The requests to send now, at most one to each peer."""
        if self._size == 1:
            return ()
        blocks = self._take_due(self._blocks, now_ms)
        batches = self._take_due(self._batches, now_ms)
        peers = sorted({*blocks, *batches})
        if peers:
            self._first = self._after(self._first)
        return tuple(
            (
                peer,
                Fetch(blocks=tuple(blocks.get(peer, ())), batches=tuple(batches.get(peer, ()))),
            )
            for peer in peers
        )

    def next_at_ms(self) -> int | None:
        """When `due` will next have something."""
        if self._size == 1:
            return None
        wishes = (*self._blocks.values(), *self._batches.values())
        return min((wish.due_ms for wish in wishes), default=None)

    def _take_due(
        self, wanted: dict[bytes, _Wish], now_ms: int
    ) -> dict[ValidatorIndex, list[bytes]]:
        """What is due, by the peer whose turn it is; each moves on to its next peer."""
        due: dict[ValidatorIndex, list[bytes]] = {}
        for digest, wish in wanted.items():
            asked = due.setdefault(wish.peer, []) if wish.due_ms <= now_ms else None
            if asked is not None and len(asked) < limits.FETCH_DIGESTS_MAX:
                asked.append(digest)
                wish.due_ms, wish.peer = now_ms + limits.FETCH_RETRY_MS, self._after(wish.peer)
        return due

    def _after(self, peer: ValidatorIndex) -> ValidatorIndex:
        following = (peer + 1) % self._size
        return ValidatorIndex((following + 1) % self._size if following == self._me else following)
