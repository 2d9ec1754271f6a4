"""Whether repair by digest will do, or the chain must be fetched by height.

A verified finalization whose block cannot be delivered shows that this node is behind. It is *far*
when that block is more than `NEAR_REPAIR_HEIGHTS_MAX` heights ahead, and *stalled* when it has
waited for long (peers forget what they delivered). What peers merely claim is only a hint.
"""

from __future__ import annotations

from onward import limits
from onward.consensus.pursuit import NEVER_MS

STALL_MS = 2 * limits.CATCH_UP_RETRY_MS


class Lag:
    """Since when a finalization waits, and when to say so again."""

    def __init__(self) -> None:
        self._since_ms = NEVER_MS
        self._again_ms = 0
        self._claimed_height = 0

    @property
    def deadline_ms(self) -> int:
        """When to look again."""
        if self._since_ms == NEVER_MS:
            return NEVER_MS
        return max(self._since_ms + STALL_MS, self._again_ms)

    def hear(self, height: int) -> None:
        """A peer says it has delivered this height."""
        self._claimed_height = max(self._claimed_height, height)

    def settle(self) -> None:
        """Nothing waits, or something was delivered."""
        self._since_ms = NEVER_MS

    def wait(self, now_ms: int) -> None:
        """A finalization waits for its block."""
        if self._since_ms == NEVER_MS:
            self._since_ms = now_ms

    def far_height(self, now_ms: int, root_height: int, top_height: int | None) -> int | None:
        """How far to fetch the chain by height, if now is the time to say it."""
        is_stalled = now_ms - self._since_ms >= STALL_MS
        if not (is_stalled or is_far(root_height, top_height)) or now_ms < self._again_ms:
            return None
        self._again_ms = now_ms + limits.CATCH_UP_RETRY_MS
        hint = self._claimed_height if top_height is None else top_height
        return max(hint, root_height + 1)


def is_far(root_height: int, top_height: int | None) -> bool:
    """Whether the final block, if it is known, is beyond repair by digest."""
    return top_height is not None and top_height - root_height > limits.NEAR_REPAIR_HEIGHTS_MAX
