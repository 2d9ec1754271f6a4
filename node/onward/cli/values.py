"""From what a person types to what a payload says.

The keys of each transaction type come from the payload classes (`scenario.grammar`), so there is no
second list of them. Here are the conveniences: names of the wallet for parties, names given with
`--save` for records, labels or files for terms and schemas, names for fields, `now + 30d` for
times; and what a command may leave out, because the chain knows it.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import click

from onward.cli.asking import id_in, read_answer
from onward.cli.output import UsageFault
from onward.cli.target import Target, file_named, read_file
from onward.errors import Unavailable
from onward.network.access import now_ms
from onward.rpc.client import Client, ReadingParty
from onward.scenario.documents import shipped_documents
from onward.scenario.errors import ScenarioError
from onward.scenario.format import CONTRACT
from onward.scenario.grammar import REFERENCES, Key, Sort, keys_of
from onward.scenario.moments import milliseconds
from onward_chaincode.drafts import published_id
from onward_chaincode.forms import HASH, Shape, shapes
from onward_chaincode.limits import DOCUMENT_BYTES_MAX
from onward_chaincode.payloads import PAYLOADS
from onward_proto.documents import INTEGER_MAX, canonical_document, parse_document

OFFER_OPEN = "now + 7d"
PAYLOAD_FILE_BYTES_MAX = 64 * 1024 * 1024
_MOMENTS = ("_at", "not_before", "valid_until", "effective_at")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ].*)?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One key of a transaction type as an option of the command line."""

    key: Key
    shape: Shape

    @property
    def flag(self) -> str:
        """As it is typed: `--child-expires-at`."""
        return "--" + self.key.key.replace(".", "-").replace("_", "-")

    @property
    def parameter(self) -> str:
        """As click hands it over."""
        return "field_" + self.key.key.replace(".", "_")

    @property
    def is_list(self) -> bool:
        """Whether it may be given several times, or with commas."""
        return self.shape.wire.count is not None


def options_of(kind: str) -> tuple[Option, ...]:
    """The options of a transaction type, in the payload's order."""
    return tuple(
        Option(key=key, shape=_shape_at(PAYLOADS[kind], key.path)) for key in keys_of(kind).values()
    )


def _shape_at(cls: type[Any], path: tuple[str, ...]) -> Shape:
    for place, name in enumerate(path):
        shape = next(item for item in shapes(cls) if item.name == name)
        if place == len(path) - 1:
            return shape
        if shape.wire.message is None:
            break
        cls = shape.wire.message
    raise UsageFault(f"{'.'.join(path)} is no field")


class Values:
    """Resolves what was typed for one transaction."""

    def __init__(self, target: Target, client: Client | None, reader: ReadingParty) -> None:
        """`client` None: nothing can be asked, so only what is complete can be drafted."""
        self._target = target
        self._client = client
        self._reader = reader
        self._fixtures = shipped_documents()
        self._answers: dict[tuple[str, str], dict[str, Any]] = {}
        self.notes: dict[str, str] = {}
        """What the person must keep: the salts of commitments, by key."""

    async def fields(self, kind: str, typed: Mapping[str, Any]) -> dict[str, Any]:
        """The payload's draft for what was typed. Raises `UsageFault` for what is missing."""
        options = {option.key.key: option for option in options_of(kind)}
        given = {name: value for name, value in typed.items() if value not in (None, ())}
        await self._fill(kind, given, options)
        fields: dict[str, Any] = {}
        for name, option in options.items():
            if name in given:
                value = await self._value(option, given[name], given)
                _place(fields, option.key.path, value)
            elif option.key.required:
                raise UsageFault(f"missing option {option.flag}")
        return fields

    # -- what may be left out ----------------------------------------------------------------------

    async def _fill(self, kind: str, given: dict[str, Any], options: Mapping[str, Option]) -> None:
        if "offer_expires_at" in options:
            given.setdefault("offer_expires_at", OFFER_OPEN)
        if "scope" in options:
            parts = [part.upper() for part in ("fields", "purposes") if part in given]
            given.setdefault("scope", parts[0] if parts else "ALL")
        if kind == "share.onward":
            await self._fill_child(given)
        await self._fill_documents(given, options)
        for name, option in options.items():
            if option.key.sort == Sort.LABEL and option.key.required and name not in given:
                given[name] = _random_commitment() if option.key.name == "commitment" else ""

    async def _fill_child(self, given: dict[str, Any]) -> None:
        """The child's grant: what is handed over, for what, unless more is said."""
        if "parent_agreement" not in given and "parent_share" in given:
            share = await self._record("share", given["parent_share"])
            given["parent_agreement"] = id_in(share, "agreement_id")
        if "fields" in given:
            given.setdefault("child.fields", given["fields"])
        if "purpose" in given:
            given.setdefault("child.purposes", (given["purpose"],))

    async def _fill_documents(self, given: dict[str, Any], options: Mapping[str, Option]) -> None:
        """Terms and schema: those of the record that the command names."""
        wanted = [
            name
            for name, option in options.items()
            if option.key.sort in (Sort.TERMS, Sort.SCHEMA)
            and option.key.required
            and name not in given
        ]
        origin = await self._origin(given) if wanted else None
        if origin is not None:
            for name in wanted:
                given[name] = id_in(origin, f"{options[name].key.name}_id")

    async def _origin(self, given: Mapping[str, Any]) -> dict[str, Any] | None:
        """Terms and schema of the record that is named, as `terms_id` and `schema_id`."""
        if self._client is None:
            return None
        for name in ("agreement", "parent_agreement", "intent", "offer"):
            if name in given:
                record = await self._record(name.removeprefix("parent_"), given[name])
                grant = record.get("grant")
                return grant if isinstance(grant, dict) else record
        for name in ("parent_share", "share"):
            if name in given:
                share = await self._record("share", given[name])
                return await self._record("agreement", id_in(share, "agreement_id"))
        return None

    # -- values ------------------------------------------------------------------------------------

    async def _value(self, option: Option, value: Any, given: Mapping[str, Any]) -> Any:
        key = option.key
        match key.sort:
            case Sort.FIELDS:
                return await self._field_indexes(key, value, given)
            case Sort.TIME:
                return moment(key.name, value, option.flag)
            case Sort.PARTY:
                return self._target.party_id(value)
            case Sort.REFERENCE:
                return self._reference(REFERENCES[key.name], value, option.flag)
            case Sort.TERMS | Sort.SCHEMA:
                return self._document_id(value, option.flag)
            case Sort.DOCUMENT:
                return self.document(value)
            case Sort.LABEL:
                return self._digest(key, value)
            case Sort.PLAIN:
                return _plain(option, value)

    async def _field_indexes(self, key: Key, value: Any, given: Mapping[str, Any]) -> list[int]:
        words = split_list(value)
        if all(word.isdecimal() for word in words):
            return [_whole(word, f"--{key.key}") for word in words]
        schema = await self._schema(key, given)
        known = {field["name"]: int(field["index"]) for field in schema["fields"]}
        for word in words:
            if not word.isdecimal() and word not in known:
                raise UsageFault(
                    f"schema {schema['label']} has no field {word!r}; it has {', '.join(known)}"
                )
        return [_whole(word, f"--{key.key}") if word.isdecimal() else known[word] for word in words]

    async def _schema(self, key: Key, given: Mapping[str, Any]) -> dict[str, Any]:
        """The schema whose field names are meant."""
        named = given.get(f"{key.key.rpartition('fields')[0]}schema") or given.get("schema")
        if named is None:
            origin = await self._origin(given)
            named = None if origin is None else id_in(origin, "schema_id")
        if named is None:
            raise UsageFault("which schema are the fields of? Give their indexes, or --schema")
        schema_id = self._document_id(named, "--schema")
        for document in self._fixtures.values():
            if "fields" in document and published_id(document) == schema_id:
                return document
        found = (await self._ask("schema", {"schema_id": schema_id})).get("document")
        # Whoever signs field indexes must not take their names from a document of the node's own.
        if not isinstance(found, dict) or published_id(found) != schema_id:
            raise Unavailable(f"a node answered another schema than {schema_id}")
        return found

    def _reference(self, kind: str, value: str, flag: str) -> str:
        """An id, or the name under which a record was saved."""
        if HASH.fullmatch(value):
            return value
        ids = self._target.record(value)
        if f"{kind}_id" not in ids:
            what = "names no record" if not ids else f"made {', '.join(ids) or 'nothing'}"
            raise UsageFault(
                f"{flag} {value!r}: {what}; expected the {kind}'s id, 64 hex digits, or a name "
                "given with --save"
            )
        return ids[f"{kind}_id"]

    def _document_id(self, value: str, flag: str) -> str:
        if HASH.fullmatch(value):
            return value
        try:
            return published_id(self.document(value))
        except UsageFault:
            raise UsageFault(
                f"{flag} {value!r}: expected a label that ships with Onward, a file, or an id"
            ) from None

    def document(self, value: str) -> dict[str, Any]:
        """Terms or a schema: a label of those that ship with the contract, or a JSON file."""
        if value in self._fixtures:
            return self._fixtures[value]
        file = file_named(value)
        if file is None:
            known = ", ".join(sorted(self._fixtures))
            raise UsageFault(f"{value!r} is neither a file nor one of {known}")
        return parse_document(read_file(file, DOCUMENT_BYTES_MAX))

    def _digest(self, key: Key, value: str) -> str:
        """32 bytes: as they are, or of a file (`@FILE`), or of a text; commitments are salted."""
        if HASH.fullmatch(value):
            return value
        data = value.encode()
        if value.startswith("@"):
            data = read_file(Path(value[1:]), PAYLOAD_FILE_BYTES_MAX)
        if key.name != "commitment":
            return sha256(data).hexdigest()
        salt = secrets.token_bytes(32)
        self.notes[f"{key.key}_salt"] = salt.hex()
        return sha256(salt + data).hexdigest()

    # -- asking ------------------------------------------------------------------------------------

    async def _record(self, kind: str, value: str) -> dict[str, Any]:
        record_id = self._reference(kind, value, f"--{kind}")
        return await self._ask(kind, {f"{kind}_id": record_id})

    async def _ask(self, query: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if self._client is None:
            raise UsageFault(f"without a network nobody can be asked for the {query}: say it all")
        place = (query, json.dumps(arguments, sort_keys=True))
        if place not in self._answers:
            data, height = await self._client.query(
                CONTRACT, query, canonical_document(arguments), self._reader
            )
            self._answers[place] = read_answer(data, height)
        return self._answers[place]


def moment(name: str, value: str, flag: str) -> int:
    """A time or duration in milliseconds: `now + 30d`, `30d`, `2027-01-31`, or a number.

    Where a moment is asked for, a bare duration counts from now.
    """
    now = now_ms()
    text = value.strip()
    if text.isdecimal():
        return _whole(text, flag)
    if _DATE.fullmatch(text):
        try:
            parsed = datetime.fromisoformat(text)
        except ValueError:
            raise UsageFault(f"{flag} {value!r}: no such date") from None
        aware = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
        return int(aware.timestamp()) * 1_000
    is_moment = name.endswith(_MOMENTS)
    if is_moment and not text.startswith(("now", "t0")):
        text = f"now + {text.removeprefix('+')}"
    try:
        return milliseconds(text, t0_ms=now, now_ms=now)
    except ScenarioError:
        raise UsageFault(
            f"{flag} {value!r}: expected a time such as 'now + 30d', '12h', '2027-01-31'"
        ) from None


def split_list(value: Any) -> list[str]:
    """`a,b` and several values alike."""
    items = value if isinstance(value, tuple | list) else (value,)
    return [word.strip() for item in items for word in str(item).split(",") if word.strip()]


def _plain(option: Option, value: Any) -> Any:
    if option.is_list:
        return split_list(value)
    if option.shape.wire.kind != "uint":
        return value
    text = str(value).replace("_", "")
    return _whole(text, option.flag)


def _whole(text: str, flag: str) -> int:
    """A number of no more digits than a document may hold. Raises `UsageFault`."""
    if not text.isdecimal() or len(text) > len(str(INTEGER_MAX)):
        raise UsageFault(f"{flag} {text[:60]!r}: expected a whole number below 2^53")
    return int(text)


def _place(fields: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for part in path[:-1]:
        fields = fields.setdefault(part, {})
    fields[path[-1]] = value


def _random_commitment() -> str:
    """A commitment to nothing that anybody holds: enough to try a command out."""
    return secrets.token_bytes(32).hex()


def option_of(option: Option) -> Any:
    """The click option for a key."""
    key, shape = option.key, option.shape
    words, metavar = _WORDS[key.sort]
    choices = shape.form.choices
    if key.sort == Sort.REFERENCE:
        words = f"The {REFERENCES[key.name]}: its id, or a name given with --save."
    elif key.sort == Sort.LABEL and key.name == "commitment":
        words = f"{words} Left out: random bytes, for trying things out."
    elif key.sort == Sort.TIME and not key.name.endswith(_MOMENTS):
        words = "A duration: '30d', '12h'."
    elif key.sort in (Sort.TERMS, Sort.SCHEMA) and key.key.startswith("child."):
        words = f"The parent's, unless another {key.name} is named."
    elif choices:
        words, metavar = f"One of {', '.join(choices)}.", "WORD"
    elif key.sort == Sort.PLAIN:
        metavar = "N" if shape.wire.kind == "uint" else "TEXT"
        words = "Repeatable, or with commas." if option.is_list else ""
    return click.option(
        option.flag,
        option.parameter,
        multiple=option.is_list,
        type=click.Choice(choices, case_sensitive=False) if choices else str,
        metavar=metavar,
        help=" ".join(filter(None, (words, "Required." if _is_asked_for(key) else ""))) or None,
    )


def _is_asked_for(key: Key) -> bool:
    """Whether nothing else can say what this key would."""
    return key.required and (
        key.sort in (Sort.REFERENCE, Sort.PARTY, Sort.PLAIN, Sort.TIME)
        and key.name not in ("parent_agreement", "scope", "offer_expires_at")
    )


_WORDS: dict[Sort, tuple[str, str]] = {
    Sort.DOCUMENT: ("", "DOCUMENT"),
    Sort.FIELDS: ("Fields of the schema, by name or index; repeatable, or with commas.", "FIELDS"),
    Sort.LABEL: ("64 hex digits, @FILE to hash, or a text to hash.", "HASH"),
    Sort.PARTY: ("A party: a name of the wallet, or an id.", "PARTY"),
    Sort.PLAIN: ("", "TEXT"),
    Sort.REFERENCE: ("", "ID"),
    Sort.SCHEMA: ("A schema: a label such as S-CONTACT, a file, or an id.", "SCHEMA"),
    Sort.TERMS: ("Terms: a label such as T-P2B1, a file, or an id.", "TERMS"),
    Sort.TIME: ("A time: 'now + 30d', '12h', '2027-01-31'.", "TIME"),
}
