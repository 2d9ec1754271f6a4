"""How agreements end, and what ends with them: revocation, the lazy cascade, termination."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.chaincode.world import ANALYTICS, DAY, SERVICE, T0, Cases, cases, fixture, grant


@pytest.fixture
def c() -> Cases:
    return cases()


def revoke(agreement: str, scope: str = "ALL", **more: Any) -> dict[str, Any]:
    return {"agreement": agreement, "scope": scope, **more}


def status(c: Cases, reader: str, agreement: str) -> tuple[str, str]:
    found = c.world.ask(reader, "agreement", agreement_id=agreement)
    return found["status"], found["because_of"]


def test_revoking_the_root_ends_the_whole_tree_with_one_write(c: Cases) -> None:
    """A root with ten thousand descendants must not cost ten thousand writes."""
    before = dict(c.world.state)
    c.world.must("alice", "agreement.revoke", revoke(c.g1))
    changed = [key for key in c.world.state if c.world.state[key] != before.get(key)]
    assert changed == [f"agreement/{c.g1}"]
    assert status(c, "alice", c.g1) == ("REVOKED", c.g1)
    assert status(c, "beta", c.g1a) == ("ENDED_BY_ANCESTOR", c.g1)
    assert status(c, "gamma", c.g1b) == ("ENDED_BY_ANCESTOR", c.g1)
    found = c.world.ask("gamma", "agreement", agreement_id=c.g1b)
    assert (found["effective"], found["because"], found["fields_in_force"]) == (
        False,
        "REVOKED",
        [],
    )


def test_the_rights_holder_revokes_any_descendant(c: Cases) -> None:
    c.world.must("alice", "agreement.revoke", revoke(c.g1b))
    assert status(c, "gamma", c.g1b) == ("REVOKED", c.g1b)
    assert status(c, "beta", c.g1a) == ("ACTIVE", c.g1a)


def test_the_sharer_revokes_what_it_passed_on(c: Cases) -> None:
    c.world.must("acme", "agreement.revoke", revoke(c.g1a))
    assert status(c, "gamma", c.g1b) == ("ENDED_BY_ANCESTOR", c.g1a)


@pytest.mark.parametrize(
    ("caller", "code"),
    [("delta", "E_SIGNER"), ("acme", "E_NOT_REVOCABLE"), ("beta", "E_SIGNER")],
)
def test_nobody_else_revokes(c: Cases, caller: str, code: str) -> None:
    """An ancestor's custodian that is no party to an agreement has no say in it either."""
    assert c.world.submit(caller, "agreement.revoke", revoke(c.g1)).code == code
    assert c.world.submit("acme", "agreement.revoke", revoke(c.g1b)).code == "E_SIGNER"
    unknown = c.world.submit(caller, "agreement.revoke", revoke("00" * 32))
    assert unknown.code == "E_UNKNOWN_AGREEMENT"


def test_revoking_again_changes_nothing(c: Cases) -> None:
    c.world.must("alice", "agreement.revoke", revoke(c.g1))
    state = dict(c.world.state)
    c.world.must("alice", "agreement.revoke", revoke(c.g1))
    assert c.world.state == state
    partial = revoke(c.g1, "FIELDS", fields=[1])
    assert c.world.submit("alice", "agreement.revoke", partial).code == "E_STATE"


def test_what_has_expired_is_not_revoked(c: Cases) -> None:
    c.world.time_ms = T0 + 30 * DAY
    assert c.world.submit("alice", "agreement.revoke", revoke(c.g1)).code == "E_STATE"


def test_withdrawn_fields_are_withdrawn_below(c: Cases) -> None:
    c.world.must("alice", "agreement.revoke", revoke(c.g1, "FIELDS", fields=[1]))
    for reader, agreement in (("acme", c.g1), ("beta", c.g1a), ("gamma", c.g1b)):
        found = c.world.ask(reader, "agreement", agreement_id=agreement)
        assert 1 not in found["fields_in_force"]
        assert 3 in found["fields_in_force"]
        assert found["effective"]
    email = c.attempt(recipient="delta", child={"fields": [1]}, share={"fields": [1]})
    assert email.code == "E_FIELDS"
    assert not c.attempt(recipient="delta").code


@pytest.mark.parametrize(
    ("scope", "code"),
    [
        ({"scope": "FIELDS"}, "E_FIELDS"),
        ({"scope": "FIELDS", "fields": [5]}, "E_FIELDS"),
        ({"scope": "PURPOSES"}, "E_PURPOSE"),
        ({"scope": "PURPOSES", "purposes": ["dpv:Advertising"]}, "E_PURPOSE"),
        ({"scope": "ALL", "fields": [1]}, "E_FORMAT"),
        ({"scope": "FIELDS", "fields": [1], "purposes": [SERVICE]}, "E_FORMAT"),
        ({"scope": "HALF"}, "E_FORMAT"),
    ],
)
def test_a_scope_names_what_is_still_granted(c: Cases, scope: dict[str, Any], code: str) -> None:
    assert c.world.submit("alice", "agreement.revoke", {"agreement": c.g1, **scope}).code == code


def test_a_field_is_withdrawn_once(c: Cases) -> None:
    c.world.must("alice", "agreement.revoke", revoke(c.g1, "FIELDS", fields=[1]))
    again = c.world.submit("alice", "agreement.revoke", revoke(c.g1, "FIELDS", fields=[1]))
    assert again.code == "E_FIELDS"
    both = revoke(c.g1, "PURPOSES", purposes=[ANALYTICS])
    c.world.must("alice", "agreement.revoke", both)
    found = c.world.ask("alice", "agreement", agreement_id=c.g1)
    assert (found["withdrawn_fields"], found["withdrawn_purposes"]) == ([1], [ANALYTICS])


def test_f2_two_hops_the_third_refused_then_revoked(c: Cases) -> None:
    """P2B1: ACME and BETA may pass on, GAMMA may not; after the revocation nobody may."""
    w = c.world
    third = c.attempt("gamma", "delta", parent_agreement=c.g1b, parent_share=c.s1b)
    assert (third.code, third.recorded) == ("E_DEPTH", True)
    w.must("alice", "agreement.revoke", revoke(c.g1, "PURPOSES", purposes=[ANALYTICS]))
    hop: dict[str, Any] = {"parent_agreement": c.g1a, "parent_share": c.s1a}
    refused = c.attempt(
        "beta", "delta", child={"purposes": [ANALYTICS]}, share={"purpose": ANALYTICS}, **hop
    )
    assert refused.code == "E_PURPOSE"
    assert not c.attempt("beta", "delta", **hop).code
    w.must("alice", "agreement.revoke", revoke(c.g1))
    assert c.attempt("beta", "epsilon", **hop).code == "E_ANCESTOR_ENDED"
    assert [row["code"] for row in w.ask("alice", "refusals")["refusals"]].count("E_DEPTH") == 1


def test_terminating_takes_the_notice_that_the_terms_ask(c: Cases) -> None:
    w, terms = c.world, c.ids["T-DDA-365"]
    body = grant(terms, c.ids["S-CONTACT"], purposes=[SERVICE])
    agreement = w.agree("alice", "acme", body)
    early = {"agreement": agreement, "effective_at_ms": T0 + 14 * DAY - 1}
    assert w.submit("acme", "agreement.terminate", early).code == "E_NOTICE"
    assert w.submit("alice", "agreement.terminate", early).code == "E_SIGNER"
    w.must("acme", "agreement.terminate", {"agreement": agreement})
    assert w.submit("acme", "agreement.terminate", {"agreement": agreement}).code == "E_STATE"
    w.time_ms = T0 + 14 * DAY - 1
    assert status(c, "alice", agreement)[0] == "ACTIVE"
    w.time_ms = T0 + 14 * DAY
    assert status(c, "alice", agreement)[0] == "TERMINATED"
    assert w.submit("alice", "agreement.revoke", revoke(agreement)).code == "E_STATE"


def test_notice_never_delays_a_revocation(c: Cases) -> None:
    body = grant(c.ids["T-DDA-365"], c.ids["S-CONTACT"], purposes=[SERVICE])
    agreement = c.world.agree("alice", "acme", body)
    c.world.must("acme", "agreement.terminate", {"agreement": agreement})
    c.world.must("alice", "agreement.revoke", revoke(agreement))
    assert status(c, "alice", agreement)[0] == "REVOKED"


def test_revocable_by_both_and_by_none(c: Cases) -> None:
    w = c.world
    body = grant(c.ids["T-DDA-365"], c.ids["S-CONTACT"], purposes=[SERVICE])
    both = w.agree("alice", "acme", body)
    partial = revoke(both, "FIELDS", fields=[1])
    assert w.submit("acme", "agreement.revoke", partial).code == "E_NOT_REVOCABLE"
    w.must("acme", "agreement.revoke", revoke(both))
    document = fixture("terms", "T-P2B1")
    document["clauses"]["revocable_by"] = "NONE"
    firm = w.publish_terms(document)
    fixed = w.agree("alice", "acme", grant(firm, c.ids["S-CONTACT"]))
    assert w.submit("alice", "agreement.revoke", revoke(fixed)).code == "E_NOT_REVOCABLE"


def test_a_scheduled_agreement_begins_to_the_millisecond(c: Cases) -> None:
    body = grant(c.ids["T-P2B1"], c.ids["S-CONTACT"], not_before_ms=T0 + DAY)
    agreement = c.world.agree("alice", "acme", body)
    c.world.time_ms = T0 + DAY - 1
    assert status(c, "acme", agreement)[0] == "SCHEDULED"
    c.world.time_ms = T0 + DAY
    assert status(c, "acme", agreement)[0] == "ACTIVE"


def test_shares_are_acknowledged_and_withdrawn_once(c: Cases) -> None:
    w = c.world
    assert w.submit("alice", "share.ack", {"share": c.s1}).code == "E_SIGNER"
    assert w.submit("acme", "share.ack", {"share": "00" * 32}).code == "E_UNKNOWN_SHARE"
    w.must("acme", "share.ack", {"share": c.s1})
    assert w.submit("acme", "share.ack", {"share": c.s1}).code == "E_STATE"
    assert w.submit("beta", "share.withdraw", {"share": c.s1a}).code == "E_SIGNER"
    w.must("alice", "share.withdraw", {"share": c.s1a})
    assert w.submit("acme", "share.withdraw", {"share": c.s1a}).code == "E_STATE"
