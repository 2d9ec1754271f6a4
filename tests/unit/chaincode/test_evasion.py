"""Ways around a duty, an auditor or a bound that somebody thought of, and that lead nowhere."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.chaincode.world import (
    DAY,
    NOTICE,
    SERVICE,
    T0,
    Cases,
    cases,
    commitment,
    fixture,
    grant,
)

from onward_chaincode import limits
from onward_chaincode.drafts import DraftError

EVIDENCE = commitment("evidence")


@pytest.fixture
def c() -> Cases:
    return cases()


def amended(c: Cases, agreement: str, first: str, second: str) -> str:
    """The id of an agreement that says the same as the one that it amends."""
    fields = {"agreement": agreement, "notice": NOTICE}
    return c.world.must(first, "agreement.amend", fields, (second,)).id("agreement")


def status(c: Cases, agreement: str) -> str:
    found = c.world.ask("alice", "agreement", agreement_id=agreement)
    return str(found["status"])


# ------------------------------------------------------------------- amended, and so out of reach


def test_an_amendment_does_not_get_ahead_of_a_revocation(c: Cases) -> None:
    """Two custodians who amend in every block would be a moving target for the rights holder."""
    new = amended(c, c.g1a, "acme", "beta")
    c.world.must("alice", "agreement.revoke", {"agreement": c.g1a, "scope": "ALL"})
    assert (status(c, new), status(c, c.g1a)) == ("REVOKED", "SUPERSEDED")
    assert status(c, c.g1b) == "ENDED_BY_ANCESTOR"


def test_an_amendment_does_not_get_ahead_of_an_auditor(c: Cases) -> None:
    granted = {"auditor": "auditor", "scope": "ROOT", "agreement": c.g1}
    c.world.must("alice", "mandate.grant", granted)
    new = amended(c, c.g1a, "acme", "beta")
    stopping = {"agreement": c.g1a, "evidence": EVIDENCE}
    c.world.must("auditor", "agreement.suspend", stopping)
    assert status(c, new) == "SUSPENDED"
    c.world.must("auditor", "agreement.resume", {"agreement": c.g1a})
    assert status(c, new) == "ACTIVE"


def test_a_notice_for_what_was_amended_ends_what_stands(c: Cases) -> None:
    new = amended(c, c.g1a, "acme", "beta")
    c.world.must("beta", "agreement.terminate", {"agreement": c.g1a})
    assert status(c, new) == "TERMINATED"
    again = c.world.submit("beta", "agreement.terminate", {"agreement": c.g1a})
    assert again.code == "E_STATE"


# -------------------------------------------------------------------- the end chosen to owe less


@pytest.mark.parametrize(
    ("deletion", "kind"), [("REQUIRED", "ERASE"), ("ON_REQUEST", "ERASE"), ("NOT_REQUIRED", "STOP")]
)
def test_nobody_escapes_the_request_to_erase_by_leaving_first(
    c: Cases, deletion: str, kind: str
) -> None:
    """What has ended cannot be revoked: by its own notice a custodian would keep the data."""
    document = fixture("terms", "T-P2B1")
    document["version"], document["clauses"]["deletion"] = "left", deletion
    terms = c.world.publish_terms(document)
    root = c.world.agree("alice", "acme", grant(terms, c.ids["S-CONTACT"]))
    share = c.world.share(root, "alice", [3], SERVICE, "left")
    hop = c.attempt(parent_agreement=root, parent_share=share, child={"terms": terms})
    c.world.must("acme", "agreement.terminate", {"agreement": root})
    late = c.world.submit("alice", "agreement.revoke", {"agreement": root, "scope": "ALL"})
    assert late.code == "E_STATE"
    for agreement in (root, hop.id("agreement")):
        found = c.world.ask("alice", "agreement", agreement_id=agreement)["duty"]
        assert found["kind"] == kind


# -------------------------------------------------------------------------- the same thing twice


def test_what_a_suspension_stopped_does_not_go_on_beside_it(c: Cases) -> None:
    """The auditor stops the child; the same fields to the same party are no new matter."""
    granted = {"auditor": "auditor", "scope": "ROOT", "agreement": c.g1}
    c.world.must("alice", "mandate.grant", granted)
    both = {"fields": [1, 3], "expires_at_ms": T0 + 20 * DAY}
    c.world.must("auditor", "agreement.suspend", {"agreement": c.g1a, "evidence": EVIDENCE})
    again = c.attempt(child=both, share={"fields": [1, 3]})
    assert (again.code, again.rule) == ("E_DUPLICATE", "R28")
    c.world.must("auditor", "agreement.resume", {"agreement": c.g1a})
    c.world.must("alice", "agreement.revoke", {"agreement": c.g1a, "scope": "ALL"})
    assert not c.attempt(child=both, share={"fields": [1, 3]}).code, "ended for good"


def test_a_return_brings_no_blob_back(c: Cases) -> None:
    """What a share named once, and what was purged, is named by nothing else."""
    w = c.world
    share = {"fields": [1], "purpose": SERVICE, "commitment": commitment("b"), "blob": "bb" * 32}
    made = w.must("alice", "share.record", {"agreement": c.g1, "share": share}).id("share")
    back = {"share": made, "commitment": commitment("back"), "blob": "bb" * 32}
    refused = w.submit("acme", "share.return", back)
    assert (refused.code, refused.rule) == ("E_DUPLICATE", "R28")
    w.must("acme", "share.return", {**back, "blob": "cc" * 32})
    onward = c.attempt(recipient="delta", share={"blob": "cc" * 32})
    assert (onward.code, onward.rule) == ("E_DUPLICATE", "R28")


# ----------------------------------------------------------------------------------- intentcasts


def answered_intent(c: Cases) -> tuple[str, str]:
    """An intentcast of Bob's and the agreement that ACME made for it."""
    w = c.world
    terms, schema = c.ids["T-INTENT-30D"], c.ids["S-INTENT"]
    cast = {
        "terms": terms,
        "schema": schema,
        "industry": "Automotive",
        "tags": ["4wd"],
        "currency": "USD",
        "price_low": 1,
        "price_high": 2,
        "expires_at_ms": T0 + 20 * DAY,
        "max_acceptances": 3,
        "commitment": commitment("cast"),
    }
    intent = w.must("bob", "intent.cast", cast).id("intent")
    purposes = fixture("terms", "T-INTENT-30D")["clauses"]["purposes_allowed"]
    fields = [one["index"] for one in fixture("schemas", "S-INTENT")["fields"]]
    body = grant(terms, schema, fields=fields, purposes=purposes, expires_at_ms=None)
    offer = {"grant": body, "offer_expires_at_ms": T0 + DAY, "intent": intent}
    offered = w.must("bob", "agreement.offer", offer).id("offer")
    return intent, w.must("acme", "agreement.accept", {"offer": offered}).id("agreement")


def respond(c: Cases, intent: str, agreement: str) -> Any:
    fields = {"intent": intent, "agreement": agreement, "price_minor": 1}
    fields |= {"valid_until_ms": T0 + DAY, "commitment": commitment("price")}
    return c.world.submit("acme", "intent.respond", fields)


def test_an_amendment_gives_no_second_live_response_and_loses_none(c: Cases) -> None:
    """One price at a time for each agreement; the caster may still choose it."""
    intent, agreement = answered_intent(c)
    response = respond(c, intent, agreement).id("response")
    new = amended(c, agreement, "bob", "acme")
    assert respond(c, intent, new).code == "E_STATE"
    chosen = c.world.submit("bob", "intent.select", {"intent": intent, "response": response})
    assert not chosen.code


# ------------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize("kept", [2**53 - 1, limits.DURATION_MS_MAX + 1])
def test_no_retention_is_so_long_that_its_end_is_no_time(c: Cases, kept: int) -> None:
    """A due date past what a time may be would stop every replica at the attestation."""
    document = fixture("terms", "T-P2B1")
    document["clauses"]["retention_after_end_ms"] = None
    terms = c.world.publish_terms(document)
    body = grant(terms, c.ids["S-CONTACT"], retention_ms=kept)
    with pytest.raises(DraftError, match="retention_ms"):  # by the bound that the wire has too
        c.world.agree("alice", "acme", body)
    longest = {**body, "retention_ms": limits.DURATION_MS_MAX}
    root = c.world.agree("alice", "acme", longest)
    c.world.share(root, "alice", [3], SERVICE, "kept")
    c.world.must("alice", "agreement.revoke", {"agreement": root, "scope": "ALL"})
    said = {"agreement": root, "kind": "ERASE", "evidence": EVIDENCE}
    c.world.must("acme", "obligation.attest", said)
