"""The JSON Schema of every document that people or machines write to Onward or get from it.

Terms, schemas of shared data, the genesis and draft files are told by hand beside the code that
parses them: a test holds each pair to the same verdicts. Payloads come from their classes, answers
from theirs.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable
from typing import Any

from onward.exchange.dossier import STATUSES
from onward.exchange.jlinc import Counterpart, JlincEvent, JlincRecord
from onward.exchange.json_schema import (
    HASH,
    Schema,
    message_schema,
    nullable,
    pattern_text,
    strict_object,
    titled,
    whole,
    word_set,
)
from onward.exchange.sentences import Reading
from onward.limits import DOSSIER_ROWS_MAX, PARTY_ID_BYTES_MAX, VALIDATORS_MAX
from onward_chaincode import limits
from onward_chaincode.forms import COUNTRY, IRI, LAWFUL_BASES, PARTY_ID, TAG
from onward_chaincode.payloads import TRANSFORMS
from onward_chaincode.registry import offered, payload_of, payloads_of
from onward_chaincode.schema import FORMAT as SCHEMA_FORMAT
from onward_chaincode.schema import SENSITIVITIES
from onward_chaincode.terms import FORMAT as TERMS_FORMAT
from onward_proto.documents import INTEGER_MAX

_NETWORK_NAME = "[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?"
_FIELD_NAME = "[A-Za-z0-9](?:[A-Za-z0-9._&+-]*[A-Za-z0-9])?"
_NO_CONTROLS = r"^[^\u0000-\u001f\u007f-\u009f]*$"
_HEX = {"type": "string", "pattern": "^(?:[0-9a-f]{2})+$"}


def document_names() -> tuple[str, ...]:
    """What has a schema: documents first, then transaction types."""
    kinds = sorted(kind for name, _ in offered() for kind in payloads_of(name))
    return (*sorted(_DOCUMENTS), *kinds)


def document_schema(name: str) -> Schema | None:
    """The JSON Schema of a document or of a transaction type's draft; None for an unknown name."""
    if name in _DOCUMENTS:
        title, build = _DOCUMENTS[name]
        return titled(name, title, build())
    cls = payload_of(name)
    if cls is None:
        return None
    documents = {"TermsPublish": _terms(), "SchemaPublish": _schema()}
    return titled(name, f"The draft of {name}.", message_schema(cls, documents))


# -- terms and schemas -----------------------------------------------------------------------------


def _text(maximum: int) -> Schema:
    return {"type": "string", "minLength": 1, "maxLength": maximum}


def _published(form: str, **more: Schema) -> dict[str, Schema]:
    return {
        "format": {"const": form},
        "label": _text(limits.LABEL_BYTES_MAX),
        "version": _text(limits.TAG_BYTES_MAX),
        "title": _text(limits.TITLE_BYTES_MAX),
        "source": _text(limits.SOURCE_BYTES_MAX),
        **more,
    }


def _one_key(**keys: Schema) -> list[Schema]:
    return [strict_object({name: schema}) for name, schema in keys.items()]


_SPAN = whole(0, limits.DURATION_MS_MAX)
_PURPOSES = word_set(pattern_text(IRI.pattern, limits.IRI_BYTES_MAX), limits.PURPOSES_MAX)
_PARTY = pattern_text(PARTY_ID.pattern, limits.IRI_BYTES_MAX)

CLAUSE_SCHEMAS: dict[str, Schema] = {
    "onward.mode": {"enum": ["PROHIBITED", "SAME_TERMS", "CONSENT_PER_SHARE", "ANONYMISED_ONLY"]},
    "onward.max_depth": whole(1, limits.DEPTH_MAX),
    "onward.recipients": {
        "anyOf": [
            {"const": "ANY_MEMBER"},
            *_one_key(
                group={"type": "string", "pattern": f"^(?:{PARTY_ID.pattern})$"},
                list=word_set(_PARTY, limits.RECIPIENT_LIST_MAX),
            ),
        ]
    },
    "onward.max_count": nullable(whole(1, limits.ONWARD_COUNT_MAX)),
    "duration": {
        "anyOf": [
            {"const": "UNLIMITED"},
            *_one_key(
                from_accept_ms=whole(1, limits.DURATION_MS_MAX),
                until_ms=whole(1, limits.TIME_MS_MAX),
            ),
        ]
    },
    "retention_after_end_ms": nullable(_SPAN),
    "deletion": {"enum": ["NOT_REQUIRED", "ON_REQUEST", "REQUIRED"]},
    "attest_within_ms": _SPAN,
    "purposes_allowed": _PURPOSES,
    "purposes_forbidden": _PURPOSES,
    "jurisdictions": word_set(pattern_text(COUNTRY.pattern, 2), limits.JURISDICTIONS_MAX),
    "revocable_by": {"enum": ["FIRST", "BOTH", "NONE"]},
    "notice_ms": _SPAN,
    "breach_notice_ms": _SPAN,
    "transparency": {"anyOf": [{"enum": ["EX_POST", "ON_REQUEST"]}, *_one_key(ex_ante_ms=_SPAN)]},
    "signals": word_set(pattern_text(TAG.pattern, limits.IRI_BYTES_MAX), limits.TAGS_MAX),
    "portability": {"type": "boolean"},
    "counter_roster": word_set(HASH, limits.ROSTER_MAX),
}
"""The values of each clause, as `onward_chaincode.terms.CLAUSES` reads them."""


def _terms() -> Schema:
    required = ["duration", "purposes_allowed"]
    clauses = {
        "type": "object",
        "properties": CLAUSE_SCHEMAS,
        "required": required,
        "additionalProperties": False,
        # Who allows onward sharing says who may receive it.
        "if": {
            "properties": {"onward.mode": {"not": {"const": "PROHIBITED"}}},
            "required": ["onward.mode"],
        },
        "then": {"required": ["onward.recipients"]},
    }
    return strict_object(
        _published(
            TERMS_FORMAT, roster=_text(limits.LABEL_BYTES_MAX), text_hash=HASH, clauses=clauses
        ),
        optional=("roster", "text_hash"),
    )


def _schema() -> Schema:
    field = strict_object(
        {
            "index": whole(0, limits.FIELD_INDEX_MAX),
            "name": pattern_text(_FIELD_NAME, limits.TAG_BYTES_MAX),
            "category": pattern_text(IRI.pattern, limits.IRI_BYTES_MAX),
            "sensitivity": {"enum": list(SENSITIVITIES)},
            "identifying": {"type": "boolean"},
        }
    )
    fields = {"type": "array", "items": field, "minItems": 1, "maxItems": limits.FIELDS_MAX}
    return strict_object(_published(SCHEMA_FORMAT, fields=fields))


# -- files -----------------------------------------------------------------------------------------


# As the genesis has them. They stand here once more because this room reads answers and no ledger;
# a test holds schema and parser to the same verdicts.
_TIMES = (
    "future_ms_max",
    "heartbeat_ms",
    "past_ms_max",
    "propose_age_ms",
    "timeout_ms",
    "timeout_ms_max",
)


def _genesis() -> Schema:
    name = {"type": "string", "pattern": f"^{_NETWORK_NAME}$"}
    some_text = {"type": "string", "minLength": 1}
    from_one = whole(1, INTEGER_MAX)
    organisation = {**_text(PARTY_ID_BYTES_MAX), "pattern": _NO_CONTROLS}
    validator = strict_object({"name": name, "organisation": organisation, "public_key": HASH})
    party = strict_object(
        {
            "party": pattern_text(PARTY_ID.pattern, PARTY_ID_BYTES_MAX),
            "kind": some_text,
            "public_key": HASH,
        }
    )
    contract = strict_object({"name": some_text, "version": from_one, "from_height": from_one})
    return strict_object(
        {
            "format": {"const": 1},
            "network": name,
            "time_ms": from_one,
            "parameters": strict_object(dict.fromkeys(_TIMES, from_one)),
            "validators": {
                "type": "array",
                "items": validator,
                "minItems": 1,
                "maxItems": VALIDATORS_MAX,
            },
            "parties": {"type": "array", "items": party},
            "contracts": {"type": "array", "items": contract},
        }
    )


def _draft() -> Schema:
    party = pattern_text(PARTY_ID.pattern, PARTY_ID_BYTES_MAX)
    body = strict_object(
        {
            "transaction": HASH,
            "contract": {"type": "string"},
            "type": {"type": "string"},
            "actor": party,
            "cosigners": {"type": "array", "items": party},
            "valid_until_ms": whole(0, INTEGER_MAX),
            "payload": {"type": ["object", "string"]},
        }
    )
    signature = {"type": "string", "pattern": "^[0-9a-f]{128}$"}
    signed = strict_object({"party": party, "public_key": HASH, "signature": signature})
    return strict_object(
        {
            "format": {"const": "onward/draft/1"},
            "chain_id": HASH,
            "bodies": {"type": "array", "items": _HEX, "minItems": 1},
            "explanation": {"type": "array", "items": body, "minItems": 1},
            "signatures": {"type": "array", "items": signed},
        }
    )


def _dossier() -> Schema:
    """The parts that exports rely on. Answers of the chain may say more: only these are named."""
    party = pattern_text(PARTY_ID.pattern, PARTY_ID_BYTES_MAX)
    purpose = {"type": "string", "pattern": f"^(?:{IRI.pattern})$"}
    purposes = {"type": "array", "items": purpose}
    countries = {"type": "array", "items": pattern_text(COUNTRY.pattern, 2)}
    time = whole(0, INTEGER_MAX)
    agreement = _at_least(
        agreement_id=HASH,
        parent_id=nullable(HASH),
        parent_share_id=nullable(HASH),
        depth=time,
        first_party=party,
        second_party=party,
        rights_holder=party,
        terms_id=HASH,
        fields={"type": "array", "items": {"type": "integer"}},
        purposes=purposes,
        withdrawn_fields={"type": "array", "items": {"type": "integer"}},
        withdrawn_purposes=purposes,
        jurisdictions=countries,
        lawful_basis={"enum": list(LAWFUL_BASES)},
        notice=HASH,
        accepted_at_ms=time,
        not_before_ms=time,
        ends_at_ms=nullable(time),
        retention_ms=_SPAN,
        effective={"type": "boolean"},
        status={"enum": list(STATUSES)},
    )
    share = _at_least(
        share_id=HASH,
        agreement_id=HASH,
        parent_share_id=nullable(HASH),
        sender=party,
        recipient=party,
        fields={"type": "array", "items": {"type": "integer"}},
        purpose={"anyOf": [purpose, {"const": ""}]},
        transform={"enum": list(TRANSFORMS)},
        commitment=HASH,
        recorded_at_ms=time,
        acknowledged_at_ms=nullable(time),
        withdrawn_at_ms=nullable(time),
    )
    steps = _rows(_at_least(event={"type": "string"}, tx_id=HASH, at_ms=time))
    own = {"allOf": [agreement, _at_least(as_of_ms=time, schema_id=HASH)]}
    receipts = {"type": "object", "propertyNames": HASH, "additionalProperties": {"type": "string"}}
    return strict_object(
        {
            "format": {"const": "onward/dossier/1"},
            "chain_id": HASH,
            "agreement": own,
            "lineage": _at_least(path=_rows(agreement), nodes=_rows(agreement)),
            "history": steps,
            "handshake": steps,
            "shares": _rows(share),
            "terms": _at_least(document=_terms()),
            "schema": _at_least(document=_schema()),
            "receipts": receipts,
        }
    )


_TEXTS = {"type": "array", "items": {"type": "string"}}


def _at_least(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": sorted(properties)}


def _rows(item: Schema) -> Schema:
    return {"type": "array", "items": item, "maxItems": DOSSIER_ROWS_MAX}


# -- what commands answer --------------------------------------------------------------------------


def _refusal() -> Schema:
    code = {"type": "string", "pattern": "^E_[A-Z_]+$"}
    properties = {"code": code, "message": {"type": "string"}, "rule": {"type": "string"}}
    return strict_object(properties, optional=("rule",))


def verified_schema(name: str, title: str, cls: type[Any]) -> Schema:
    """What a command answers that verifies: a summary of class `cls`, or why it does not hold."""
    holds = strict_object({"verified": {"const": True}, **_members(cls)})
    refused = strict_object(
        {"verified": {"const": False}, "code": {"type": "string"}, "message": {"type": "string"}}
    )
    return titled(name, title, {"oneOf": [holds, refused]})


_BENCH_KEYS = "command made_at_ms seed validators machine limit_ratio main runs"
_RUN_KEYS = (
    "workload rate holds throughput limit_ratio verify latency_ms transactions processes windows "
    "check"
)


def _bench_result() -> Schema:
    """The frame that comparing and drawing rely on; the figures inside may grow in number."""
    run = _at_least(**({key: {} for key in _RUN_KEYS.split()} | {"holds": {"type": "boolean"}}))
    known = {
        "format": {"const": "onward/bench/1"},
        "made_at_ms": whole(0, INTEGER_MAX),
        "validators": {"type": "integer"},
        "runs": {"type": "array", "items": run, "minItems": 1},
    }
    return _at_least(**({key: {} for key in _BENCH_KEYS.split()} | known))


def _reading() -> Schema:
    return strict_object({**_members(Reading), "document": _terms()})


def _jlinc() -> Schema:
    record = _members(JlincRecord, without=("events",))
    event = _members(JlincEvent, without=("content",))
    return strict_object(
        {
            "verified": {"const": True},
            **record,
            "events": {"type": "array", "items": strict_object(event)},
            "not_proven": _TEXTS,
            "counterparts": {"type": "array", "items": _of_type(Counterpart)},
        }
    )


def _members(cls: type[Any], *, without: tuple[str, ...] = ()) -> dict[str, Schema]:
    hints = typing.get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls) if field.name not in without]
    return {name: _of_type(hints[name]) for name in names}


def _of_type(hint: Any) -> Schema:
    """The schema of what a dataclass holds, as `dataclasses.asdict` and JSON write it."""
    plain = {str: "string", int: "integer", bool: "boolean"}
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple and arguments[-1] is Ellipsis:
        return {"type": "array", "items": _of_type(arguments[0])}
    if origin is tuple:
        items = [_of_type(item) for item in arguments]
        return {"type": "array", "prefixItems": items, "minItems": len(items), "items": False}
    if origin is types.UnionType:
        return {"anyOf": [_of_type(item) for item in arguments]}
    if hint is type(None):
        return {"type": "null"}
    if dataclasses.is_dataclass(hint):
        return strict_object(_members(typing.cast("type[Any]", hint)))
    return {"type": plain[hint]}


_DOCUMENTS: dict[str, tuple[str, Callable[[], Schema]]] = {
    "bench-result": ("What `onward bench` measured.", _bench_result),
    "dossier": ("All that the chain answers about an agreement: for exports.", _dossier),
    "draft": ("A file of transactions on their way to being signed.", _draft),
    "genesis": ("What every party of a network agrees on before its first block.", _genesis),
    "jlinc-verified": ("What `onward import jlinc --json` answers.", _jlinc),
    "refusal": ("What any command answers with --json when it fails.", _refusal),
    "schema": ("A published schema: what the fields of shared data are.", _schema),
    "terms": ("A published terms document.", _terms),
    "terms-read": ("What `onward terms show --json` answers.", _reading),
}
