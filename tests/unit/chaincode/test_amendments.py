"""Amendments: both sign, they narrow while others build on it, and nobody below is cut off."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.chaincode.world import (
    ANALYTICS,
    DAY,
    NOTICE,
    SERVICE,
    T0,
    Cases,
    Outcome,
    cases,
    commitment,
    fixture,
    grant,
)


@pytest.fixture
def c() -> Cases:
    return cases()


def amend(
    c: Cases, agreement: str, parties: tuple[str, ...] = ("alice", "acme"), **changes: Any
) -> Outcome:
    fields = {"agreement": agreement, "notice": NOTICE, **changes}
    return c.world.submit(parties[0], "agreement.amend", fields, parties[1:])


def found(c: Cases, agreement: str, reader: str = "alice") -> dict[str, Any]:
    return c.world.ask(reader, "agreement", agreement_id=agreement)


def test_f6_an_amendment_narrows_for_everybody_below_at_once(c: Cases) -> None:
    new = amend(c, c.g1, fields=[3], purposes=[SERVICE], expires_at_ms=T0 + 5 * DAY).id("agreement")
    old = found(c, c.g1)
    assert (old["status"], old["current_id"], old["duty"]) == ("SUPERSEDED", new, None)
    now = found(c, new)
    assert (now["supersedes_id"], now["series_id"], now["root_id"]) == (c.g1, c.g1, c.g1)
    assert (now["share_count"], now["child_count"], now["open_child_count"]) == (1, 1, 1)
    below = found(c, c.g1b)
    assert (below["status"], below["fields_in_force"]) == ("ACTIVE", [3])
    assert (below["purposes_in_force"], below["ends_at_ms"]) == ([SERVICE], T0 + 5 * DAY)
    c.world.time_ms = T0 + 5 * DAY
    assert found(c, c.g1b)["because_of"] == new
    assert found(c, c.g1b)["duty"]["since_ms"] == T0 + 5 * DAY


@pytest.mark.parametrize(
    "wider",
    [
        {"fields": [0, 1]},
        {"purposes": [SERVICE, "dpv:DirectMarketing"]},
        {"expires_at_ms": T0 + 31 * DAY},
        {"retention_ms": 1},
    ],
)
def test_f6_an_amendment_that_widens_is_refused_while_others_build_on_it(
    c: Cases, wider: dict[str, Any]
) -> None:
    assert amend(c, c.g1, **wider).code == "E_WIDENS"
    assert amend(c, c.g1a, ("acme", "beta"), **wider).code == "E_WIDENS"
    assert amend(c, c.g1b, ("beta", "gamma"), **wider).code == "E_WIDENS", "a child always"
    assert found(c, c.g1)["status"] == "ACTIVE"


def test_a_root_without_children_may_grant_more_again(c: Cases) -> None:
    body = grant(c.ids["T-P2B1"], c.ids["S-CONTACT"], fields=[1], purposes=[SERVICE])
    root = c.world.agree("alice", "delta", body)
    pair = ("delta", "alice")
    wide = {"fields": [1, 2], "purposes": [SERVICE, ANALYTICS], "expires_at_ms": T0 + 60 * DAY}
    new = amend(c, root, pair, **wide).id("agreement")
    assert found(c, new)["fields_in_force"] == [1, 2]
    assert amend(c, new, pair, fields=[99]).code == "E_FIELDS"
    assert amend(c, new, pair, purposes=["dpv:Advertising"]).code == "E_PURPOSE"
    c.world.must("registry", "terms.deprecate", {"terms": c.ids["T-P2B1"]})
    assert amend(c, new, pair, fields=[1, 2, 3]).code == "E_WIDENS"
    newer = amend(c, new, pair, fields=[1]).id("agreement")
    c.world.must("registry", "terms.recall", {"terms": c.ids["T-P2B1"]})
    assert amend(c, newer, pair, fields=[1]).code == "E_TERMS_RECALLED"


def test_left_out_is_as_it_was_and_withdrawn_stays_withdrawn(c: Cases) -> None:
    """An amendment of the period must not bring a withdrawn field back in passing."""
    scope = {"agreement": c.g1, "scope": "FIELDS", "fields": [1]}
    c.world.must("alice", "agreement.revoke", scope)
    assert amend(c, c.g1, fields=[1, 3]).code == "E_WIDENS"
    new = amend(c, c.g1, expires_at_ms=T0 + 9 * DAY).id("agreement")
    now = found(c, new)
    assert (now["fields"], now["withdrawn_fields"]) == ([2, 3], [])
    assert now["purposes"] == [SERVICE, ANALYTICS]


def test_what_was_received_before_goes_on_under_the_amended_agreement(c: Cases) -> None:
    new = amend(c, c.g1, fields=[1, 3]).id("agreement")
    stale = c.attempt(recipient="delta")
    assert (stale.code, stale.rule, stale.recorded) == ("E_PARENT_NOT_ACTIVE", "R11", True)
    hop = c.attempt(recipient="delta", parent_agreement=new)
    child = found(c, hop.id("agreement"), "delta")
    assert (child["parent_id"], child["root_id"], child["depth"]) == (c.g1, c.g1, 1)
    again = c.attempt(recipient="delta", parent_agreement=new)
    assert again.code == "E_DUPLICATE"
    other = c.attempt(recipient="delta", parent_agreement=new, parent_share=c.s1a)
    assert other.code == "E_PARENT_MISMATCH"


def test_an_amended_child_still_stands_in_the_way_of_a_duplicate(c: Cases) -> None:
    """Otherwise two signatures would let the same fields go to the same party as often as liked."""
    amend(c, c.g1a, ("acme", "beta"), fields=[3])
    both = {"fields": [1, 3], "purposes": [SERVICE]}
    again = c.attempt(child=both, share={"fields": [1, 3]})
    assert (again.code, again.rule) == ("E_DUPLICATE", "R28")


def test_a_middle_agreement_is_amended_and_shares_go_on_inside_the_child(c: Cases) -> None:
    """The child names the first of the series; it must find the newest, twice removed."""
    pair = ("acme", "beta")
    once = amend(c, c.g1a, pair, fields=[1, 3]).id("agreement")
    twice = amend(c, once, pair, fields=[3]).id("agreement")
    assert amend(c, once, pair, fields=[3]).code == "E_STATE"
    share = {"fields": [3], "purpose": ANALYTICS, "commitment": commitment("inside")}
    body = {"agreement": c.g1b, "share": share, "parent_share": c.s1a}
    c.world.must("beta", "share.record", body)
    wide = {**share, "fields": [1], "commitment": commitment("wide")}
    assert c.world.submit("beta", "share.record", {**body, "share": wide}).code == "E_FIELDS"
    path = c.world.ask("gamma", "lineage", agreement_id=c.g1b)["path"]
    assert [one["agreement_id"] for one in path] == [c.g1b, twice, c.g1]
    nodes = c.world.ask("alice", "lineage", agreement_id=c.g1)["nodes"]
    assert [one["agreement_id"] for one in nodes] == [twice, c.g1b]
    for asked in (c.g1a, once, twice):
        below = c.world.ask("beta", "lineage", agreement_id=asked)["nodes"]
        assert [one["agreement_id"] for one in below] == [c.g1b]
    assert [one["status"] for one in nodes] == ["ACTIVE", "ACTIVE"]


def test_attestations_after_an_amendment_close_the_newest(c: Cases) -> None:
    new = amend(c, c.g1a, ("acme", "beta"), fields=[3]).id("agreement")
    c.world.must("alice", "agreement.revoke", {"agreement": c.g1, "scope": "ALL"})
    said = {"kind": "ERASE", "evidence": NOTICE}
    stale = c.world.submit("beta", "obligation.attest", {"agreement": c.g1a, **said})
    assert stale.code == "E_STATE"
    early = c.world.submit("beta", "obligation.attest", {"agreement": new, **said})
    assert early.code == "E_CHILD_OUTSTANDING"
    for party, agreement in (("gamma", c.g1b), ("beta", new), ("acme", c.g1)):
        c.world.must(party, "obligation.attest", {"agreement": agreement, **said})


@pytest.mark.parametrize(
    ("parties", "code"),
    [
        (("alice",), "E_COUNTERSIG"),
        (("acme",), "E_COUNTERSIG"),
        (("delta", "alice", "acme"), "E_SIGNER"),
        (("acme", "alice"), ""),
    ],
)
def test_both_parties_sign(c: Cases, parties: tuple[str, ...], code: str) -> None:
    assert amend(c, c.g1, parties, fields=[3]).code == code


def test_nothing_that_has_ended_is_amended(c: Cases) -> None:
    w = c.world
    assert amend(c, "00" * 32).code == "E_UNKNOWN_AGREEMENT"
    assert amend(c, c.g1, expires_at_ms=T0).code == "E_WINDOW"
    said = {"agreement": c.g1b, "kind": "ERASE", "evidence": NOTICE}
    w.must("gamma", "obligation.attest", said)
    assert amend(c, c.g1b, ("beta", "gamma"), fields=[3]).code == "E_STATE"
    w.must("alice", "agreement.revoke", {"agreement": c.g1, "scope": "ALL"})
    assert amend(c, c.g1, fields=[3]).code == "E_STATE"
    assert amend(c, c.g1a, ("acme", "beta"), fields=[3]).code == "E_ANCESTOR_ENDED"


def test_a_sanction_follows_the_series(c: Cases) -> None:
    """The root keeps its id: an amendment must not shake a sanction off."""
    w = c.world
    w.must("alice", "mandate.grant", {"auditor": "auditor", "scope": "ROOT", "agreement": c.g1})
    accused = {"agreement": c.g1, "ground": "SECURITY", "evidence": NOTICE}
    w.must("auditor", "violation.flag", accused)
    new = amend(c, c.g1, fields=[1, 3]).id("agreement")
    assert c.attempt(recipient="delta", parent_agreement=new).code == "E_SANCTIONED"


@pytest.mark.parametrize("less", [{"expires_at_ms": T0 + 10 * DAY}, {"retention_ms": DAY}])
def test_a_shorter_time_above_is_a_shorter_time_below_and_no_end(
    c: Cases, less: dict[str, Any]
) -> None:
    """A rights holder who takes a day from the period does not stop everybody below with it."""
    w = c.world
    document = fixture("terms", "T-P2B1")
    document["clauses"]["retention_after_end_ms"] = kept = 2 * DAY
    terms = w.publish_terms(document)
    root = w.agree("alice", "acme", grant(terms, c.ids["S-CONTACT"], retention_ms=kept))
    share = w.share(root, "alice", [1, 3], SERVICE, "narrowed")
    child = {"terms": terms, "expires_at_ms": T0 + 20 * DAY, "fields": [1, 3]}
    child["retention_ms"] = kept
    hop = c.attempt(parent_agreement=root, parent_share=share, child=child)
    below = hop.id("agreement")
    w.must("alice", "agreement.amend", {"agreement": root, "notice": NOTICE, **less}, ("acme",))

    def once_more(tag: str) -> str:
        parcel = {"fields": [1], "purpose": SERVICE, "commitment": commitment(tag)}
        fields = {"agreement": below, "parent_share": share, "share": parcel}
        return w.submit("acme", "share.record", fields).code

    assert once_more("in time") == ""
    found = w.ask("alice", "agreement", agreement_id=below)
    assert found["ends_at_ms"] == less.get("expires_at_ms", T0 + 20 * DAY)
    w.time_ms = found["ends_at_ms"]
    ended = "E_ANCESTOR_ENDED" if "expires_at_ms" in less else "E_PARENT_EXPIRED"
    assert once_more("too late") == ended
