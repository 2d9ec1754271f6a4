"""A custodian who wants to pass data on against the terms, and what each of its ways ends at."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from tests.unit.chaincode.world import (
    DAY,
    SERVICE,
    T0,
    Cases,
    MemoryView,
    World,
    cases,
    commitment,
    grant,
)


class CountingView(MemoryView):
    """Remembers which keys were read."""

    def __init__(self, world: World, reader: str) -> None:
        super().__init__(world, reader)
        self.read: list[str] = []

    def get(self, key: str) -> bytes | None:
        self.read.append(key)
        return super().get(key)


@pytest.fixture
def c() -> Cases:
    return cases()


def test_data_does_not_change_hands_before_the_child_agreement_begins(c: Cases) -> None:
    """The recipient would hold the data and be bound by nothing, and R28 would see no agreement."""
    later = {"not_before_ms": T0 + DAY}
    for _ in range(2):
        outcome = c.attempt(recipient="delta", child=later)
        assert (outcome.code, outcome.rule, outcome.recorded) == ("E_WINDOW", "R25", True)
    assert not c.attempt(recipient="delta", child={"not_before_ms": T0}).code


def test_a_child_may_be_agreed_on_before_it_begins_but_carries_no_share_until_then(
    c: Cases,
) -> None:
    w = c.world
    offer = {
        "to": "delta",
        "grant": {
            "terms": c.ids["T-P2B1"],
            "schema": c.ids["S-CONTACT"],
            "fields": [3],
            "purposes": [SERVICE],
            "notice": "77" * 32,
            "not_before_ms": T0 + DAY,
            "expires_at_ms": T0 + 5 * DAY,
        },
        "offer_expires_at_ms": T0 + DAY,
        "parent_agreement": c.g1,
        "parent_share": c.s1,
    }
    offer_id = w.must("acme", "agreement.offer", offer).id("offer")
    child = w.must("delta", "agreement.accept", {"offer": offer_id}).id("agreement")
    parcel = {"fields": [3], "purpose": SERVICE, "commitment": commitment("early")}
    body = {"agreement": child, "parent_share": c.s1, "share": parcel}
    assert w.submit("acme", "share.record", body).code == "E_PARENT_NOT_YET"
    w.time_ms = T0 + DAY
    assert not w.submit("acme", "share.record", body).code


def test_a_share_that_the_rights_holder_took_back_goes_no_further_from_anyone(c: Cases) -> None:
    """Otherwise a custodian keeps it alive by having passed it on once, to a friend."""
    c.world.must("alice", "share.withdraw", {"share": c.s1})
    below = c.attempt("beta", "delta", parent_agreement=c.g1a, parent_share=c.s1a)
    assert (below.code, below.rule, below.recorded) == ("E_SHARE_WITHDRAWN", "R13", True)
    inside = c.world.submit(
        "beta",
        "share.record",
        {
            "agreement": c.g1b,
            "parent_share": c.s1a,
            "share": {"fields": [3], "purpose": SERVICE, "commitment": commitment("more")},
        },
    )
    assert (inside.code, inside.recorded) == ("E_SHARE_WITHDRAWN", True)


def test_taking_back_an_onward_share_leaves_the_share_above_as_it_is(c: Cases) -> None:
    c.world.must("acme", "share.withdraw", {"share": c.s1a})
    assert not c.attempt(recipient="delta").code


def test_the_view_of_a_party_reads_each_schema_once(c: Cases) -> None:
    """Per row and field it took seconds for one question, in which a node could not vote."""
    w = c.world
    for number in range(20):
        w.share(c.g1, "alice", [1, 2, 3], SERVICE, f"row {number}")
    schema_key = f"schema/{c.ids['S-CONTACT']}"
    view = CountingView(w, "alice")
    answer = w.contract.query(view, "party_view", {})
    assert answer["given"]["by_field"] == {"category": 21, "email": 21, "postcode": 20}
    assert view.read.count(schema_key) <= 4  # once for each direction


def handshake_with_ids(c: Cases) -> tuple[str, str, str]:
    """Bob's intentcast, ACME's agreement for it, and an offer of Alice to ACME."""
    w = c.world
    terms, schema = c.ids["T-INTENT-30D"], c.ids["S-INTENT"]
    cast = {
        "terms": terms,
        "schema": schema,
        "industry": "Automotive",
        "tags": ["4wd"],
        "currency": "USD",
        "price_high": 5,
        "expires_at_ms": T0 + DAY,
        "max_acceptances": 1,
        "commitment": commitment("cast"),
    }
    intent = w.must("bob", "intent.cast", cast).id("intent")
    granted = grant(
        terms, schema, fields=[1], purposes=["dpv:RequestedServiceProvision"], expires_at_ms=None
    )
    body = {"to": "acme", "grant": granted, "offer_expires_at_ms": T0 + DAY}
    made_for = w.must("bob", "agreement.offer", {**body, "intent": intent}).id("offer")
    agreement = w.must("acme", "agreement.accept", {"offer": made_for}).id("agreement")
    return intent, agreement, w.must("alice", "agreement.offer", body).id("offer")


def test_a_refusal_tells_a_stranger_nothing_that_the_stranger_did_not_say(c: Cases) -> None:
    """Ids follow from transaction hashes, and a dry run is free: a message that named the parties
    would be a way around every rule about who may read what.
    """
    intent, agreement, offer = handshake_with_ids(c)
    parcel = {"fields": [3], "purpose": SERVICE, "commitment": commitment("stranger")}
    counter = {"terms": c.ids["T-P2B1"], "fields": [3], "purposes": [SERVICE]}
    price = {"price_minor": 1, "valid_until_ms": T0 + DAY, "commitment": commitment("price")}
    child = grant(c.ids["T-P2B1"], c.ids["S-CONTACT"], fields=[3], purposes=[SERVICE])
    onward = {"parent_share": c.s1, "recipient": "epsilon", "child": child, "share": parcel}
    tries: list[tuple[str, dict[str, Any]]] = [
        ("share.onward", {**onward, "parent_agreement": c.g1}),
        ("share.onward", {**onward, "parent_agreement": c.g1a}),
        ("share.record", {"agreement": c.g1, "share": parcel}),
        ("share.record", {"agreement": c.g1a, "share": parcel, "parent_share": c.s1}),
        ("share.ack", {"share": c.s1}),
        ("share.withdraw", {"share": c.s1}),
        ("agreement.accept", {"offer": offer}),
        ("agreement.counter", {**counter, "offer": offer, "offer_expires_at_ms": T0 + DAY}),
        ("agreement.reject", {"offer": offer, "reason": "OTHER"}),
        ("agreement.revoke", {"agreement": c.g1, "scope": "ALL"}),
        ("agreement.terminate", {"agreement": c.g1}),
        ("agreement.withdraw_offer", {"offer": offer}),
        ("intent.respond", {**price, "intent": intent, "agreement": agreement}),
    ]
    for kind, fields in tries:
        outcome = c.world.submit("delta", kind, fields, ("epsilon",))
        assert outcome.code, kind
        words = set(re.findall(r"[a-z0-9-]+", outcome.message))
        assert not words & {"alice", "acme", "beta", "gamma", "bob"}, outcome.message
        ids = {word for word in words if re.fullmatch("[0-9a-f]{64}", word)}
        assert ids <= set(re.findall("[0-9a-f]{64}", json.dumps(fields))), outcome.message
