"""The registry of parties: who may act on the chain, and under which keys.

    sys/party/<party id>    PartyRecord
    sys/key/<public key>    the party that holds the key (a key belongs to one party, for ever)

A person is registered under a pseudonym that is derived from her key, so that the chain carries no
name and nobody can claim another's pseudonym. Organisations carry the names under which the
consortium knows them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from typing import Annotated, Protocol

from onward import limits
from onward.errors import CorruptionError
from onward_chaincode.contract import Party
from onward_proto.canonical import CanonicalError, decode, encode, flag, raw, text

NAMESPACE = "sys"
GROUPS_MAX = 32
PARTY_KEYS_MAX = 4
PSEUDONYM_PREFIX = "p-"


class PartyKind(StrEnum):
    """What a party is, and so what it may do."""

    PERSON = "PERSON"  # a pseudonym: offers, accepts, shares, revokes
    ORGANISATION = "ORGANISATION"  # receives and passes on
    AUDITOR = "AUDITOR"  # reads what its mandate covers
    REGISTRY = "REGISTRY"  # publishes terms and schemas
    ADMINISTRATOR = "ADMINISTRATOR"  # registers and deactivates parties of every kind
    ENROLLER = "ENROLLER"  # registers pseudonyms


class StateReader(Protocol):
    """The one thing the registry needs of the state."""

    def get(self, key: str) -> bytes | None:
        """The value of `key`, or None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyRecord:
    """A registered party. `public_keys` are the ones valid now."""

    kind: Annotated[str, text(1, minimum=1, maximum=16)]
    inactive: Annotated[bool, flag(2)]
    public_keys: Annotated[tuple[bytes, ...], raw(3, size=32, count=PARTY_KEYS_MAX)]
    groups: Annotated[
        tuple[str, ...], text(4, minimum=1, maximum=limits.PARTY_ID_BYTES_MAX, count=GROUPS_MAX)
    ]
    jurisdiction: Annotated[str, text(5, maximum=2)]

    def as_party(self, party_id: str) -> Party:
        """The part that contracts see."""
        return Party(
            party_id=party_id,
            kind=self.kind,
            active=not self.inactive,
            groups=self.groups,
            jurisdiction=self.jurisdiction,
        )


def party_key(party_id: str) -> str:
    """Where a party's record stands, within the system namespace."""
    return f"party/{party_id}"


def key_key(public_key: bytes) -> str:
    """Where the owner of a key stands, within the system namespace."""
    return f"key/{public_key.hex()}"


def read_party(state: StateReader, party_id: str) -> PartyRecord | None:
    """The record of a party in the whole state, or None."""
    data = state.get(f"{NAMESPACE}/{party_key(party_id)}")
    return None if data is None else decode_party(data)


@lru_cache(maxsize=limits.PARTIES_REMEMBERED_MAX)
def decode_party(data: bytes) -> PartyRecord:
    """The record in stored bytes. Raises `CorruptionError`."""
    try:
        return decode(PartyRecord, data)
    except CanonicalError as error:
        raise CorruptionError(f"party record: {error}") from None


def encode_party(record: PartyRecord) -> bytes:
    """The bytes of a record as they are stored."""
    return encode(record)


def pseudonym_of(public_key: bytes) -> str:
    """The party id of a person with this key: `p-` and 32 hex digits of the key's SHA-256."""
    return PSEUDONYM_PREFIX + sha256(b"onward/pseudonym/1" + public_key).hexdigest()[:32]
