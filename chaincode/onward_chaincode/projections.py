"""Rows for views: indexes and history, derived from events and state, outside the state root.

Every row is written whole by the event that causes it, so that rows can be rebuilt from the
blocks in order and nothing is ever counted up. Most rows only say that something stands there: what
it is, the records say, and whoever reads a row looks there. Keys, with times as sixteen digits:

    thread/OFFER/TIME/TX              a step of a handshake (`StepRow`)
    history/AGREEMENT/TIME/TX         a step of an agreement (`StepRow`)
    holds/PARTY/AGREEMENT             who takes part in what
    ending/PARTY/TIME/AGREEMENT       when it ends by itself, or by notice
    child/PARENT/AGREEMENT            lineage of agreements
    passed/PARENT/SHARE               lineage of shares
    moved/PARTY/DIRECTION/TIME/SHARE  given, received, passed_on, onward (by others, of what I gave)
    refused/PARTY/TIME/TX             refused attempts that a party may see (`StepRow`)
    casting/INDUSTRY/TIME/INTENT      intentcasts
    answered/INTENT/TIME/RESPONSE     responses to an intentcast
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from onward_chaincode import limits
from onward_chaincode.contract import Event, Json, Reader
from onward_chaincode.keys import agreement_key, moment, share_key
from onward_chaincode.records import AgreementRecord, ShareEntry, must_load
from onward_chaincode.refusal import EVENT as REFUSED
from onward_proto.canonical import decode, encode, raw, text

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
    return projector(Step(event, payload, tx_id, after))


def _handshake(step: Step) -> Rows:
    rows = {f"thread/{step.payload['thread_id']}/{step.place}": step.row(step.event.readers)}
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
        rows[f"child/{agreement.parent_id.hex()}/{agreement_id}"] = _HERE
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
    rows[f"moved/{share.recipient}/{RECEIVED}/{tail}"] = _HERE
    if share.parent_share_id is None:
        rows[f"moved/{share.sender}/{GIVEN}/{tail}"] = _HERE
        return rows
    rows[f"moved/{share.sender}/{PASSED_ON}/{tail}"] = _HERE
    rows[f"moved/{step.agreement.rights_holder}/{ONWARD}/{tail}"] = _HERE
    rows[f"passed/{share.parent_share_id.hex()}/{share_id}"] = _HERE
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
    return _history(step) | {f"answered/{payload['intent_id']}/{tail}": _HERE}


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
