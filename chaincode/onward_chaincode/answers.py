"""What queries are made of: arguments, pages, and records as JSON (ids in hex, times in ms)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from onward_chaincode import limits
from onward_chaincode.contract import Json, View
from onward_chaincode.errors import Code, refuse
from onward_chaincode.forms import HASH
from onward_chaincode.intent import intent_status
from onward_chaincode.offer import offer_status
from onward_chaincode.payloads import Grant
from onward_chaincode.records import IntentRecord, OfferRecord, ResponseRecord, ShareEntry
from onward_chaincode.standing import (
    Line,
    effective_expiry,
    effective_fields,
    effective_purposes,
    standing,
)

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

    def word(self, name: str, default: str = "") -> str:
        """A short text."""
        value = self._left.pop(name, default)
        if not isinstance(value, str) or len(value) > limits.CURSOR_BYTES_MAX or "\0" in value:
            raise refuse(Code.FORMAT, f"argument {name!r}: expected a short text", rule="")
        return value

    def page(self) -> tuple[str, int]:
        """`after`, the cursor of the page before, and `limit`."""
        size = self.whole("limit", limits.PAGE_ROWS_DEFAULT, limits.PAGE_ROWS_MAX)
        return self.word("after"), max(1, size)


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
        "parent_id": maybe_hex(agreement.parent_id),
        "parent_share_id": maybe_hex(agreement.parent_share_id),
        "purposes": list(agreement.purposes),
        "retention_ms": agreement.retention_ms,
        "rights_holder": agreement.rights_holder,
        "root_id": agreement.root_id.hex(),
        "schema_id": agreement.schema_id.hex(),
        "second_party": agreement.second_party,
        "share_count": agreement.share_count,
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


def require_reader(view: View, allowed: tuple[str, ...], what: str) -> None:
    """Raises `Refuse` E_READER unless the reader is among the allowed parties."""
    if view.reader not in allowed:
        raise refuse(Code.READER, f"{view.reader} may not read {what}")
