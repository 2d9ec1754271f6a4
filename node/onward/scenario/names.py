"""What the names in a scenario stand for: parties, documents, fields, and what steps made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from onward.scenario.errors import ScenarioError
from onward.scenario.format import DocumentEntry, PartyEntry, Scenario
from onward.scenario.grammar import Key
from onward.scenario.moments import milliseconds
from onward_chaincode.drafts import ids_of
from onward_chaincode.forms import HASH


class Cast(Protocol):
    """Who stands behind the names of a scenario."""

    def party_id(self, name: str) -> str:
        """The id under which the party is registered."""

    def public_key(self, name: str, number: int) -> bytes:
        """The party's `number`-th public key, from 1."""


@dataclass(slots=True, kw_only=True)
class Made:
    """What is known of a step's transaction: of which terms and schema its records are."""

    kinds: tuple[str, ...]
    terms: str | None = None
    schema: str | None = None
    agreement: str | None = None  # hex: the agreement that a share stands under
    tx_hash: bytes | None = None


class Names:
    """The names of one scenario, for one cast, beginning at one time."""

    def __init__(self, scenario: Scenario, cast: Cast, t0_ms: int) -> None:
        """`t0_ms`: when the story begins."""
        self._scenario = scenario
        self._cast = cast
        self._t0_ms = t0_ms
        self.made: dict[str, Made] = {}

    def party(self, name: object) -> str:
        """The id of the party. Raises `ScenarioError`, as all these do, for a name that is none."""
        return self._cast.party_id(self.entry(name).name)

    def entry(self, name: object) -> PartyEntry:
        """The party as the file has it."""
        entry = self._scenario.parties.get(name) if isinstance(name, str) else None
        if entry is None:
            known = ", ".join(self._scenario.parties)
            raise ScenarioError(f"no party {name!r}; known are {known}")
        return entry

    def reference(self, value: object, kind: str) -> str:
        """The id, in hex, of the record of this kind that the step `value` made."""
        if isinstance(value, str) and HASH.fullmatch(value):
            return value
        made = self.made.get(value) if isinstance(value, str) else None
        if made is None or made.tx_hash is None:
            raise ScenarioError(f"no step {value!r} above, and it is no id of 64 hex digits")
        if kind not in made.kinds:
            does = " and ".join(made.kinds) or "nothing that can be named"
            raise ScenarioError(f"step {value!r} makes {does}, expected one that makes {kind}")
        return ids_of(made.tx_hash.hex())[f"{kind}_id"]

    def document(
        self, value: object, section: str, table: Mapping[str, DocumentEntry]
    ) -> DocumentEntry:
        """The terms or schema with this name."""
        entry = table.get(value) if isinstance(value, str) else None
        if entry is None:
            raise ScenarioError(f"no {section} {value!r}; known are {', '.join(table)}")
        return entry

    def field_indexes(self, value: object, key: Key, given: Mapping[str, Any]) -> list[int]:
        """Field names as indexes, in the schema that the step's own keys, `given`, lead to."""
        if not isinstance(value, list):
            raise ScenarioError(f"expected a list of field names, got {value!r}")
        return [self._field_index(item, key, given) for item in value]

    def _field_index(self, item: object, key: Key, given: Mapping[str, Any]) -> int:
        if isinstance(item, int) and not isinstance(item, bool):
            return item
        prefix = key.key.rpartition("fields")[0]
        named = given.get(f"{prefix}schema") or self._schema_of(given)
        if named is None:
            raise ScenarioError("which schema is meant does not follow from the step")
        entry = self.document(named, "schemas", self._scenario.schemas)
        fields = _indexes(entry.document)
        if not isinstance(item, str) or item not in fields:
            raise ScenarioError(f"schema {named} has no field {item!r}; it has {', '.join(fields)}")
        return fields[item]

    def _schema_of(self, given: Mapping[str, Any]) -> str | None:
        """The schema of the record that a step speaks of."""
        for name in ("parent_share", "agreement", "offer", "intent", "parent_agreement"):
            made = self.made.get(str(given.get(name)))
            if made is not None and made.schema is not None:
                return made.schema
        names = list(self._scenario.schemas)
        return names[0] if len(names) == 1 else None

    def expected(self, value: Any, key: str, now_ms: int) -> Any:
        """An expected answer with names in place: `@alice` a party, `@s1.share` an id of a step."""
        if isinstance(value, dict):
            return {
                self._named(name): self.expected(item, name, now_ms) for name, item in value.items()
            }
        if isinstance(value, list):
            return [self.expected(item, key, now_ms) for item in value]
        if isinstance(value, str) and key.endswith("_ms"):
            return milliseconds(value, t0_ms=self._t0_ms, now_ms=now_ms)
        return self._named(value) if isinstance(value, str) else value

    def _named(self, text: str) -> str:
        if not text.startswith("@"):
            return text
        name, _, kind = text[1:].partition(".")
        if kind:
            return self.reference(name, kind)
        if name in self._scenario.terms:
            return self._scenario.terms[name].document_id
        return self.party(name)


def _indexes(document: Mapping[str, Any]) -> dict[str, int]:
    """A schema's field indexes by name, as far as it has any: it may be wrong on purpose."""
    rows = document.get("fields")
    found: dict[str, int] = {}
    for row in rows if isinstance(rows, list) else ():
        name, index = (row.get("name"), row.get("index")) if isinstance(row, dict) else (None, None)
        if isinstance(name, str) and isinstance(index, int):
            found[name] = index
    return found
