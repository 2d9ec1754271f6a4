"""Schemas: what the fields of shared data are, understood without being told."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from onward_chaincode import limits
from onward_chaincode.contract import Context, Reader
from onward_chaincode.errors import Code, refuse
from onward_chaincode.forms import IRI, TAG
from onward_chaincode.keys import schema_key
from onward_chaincode.payloads import SchemaPublish
from onward_chaincode.records import SchemaRecord, load, save
from onward_chaincode.terms import EVERYONE, open_document, require_registry
from onward_proto.documents import document_id

FORMAT = "onward/schema/1"
SENSITIVITIES = ("NONE", "SENSITIVE", "SPECIAL")
_FIELD_KEYS = {"index", "name", "category", "sensitivity", "identifying"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field: `index` is what grants name, `identifying` whether it points to a person."""

    index: int
    name: str
    category: str
    sensitivity: str
    identifying: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """What a schema document means; fields ascend by index."""

    schema_id: bytes
    label: str
    version: str
    title: str
    fields: tuple[Field, ...]

    @property
    def indexes(self) -> frozenset[int]:
        """The indexes that exist."""
        return frozenset(field.index for field in self.fields)

    @property
    def identifying(self) -> frozenset[int]:
        """The indexes of fields that point to a person."""
        return frozenset(field.index for field in self.fields if field.identifying)

    @property
    def names(self) -> dict[int, str]:
        """The names of the fields, for people, by index."""
        return {field.index: field.name for field in self.fields}


@functools.lru_cache(maxsize=limits.DOCUMENTS_REMEMBERED_MAX)
def _parse(document: bytes) -> Schema:
    content = open_document(document, FORMAT, ("fields",), ())
    rows = content["fields"]
    if not isinstance(rows, list) or not 0 < len(rows) <= limits.FIELDS_MAX:
        raise refuse(Code.FORMAT, f"fields: expected a list of 1 to {limits.FIELDS_MAX}")
    fields = tuple(_field(row, position) for position, row in enumerate(rows))
    if any(a.index >= b.index for a, b in pairwise(fields)):
        raise refuse(Code.FORMAT, "fields: indexes ascend, each once")
    if len({field.name for field in fields}) != len(fields):
        raise refuse(Code.FORMAT, "fields: a name stands twice")
    return Schema(
        schema_id=document_id(document),
        label=content["label"],
        version=content["version"],
        title=content["title"],
        fields=fields,
    )


def parse_schema(document: bytes) -> Schema:
    """The schema that a canonical document states. Raises `Refuse` E_FORMAT."""
    return _parse(document)


def _field(row: Any, position: int) -> Field:
    at = f"fields/{position}"
    if not isinstance(row, dict) or set(row) != _FIELD_KEYS:
        raise refuse(Code.FORMAT, f"{at}: expected the keys {', '.join(sorted(_FIELD_KEYS))}")
    index, name, category = row["index"], row["name"], row["category"]
    whole = isinstance(index, int) and not isinstance(index, bool)
    if not whole or not 0 <= index <= limits.FIELD_INDEX_MAX:
        raise refuse(Code.FORMAT, f"{at}/index: expected 0 to {limits.FIELD_INDEX_MAX}")
    if not isinstance(name, str) or len(name) > limits.TAG_BYTES_MAX or not _is_name(name):
        raise refuse(Code.FORMAT, f"{at}/name: letters, digits and inner ._ of at most 32")
    if not isinstance(category, str) or len(category) > limits.IRI_BYTES_MAX:
        raise refuse(Code.FORMAT, f"{at}/category: expected an IRI")
    if not IRI.fullmatch(category):
        raise refuse(Code.FORMAT, f"{at}/category: expected an IRI")
    if row["sensitivity"] not in SENSITIVITIES or not isinstance(row["identifying"], bool):
        raise refuse(Code.FORMAT, f"{at}: sensitivity or identifying has no valid value")
    return Field(
        index=index,
        name=name,
        category=category,
        sensitivity=row["sensitivity"],
        identifying=row["identifying"],
    )


def _is_name(name: str) -> bool:
    return TAG.fullmatch(name.replace("_", ".")) is not None


def publish(ctx: Context, payload: SchemaPublish) -> None:
    """schema.publish: a registry party makes a schema known."""
    require_registry(ctx)
    schema = parse_schema(payload.document)
    key = schema_key(schema.schema_id)
    if ctx.get(key) is not None:
        raise refuse(Code.DUPLICATE, f"schema {schema.schema_id.hex()} is published", rule="")
    record = SchemaRecord(
        document=payload.document, publisher=ctx.caller, published_at_ms=ctx.time_ms
    )
    save(ctx, key, record)
    ctx.emit(
        "schema.publish",
        {"schema_id": schema.schema_id.hex(), "label": schema.label, "version": schema.version},
        EVERYONE,
    )


def find_schema(reader: Reader, schema_id: bytes) -> Schema:
    """A published schema with its meaning. Raises `Refuse` E_UNKNOWN_SCHEMA."""
    record = load(reader, schema_key(schema_id), SchemaRecord)
    if record is None:
        raise refuse(Code.UNKNOWN_SCHEMA, f"schema {schema_id.hex()} is not published")
    return parse_schema(record.document)
