"""Which keys a step may have, derived from the payload classes: there is no second definition.

A key is the payload's field with three conveniences: `_ms` is left off, because the value carries
its unit; what an offer grants and what a share holds stand directly in the step; and where the
chain has an id, the scenario has a name.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from onward.scenario.errors import ScenarioError
from onward_chaincode import nouns
from onward_chaincode.forms import PARTY_FORM, Shape, shapes
from onward_chaincode.registry import payload_of, payloads_of

CONTRACT, CONTRACT_VERSION = "isa", 1
"""What a file speaks of that names no contract."""

# Messages whose fields stand directly in the step; any other nested message is a table of its own.
_INLINE = ("grant", "share")

# Which records there are, the contracts say.
REFERENCES = nouns.REFERENCES
MAKES = nouns.MAKES

SYSTEM_KEYS: dict[str, tuple[str, ...]] = {
    "party.deactivate": ("party",),
    "party.register": ("parties",),
    "party.rotate_key": ("new_key",),
    "party.set_groups": ("party", "groups"),
}


class Sort(StrEnum):
    """How the value of a key is written."""

    COMMITMENT = "commitment"  # as a label, or a table of what it commits to
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
    payload = payload_of(kind)
    if payload is None:
        raise ScenarioError(f"no contract has the transaction type {kind!r}")
    found: dict[str, Key] = {}
    _collect(payload, "", (), found)
    return found


def step_types(contract: str = CONTRACT) -> tuple[str, ...]:
    """Every type that a step of a file about `contract` may `do`, sorted."""
    return tuple(sorted((*payloads_of(contract), *SYSTEM_KEYS)))


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
    if shape.form.commits is not None:
        return Sort.COMMITMENT
    if shape.name.endswith("_ms"):
        return Sort.TIME
    if shape.name == "fields":
        return Sort.FIELDS
    if shape.wire.kind == "raw":
        if shape.name in REFERENCES:
            return Sort.REFERENCE
        return {"terms": Sort.TERMS, "schema": Sort.SCHEMA}.get(shape.name, Sort.LABEL)
    return Sort.PLAIN
