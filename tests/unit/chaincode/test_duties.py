"""What is owed after the end, by whom, in which order, and what it costs not to."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.chaincode.world import (
    DAY,
    SERVICE,
    T0,
    Cases,
    Outcome,
    cases,
    commitment,
    fixture,
    grant,
)

WEEK = 7 * DAY  # within which T-P2B1 asks to attest


@pytest.fixture
def c() -> Cases:
    return cases()


def attest(c: Cases, by: str, agreement: str, kind: str = "ERASE") -> Outcome:
    fields = {"agreement": agreement, "kind": kind, "evidence": commitment(by)}
    return c.world.submit(by, "obligation.attest", fields)


def flag(c: Cases, by: str, agreement: str) -> str:
    return c.world.submit(by, "obligation.flag_overdue", {"agreement": agreement}).code


def revoke(c: Cases, agreement: str, by: str = "alice") -> None:
    c.world.must(by, "agreement.revoke", {"agreement": agreement, "scope": "ALL"})


def duty(c: Cases, agreement: str, reader: str = "alice") -> Any:
    return c.world.ask(reader, "agreement", agreement_id=agreement)["duty"]


def test_f2_three_duties_open_with_one_write_and_close_bottom_up(c: Cases) -> None:
    """Whoever passed data on answers for those who have it from her: she attests after them."""
    before = dict(c.world.state)
    revoke(c, c.g1)
    assert [key for key in c.world.state if c.world.state[key] != before.get(key)] == [
        f"agreement/{c.g1}"
    ]
    for agreement in (c.g1, c.g1a, c.g1b):
        assert (duty(c, agreement)["kind"], duty(c, agreement)["due_ms"]) == ("ERASE", T0 + WEEK)
    c.world.time_ms += DAY
    assert attest(c, "acme", c.g1).code == "E_CHILD_OUTSTANDING"
    assert attest(c, "beta", c.g1a).code == "E_CHILD_OUTSTANDING"
    for party, agreement in (("gamma", c.g1b), ("beta", c.g1a), ("acme", c.g1)):
        assert not attest(c, party, agreement).code
        assert duty(c, agreement)["state"] == "ATTESTED"
        assert attest(c, party, agreement).code == "E_STATE"


@pytest.mark.parametrize("how", ["expiry", "notice", "revocation below", "revocation above"])
def test_every_end_opens_the_duty(c: Cases, how: str) -> None:
    w, since = c.world, T0
    if how == "expiry":
        since = w.time_ms = T0 + 20 * DAY  # of G1a
    elif how == "notice":
        w.must("beta", "agreement.terminate", {"agreement": c.g1a, "effective_at_ms": T0 + DAY})
        assert duty(c, c.g1a) is None
        since = w.time_ms = T0 + DAY
    else:
        revoke(c, c.g1a if how.endswith("below") else c.g1)
    found = duty(c, c.g1a)
    assert (found["since_ms"], found["due_ms"]) == (since, since + WEEK)
    assert (found["state"], found["party"]) == ("OPEN", "beta")


def test_the_earliest_end_on_the_path_counts(c: Cases) -> None:
    """A later end further up gives nobody more time."""
    revoke(c, c.g1a)
    c.world.time_ms += DAY
    revoke(c, c.g1)
    assert (duty(c, c.g1b)["since_ms"], duty(c, c.g1b)["due_ms"]) == (T0, T0 + WEEK)
    assert duty(c, c.g1)["since_ms"] == T0 + DAY


def test_no_duty_where_nothing_was_shared_or_nothing_has_ended(c: Cases) -> None:
    empty = c.world.agree("alice", "delta", grant(c.ids["T-P2B1"], c.ids["S-CONTACT"]))
    assert duty(c, c.g1) is None
    revoke(c, empty)
    assert duty(c, empty) is None
    assert attest(c, "delta", empty).code == "E_STATE"
    assert flag(c, "alice", empty) == "E_NOT_OVERDUE"


@pytest.mark.parametrize(
    ("deletion", "revoked", "kind"),
    [
        ("REQUIRED", False, "ERASE"),
        ("ON_REQUEST", False, "STOP"),
        ("ON_REQUEST", True, "ERASE"),
        ("NOT_REQUIRED", True, "STOP"),
    ],
)
def test_the_terms_say_what_is_owed(c: Cases, deletion: str, revoked: bool, kind: str) -> None:
    document = fixture("terms", "T-P2B1")
    document["clauses"] |= {"deletion": deletion, "retention_after_end_ms": DAY}
    terms = c.world.publish_terms(document)
    body = grant(terms, c.ids["S-CONTACT"], retention_ms=DAY, expires_at_ms=T0 + 2 * DAY)
    agreement = c.world.agree("alice", "acme", body)
    c.world.share(agreement, "alice", [1], SERVICE, deletion + str(revoked))
    if revoked:
        revoke(c, agreement)
    c.world.time_ms = T0 + 2 * DAY
    found = duty(c, agreement)
    assert found["kind"] == kind
    kept = DAY if kind == "ERASE" else 0
    assert found["due_ms"] == found["since_ms"] + kept + WEEK
    weaker = attest(c, "acme", agreement, "STOP").code
    assert weaker == ("" if kind == "STOP" else "E_OBLIGATION")


def test_a_request_to_erase_reaches_everybody_below(c: Cases) -> None:
    """Alice revokes her own agreement: those whom she never met owe what ACME owes."""
    document = fixture("terms", "T-P2B1")
    document["clauses"]["deletion"] = "ON_REQUEST"
    terms = c.world.publish_terms(document)
    root = c.world.agree("alice", "acme", grant(terms, c.ids["S-CONTACT"]))
    share = c.world.share(root, "alice", [3], SERVICE, "asked")
    hop = c.attempt(parent_agreement=root, parent_share=share, child={"terms": terms})
    below = hop.id("agreement")
    revoke(c, root)
    assert duty(c, below)["kind"] == "ERASE"


def test_nobody_keeps_longer_than_those_above(c: Cases) -> None:
    """An amendment above shortens what everybody below may keep."""
    document = fixture("terms", "T-P2B1")
    document["clauses"]["retention_after_end_ms"] = 9 * DAY
    terms, schema = c.world.publish_terms(document), c.ids["S-CONTACT"]
    root = c.world.agree("alice", "acme", grant(terms, schema, retention_ms=9 * DAY))
    share = c.world.share(root, "alice", [3], SERVICE, "kept")
    child = {"terms": terms, "retention_ms": 9 * DAY}
    below = c.attempt(parent_agreement=root, parent_share=share, child=child).id("agreement")
    less = {"agreement": root, "notice": "77" * 32, "retention_ms": DAY}
    new = c.world.must("alice", "agreement.amend", less, ("acme",)).id("agreement")
    revoke(c, new)
    assert duty(c, below)["due_ms"] == T0 + DAY + WEEK


@pytest.mark.parametrize(
    ("kind", "code"), [("ERASE", ""), ("RETURN", ""), ("ANONYMISE", "E_OBLIGATION")]
)
def test_what_meets_the_duty_to_erase(c: Cases, kind: str, code: str) -> None:
    revoke(c, c.g1b)
    assert attest(c, "gamma", c.g1b, kind).code == code


def test_only_the_party_that_owes_it_attests(c: Cases) -> None:
    revoke(c, c.g1)
    for other in ("alice", "beta", "delta"):
        assert attest(c, other, c.g1b).code == "E_SIGNER"
    assert attest(c, "gamma", "00" * 32).code == "E_UNKNOWN_AGREEMENT"


def test_early_erasure_ends_the_handling_of_what_was_erased(c: Cases) -> None:
    """Who says that it holds nothing can neither pass it on nor be given more under the same."""
    w = c.world
    assert attest(c, "gamma", c.g1b, "STOP").code == "E_OBLIGATION"
    assert not attest(c, "gamma", c.g1b).code
    more = {"fields": [1], "purpose": SERVICE, "commitment": commitment("more")}
    body = {"agreement": c.g1b, "share": more, "parent_share": c.s1a}
    inside = w.submit("beta", "share.record", body)
    assert (inside.code, inside.rule, inside.recorded) == ("E_SHARE_WITHDRAWN", "R13", True)
    assert not attest(c, "beta", c.g1a).code
    assert not attest(c, "acme", c.g1).code
    onward = c.attempt()
    assert (onward.code, onward.rule) == ("E_SHARE_WITHDRAWN", "R13")
    root = w.submit("alice", "share.record", {"agreement": c.g1, "share": more})
    assert (root.code, root.rule) == ("E_SHARE_WITHDRAWN", "R13")
    revoke(c, c.g1)
    assert duty(c, c.g1)["state"] == "ATTESTED"


def test_a49_an_overdue_duty_bars_the_party_under_this_root_until_it_attests(c: Cases) -> None:
    """BETA owes ACME's other child of the same root; elsewhere BETA may go on."""
    w = c.world
    both = {"fields": [2], "purposes": [SERVICE], "expires_at_ms": T0 + DAY}
    s2 = w.share(c.g1, "alice", [2], SERVICE, "s2")
    other = c.attempt(parent_share=s2, child=both, share={"fields": [2]}).id("agreement")
    w.time_ms = T0 + DAY + WEEK - 1
    assert flag(c, "delta", other) == "E_NOT_OVERDUE"
    hop: dict[str, Any] = {"parent_agreement": c.g1a, "parent_share": c.s1a}
    assert not c.attempt("beta", "delta", **hop).code
    w.time_ms += 1
    assert duty(c, other)["state"] == "OVERDUE"
    assert not c.attempt("beta", "epsilon", **hop).code, "overdue alone writes nothing"
    flagged = w.must("delta", "obligation.flag_overdue", {"agreement": other})
    assert flagged.event is not None
    assert flagged.event.readers == ("acme", "alice", "beta"), "who flags learns nothing by it"
    assert flag(c, "delta", other) == "E_STATE"
    barred = c.attempt("beta", "texas", **hop)
    assert (barred.code, barred.rule, barred.recorded) == ("E_SANCTIONED", "R14", True)
    assert not c.attempt("acme", "gamma").code, "only the party that owes is barred"
    assert not attest(c, "beta", other).code
    assert not any(key.startswith("sanction/") for key in w.state)
    assert not c.attempt("beta", "texas", **hop).code


def test_two_overdue_duties_are_two_reasons(c: Cases) -> None:
    """One attestation must not lift a sanction that stands for two."""
    w = c.world
    made = []
    for number in range(2):
        share = w.share(c.g1, "alice", [2], SERVICE, f"again {number}")
        child = {"fields": [2], "expires_at_ms": T0 + DAY}
        hop = c.attempt(parent_share=share, child=child, share={"fields": [2]})
        made.append(hop.id("agreement"))
    w.time_ms = T0 + DAY + WEEK
    for agreement in made:
        assert flag(c, "alice", agreement) == ""
    assert not attest(c, "beta", made[0]).code
    hop_again: dict[str, Any] = {"parent_agreement": c.g1a, "parent_share": c.s1a}
    assert c.attempt("beta", "delta", **hop_again).code == "E_SANCTIONED"
    assert not attest(c, "beta", made[1]).code
    assert not c.attempt("beta", "delta", **hop_again).code


def test_a_child_counts_from_its_first_share(c: Cases) -> None:
    """A child that was only agreed on owes nothing, and keeps nobody from attesting."""
    w = c.world
    terms, schema = c.ids["T-P2B1"], c.ids["S-CONTACT"]
    root = w.agree("alice", "delta", grant(terms, schema))
    share = w.share(root, "alice", [3], SERVICE, "to delta")
    offer = {
        "to": "epsilon",
        "grant": grant(terms, schema, fields=[3], purposes=[SERVICE]),
        "offer_expires_at_ms": T0 + DAY,
        "parent_agreement": root,
        "parent_share": share,
    }
    made = w.must("delta", "agreement.offer", offer).id("offer")
    child = w.must("epsilon", "agreement.accept", {"offer": made}).id("agreement")

    def count() -> Any:
        return w.ask("alice", "agreement", agreement_id=root)["open_child_count"]

    assert count() == 0
    for number in range(2):
        parcel = {"fields": [3], "purpose": SERVICE, "commitment": commitment(f"in {number}")}
        body = {"agreement": child, "share": parcel, "parent_share": share}
        outcome = w.submit("delta", "share.record", body)
        assert outcome.code == ("" if number == 0 else "E_DUPLICATE")
    assert count() == 1
    assert attest(c, "delta", root).code == "E_CHILD_OUTSTANDING"
    assert not attest(c, "epsilon", child).code
    assert count() == 0
    assert not attest(c, "delta", root).code


def test_duties_are_listed_for_those_they_concern(c: Cases) -> None:
    w = c.world
    revoke(c, c.g1)
    owed = w.ask("alice", "obligations", state="OPEN")["obligations"]
    assert sorted(one["party"] for one in owed) == ["acme", "beta", "gamma"]
    mine = w.ask("beta", "obligations")["obligations"]
    assert {(one["agreement_id"], one["role"]) for one in mine} == {
        (c.g1a, "owes"),
        (c.g1b, "is owed"),
    }
    assert w.ask("delta", "obligations")["obligations"] == []
    assert w.ask("alice", "obligations", due_before_ms=T0 + WEEK - 1)["obligations"] == []
    pages, after = [], ""
    for _ in range(3):
        page = w.ask("alice", "obligations", limit=1, after=after)
        pages += page["obligations"]
        after = page["next"]
    assert (len(pages), after) == (3, "")


def test_compliance_is_what_the_reader_may_see(c: Cases) -> None:
    w = c.world
    revoke(c, c.g1)
    w.time_ms += DAY
    attest(c, "gamma", c.g1b)
    w.time_ms = T0 + WEEK
    attest(c, "beta", c.g1a)
    report = w.ask("alice", "compliance", party="beta")
    assert report["obligations"] == {"ATTESTED": 1, "OPEN": 0, "OVERDUE": 0}
    assert report["attested"] == {
        "before_the_end": 0,
        "complete": True,
        "late": 1,
        "mean_ms": WEEK,
        "total": 1,
    }
    assert w.ask("gamma", "compliance")["attested"]["mean_ms"] == DAY
    assert w.ask("alice", "compliance", party="acme")["obligations"]["OVERDUE"] == 1
    assert w.ask("delta", "compliance", party="beta")["agreements"] == 0
