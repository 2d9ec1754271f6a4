"""The dry run rule by rule, and the aggregated view that both sides count alike."""

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
    cases,
    commitment,
    fixture,
    grant,
)

from onward_chaincode import limits, onward
from onward_chaincode.contract import Refuse
from onward_chaincode.months import month_of


@pytest.fixture
def c() -> Cases:
    return cases()


def trace(c: Cases, reader: str = "acme", **changes: Any) -> dict[str, Any]:
    fields = {
        "parent_share_id": c.s1,
        "recipient": "gamma",
        "fields": [3],
        "purpose": SERVICE,
        "expires_at_ms": T0 + 10 * DAY,
        **changes,
    }
    return c.world.ask(reader, "trace", **fields)


def test_every_rule_is_told_and_every_ancestor(c: Cases) -> None:
    found = trace(c, "beta", parent_share_id=c.s1a, recipient="delta")
    assert found["code"] == "OK"
    names = ["R08", "R09", *(name for name, _ in onward.RULES)]
    assert [rule["rule"] for rule in found["rules"]] == names
    assert all(rule["holds"] for rule in found["rules"])
    assert [one["agreement_id"] for one in found["path"]] == [c.g1a, c.g1]
    assert [one["status"] for one in found["path"]] == ["ACTIVE", "ACTIVE"]


@pytest.mark.parametrize(
    ("changes", "attempted", "rule"),
    [
        ({"fields": [5]}, {"child": {"fields": [5]}, "share": {"fields": [5]}}, "R22"),
        ({"purposes": ["dpv:Advertising"]}, {"child": {"purposes": ["dpv:Advertising"]}}, "R23"),
        ({"expires_at_ms": T0 + 31 * DAY}, {"child": {"expires_at_ms": T0 + 31 * DAY}}, "R25"),
        ({"recipient": "alice"}, {"recipient": "alice"}, "R27"),
        ({"terms_id": "00" * 32}, {"child": {"terms": "00" * 32}}, "R16"),
    ],
)
def test_the_dry_run_says_what_the_chain_then_says(
    c: Cases, changes: dict[str, Any], attempted: dict[str, Any], rule: str
) -> None:
    """Two answers to one question would be worse than none."""
    told = trace(c, **changes)
    done = c.attempt(**{"recipient": "gamma", **attempted})
    assert (told["rule"], told["code"], told["message"]) == (rule, done.code, done.message)
    assert done.rule == rule


def test_a_trace_goes_on_after_the_first_rule_that_fails(c: Cases) -> None:
    """Whoever mends one thing should not have to ask again for the next."""
    c.world.must("alice", "agreement.revoke", {"agreement": c.g1, "scope": "ALL"})
    found = trace(c, "beta", parent_share_id=c.s1a, recipient="delta", fields=[5])
    assert (found["rule"], found["code"]) == ("R12", "E_ANCESTOR_ENDED")
    failing = [rule["rule"] for rule in found["rules"] if not rule["holds"]]
    assert failing == ["R12", "R22"]
    assert [one["status"] for one in found["path"]] == ["ENDED_BY_ANCESTOR", "REVOKED"]


def test_a_stranger_learns_the_verdict_and_nothing_else(c: Cases) -> None:
    found = trace(c, "delta")
    assert (found["code"], found["path"]) == ("E_NOT_RECIPIENT", [])
    assert [rule["rule"] for rule in found["rules"]] == ["R10"]
    with pytest.raises(Refuse, match="neither share nor receive"):
        trace(c, "delta", sharer="acme")
    assert trace(c, "gamma", sharer="acme")["code"] == "OK", "the recipient may ask before signing"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"parent_share_id": "00" * 32}, "E_UNKNOWN_SHARE"),
        ({"recipient": "nobody"}, "E_PARTY"),
        ({"fields": ["email"]}, "E_FORMAT"),
        ({"fields": [256]}, "E_FORMAT"),
        ({"purposes": [""]}, "E_FORMAT"),
        ({"transform": "SCRAMBLED"}, "E_FORMAT"),
        ({"expires_at_ms": "soon"}, "E_FORMAT"),
        ({"memo": "x"}, "E_FORMAT"),
    ],
)
def test_what_a_trace_may_ask(c: Cases, changes: dict[str, Any], code: str) -> None:
    with pytest.raises(Refuse) as refusal:
        trace(c, **changes)
    assert refusal.value.code == code


def aggregate(c: Cases, reader: str, direction: str, **more: Any) -> dict[str, Any]:
    return c.world.ask(reader, "aggregate", direction=direction, **more)


def test_both_sides_count_the_same_cells(c: Cases) -> None:
    """The point of a common ledger: nobody has a different sum."""
    w = c.world
    for number, purpose in enumerate([SERVICE, ANALYTICS, SERVICE]):
        w.time_ms = T0 + number * 12 * DAY
        w.share(c.g1, "alice", [1, 3], purpose, f"cell {number}")
    given = aggregate(c, "alice", "given")["cells"]
    received = aggregate(c, "acme", "received")["cells"]
    strip = ("purpose", "field", "month", "count")
    assert [[one[key] for key in strip] for one in given] == [
        [one[key] for key in strip] for one in received
    ]
    assert {one["counterparty"] for one in given} == {"acme"}
    assert {one["counterparty"] for one in received} == {"alice"}
    assert sum(one["count"] for one in given) == 8
    assert {one["month"] for one in given} == {"2025-06", "2025-07"}
    july = aggregate(c, "alice", "given", month="2025-07")
    assert [(one["field"], one["count"]) for one in july["cells"]] == [
        ("category", 1),
        ("email", 1),
    ]
    onward_cells = aggregate(c, "alice", "onward")["cells"]
    assert {one["counterparty"] for one in onward_cells} == {"beta", "gamma"}


def tallies(c: Cases, party: str) -> int:
    """How many rows the aggregated view of a party looks through."""
    return sum(key.startswith(f"tally/{party}/") for key in c.world.projections)


def test_shares_that_are_alike_are_one_row(c: Cases) -> None:
    """A million of them must not be read one by one."""
    w = c.world
    before = tallies(c, "alice"), tallies(c, "acme")
    for number in range(50):
        w.share(c.g1, "alice", [2], SERVICE, f"alike {number}")
    assert (tallies(c, "alice"), tallies(c, "acme")) == (before[0] + 1, before[1] + 1)
    for number, (fields, purpose, days) in enumerate(
        [([2], ANALYTICS, 0), ([2, 3], ANALYTICS, 0), ([2, 3], ANALYTICS, 29), ([2], SERVICE, 0)]
    ):
        w.time_ms += days * DAY
        w.share(c.g1, "alice", fields, purpose, f"differs {number}")
        assert tallies(c, "alice") == before[0] + 2 + number
    counts = {
        (one["purpose"], one["field"], one["month"]): one["count"]
        for one in aggregate(c, "acme", "received")["cells"]
    }
    assert counts[SERVICE, "postcode", "2025-06"] == 50
    assert counts[ANALYTICS, "postcode", "2025-06"] == 2


@pytest.mark.parametrize("kinds", [2, 7, limits.TALLIES_MAX, limits.TALLIES_MAX + 1])
def test_shares_of_several_kinds_in_turn_are_a_row_for_each_kind(c: Cases, kinds: int) -> None:
    """Firms send one thing daily and another weekly: by turns is how shares come."""
    w, fields = c.world, list(range(5))
    grants = grant(c.ids["T-P2B1"], c.ids["S-CONTACT"], fields=fields)
    agreement = w.agree("bob", "acme", grants)
    chosen = [[one for one in fields if number >> one & 1] for number in range(1, kinds + 1)]
    for number in range(3 * kinds):
        w.share(agreement, "bob", chosen[number % kinds], SERVICE, f"in turn {number}")
    assert aggregate(c, "bob", "given", limit=200)["shares"] == 3 * kinds
    found = aggregate(c, "acme", "received", limit=200)
    names = [one["name"] for one in fixture("schemas", "S-CONTACT")["fields"]]
    expected = {names[one]: 3 * sum(one in kind for kind in chosen) for one in fields}
    counted = {one["field"]: one["count"] for one in found["cells"] if one["counterparty"] == "bob"}
    assert counted == {name: count for name, count in expected.items() if count}
    remembered = kinds <= limits.TALLIES_MAX
    assert tallies(c, "bob") == (kinds if remembered else 3 * kinds)


def test_pages_add_up(c: Cases) -> None:
    for number in range(4):
        c.world.share(c.g1, "alice", [1], SERVICE, f"page {number}")
    total, after = 0, ""
    for _ in range(5):
        page = aggregate(c, "alice", "given", limit=1, after=after)
        total, after = total + page["shares"], page["next"]
        if not after:
            break
    assert total == 5
    for wrong in ({"direction": "sideways"}, {"direction": "given", "month": "2025-13"}):
        with pytest.raises(Refuse, match=r"direction|month"):
            c.world.ask("alice", "aggregate", **wrong)


@pytest.mark.parametrize(
    ("time_ms", "month"),
    [
        (0, "1970-01"),
        (951_782_400_000, "2000-02"),
        (951_868_800_000, "2000-03"),
        (T0, "2025-06"),
        (1_767_225_599_999, "2025-12"),
        (1_767_225_600_000, "2026-01"),
        (4_107_542_400_000, "2100-03"),
    ],
)
def test_months_are_those_of_the_calendar(time_ms: int, month: str) -> None:
    assert month_of(time_ms) == month


def test_catalogue_lists_what_is_published(c: Cases) -> None:
    rows: list[dict[str, Any]] = []
    after = ""
    for _ in range(10):
        page = c.world.ask("delta", "catalogue", limit=7, after=after)
        rows, after = rows + page["published"], page["next"]
        if not after:
            break
    assert {one["label"] for one in rows} == {label for label in c.ids if label.startswith("T-")}
    assert {
        one["label"] for one in c.world.ask("delta", "catalogue", kind="schema")["published"]
    } == {
        "S-CONTACT",
        "S-HEALTH",
        "S-INTENT",
    }
    with pytest.raises(Refuse, match="kind"):
        c.world.ask("delta", "catalogue", kind="people")


def test_commitment_of_a_trace_is_checked_when_given(c: Cases) -> None:
    assert trace(c, commitment=commitment("s1"))["rule"] == "R28"


def test_an_amendment_begins_new_tallies_and_no_share_counts_twice(c: Cases) -> None:
    """One that went on under the new agreement would count again what the old one's row holds."""
    w = c.world
    before = aggregate(c, "alice", "given")["shares"]
    w.share(c.g1, "alice", [2], SERVICE, "before")
    new = w.must("alice", "agreement.amend", {"agreement": c.g1, "notice": NOTICE}, ("acme",))
    w.share(new.id("agreement"), "alice", [2], SERVICE, "after")
    for party, direction in (("alice", "given"), ("acme", "received")):
        found = aggregate(c, party, direction)
        assert found["shares"] == before + 2
        cells = {(one["field"], one["purpose"]): one["count"] for one in found["cells"]}
        assert cells["postcode", SERVICE] == 2
