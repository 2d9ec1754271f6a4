"""Who votes now, as nodes tell it: the genesis says it only for the first epoch.

A node's word is no proof of it. What is decided by it is what to show, and whom to count.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from onward.ledger.genesis import Genesis
from onward.replica.answers import NodeStatus, Voter
from onward.types import quorum_of


@dataclass(frozen=True, slots=True, kw_only=True)
class NewestSet:
    """The validators of the newest epoch that a node tells of, in the order of its seats.

    `witness` is that node's word; None where nobody tells, and the set is the genesis'.
    """

    epoch: int
    voters: tuple[Voter, ...]
    witness: NodeStatus | None

    @property
    def names(self) -> tuple[str, ...]:
        """What the chain calls them."""
        return tuple(item.name for item in self.voters)

    @property
    def quorum(self) -> int:
        """How many of them must vote."""
        return quorum_of(len(self.voters))


def newest_set(told: Iterable[NodeStatus | None], genesis: Genesis) -> NewestSet:
    """The newest set that nodes of this chain tell of."""
    words = [
        word
        for word in told
        if word is not None and word.voters and word.chain_id == genesis.chain_id
    ]
    if not words:
        first = tuple(
            Voter(name=item.name, public_key=item.public_key) for item in genesis.validators.members
        )
        return NewestSet(epoch=0, voters=first, witness=None)
    witness = max(words, key=lambda word: word.epoch)
    return NewestSet(epoch=witness.epoch, voters=voters_of(witness), witness=witness)


def voters_of(word: NodeStatus) -> tuple[Voter, ...]:
    """The validators of a node's epoch in the order of its seats: of a pair the first one dials.

    Behind them those for which it has no seat.
    """
    seats = {peer.validator: peer.index for peer in word.peers} | {word.validator: word.index}
    behind = 1 + max(seats.values())
    return tuple(sorted(word.voters, key=lambda item: seats.get(item.name, behind)))
