"""Which keys a step may have, derived from the payload classes: there is no second definition.

A key is the payload's field with three conveniences: `_ms` is left off, because the value carries
its unit; what an offer grants and what a share holds stand directly in the step; and where the
chain has an id, the scenario has a name.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from onward_chaincode.forms import PARTY_FORM, Shape, shapes
from onward_chaincode.payloads import PAYLOADS

# Messages whose fields stand directly in the step; any other nested message is a table of its own.
_INLINE = ("grant", "share")

# What a key of 32 bytes points to: the kind of the record that an earlier step made.
REFERENCES = {
    "agreement": "agreement",
    "intent": "intent",
    "offer": "offer",
    "parent_agreement": "agreement",
    "parent_share": "share",
    "response": "response",
    "share": "share",
}

# The kinds of record that a transaction of a type makes.
MAKES: dict[str, tuple[str, ...]] = {
    "agreement.accept": ("agreement",),
    "agreement.counter": ("offer",),
    "agreement.offer": ("offer",),
    "intent.cast": ("intent",),
    "intent.respond": ("response",),
    "share.onward": ("agreement", "share"),
    "share.record": ("share",),
}

SYSTEM_KEYS: dict[str, tuple[str, ...]] = {
    "party.deactivate": ("party",),
    "party.register": ("parties",),
    "party.rotate_key": ("new_key",),
    "party.set_groups": ("party", "groups"),
}


class Sort(StrEnum):
    """How the value of a key is written."""

    DOCUMENT = "document"  # the name of terms or of a schema, for publishing it
    FIELDS = "fields"  # names of schema fields, or their indexes
    LABEL = "label"  # a text that stands for 32 bytes, or 64 hexadecimal digits
    PARTY = "party"  # the name of a party
    PLAIN = "plain"  # as the chain has it: a word, a number, a list of words
    REFERENCE = "reference"  # the name of an earlier step
    SCHEMA = "schema"
    TERMS = "terms"
    TIME = "time"  # a time or a duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of a step: `path` is where its value stands in the payload's draft."""

    key: str
    path: tuple[str, ...]
    sort: Sort
    required: bool

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.rpartition(".")[2]


def keys_of(kind: str) -> dict[str, Key]:
    """The keys of a contract's step type; those of a nested table as `child.fields`."""
    found: dict[str, Key] = {}
    _collect(PAYLOADS[kind], "", (), found)
    return found


def step_types() -> tuple[str, ...]:
    """Every type that a step may `do`, sorted."""
    return tuple(sorted((*PAYLOADS, *SYSTEM_KEYS)))


def _collect(cls: type[Any], prefix: str, path: tuple[str, ...], found: dict[str, Key]) -> None:
    for shape in shapes(cls):
        inner = shape.wire.message
        if inner is not None:
            table = prefix if shape.name in _INLINE else f"{prefix}{shape.name}."
            _collect(inner, table, (*path, shape.name), found)
            continue
        key = prefix + shape.name.removesuffix("_ms")
        found[key] = Key(
            key=key, path=(*path, shape.name), sort=_sort(shape), required=shape.required
        )


def _sort(shape: Shape) -> Sort:
    if shape.form.is_document:
        return Sort.DOCUMENT
    if shape.form is PARTY_FORM:
        return Sort.PARTY
    if shape.name.endswith("_ms"):
        return Sort.TIME
    if shape.name == "fields":
        return Sort.FIELDS
    if shape.wire.kind == "raw":
        if shape.name in REFERENCES:
            return Sort.REFERENCE
        return {"terms": Sort.TERMS, "schema": Sort.SCHEMA}.get(shape.name, Sort.LABEL)
    return Sort.PLAIN
