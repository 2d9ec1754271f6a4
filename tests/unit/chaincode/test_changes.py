"""What an agreement allowed at one time and at another, and what a party should know of."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.chaincode.world import ANALYTICS, DAY, NOTICE, SERVICE, T0, Cases, cases

from onward_chaincode import limits
from onward_chaincode.contract import Refuse


@pytest.fixture
def c() -> Cases:
    return cases()


def changes(c: Cases, reader: str, agreement: str, **more: Any) -> dict[str, Any]:
    return c.world.ask(reader, "changes", agreement_id=agreement, **more)


def turn(c: Cases, days: int, actor: str, kind: str, **fields: Any) -> str:
    """Do something to an agreement on a day; answers the transaction's id."""
    c.world.time_ms = T0 + days * DAY
    return c.world.must(actor, kind, fields).tx_id


def test_what_was_withdrawn_between_two_times(c: Cases) -> None:
    """A state that knows only the present would show the withdrawn field as never granted."""
    turn(c, 2, "alice", "agreement.revoke", agreement=c.g1, scope="FIELDS", fields=[1])
    turn(c, 4, "acme", "agreement.revoke", agreement=c.g1a, scope="PURPOSES", purposes=[ANALYTICS])
    turn(c, 6, "alice", "agreement.revoke", agreement=c.g1, scope="ALL")
    early = changes(c, "gamma", c.g1b, from_ms=T0 + DAY, to_ms=T0 + 3 * DAY)
    assert early["lost"] == {"fields": [1], "purposes": []}
    assert (early["before"]["fields_in_force"], early["after"]["fields_in_force"]) == ([1, 3], [3])
    assert [step["scope"] for step in early["steps"]] == ["FIELDS"]
    whole = changes(c, "gamma", c.g1b, from_ms=T0 + DAY)
    assert whole["lost"] == {"fields": [1, 3], "purposes": [SERVICE, ANALYTICS]}
    assert (whole["before"]["status"], whole["after"]["status"]) == ("ACTIVE", "ENDED_BY_ANCESTOR")
    assert [step["at_ms"] for step in whole["steps"]] == [T0 + day * DAY for day in (2, 4, 6)]
    assert whole["complete"]


def test_before_it_began_there_was_nothing(c: Cases) -> None:
    found = changes(c, "acme", c.g1, from_ms=T0 - DAY)
    assert found["before"] is None
    assert found["gained"] == {"fields": [1, 2, 3], "purposes": [SERVICE, ANALYTICS]}


def test_suspended_and_resumed_is_seen_in_between(c: Cases) -> None:
    c.world.must(
        "alice", "mandate.grant", {"auditor": "auditor", "scope": "ROOT", "agreement": c.g1}
    )
    turn(c, 1, "auditor", "agreement.suspend", agreement=c.g1, evidence=NOTICE)
    turn(c, 3, "auditor", "agreement.resume", agreement=c.g1)
    between = changes(c, "acme", c.g1, from_ms=T0, to_ms=T0 + 2 * DAY)
    assert (between["before"]["status"], between["after"]["status"]) == ("ACTIVE", "SUSPENDED")
    after = changes(c, "acme", c.g1, from_ms=T0 + 2 * DAY)
    assert after["gained"] == {"fields": [1, 2, 3], "purposes": [SERVICE, ANALYTICS]}


def test_notice_and_expiry_count_from_when_they_were_known(c: Cases) -> None:
    turn(c, 1, "acme", "agreement.terminate", agreement=c.g1, effective_at_ms=T0 + 5 * DAY)
    early = changes(c, "acme", c.g1, from_ms=T0)
    assert (early["before"]["ends_at_ms"], early["after"]["ends_at_ms"]) == (
        T0 + 30 * DAY,
        T0 + 5 * DAY,
    )


def test_an_amended_agreement_is_found_as_it_was(c: Cases) -> None:
    c.world.time_ms = T0 + DAY
    fields = {"agreement": c.g1, "notice": NOTICE, "fields": [3]}
    new = c.world.must("alice", "agreement.amend", fields, ("acme",)).id("agreement")
    for asked in (c.g1, new):
        found = changes(c, "acme", asked, from_ms=T0)
        assert found["lost"] == {"fields": [1, 2], "purposes": []}
        assert [step["event"] for step in found["steps"]] == ["agreement.amend"]
    below = changes(c, "gamma", c.g1b, from_ms=T0)
    assert below["lost"] == {"fields": [1], "purposes": []}


def test_an_agreement_amended_more_often_than_is_looked_back_is_told_as_incomplete(
    c: Cases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it allowed then would else be that of a later version, as if nothing had been lost."""
    agreement = c.g1
    for day, fields in ((1, [1, 3]), (2, [3]), (3, [3])):
        c.world.time_ms = T0 + day * DAY
        narrower = {"agreement": agreement, "notice": NOTICE, "fields": fields}
        agreement = c.world.must("alice", "agreement.amend", narrower, ("acme",)).id("agreement")
    monkeypatch.setattr(limits, "CHANGES_MAX", 3)
    found = changes(c, "acme", agreement, from_ms=T0)
    assert found["complete"], "it superseded three, and three were looked at"
    assert found["lost"]["fields"] == [1, 2]
    monkeypatch.setattr(limits, "CHANGES_MAX", 2)
    assert changes(c, "acme", agreement, from_ms=T0 + DAY)["complete"]
    assert not changes(c, "acme", agreement, from_ms=T0)["complete"]


def test_who_may_ask_and_for_what(c: Cases) -> None:
    with pytest.raises(Refuse, match="may not read"):
        changes(c, "delta", c.g1)
    with pytest.raises(Refuse, match="from_ms"):
        changes(c, "acme", c.g1, from_ms=2, to_ms=1)


def test_feed_tells_whom_it_concerns_since_when(c: Cases) -> None:
    turn(c, 1, "alice", "agreement.revoke", agreement=c.g1b, scope="FIELDS", fields=[1])
    turn(c, 2, "acme", "agreement.terminate", agreement=c.g1)

    def events(reader: str, **more: Any) -> list[str]:
        return [step["event"] for step in c.world.ask(reader, "feed", **more)["steps"]]

    assert events("acme") == ["agreement.revoke", "agreement.terminate"]
    assert events("gamma") == ["agreement.revoke"], "the root's notice goes to its own parties"
    assert events("acme", since_ms=T0 + DAY + 1) == ["agreement.terminate"]
    assert events("delta") == []
    page = c.world.ask("acme", "feed", limit=1)
    assert [step["event"] for step in page["steps"]] == ["agreement.revoke"]
    assert events("acme", after=page["next"]) == ["agreement.terminate"]
