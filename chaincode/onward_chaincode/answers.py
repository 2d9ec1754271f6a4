"""What queries are made of: arguments, pages, and records as JSON (ids in hex, times in ms)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from onward_chaincode import limits
from onward_chaincode.approval import approval_status
from onward_chaincode.contract import Json, View
from onward_chaincode.errors import Code, refuse
from onward_chaincode.forms import HASH, PARTY_ID
from onward_chaincode.intent import intent_status
from onward_chaincode.mandate import covers
from onward_chaincode.obligation import duty_of
from onward_chaincode.offer import offer_status
from onward_chaincode.payloads import Grant
from onward_chaincode.records import (
    ApprovalRecord,
    BreachRecord,
    IntentRecord,
    OfferRecord,
    ResponseRecord,
    ShareEntry,
    ViolationRecord,
)
from onward_chaincode.standing import (
    Line,
    effective_expiry,
    effective_fields,
    effective_purposes,
    parties_of,
    standing,
)
from onward_chaincode.terms import find_terms

Scan = Callable[[str, str, int], list[tuple[str, bytes]]]


class Arguments:
    """The arguments of a query. Each is taken once; one that nobody takes is refused."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        """See the class."""
        self._left = dict(given)

    def done(self) -> None:
        """Raises `Refuse` E_FORMAT when an argument is left that the query does not know."""
        if self._left:
            raise refuse(Code.FORMAT, f"unknown argument {min(self._left)!r}", rule="")

    def id(self, name: str) -> bytes:
        """A required id: 64 hexadecimal digits."""
        value = self.optional_id(name)
        if value is None:
            raise refuse(Code.FORMAT, f"argument {name!r} is missing", rule="")
        return value

    def optional_id(self, name: str) -> bytes | None:
        """An id, or None when it is not given."""
        value = self._left.pop(name, None)
        if value is None:
            return None
        if not isinstance(value, str) or not HASH.fullmatch(value):
            raise refuse(Code.FORMAT, f"argument {name!r}: expected 64 hex digits", rule="")
        return bytes.fromhex(value)

    def whole(self, name: str, default: int, maximum: int) -> int:
        """A whole number from 0 to `maximum`."""
        value = self._left.pop(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= maximum:
            raise refuse(Code.FORMAT, f"argument {name!r}: expected 0 to {maximum}", rule="")
        return value

    def optional_whole(self, name: str) -> int | None:
        """A time or a duration, or None when it is not given."""
        if self._left.get(name) is None:
            self._left.pop(name, None)
            return None
        return self.whole(name, 0, limits.TIME_MS_MAX)

    def word(self, name: str, default: str = "") -> str:
        """A short text."""
        value = self._left.pop(name, default)
        if not _is_short_text(value, limits.CURSOR_BYTES_MAX):
            raise refuse(Code.FORMAT, f"argument {name!r}: expected a short text", rule="")
        return str(value)

    def party(self, name: str, default: str = "") -> str:
        """The id of a party, whether or not there is one."""
        value = self.word(name, default)
        if len(value) > limits.PARTY_ID_BYTES_MAX or not PARTY_ID.fullmatch(value):
            raise refuse(Code.FORMAT, f"argument {name!r}: expected a party", rule="")
        return value

    def indexes(self, name: str) -> tuple[int, ...]:
        """A list of schema field indexes, in any order."""
        value = self._left.pop(name, [])
        fits = isinstance(value, list) and len(value) <= limits.FIELDS_MAX
        if not fits or any(
            type(item) is not int or not 0 <= item <= limits.FIELD_INDEX_MAX for item in value
        ):
            raise refuse(Code.FORMAT, f"argument {name!r}: expected field indexes", rule="")
        return tuple(sorted(set(value)))

    def words(self, name: str) -> tuple[str, ...]:
        """A list of short texts, in any order."""
        value = self._left.pop(name, [])
        fits = isinstance(value, list) and len(value) <= limits.PURPOSES_MAX
        if not fits or not all(
            item and _is_short_text(item, limits.IRI_BYTES_MAX) for item in value
        ):
            raise refuse(Code.FORMAT, f"argument {name!r}: expected short texts", rule="")
        return tuple(sorted(set(value)))

    def page(self) -> tuple[str, int]:
        """`after`, the cursor of the page before, and `limit`."""
        size = self.whole("limit", limits.PAGE_ROWS_DEFAULT, limits.PAGE_ROWS_MAX)
        return self.word("after"), max(1, size)


def _is_short_text(value: object, most: int) -> bool:
    """A NUL, or half of a character that takes two, would only fail deep down in a store."""
    if not isinstance(value, str) or len(value) > most:
        return False
    return not any(one == "\0" or "\ud800" <= one <= "\udfff" for one in value)


def read_page(
    scan: Scan, prefix: str, after: str, limit: int
) -> tuple[list[tuple[str, bytes]], str]:
    """Rows below `prefix` (which ends in `/`) behind the cursor, and the next cursor or "".

    A row is (the rest of its key, its value).
    """
    found = scan(prefix + after, prefix[:-1] + "0", limit + 2)
    behind = [(key[len(prefix) :], value) for key, value in found if key != prefix + after]
    rows = behind[:limit]
    return rows, rows[-1][0] if len(behind) > limit else ""


def maybe_hex(value: bytes | None) -> str | None:
    """An id as text, or None."""
    return None if value is None else value.hex()


def grant_json(grant: Grant) -> Json:
    """A grant."""
    return {
        "expires_at_ms": grant.expires_at_ms,
        "fields": list(grant.fields),
        "jurisdictions": list(grant.jurisdictions),
        "lawful_basis": grant.lawful_basis,
        "not_before_ms": grant.not_before_ms,
        "notice": grant.notice.hex(),
        "purposes": list(grant.purposes),
        "retention_ms": grant.retention_ms,
        "schema_id": grant.schema.hex(),
        "terms_id": grant.terms.hex(),
    }


def offer_json(offer: OfferRecord, time_ms: int) -> Json:
    """An offer with its status."""
    return {
        "acceptance_count": offer.acceptance_count,
        "counter_of": maybe_hex(offer.counter_of),
        "expires_at_ms": offer.expires_at_ms,
        "first_party": offer.first_party,
        "grant": grant_json(offer.grant),
        "intent_id": maybe_hex(offer.intent_id),
        "max_acceptances": offer.max_acceptances,
        "offer_id": offer.offer_id.hex(),
        "offered_at_ms": offer.offered_at_ms,
        "offeror": offer.offeror,
        "parent_agreement_id": maybe_hex(offer.parent_agreement_id),
        "parent_share_id": maybe_hex(offer.parent_share_id),
        "status": offer_status(offer, time_ms),
        "to": offer.to,
    }


def standing_json(line: Line, time_ms: int) -> Json:
    """Whether an agreement is in force and why not, and what is left of it."""
    found = standing(line, time_ms)
    return {
        "because": found.because,
        "because_of": found.because_of.agreement_id.hex(),
        "effective": found.effective,
        "ends_at_ms": effective_expiry(line),
        "fields_in_force": list(effective_fields(line)) if found.effective else [],
        "purposes_in_force": list(effective_purposes(line)) if found.effective else [],
        "status": found.status,
    }


def agreement_json(line: Line, time_ms: int) -> Json:
    """The first agreement of a line."""
    agreement = line[0]
    return {
        "accepted_at_ms": agreement.accepted_at_ms,
        "agreement_id": agreement.agreement_id.hex(),
        "attested_at_ms": agreement.attested_at_ms,
        "child_count": agreement.child_count,
        "depth": agreement.depth,
        "expires_at_ms": agreement.expires_at_ms,
        "fields": list(agreement.fields),
        "first_party": agreement.first_party,
        "intent_id": maybe_hex(agreement.intent_id),
        "jurisdictions": list(agreement.jurisdictions),
        "lawful_basis": agreement.lawful_basis,
        "not_before_ms": agreement.not_before_ms,
        "notice": agreement.notice.hex(),
        "offer_id": maybe_hex(agreement.offer_id),
        "open_child_count": agreement.open_child_count,
        "parent_id": maybe_hex(agreement.parent_id),
        "parent_share_id": maybe_hex(agreement.parent_share_id),
        "purposes": list(agreement.purposes),
        "retention_ms": agreement.retention_ms,
        "rights_holder": agreement.rights_holder,
        "root_id": agreement.root_id.hex(),
        "schema_id": agreement.schema_id.hex(),
        "second_party": agreement.second_party,
        "series_id": agreement.series.hex(),
        "share_count": agreement.share_count,
        "supersedes_id": maybe_hex(agreement.supersedes_id),
        "terminates_at_ms": agreement.terminates_at_ms,
        "terms_id": agreement.terms_id.hex(),
        "withdrawn_fields": list(agreement.withdrawn_fields),
        "withdrawn_purposes": list(agreement.withdrawn_purposes),
        **standing_json(line, time_ms),
    }


def share_json(share: ShareEntry) -> Json:
    """A share."""
    return {
        "acknowledged_at_ms": share.acknowledged_at_ms,
        "agreement_id": share.agreement_id.hex(),
        "blob": maybe_hex(share.blob),
        "commitment": share.commitment.hex(),
        "fields": list(share.fields),
        "onward_count": share.onward_count,
        "parent_share_id": maybe_hex(share.parent_share_id),
        "previous_share_id": maybe_hex(share.previous_share_id),
        "purged_at_ms": share.purged_at_ms,
        "purpose": share.purpose,
        "recipient": share.recipient,
        "recorded_at_ms": share.recorded_at_ms,
        "sender": share.sender,
        "seq": share.seq,
        "share_id": share.share_id.hex(),
        "transform": share.transform,
        "withdrawn_at_ms": share.withdrawn_at_ms,
    }


def intent_json(intent: IntentRecord, time_ms: int) -> Json:
    """An intentcast with its status."""
    return {
        "acceptance_count": intent.acceptance_count,
        "brands": list(intent.brands),
        "cast_at_ms": intent.cast_at_ms,
        "caster": intent.caster,
        "commitment": intent.commitment.hex(),
        "currency": intent.currency,
        "expires_at_ms": intent.expires_at_ms,
        "industry": intent.industry,
        "intent_id": intent.intent_id.hex(),
        "max_acceptances": intent.max_acceptances,
        "price_high": intent.price_high,
        "price_low": intent.price_low,
        "schema_id": intent.schema_id.hex(),
        "selected": maybe_hex(intent.selected),
        "status": intent_status(intent, time_ms),
        "tags": list(intent.tags),
        "terms_id": intent.terms_id.hex(),
    }


def response_json(response: ResponseRecord, time_ms: int) -> Json:
    """A response to an intentcast; `live` while it may be selected."""
    return {
        "agreement_id": response.agreement_id.hex(),
        "commitment": response.commitment.hex(),
        "intent_id": response.intent_id.hex(),
        "live": time_ms < response.valid_until_ms,
        "price_minor": response.price_minor,
        "responded_at_ms": response.responded_at_ms,
        "responder": response.responder,
        "response_id": response.response_id.hex(),
        "valid_until_ms": response.valid_until_ms,
    }


def duty_json(view: View, line: Line, time_ms: int) -> Json | None:
    """What the second party owes; None: nothing (it goes on, or nothing was shared)."""
    _, terms = find_terms(view, line[0].terms_id)
    duty = duty_of(line, terms, time_ms)
    if duty is None:
        return None
    return {
        "due_ms": duty.due_ms,
        "kind": duty.kind,
        "party": line[0].second_party,
        "since_ms": duty.since_ms,
        "state": duty.state,
    }


def approval_json(approval: ApprovalRecord, time_ms: int) -> Json:
    """An approval with its status."""
    return {
        "approval_id": approval.approval_id.hex(),
        "approved_at_ms": approval.approved_at_ms,
        "approved_by": approval.approved_by,
        "expires_at_ms": approval.expires_at_ms,
        "fields": list(approval.fields),
        "parent_share_id": approval.parent_share_id.hex(),
        "purposes": list(approval.purposes),
        "recipient": approval.recipient,
        "status": approval_status(approval, time_ms),
        "terms_id": approval.terms_id.hex(),
        "used_for": maybe_hex(approval.used_for),
    }


def violation_json(violation: ViolationRecord) -> Json:
    """A flagged violation."""
    return {
        "against": violation.against,
        "agreement_id": violation.agreement_id.hex(),
        "answer": maybe_hex(violation.answer),
        "answered_at_ms": violation.answered_at_ms,
        "blocks": violation.blocks,
        "closed_at_ms": violation.closed_at_ms,
        "closed_by": violation.closed_by,
        "evidence": violation.evidence.hex(),
        "flagged_at_ms": violation.flagged_at_ms,
        "flagged_by": violation.flagged_by,
        "ground": violation.ground,
        "root_id": violation.root_id.hex(),
        "state": violation.state,
        "violation_id": violation.violation_id.hex(),
    }


def breach_json(breach: BreachRecord) -> Json:
    """A notice of a breach."""
    return {
        "agreement_ids": [item.hex() for item in breach.agreement_ids],
        "breach_id": breach.breach_id.hex(),
        "detected_at_ms": breach.detected_at_ms,
        "evidence": breach.evidence.hex(),
        "late_count": breach.late_count,
        "notified_at_ms": breach.notified_at_ms,
        "party": breach.party,
    }


def may_read(view: View, line: Line) -> bool:
    """Whether the reader stands on the path, or is an auditor whose mandate covers its root."""
    if view.reader in parties_of(line):
        return True
    return covers(view, view.reader, line, view.time_ms)


def require_path_reader(view: View, line: Line, what: str) -> None:
    """Raises `Refuse` E_READER unless the reader may read the first agreement of `line`."""
    if not may_read(view, line):
        raise refuse(Code.READER, f"{view.reader} may not read {what}")


def require_reader(view: View, allowed: tuple[str, ...], what: str) -> None:
    """Raises `Refuse` E_READER unless the reader is among the allowed parties."""
    if view.reader not in allowed:
        raise refuse(Code.READER, f"{view.reader} may not read {what}")
