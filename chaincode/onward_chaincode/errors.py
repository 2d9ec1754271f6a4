"""Every code the contract can answer, with its rule, its gRPC status and a sentence for people.

This is the one table: docs/spec/codes.md is compared with it by a test. A code is never renamed
and never reused. Where several rules give one code, the table names the rule of an onward share.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from onward_chaincode.contract import Refuse


class Code(StrEnum):
    """The codes, in the order of the rules, then by subject."""

    FORMAT = "E_FORMAT"
    SIZE = "E_SIZE"
    PARTY = "E_PARTY"
    COUNTERSIG = "E_COUNTERSIG"
    UNKNOWN_PARENT = "E_UNKNOWN_PARENT"
    PARENT_MISMATCH = "E_PARENT_MISMATCH"
    NOT_RECIPIENT = "E_NOT_RECIPIENT"
    PARENT_NOT_ACTIVE = "E_PARENT_NOT_ACTIVE"
    PARENT_NOT_YET = "E_PARENT_NOT_YET"
    PARENT_EXPIRED = "E_PARENT_EXPIRED"
    PARENT_REVOKED = "E_PARENT_REVOKED"
    PARENT_TERMINATED = "E_PARENT_TERMINATED"
    PARENT_SUSPENDED = "E_PARENT_SUSPENDED"
    ANCESTOR_ENDED = "E_ANCESTOR_ENDED"
    SHARE_WITHDRAWN = "E_SHARE_WITHDRAWN"
    SANCTIONED = "E_SANCTIONED"
    ONWARD_PROHIBITED = "E_ONWARD_PROHIBITED"
    TERMS_MISMATCH = "E_TERMS_MISMATCH"
    TERMS_RECALLED = "E_TERMS_RECALLED"
    CONSENT_TOKEN = "E_CONSENT_TOKEN"  # noqa: S105 -- a code, no password
    DEPTH = "E_DEPTH"
    QUOTA = "E_QUOTA"
    SCHEMA = "E_SCHEMA"
    FIELDS = "E_FIELDS"
    PURPOSE = "E_PURPOSE"
    ANONYMISATION = "E_ANONYMISATION"
    WINDOW = "E_WINDOW"
    RECIPIENT = "E_RECIPIENT"
    JURISDICTION = "E_JURISDICTION"
    TOPOLOGY = "E_TOPOLOGY"
    DUPLICATE = "E_DUPLICATE"

    TYPE = "E_TYPE"
    SIGNER = "E_SIGNER"
    READER = "E_READER"
    STATE = "E_STATE"
    UNKNOWN_TERMS = "E_UNKNOWN_TERMS"
    UNKNOWN_SCHEMA = "E_UNKNOWN_SCHEMA"
    UNKNOWN_OFFER = "E_UNKNOWN_OFFER"
    UNKNOWN_AGREEMENT = "E_UNKNOWN_AGREEMENT"
    UNKNOWN_SHARE = "E_UNKNOWN_SHARE"
    UNKNOWN_INTENT = "E_UNKNOWN_INTENT"
    UNKNOWN_RESPONSE = "E_UNKNOWN_RESPONSE"
    CLAUSE_UNKNOWN = "E_CLAUSE_UNKNOWN"
    CLAUSE = "E_CLAUSE"
    TERMS_DEPRECATED = "E_TERMS_DEPRECATED"
    OFFER_LAPSED = "E_OFFER_LAPSED"
    OFFER_FULL = "E_OFFER_FULL"
    COUNTER_LIMIT = "E_COUNTER_LIMIT"
    COUNTER_ROSTER = "E_COUNTER_ROSTER"
    INTENT_MISMATCH = "E_INTENT_MISMATCH"
    INTENT_CLOSED = "E_INTENT_CLOSED"
    PSEUDONYM = "E_PSEUDONYM"
    NOT_REVOCABLE = "E_NOT_REVOCABLE"
    NOTICE = "E_NOTICE"
    UNKNOWN_APPROVAL = "E_UNKNOWN_APPROVAL"
    UNKNOWN_VIOLATION = "E_UNKNOWN_VIOLATION"
    UNKNOWN_MANDATE = "E_UNKNOWN_MANDATE"
    MANDATE = "E_MANDATE"
    CHILD_OUTSTANDING = "E_CHILD_OUTSTANDING"
    OBLIGATION = "E_OBLIGATION"
    NOT_OVERDUE = "E_NOT_OVERDUE"
    WIDENS = "E_WIDENS"


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the table: `rule` is "" where no numbered rule decides."""

    code: Code
    rule: str
    status: str
    sentence: str


_INVALID = "INVALID_ARGUMENT"
_DENIED = "PERMISSION_DENIED"
_MISSING = "NOT_FOUND"
_STATE = "FAILED_PRECONDITION"
_EXISTS = "ALREADY_EXISTS"
_SPENT = "RESOURCE_EXHAUSTED"
_UNSIGNED = "UNAUTHENTICATED"

TABLE: tuple[Entry, ...] = (
    Entry(
        Code.FORMAT, "R01", _INVALID, "The payload or document is not in its one canonical form."
    ),
    Entry(Code.SIZE, "R02", _INVALID, "More fields or purposes than an agreement may hold."),
    Entry(Code.PARTY, "R04", _DENIED, "A named party is not registered or no longer active."),
    Entry(Code.COUNTERSIG, "R05", _UNSIGNED, "The recipient has not signed this onward share."),
    Entry(
        Code.UNKNOWN_PARENT, "R08", _MISSING, "The share or agreement to pass on is not recorded."
    ),
    Entry(
        Code.PARENT_MISMATCH,
        "R09",
        _STATE,
        "The share was not made under the agreement that is named as its basis.",
    ),
    Entry(
        Code.NOT_RECIPIENT, "R10", _DENIED, "Only the party that received a share may pass it on."
    ),
    Entry(Code.PARENT_NOT_ACTIVE, "R11", _STATE, "The agreement is no longer in force."),
    Entry(Code.PARENT_NOT_YET, "R11", _STATE, "The agreement has not begun yet."),
    Entry(Code.PARENT_EXPIRED, "R11", _STATE, "The agreement has expired."),
    Entry(Code.PARENT_REVOKED, "R11", _STATE, "The agreement was revoked."),
    Entry(Code.PARENT_TERMINATED, "R11", _STATE, "The recipient has terminated the agreement."),
    Entry(Code.PARENT_SUSPENDED, "R11", _STATE, "The agreement is suspended by an auditor."),
    Entry(Code.ANCESTOR_ENDED, "R12", _STATE, "An agreement further up the path is not in force."),
    Entry(
        Code.SHARE_WITHDRAWN,
        "R13",
        _STATE,
        "The share or one that it comes from was withdrawn or erased.",
    ),
    Entry(
        Code.SANCTIONED,
        "R14",
        _STATE,
        "An overdue duty or an open violation bars the sharer under this root.",
    ),
    Entry(Code.ONWARD_PROHIBITED, "R15", _STATE, "The terms do not allow passing the data on."),
    Entry(Code.TERMS_MISMATCH, "R16", _STATE, "Data travels only under the very same terms."),
    Entry(Code.TERMS_RECALLED, "R17", _STATE, "The terms were recalled: nothing new under them."),
    Entry(
        Code.CONSENT_TOKEN,
        "R18",
        _STATE,
        "The rights holder has not approved exactly this onward share.",
    ),
    Entry(Code.DEPTH, "R19", _STATE, "The data has already been passed on as far as terms allow."),
    Entry(Code.QUOTA, "R20", _SPENT, "The number that the terms or the ledger allow is used up."),
    Entry(Code.SCHEMA, "R21", _STATE, "The schema is not the one of the parent agreement."),
    Entry(
        Code.FIELDS, "R22", _STATE, "No field is named, or one that was not granted or received."
    ),
    Entry(Code.PURPOSE, "R23", _STATE, "No purpose is named, or one that was not granted."),
    Entry(
        Code.ANONYMISATION, "R24", _STATE, "The terms allow only anonymised data to be passed on."
    ),
    Entry(Code.WINDOW, "R25", _STATE, "The period or retention is empty or exceeds its bound."),
    Entry(Code.RECIPIENT, "R26", _STATE, "The recipient is not among those that the terms admit."),
    Entry(Code.JURISDICTION, "R26", _STATE, "The data would leave the jurisdictions agreed upon."),
    Entry(
        Code.TOPOLOGY, "R27", _STATE, "The recipient is the sharer or already stands on the path."
    ),
    Entry(Code.DUPLICATE, "R28", _EXISTS, "This is already recorded."),
    Entry(Code.TYPE, "", _INVALID, "The contract has no such transaction type or query."),
    Entry(Code.SIGNER, "", _DENIED, "This party may not sign this transaction."),
    Entry(Code.READER, "", _DENIED, "This party may not read this record."),
    Entry(Code.STATE, "", _STATE, "The record is in a state that does not allow this."),
    Entry(Code.UNKNOWN_TERMS, "", _MISSING, "No such terms are published."),
    Entry(Code.UNKNOWN_SCHEMA, "", _MISSING, "No such schema is published."),
    Entry(Code.UNKNOWN_OFFER, "", _MISSING, "No such offer is recorded."),
    Entry(Code.UNKNOWN_AGREEMENT, "", _MISSING, "No such agreement is recorded."),
    Entry(Code.UNKNOWN_SHARE, "", _MISSING, "No such share is recorded."),
    Entry(Code.UNKNOWN_INTENT, "", _MISSING, "No such intentcast is recorded."),
    Entry(Code.UNKNOWN_RESPONSE, "", _MISSING, "No such response to an intentcast is recorded."),
    Entry(Code.CLAUSE_UNKNOWN, "", _STATE, "The terms cite a clause that does not exist."),
    Entry(Code.CLAUSE, "", _STATE, "A clause of the terms is missing or has no valid value."),
    Entry(Code.TERMS_DEPRECATED, "", _STATE, "The terms are deprecated: no new agreement begins."),
    Entry(Code.OFFER_LAPSED, "", _STATE, "The offer has lapsed."),
    Entry(Code.OFFER_FULL, "", _STATE, "The offer has as many acceptances as it allows."),
    Entry(Code.COUNTER_LIMIT, "", _STATE, "A counter-offer can only be accepted or rejected."),
    Entry(
        Code.COUNTER_ROSTER, "", _STATE, "A counter-offer may only use terms of the same roster."
    ),
    Entry(
        Code.INTENT_MISMATCH,
        "",
        _STATE,
        "The offer or agreement does not belong to the intentcast.",
    ),
    Entry(Code.INTENT_CLOSED, "", _STATE, "The intentcast has expired, ended or is decided."),
    Entry(Code.PSEUDONYM, "", _STATE, "A pseudonym casts one intent only: use a fresh one."),
    Entry(Code.NOT_REVOCABLE, "", _STATE, "The terms do not let this party revoke."),
    Entry(Code.NOTICE, "", _STATE, "The notice is shorter than the terms ask for."),
    Entry(Code.UNKNOWN_APPROVAL, "", _MISSING, "No such approval of an onward share is recorded."),
    Entry(Code.UNKNOWN_VIOLATION, "", _MISSING, "No such violation has been flagged."),
    Entry(Code.UNKNOWN_MANDATE, "", _MISSING, "The auditor holds no such mandate."),
    Entry(Code.MANDATE, "", _DENIED, "No mandate of this auditor covers the agreement's root."),
    Entry(
        Code.CHILD_OUTSTANDING,
        "",
        _STATE,
        "Somebody who received the data from this party has not attested yet.",
    ),
    Entry(Code.OBLIGATION, "", _STATE, "What is attested is not what the duty asks for."),
    Entry(Code.NOT_OVERDUE, "", _STATE, "No duty under this agreement is overdue."),
    Entry(Code.WIDENS, "", _STATE, "The amendment grants more while others build on less."),
)

ENTRIES: dict[str, Entry] = {entry.code.value: entry for entry in TABLE}


class BrokenStateError(Exception):
    """The committed state contradicts itself: a bug or a damaged store, never a verdict."""


def without_details(refusal: Refuse) -> Refuse:
    """The same verdict for somebody who may know no more than what the table says of its code."""
    return Refuse(refusal.code, ENTRIES[refusal.code].sentence, rule=refusal.rule)


def refuse(code: Code, message: str, *, rule: str | None = None) -> Refuse:
    """The refusal to raise; `rule` is the table's unless another one decided."""
    return Refuse(code.value, message, rule=ENTRIES[code.value].rule if rule is None else rule)
