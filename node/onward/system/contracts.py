"""Which version of a contract applies at a height.

sys/contract/<name>    ContractRecord: every version with the height from which it applies
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

from onward.errors import CorruptionError, MalformedError
from onward.ledger.genesis import Genesis
from onward.system.parties import (
    NAMESPACE,
    PartyKind,
    PartyRecord,
    StateReader,
    encode_party,
    key_key,
    party_key,
)
from onward_proto.canonical import CanonicalError, decode, encode, nested, uint

CONTRACT_VERSIONS_MAX = 256
_U53 = 2**53 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """A version and the first height at which it applies."""

    version: Annotated[int, uint(1, maximum=_U53)]
    from_height: Annotated[int, uint(2, maximum=_U53)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractRecord:
    """The versions of one contract, ascending by version."""

    versions: Annotated[tuple[Activation, ...], nested(1, Activation, count=CONTRACT_VERSIONS_MAX)]


def active_version(state: StateReader, name: str, height: int) -> int | None:
    """The version of contract `name` that applies at `height`, or None."""
    data = state.get(f"{NAMESPACE}/contract/{name}")
    if data is None:
        return None
    versions = [item.version for item in _activations(data) if item.from_height <= height]
    return max(versions, default=None)


@lru_cache(maxsize=64)
def _activations(data: bytes) -> tuple[Activation, ...]:
    try:
        return decode(ContractRecord, data).versions
    except CanonicalError as error:
        raise CorruptionError(f"contract record: {error}") from None


def genesis_state(genesis: Genesis) -> dict[str, bytes]:
    """The state before the first block, by key: the genesis' parties and contract versions.

    Raises `MalformedError` for a party of an unknown kind, or with another's key.
    """
    state: dict[str, bytes] = {}
    for party in genesis.parties:
        if party.kind not in set(PartyKind):
            raise MalformedError(
                f"genesis: party {party.party_id}: kind {party.kind!r}, "
                f"expected one of {', '.join(PartyKind)}"
            )
        if f"{NAMESPACE}/{key_key(party.public_key)}" in state:
            raise MalformedError(f"genesis: party {party.party_id} has the key of another party")
        record = PartyRecord(
            kind=party.kind,
            inactive=False,
            public_keys=(party.public_key,),
            groups=(),
            jurisdiction="",
        )
        state[f"{NAMESPACE}/{party_key(party.party_id)}"] = encode_party(record)
        state[f"{NAMESPACE}/{key_key(party.public_key)}"] = party.party_id.encode()
    versions: dict[str, list[Activation]] = {}
    for contract in genesis.contracts:
        versions.setdefault(contract.name, []).append(
            Activation(version=contract.version, from_height=contract.from_height)
        )
    for name, items in versions.items():
        ordered = tuple(sorted(items, key=lambda item: item.version))
        state[f"{NAMESPACE}/contract/{name}"] = encode(ContractRecord(versions=ordered))
    return dict(sorted(state.items()))
