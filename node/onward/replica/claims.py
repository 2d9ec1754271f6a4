"""How far the peers say they hold our lane, and when to send them the rest again.

A stream keeps its order and loses nothing while it stands, so what a peer lacks is mostly on its
way, and sending it once more would only delay it: each repetition waits twice as long as the one
before, until the peer has come further.
"""

from __future__ import annotations

from dataclasses import dataclass

from onward import limits
from onward.types import ValidatorIndex


@dataclass(slots=True)
class _Claim:
    seq: int
    wait_ms: int
    due_ms: int


class Claims:
    """The peers that are up and have spoken."""

    __slots__ = ("_greeted", "_peers")

    def __init__(self) -> None:
        """Nobody has spoken."""
        self._peers: dict[ValidatorIndex, _Claim] = {}
        self._greeted: set[ValidatorIndex] = set()

    def up(self, peer: ValidatorIndex) -> None:
        """A fresh connection: the peer's next word says what it lacks of our lane."""
        self._greeted.discard(peer)

    def down(self, peer: ValidatorIndex) -> None:
        """Nothing can be sent again now."""
        self._peers.pop(peer, None)

    def hear(self, peer: ValidatorIndex, seq: int, now_ms: int) -> bool:
        """A peer holds our lane up to `seq`; True when that is its first word since it came up."""
        claim = self._peers.get(peer)
        if claim is None or seq > claim.seq:
            due_ms = now_ms + limits.LANE_RESEND_MS
            self._peers[peer] = _Claim(seq, limits.LANE_RESEND_MS, due_ms)
        else:
            claim.seq = seq
        is_first = peer not in self._greeted
        self._greeted.add(peer)
        return is_first

    def place_of(self, peer: ValidatorIndex) -> int:
        """How far a peer that has spoken holds our lane."""
        return self._peers[peer].seq

    def due(self, tip: int, now_ms: int) -> tuple[ValidatorIndex, ...]:
        """The peers that have been short of `tip` for long enough; each next time is later."""
        late: list[ValidatorIndex] = []
        for peer, claim in self._peers.items():
            if claim.seq >= tip:
                claim.wait_ms = limits.LANE_RESEND_MS
                claim.due_ms = now_ms + claim.wait_ms
            elif now_ms >= claim.due_ms:
                late.append(peer)
                claim.wait_ms = min(2 * claim.wait_ms, limits.LANE_RESEND_MS_MAX)
                claim.due_ms = now_ms + claim.wait_ms
        return tuple(late)

    def next_at_ms(self, tip: int) -> int | None:
        """When `due` may next name somebody."""
        return min(
            (claim.due_ms for claim in self._peers.values() if claim.seq < tip), default=None
        )
