"""Terms: the closed set of clauses, their defaults, and publishing.

A terms document is canonical JSON; its id is the hash of its bytes, and "the same terms" means
the same id. The machine part is `clauses`. What a document does not say is answered by the
default that protects the rights holder most; a clause that is not in `CLAUSES` is refused, so
that no two readers can differ about it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from onward_chaincode import limits
from onward_chaincode.contract import Context, Reader
from onward_chaincode.errors import Code, refuse
from onward_chaincode.forms import COUNTRY, HASH, IRI, PARTY_ID, TAG
from onward_chaincode.keys import terms_key
from onward_chaincode.payloads import TermsDeprecate, TermsPublish, TermsRecall
from onward_chaincode.records import TermsRecord, load, save
from onward_proto.documents import DocumentError, canonical_document, document_id, parse_document

FORMAT = "onward/terms/1"
EVERYONE = ("*",)

PUBLISHED, DEPRECATED, RECALLED = "PUBLISHED", "DEPRECATED", "RECALLED"

PROHIBITED = "PROHIBITED"
SAME_TERMS = "SAME_TERMS"
CONSENT_PER_SHARE = "CONSENT_PER_SHARE"
ANONYMISED_ONLY = "ANONYMISED_ONLY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a terms document means; None is "no bound" where a bound would stand."""

    terms_id: bytes
    label: str
    version: str
    title: str
    roster: str
    onward_mode: str
    onward_max_depth: int
    onward_group: str | None
    onward_list: tuple[str, ...] | None
    onward_max_count: int | None
    from_accept_ms: int | None
    until_ms: int | None
    retention_after_end_ms: int | None
    deletion: str
    attest_within_ms: int
    purposes_allowed: tuple[str, ...]
    purposes_forbidden: tuple[str, ...]
    jurisdictions: tuple[str, ...]  # empty: everywhere
    revocable_by: str
    notice_ms: int
    breach_notice_ms: int
    transparency: str
    ex_ante_ms: int | None
    signals: tuple[str, ...]
    portability: bool
    counter_roster: tuple[bytes, ...]

    def expiry(self, accepted_at_ms: int) -> int | None:
        """When an agreement accepted then ends at the latest; None: when a party ends it."""
        if self.from_accept_ms is not None:
            return accepted_at_ms + self.from_accept_ms
        return self.until_ms


def parse_terms(document: bytes) -> Terms:
    """The terms that a canonical document states.

    Raises `Refuse` E_FORMAT (not canonical, unknown or missing key), E_CLAUSE_UNKNOWN, E_CLAUSE.
    """
    return _parse(document)


@functools.lru_cache(maxsize=limits.DOCUMENTS_REMEMBERED_MAX)
def _parse(document: bytes) -> Terms:
    content = open_document(document, FORMAT, ("clauses",), ("roster", "text_hash"))
    clauses = content["clauses"]
    if not isinstance(clauses, dict):
        raise refuse(Code.FORMAT, "clauses: expected an object")
    for name in sorted(clauses):
        if name not in CLAUSES:
            raise refuse(Code.CLAUSE_UNKNOWN, f"clause {name!r} does not exist")
    meaning: dict[str, Any] = {}
    for name in sorted(CLAUSES):
        read, default = CLAUSES[name]
        if name not in clauses and default is _REQUIRED:
            raise refuse(Code.CLAUSE, f"clause {name!r} is missing")
        try:
            meaning.update(read(clauses.get(name, default)))
        except _BadClauseError as error:
            raise refuse(Code.CLAUSE, f"clause {name!r}: {error}") from None
    if meaning["onward_mode"] != PROHIBITED and "onward.recipients" not in clauses:
        raise refuse(Code.CLAUSE, "onward.recipients is missing: say who may receive onward shares")
    return Terms(
        terms_id=document_id(document),
        label=content["label"],
        version=content["version"],
        title=content["title"],
        roster=content.get("roster", ""),
        **meaning,
    )


def open_document(
    document: bytes, form: str, required: tuple[str, ...], optional: tuple[str, ...]
) -> dict[str, Any]:
    """The object in a published document, its common part checked. Raises `Refuse` E_FORMAT."""
    try:
        content = parse_document(document, maximum=limits.DOCUMENT_BYTES_MAX)
        canonical = canonical_document(content)
    except DocumentError as error:
        raise refuse(Code.FORMAT, str(error)) from None
    if canonical != document:
        raise refuse(Code.FORMAT, "the document is not in its canonical form (RFC 8785)")
    needed = ("format", "label", "version", "title", "source", *required)
    for key in needed:
        if key not in content:
            raise refuse(Code.FORMAT, f"key {key!r} is missing")
    for key in sorted(content):
        if key not in needed and key not in optional:
            raise refuse(Code.FORMAT, f"key {key!r} has no meaning here")
    if content["format"] != form:
        raise refuse(Code.FORMAT, f"format {content['format']!r}, expected {form!r}")
    for key, maximum in (
        ("label", limits.LABEL_BYTES_MAX),
        ("version", limits.TAG_BYTES_MAX),
        ("title", limits.TITLE_BYTES_MAX),
        ("source", limits.SOURCE_BYTES_MAX),
        ("roster", limits.LABEL_BYTES_MAX),
    ):
        value = content.get(key, "-")
        if not isinstance(value, str) or not 0 < len(value.encode()) <= maximum:
            raise refuse(Code.FORMAT, f"{key}: expected a text of 1 to {maximum} bytes")
    text_hash = content.get("text_hash", "0" * 64)
    if not isinstance(text_hash, str) or not HASH.fullmatch(text_hash):
        raise refuse(Code.FORMAT, "text_hash: expected 64 hexadecimal digits")
    return content


# -- the clauses -----------------------------------------------------------------------------------


class _BadClauseError(Exception):
    """A clause's value is none that it may have."""


_REQUIRED = object()
_Clause = Callable[[Any], Mapping[str, Any]]


def _whole(value: object, maximum: int, minimum: int = 0) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
        raise _BadClauseError(f"expected a whole number from {minimum} to {maximum}, got {value!r}")
    return value


def _word(attribute: str, *choices: str) -> _Clause:
    def read(value: Any) -> Mapping[str, Any]:
        if value not in choices:
            raise _BadClauseError(f"{value!r} is none of {', '.join(choices)}")
        return {attribute: value}

    return read


def _number(attribute: str, maximum: int, minimum: int = 0) -> _Clause:
    def read(value: Any) -> Mapping[str, Any]:
        return {attribute: _whole(value, maximum, minimum)}

    return read


def _bound(attribute: str, maximum: int, minimum: int = 0) -> _Clause:
    """As `_number`, but null says that there is no bound."""

    def read(value: Any) -> Mapping[str, Any]:
        return {attribute: None if value is None else _whole(value, maximum, minimum)}

    return read


def _words(attribute: str, pattern: re.Pattern[str], most: int) -> _Clause:
    def read(value: Any) -> Mapping[str, Any]:
        return {attribute: _texts(value, pattern, most)}

    return read


def _texts(value: Any, pattern: re.Pattern[str], most: int) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > most:
        raise _BadClauseError(f"expected a list of at most {most} texts")
    for item in value:
        if not isinstance(item, str) or not pattern.fullmatch(item):
            raise _BadClauseError(f"{item!r} has not the form asked for")
        if len(item.encode()) > limits.IRI_BYTES_MAX:
            raise _BadClauseError(f"{item!r} is longer than {limits.IRI_BYTES_MAX} bytes")
    if any(a >= b for a, b in pairwise(value)):
        raise _BadClauseError("a set is written ascending, each value once")
    return tuple(value)


def _only(value: Any, *keys: str) -> tuple[str, Any]:
    """The one key of an object such as {"group": "clients"} and its value."""
    if not isinstance(value, dict) or len(value) != 1 or next(iter(value)) not in keys:
        raise _BadClauseError(f"expected an object with one of the keys {', '.join(keys)}")
    return next(iter(value.items()))


def _recipients(value: Any) -> Mapping[str, Any]:
    if value == "ANY_MEMBER":
        return {"onward_group": None, "onward_list": None}
    key, inner = _only(value, "group", "list")
    if key == "list":
        parties = _texts(inner, PARTY_ID, limits.RECIPIENT_LIST_MAX)
        return {"onward_group": None, "onward_list": parties}
    if not isinstance(inner, str) or not PARTY_ID.fullmatch(inner):
        raise _BadClauseError(f"{inner!r} is no group name")
    return {"onward_group": inner, "onward_list": None}


def _duration(value: Any) -> Mapping[str, Any]:
    if value == "UNLIMITED":
        return {"from_accept_ms": None, "until_ms": None}
    key, inner = _only(value, "from_accept_ms", "until_ms")
    if key == "from_accept_ms":
        return {"from_accept_ms": _whole(inner, limits.DURATION_MS_MAX, 1), "until_ms": None}
    return {"from_accept_ms": None, "until_ms": _whole(inner, limits.TIME_MS_MAX, 1)}


def _transparency(value: Any) -> Mapping[str, Any]:
    if value in ("EX_POST", "ON_REQUEST"):
        return {"transparency": value, "ex_ante_ms": None}
    _, inner = _only(value, "ex_ante_ms")
    return {"transparency": "EX_ANTE", "ex_ante_ms": _whole(inner, limits.DURATION_MS_MAX)}


def _portability(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, bool):
        raise _BadClauseError(f"expected true or false, got {value!r}")
    return {"portability": value}


def _roster(value: Any) -> Mapping[str, Any]:
    ids = _texts(value, HASH, limits.ROSTER_MAX)
    return {"counter_roster": tuple(bytes.fromhex(item) for item in ids)}


_DAY_MS = 24 * limits.HOUR_MS

# name -> (how its value is read, what stands when it is not said)
CLAUSES: dict[str, tuple[_Clause, Any]] = {
    "onward.mode": (
        _word("onward_mode", PROHIBITED, SAME_TERMS, CONSENT_PER_SHARE, ANONYMISED_ONLY),
        PROHIBITED,
    ),
    "onward.max_depth": (_number("onward_max_depth", limits.DEPTH_MAX, 1), 1),
    "onward.recipients": (_recipients, {"list": []}),
    "onward.max_count": (_bound("onward_max_count", limits.ONWARD_COUNT_MAX, 1), None),
    "duration": (_duration, _REQUIRED),
    "retention_after_end_ms": (_bound("retention_after_end_ms", limits.DURATION_MS_MAX), 0),
    "deletion": (_word("deletion", "NOT_REQUIRED", "ON_REQUEST", "REQUIRED"), "REQUIRED"),
    "attest_within_ms": (_number("attest_within_ms", limits.DURATION_MS_MAX), 30 * _DAY_MS),
    "purposes_allowed": (_words("purposes_allowed", IRI, limits.PURPOSES_MAX), _REQUIRED),
    "purposes_forbidden": (_words("purposes_forbidden", IRI, limits.PURPOSES_MAX), []),
    "jurisdictions": (_words("jurisdictions", COUNTRY, limits.JURISDICTIONS_MAX), []),
    "revocable_by": (_word("revocable_by", "FIRST", "BOTH", "NONE"), "FIRST"),
    "notice_ms": (_number("notice_ms", limits.DURATION_MS_MAX), 0),
    "breach_notice_ms": (_number("breach_notice_ms", limits.DURATION_MS_MAX), 2 * _DAY_MS),
    "transparency": (_transparency, "ON_REQUEST"),
    "signals": (_words("signals", TAG, limits.TAGS_MAX), []),
    "portability": (_portability, False),
    "counter_roster": (_roster, []),
}


# -- transactions ----------------------------------------------------------------------------------


def publish(ctx: Context, payload: TermsPublish) -> None:
    """terms.publish: a registry party makes a terms document known."""
    require_registry(ctx)
    terms = parse_terms(payload.document)
    key = terms_key(terms.terms_id)
    if ctx.get(key) is not None:
        raise refuse(Code.DUPLICATE, f"terms {terms.terms_id.hex()} are published", rule="")
    _store(ctx, key, payload.document, PUBLISHED)
    ctx.emit(
        "terms.publish",
        {"terms_id": terms.terms_id.hex(), "label": terms.label, "version": terms.version},
        EVERYONE,
    )


def deprecate(ctx: Context, payload: TermsDeprecate) -> None:
    """terms.deprecate: no new root agreement under them."""
    _change(ctx, payload.terms, "terms.deprecate", (PUBLISHED,), DEPRECATED)


def recall(ctx: Context, payload: TermsRecall) -> None:
    """terms.recall: nothing new under them; what stands goes on."""
    _change(ctx, payload.terms, "terms.recall", (PUBLISHED, DEPRECATED), RECALLED)


def require_registry(ctx: Context) -> None:
    """Refuse E_SIGNER unless the caller is a registry."""
    party = ctx.party(ctx.caller)
    if party is None or party.kind != "REGISTRY":
        raise refuse(Code.SIGNER, f"{ctx.caller} is no registry")


def find_terms(reader: Reader, terms_id: bytes) -> tuple[TermsRecord, Terms]:
    """Published terms with their meaning. Raises `Refuse` E_UNKNOWN_TERMS."""
    record = load(reader, terms_key(terms_id), TermsRecord)
    if record is None:
        raise refuse(Code.UNKNOWN_TERMS, f"terms {terms_id.hex()} are not published")
    return record, parse_terms(record.document)


def _change(
    ctx: Context, terms_id: bytes, event: str, allowed: tuple[str, ...], state: str
) -> None:
    require_registry(ctx)
    record, terms = find_terms(ctx, terms_id)
    if record.publisher != ctx.caller:
        raise refuse(Code.SIGNER, f"{terms.label} was published by {record.publisher}")
    if record.state not in allowed:
        raise refuse(Code.STATE, f"{terms.label} is {record.state}")
    _store(ctx, terms_key(terms_id), record.document, state)
    ctx.emit(event, {"terms_id": terms_id.hex(), "label": terms.label}, EVERYONE)


def _store(ctx: Context, key: str, document: bytes, state: str) -> None:
    record = TermsRecord(
        document=document, publisher=ctx.caller, state=state, changed_at_ms=ctx.time_ms
    )
    save(ctx, key, record)
