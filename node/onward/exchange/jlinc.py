"""JLINC records of versions 6 and 7: read, and re-checked as far as they can be without a secret.

What can be checked by anybody: every id is the hash of what it names, every Ed25519 signature is
that of the key beside it over that hash, and events follow each other. What cannot: the JWTs inside
are HS256, made with secrets that only one side has, so *they* prove nothing to anybody else; nor
does a record prove that a key belongs to its DID, nor that its times are right. Sources: the JLINC
protocol's schema, versions 6 (2018) and 7 (2020).

A record file is one object: `sisa`, the accepted agreement, and `events`, in their order. An
accepted agreement alone is read too.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from onward.crypto.signing import verify
from onward.errors import RejectedError
from onward.exchange.letters import has_half_letter, quoted, start_of
from onward.exchange.moments import parse_instant
from onward.limits import IMPORT_BYTES_MAX, IMPORT_EVENTS_MAX, IMPORT_TOKEN_BYTES_MAX

FORMAT, HASH, SIGNATURE, CHAIN = "E_JLINC_FORMAT", "E_JLINC_HASH", "E_JLINC_SIG", "E_JLINC_CHAIN"
SIGNATURE_TYPE = "sha256:ed25519"
EVENT_TYPES = ("dataEvent", "permissionEvent", "statusEvent")
NESTING_MAX = 16
DID_CHARACTERS_MAX = 512

_CONTEXT = re.compile(r"https://protocol\.jlinc\.org/context/jlinc-v([67])\.jsonld")
_TOKEN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*", re.ASCII)
_NONCE = re.compile(r"[0-9a-f]{64}", re.ASCII)
_BASE64 = re.compile(r"[A-Za-z0-9_-]*", re.ASCII)
# As W3C's DID Core writes them: tables and refusals name who signed, so it must be plain to read.
_DID = re.compile(r"did:[a-z0-9]+:(?:[A-Za-z0-9._:-]|%[0-9A-Fa-f]{2})*[A-Za-z0-9._-]", re.ASCII)

NOT_PROVEN = (
    "that the JWTs were made by who signed: they are HS256, under secrets that only one side has",
    "that a key belongs to the DID beside it: that is for the DID's own registry to say",
    "that a time is right: each side wrote its own clock down",
    "that no later event exists: the record ends where whoever handed it over ended it",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Who signed, as the record says, and the key that did."""

    did: str
    public_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JlincEvent:
    """One event of an agreement. `acknowledged_by`: the custodian, if it signed too."""

    event_id: str
    kind: str
    created_at_ms: int
    acknowledged_by: Signer | None
    content: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class JlincRecord:
    """A record of which every hash, signature and link was checked."""

    version: int
    sisa_id: str
    jlinc_id: str
    agreement: str
    text_hash: str | None
    rights_holder: Signer
    data_custodian: Signer
    offered_at_ms: int
    accepted_at_ms: int
    events: tuple[JlincEvent, ...]


def read_jlinc(data: bytes) -> JlincRecord:
    """The record in a file's bytes, verified.

    Raises `RejectedError` whose code says what is wrong (not a record, a hash that is another, a
    signature that is not valid, an event that does not follow) and whose message says where and
    whose it is.
    """
    if len(data) > IMPORT_BYTES_MAX:
        _refuse(FORMAT, "file", f"{len(data)} bytes, at most {IMPORT_BYTES_MAX}")
    content = _object(_parse(data, "file"), "file")
    if "acceptedBisaJwt" in content:
        _refuse(FORMAT, "file", "a BISA, an agreement between businesses, is not read: only a SISA")
    if "acceptedSisaJwt" in content:
        content = {"sisa": content, "events": []}
    if sorted(content) not in (["events", "sisa"], ["sisa"]):
        _refuse(FORMAT, "file", "expected `sisa` and `events`, or an accepted SISA alone")
    record = _read_sisa(_Part(_object(content["sisa"], "sisa"), "sisa"))
    events = content.get("events", [])
    if not isinstance(events, list) or len(events) > IMPORT_EVENTS_MAX:
        _refuse(FORMAT, "events", f"expected a list of at most {IMPORT_EVENTS_MAX}")
    found: list[JlincEvent] = []
    for place, event in enumerate(events):
        where = f"events/{place}"
        previous = found[-1].event_id if found else None
        found.append(_read_event(_Part(_object(event, where), where), record, previous))
    return JlincRecord(**{**_members(record), "events": tuple(found)})


def _members(record: JlincRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in JlincRecord.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterpart:
    """What a part of the record would be on this ledger, and what somebody would have to add."""

    of: str
    type: str
    by: str
    lacks: str


_EVENT_COUNTERPARTS = {
    "dataEvent": ("share.record", "the fields of a schema, a purpose, a salted commitment"),
    "permissionEvent": ("agreement.revoke", "which fields or purposes: only narrowing is possible"),
    "statusEvent": ("agreement.revoke", "what the status means: JLINC leaves it to the parties"),
}


def counterparts(record: JlincRecord) -> tuple[Counterpart, ...]:
    """What the record would be as transactions. Each has to be signed anew, by the same parties.

    Nothing is imported onto the chain: a signature over a JLINC hash is none over a transaction.
    """
    holder, custodian = record.rights_holder.did, record.data_custodian.did
    found = [
        Counterpart(
            of="offeredSisa",
            type="agreement.offer",
            by=custodian,
            lacks="terms and schema of this ledger, fields, purposes, a notice, an end",
        ),
        Counterpart(of="acceptedSisa", type="agreement.accept", by=holder, lacks="nothing"),
    ]
    for event in record.events:
        kind, lacks = _EVENT_COUNTERPARTS[event.kind]
        found.append(Counterpart(of=event.event_id, type=kind, by=holder, lacks=lacks))
        if event.acknowledged_by is not None and kind == "share.record":
            ack = Counterpart(of=event.event_id, type="share.ack", by=custodian, lacks="nothing")
            found.append(ack)
    return tuple(found)


# -- the agreement ---------------------------------------------------------------------------------


def _read_sisa(sisa: _Part) -> JlincRecord:
    version = sisa.version()
    accepted_token = sisa.token("acceptedSisaJwt")
    sisa_id = sisa.text("sisaId")
    if sisa_id != _sha256_text(accepted_token):
        _refuse(HASH, "sisa/sisaId", "is not the hash of acceptedSisaJwt: changed, or another's")
    accepted = _opened(accepted_token, "sisa/acceptedSisa")
    accepted.version()
    offered_token = accepted.token("offeredSisaJwt")
    rights_holder = accepted.signer("rightsHolder")
    accepted.check_signature("rightsHolder", rights_holder, _digest(offered_token))
    offered = _opened(offered_token, "sisa/acceptedSisa/offeredSisa")
    offered.version()
    agreement_token = offered.token("agreementJwt")
    custodian = offered.signer("dataCustodian")
    offered.check_signature("dataCustodian", custodian, _digest(agreement_token))
    agreement = _opened(agreement_token, "sisa/acceptedSisa/offeredSisa/agreement")
    agreement.version()
    jlinc_id = agreement.text("jlincId")
    if not _NONCE.fullmatch(jlinc_id):
        _refuse(FORMAT, agreement.at("jlincId"), "expected 64 hexadecimal digits")
    text, text_hash = _agreement_text(agreement)
    return JlincRecord(
        version=version,
        sisa_id=sisa_id,
        jlinc_id=jlinc_id,
        agreement=text,
        text_hash=text_hash,
        rights_holder=rights_holder,
        data_custodian=custodian,
        offered_at_ms=offered.moment("createdAt"),
        accepted_at_ms=accepted.moment("createdAt"),
        events=(),
    )


def _agreement_text(agreement: _Part) -> tuple[str, str | None]:
    """Where or what the legal text is, and its SHA-256 where the record states it.

    A text that is in the record must have the hash that the record states.
    """
    if "agreementURI" in agreement.content:
        uri = agreement.text("agreementURI")
        last = uri.rstrip("/").rpartition("/")[2]
        return uri, last if _NONCE.fullmatch(last) else None
    text = agreement.text("agreementText")
    digest = hashlib.sha256(text.encode()).hexdigest()
    if "agreementHash" in agreement.content and agreement.text("agreementHash") != digest:
        _refuse(HASH, agreement.at("agreementHash"), "is not the hash of agreementText")
    return text, digest


# -- events ----------------------------------------------------------------------------------------


def _read_event(event: _Part, record: JlincRecord, previous: str | None) -> JlincEvent:
    event.version()
    audit = event.part("audit")
    token = event.token("eventJwt")
    kind = audit.text("eventType")
    if kind not in EVENT_TYPES:
        known = ", ".join(EVENT_TYPES)
        _refuse(FORMAT, audit.at("eventType"), f"{quoted(kind)} is none of {known}")
    if audit.text("sisaId") != record.sisa_id:
        _refuse(CHAIN, audit.at("sisaId"), "the event belongs to another agreement")
    stated = audit.content.get("previousId")
    if stated != previous:
        # JLINC's own code never looks at this link: an event left out would pass unseen.
        expected = previous or "null: it is the first"
        _refuse(CHAIN, audit.at("previousId"), f"is {quoted(stated)}, expected {expected}")
    created_at = audit.text("createdAt")
    event_id = audit.text("eventId")
    link = "null" if previous is None else previous
    if event_id != _sha256_text(f"{record.sisa_id}.{token}.{link}.{created_at}"):
        _refuse(HASH, audit.at("eventId"), "is not the hash of the event")
    raw = audit.base64("eventId", 32)
    holder = audit.signer("rightsHolder")
    audit.check_signature("rightsHolder", holder, raw)
    _same_signer(audit, "rightsHolder", holder, record.rights_holder)
    custodian = None
    if any(key.startswith("dataCustodian") for key in audit.content):
        custodian = audit.signer("dataCustodian")
        audit.check_signature("dataCustodian", custodian, raw)
        _same_signer(audit, "dataCustodian", custodian, record.data_custodian)
    return JlincEvent(
        event_id=event_id,
        kind=kind,
        created_at_ms=audit.moment("createdAt"),
        acknowledged_by=custodian,
        content=_opened(token, event.at("event")).content,
    )


def _same_signer(audit: _Part, role: str, found: Signer, expected: Signer) -> None:
    if found != expected:
        signers = f"signed by {quoted(found.did)}, not by {quoted(expected.did)}"
        _refuse(SIGNATURE, audit.at(f"{role}Did"), signers)


# -- parts -----------------------------------------------------------------------------------------


class _Part:
    """An object of the record; every access says where it went wrong."""

    def __init__(self, content: dict[str, Any], where: str) -> None:
        self.content = content
        self._where = where

    def at(self, key: str) -> str:
        return f"{self._where}/{key}"

    def part(self, key: str) -> _Part:
        return _Part(_object(self.content.get(key), self.at(key)), self.at(key))

    def text(self, key: str) -> str:
        value = self.content.get(key)
        if not isinstance(value, str) or not value:
            _refuse(FORMAT, self.at(key), "expected a text")
        return value

    def version(self) -> int:
        match = _CONTEXT.fullmatch(self.text("@context"))
        if match is None:
            _refuse(FORMAT, self.at("@context"), "expected the context of JLINC version 6 or 7")
        return int(match[1])

    def token(self, key: str) -> str:
        value = self.text(key)
        if len(value) > IMPORT_TOKEN_BYTES_MAX or not _TOKEN.fullmatch(value):
            _refuse(FORMAT, self.at(key), "expected a JWT")
        return value

    def moment(self, key: str) -> int:
        found = parse_instant(self.text(key))
        if found is None:
            _refuse(FORMAT, self.at(key), "expected a time such as 2018-12-14T21:18:55.379Z")
        return found

    def base64(self, key: str, size: int) -> bytes:
        found = _decoded(self.text(key))
        if found is None or len(found) != size:
            _refuse(FORMAT, self.at(key), f"expected {size} bytes in base64url")
        return found

    def signer(self, role: str) -> Signer:
        """The DID, in either spelling of its key, and the public key of a role."""
        spellings = [key for key in (f"{role}Did", f"{role}DID") if key in self.content]
        if len(spellings) != 1:
            _refuse(FORMAT, self.at(f"{role}Did"), "expected it once, as …Did or as …DID")
        did = self.text(spellings[0])
        if len(did) > DID_CHARACTERS_MAX or not _DID.fullmatch(did):
            _refuse(FORMAT, self.at(spellings[0]), f"{quoted(did)} is no DID")
        self.base64(f"{role}PublicKey", 32)
        return Signer(did=did, public_key=self.text(f"{role}PublicKey"))

    def check_signature(self, role: str, signer: Signer, signed: bytes) -> None:
        """Raises E_JLINC_SIG unless the role's key signed these 32 bytes."""
        if self.text(f"{role}SigType") != SIGNATURE_TYPE:
            _refuse(FORMAT, self.at(f"{role}SigType"), f"expected {SIGNATURE_TYPE}")
        signature = self.base64(f"{role}Sig", 64)
        if not verify(self.base64(f"{role}PublicKey", 32), signed, signature):
            _refuse(SIGNATURE, self.at(f"{role}Sig"), f"is no signature of {quoted(signer.did)}")


def _opened(token: str, where: str) -> _Part:
    """What a JWT says. Its own signature is not looked at: see the module."""
    payload = _decoded(token.split(".")[1])
    if payload is None:
        _refuse(FORMAT, where, "the JWT's payload is not base64url")
    return _Part(_object(_parse(payload, where), where), where)


def _parse(data: bytes, where: str) -> Any:
    """JSON without duplicate keys or half letters, not nested deeper than a record is."""
    try:
        value = json.loads(
            data.decode(),
            object_pairs_hook=lambda pairs: _unique(pairs, where),
            parse_constant=lambda name: _refuse(FORMAT, where, f"{name} is no JSON"),
        )
    except (ValueError, RecursionError) as error:
        _refuse(FORMAT, where, f"not JSON: {error}")
    _check(value, (where,))
    return value


def _unique(pairs: list[tuple[str, Any]], where: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            twice = f"key {quoted(key)} stands twice: two readers would see two records"
            _refuse(FORMAT, where, twice)
        found[key] = value
    return found


def _check(value: object, path: tuple[str, ...]) -> None:
    """`path`: where the value stands, which is spelled out only for a refusal."""
    if len(path) > NESTING_MAX + 1:
        _refuse(FORMAT, path[0], f"nested deeper than {NESTING_MAX}")
    if isinstance(value, str) and has_half_letter(value):
        _refuse(FORMAT, _spelled_path(path), "holds half a letter, a lone surrogate")
    if isinstance(value, dict):
        for key, item in value.items():
            _check(key, path)
            _check(item, (*path, key))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            _check(item, (*path, str(place)))


def _spelled_path(path: tuple[str, ...]) -> str:
    return "/".join(map(start_of, path))


def _object(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        _refuse(FORMAT, where, "expected an object")
    return value


def _decoded(text: str) -> bytes | None:
    """base64url without padding; None for what is none, or could be written otherwise."""
    if not _BASE64.fullmatch(text):
        return None
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return None
    return data if _encoded(data) == text else None


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _sha256_text(text: str) -> str:
    return _encoded(_digest(text))


def _refuse(code: str, where: str, what: str) -> NoReturn:
    raise RejectedError(code, f"{where}: {what}")
