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
    """A genesis, and who signs for whom. `persons` are party ids."""

    genesis: Genesis
    validators: tuple[KeyedSigner, ...]
    parties: dict[str, KeyedSigner]
    persons: tuple[str, ...]


def build_consortium(options: Options, contracts: tuple[GenesisContract, ...]) -> Consortium:
    """The same for the same options: nothing here is drawn."""
    validators = tuple(KeyedSigner(f"validator/{index}") for index in range(options.validators))
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
            Validator(name=f"v{index}", organisation=f"org{index}", public_key=signer.public_key)
            for index, signer in enumerate(validators)
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
