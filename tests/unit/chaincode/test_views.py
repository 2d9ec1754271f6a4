"""What a party may ask, what it sees, and what it does not."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.chaincode.world import ANALYTICS, DAY, SERVICE, T0, Cases, cases, grant

from onward_chaincode import limits
from onward_chaincode.contract import Refuse
from onward_chaincode.isa import Isa


@pytest.fixture
def c() -> Cases:
    return cases()


def refused(c: Cases, reader: str, query: str, **arguments: Any) -> str:
    with pytest.raises(Refuse) as caught:
        c.world.ask(reader, query, **arguments)
    return caught.value.code


def test_a_party_reads_its_own_and_what_derives_from_it(c: Cases) -> None:
    for reader in ("alice", "acme", "beta", "gamma"):
        assert c.world.ask(reader, "agreement", agreement_id=c.g1b)["depth"] == 2
        assert c.world.ask(reader, "share", share_id=c.s1b)["seq"] == 1
        assert c.world.ask(reader, "history", agreement_id=c.g1b)["steps"]


@pytest.mark.parametrize("query", ["agreement", "history", "lineage"])
def test_a_party_does_not_read_what_it_takes_no_part_in(c: Cases, query: str) -> None:
    """BETA learns nothing of its parent's agreement beyond the path, a stranger nothing at all."""
    assert refused(c, "beta", query, agreement_id=c.g1) == "E_READER"
    assert refused(c, "delta", query, agreement_id=c.g1b) == "E_READER"
    assert refused(c, "delta", "share", share_id=c.s1) == "E_READER"


def test_an_offer_is_read_by_its_two_parties(c: Cases) -> None:
    body = grant(c.ids["T-P2B1"], c.ids["S-CONTACT"])
    offer = {"to": "acme", "grant": body, "offer_expires_at_ms": T0 + DAY}
    offer_id = c.world.must("alice", "agreement.offer", offer).id("offer")
    assert c.world.ask("acme", "offer", offer_id=offer_id)["grant"]["fields"] == [1, 2, 3]
    assert refused(c, "beta", "offer", offer_id=offer_id) == "E_READER"
    assert refused(c, "beta", "handshake", offer_id=offer_id) == "E_READER"


@pytest.mark.parametrize(
    ("query", "arguments", "code"),
    [
        ("gossip", {}, "E_TYPE"),
        ("agreement", {}, "E_FORMAT"),
        ("agreement", {"agreement_id": "00"}, "E_FORMAT"),
        ("agreement", {"agreement_id": "00" * 32, "color": 1}, "E_FORMAT"),
        ("agreement", {"agreement_id": "00" * 32}, "E_UNKNOWN_AGREEMENT"),
        ("share", {"share_id": "00" * 32}, "E_UNKNOWN_SHARE"),
        ("offer", {"offer_id": "00" * 32}, "E_UNKNOWN_OFFER"),
        ("intent", {"intent_id": "00" * 32}, "E_UNKNOWN_INTENT"),
        ("terms", {"terms_id": "00" * 32}, "E_UNKNOWN_TERMS"),
        ("schema", {"schema_id": "00" * 32}, "E_UNKNOWN_SCHEMA"),
        ("shares", {"direction": "sideways"}, "E_FORMAT"),
        ("agreements", {"limit": limits.PAGE_ROWS_MAX + 1}, "E_FORMAT"),
        ("intents", {"industry": "Automotive/4wd"}, "E_FORMAT"),
        ("lineage", {}, "E_FORMAT"),
    ],
)
def test_questions_that_have_no_answer(
    c: Cases, query: str, arguments: dict[str, Any], code: str
) -> None:
    assert refused(c, "alice", query, **arguments) == code


def test_the_lineage_of_a_share_names_everybody_who_has_it(c: Cases) -> None:
    """By law the rights holder may ask who has it; also under what, and whether still in force."""
    c.attempt(recipient="delta")
    found = c.world.ask("alice", "lineage", share_id=c.s1)
    assert found["top"]["holder"] == "acme"
    assert {(node["holder"], node["level"]) for node in found["nodes"]} == {
        ("beta", 1),
        ("delta", 1),
        ("gamma", 2),
    }
    assert all(node["effective"] for node in found["nodes"])
    c.world.must("alice", "agreement.revoke", {"agreement": c.g1, "scope": "ALL"})
    found = c.world.ask("alice", "lineage", share_id=c.s1)
    assert {node["status"] for node in found["nodes"]} == {"ENDED_BY_ANCESTOR"}


def test_lineage_down_and_path_up_agree(c: Cases) -> None:
    down = c.world.ask("alice", "lineage", agreement_id=c.g1)["nodes"]
    assert [node["agreement_id"] for node in down] == [c.g1a, c.g1b]
    up = c.world.ask("gamma", "lineage", agreement_id=c.g1b)["path"]
    assert [step["agreement_id"] for step in up] == [c.g1b, c.g1a, c.g1]
    assert up[-1]["first_party"] == "alice"


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
def test_a_tree_in_pages_is_the_same_tree(c: Cases, limit: int) -> None:
    for org in ("delta", "epsilon", "texas"):
        c.attempt(recipient=org)
    for org in ("delta", "epsilon"):
        c.attempt("beta", org, parent_agreement=c.g1a, parent_share=c.s1a)
    whole = c.world.ask("alice", "lineage", agreement_id=c.g1)
    assert (len(whole["nodes"]), whole["next"]) == (7, "")
    nodes: list[Any] = []
    after = ""
    while True:
        page = c.world.ask("alice", "lineage", agreement_id=c.g1, limit=limit, after=after)
        assert len(page["nodes"]) <= limit
        nodes += page["nodes"]
        after = page["next"]
        if not after:
            break
    assert nodes == whole["nodes"]


def test_a_made_up_cursor_opens_no_other_tree(c: Cases) -> None:
    """A cursor comes from the client: it may not lead out of what the reader may see."""
    assert refused(c, "gamma", "lineage", agreement_id=c.g1b, after=c.g1a) == "E_FORMAT"
    assert refused(c, "gamma", "lineage", agreement_id=c.g1b, after="../..") == "E_FORMAT"
    page = c.world.ask("delta", "agreements", after="\U0010fffe")
    assert page["agreements"] == []


def test_the_view_of_a_party(c: Cases) -> None:
    c.attempt("gamma", "delta", parent_agreement=c.g1b, parent_share=c.s1b)
    alice = c.world.ask("alice", "party_view")
    assert alice["given"]["by_counterparty"] == {"acme": 1}
    assert alice["given"]["by_field"] == {"category": 1, "email": 1}
    assert alice["onward"]["by_counterparty"] == {"beta": 1, "gamma": 1}
    assert alice["agreements"]["by_status"] == {"ACTIVE": 3}
    assert alice["refused"]["by_code"] == {"E_DEPTH": 1}
    acme = c.world.ask("acme", "party_view")
    assert acme["received"]["by_purpose"] == {SERVICE: 1}
    assert acme["passed_on"]["by_counterparty"] == {"beta": 1}
    assert acme["proven"] is False


def test_both_sides_see_the_same_sharing(c: Cases) -> None:
    given = c.world.ask("alice", "shares", direction="given")["shares"]
    received = c.world.ask("acme", "shares", direction="received")["shares"]
    assert [row["share_id"] for row in given] == [row["share_id"] for row in received] == [c.s1]


def test_what_ends_soon_is_what_still_stands(c: Cases) -> None:
    def soon() -> list[str]:
        found = c.world.ask("alice", "party_view", within_ms=10 * DAY)["ending_soon"]
        assert found["complete"]
        return [row["agreement_id"] for row in found["agreements"]]

    assert soon() == []
    c.world.time_ms = T0 + 15 * DAY
    assert sorted(soon()) == sorted([c.g1a, c.g1b])
    c.world.must("alice", "agreement.revoke", {"agreement": c.g1b, "scope": "ALL"})
    assert soon() == [c.g1a]
    c.world.must("acme", "agreement.terminate", {"agreement": c.g1})
    assert soon() == []


def test_a_list_of_what_ends_soon_says_when_it_was_cut_short(
    c: Cases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A custodian can make any number of children: what they hide must not look as if it stood."""
    c.world.time_ms = T0 + 15 * DAY
    for most, complete in ((2, True), (1, False)):
        monkeypatch.setattr(limits, "VIEW_ROWS_MAX", most)
        found = c.world.ask("alice", "party_view", within_ms=10 * DAY)["ending_soon"]
        assert (len(found["agreements"]), found["complete"]) == (most, complete)


def test_pages_of_rows_join_without_gap_or_repetition(c: Cases) -> None:
    for index in range(5):
        c.world.share(c.g1, "alice", [1], SERVICE, f"more {index}")
        c.world.time_ms += 1
    whole = c.world.ask("alice", "shares", direction="given")["shares"]
    seen: list[Any] = []
    after = ""
    while True:
        page = c.world.ask("alice", "shares", direction="given", after=after, limit=2)
        seen += page["shares"]
        after = page["next"]
        if not after:
            break
    assert seen == whole
    assert len(whole) == 6


def test_a_question_about_another_time(c: Cases) -> None:
    at = T0 + 20 * DAY
    assert c.world.ask("beta", "agreement", agreement_id=c.g1a, at_ms=at - 1)["effective"]
    assert not c.world.ask("beta", "agreement", agreement_id=c.g1a, at_ms=at)["effective"]


def test_withdrawn_purposes_show(c: Cases) -> None:
    scope = {"agreement": c.g1, "scope": "PURPOSES", "purposes": [ANALYTICS]}
    c.world.must("alice", "agreement.revoke", scope)
    found = c.world.ask("gamma", "agreement", agreement_id=c.g1b)
    assert (found["purposes"], found["purposes_in_force"]) == ([SERVICE, ANALYTICS], [SERVICE])


def test_open_intentcasts_are_found_by_industry_and_tag() -> None:
    c = cases()
    body = {
        "terms": c.ids["T-INTENT-30D"],
        "schema": c.ids["S-INTENT"],
        "industry": "Automotive",
        "tags": ["4wd", "used"],
        "currency": "USD",
        "price_high": 5,
        "expires_at_ms": T0 + DAY,
        "max_acceptances": 1,
        "commitment": "ab" * 32,
    }
    intent = c.world.must("alice", "intent.cast", body).id("intent")
    c.world.must("bob", "intent.cast", {**body, "industry": "Travel", "tags": ["sea"]})

    def ids(**arguments: str) -> list[str]:
        return [row["intent_id"] for row in c.world.ask("acme", "intents", **arguments)["intents"]]

    assert len(ids()) == 2
    assert ids(industry="Automotive") == [intent] == ids(tag="4wd")
    assert ids(industry="Automotive", tag="sea") == []
    c.world.time_ms = T0 + DAY
    assert ids() == []


def test_every_query_is_listed_and_sorted() -> None:
    assert list(Isa().queries) == sorted(Isa().queries)
    assert list(Isa().types) == sorted(Isa().types)
