"""The contract `reconciliation`, version 1: what an advertiser owes a publisher for a campaign.

Both sides count impressions. For each period each commits to its count, then opens it; payment is
due only where the two counts agree within the tolerance, and then for the lower one. Where they do
not, each side may correct its count once. Nobody can be made to agree: a count that is withheld
leaves the period unpaid, and the record shows who was silent.

No network has it unless its genesis says so (docs/spec/reconciliation.md).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from onward_chaincode.answers import Arguments, read_page, require_reader
from onward_chaincode.contract import Call, Context, Event, Json, Reader, Recorded, Refuse, View
from onward_chaincode.errors import Code, refuse
from onward_chaincode.forms import open_payload
from onward_chaincode.keys import moment
from onward_chaincode.projections import StepRow, read_step
from onward_chaincode.reconciliation_records import (
    BASIS_POINTS,
    PAYLOADS,
    PERIODS_MAX,
    CampaignClose,
    CampaignCorrect,
    CampaignOpen,
    CampaignRecord,
    CampaignReport,
    CampaignReveal,
    PeriodRecord,
    ReconciliationCode,
    Report,
    count_commitment,
)
from onward_chaincode.records import load, save
from onward_proto.canonical import changed, encode
from onward_proto.documents import parse_document

REPORTING, AGREED, DISPUTED = "REPORTING", "AGREED", "DISPUTED"
_MILLE = 1_000
_HERE = b"\x01"


class Reconciliation:
    """The contract. It holds no state of its own."""

    name = "reconciliation"
    version = 1
    types = tuple(sorted(PAYLOADS))
    queries = ("campaign", "campaigns", "due", "history", "period")

    def apply(self, ctx: Context, call: Call) -> Recorded | None:
        """See `Contract`."""
        handler = _HANDLERS.get(call.type)
        if handler is None:
            raise refuse(Code.TYPE, f"reconciliation has no transaction type {call.type!r}")
        handler(ctx, open_payload(PAYLOADS[call.type], call.payload))
        return None

    def query(self, view: View, name: str, arguments: Mapping[str, Any]) -> Json:
        """See `Contract`. Every answer carries the time and the height that it speaks of."""
        ask = _QUERIES.get(name)
        if ask is None:
            raise refuse(Code.TYPE, f"reconciliation has no query {name!r}")
        answer = ask(view, Arguments(arguments))
        return {"as_of_ms": view.time_ms, "height": view.height, **answer}

    def project(self, event: Event, tx_id: str, before: Reader, after: Reader) -> dict[str, bytes]:
        """Who takes part in what, and the steps of a campaign in the order of their time."""
        del before
        said = parse_document(event.payload)
        campaign = said["campaign_id"]
        step = StepRow(event=event.name, payload=event.payload, readers=event.readers)
        rows = {f"history/{campaign}/{moment(said['at_ms'])}/{tx_id}": encode(step)}
        if event.name == "campaign.open":
            sides = _find(after, bytes.fromhex(campaign)).sides
            rows |= {f"holds/{party}/{campaign}": _HERE for party in sides}
        return rows


def campaign_id_of(tx_id: str) -> bytes:
    """The id of the campaign that the transaction `tx_id` (hex) opens."""
    return hashlib.sha256(b"reconciliation/campaign/1" + bytes.fromhex(tx_id)).digest()


# -- transactions ----------------------------------------------------------------------------------


def _open(ctx: Context, payload: CampaignOpen) -> None:
    """campaign.open: the conditions, signed by both."""
    other = ctx.party(payload.publisher)
    if other is None or not other.active or payload.publisher == ctx.caller:
        raise refuse(Code.PARTY, f"{payload.publisher} is no other active party", rule="")
    if payload.publisher not in ctx.cosigners:
        raise refuse(Code.COUNTERSIG, f"{payload.publisher} has not signed", rule="")
    if 0 in (payload.price_per_mille_minor, payload.cap_minor):
        raise refuse(Code.FORMAT, "a price or a cap of nothing", rule="")
    length = payload.ends_at_ms - payload.starts_at_ms
    if length <= 0 or payload.period_ms == 0 or length % payload.period_ms != 0:
        raise refuse(Code.WINDOW, "the window is no whole number of periods", rule="")
    if length // payload.period_ms > PERIODS_MAX or payload.ends_at_ms <= ctx.time_ms:
        raise refuse(Code.WINDOW, f"more than {PERIODS_MAX} periods, or all over", rule="")
    campaign = CampaignRecord(
        campaign_id=campaign_id_of(ctx.tx_id),
        advertiser=ctx.caller,
        terms=payload,
        opened_at_ms=ctx.time_ms,
        closed_at_ms=None,
        agreed_periods=0,
        disputed_periods=0,
        impressions_due=0,
        due_minor=0,
    )
    save(ctx, _campaign_key(campaign.campaign_id), campaign)
    _announce(ctx, "campaign.open", campaign, {})


def _report(ctx: Context, payload: CampaignReport) -> None:
    """campaign.report: a commitment to a count, once, after the period's end."""
    campaign = _open_campaign(ctx, payload.campaign)
    ends_at_ms = campaign.terms.starts_at_ms + (payload.period + 1) * campaign.terms.period_ms
    if payload.period >= campaign.period_count or ctx.time_ms < ends_at_ms:
        raise _refuse(
            ReconciliationCode.PERIOD,
            f"period {payload.period} of {campaign.period_count} is not over",
        )
    period = _period(ctx, payload.campaign, payload.period)
    mine, others = _reports(ctx, campaign, period)
    if mine is not None:
        raise refuse(Code.DUPLICATE, f"{ctx.caller} has reported this period", rule="")
    if others is not None and others.commitment == payload.commitment:
        # A copied commitment could be opened with what its owner opens it with.
        raise refuse(Code.DUPLICATE, "this is the other side's commitment", rule="")
    mine = Report(commitment=payload.commitment, opened=False, impressions=0, corrected=False)
    _save_period(ctx, payload.campaign, payload.period, _with(ctx, campaign, period, mine))
    said = {"commitment": payload.commitment.hex(), "period": payload.period}
    _announce(ctx, "campaign.report", campaign, said)


def _reveal(ctx: Context, payload: CampaignReveal) -> None:
    """campaign.reveal: the count behind a commitment; the second one decides the period."""
    campaign = _open_campaign(ctx, payload.campaign)
    period = _period(ctx, payload.campaign, payload.period)
    mine, others = _reports(ctx, campaign, period)
    if mine is None or others is None:
        raise refuse(Code.STATE, "counts are opened when both sides have committed")
    if mine.opened:
        raise refuse(Code.DUPLICATE, f"{ctx.caller} has opened its count", rule="")
    if count_commitment(payload.impressions, payload.salt) != mine.commitment:
        raise _refuse(ReconciliationCode.OPENING, "not the count that was committed to")
    mine = changed(mine, opened=True, impressions=payload.impressions)
    _settle(ctx, "campaign.reveal", campaign, payload.period, _with(ctx, campaign, period, mine))


def _correct(ctx: Context, payload: CampaignCorrect) -> None:
    """campaign.correct: another count for a disputed period, once for each side."""
    campaign = _open_campaign(ctx, payload.campaign)
    period = _period(ctx, payload.campaign, payload.period)
    mine, _ = _reports(ctx, campaign, period)
    if mine is None or period.state != DISPUTED:
        raise refuse(Code.STATE, f"the period is {period.state}; only a disputed one is corrected")
    if mine.corrected:
        raise _refuse(ReconciliationCode.CORRECTED, f"{ctx.caller} has corrected this period")
    mine = changed(mine, impressions=payload.impressions, corrected=True)
    _settle(ctx, "campaign.correct", campaign, payload.period, _with(ctx, campaign, period, mine))


def _close(ctx: Context, payload: CampaignClose) -> None:
    """campaign.close: by one side when the time for settling is over, before that by both."""
    campaign = _open_campaign(ctx, payload.campaign)
    until_ms = campaign.terms.ends_at_ms + campaign.terms.settle_within_ms
    both = all(side in (ctx.caller, *ctx.cosigners) for side in campaign.sides)
    if ctx.time_ms < until_ms and not both:
        raise refuse(Code.STATE, f"until {until_ms} both sides have to sign")
    closed = changed(campaign, closed_at_ms=ctx.time_ms)
    save(ctx, _campaign_key(payload.campaign), closed)
    totals = {
        "disputed_periods": closed.disputed_periods,
        "due_minor": closed.due_minor,
    }
    _announce(ctx, "campaign.close", closed, totals)


def _settle(
    ctx: Context, event: str, campaign: CampaignRecord, index: int, period: PeriodRecord
) -> None:
    """Write a period whose counts have changed, and what follows from both of them."""
    first, second = period.advertiser, period.publisher
    was_disputed = period.state == DISPUTED
    if first is not None and second is not None and first.opened and second.opened:
        counts = (first.impressions, second.impressions)
        if agree(counts, campaign.terms.tolerance_bp):
            left = campaign.terms.cap_minor - campaign.due_minor
            lower = min(counts)
            due = min(lower * campaign.terms.price_per_mille_minor // _MILLE, left)
            period = changed(period, state=AGREED, impressions_due=lower, due_minor=due)
        else:
            period = changed(period, state=DISPUTED)
    _save_period(ctx, campaign.campaign_id, index, period)
    is_disputed, is_agreed = period.state == DISPUTED, period.state == AGREED
    campaign = changed(
        campaign,
        agreed_periods=campaign.agreed_periods + is_agreed,
        disputed_periods=campaign.disputed_periods + is_disputed - was_disputed,
        impressions_due=campaign.impressions_due + period.impressions_due,
        due_minor=campaign.due_minor + period.due_minor,
    )
    save(ctx, _campaign_key(campaign.campaign_id), campaign)
    said = {"due_minor": period.due_minor, "period": index, "state": period.state}
    _announce(ctx, event, campaign, said)


def agree(counts: tuple[int, int], tolerance_bp: int) -> bool:
    """Whether the lower count is short of the higher by at most the tolerance, in its parts."""
    lower, higher = sorted(counts)
    return (higher - lower) * BASIS_POINTS <= tolerance_bp * higher


_HANDLERS: dict[str, Callable[[Context, Any], None]] = {
    "campaign.close": _close,
    "campaign.correct": _correct,
    "campaign.open": _open,
    "campaign.report": _report,
    "campaign.reveal": _reveal,
}


# -- questions: the two sides of a campaign may read it, and nobody else ---------------------------


def _ask_campaign(view: View, asked: Arguments) -> Json:
    campaign = _readable(view, asked.id("campaign_id"))
    asked.done()
    return {"campaign": _campaign_json(campaign)}


def _ask_campaigns(view: View, asked: Arguments) -> Json:
    after, limit = asked.page()
    asked.done()
    rows, following = read_page(view.projected, f"holds/{view.reader}/", after, limit)
    found = [_find(view, bytes.fromhex(rest)) for rest, _ in rows]
    return {"after": following, "campaigns": [_campaign_json(campaign) for campaign in found]}


def _ask_due(view: View, asked: Arguments) -> Json:
    """The reported periods, page by page, and what is due for the whole campaign."""
    campaign = _readable(view, asked.id("campaign_id"))
    after, limit = asked.page()
    asked.done()
    prefix = f"period/{campaign.campaign_id.hex()}/"
    rows, following = read_page(view.scan, prefix, after, limit)
    periods = []
    for rest, _ in rows:
        period = _period(view, campaign.campaign_id, int(rest))
        due = {"due_minor": period.due_minor, "impressions_due": period.impressions_due}
        periods.append({"period": int(rest), "state": period.state, **due})
    return {
        "after": following,
        "currency": campaign.terms.currency,
        "due_minor": campaign.due_minor,
        "periods": periods,
    }


def _ask_history(view: View, asked: Arguments) -> Json:
    campaign = _readable(view, asked.id("campaign_id"))
    after, limit = asked.page()
    asked.done()
    prefix = f"history/{campaign.campaign_id.hex()}/"
    rows, following = read_page(view.projected, prefix, after, limit)
    return {"after": following, "steps": [read_step(rest, value)[0] for rest, value in rows]}


def _ask_period(view: View, asked: Arguments) -> Json:
    campaign = _readable(view, asked.id("campaign_id"))
    index = asked.whole("period", 0, PERIODS_MAX - 1)
    asked.done()
    period = _period(view, campaign.campaign_id, index)
    return {
        "advertiser": _report_json(period.advertiser),
        "due_minor": period.due_minor,
        "impressions_due": period.impressions_due,
        "period": index,
        "publisher": _report_json(period.publisher),
        "state": period.state,
    }


_QUERIES: dict[str, Callable[[View, Arguments], Json]] = {
    "campaign": _ask_campaign,
    "campaigns": _ask_campaigns,
    "due": _ask_due,
    "history": _ask_history,
    "period": _ask_period,
}


def _campaign_json(campaign: CampaignRecord) -> Json:
    terms = campaign.terms
    return {
        "advertiser": campaign.advertiser,
        "agreed_periods": campaign.agreed_periods,
        "campaign_id": campaign.campaign_id.hex(),
        "cap_minor": terms.cap_minor,
        "closed_at_ms": campaign.closed_at_ms,
        "currency": terms.currency,
        "disputed_periods": campaign.disputed_periods,
        "due_minor": campaign.due_minor,
        "ends_at_ms": terms.ends_at_ms,
        "impressions_due": campaign.impressions_due,
        "opened_at_ms": campaign.opened_at_ms,
        "period_count": campaign.period_count,
        "period_ms": terms.period_ms,
        "price_per_mille_minor": terms.price_per_mille_minor,
        "publisher": terms.publisher,
        "settle_within_ms": terms.settle_within_ms,
        "starts_at_ms": terms.starts_at_ms,
        "tolerance_bp": terms.tolerance_bp,
    }


def _report_json(report: Report | None) -> Json | None:
    if report is None:
        return None
    return {
        "commitment": report.commitment.hex(),
        "corrected": report.corrected,
        "impressions": report.impressions if report.opened else None,
    }


# -- state -----------------------------------------------------------------------------------------


def _campaign_key(campaign: bytes) -> str:
    return f"campaign/{campaign.hex()}"


def _period_key(campaign: bytes, index: int) -> str:
    return f"period/{campaign.hex()}/{index:06d}"


def _find(reader: Reader, campaign: bytes) -> CampaignRecord:
    found = load(reader, _campaign_key(campaign), CampaignRecord)
    if found is None:
        raise _refuse(
            ReconciliationCode.UNKNOWN_CAMPAIGN, f"campaign {campaign.hex()} is not recorded"
        )
    return found


def _open_campaign(ctx: Context, campaign: bytes) -> CampaignRecord:
    """A campaign of the caller's that is not closed."""
    found = _find(ctx, campaign)
    if ctx.caller not in found.sides:
        raise refuse(Code.SIGNER, f"{ctx.caller} is no side of this campaign", rule="")
    if found.closed_at_ms is not None:
        raise _refuse(ReconciliationCode.CAMPAIGN_CLOSED, f"closed at {found.closed_at_ms}")
    return found


def _readable(view: View, campaign: bytes) -> CampaignRecord:
    found = _find(view, campaign)
    require_reader(view, found.sides, "this campaign")
    return found


def _period(reader: Reader, campaign: bytes, index: int) -> PeriodRecord:
    """The record of a period; of one that nobody reported, an empty one."""
    return load(reader, _period_key(campaign, index), PeriodRecord) or PeriodRecord(
        advertiser=None, publisher=None, state=REPORTING, impressions_due=0, due_minor=0
    )


def _save_period(ctx: Context, campaign: bytes, index: int, period: PeriodRecord) -> None:
    save(ctx, _period_key(campaign, index), period)


def _reports(
    ctx: Context, campaign: CampaignRecord, period: PeriodRecord
) -> tuple[Report | None, Report | None]:
    """The caller's report, and the other side's."""
    if ctx.caller == campaign.advertiser:
        return period.advertiser, period.publisher
    return period.publisher, period.advertiser


def _with(
    ctx: Context, campaign: CampaignRecord, period: PeriodRecord, mine: Report
) -> PeriodRecord:
    if ctx.caller == campaign.advertiser:
        return changed(period, advertiser=mine)
    return changed(period, publisher=mine)


def _announce(ctx: Context, event: str, campaign: CampaignRecord, said: Json) -> None:
    """Tell both sides."""
    common = {"at_ms": ctx.time_ms, "by": ctx.caller, "campaign_id": campaign.campaign_id.hex()}
    ctx.emit(event, {**common, **said}, campaign.sides)


def _refuse(code: ReconciliationCode, message: str) -> Refuse:
    return Refuse(code.value, message)
