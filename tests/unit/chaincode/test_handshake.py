"""Offer, counter-offer, acceptance, rejection; and flow F1: an intentcast from end to end."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.chaincode.world import (
    ANALYTICS,
    DAY,
    NOTICE,
    SERVICE,
    T0,
    World,
    commitment,
    grant,
    new_world,
)

RSP, ANSWER = "dpv:RequestedServiceProvision", "onward:IntentResponse"


@pytest.fixture
def made() -> tuple[World, dict[str, str]]:
    return new_world()


def cast_of(ids: dict[str, str], **changes: Any) -> dict[str, Any]:
    """Alice looks for a car."""
    return {
        "terms": ids["T-INTENT-30D"],
        "schema": ids["S-INTENT"],
        "industry": "Automotive",
        "tags": ["4wd"],
        "brands": ["Ford"],
        "currency": "USD",
        "price_low": 100_000,
        "price_high": 10_000_000,
        "expires_at_ms": T0 + 20 * DAY,
        "max_acceptances": 3,
        "commitment": commitment("cast"),
        **changes,
    }


def open_offer(ids: dict[str, str], intent: str | None, **changes: Any) -> dict[str, Any]:
    """Alice's open offer for the cast."""
    body = grant(
        ids["T-INTENT-30D"],
        ids["S-INTENT"],
        fields=[0, 1],
        purposes=[RSP, ANSWER],
        expires_at_ms=None,
    )
    offer = {"grant": body, "offer_expires_at_ms": T0 + 10 * DAY, "intent": intent, **changes}
    return {key: value for key, value in offer.items() if value is not None}


def counter_of(ids: dict[str, str], offer: str, **changes: Any) -> dict[str, Any]:
    """GAMMA would rather have the analytics terms."""
    return {
        "offer": offer,
        "terms": ids["T-SD-BASE-A"],
        "fields": [0, 1],
        "purposes": [RSP],
        "offer_expires_at_ms": T0 + 5 * DAY,
        **changes,
    }


def test_f1_intentcast_from_cast_to_selection(made: tuple[World, dict[str, str]]) -> None:
    w, ids = made
    intent = w.must("alice", "intent.cast", cast_of(ids)).id("intent")
    offer = w.must("alice", "agreement.offer", open_offer(ids, intent)).id("offer")
    agreement = w.must("acme", "agreement.accept", {"offer": offer}).id("agreement")
    w.must("beta", "agreement.reject", {"offer": offer, "reason": "TERMS_UNACCEPTABLE"})
    counter = w.must("gamma", "agreement.counter", counter_of(ids, offer)).id("offer")
    w.must("alice", "agreement.reject", {"offer": counter, "reason": "TERMS_UNACCEPTABLE"})
    share = w.share(agreement, "alice", [0, 1], ANSWER, "F1")
    w.must("acme", "share.ack", {"share": share})
    answer = {
        "intent": intent,
        "agreement": agreement,
        "price_minor": 4_200_000,
        "valid_until_ms": T0 + 9 * DAY,
        "commitment": commitment("price"),
    }
    response = w.must("acme", "intent.respond", answer).id("response")
    w.must("alice", "intent.select", {"intent": intent, "response": response})

    found = w.ask("acme", "agreement", agreement_id=agreement)
    assert (found["status"], found["ends_at_ms"]) == ("ACTIVE", T0 + 30 * DAY)
    assert w.ask("gamma", "intent", intent_id=intent)["status"] == "SELECTED"
    steps = [step["event"] for step in w.ask("alice", "handshake", offer_id=offer)["steps"]]
    assert steps.count("agreement.reject") == 2
    assert {"agreement.offer", "agreement.accept", "agreement.counter"} < set(steps)
    seen_by_beta = w.ask("beta", "handshake", offer_id=offer)["steps"]
    assert [step["event"] for step in seen_by_beta if step["by"] == "beta"] == ["agreement.reject"]
    assert not any(step["by"] in ("acme", "gamma") for step in seen_by_beta)


def test_f1_thirty_days_to_the_millisecond(made: tuple[World, dict[str, str]]) -> None:
    w, ids = made
    offer = w.must("alice", "agreement.offer", open_offer(ids, None)).id("offer")
    agreement = w.must("acme", "agreement.accept", {"offer": offer}).id("agreement")
    w.time_ms = T0 + 30 * DAY - 1
    w.share(agreement, "alice", [0], ANSWER, "in time")
    w.time_ms = T0 + 30 * DAY
    share = {"fields": [0], "purpose": ANSWER, "commitment": commitment("late")}
    late = w.submit("alice", "share.record", {"agreement": agreement, "share": share})
    assert (late.code, late.rule, late.recorded) == ("E_PARENT_EXPIRED", "R11", False)
    assert w.ask("acme", "agreement", agreement_id=agreement)["status"] == "EXPIRED"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"terms": "00" * 32}, "E_UNKNOWN_TERMS"),
        ({"schema": "00" * 32}, "E_UNKNOWN_SCHEMA"),
        ({"expires_at_ms": T0}, "E_WINDOW"),
        ({"price_low": 10_000_001}, "E_FORMAT"),
        ({"tags": []}, "E_FORMAT"),
        ({"tags": ["has a space"]}, "E_FORMAT"),
        ({"tags": ["alice@example.org"]}, "E_FORMAT"),
        ({"currency": "usd"}, "E_FORMAT"),
    ],
)
def test_a_cast_that_cannot_stand(
    made: tuple[World, dict[str, str]], changes: dict[str, Any], code: str
) -> None:
    w, ids = made
    assert w.submit("alice", "intent.cast", cast_of(ids, **changes)).code == code


def test_one_pseudonym_casts_one_intent(made: tuple[World, dict[str, str]]) -> None:
    """Two casts of one pseudonym could be linked by everybody who reads them."""
    w, ids = made
    w.must("alice", "intent.cast", cast_of(ids))
    assert w.submit("alice", "intent.cast", cast_of(ids)).code == "E_PSEUDONYM"
    assert w.submit("acme", "intent.cast", cast_of(ids)).code == "E_SIGNER"
    w.must("alice-2", "intent.cast", cast_of(ids))


def test_an_offer_for_an_intent_copies_it(made: tuple[World, dict[str, str]]) -> None:
    w, ids = made
    intent = w.must("alice", "intent.cast", cast_of(ids)).id("intent")
    other = open_offer(ids, intent)
    other["grant"] = {**other["grant"], "terms": ids["T-SD-BASE"], "purposes": [RSP]}
    assert w.submit("alice", "agreement.offer", other).code == "E_INTENT_MISMATCH"
    many = open_offer(ids, intent, max_acceptances=4)
    assert w.submit("alice", "agreement.offer", many).code == "E_INTENT_MISMATCH"
    assert w.submit("bob", "agreement.offer", open_offer(ids, intent)).code == "E_INTENT_MISMATCH"
    missing = open_offer(ids, "00" * 32)
    assert w.submit("alice", "agreement.offer", missing).code == "E_UNKNOWN_INTENT"


def test_an_open_offer_ends_with_its_last_acceptance(made: tuple[World, dict[str, str]]) -> None:
    """At the bound yes, one above no; rejections and counters change nothing."""
    w, ids = made
    intent = w.must("alice", "intent.cast", cast_of(ids, max_acceptances=2)).id("intent")
    offer = w.must("alice", "agreement.offer", open_offer(ids, intent)).id("offer")
    w.must("beta", "agreement.reject", {"offer": offer, "reason": "NOT_INTERESTED"})
    assert w.submit("beta", "agreement.accept", {"offer": offer}).code == "E_STATE"
    w.must("acme", "agreement.accept", {"offer": offer})
    counter = w.must("gamma", "agreement.counter", counter_of(ids, offer)).id("offer")
    w.must("delta", "agreement.accept", {"offer": offer})
    assert w.submit("epsilon", "agreement.accept", {"offer": offer}).code == "E_OFFER_FULL"
    accepted = w.submit("alice", "agreement.accept", {"offer": counter})
    assert accepted.code == "E_OFFER_FULL", "the intentcast's own bound holds for counters too"
    assert w.ask("epsilon", "offer", offer_id=offer)["status"] == "OPEN"


def test_a_closed_intent_takes_nothing_more(made: tuple[World, dict[str, str]]) -> None:
    w, ids = made
    intent = w.must("alice", "intent.cast", cast_of(ids)).id("intent")
    offer = w.must("alice", "agreement.offer", open_offer(ids, intent)).id("offer")
    agreement = w.must("acme", "agreement.accept", {"offer": offer}).id("agreement")
    assert w.submit("bob", "intent.withdraw", {"intent": intent}).code == "E_SIGNER"
    w.must("alice", "intent.withdraw", {"intent": intent})
    assert w.submit("beta", "agreement.accept", {"offer": offer}).code == "E_INTENT_CLOSED"
    answer = {
        "intent": intent,
        "agreement": agreement,
        "price_minor": 1,
        "valid_until_ms": T0 + DAY,
        "commitment": commitment("p"),
    }
    assert w.submit("acme", "intent.respond", answer).code == "E_INTENT_CLOSED"


def test_one_live_response_per_agreement(made: tuple[World, dict[str, str]]) -> None:
    w, ids = made
    intent = w.must("alice", "intent.cast", cast_of(ids)).id("intent")
    offer = w.must("alice", "agreement.offer", open_offer(ids, intent)).id("offer")
    agreement = w.must("acme", "agreement.accept", {"offer": offer}).id("agreement")
    answer = {
        "intent": intent,
        "agreement": agreement,
        "price_minor": 0,
        "valid_until_ms": T0 + DAY,
        "commitment": commitment("p"),
    }
    assert w.submit("beta", "intent.respond", answer).code == "E_SIGNER"
    stale = {**answer, "valid_until_ms": T0}
    assert w.submit("acme", "intent.respond", stale).code == "E_WINDOW"
    first = w.must("acme", "intent.respond", answer).id("response")
    assert w.submit("acme", "intent.respond", answer).code == "E_STATE"
    w.time_ms = T0 + DAY
    select = {"intent": intent, "response": first}
    assert w.submit("alice", "intent.select", select).code == "E_STATE"
    w.must("acme", "intent.respond", {**answer, "valid_until_ms": T0 + 2 * DAY})
    unknown = {"intent": intent, "response": "00" * 32}
    assert w.submit("alice", "intent.select", unknown).code == "E_UNKNOWN_RESPONSE"
    live = [r["live"] for r in w.ask("alice", "responses", intent_id=intent)["responses"]]
    assert live == [False, True]
    assert w.ask("gamma", "responses", intent_id=intent)["responses"] == []
    other = w.agree("alice", "beta", grant(ids["T-SD-BASE"], ids["S-INTENT"], purposes=[RSP]))
    foreign = {**answer, "agreement": other, "valid_until_ms": T0 + 2 * DAY}
    assert w.submit("beta", "intent.respond", foreign).code == "E_INTENT_MISMATCH"


# -- directed offers -------------------------------------------------------------------------------


def directed(ids: dict[str, str], to: str = "acme", **changes: Any) -> dict[str, Any]:
    """An offer of Alice's contact under T-P2B1."""
    body = {**grant(ids["T-P2B1"], ids["S-CONTACT"]), **changes.pop("grant", {})}
    return {"to": to, "grant": body, "offer_expires_at_ms": T0 + DAY, **changes}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"terms": "00" * 32}, "E_UNKNOWN_TERMS"),
        ({"schema": "00" * 32}, "E_UNKNOWN_SCHEMA"),
        ({"fields": []}, "E_FIELDS"),
        ({"fields": [6]}, "E_FIELDS"),
        ({"purposes": []}, "E_PURPOSE"),
        ({"purposes": ["dpv:DirectMarketing"]}, "E_PURPOSE"),
        ({"expires_at_ms": T0}, "E_WINDOW"),
        ({"not_before_ms": T0 + 30 * DAY}, "E_WINDOW"),
        ({"retention_ms": 1}, "E_WINDOW"),
        ({"lawful_basis": "dpv:Whim"}, "E_FORMAT"),
    ],
)
def test_what_a_root_may_not_grant(
    made: tuple[World, dict[str, str]], changes: dict[str, Any], code: str
) -> None:
    w, ids = made
    assert w.submit("alice", "agreement.offer", directed(ids, grant=changes)).code == code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"to": "nobody"}, "E_PARTY"),
        ({"to": "alice"}, "E_TOPOLOGY"),
        ({"first_party": "bob"}, "E_FORMAT"),
        ({"max_acceptances": 2}, "E_FORMAT"),
        ({"parent_share": "00" * 32}, "E_FORMAT"),
        ({"offer_expires_at_ms": T0}, "E_WINDOW"),
    ],
)
def test_an_offer_that_does_not_fit_together(
    made: tuple[World, dict[str, str]], changes: dict[str, Any], code: str
) -> None:
    w, ids = made
    assert w.submit("alice", "agreement.offer", directed(ids, **changes)).code == code


def test_either_side_may_offer(made: tuple[World, dict[str, str]]) -> None:
    """The recipient may propose; the first party stays the one whose data it is."""
    w, ids = made
    offer = directed(ids, to="alice", first_party="alice")
    offer_id = w.must("acme", "agreement.offer", offer).id("offer")
    agreement = w.must("alice", "agreement.accept", {"offer": offer_id}).id("agreement")
    found = w.ask("alice", "agreement", agreement_id=agreement)
    assert (found["first_party"], found["second_party"]) == ("alice", "acme")


def test_only_the_addressee_answers_and_only_once(made: tuple[World, dict[str, str]]) -> None:
    w, ids = made
    offer = w.must("alice", "agreement.offer", directed(ids)).id("offer")
    for stranger in ("beta", "alice"):
        assert w.submit(stranger, "agreement.accept", {"offer": offer}).code == "E_SIGNER"
    w.must("acme", "agreement.accept", {"offer": offer})
    again = w.submit("acme", "agreement.reject", {"offer": offer, "reason": "POLICY"})
    assert again.code == "E_STATE"
    assert w.submit("alice", "agreement.withdraw_offer", {"offer": offer}).code == "E_STATE"
    assert w.submit("acme", "agreement.accept", {"offer": "00" * 32}).code == "E_UNKNOWN_OFFER"


def test_an_offer_lapses_to_the_millisecond(made: tuple[World, dict[str, str]]) -> None:
    w, ids = made
    offers = [w.must("alice", "agreement.offer", directed(ids)).id("offer") for _ in range(2)]
    w.time_ms = T0 + DAY - 1
    w.must("acme", "agreement.accept", {"offer": offers[0]})
    w.time_ms = T0 + DAY
    assert w.submit("acme", "agreement.accept", {"offer": offers[1]}).code == "E_OFFER_LAPSED"
    assert w.ask("acme", "offer", offer_id=offers[1])["status"] == "LAPSED"


def test_an_offer_taken_back(made: tuple[World, dict[str, str]]) -> None:
    w, ids = made
    offer = w.must("alice", "agreement.offer", directed(ids)).id("offer")
    assert w.submit("acme", "agreement.withdraw_offer", {"offer": offer}).code == "E_SIGNER"
    w.must("alice", "agreement.withdraw_offer", {"offer": offer})
    assert w.submit("acme", "agreement.accept", {"offer": offer}).code == "E_STATE"


def test_acceptance_judges_again(made: tuple[World, dict[str, str]]) -> None:
    """What was right when it was offered may be wrong when it is accepted."""
    w, ids = made
    expiring = directed(ids, grant={"expires_at_ms": T0 + 10}, offer_expires_at_ms=T0 + DAY)
    soon = w.must("alice", "agreement.offer", expiring).id("offer")
    offer = w.must("alice", "agreement.offer", directed(ids)).id("offer")
    gone = w.must("alice", "agreement.offer", directed(ids)).id("offer")
    w.time_ms = T0 + 10
    assert w.submit("acme", "agreement.accept", {"offer": soon}).code == "E_WINDOW"
    w.must("registry", "terms.deprecate", {"terms": ids["T-P2B1"]})
    assert w.submit("acme", "agreement.accept", {"offer": offer}).code == "E_TERMS_DEPRECATED"
    w.must("registry", "terms.recall", {"terms": ids["T-P2B1"]})
    assert w.submit("acme", "agreement.accept", {"offer": offer}).code == "E_TERMS_RECALLED"
    w.deactivate("alice")
    assert w.submit("acme", "agreement.accept", {"offer": gone}).code == "E_PARTY"


def test_a_root_stays_within_its_jurisdictions(made: tuple[World, dict[str, str]]) -> None:
    w, ids = made
    body = grant(ids["T-DDA-365"], ids["S-CONTACT"], purposes=[SERVICE])
    offer = {"to": "texas", "grant": body, "offer_expires_at_ms": T0 + DAY}
    assert w.submit("alice", "agreement.offer", offer).code == "E_JURISDICTION"
    wider = {**offer, "to": "acme", "grant": {**body, "jurisdictions": ["US"]}}
    assert w.submit("alice", "agreement.offer", wider).code == "E_JURISDICTION"
    opened = {key: value for key, value in offer.items() if key != "to"}
    offer_id = w.must("alice", "agreement.offer", opened).id("offer")
    assert w.submit("texas", "agreement.accept", {"offer": offer_id}).code == "E_JURISDICTION"


# -- the counter-offer -----------------------------------------------------------------------------


def base_offer(w: World, ids: dict[str, str]) -> str:
    body = grant(ids["T-SD-BASE"], ids["S-CONTACT"], purposes=[RSP])
    offer = {"to": "acme", "grant": body, "offer_expires_at_ms": T0 + DAY}
    return w.must("alice", "agreement.offer", offer).id("offer")


def test_f5_one_counter_from_the_same_roster(made: tuple[World, dict[str, str]]) -> None:
    w, ids = made
    offer = base_offer(w, ids)
    wanted = {"fields": [1], "purposes": [RSP, "dpv:ServiceUsageAnalytics"]}
    counter = w.must("acme", "agreement.counter", counter_of(ids, offer, **wanted)).id("offer")
    assert w.ask("alice", "offer", offer_id=offer)["status"] == "COUNTERED"
    again = w.submit("alice", "agreement.counter", counter_of(ids, counter))
    assert again.code == "E_COUNTER_LIMIT"
    agreement = w.must("alice", "agreement.accept", {"offer": counter}).id("agreement")
    found = w.ask("acme", "agreement", agreement_id=agreement)
    assert (found["first_party"], found["second_party"]) == ("alice", "acme")
    assert (found["terms_id"], found["fields"]) == (ids["T-SD-BASE-A"], [1])
    assert found["notice"] == NOTICE


def test_f5_terms_outside_the_roster(made: tuple[World, dict[str, str]]) -> None:
    w, ids = made
    offer = base_offer(w, ids)
    foreign = counter_of(ids, offer, terms=ids["T-P2B1"], purposes=[ANALYTICS])
    assert w.submit("acme", "agreement.counter", foreign).code == "E_COUNTER_ROSTER"
    unknown = counter_of(ids, offer, terms="00" * 32)
    assert w.submit("acme", "agreement.counter", unknown).code == "E_UNKNOWN_TERMS"
    w.must("acme", "agreement.counter", counter_of(ids, offer, terms=ids["T-SD-BASE"]))
