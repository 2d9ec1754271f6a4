"""The consortium of a simulated network: its genesis, and the keys of everyone in it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from onward.ledger.genesis import (
    Genesis,
    GenesisContract,
    GenesisParty,
    Parameters,
    genesis_document,
    parse_genesis,
)
from onward.simulation.faults import Options
from onward.simulation.signing import KeyedSigner
from onward.system.parties import PartyKind, pseudonym_of
from onward.types import Validator

GENESIS_TIME_MS = 1_750_000_000_000
PERSONS = 8
ORGANISATIONS = ("acme", "beta", "gamma", "delta")
REGISTRY = "registry"
ENROLLER = "enroller"


@dataclass(frozen=True, slots=True)
class Consortium:
    """A genesis, and who signs for whom: machines by index, of which the first are in the genesis.

    `persons` are party ids.
    """

    genesis: Genesis
    validators: tuple[KeyedSigner, ...]
    parties: dict[str, KeyedSigner]
    persons: tuple[str, ...]


def validator_at(index: int, signer: KeyedSigner) -> Validator:
    """The machine `index` as a validator: each is of an organisation of its own."""
    return Validator(name=f"v{index}", organisation=f"org{index}", public_key=signer.public_key)


def build_consortium(options: Options, contracts: tuple[GenesisContract, ...]) -> Consortium:
    """The same for the same options: nothing here is drawn."""
    machines = options.validators + options.newcomers
    validators = tuple(KeyedSigner(f"validator/{index}") for index in range(machines))
    parties: dict[str, KeyedSigner] = {}
    kinds: dict[str, PartyKind] = {}
    for name in ORGANISATIONS:
        parties[name] = KeyedSigner(f"party/{name}")
        kinds[name] = PartyKind.ORGANISATION
    parties[REGISTRY], kinds[REGISTRY] = KeyedSigner("party/registry"), PartyKind.REGISTRY
    parties[ENROLLER], kinds[ENROLLER] = KeyedSigner("party/enroller"), PartyKind.ENROLLER
    persons: list[str] = []
    for number in range(PERSONS):
        signer = KeyedSigner(f"person/{number}")
        person = pseudonym_of(signer.public_key)
        parties[person], kinds[person] = signer, PartyKind.PERSON
        persons.append(person)
    document = genesis_document(
        network="simulation",
        time_ms=GENESIS_TIME_MS,
        parameters=Parameters(
            propose_age_ms=options.propose_age_ms, heartbeat_ms=options.heartbeat_ms
        ),
        validators=tuple(
            validator_at(index, signer)
            for index, signer in enumerate(validators[: options.validators])
        ),
        parties=tuple(
            GenesisParty(party_id=name, kind=kinds[name], public_key=signer.public_key)
            for name, signer in sorted(parties.items())
        ),
        contracts=contracts,
    )
    return Consortium(
        genesis=parse_genesis(json.dumps(document).encode()),
        validators=validators,
        parties=parties,
        persons=tuple(persons),
    )
