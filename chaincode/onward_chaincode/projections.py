"""Rows for views: indexes and history, derived from events and state, outside the state root.

Every row is written whole by the event that causes it, so that rows can be rebuilt from the
blocks in order and nothing is ever counted up. Keys, with times as sixteen digits:

    thread/OFFER/TIME/TX              a step of a handshake
    history/AGREEMENT/TIME/TX         a step of an agreement
    holds/PARTY/AGREEMENT             who takes part in what
    ending/PARTY/TIME/AGREEMENT       when it ends by itself, or by notice
    child/PARENT/AGREEMENT            lineage of agreements
    passed/PARENT/SHARE               lineage of shares
    moved/PARTY/DIRECTION/TIME/SHARE  given, received, passed_on, onward (by others, of what I gave)
    refused/PARTY/TIME/TX             refused attempts that a party may see
    casting/INDUSTRY/TIME/INTENT      intentcasts
    answered/INTENT/TIME/RESPONSE     responses to an intentcast
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from onward_chaincode.contract import Event, Json, Reader
from onward_chaincode.keys import agreement_key, moment, share_key
from onward_chaincode.records import AgreementRecord, ShareEntry, must_load
from onward_chaincode.refusal import EVENT as REFUSED
from onward_proto.documents import canonical_document

GIVEN, RECEIVED, PASSED_ON, ONWARD = "given", "received", "passed_on", "onward"
DIRECTIONS = (GIVEN, ONWARD, PASSED_ON, RECEIVED)

Rows = dict[str, Json]


@dataclass(frozen=True, slots=True)
class Step:
    """An event, its payload as JSON, the transaction, and the state that it led to."""

    event: Event
    payload: Json
    tx_id: str
    after: Reader

    @property
    def at(self) -> str:
        """The block time as it stands in keys."""
        return moment(self.payload["at_ms"])

    @property
    def row(self) -> Json:
        """What a list of steps shows."""
        return {"event": self.event.name, "tx_id": self.tx_id, **self.payload}

    @property
    def agreement(self) -> AgreementRecord:
        """The agreement that the event names."""
        key = agreement_key(bytes.fromhex(self.payload["agreement_id"]))
        return must_load(self.after, key, AgreementRecord)


_Projector = Callable[[Step], Rows]


def project(event: Event, tx_id: str, after: Reader) -> dict[str, bytes]:
    """The rows that an event adds or replaces."""
    projector = _PROJECTORS.get(event.name)
    if projector is None:
        return {}
    payload = json.loads(event.payload)  # canonical: this contract wrote it
    rows = projector(Step(event, payload, tx_id, after))
    return {key: canonical_document(rows[key]) for key in sorted(rows)}


def _handshake(step: Step) -> Rows:
    row = {"readers": list(step.event.readers), **step.row}
    rows: Rows = {f"thread/{step.payload['thread_id']}/{step.at}/{step.tx_id}": row}
    return rows | _agreement(step) if "agreement_id" in step.payload else rows


def _agreement(step: Step) -> Rows:
    agreement = step.agreement
    agreement_id = agreement.agreement_id.hex()
    rows: Rows = {}
    for party in _concerned(agreement):
        role = "second_party" if party == agreement.second_party else "first_party"
        if party not in (agreement.first_party, agreement.second_party):
            role = "rights_holder"
        rows[f"holds/{party}/{agreement_id}"] = {"role": role}
        if agreement.expires_at_ms is not None:
            rows[f"ending/{party}/{moment(agreement.expires_at_ms)}/{agreement_id}"] = {}
    if agreement.parent_id is not None:
        rows[f"child/{agreement.parent_id.hex()}/{agreement_id}"] = {}
    return rows | _history(step)


def _history(step: Step) -> Rows:
    return {f"history/{step.payload['agreement_id']}/{step.at}/{step.tx_id}": step.row}


def _termination(step: Step) -> Rows:
    agreement, ends = step.agreement, moment(step.payload["effective_at_ms"])
    tail = f"{ends}/{step.payload['agreement_id']}"
    return _history(step) | {f"ending/{party}/{tail}": {} for party in _concerned(agreement)}


def _share(step: Step) -> Rows:
    agreement, share_id = step.agreement, step.payload["share_id"]
    share = must_load(step.after, share_key(bytes.fromhex(share_id)), ShareEntry)
    passed_on = share.parent_share_id is not None
    seats = [
        (share.sender, PASSED_ON if passed_on else GIVEN, share.recipient),
        (share.recipient, RECEIVED, share.sender),
    ]
    if passed_on:
        seats.append((agreement.rights_holder, ONWARD, share.recipient))
    rows = _history(step)
    for party, direction, counterparty in seats:
        rows[f"moved/{party}/{direction}/{moment(share.recorded_at_ms)}/{share_id}"] = {
            "agreement_id": agreement.agreement_id.hex(),
            "at_ms": share.recorded_at_ms,
            "counterparty": counterparty,
            "fields": list(share.fields),
            "purpose": share.purpose,
            "schema_id": agreement.schema_id.hex(),
            "sender": share.sender,
            "share_id": share_id,
        }
    if share.parent_share_id is not None:
        rows[f"passed/{share.parent_share_id.hex()}/{share_id}"] = {}
    return rows


def _onward(step: Step) -> Rows:
    return _agreement(step) | _share(step)


def _refused(step: Step) -> Rows:
    return {f"refused/{party}/{step.at}/{step.tx_id}": step.row for party in step.event.readers}


def _cast(step: Step) -> Rows:
    return {f"casting/{step.payload['industry']}/{step.at}/{step.payload['intent_id']}": {}}


def _answer(step: Step) -> Rows:
    tail = f"{step.at}/{step.payload['response_id']}"
    return _history(step) | {f"answered/{step.payload['intent_id']}/{tail}": {}}


def _concerned(agreement: AgreementRecord) -> list[str]:
    return sorted({agreement.first_party, agreement.second_party, agreement.rights_holder})


_PROJECTORS: dict[str, _Projector] = {
    "agreement.accept": _handshake,
    "agreement.counter": _handshake,
    "agreement.offer": _handshake,
    "agreement.reject": _handshake,
    "agreement.revoke": _history,
    "agreement.terminate": _termination,
    "agreement.withdraw_offer": _handshake,
    "intent.cast": _cast,
    "intent.respond": _answer,
    "intent.select": _history,
    "share.ack": _history,
    "share.onward": _onward,
    "share.record": _share,
    REFUSED: _refused,
    "share.withdraw": _history,
}
