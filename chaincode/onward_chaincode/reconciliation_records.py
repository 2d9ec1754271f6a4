"""What the contract `reconciliation` carries and keeps: payloads, records, bounds and codes.

Counts are committed before they are opened, so that neither side can write the other's number
down. `count_commitment` is the one way in which a count is committed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from onward_chaincode import limits
from onward_chaincode.forms import CURRENCY, PARTY_FORM, Form, id_wire, party_wire, time_wire
from onward_proto.canonical import flag, nested, raw, text, uint

PERIODS_MAX = 1_000
IMPRESSIONS_MAX = 10**12  # in one period; a thousand periods stay below 2**53
TOLERANCE_BP_MAX = 10_000
BASIS_POINTS = 10_000
SALT_BYTES = 32
_COUNT_TAG = b"reconciliation/count/1"


class ReconciliationCode(StrEnum):
    """The codes that this contract adds to those that it shares (docs/spec/codes.md)."""

    UNKNOWN_CAMPAIGN = "E_UNKNOWN_CAMPAIGN"
    CAMPAIGN_CLOSED = "E_CAMPAIGN_CLOSED"
    PERIOD = "E_PERIOD"
    OPENING = "E_OPENING"
    CORRECTED = "E_CORRECTED"


def count_commitment(impressions: int, salt: bytes) -> bytes:
    """What a side reports for a count before both counts are opened."""
    return hashlib.sha256(_COUNT_TAG + salt + impressions.to_bytes(8, "big")).digest()


def _commitment_of(opening: dict[str, Any]) -> bytes:
    """The commitment of a draft that says the count instead: `impressions`, `salt` in hex."""
    return count_commitment(opening["impressions"], bytes.fromhex(opening["salt"]))


def _money(number: int) -> Any:
    return uint(number, maximum=limits.PRICE_MINOR_MAX)


def _period(number: int) -> Any:
    return uint(number, maximum=PERIODS_MAX - 1)


def _impressions(number: int) -> Any:
    return uint(number, maximum=IMPRESSIONS_MAX)


# -- payloads --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignOpen:
    """The advertiser opens a campaign; the publisher signs beside it.

    The window is cut into periods of equal length. Money is in minor units of the currency.
    """

    publisher: Annotated[str, party_wire(1), PARTY_FORM]
    currency: Annotated[str, text(2, maximum=3), Form(pattern=CURRENCY)]
    price_per_mille_minor: Annotated[int, _money(3)]
    cap_minor: Annotated[int, _money(4)]
    tolerance_bp: Annotated[int, uint(5, maximum=TOLERANCE_BP_MAX)]
    starts_at_ms: Annotated[int, time_wire(6)]
    ends_at_ms: Annotated[int, time_wire(7)]
    period_ms: Annotated[int, time_wire(8)]
    settle_within_ms: Annotated[int, time_wire(9)]


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignReport:
    """A side commits to the impressions that it counted in a period that is over."""

    campaign: Annotated[bytes, id_wire(1)]
    period: Annotated[int, _period(2)]
    commitment: Annotated[bytes, id_wire(3), Form(commits=_commitment_of)]


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignReveal:
    """A side opens its count, once both have committed."""

    campaign: Annotated[bytes, id_wire(1)]
    period: Annotated[int, _period(2)]
    impressions: Annotated[int, _impressions(3)]
    salt: Annotated[bytes, raw(4, size=SALT_BYTES)]


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignCorrect:
    """A side states another count for a disputed period: once for each side."""

    campaign: Annotated[bytes, id_wire(1)]
    period: Annotated[int, _period(2)]
    impressions: Annotated[int, _impressions(3)]


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignClose:
    """A side closes the campaign: nothing is due any more beyond what is due then."""

    campaign: Annotated[bytes, id_wire(1)]


PAYLOADS: dict[str, type[Any]] = {
    "campaign.close": CampaignClose,
    "campaign.correct": CampaignCorrect,
    "campaign.open": CampaignOpen,
    "campaign.report": CampaignReport,
    "campaign.reveal": CampaignReveal,
}


# -- records ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignRecord:
    """The conditions as both sides signed them, and the totals up to now."""

    campaign_id: Annotated[bytes, id_wire(1)]
    advertiser: Annotated[str, party_wire(2)]
    terms: Annotated[CampaignOpen, nested(3, CampaignOpen)]
    opened_at_ms: Annotated[int, time_wire(4)]
    closed_at_ms: Annotated[int | None, time_wire(5)]
    agreed_periods: Annotated[int, uint(6, maximum=PERIODS_MAX)]
    disputed_periods: Annotated[int, uint(7, maximum=PERIODS_MAX)]
    impressions_due: Annotated[int, uint(8, maximum=limits.PRICE_MINOR_MAX)]
    due_minor: Annotated[int, _money(9)]

    @property
    def sides(self) -> tuple[str, ...]:
        """Both parties, sorted."""
        return tuple(sorted((self.advertiser, self.terms.publisher)))

    @property
    def period_count(self) -> int:
        """Into how many periods the window is cut."""
        return (self.terms.ends_at_ms - self.terms.starts_at_ms) // self.terms.period_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one side said of a period. `impressions` counts for nothing until it is `opened`."""

    commitment: Annotated[bytes, id_wire(1)]
    opened: Annotated[bool, flag(2)]
    impressions: Annotated[int, _impressions(3)]
    corrected: Annotated[bool, flag(4)]


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodRecord:
    """A period that somebody reported. `state`: REPORTING, AGREED or DISPUTED."""

    advertiser: Annotated[Report | None, nested(1, Report)]
    publisher: Annotated[Report | None, nested(2, Report)]
    state: Annotated[str, text(3, minimum=1, maximum=limits.ENUM_BYTES_MAX)]
    impressions_due: Annotated[int, _impressions(4)]
    due_minor: Annotated[int, _money(5)]
