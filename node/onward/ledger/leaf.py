"""Leaves: what the log says of each executed transaction and of each block.

Every block appends one leaf per executed body, in order, and then its block leaf. Refused bodies
have leaves too: a refused onward share is evidence. Void bodies (a key that is not the party's, a
replay, an expired body) have none, because they are no statement of the party they name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Annotated

from onward import limits
from onward.crypto.hashing import TAG_EVENT, TAG_SIGNERS, TAG_WRITES, tagged_hash
from onward.types import NIL, Digest
from onward_proto.canonical import encode, nested, raw, text, uint

CODE_OK = "OK"
EVERYONE = ("*",)
"""The readers of an event that is nobody's secret."""

_U53 = 2**53 - 1


class LeafKind(IntEnum):
    """The first field of a leaf."""

    TRANSACTION = 1
    BLOCK = 2


class Outcome(IntEnum):
    """What became of an ordered body that has a leaf."""

    ACCEPTED = 1
    RECORDED = 2
    REFUSED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionLeaf:
    """The verdict on one body. `index` counts the executed bodies of its block from 0.

    `tx_hash` is the body's alone, and whoever holds a body can sign it: that the chain executed it
    under these signatures and no others is said by `signers_hash`.
    """

    kind: Annotated[int, uint(1, maximum=255)]
    height: Annotated[int, uint(2, maximum=_U53)]
    index: Annotated[int, uint(3, maximum=limits.BLOCK_BODIES_MAX)]
    time_ms: Annotated[int, uint(4, maximum=_U53)]
    tx_hash: Annotated[bytes, raw(5, size=32)]
    code: Annotated[str, text(6, minimum=1, maximum=limits.CODE_BYTES_MAX)]
    outcome: Annotated[int, uint(7, maximum=255)]
    write_set_hash: Annotated[bytes, raw(8, size=32)]
    event_hash: Annotated[bytes, raw(9, size=32)]
    signers_hash: Annotated[bytes, raw(10, size=32)]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockLeaf:
    """The result of one block: always the last of the leaves it appends."""

    kind: Annotated[int, uint(1, maximum=255)]
    height: Annotated[int, uint(2, maximum=_U53)]
    block_digest: Annotated[bytes, raw(3, size=32)]
    time_ms: Annotated[int, uint(4, maximum=_U53)]
    state_root: Annotated[bytes, raw(5, size=32)]
    epoch: Annotated[int, uint(6, maximum=_U53)]
    next_set_hash: Annotated[bytes, raw(7, size=32)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One entry of a write set: absent value = the key is removed."""

    key: Annotated[str, text(1, minimum=1, maximum=limits.STATE_KEY_BYTES_MAX)]
    value: Annotated[bytes | None, raw(2, minimum=1, maximum=limits.STATE_VALUE_BYTES_MAX)]


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteSet:
    """The writes of one transaction, ascending by key."""

    writes: Annotated[
        tuple[Write, ...], nested(1, Write, maximum=2**20, count=limits.WRITES_PER_BODY_MAX)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEvent:
    """The event of one transaction as it is hashed, stored and streamed."""

    contract: Annotated[str, text(1, minimum=1, maximum=limits.CONTRACT_NAME_BYTES_MAX)]
    name: Annotated[str, text(2, minimum=1, maximum=limits.EVENT_NAME_BYTES_MAX)]
    payload: Annotated[bytes, raw(3, maximum=limits.EVENT_PAYLOAD_BYTES_MAX)]
    readers: Annotated[
        tuple[str, ...],
        text(4, minimum=1, maximum=limits.PARTY_ID_BYTES_MAX, count=limits.EVENT_READERS_MAX),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerKeys:
    """The public keys that signed an envelope, in its order."""

    keys: Annotated[tuple[bytes, ...], raw(1, size=32, count=limits.ENVELOPE_KEYS_MAX)]


def write_set_hash(encoded: bytes) -> Digest:
    """The id of a write set with these canonical bytes; NIL for an empty one, which has none."""
    return tagged_hash(TAG_WRITES, encoded) if encoded else NIL


def event_hash(encoded: bytes | None) -> Digest:
    """The id of an event with these canonical bytes; NIL where there is none."""
    return tagged_hash(TAG_EVENT, encoded) if encoded else NIL


def signers_hash(keys: Sequence[bytes]) -> Digest:
    """The id of the keys under an envelope; their order is part of it."""
    return _signers_hash(tuple(keys))


@lru_cache(maxsize=limits.SIGNERS_HASHES_CACHED_MAX)
def _signers_hash(keys: tuple[bytes, ...]) -> Digest:
    return tagged_hash(TAG_SIGNERS, encode(SignerKeys(keys=keys)))
