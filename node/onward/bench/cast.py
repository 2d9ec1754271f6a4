"""Who acts in a benchmark: keys that follow from a seed, and what registers and publishes.

A run has a tag, which stands in the names of its organisations, in the labels of its documents and
in every key: several runs on one chain do not meet. Nothing here is secret.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from onward.crypto.signing import SigningKey
from onward.ledger.transaction import BODY_FORMAT, Body
from onward.system.parties import NAMESPACE, PartyKind, pseudonym_of
from onward.system.registry import REGISTRATIONS_MAX, Register, Registration
from onward.types import PublicKey
from onward_chaincode.drafts import draft, published_id
from onward_proto.canonical import encode

CONTRACT = "isa"
PURPOSE = "dpv:ServiceProvision"
HOUR_MS = 3_600_000
VALID_MS = 24 * HOUR_MS
_THIRTY_DAYS_MS = 30 * 24 * HOUR_MS


@dataclass(frozen=True, slots=True)
class Party:
    """A party and its key."""

    party_id: str
    signer: SigningKey
    seed: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What all lanes of a run share. `time_ms`: when it was prepared; times are counted from it."""

    seed: int
    tag: str
    organisation_count: int
    time_ms: int

    def organisation(self, number: int) -> Party:
        """One of the organisations, from 0."""
        seed = self._seed(f"organisation/{number}")
        return Party(f"{self.tag}-org{number}", SigningKey(seed), seed)

    def person(self, lane: int, number: int) -> Party:
        """One of a lane's persons, from 0; under her pseudonym."""
        seed = self._seed(f"person/{lane}/{number}")
        signer = SigningKey(seed)
        return Party(pseudonym_of(signer.public_key), signer, seed)

    def documents(self) -> tuple[tuple[str, dict[str, Any]], ...]:
        """What the registry publishes before: transaction type and document."""
        return (
            ("terms.publish", plain_terms(self.tag)),
            ("terms.publish", onward_terms(self.tag)),
            ("schema.publish", schema(self.tag)),
        )

    def _seed(self, what: str) -> bytes:
        return sha256(f"onward/bench/{self.seed}/{self.tag}/{what}".encode()).digest()


def plain_terms(tag: str) -> dict[str, Any]:
    """Terms that forbid passing data on."""
    return _terms(tag, "plain", {"duration": {"from_accept_ms": _THIRTY_DAYS_MS}})


def onward_terms(tag: str) -> dict[str, Any]:
    """Terms under which data may go on twice, under the same terms."""
    return _terms(
        tag,
        "onward",
        {
            "duration": "UNLIMITED",
            "onward.mode": "SAME_TERMS",
            "onward.max_depth": 2,
            "onward.recipients": "ANY_MEMBER",
        },
    )


def _terms(tag: str, name: str, clauses: dict[str, Any]) -> dict[str, Any]:
    return {
        "format": "onward/terms/1",
        "label": f"{tag}-{name}",
        "version": "1",
        "title": f"Benchmark terms, {name}",
        "source": "benchmark",
        "clauses": {"onward.mode": "PROHIBITED", "purposes_allowed": [PURPOSE], **clauses},
    }


def schema(tag: str) -> dict[str, Any]:
    """Four fields of contact data."""
    return {
        "format": "onward/schema/1",
        "label": f"{tag}-contact",
        "version": "1",
        "title": "Contact data of the benchmark",
        "source": "benchmark",
        "fields": [
            {
                "index": index,
                "name": name,
                "category": "dpv-pd:Contact",
                "sensitivity": "NONE",
                "identifying": index < 2,
            }
            for index, name in enumerate(("name", "email", "postcode", "price"))
        ],
    }


def document_id(document: dict[str, Any]) -> bytes:
    """The terms_id or schema_id that a document will have."""
    return bytes.fromhex(published_id(document))


def publication(setting: Setting, kind: str, document: dict[str, Any], actor: str) -> bytes:
    """The body by which the registry publishes a document."""
    return _body(setting, CONTRACT, kind, actor, draft(kind, {"document": document}))


def registrations(
    setting: Setting, kind: PartyKind, parties: Sequence[tuple[str, bytes]], actor: str
) -> Iterator[bytes]:
    """Bodies that register parties (id and key) of a kind, as many as fit in each."""
    for start in range(0, len(parties), REGISTRATIONS_MAX):
        items = tuple(
            Registration(
                party=party_id,
                kind=kind,
                public_key=PublicKey(key),
                groups=(),
                jurisdiction="",
            )
            for party_id, key in parties[start : start + REGISTRATIONS_MAX]
        )
        yield _body(setting, NAMESPACE, "party.register", actor, encode(Register(parties=items)))


def _body(setting: Setting, contract: str, kind: str, actor: str, payload: bytes) -> bytes:
    """A body whose salt follows from what it says: preparing twice gives the same one."""
    salt = sha256(f"{setting.seed}/{setting.tag}/{kind}".encode() + payload).digest()[:16]
    return encode(
        Body(
            format=BODY_FORMAT,
            contract=contract,
            type=kind,
            actor=actor,
            cosigners=(),
            valid_until_ms=setting.time_ms + VALID_MS,
            salt=salt,
            payload=payload,
        )
    )
