"""One batch in a lane as a node knows it, and the totals of a block."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from onward import limits
from onward.errors import OnwardError
from onward.ledger.block import Batch, LanePoint
from onward.ledger.transaction import Opened
from onward.types import Digest


class InvalidCut(OnwardError):
    """A cut that no honest validator accepts; the message says which lane and why."""


class LinkState(StrEnum):
    """What is known of a held batch."""

    HELD = "held"  # its author signed it
    CHECKED = "checked"  # every envelope is valid, and it is durable here
    BAD = "bad"  # some envelope is not valid


@dataclass(slots=True, kw_only=True)
class Link:
    """A held batch. `bodies` is known once it is checked.

    `opened`: what the check took apart, kept for execution; None where it was done before a boot.
    """

    head: Digest
    batch: Batch
    state: LinkState = LinkState.HELD
    bodies: int = 0
    opened: Opened | None = None
    is_named: bool = False  # a justified or certified block waits for it
    size_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        self.size_bytes = size_of(self.batch)

    @property
    def place(self) -> tuple[int, int]:
        """Author and sequence number."""
        return (self.batch.author, self.batch.seq)

    @property
    def point(self) -> LanePoint:
        """Its place in the lane."""
        return LanePoint(seq=self.batch.seq, head=self.head)

    @property
    def previous(self) -> LanePoint:
        """The place before it."""
        return LanePoint(seq=self.batch.seq - 1, head=self.batch.previous)


def size_of(batch: Batch) -> int:
    """What a batch counts towards the limits: the bytes of its envelopes."""
    return sum(len(envelope) for envelope in batch.envelopes)


@dataclass(slots=True)
class Totals:
    """What a block orders over all lanes together."""

    bytes: int = 0
    bodies: int = 0

    def add(self, link: Link) -> None:
        """Count a batch."""
        self.bytes += link.size_bytes
        self.bodies += link.bodies

    def fits(self, link: Link) -> bool:
        """Whether a block may order this batch as well."""
        return (
            self.bytes + link.size_bytes <= limits.BLOCK_BYTES_MAX
            and self.bodies + link.bodies <= limits.BLOCK_BODIES_MAX
        )

    def is_exceeded(self) -> bool:
        """Whether no block may order so much."""
        return self.bytes > limits.BLOCK_BYTES_MAX or self.bodies > limits.BLOCK_BODIES_MAX
