"""A dossier: all that the chain answers about one agreement, as one document.

    { "format": "onward/dossier/1", "chain_id": hex,
      "agreement": …, "lineage": {"path": […], "nodes": […]}, "history": […], "handshake": […],
      "shares": […], "terms": {…}, "schema": {…}, "receipts": {transaction: text} }

Each part is what the query of that name answers, pages put together. Whoever may read the agreement
can make one; every export is a pure function of it, so the same dossier gives the same bytes on
every machine and on every day. It holds nothing personal that the chain does not hold.

The parts are read one by one here, each with the forms of the contract; that they speak of one
agreement, and say the same of it, is for `onward.exchange.coherence`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from onward.errors import MalformedError
from onward.exchange.letters import SENTENCE_MAX, quoted, start_of
from onward.limits import DOSSIER_BYTES_MAX, DOSSIER_ROWS_MAX, PARTY_ID_BYTES_MAX
from onward_chaincode.contract import Refuse
from onward_chaincode.forms import COUNTRY, HASH, IRI, LAWFUL_BASES, PARTY_ID
from onward_chaincode.payloads import TRANSFORMS
from onward_chaincode.schema import Field, Schema, parse_schema
from onward_chaincode.terms import Terms, parse_terms
from onward_proto.documents import DocumentError, canonical_document, parse_document

FORMAT = "onward/dossier/1"
ACTIVE, SCHEDULED = "ACTIVE", "SCHEDULED"
OVER_BY_TIME = ("EXPIRED", "TERMINATED")
ENDED_BY_ANCESTOR = "ENDED_BY_ANCESTOR"
STATUSES = (
    ACTIVE,
    ENDED_BY_ANCESTOR,
    *OVER_BY_TIME,
    "REVOKED",
    SCHEDULED,
    "SUPERSEDED",
    "SUSPENDED",
)
FOUNDING = (
    "agreement.accept",
    "agreement.amend",
    "agreement.counter",
    "agreement.offer",
    "share.onward",
)
"""The events whose receipts show how an agreement came about."""
HANDED_OVER = ("share.onward", "share.record")
"""The events that a share begins with."""
_KEYS = (
    "agreement",
    "chain_id",
    "format",
    "handshake",
    "history",
    "lineage",
    "receipts",
    "schema",
    "shares",
    "terms",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """An agreement as the chain answers about it. Ids are hex, times milliseconds.

    `parent_id` names the first of a series of amended agreements, `series_id` says which that is.
    """

    agreement_id: str
    parent_id: str | None
    parent_share_id: str | None
    series_id: str
    supersedes_id: str | None
    depth: int
    first_party: str
    second_party: str
    rights_holder: str
    terms_id: str
    fields: tuple[int, ...]
    purposes: tuple[str, ...]
    withdrawn_fields: tuple[int, ...]
    withdrawn_purposes: tuple[str, ...]
    jurisdictions: tuple[str, ...]
    lawful_basis: str
    notice: str
    accepted_at_ms: int
    not_before_ms: int
    ends_at_ms: int | None
    retention_ms: int
    effective: bool
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A recorded share."""

    share_id: str
    agreement_id: str
    parent_share_id: str | None
    sender: str
    recipient: str
    fields: tuple[int, ...]
    purpose: str
    transform: str
    commitment: str
    recorded_at_ms: int
    acknowledged_at_ms: int | None
    withdrawn_at_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something that happened. `by` is who did it, where the chain says so; `scope` of an end.

    `about`: the agreements that it names, the one that it amended among them.
    """

    event: str
    tx_id: str
    at_ms: int
    by: str | None
    scope: str | None
    about: tuple[str, ...]
    share_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dossier:
    """The parsed document. `path` goes up from the agreement to the root, `below` goes down."""

    chain_id: str
    as_of_ms: int
    agreement: Agreement
    schema_id: str
    path: tuple[Agreement, ...]
    below: tuple[Agreement, ...]
    history: tuple[Step, ...]
    handshake: tuple[Step, ...]
    shares: tuple[Share, ...]
    terms: Terms
    schema: Schema
    receipts: tuple[tuple[str, str], ...]

    def iri(self, kind: str, name: str) -> str:
        """The name of a thing outside the chain."""
        return f"urn:onward:{self.chain_id}:{kind}:{name}"

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields that the agreement and everyone above it grant and have not withdrawn."""
        left = set(self.agreement.fields)
        for item in self.path:
            left &= set(item.fields) - set(item.withdrawn_fields)
        return tuple(field for field in self.schema.fields if field.index in left)

    @property
    def purposes(self) -> tuple[str, ...]:
        """The purposes that the agreement and everyone above it grant and have not withdrawn."""
        left = set(self.agreement.purposes)
        for item in self.path:
            left &= set(item.purposes) - set(item.withdrawn_purposes)
        return tuple(sorted(left))

    def parent_of(self, item: Agreement) -> str | None:
        """The agreement that an agreement hangs on now, amended or not."""
        above = {below.agreement_id: over for below, over in pairwise(self.path)}
        if item.agreement_id in above:
            return above[item.agreement_id].agreement_id
        known = {item.series_id: item.agreement_id for item in (*self.below, *self.path)}
        return known.get(item.parent_id or "", item.parent_id)

    @property
    def recipients(self) -> tuple[str, ...]:
        """Who holds the data further on, under an agreement in force. Sorted."""
        return tuple(sorted({item.second_party for item in self.below if item.effective}))


def read_dossier(data: bytes) -> Dossier:
    """The dossier in a file's bytes. Raises `MalformedError` saying which part is wrong.

    Whether its parts belong together is not looked at: see `coherence.parse_dossier`.
    """
    try:
        return _read(_Table(parse_document(data, maximum=DOSSIER_BYTES_MAX), ""))
    except (DocumentError, Refuse) as error:
        raise MalformedError(f"dossier: {start_of(str(error), SENTENCE_MAX)}") from None


def _read(table: _Table) -> Dossier:
    if sorted(table.value) != sorted(_KEYS) or table.value["format"] != FORMAT:
        raise MalformedError(f"dossier: expected {FORMAT} with the keys {', '.join(_KEYS)}")
    agreement = table.table("agreement")
    lineage = table.table("lineage")
    terms = parse_terms(canonical_document(table.table("terms").table("document").value))
    schema = parse_schema(canonical_document(table.table("schema").table("document").value))
    return Dossier(
        chain_id=table.digest("chain_id"),
        as_of_ms=agreement.whole("as_of_ms"),
        agreement=_agreement(agreement),
        schema_id=agreement.digest("schema_id"),
        path=tuple(_agreement(row) for row in lineage.rows("path")),
        below=tuple(_agreement(row) for row in lineage.rows("nodes")),
        history=_steps(table.rows("history")),
        handshake=_steps(table.rows("handshake")),
        shares=_shares(table.rows("shares")),
        terms=terms,
        schema=schema,
        receipts=tuple(sorted(table.table("receipts").texts().items())),
    )


def _agreement(row: _Table) -> Agreement:
    return Agreement(
        agreement_id=row.digest("agreement_id"),
        parent_id=row.maybe_digest("parent_id"),
        parent_share_id=row.maybe_digest("parent_share_id"),
        series_id=row.maybe_digest("series_id") or row.digest("agreement_id"),
        supersedes_id=row.maybe_digest("supersedes_id"),
        depth=row.whole("depth"),
        first_party=row.party("first_party"),
        second_party=row.party("second_party"),
        rights_holder=row.party("rights_holder"),
        terms_id=row.digest("terms_id"),
        fields=row.wholes("fields"),
        purposes=row.words("purposes", IRI),
        withdrawn_fields=row.wholes("withdrawn_fields"),
        withdrawn_purposes=row.words("withdrawn_purposes", IRI),
        jurisdictions=row.words("jurisdictions", COUNTRY),
        lawful_basis=row.one_of("lawful_basis", LAWFUL_BASES),
        notice=row.digest("notice"),
        accepted_at_ms=row.whole("accepted_at_ms"),
        not_before_ms=row.whole("not_before_ms"),
        ends_at_ms=row.maybe_whole("ends_at_ms"),
        retention_ms=row.whole("retention_ms"),
        effective=row.flag("effective"),
        status=row.one_of("status", STATUSES),
    )


def _shares(rows: tuple[_Table, ...]) -> tuple[Share, ...]:
    found = [
        Share(
            share_id=row.digest("share_id"),
            agreement_id=row.digest("agreement_id"),
            parent_share_id=row.maybe_digest("parent_share_id"),
            sender=row.party("sender"),
            recipient=row.party("recipient"),
            fields=row.wholes("fields"),
            purpose=row.iri_or_none("purpose"),
            transform=row.one_of("transform", TRANSFORMS),
            commitment=row.digest("commitment"),
            recorded_at_ms=row.whole("recorded_at_ms"),
            acknowledged_at_ms=row.maybe_whole("acknowledged_at_ms"),
            withdrawn_at_ms=row.maybe_whole("withdrawn_at_ms"),
        )
        for row in rows
    ]
    return tuple(sorted(found, key=lambda share: (share.recorded_at_ms, share.share_id)))


def _steps(rows: tuple[_Table, ...]) -> tuple[Step, ...]:
    return tuple(
        Step(
            event=row.text("event"),
            tx_id=row.digest("tx_id"),
            at_ms=row.whole("at_ms"),
            by=row.maybe_party("by"),
            scope=row.maybe_text("scope"),
            about=_named(row),
            share_id=row.maybe_digest("share_id"),
        )
        for row in rows
    )


def _named(row: _Table) -> tuple[str, ...]:
    single = (row.maybe_digest("agreement_id"), row.maybe_digest("supersedes_id"))
    many = row.words("agreement_ids", HASH) if "agreement_ids" in row.value else ()
    return (*filter(None, single), *many)


class _Table:
    """An object of the document; every access says where it went wrong."""

    def __init__(self, value: Mapping[str, Any], where: str) -> None:
        self.value = dict(value)
        self._where = where

    def table(self, key: str) -> _Table:
        return self._inner(self.value.get(key), key)

    def rows(self, key: str) -> tuple[_Table, ...]:
        rows = self._list(key)
        return tuple(self._inner(row, f"{key}/{place}") for place, row in enumerate(rows))

    def texts(self) -> dict[str, str]:
        """Every key and its text; the keys are ids."""
        return {key: self.text(key) for key in self.value if self._is_digest(key)}

    def text(self, key: str) -> str:
        value = self.value.get(key)
        if not isinstance(value, str):
            raise self._wrong(key, "a text", value)
        return value

    def maybe_text(self, key: str) -> str | None:
        return None if self.value.get(key) is None else self.text(key)

    def digest(self, key: str) -> str:
        return self._formed(key, HASH, "64 hexadecimal digits")

    def party(self, key: str) -> str:
        value = self._formed(key, PARTY_ID, "a party id")
        if len(value) > PARTY_ID_BYTES_MAX:
            raise self._wrong(key, f"a party id of at most {PARTY_ID_BYTES_MAX}", value)
        return value

    def maybe_party(self, key: str) -> str | None:
        return None if self.value.get(key) is None else self.party(key)

    def iri_or_none(self, key: str) -> str:
        """The purpose of a share; the empty text is for none."""
        return self.text(key) and self._formed(key, IRI, "a purpose")

    def one_of(self, key: str, words: tuple[str, ...]) -> str:
        value = self.text(key)
        if value not in words:
            raise self._wrong(key, f"one of {', '.join(words)}", value)
        return value

    def maybe_digest(self, key: str) -> str | None:
        return None if self.value.get(key) is None else self.digest(key)

    def whole(self, key: str) -> int:
        value = self.value.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self._wrong(key, "a whole number", value)
        return value

    def maybe_whole(self, key: str) -> int | None:
        return None if self.value.get(key) is None else self.whole(key)

    def flag(self, key: str) -> bool:
        value = self.value.get(key)
        if not isinstance(value, bool):
            raise self._wrong(key, "true or false", value)
        return value

    def words(self, key: str, form: re.Pattern[str]) -> tuple[str, ...]:
        found = self._list(key)
        if not all(isinstance(item, str) and form.fullmatch(item) for item in found):
            raise self._wrong(key, "a list of words in their form", found)
        return tuple(found)

    def wholes(self, key: str) -> tuple[int, ...]:
        found = self._list(key)
        if not all(isinstance(item, int) and not isinstance(item, bool) for item in found):
            raise self._wrong(key, "a list of whole numbers", found)
        return tuple(found)

    def _formed(self, key: str, form: re.Pattern[str], what: str) -> str:
        value = self.text(key)
        if not form.fullmatch(value):
            raise self._wrong(key, what, value)
        return value

    def _list(self, key: str) -> list[Any]:
        value = self.value.get(key)
        if not isinstance(value, list) or len(value) > DOSSIER_ROWS_MAX:
            raise self._wrong(key, f"a list of at most {DOSSIER_ROWS_MAX}", value)
        return value

    def _inner(self, value: object, key: str) -> _Table:
        if not isinstance(value, dict):
            raise self._wrong(key, "an object", value)
        return _Table(value, f"{self._where}/{key}")

    def _is_digest(self, key: str) -> bool:
        if not HASH.fullmatch(key):
            raise self._wrong(key, "a transaction id as the key", key)
        return True

    def _wrong(self, key: str, expected: str, value: object) -> MalformedError:
        return MalformedError(
            f"dossier: {self._where}/{start_of(key)}: expected {expected}, got {quoted(value)}"
        )
