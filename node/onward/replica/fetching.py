"""What this replica lacks and asks for: each digest from one peer at a time, in turn."""

from __future__ import annotations

from onward import limits
from onward.consensus.messages import Fetch
from onward.types import ValidatorIndex


class Fetching:
    """Outstanding requests for blocks (by digest) and batches (by head)."""

    __slots__ = ("_me", "_size", "_wanted")

    def __init__(self, me: ValidatorIndex, size: int) -> None:
        """`size`: how many validators there are."""
        self._me = me
        self._size = size
        # (is a block, digest) -> (when to ask next, whom to ask next)
        self._wanted: dict[tuple[bool, bytes], tuple[int, int]] = {}

    def want(self, digest: bytes, *, block: bool, first: int, now_ms: int) -> None:
        """Ask for `digest`, beginning with the validator `first`; asked before changes nothing."""
        if len(self._wanted) < limits.FETCH_OUTSTANDING_MAX:
            self._wanted.setdefault((block, digest), (now_ms, first))

    def got(self, digest: bytes, *, block: bool) -> bool:
        """`digest` has come, or is needed no more; answers whether it had been wanted."""
        return self._wanted.pop((block, digest), None) is not None

    def wanted(self, digest: bytes, *, block: bool) -> bool:
        """Whether `digest` is asked for."""
        return (block, digest) in self._wanted

    def clear(self) -> None:
        """Nothing is wanted any more."""
        self._wanted.clear()

    def due(self, now_ms: int) -> dict[ValidatorIndex, Fetch]:
        """The requests to send now, one message a peer."""
        blocks: dict[int, list[bytes]] = {}
        batches: dict[int, list[bytes]] = {}
        for (is_block, digest), (at_ms, whom) in list(self._wanted.items()):
            if at_ms > now_ms:
                continue
            peer = whom % self._size
            if peer == self._me:
                peer = (peer + 1) % self._size
            asked = (blocks if is_block else batches).setdefault(peer, [])
            if len(asked) < limits.FETCH_DIGESTS_MAX:
                asked.append(digest)
                self._wanted[is_block, digest] = (now_ms + limits.FETCH_RETRY_MS, peer + 1)
        return {
            ValidatorIndex(peer): Fetch(
                blocks=tuple(blocks.get(peer, ())), batches=tuple(batches.get(peer, ()))
            )
            for peer in sorted({*blocks, *batches})
            if peer != self._me
        }

    def next_at_ms(self) -> int | None:
        """When `due` will next have something."""
        return min((at_ms for at_ms, _ in self._wanted.values()), default=None)
