"""Auditors: whose mandate covers what, suspension, violations, and what bars a party (R14)."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from tests.unit.chaincode.world import DAY, T0, Cases, cases, commitment

from onward_chaincode.contract import Refuse

EVIDENCE = commitment("evidence")


@pytest.fixture
def c() -> Cases:
    return cases()


def mandate(c: Cases, by: str = "alice", kind: str = "grant", **changes: Any) -> str:
    fields = {"auditor": "auditor", "scope": "ROOT", "agreement": c.g1, **changes}
    fields = {key: value for key, value in fields.items() if value is not None}
    return c.world.submit(by, f"mandate.{kind}", fields).code


def suspend(c: Cases, agreement: str, by: str = "auditor") -> str:
    fields = {"agreement": agreement, "evidence": EVIDENCE}
    return c.world.submit(by, "agreement.suspend", fields).code


def resume(c: Cases, agreement: str, by: str = "auditor") -> str:
    return c.world.submit(by, "agreement.resume", {"agreement": agreement}).code


def accuse(c: Cases, by: str, agreement: str) -> Any:
    fields = {"agreement": agreement, "ground": "PURPOSE", "evidence": EVIDENCE}
    return c.world.submit(by, "violation.flag", fields)


@pytest.mark.parametrize(
    ("by", "changes"),
    [
        ("alice", {}),
        ("registry", {"scope": "TERMS", "agreement": None, "terms": "T-P2B1"}),
        ("admin", {"scope": "ALL", "agreement": None}),
    ],
)
def test_each_scope_covers_the_root_and_all_below(
    c: Cases, by: str, changes: dict[str, Any]
) -> None:
    if "terms" in changes:
        changes = {**changes, "terms": c.ids[changes["terms"]]}
    assert suspend(c, c.g1b) == "E_MANDATE"
    assert mandate(c, by, **changes) == ""
    assert suspend(c, c.g1b) == ""
    assert mandate(c, by, "revoke", **changes) == ""
    assert resume(c, c.g1b) == "E_MANDATE"
    assert mandate(c, by, "revoke", **changes) == "E_UNKNOWN_MANDATE"


@pytest.mark.parametrize(
    ("by", "changes", "code"),
    [
        ("acme", {}, "E_SIGNER"),
        ("alice", {"scope": "ALL", "agreement": None}, "E_SIGNER"),
        ("admin", {}, "E_SIGNER"),
        ("alice", {"scope": "TERMS"}, "E_FORMAT"),
        ("alice", {"scope": "ROOT", "agreement": None}, "E_FORMAT"),
        ("alice", {"auditor": "acme"}, "E_PARTY"),
        ("alice", {"auditor": "nobody"}, "E_PARTY"),
        ("alice", {"agreement": "00" * 32}, "E_UNKNOWN_AGREEMENT"),
        ("alice", {"expires_at_ms": T0}, "E_WINDOW"),
        ("registry", {"scope": "TERMS", "agreement": None, "terms": "00" * 32}, "E_UNKNOWN_TERMS"),
        ("alice", {"scope": "TERMS", "agreement": None, "terms": "T-P2B1"}, "E_SIGNER"),
    ],
)
def test_who_gives_which_mandate(c: Cases, by: str, changes: dict[str, Any], code: str) -> None:
    if changes.get("terms") == "T-P2B1":
        changes = {**changes, "terms": c.ids["T-P2B1"]}
    assert mandate(c, by, **changes) == code


def test_a_mandate_ends_to_the_millisecond(c: Cases) -> None:
    mandate(c, expires_at_ms=T0 + DAY)
    c.world.time_ms = T0 + DAY - 1
    assert suspend(c, c.g1) == ""
    c.world.time_ms = T0 + DAY
    assert resume(c, c.g1) == "E_MANDATE"


def test_an_auditor_reads_what_the_mandate_covers(c: Cases) -> None:
    w = c.world
    with pytest.raises(Exception, match="may not read"):
        w.ask("auditor", "agreement", agreement_id=c.g1b)
    mandate(c)
    assert w.ask("auditor", "agreement", agreement_id=c.g1b)["depth"] == 2
    assert len(w.ask("auditor", "lineage", agreement_id=c.g1)["nodes"]) == 2
    assert w.ask("auditor", "history", agreement_id=c.g1)["steps"]
    assert w.ask("auditor", "compliance", party="beta")["agreements"] == 1
    assert [one["scope"] for one in w.ask("auditor", "mandates")["mandates"]] == ["ROOT"]
    assert w.ask("delta", "mandates", auditor="auditor")["mandates"] == []


def test_a20_a_suspended_agreement_passes_nothing_on(c: Cases) -> None:
    w = c.world
    mandate(c)
    assert suspend(c, c.g1) == ""
    found = c.attempt()
    assert (found.code, found.rule, found.recorded) == ("E_PARENT_SUSPENDED", "R11", True)
    below = c.attempt("beta", "delta", parent_agreement=c.g1a, parent_share=c.s1a)
    assert (below.code, below.rule) == ("E_ANCESTOR_ENDED", "R12")
    state = w.ask("gamma", "agreement", agreement_id=c.g1b)
    assert (state["status"], state["because"]) == ("ENDED_BY_ANCESTOR", "SUSPENDED")
    assert state["duty"] is None, "it may yet go on: nobody has to erase anything"
    assert suspend(c, c.g1) == "E_STATE"
    assert resume(c, c.g1) == ""
    assert resume(c, c.g1) == "E_STATE"
    assert not c.attempt(recipient="delta").code


def test_what_is_suspended_may_be_revoked_and_expires(c: Cases) -> None:
    mandate(c)
    suspend(c, c.g1)
    c.world.must("alice", "agreement.revoke", {"agreement": c.g1, "scope": "ALL"})
    assert resume(c, c.g1) == "E_STATE"
    suspend(c, c.g1b)
    c.world.time_ms = T0 + 20 * DAY
    assert resume(c, c.g1b) == "E_STATE"


def test_only_an_auditors_flag_bars_the_accused(c: Cases) -> None:
    """Otherwise any rival on the path could stop a custodian with one accusation."""
    w = c.world
    mandate(c)
    hop: dict[str, Any] = {"parent_agreement": c.g1a, "parent_share": c.s1a}
    accuse(c, "alice", c.g1a)
    assert not c.attempt("beta", "delta", **hop).code
    flagged = accuse(c, "auditor", c.g1a).id("violation")
    barred = c.attempt("beta", "epsilon", **hop)
    assert (barred.code, barred.rule, barred.recorded) == ("E_SANCTIONED", "R14", True)
    told = w.ask("beta", "agreement", agreement_id=c.g1a)
    assert told["sanctioned"]
    answer = {"violation": flagged, "evidence": commitment("answer")}
    assert w.submit("acme", "violation.answer", answer).code == "E_SIGNER"
    w.must("beta", "violation.answer", answer)
    assert w.submit("beta", "violation.answer", answer).code == "E_STATE"
    assert c.attempt("beta", "epsilon", **hop).code == "E_SANCTIONED"
    closing = {"violation": flagged, "finding": "REJECTED"}
    assert w.submit("alice", "violation.resolve", closing).code == "E_MANDATE"
    w.must("auditor", "violation.resolve", closing)
    assert w.submit("auditor", "violation.resolve", closing).code == "E_STATE"
    assert w.submit("beta", "violation.answer", answer).code == "E_STATE"
    assert not c.attempt("beta", "epsilon", **hop).code
    report = w.ask("alice", "compliance", party="beta")["violations"]["by_state"]
    assert report == {"OPEN": 1, "REJECTED": 1, "RESOLVED": 0}
    states = [one["state"] for one in w.ask("beta", "violations")["violations"]]
    assert sorted(states) == ["OPEN", "REJECTED"]


@pytest.mark.parametrize(
    ("by", "code"), [("delta", "E_SIGNER"), ("beta", "E_SIGNER"), ("acme", ""), ("alice", "")]
)
def test_who_may_flag(c: Cases, by: str, code: str) -> None:
    """Strangers and the accused may not; the auditor has no mandate here."""
    assert accuse(c, by, c.g1a).code == code
    assert accuse(c, "auditor", c.g1a).code == "E_SIGNER"


def test_nobody_audits_itself(c: Cases) -> None:
    """An auditor that holds data is a custodian like any other there."""
    w = c.world
    mandate(c)
    own = c.attempt(recipient="auditor").id("agreement")
    assert suspend(c, own) == "E_MANDATE"
    accused = accuse(c, "acme", own).id("violation")
    closing = {"violation": accused, "finding": "REJECTED"}
    assert w.submit("auditor", "violation.resolve", closing).code == "E_MANDATE"


@pytest.mark.parametrize("kin", ["alice", "acme", "beta", "gamma"])
def test_nobody_on_a_path_audits_it(c: Cases, kin: str) -> None:
    """A rights holder or custodian above could name itself and stop a custodian by its own word."""
    w = c.world
    w.parties[kin] = dataclasses.replace(w.parties[kin], kind="AUDITOR")
    assert mandate(c, "admin", auditor=kin, scope="ALL", agreement=None) == ""
    assert mandate(c, auditor=kin) == ""
    assert suspend(c, c.g1b, kin) == "E_MANDATE"
    if kin != "gamma":
        flagged = accuse(c, kin, c.g1b)
        assert not flagged.code
        found = w.ask("gamma", "violations")["violations"]
        assert [one["blocks"] for one in found] == [False]


def test_a_mandate_over_a_root_is_not_found_by_a_made_up_name(c: Cases) -> None:
    """Who was appointed over which root is her business and the auditor's."""
    mandate(c)
    for name in ("auditor/ROOT", "auditor/", "AUDITOR", ""):
        with pytest.raises(Refuse) as refusal:
            c.world.ask("delta", "mandates", auditor=name)
        assert refusal.value.code == "E_FORMAT"
    for query in ("compliance", "mandates"):
        assert c.world.ask("delta", query)


def test_unknown_violations_are_named(c: Cases) -> None:
    answer = {"violation": "00" * 32, "evidence": EVIDENCE}
    assert c.world.submit("beta", "violation.answer", answer).code == "E_UNKNOWN_VIOLATION"
    closing = {"violation": "00" * 32, "finding": "RESOLVED"}
    assert c.world.submit("auditor", "violation.resolve", closing).code == "E_UNKNOWN_VIOLATION"
    assert suspend(c, "00" * 32) == "E_UNKNOWN_AGREEMENT"


def test_overdue_and_accused_are_two_reasons(c: Cases) -> None:
    """Closing the one must not lift the other."""
    w = c.world
    mandate(c)
    share = w.share(c.g1, "alice", [2], "dpv:ServiceProvision", "short")
    child = {"fields": [2], "expires_at_ms": T0 + DAY}
    short = c.attempt(parent_share=share, child=child, share={"fields": [2]}).id("agreement")
    flagged = accuse(c, "auditor", c.g1a).id("violation")
    w.time_ms = T0 + 8 * DAY
    w.must("alice", "obligation.flag_overdue", {"agreement": short})
    w.must("auditor", "violation.resolve", {"violation": flagged, "finding": "RESOLVED"})
    hop: dict[str, Any] = {"parent_agreement": c.g1a, "parent_share": c.s1a}
    assert c.attempt("beta", "delta", **hop).code == "E_SANCTIONED"
    attested = {"agreement": short, "kind": "ERASE", "evidence": EVIDENCE}
    w.must("beta", "obligation.attest", attested)
    assert not c.attempt("beta", "delta", **hop).code
