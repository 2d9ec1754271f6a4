"""The genesis: what every party of a network must agree on before its first block.

A genesis is a document (JSON that a person can read and sign off); the chain id is the tagged hash
of its RFC 8785 form, so white space does not matter and everything else does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Any

from onward import limits
from onward.crypto.hashing import TAG_GENESIS, tagged_hash
from onward.errors import MalformedError
from onward.ledger.note import checkpoint_origin
from onward.ledger.transaction import is_party_id
from onward.types import Digest, Epoch, PublicKey, Validator, ValidatorSet
from onward_proto.documents import DocumentError, canonical_document, parse_document

GENESIS_FORMAT = 1
GENESIS_BYTES_MAX = 64 * 1024

CONTROL_CHARACTERS = re.compile("[\\x00-\\x1f\\x7f-\\x9f]")
"""What commands a terminal: names that everybody is shown hold none."""

_NETWORK_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """Times that the validators of a network share, in milliseconds."""

    timeout_ms: int = 1_000  # T0: a view's deadline while there is work
    timeout_ms_max: int = 3_000  # T_max: where growing deadlines end
    heartbeat_ms: int = 5_000  # an idle network proposes an empty block this often
    propose_age_ms: int = 30  # a leader proposes when the oldest pending batch is this old
    future_ms_max: int = 2_000  # how far a proposal's time may run ahead of a voter's clock
    past_ms_max: int = 30_000  # how far it may lag behind; at least 2 * timeout_ms_max


_PARAMETERS = tuple(field.name for field in fields(Parameters))
"""The keys of a genesis's `parameters`: all of them, and no others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenesisParty:
    """A party that exists from the first block on."""

    party_id: str
    kind: str
    public_key: PublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class GenesisContract:
    """A contract version and the height at which it begins to apply."""

    name: str
    version: int
    from_height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Genesis:
    """The parsed document and what follows from it."""

    network: str
    time_ms: int
    parameters: Parameters
    validators: ValidatorSet
    parties: tuple[GenesisParty, ...]
    contracts: tuple[GenesisContract, ...]
    chain_id: Digest
    document: bytes  # the RFC 8785 form

    @property
    def origin(self) -> str:
        """The first line of every checkpoint of this chain."""
        return checkpoint_origin(self.network, self.chain_id)


def genesis_document(
    *,
    network: str,
    time_ms: int,
    parameters: Parameters,
    validators: tuple[Validator, ...],
    parties: tuple[GenesisParty, ...],
    contracts: tuple[GenesisContract, ...],
) -> dict[str, Any]:
    """The document for these facts; `parse_genesis` of it is their check."""
    return {
        "format": GENESIS_FORMAT,
        "network": network,
        "time_ms": time_ms,
        "parameters": {name: getattr(parameters, name) for name in _PARAMETERS},
        "validators": [
            {
                "name": item.name,
                "organisation": item.organisation,
                "public_key": item.public_key.hex(),
            }
            for item in validators
        ],
        "parties": [
            {"party": item.party_id, "kind": item.kind, "public_key": item.public_key.hex()}
            for item in parties
        ],
        "contracts": [
            {"name": item.name, "version": item.version, "from_height": item.from_height}
            for item in contracts
        ],
    }


def parse_genesis(data: bytes) -> Genesis:
    """The genesis in a document's bytes. Raises `MalformedError` naming the key that is wrong."""
    try:
        document = parse_document(data, maximum=GENESIS_BYTES_MAX)
        return _read_genesis(document, canonical_document(document))
    except DocumentError as error:
        raise MalformedError(f"genesis: {error}") from None


def _read_genesis(document: dict[str, Any], canonical: bytes) -> Genesis:
    _keys(
        document,
        "genesis",
        ("format", "network", "time_ms", "parameters", "validators", "parties", "contracts"),
    )
    # `true` equals 1 in Python, and is no format.
    if document["format"] != GENESIS_FORMAT or isinstance(document["format"], bool):
        raise MalformedError(f"genesis: format {document['format']!r}, expected {GENESIS_FORMAT}")
    network = _text(document, "network")
    if not _NETWORK_NAME.fullmatch(network):
        raise MalformedError(f"genesis: network {network!r}: lower-case letters, digits and '-'")
    validators = tuple(_validator(item) for item in _list(document, "validators"))
    _validators_fit(validators)
    parties = tuple(_party(item) for item in _list(document, "parties"))
    if len({item.party_id for item in parties}) != len(parties):
        raise MalformedError("genesis: one party stands twice")
    return Genesis(
        network=network,
        time_ms=_integer(document, "time_ms", 1),
        parameters=_parameters(document["parameters"]),
        validators=ValidatorSet(epoch=Epoch(0), members=validators),
        parties=parties,
        contracts=tuple(_contract(item) for item in _list(document, "contracts")),
        chain_id=tagged_hash(TAG_GENESIS, canonical),
        document=canonical,
    )


def _validators_fit(validators: tuple[Validator, ...]) -> None:
    if not 1 <= len(validators) <= limits.VALIDATORS_MAX:
        raise MalformedError(
            f"genesis: {len(validators)} validators, expected 1 to {limits.VALIDATORS_MAX}"
        )
    if len({item.name for item in validators}) != len(validators):
        raise MalformedError("genesis: one validator name stands twice")
    if len({item.public_key for item in validators}) != len(validators):
        raise MalformedError("genesis: one validator key stands twice")


def _parameters(value: object) -> Parameters:
    document = _keys(value, "parameters", _PARAMETERS)
    parameters = Parameters(**{name: _integer(document, name, 1) for name in _PARAMETERS})
    if parameters.past_ms_max < 2 * parameters.timeout_ms_max:
        raise MalformedError(
            f"genesis: past_ms_max {parameters.past_ms_max} is below twice timeout_ms_max "
            f"{parameters.timeout_ms_max}: proposals of a slow view would be refused for ever"
        )
    if parameters.timeout_ms_max < parameters.timeout_ms:
        raise MalformedError("genesis: timeout_ms_max is below timeout_ms")
    return parameters


def _validator(value: object) -> Validator:
    document = _keys(value, "validator", ("name", "organisation", "public_key"))
    name = _text(document, "name")
    if not _NETWORK_NAME.fullmatch(name):
        raise MalformedError(f"genesis: validator name {name!r}: lower-case letters, digits, '-'")
    organisation = _text(document, "organisation")
    # A proposal of other validators names these, and has room for no more.
    size = len(organisation.encode("utf-8", "surrogatepass"))
    if size > limits.PARTY_ID_BYTES_MAX or CONTROL_CHARACTERS.search(organisation):
        raise MalformedError(
            f"genesis: organisation of {name}: at most {limits.PARTY_ID_BYTES_MAX} bytes without "
            f"control characters, got {organisation[: limits.PARTY_ID_BYTES_MAX]!r}"
        )
    return Validator(name=name, organisation=organisation, public_key=_key(document))


def _party(value: object) -> GenesisParty:
    document = _keys(value, "party", ("party", "kind", "public_key"))
    party_id = _text(document, "party")
    if not is_party_id(party_id):
        raise MalformedError(f"genesis: party id {party_id!r}")
    return GenesisParty(party_id=party_id, kind=_text(document, "kind"), public_key=_key(document))


def _contract(value: object) -> GenesisContract:
    document = _keys(value, "contract", ("name", "version", "from_height"))
    return GenesisContract(
        name=_text(document, "name"),
        version=_integer(document, "version", 1),
        from_height=_integer(document, "from_height", 1),
    )


def _keys(value: object, what: str, expected: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MalformedError(f"genesis: {what}: expected an object, got {type(value).__name__}")
    if sorted(value) != sorted(expected):
        raise MalformedError(f"genesis: {what}: keys {sorted(value)}, expected {sorted(expected)}")
    return value


def _list(document: dict[str, Any], key: str) -> list[object]:
    value = document[key]
    if not isinstance(value, list):
        raise MalformedError(f"genesis: {key}: expected a list, got {type(value).__name__}")
    return value


def _text(document: dict[str, Any], key: str) -> str:
    value = document[key]
    if not isinstance(value, str) or not value:
        raise MalformedError(f"genesis: {key}: expected text, got {value!r}")
    return value


def _integer(document: dict[str, Any], key: str, minimum: int) -> int:
    value = document[key]
    if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
        raise MalformedError(f"genesis: {key}: expected an integer from {minimum}, got {value!r}")
    return value


def _key(document: dict[str, Any]) -> PublicKey:
    value = _text(document, "public_key")
    if not re.fullmatch(r"[0-9a-f]{64}", value, re.ASCII):
        raise MalformedError(f"genesis: public_key: expected 64 hex digits, got {value!r}")
    return PublicKey(bytes.fromhex(value))
