"""Repair: telling everything that a peer could lack. All of it proves itself."""

from __future__ import annotations

from onward import limits
from onward.consensus.knowledge import Knowledge
from onward.consensus.messages import Packet, Vote
from onward.ledger.block import Block

NULLIFIED_MAX = limits.PACKET_CERTIFICATES_MAX - 2
"""Besides the highest finalization and the notarization that the ticket begins with."""


def status_packet(
    known: Knowledge,
    view: int,
    votes: tuple[Vote, ...],
    proposal: Block | None,
    *,
    asks: bool,
    from_view: int = 0,
) -> Packet:
    """The ticket for `view`, our own votes, and our own proposal if we lead.

    Of a ticket too long for one packet: its oldest part from `from_view` on, which a peer in
    that view needs next, or else its newest part. With `asks`, the peer is to answer in kind.
    """
    first, *rest = known.ticket(view)
    if from_view:
        rest = [item for item in rest if item.view >= from_view][:NULLIFIED_MAX]
    told = dict.fromkeys((known.top, first, *rest[-NULLIFIED_MAX:]))
    return Packet(
        status=view if asks else 0,
        height=0,
        blocks=() if proposal is None else (proposal,),
        certificates=tuple(item for item in told if item.signatures),
        votes=votes[-limits.PACKET_VOTES_MAX :],
        tips=(),
        checkpoints=(),
    )


class Answered:
    """Whom we told what it lacks: once per pair of views, and again when that may have got lost."""

    def __init__(self, again_ms: int) -> None:
        self._again_ms = again_ms
        self._last: dict[int, tuple[int, int, int]] = {}  # peer -> its view, ours, when

    def forget(self, peer: int) -> None:
        """The connection is a new one."""
        self._last.pop(peer, None)

    def is_due(self, peer: int, peer_view: int, view: int, now_ms: int) -> bool:
        """Whether to answer now; if so, remembers that it was done."""
        last = self._last.get(peer)
        if last is not None and last[:2] == (peer_view, view) and now_ms - last[2] < self._again_ms:
            return False
        self._last[peer] = (peer_view, view, now_ms)
        return True
