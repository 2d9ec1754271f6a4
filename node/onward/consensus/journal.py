"""What the vote journal holds: the promises of this validator and what it needs to keep them.

A segment begins with a `Floor`; nothing at or below the floor's view is ever voted on again. Behind
it stand certificates, blocks and votes, each once, in the order in which they became needed: a
vote's block and ticket stand before the vote. Replaying a segment in order restores every promise
and the proof that each was allowed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from onward.consensus.messages import Certificate, Vote
from onward.errors import CorruptionError
from onward.ledger.block import Block
from onward_proto.canonical import CanonicalError, decode, encode, nested


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """The last delivered block when a segment began, and its finalization."""

    root: Annotated[Block, nested(1, Block)]
    final: Annotated[Certificate, nested(2, Certificate)]


JournalRecord = Floor | Certificate | Block | Vote


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    floor: Annotated[Floor | None, nested(1, Floor)]
    certificate: Annotated[Certificate | None, nested(2, Certificate)]
    block: Annotated[Block | None, nested(3, Block)]
    vote: Annotated[Vote | None, nested(4, Vote)]


def encode_record(record: JournalRecord) -> bytes:
    """The bytes of one record, without the framing that the storage adds."""
    return encode(
        _Entry(
            floor=record if isinstance(record, Floor) else None,
            certificate=record if isinstance(record, Certificate) else None,
            block=record if isinstance(record, Block) else None,
            vote=record if isinstance(record, Vote) else None,
        )
    )


def decode_record(data: bytes) -> JournalRecord:
    """The record in `data`. Raises `CorruptionError`: nobody but ourselves wrote it."""
    try:
        entry = decode(_Entry, data)
    except CanonicalError as error:
        raise CorruptionError(f"journal record: {error}") from None
    for record in (entry.floor, entry.certificate, entry.block, entry.vote):
        if record is not None:
            return record
    raise CorruptionError("journal record is empty")
