"""Approvals: where the terms ask each time, the rights holder allows one share at a time (R18)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.chaincode.world import (
    ANALYTICS,
    DAY,
    SERVICE,
    T0,
    Cases,
    Outcome,
    cases,
    commitment,
    grant,
)


@pytest.fixture
def c() -> Cases:
    return cases()


class Asked:
    """GC and sc: Alice to ACME under the SISA, which asks for approval per share."""

    def __init__(self, c: Cases) -> None:
        self.c, self.w = c, c.world
        self.terms = c.ids["T-SISA-V1"]
        self.gc = self.w.agree("alice", "acme", grant(self.terms, c.ids["S-CONTACT"]))
        self.sc = self.w.share(self.gc, "alice", [1, 3], SERVICE, "sc")

    def approve(self, by: str = "alice", **changes: Any) -> Outcome:
        body: dict[str, Any] = {
            "parent_share": self.sc,
            "recipient": "beta",
            "terms": self.terms,
            "fields": [3],
            "purposes": [SERVICE],
            "expires_at_ms": self.w.time_ms + DAY,
        }
        return self.w.submit(by, "onward.approve", {**body, **changes})

    def approved(self, **changes: Any) -> str:
        return self.approve(**changes).id("approval")

    def pass_on(self, approval: str | None, recipient: str = "beta", **parts: Any) -> Outcome:
        self.c.count += 1
        child = grant(self.terms, self.c.ids["S-CONTACT"], fields=[3], purposes=[SERVICE])
        share = {"fields": [3], "purpose": SERVICE, "commitment": commitment(f"x{self.c.count}")}
        body: dict[str, Any] = {
            "parent_agreement": self.gc,
            "parent_share": self.sc,
            "recipient": recipient,
            "child": {**child, **parts.get("child", {})},
            "share": {**share, **parts.get("share", {})},
        }
        if approval is not None:
            body["approval"] = approval
        return self.w.submit("acme", "share.onward", body, (recipient,))


@pytest.fixture
def asked(c: Cases) -> Asked:
    return Asked(c)


def refused(outcome: Outcome) -> None:
    assert (outcome.code, outcome.rule, outcome.recorded) == ("E_CONSENT_TOKEN", "R18", True)


def test_p5_an_approval_that_says_exactly_this_is_used_up(asked: Asked) -> None:
    """P5 and the third of A43: what was approved once must not go on twice."""
    token = asked.approved()
    assert not asked.pass_on(token).code
    refused(asked.pass_on(token))
    found = asked.w.ask("alice", "approvals")["approvals"]
    assert [(one["status"], one["recipient"]) for one in found] == [("USED", "beta")]


def test_a43_without_an_approval_or_with_an_unknown_one(asked: Asked) -> None:
    refused(asked.pass_on(None))
    refused(asked.pass_on("00" * 32))


def test_a43_an_approval_ends_to_the_millisecond(asked: Asked) -> None:
    first, second = asked.approved(), asked.approved()
    asked.w.time_ms += DAY - 1
    assert not asked.pass_on(first).code
    asked.w.time_ms += 1
    refused(asked.pass_on(second, share={"fields": [3]}))
    assert {one["status"] for one in asked.w.ask("acme", "approvals")["approvals"]} == {
        "USED",
        "EXPIRED",
    }


def test_a43_an_approval_for_somebody_else(asked: Asked) -> None:
    refused(asked.pass_on(asked.approved(recipient="gamma")))


@pytest.mark.parametrize(
    "parts",
    [
        {"child": {"fields": [1, 3]}, "share": {"fields": [1, 3]}},  # A44
        {"child": {"fields": [1, 3]}},
        {"child": {"purposes": [SERVICE, ANALYTICS]}},
        {"child": {"fields": [1]}, "share": {"fields": [1]}},
    ],
)
def test_a44_nothing_but_what_was_approved(asked: Asked, parts: dict[str, Any]) -> None:
    refused(asked.pass_on(asked.approved(), **parts))


def test_an_approval_is_of_one_share_only(asked: Asked) -> None:
    other = asked.w.share(asked.gc, "alice", [3], SERVICE, "another")
    refused(asked.pass_on(asked.approved(parent_share=other)))


def test_a_refused_onward_share_does_not_use_the_approval_up(asked: Asked) -> None:
    """Otherwise a sharer's mistake would cost the rights holder's word."""
    token = asked.approved()
    wrong = asked.pass_on(token, child={"expires_at_ms": T0 + 31 * DAY})
    assert wrong.code == "E_WINDOW"
    assert not asked.pass_on(token).code


@pytest.mark.parametrize(
    ("by", "changes", "code"),
    [
        ("acme", {}, "E_SIGNER"),
        ("alice", {"parent_share": "00" * 32}, "E_UNKNOWN_SHARE"),
        ("alice", {"recipient": "nobody"}, "E_PARTY"),
        ("alice", {"terms": "00" * 32}, "E_TERMS_MISMATCH"),
        ("alice", {"fields": [2]}, "E_FIELDS"),
        ("alice", {"fields": []}, "E_FIELDS"),
        ("alice", {"purposes": []}, "E_PURPOSE"),
        ("alice", {"purposes": ["dpv:Advertising"]}, "E_PURPOSE"),
        ("alice", {"expires_at_ms": T0}, "E_WINDOW"),
    ],
)
def test_what_can_be_approved(asked: Asked, by: str, changes: dict[str, Any], code: str) -> None:
    assert asked.approve(by, **changes).code == code


def test_terms_that_ask_for_no_approval_take_none(asked: Asked) -> None:
    made = asked.approve(parent_share=asked.c.s1, terms=asked.c.ids["T-P2B1"])
    assert made.code == "E_STATE"


def test_an_approval_is_withdrawn_while_it_is_unused(asked: Asked) -> None:
    """Taking it back must be as easy as giving it."""
    w, token = asked.w, asked.approved()
    assert w.submit("acme", "onward.withdraw_approval", {"approval": token}).code == "E_SIGNER"
    w.must("alice", "onward.withdraw_approval", {"approval": token})
    refused(asked.pass_on(token))
    again = w.submit("alice", "onward.withdraw_approval", {"approval": token})
    assert again.code == "E_STATE"
    unknown = w.submit("alice", "onward.withdraw_approval", {"approval": "00" * 32})
    assert unknown.code == "E_UNKNOWN_APPROVAL"


def test_an_offered_child_takes_one_approval_and_each_share_in_it_another(asked: Asked) -> None:
    """Offer and acceptance must not be a way round: the word is asked per agreement and share."""
    w, token = asked.w, asked.approved()
    offer = {
        "to": "beta",
        "grant": grant(asked.terms, asked.c.ids["S-CONTACT"], fields=[3], purposes=[SERVICE]),
        "offer_expires_at_ms": w.time_ms + DAY,
        "parent_agreement": asked.gc,
        "parent_share": asked.sc,
    }
    assert w.submit("acme", "agreement.offer", offer).code == "E_CONSENT_TOKEN"
    made = w.must("acme", "agreement.offer", {**offer, "approval": token}).id("offer")
    spare = w.must("acme", "agreement.offer", {**offer, "approval": token}).id("offer")
    child = w.must("beta", "agreement.accept", {"offer": made}).id("agreement")
    assert w.submit("beta", "agreement.accept", {"offer": spare}).code == "E_CONSENT_TOKEN"
    share = {"fields": [3], "purpose": SERVICE, "commitment": commitment("inside")}
    body = {"agreement": child, "share": share, "parent_share": asked.sc}
    refused(w.submit("acme", "share.record", body))
    second = asked.approved()
    w.must("acme", "share.record", {**body, "approval": second})
    more = {**share, "commitment": commitment("inside again")}
    refused(w.submit("acme", "share.record", {**body, "share": more, "approval": second}))


def test_an_approval_goes_with_a_parent(asked: Asked) -> None:
    offer = {
        "to": "beta",
        "grant": grant(asked.terms, asked.c.ids["S-CONTACT"]),
        "offer_expires_at_ms": T0 + DAY,
        "approval": asked.approved(),
    }
    assert asked.w.submit("alice", "agreement.offer", offer).code == "E_FORMAT"


def test_who_learns_of_an_approval(asked: Asked) -> None:
    asked.approved()
    for reader, count in (("alice", 1), ("acme", 1), ("beta", 1), ("gamma", 0)):
        assert len(asked.w.ask(reader, "approvals")["approvals"]) == count
