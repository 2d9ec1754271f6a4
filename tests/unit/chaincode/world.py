"""A world in memory for the contract: state, parties, block time, and the people of the cases."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onward_chaincode
from onward_chaincode.contract import Call, Event, Json, Party, Recorded, Refuse
from onward_chaincode.drafts import draft, ids_of, published_id
from onward_chaincode.registry import contract_for
from onward_proto.documents import canonical_document

T0 = 1_750_000_000_000
DAY = 24 * 3_600_000
NOTICE = "77" * 32
SERVICE, ANALYTICS = "dpv:ServiceProvision", "dpv:ServiceUsageAnalytics"
FIXTURES = Path(onward_chaincode.__file__).parent / "fixtures"


def fixture(kind: str, label: str) -> dict[str, Any]:
    """A document of the package: kind is `terms` or `schemas`."""
    found: dict[str, Any] = json.loads((FIXTURES / kind / f"{label}.json").read_text())
    return found


def commitment(text: str) -> str:
    """A commitment that stands for `text`."""
    return hashlib.sha256(text.encode()).hexdigest()


class Rows:
    """Ordered key-value rows with the bounds that an engine keeps."""

    def __init__(self, rows: dict[str, bytes]) -> None:
        self.rows = rows

    def get(self, key: str) -> bytes | None:
        return self.rows.get(key)

    def scan(self, start: str, end: str, limit: int) -> list[tuple[str, bytes]]:
        assert limit <= 1_000
        return [(k, self.rows[k]) for k in sorted(self.rows) if start <= k < end][:limit]


class MemoryContext(Rows):
    """`Context` over a copy of the state that is kept only when the transaction is not refused."""

    def __init__(self, world: World, tx_id: str, caller: str, cosigners: tuple[str, ...]) -> None:
        super().__init__(dict(world.state))
        self._world = world
        self.time_ms = world.time_ms
        self.tx_id = tx_id
        self.caller = caller
        self.cosigners = cosigners
        self.event: Event | None = None
        self.reads = 0

    def get(self, key: str) -> bytes | None:
        self.reads += 1
        return super().get(key)

    def party(self, party_id: str) -> Party | None:
        return self._world.parties.get(party_id)

    def put(self, key: str, value: bytes) -> None:
        assert value
        assert key
        assert "\x00" not in key
        assert len(key) <= 512
        self.rows[key] = value

    def delete(self, key: str) -> None:
        self.rows.pop(key, None)

    def emit(self, name: str, payload: Json, readers: tuple[str, ...]) -> None:
        assert self.event is None, "a transaction emits once"
        assert list(readers) == sorted(set(readers))
        self.event = Event(name=name, payload=canonical_document(payload), readers=readers)


class MemoryView(Rows):
    """`View` over committed state."""

    def __init__(self, world: World, reader: str) -> None:
        super().__init__(world.state)
        self._world = world
        self.time_ms = world.time_ms
        self.height = world.height
        self.reader = reader

    def party(self, party_id: str) -> Party | None:
        return self._world.parties.get(party_id)

    def projected(self, start: str, end: str, limit: int) -> list[tuple[str, bytes]]:
        return Rows(self._world.projections).scan(start, end, limit)


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a transaction: `code` is "" when it was accepted."""

    code: str
    rule: str
    recorded: bool
    message: str
    tx_id: str
    event: Event | None
    reads: int

    def id(self, kind: str) -> str:
        """The id of what an accepted transaction created."""
        assert not self.code, f"{self.code}: {self.message}"
        return ids_of(self.tx_id)[f"{kind}_id"]


class World:
    """One chain's worth of contract state, with a clock that the test moves."""

    def __init__(self, contract: str = "isa", version: int = 1) -> None:
        found = contract_for(contract, version)
        assert found is not None
        self.contract = found
        self.state: dict[str, bytes] = {}
        self.projections: dict[str, bytes] = {}
        self.parties: dict[str, Party] = {}
        self.time_ms = T0
        self.height = 0

    def join(
        self,
        party_id: str,
        kind: str = "ORGANISATION",
        jurisdiction: str = "DE",
        groups: tuple[str, ...] = (),
    ) -> None:
        """Register a party."""
        self.parties[party_id] = Party(
            party_id=party_id, kind=kind, active=True, groups=groups, jurisdiction=jurisdiction
        )

    def deactivate(self, party_id: str) -> None:
        """Deactivate a party."""
        self.parties[party_id] = dataclasses.replace(self.parties[party_id], active=False)

    def submit(
        self, actor: str, kind: str, fields: Mapping[str, Any], cosigners: tuple[str, ...] = ()
    ) -> Outcome:
        """Apply one drafted transaction."""
        return self.apply(actor, kind, draft(kind, fields), cosigners)

    def apply(
        self, actor: str, kind: str, payload: bytes, cosigners: tuple[str, ...] = ()
    ) -> Outcome:
        """Apply one transaction as a block of its own, at the time that stands."""
        self.height += 1
        tx_id = hashlib.sha256(f"tx {self.height}".encode()).hexdigest()
        ctx = MemoryContext(self, tx_id, actor, cosigners)
        try:
            found = self.contract.apply(ctx, Call(type=kind, payload=payload))
        except Refuse as refusal:
            return Outcome(refusal.code, refusal.rule, False, str(refusal), tx_id, None, ctx.reads)
        assert ctx.event is not None, "an accepted or recorded transaction emits"
        before = Rows(self.state)
        self.state = ctx.rows
        rows = self.contract.project(ctx.event, tx_id, before, Rows(self.state))
        assert all(rows.values())
        self.projections |= rows
        if isinstance(found, Recorded):
            return Outcome(found.code, found.rule, True, found.message, tx_id, ctx.event, ctx.reads)
        return Outcome("", "", False, "", tx_id, ctx.event, ctx.reads)

    def must(
        self, actor: str, kind: str, fields: Mapping[str, Any], cosigners: tuple[str, ...] = ()
    ) -> Outcome:
        """Apply a transaction that the test expects to be accepted."""
        outcome = self.submit(actor, kind, fields, cosigners)
        assert not outcome.code, f"{kind}: {outcome.code} {outcome.message}"
        return outcome

    def ask(self, reader: str, query: str, **arguments: Any) -> Json:
        """Ask a query."""
        return self.contract.query(MemoryView(self, reader), query, arguments)

    # -- the steps that most stories need ----------------------------------------------------------

    def publish_terms(self, document: Mapping[str, Any]) -> str:
        """Publish terms; answers their id."""
        self.must("registry", "terms.publish", {"document": document})
        return published_id(document)

    def publish_schema(self, document: Mapping[str, Any]) -> str:
        """Publish a schema; answers its id."""
        self.must("registry", "schema.publish", {"document": document})
        return published_id(document)

    def agree(self, first: str, second: str, grant: Mapping[str, Any]) -> str:
        """Offer and accept a root agreement; answers its id."""
        offer = {"to": second, "grant": grant, "offer_expires_at_ms": self.time_ms + DAY}
        offer_id = self.must(first, "agreement.offer", offer).id("offer")
        return self.must(second, "agreement.accept", {"offer": offer_id}).id("agreement")

    def share(self, agreement: str, actor: str, fields: list[int], purpose: str, tag: str) -> str:
        """Record a share under a root agreement; answers its id."""
        share = {"fields": fields, "purpose": purpose, "commitment": commitment(tag)}
        done = self.must(actor, "share.record", {"agreement": agreement, "share": share})
        return done.id("share")


def new_world() -> tuple[World, dict[str, str]]:
    """A world with everybody and every fixture, and the ids of the documents by label."""
    world = World()
    world.join("registry", "REGISTRY")
    for person in ("alice", "alice-2", "bob"):
        world.join(person, "PERSON")
    for org in ("acme", "beta", "gamma", "delta", "epsilon"):
        world.join(org, groups=("partners",) if org in ("beta", "gamma") else ())
    world.join("texas", jurisdiction="US")
    world.join("auditor", "AUDITOR")
    world.join("admin", "ADMINISTRATOR")
    ids = {}
    for path in sorted((FIXTURES / "terms").glob("*.json")):
        ids[path.stem] = world.publish_terms(fixture("terms", path.stem))
    for path in sorted((FIXTURES / "schemas").glob("*.json")):
        ids[path.stem] = world.publish_schema(fixture("schemas", path.stem))
    return world, ids


def grant(terms: str, schema: str, **changes: Any) -> dict[str, Any]:
    """What Alice grants in the cases of the design, with changes; None leaves a key out."""
    body: dict[str, Any] = {
        "terms": terms,
        "schema": schema,
        "fields": [1, 2, 3],
        "purposes": [SERVICE, ANALYTICS],
        "notice": NOTICE,
        "expires_at_ms": T0 + 30 * DAY,
        **changes,
    }
    return {key: value for key, value in body.items() if value is not None}


@dataclasses.dataclass(slots=True)
class Cases:
    """The adversarial cases: G1 Alice to ACME, G1a on to BETA, G1b on to GAMMA."""

    world: World
    ids: dict[str, str]
    g1: str
    s1: str
    g1a: str
    s1a: str
    g1b: str
    s1b: str
    count: int = 0

    def attempt(
        self,
        sharer: str = "acme",
        recipient: str = "beta",
        *,
        parent_agreement: str | None = None,
        parent_share: str | None = None,
        cosigners: tuple[str, ...] | None = None,
        child: Mapping[str, Any] | None = None,
        share: Mapping[str, Any] | None = None,
    ) -> Outcome:
        """Try to pass a share on: by default fields {3} of s1, for service, until t0 + 10 d."""
        self.count += 1
        world = self.world
        body = grant(
            self.ids["T-P2B1"],
            self.ids["S-CONTACT"],
            fields=[3],
            purposes=[SERVICE],
            expires_at_ms=max(world.time_ms, T0) + 10 * DAY,
        )
        parcel = {
            "fields": [3],
            "purpose": SERVICE,
            "commitment": commitment(f"attempt {self.count}"),
        }
        fields = {
            "parent_agreement": parent_agreement or self.g1,
            "parent_share": parent_share or self.s1,
            "recipient": recipient,
            "child": {k: v for k, v in {**body, **(child or {})}.items() if v is not None},
            "share": {**parcel, **(share or {})},
        }
        return world.submit(
            sharer, "share.onward", fields, (recipient,) if cosigners is None else cosigners
        )


def cases() -> Cases:
    """The world of the adversarial cases, at t0."""
    world, ids = new_world()
    g1 = world.agree("alice", "acme", grant(ids["T-P2B1"], ids["S-CONTACT"]))
    s1 = world.share(g1, "alice", [1, 3], SERVICE, "s1")
    made = Cases(world, ids, g1, s1, "", "", "", "")
    both = {"fields": [1, 3], "purposes": [SERVICE, ANALYTICS], "expires_at_ms": T0 + 20 * DAY}
    hop = made.attempt(child=both, share={"fields": [1, 3]})
    made.g1a, made.s1a = hop.id("agreement"), hop.id("share")
    hop = made.attempt(
        "beta",
        "gamma",
        parent_agreement=made.g1a,
        parent_share=made.s1a,
        child=both,
        share={"fields": [1, 3]},
    )
    made.g1b, made.s1b = hop.id("agreement"), hop.id("share")
    return made
