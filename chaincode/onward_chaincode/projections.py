"""Rows for views: indexes and history, derived from events and state, outside the state root.

Every row is written whole by the event that causes it, so that rows can be rebuilt from the
blocks in order and nothing is ever counted up. Most rows only say that something stands there: what
it is, the records say, and whoever reads a row looks there. Keys, with times as sixteen digits:

    thread/OFFER/PARTY/TIME/TX        a step of a handshake that a party may see (`StepRow`)
    history/AGREEMENT/TIME/TX         a step of an agreement (`StepRow`)
    holds/PARTY/AGREEMENT             who takes part in what
    ending/PARTY/TIME/AGREEMENT       when it ends by itself, or by notice
    child/PARENT/AGREEMENT            lineage of agreements
    passed/PARENT/SHARE               lineage of shares
    moved/PARTY/DIRECTION/TIME/SHARE  given, received, passed_on, onward (by others, of what I gave)
    tally/PARTY/DIRECTION/MONTH/AGREEMENT/SEQ  shares alike, by the first's `seq` (`TallyRow`)
    refused/PARTY/TIME/TX             refused attempts that a party may see (`StepRow`)
    casting/INDUSTRY/TIME/INTENT      intentcasts
    answered/INTENT/PARTY/TIME/RESPONSE  responses to an intentcast that a party may see
    appointed/PARTY/AUDITOR/ROOT/ID   mandates over a root, by whoever gave them
    approvals/PARTY/TIME/APPROVAL     approvals that a party gave, may use, or is named in
    attested/PARTY/TIME/AGREEMENT     attestations of a party (`StepRow`)
    violations/PARTY/TIME/VIOLATION   flagged violations that a party may see
    breaches/PARTY/TIME/BREACH        notices of a breach that a party may see
    turned/AGREEMENT/TIME/TX          what changed an agreement's standing (`StepRow`)
    feed/PARTY/TIME/TX                what a party may have to act on (`StepRow`)

An amended agreement keeps its place in the lineage: `child` rows name the first of a series.
Where only some may see a row, it stands under each of them ("*" is everybody): a list that were
filtered would tell by its cursors what it leaves out.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from onward_chaincode import limits
from onward_chaincode.contract import Event, Json, Reader
from onward_chaincode.forms import fields_wire
from onward_chaincode.keys import agreement_key, moment, share_key
from onward_chaincode.months import month_of
from onward_chaincode.records import AgreementRecord, ShareEntry, must_load
from onward_chaincode.refusal import EVENT as REFUSED
from onward_proto.canonical import decode, encode, raw, text, uint

GIVEN, RECEIVED, PASSED_ON, ONWARD = "given", "received", "passed_on", "onward"
DIRECTIONS = (GIVEN, ONWARD, PASSED_ON, RECEIVED)

Rows = dict[str, bytes]
_HERE = b"\x01"  # a row that says no more than its key


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRow:
    """A step: the event, and who may read it where the list it stands in does not say so."""

    event: Annotated[str, text(1, minimum=1, maximum=limits.EVENT_NAME_BYTES_MAX)]
    payload: Annotated[bytes, raw(2, maximum=limits.EVENT_PAYLOAD_BYTES_MAX)]
    readers: Annotated[
        tuple[str, ...],
        text(3, minimum=1, maximum=limits.PARTY_ID_BYTES_MAX, count=limits.EVENT_READERS_MAX),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class TallyRow:
    """Shares of one month under one agreement that are alike, and how many there are so far."""

    purpose: Annotated[str, text(1, maximum=limits.IRI_BYTES_MAX)]
    fields: Annotated[tuple[int, ...], fields_wire(2)]
    count: Annotated[int, uint(3)]


def read_step(rest: str, value: bytes) -> tuple[Json, tuple[str, ...]]:
    """What a list of steps shows of a row whose key ends in `rest`, and its readers."""
    row = decode(StepRow, value)
    tx_id = rest.rsplit("/", 1)[-1]
    return {"event": row.event, "tx_id": tx_id, **json.loads(row.payload)}, row.readers


@dataclass(frozen=True, slots=True)
class Step:
    """An event, its payload as JSON, the transaction, and the state that it led to."""

    event: Event
    payload: Json
    tx_id: str
    after: Reader

    @property
    def place(self) -> str:
        """How the key of a step ends: when, and which transaction."""
        return f"{moment(self.payload['at_ms'])}/{self.tx_id}"

    @property
    def agreement(self) -> AgreementRecord:
        """The agreement that the event names."""
        key = agreement_key(bytes.fromhex(self.payload["agreement_id"]))
        return must_load(self.after, key, AgreementRecord)

    def row(self, readers: tuple[str, ...] = ()) -> bytes:
        """The step as a list keeps it."""
        return encode(StepRow(event=self.event.name, payload=self.event.payload, readers=readers))


_Projector = Callable[[Step], Rows]


def project(event: Event, tx_id: str, after: Reader) -> dict[str, bytes]:
    """The rows that an event adds or replaces."""
    projector = _PROJECTORS.get(event.name)
    if projector is None:
        return {}
    payload = json.loads(event.payload)  # canonical: this contract wrote it
    step = Step(event, payload, tx_id, after)
    rows = projector(step)
    if event.name in _TURNING:
        rows |= {
            f"turned/{payload[key]}/{step.place}": step.row() for key in _IDS if key in payload
        }
    if event.name in _FED:
        rows |= {f"feed/{party}/{step.place}": step.row() for party in event.readers}
    return rows


def _handshake(step: Step) -> Rows:
    readers = step.event.readers
    thread, row = f"thread/{step.payload['thread_id']}", step.row(readers)
    rows = {f"{thread}/{party}/{step.place}": row for party in readers}
    return rows | _agreement(step) if "agreement_id" in step.payload else rows


def _agreement(step: Step) -> Rows:
    agreement = step.agreement
    agreement_id = agreement.agreement_id.hex()
    rows: Rows = {}
    for party in _concerned(agreement):
        rows[f"holds/{party}/{agreement_id}"] = _HERE
        if agreement.expires_at_ms is not None:
            rows[f"ending/{party}/{moment(agreement.expires_at_ms)}/{agreement_id}"] = _HERE
    if agreement.parent_id is not None:
        rows[f"child/{agreement.parent_id.hex()}/{agreement.series.hex()}"] = _HERE
    return rows | _history(step)


def _history(step: Step) -> Rows:
    return {f"history/{step.payload['agreement_id']}/{step.place}": step.row()}


def _termination(step: Step) -> Rows:
    agreement, ends = step.agreement, moment(step.payload["effective_at_ms"])
    tail = f"{ends}/{step.payload['agreement_id']}"
    return _history(step) | {f"ending/{party}/{tail}": _HERE for party in _concerned(agreement)}


def _share(step: Step) -> Rows:
    share_id = step.payload["share_id"]
    share = must_load(step.after, share_key(bytes.fromhex(share_id)), ShareEntry)
    tail = f"{moment(share.recorded_at_ms)}/{share_id}"
    rows = _history(step)
    seen = [(share.recipient, RECEIVED)]
    if share.parent_share_id is None:
        seen.append((share.sender, GIVEN))
    else:
        seen += [(share.sender, PASSED_ON), (step.agreement.rights_holder, ONWARD)]
        rows[f"passed/{share.parent_share_id.hex()}/{share_id}"] = _HERE
    month = month_of(share.recorded_at_ms)
    place = f"{month}/{share.agreement_id.hex()}/{share.tally_start:012d}"
    row = encode(TallyRow(purpose=share.purpose, fields=share.fields, count=share.tally_count))
    for party, direction in seen:
        rows[f"moved/{party}/{direction}/{tail}"] = _HERE
        rows[f"tally/{party}/{direction}/{place}"] = row
    return rows


def _onward(step: Step) -> Rows:
    return _agreement(step) | _share(step)


def _refused(step: Step) -> Rows:
    row = step.row()
    return {f"refused/{party}/{step.place}": row for party in step.event.readers}


def _cast(step: Step) -> Rows:
    payload = step.payload
    tail = f"{moment(payload['at_ms'])}/{payload['intent_id']}"
    return {f"casting/{payload['industry']}/{tail}": _HERE}


def _answer(step: Step) -> Rows:
    payload = step.payload
    tail = f"{moment(payload['at_ms'])}/{payload['response_id']}"
    answered = f"answered/{payload['intent_id']}"
    return _history(step) | {f"{answered}/{party}/{tail}": _HERE for party in step.event.readers}


def _mandate(step: Step) -> Rows:
    payload = step.payload
    if payload["scope"] != "ROOT":
        return {}
    return {f"appointed/{payload['by']}/{payload['auditor']}/ROOT/{payload['subject']}": _HERE}


def _amended(step: Step) -> Rows:
    before = {f"history/{step.payload['supersedes_id']}/{step.place}": step.row()}
    return _agreement(step) | before


def _approval(step: Step) -> Rows:
    payload = step.payload
    tail = f"{moment(payload['at_ms'])}/{payload['approval_id']}"
    named = {step.agreement.rights_holder, payload["recipient"], payload["sharer"]}
    return _history(step) | {f"approvals/{party}/{tail}": _HERE for party in sorted(named)}


def _attestation(step: Step) -> Rows:
    payload = step.payload
    tail = f"{moment(payload['at_ms'])}/{payload['agreement_id']}"
    return _history(step) | {f"attested/{payload['party']}/{tail}": step.row()}


def _violation(step: Step) -> Rows:
    tail = f"{moment(step.payload['at_ms'])}/{step.payload['violation_id']}"
    return _history(step) | {f"violations/{party}/{tail}": _HERE for party in step.event.readers}


def _breach(step: Step) -> Rows:
    payload = step.payload
    tail = f"{moment(payload['at_ms'])}/{payload['breach_id']}"
    rows = {f"breaches/{party}/{tail}": _HERE for party in step.event.readers}
    row = step.row()
    return rows | {f"history/{item}/{step.place}": row for item in payload["agreement_ids"]}


def _concerned(agreement: AgreementRecord) -> list[str]:
    return sorted({agreement.first_party, agreement.second_party, agreement.rights_holder})


_PROJECTORS: dict[str, _Projector] = {
    "agreement.accept": _handshake,
    "agreement.amend": _amended,
    "agreement.counter": _handshake,
    "agreement.offer": _handshake,
    "agreement.reject": _handshake,
    "agreement.resume": _history,
    "agreement.revoke": _history,
    "agreement.suspend": _history,
    "agreement.terminate": _termination,
    "agreement.withdraw_offer": _handshake,
    "blob.purge": _history,
    "breach.notify": _breach,
    "intent.cast": _cast,
    "intent.respond": _answer,
    "intent.select": _history,
    "mandate.grant": _mandate,
    "obligation.attest": _attestation,
    "obligation.flag_overdue": _history,
    "onward.approve": _approval,
    "onward.withdraw_approval": _history,
    "share.ack": _history,
    "share.onward": _onward,
    "share.record": _share,
    REFUSED: _refused,
    "share.return": _history,
    "share.withdraw": _history,
    "violation.answer": _history,
    "violation.flag": _violation,
    "violation.resolve": _history,
}

_IDS = ("agreement_id", "supersedes_id")
_TURNING = frozenset(
    {
        "agreement.amend",
        "agreement.resume",
        "agreement.revoke",
        "agreement.suspend",
        "agreement.terminate",
    }
)
# Not what happens all the time: that has lists of its own.
_FED = _TURNING | {
    "blob.purge",
    "breach.notify",
    "obligation.attest",
    "obligation.flag_overdue",
    "onward.approve",
    "onward.withdraw_approval",
    "share.return",
    "share.withdraw",
    "violation.answer",
    "violation.flag",
    "violation.resolve",
}
