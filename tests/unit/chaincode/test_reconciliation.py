"""Campaign reconciliation: nothing is due that both sides did not count, whatever a side tries."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tests.unit.chaincode.world import DAY, T0, Outcome, World

from onward.rpc.status import status_of_code
from onward_chaincode.drafts import DraftError, draft
from onward_chaincode.reconciliation import agree
from onward_chaincode.reconciliation_records import (
    IMPRESSIONS_MAX,
    PERIODS_MAX,
    ReconciliationCode,
    count_commitment,
)
from onward_chaincode.registry import available, contract_for

SPEC = Path(__file__).parents[3] / "docs" / "spec"
TERMS: dict[str, Any] = {
    "publisher": "paper",
    "currency": "EUR",
    "price_per_mille_minor": 250,
    "cap_minor": 100_000,
    "tolerance_bp": 200,
    "starts_at_ms": T0,
    "ends_at_ms": T0 + 4 * DAY,
    "period_ms": DAY,
    "settle_within_ms": 10 * DAY,
}


def salt(party: str) -> str:
    return party.encode().hex().ljust(64, "0")


class Campaign:
    """A campaign of a brand in a paper, with a rival who is no side of it."""

    def __init__(self, **changes: Any) -> None:
        self.world = World("reconciliation")
        for party in ("brand", "paper", "rival"):
            self.world.join(party)
        terms = {**TERMS, **changes}
        opened = self.world.must("brand", "campaign.open", terms, ("paper",))
        self.id = opened.id("campaign")
        self.world.time_ms = T0 + 4 * DAY

    def do(self, party: str, what: str, *cosigners: str, **fields: Any) -> Outcome:
        fields = {"campaign": self.id, **fields}
        return self.world.submit(party, f"campaign.{what}", fields, cosigners)

    def commit(self, party: str, count: int, period: int = 0) -> Outcome:
        opening = {"impressions": count, "salt": salt(party)}
        return self.do(party, "report", period=period, commitment=opening)

    def reveal(self, party: str, count: int, period: int = 0) -> Outcome:
        return self.do(party, "reveal", period=period, impressions=count, salt=salt(party))

    def reconcile(self, brand: int, paper: int, period: int = 0) -> dict[str, Any]:
        for party, count in (("brand", brand), ("paper", paper)):
            assert not self.commit(party, count, period).code
        for party, count in (("paper", paper), ("brand", brand)):
            assert not self.reveal(party, count, period).code
        return self.period(period)

    def period(self, period: int = 0) -> dict[str, Any]:
        found = self.world.ask("brand", "period", campaign_id=self.id, period=period)
        assert found | {"as_of_ms": 0} == self.world.ask(
            "paper", "period", campaign_id=self.id, period=period
        ) | {"as_of_ms": 0}
        return found

    @property
    def totals(self) -> dict[str, Any]:
        found: dict[str, Any] = self.world.ask("brand", "campaign", campaign_id=self.id)["campaign"]
        return found


@pytest.mark.parametrize(
    ("brand", "paper", "state", "due"),
    [
        (1_000, 1_000, "AGREED", 250),
        (980, 1_000, "AGREED", 245),
        (1_000, 980, "AGREED", 245),
        (979, 1_000, "DISPUTED", 0),
        (0, 0, "AGREED", 0),
        (0, 1, "DISPUTED", 0),
        (3, 3, "AGREED", 0),
        (4, 4, "AGREED", 1),
        (IMPRESSIONS_MAX, IMPRESSIONS_MAX, "AGREED", 100_000),
    ],
)
def test_the_lower_count_is_due_where_both_agree(
    brand: int, paper: int, state: str, due: int
) -> None:
    """Rounding up, or the higher count, would be money that nobody agreed to."""
    found = Campaign().reconcile(brand, paper)
    assert (found["state"], found["due_minor"]) == (state, due)
    assert found["impressions_due"] == (min(brand, paper) if state == "AGREED" else 0)


def test_tolerance_is_of_the_higher_count_and_says_the_same_to_both() -> None:
    for lower in range(40):
        for higher in range(lower, 40):
            assert agree((lower, higher), 500) == agree((higher, lower), 500)
            assert agree((lower, higher), 500) == (lower * 20 >= higher * 19)
    assert agree((0, 9), 10_000)
    assert not agree((8, 9), 0)


def test_the_cap_holds_over_all_periods() -> None:
    campaign = Campaign(cap_minor=600)
    dues = [campaign.reconcile(1_000, 1_000, period)["due_minor"] for period in range(4)]
    assert dues == [250, 250, 100, 0]
    assert campaign.totals["due_minor"] == 600
    assert campaign.totals["impressions_due"] == 4_000


# ------------------------------------------------------------------------- what a side may try


def test_a_copied_commitment_is_refused() -> None:
    """Whoever copies it could open it with what the other opens it with, and agree blindly."""
    campaign = Campaign()
    assert not campaign.commit("paper", 1_000).code
    copied = {"impressions": 1_000, "salt": salt("paper")}
    outcome = campaign.do("brand", "report", period=0, commitment=copied)
    assert outcome.code == "E_DUPLICATE"


def test_no_count_is_opened_before_both_have_committed() -> None:
    campaign = Campaign()
    assert campaign.reveal("paper", 1_000).code == "E_STATE"
    campaign.commit("paper", 1_000)
    assert campaign.reveal("paper", 1_000).code == "E_STATE"
    assert campaign.period()["publisher"]["impressions"] is None


def test_a_count_is_not_changed_after_it_was_committed_to() -> None:
    campaign = Campaign()
    campaign.commit("paper", 1_000)
    campaign.commit("brand", 500)
    assert campaign.commit("brand", 1_000).code == "E_DUPLICATE"
    assert not campaign.reveal("paper", 1_000).code
    assert campaign.reveal("brand", 1_000).code == "E_OPENING"
    other = campaign.do("brand", "reveal", period=0, impressions=500, salt=salt("paper"))
    assert other.code == "E_OPENING"
    assert not campaign.reveal("brand", 500).code
    assert campaign.reveal("brand", 500).code == "E_DUPLICATE"


def test_each_side_corrects_once_and_only_a_dispute() -> None:
    campaign = Campaign()
    assert campaign.do("brand", "correct", period=0, impressions=1).code == "E_STATE"
    campaign.reconcile(500, 1_000)
    assert campaign.totals["disputed_periods"] == 1
    assert not campaign.do("brand", "correct", period=0, impressions=400).code
    assert campaign.do("brand", "correct", period=0, impressions=1_000).code == "E_CORRECTED"
    assert campaign.totals["due_minor"] == 0
    assert not campaign.do("paper", "correct", period=0, impressions=401).code
    assert campaign.period() | {"as_of_ms": 0, "height": 0} == {
        **campaign.period(),
        "as_of_ms": 0,
        "height": 0,
        "state": "AGREED",
        "due_minor": 100,
        "impressions_due": 400,
    }
    totals = campaign.totals
    assert (totals["agreed_periods"], totals["disputed_periods"]) == (1, 0)
    assert campaign.do("paper", "correct", period=0, impressions=999).code == "E_STATE"
    assert campaign.totals["due_minor"] == 100


def test_a_stranger_does_nothing_and_reads_nothing() -> None:
    campaign = Campaign()
    assert campaign.commit("rival", 1).code == "E_SIGNER"
    assert campaign.do("rival", "close", "brand", "paper").code == "E_SIGNER"
    for query in ("campaign", "due", "history", "period"):
        with pytest.raises(Exception, match="rival may not read") as caught:
            campaign.world.ask("rival", query, campaign_id=campaign.id)
        assert getattr(caught.value, "code", "") == "E_READER"
    assert campaign.world.ask("rival", "campaigns")["campaigns"] == []


@pytest.mark.parametrize(
    ("changes", "cosigners", "code"),
    [
        ({}, (), "E_COUNTERSIG"),
        ({}, ("rival",), "E_COUNTERSIG"),
        ({"publisher": "brand"}, ("brand",), "E_PARTY"),
        ({"publisher": "nobody"}, ("nobody",), "E_PARTY"),
        ({"ends_at_ms": T0}, ("paper",), "E_WINDOW"),
        ({"ends_at_ms": T0 - DAY}, ("paper",), "E_WINDOW"),
        ({"period_ms": DAY + 1}, ("paper",), "E_WINDOW"),
        ({"period_ms": 0}, ("paper",), "E_WINDOW"),
        ({"ends_at_ms": T0 + (PERIODS_MAX + 1) * DAY}, ("paper",), "E_WINDOW"),
        ({"starts_at_ms": T0 - 4 * DAY, "ends_at_ms": T0}, ("paper",), "E_WINDOW"),
        ({"price_per_mille_minor": 0}, ("paper",), "E_FORMAT"),
        ({"cap_minor": 0}, ("paper",), "E_FORMAT"),
        ({"currency": "eur"}, ("paper",), "E_FORMAT"),
    ],
)
def test_conditions_that_nobody_can_keep_do_not_begin(
    changes: dict[str, Any], cosigners: tuple[str, ...], code: str
) -> None:
    world = World("reconciliation")
    world.join("brand")
    world.join("paper")
    assert world.submit("brand", "campaign.open", {**TERMS, **changes}, cosigners).code == code
    assert not world.state


def test_a_period_is_reported_when_it_is_over_and_not_a_moment_before() -> None:
    campaign = Campaign()
    campaign.world.time_ms = T0 + 2 * DAY - 1
    assert campaign.commit("paper", 1, 1).code == "E_PERIOD"
    campaign.world.time_ms += 1
    assert not campaign.commit("paper", 1, 1).code
    campaign.world.time_ms = T0 + 400 * DAY
    assert campaign.commit("paper", 1, 4).code == "E_PERIOD"


def test_one_side_alone_closes_only_when_the_time_to_settle_is_over() -> None:
    """Else the brand would close before the paper could report."""
    campaign = Campaign()
    campaign.world.time_ms = T0 + 14 * DAY - 1
    assert campaign.do("brand", "close").code == "E_STATE"
    assert campaign.do("brand", "close", "rival").code == "E_STATE"
    campaign.world.time_ms += 1
    assert not campaign.do("paper", "close").code
    for outcome in (
        campaign.commit("brand", 1),
        campaign.reveal("brand", 1),
        campaign.do("brand", "correct", period=0, impressions=1),
        campaign.do("brand", "close"),
    ):
        assert outcome.code == "E_CAMPAIGN_CLOSED"


def test_both_may_close_at_any_time() -> None:
    campaign = Campaign()
    campaign.world.time_ms = T0
    assert not campaign.do("paper", "close", "brand").code


def test_history_and_pages_lead_from_the_first_step_to_the_last() -> None:
    campaign = Campaign()
    for period in range(3):
        campaign.reconcile(1_000, 1_000, period)
    steps, after = [], ""
    while True:
        page = campaign.world.ask("paper", "history", campaign_id=campaign.id, limit=4, after=after)
        steps += [step["event"] for step in page["steps"]]
        after = page["after"]
        if not after:
            break
    assert steps[0] == "campaign.open"
    assert steps.count("campaign.report") == steps.count("campaign.reveal") == 6
    due = campaign.world.ask("brand", "due", campaign_id=campaign.id, limit=2)
    assert [row["period"] for row in due["periods"]] == [0, 1]
    rest = campaign.world.ask("brand", "due", campaign_id=campaign.id, after=due["after"])
    assert [row["period"] for row in rest["periods"]] == [2]
    assert due["due_minor"] == sum(row["due_minor"] for row in (*due["periods"], *rest["periods"]))
    held = campaign.world.ask("paper", "campaigns")["campaigns"]
    assert [row["campaign_id"] for row in held] == [campaign.id]


def test_a_draft_that_opens_no_commitment_says_so() -> None:
    made = draft(
        "campaign.report",
        {"campaign": "00" * 32, "commitment": {"impressions": 7, "salt": "11" * 32}, "period": 1},
    )
    assert count_commitment(7, b"\x11" * 32) in made
    with pytest.raises(DraftError, match="commitment: this opens no commitment"):
        draft("campaign.report", {"campaign": "00" * 32, "commitment": {"salt": ""}, "period": 1})


def test_networks_do_not_get_it_unless_their_genesis_says_so() -> None:
    assert ("reconciliation", 1) not in available()
    assert contract_for("reconciliation", 1) is not None


def test_the_document_lists_exactly_the_codes_of_its_own() -> None:
    text = (SPEC / "codes.md").read_text()
    section = text.partition("## Codes of the contract `reconciliation`")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `(E_[A-Z_]+)` \|[^|]*\| ([A-Z_]+) \|", section, re.MULTILINE))
    assert set(ReconciliationCode) <= set(rows)
    assert rows == {code: status_of_code(code).name for code in rows}
