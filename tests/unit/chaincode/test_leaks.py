"""What somebody learns who is no part of a matter: from answers, cursors and refusals."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.chaincode.test_evasion import answered_intent, respond
from tests.unit.chaincode.world import DAY, SERVICE, T0, Cases, cases, commitment, grant

from onward_chaincode.contract import Refuse
from onward_chaincode.errors import ENTRIES


@pytest.fixture
def c() -> Cases:
    return cases()


def pages(c: Cases, reader: str, query: str, **arguments: Any) -> list[dict[str, Any]]:
    """The answers of all pages of one row each."""
    found, after = [], ""
    for _ in range(20):
        page = c.world.ask(reader, query, **arguments, limit=1, after=after)
        found.append(page)
        after = page["next"]
        if not after:
            return found
    raise AssertionError("the pages do not end")


def test_nobody_counts_the_prices_of_others(c: Cases) -> None:
    """How many firms answered, and when, is told by the cursors of an empty list too."""
    w = c.world
    intent, agreement = answered_intent(c)
    respond(c, intent, agreement)
    w.time_ms = T0 + DAY
    again = {"intent": intent, "agreement": agreement, "price_minor": 2}
    again |= {"valid_until_ms": T0 + 2 * DAY, "commitment": commitment("again")}
    w.must("acme", "intent.respond", again)
    found = pages(c, "delta", "responses", intent_id=intent)
    assert [(one["responses"], one["next"]) for one in found] == [([], "")]
    for reader in ("bob", "acme"):
        shown = [
            one["price_minor"]
            for page in pages(c, reader, "responses", intent_id=intent)
            for one in page["responses"]
        ]
        assert shown == [1, 2]


def test_nobody_counts_the_answers_of_others_to_an_open_offer(c: Cases) -> None:
    w = c.world
    offer = {"grant": grant(c.ids["T-P2B1"], c.ids["S-CONTACT"]), "max_acceptances": 5}
    offer["offer_expires_at_ms"] = T0 + 9 * DAY
    made = w.must("alice", "agreement.offer", offer).id("offer")
    for number, party in enumerate(("beta", "gamma", "epsilon"), 1):
        w.time_ms = T0 + number
        reply = {"offer": made, "reason": "POLICY"}
        w.must(party, "agreement.reject", reply)
    w.time_ms = T0 + 4
    w.must("alice", "agreement.withdraw_offer", {"offer": made})

    def events(reader: str) -> list[str]:
        found = pages(c, reader, "handshake", offer_id=made)
        assert all(len(page["steps"]) == 1 for page in found), "no page says: here was somebody"
        return [step["event"] for page in found for step in page["steps"]]

    offered, rejected, withdrawn = "agreement.offer", "agreement.reject", "agreement.withdraw_offer"
    assert events("delta") == [offered, withdrawn]
    assert events("beta") == [offered, rejected, withdrawn]
    assert events("alice") == [offered, rejected, rejected, rejected, withdrawn]


def test_nobody_reads_a_root_out_of_an_auditors_cursors(c: Cases) -> None:
    """Whose data an auditor looks into is said by the subject of her mandate."""
    w = c.world
    other = w.agree("bob", "acme", grant(c.ids["T-P2B1"], c.ids["S-CONTACT"]))
    for by, root in (("alice", c.g1), ("bob", other)):
        w.must(by, "mandate.grant", {"auditor": "auditor", "scope": "ROOT", "agreement": root})
    w.must("admin", "mandate.grant", {"auditor": "auditor", "scope": "ALL"})
    by_terms = {"auditor": "auditor", "scope": "TERMS", "terms": c.ids["T-P2B1"]}
    w.must("registry", "mandate.grant", by_terms)

    def seen(reader: str) -> list[tuple[str, str | None]]:
        found = pages(c, reader, "mandates", auditor="auditor")
        assert all(len(page["mandates"]) == 1 for page in found)
        if reader == "delta":
            assert not any("ROOT" in page["next"] for page in found)
        return [(one["scope"], one["subject"]) for page in found for one in page["mandates"]]

    public = [("ALL", None), ("TERMS", c.ids["T-P2B1"])]
    assert seen("delta") == public
    assert seen("alice") == [public[0], ("ROOT", c.g1), public[1]]
    assert sorted(seen("auditor")) == sorted([*public, ("ROOT", c.g1), ("ROOT", other)])
    w.must("alice", "mandate.revoke", {"auditor": "auditor", "scope": "ROOT", "agreement": c.g1})
    assert [
        one
        for page in pages(c, "alice", "mandates", auditor="auditor")
        for one in page["mandates"]
        if one["scope"] == "ROOT"
    ] == []


def test_whoever_would_receive_learns_the_verdict_and_not_who_stands_above(c: Cases) -> None:
    """Anybody can name herself as the recipient of a share whose id she has seen."""
    w = c.world
    asked: dict[str, Any] = {"parent_share_id": c.s1a, "sharer": "beta", "recipient": "delta"}
    asked["fields"] = [3]
    asked |= {"purpose": SERVICE, "expires_at_ms": T0 + DAY}
    found = w.ask("delta", "trace", **asked)
    assert (found["code"], found["path"], found["rules"]) == ("OK", [], [])
    w.must("alice", "agreement.revoke", {"agreement": c.g1, "scope": "ALL"})
    found = w.ask("delta", "trace", **asked)
    sentence = ENTRIES["E_ANCESTOR_ENDED"].sentence
    assert (found["code"], found["rule"]) == ("E_ANCESTOR_ENDED", "R12")
    assert (found["message"], found["path"]) == (sentence, [])
    assert [one["message"] for one in found["rules"]] == [sentence]
    assert c.g1 in w.ask("beta", "trace", **asked)["message"], "the sharer is told all"


def test_whoever_asks_for_data_by_an_offer_learns_no_more(c: Cases) -> None:
    w = c.world
    w.must("alice", "agreement.revoke", {"agreement": c.g1, "scope": "ALL"})
    body = grant(c.ids["T-P2B1"], c.ids["S-CONTACT"], fields=[3], expires_at_ms=T0 + DAY)
    asking: dict[str, Any] = {"grant": body, "offer_expires_at_ms": T0 + DAY}
    asking |= {"parent_agreement": c.g1a, "parent_share": c.s1a}
    refused = w.submit("delta", "agreement.offer", {**asking, "to": "beta", "first_party": "beta"})
    assert (refused.code, refused.rule) == ("E_ANCESTOR_ENDED", "R12")
    assert refused.message == ENTRIES["E_ANCESTOR_ENDED"].sentence
    refused = w.submit("beta", "agreement.offer", {**asking, "to": "delta"})
    assert c.g1 in refused.message


def test_whoever_flags_a_duty_is_not_told_whose_it_is(c: Cases) -> None:
    """Anybody may flag, and whoever signs is shown the event: it says when, and not who."""
    c.world.must("alice", "agreement.revoke", {"agreement": c.g1, "scope": "ALL"})
    c.world.time_ms = T0 + 30 * DAY
    done = c.world.must("delta", "obligation.flag_overdue", {"agreement": c.g1b})
    assert done.event is not None
    told = json.loads(done.event.payload)
    assert sorted(told) == ["agreement_id", "at_ms", "due_ms", "kind"]
    assert "delta" not in done.event.readers


@pytest.mark.parametrize("query", ["mandates", "compliance", "trace", "intents", "agreements"])
@pytest.mark.parametrize("text", ["\ud800", "a/b", "a\0", "A", "x" * 2_000])
def test_a_name_that_is_none_is_refused_and_breaks_nothing(c: Cases, query: str, text: str) -> None:
    """Half a character would fail deep inside a store; a slash would reach into other rows."""
    names: dict[str, dict[str, Any]] = {
        "mandates": {"auditor": text},
        "compliance": {"party": text},
        "trace": {
            "parent_share_id": c.s1,
            "recipient": text,
            "fields": [3],
            "purpose": SERVICE,
        },
        "intents": {"industry": text if text != "A" else "\ud800"},
        "agreements": {"after": text if len(text) != 1 or text > "z" else "\0"},
    }
    if query == "agreements" and text == "a/b":
        return  # a cursor of another list: an empty page
    with pytest.raises(Refuse) as refusal:
        c.world.ask("acme", query, **names[query])
    assert refusal.value.code == "E_FORMAT"
