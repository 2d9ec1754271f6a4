"""The scenario file: TOML that a lawyer can read, parsed strictly.

What a key means stands in docs/spec/scenario.md. Here a file becomes values whose names are all
known and whose references all point upwards; unknown keys are refused, so that a misspelt
expectation cannot pass for a fulfilled one.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onward import limits
from onward.scenario.breakage import BREAKS, REPLAY
from onward.scenario.documents import read_documents
from onward.scenario.errors import ScenarioError
from onward.scenario.grammar import CONTRACT as DEFAULT_CONTRACT
from onward.scenario.grammar import CONTRACT_VERSION as DEFAULT_VERSION
from onward.scenario.grammar import step_types
from onward.scenario.moments import milliseconds
from onward.system.parties import PartyKind
from onward_chaincode.contract import Contract
from onward_chaincode.registry import contract_for, newest, offered

CONTRACT, CONTRACT_VERSION = DEFAULT_CONTRACT, DEFAULT_VERSION
SCENARIO_BYTES_MAX = 1024 * 1024
STEPS_MAX = 1_000
PARTIES_MAX = 60
NAME_LETTERS_MAX = 48
DAY_MS = 24 * 3_600_000
BLOCK_TIME_MS_MAX = 253_402_300_799_999  # the end of the year 9999

BUILT_IN_PARTIES = {
    "admin": PartyKind.ADMINISTRATOR,
    "enroller": PartyKind.ENROLLER,
    "registry": PartyKind.REGISTRY,
}
OUTCOMES = ("accepted", "recorded", "refused", "void", "door")
OK = "OK"

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?", re.ASCII)
_CODE = re.compile(r"OK|E_[A-Z0-9_]+", re.ASCII)
_STEP_KEYS = (
    "name", "by", "do", "ask", "at", "together", "with", "key", "break", "body_valid_until",
    "expect", "outcome", "rule", "answer",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyEntry:
    """A party of the scenario. One that is not `registered` is unknown to the chain at first."""

    name: str
    kind: str
    groups: tuple[str, ...]
    jurisdiction: str
    registered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentEntry:
    """Terms or a schema under the scenario's name for it."""

    name: str
    document: Mapping[str, Any]
    document_id: str  # hex
    published: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step: a transaction (`do`) or a question (`ask`), and what is expected of it.

    `fields` are the step's own keys as they were written. `cosigners` None means the usual ones.
    """

    number: int
    name: str
    by: str
    do: str
    ask: str
    at: object
    together: bool
    cosigners: tuple[str, ...] | None
    key: int | None
    breaks: str
    valid_until: object
    expect: str
    outcome: str
    rule: str
    answer: Mapping[str, Any] | None
    fields: Mapping[str, Any]

    @property
    def replays(self) -> str:
        """The step whose bytes this one sends again, or ""."""
        return self.breaks.removeprefix(REPLAY) if self.breaks.startswith(REPLAY) else ""

    @property
    def what(self) -> str:
        """The transaction type or `ask <query>`."""
        return self.do or f"ask {self.ask}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A parsed file."""

    where: str
    title: str
    t0_ms: int
    contract: str
    version: int
    parties: Mapping[str, PartyEntry]
    terms: Mapping[str, DocumentEntry]
    schemas: Mapping[str, DocumentEntry]
    steps: tuple[Step, ...]


def parse_scenario(
    data: bytes, *, where: str, fixtures: Mapping[str, Mapping[str, Any]]
) -> Scenario:
    """The scenario in a file's bytes. `fixtures`: the shipped documents by their label.

    Raises `ScenarioError` that names `where`, the step, what was expected and what came.
    """
    try:
        return _parse(data, where, fixtures)
    except ScenarioError as error:
        raise ScenarioError(f"{where}: {error}") from None


def _parse(data: bytes, where: str, fixtures: Mapping[str, Mapping[str, Any]]) -> Scenario:
    if len(data) > SCENARIO_BYTES_MAX:
        raise ScenarioError(f"{len(data)} bytes, at most {SCENARIO_BYTES_MAX}")
    try:
        content = tomllib.loads(data.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ScenarioError(f"not TOML: {error}") from None
    only(content, "the file", ("title", "t0", "contract", "parties", "terms", "schemas", "step"))
    title = text_of(content, "title", "the file")
    t0 = content.get("t0")
    if not isinstance(t0, int) or isinstance(t0, bool) or not DAY_MS <= t0 <= BLOCK_TIME_MS_MAX:
        raise ScenarioError(
            f"t0: expected milliseconds since 1970, {DAY_MS} to {BLOCK_TIME_MS_MAX}, got {t0!r}"
        )
    contract = _contract(text_of(content, "contract", "the file", DEFAULT_CONTRACT))
    parties = _parties(_table(content, "parties"))
    terms = read_documents(_table(content, "terms"), "terms", fixtures, DocumentEntry)
    schemas = read_documents(_table(content, "schemas"), "schemas", fixtures, DocumentEntry)
    for section, kind in (("terms", "terms.publish"), ("schemas", "schema.publish")):
        if content.get(section) and kind not in contract.types:
            raise ScenarioError(f"[{section}]: the contract {contract.name} publishes none")
    steps = content.get("step", [])
    if not isinstance(steps, list) or not 0 < len(steps) <= STEPS_MAX:
        raise ScenarioError(f"expected 1 to {STEPS_MAX} tables [[step]]")
    scenario = Scenario(
        where=where,
        title=title,
        t0_ms=t0,
        contract=contract.name,
        version=contract.version,
        parties=parties,
        terms=terms,
        schemas=schemas,
        steps=_steps(steps, parties, t0, contract),
    )
    return scenario


def _contract(name: str) -> Contract:
    """The newest version of the contract that a file speaks of."""
    version = newest(name)
    found = None if version is None else contract_for(name, version)
    if found is None:
        known = ", ".join(dict.fromkeys(name for name, _ in offered()))
        raise ScenarioError(f"the file: no contract {name!r}; known are {known}")
    return found


def only(table: Mapping[str, Any], what: str, known: tuple[str, ...]) -> None:
    """Raises `ScenarioError` for a key of `table` that is not among the `known`."""
    for key in table:
        if key not in known:
            raise ScenarioError(f"{what}: unknown key {key!r}; known are {', '.join(known)}")


def text_of(table: Mapping[str, Any], key: str, what: str, default: str | None = None) -> str:
    """The text under `key`. Raises `ScenarioError` when it is missing without a default."""
    value = table.get(key, default)
    if not isinstance(value, str) or (default is None and not value):
        raise ScenarioError(f"{what}: {key}: expected a text, got {value!r}")
    return value


def texts_of(table: Mapping[str, Any], key: str, what: str) -> tuple[str, ...]:
    """The list of texts under `key`, by default empty."""
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ScenarioError(f"{what}: {key}: expected a list of texts, got {value!r}")
    return tuple(value)


def truth_of(table: Mapping[str, Any], key: str, what: str, *, default: bool) -> bool:
    """The truth value under `key`."""
    value = table.get(key, default)
    if not isinstance(value, bool):
        raise ScenarioError(f"{what}: {key}: expected true or false, got {value!r}")
    return value


def _table(content: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = content.get(key, {})
    if not isinstance(value, dict):
        raise ScenarioError(f"[{key}]: expected a table, got {value!r}")
    return value


def _parties(table: Mapping[str, Any]) -> dict[str, PartyEntry]:
    found = {
        name: PartyEntry(name=name, kind=kind, groups=(), jurisdiction="", registered=True)
        for name, kind in BUILT_IN_PARTIES.items()
    }
    if not 0 < len(table) <= PARTIES_MAX:
        raise ScenarioError(f"[parties]: expected 1 to {PARTIES_MAX} parties, got {len(table)}")
    for name, entry in table.items():
        what = f"[parties] {name}"
        if not _is_name(name) or name in BUILT_IN_PARTIES:
            raise ScenarioError(f"{what}: a name has lower-case letters, digits and '-' inside")
        if not isinstance(entry, dict):
            raise ScenarioError(f"{what}: expected a table, got {entry!r}")
        only(entry, what, ("kind", "groups", "jurisdiction", "registered"))
        kind = text_of(entry, "kind", what).upper()
        if kind not in set(PartyKind):
            known = ", ".join(item.value.lower() for item in PartyKind)
            raise ScenarioError(f"{what}: kind {entry['kind']!r} is none of {known}")
        found[name] = PartyEntry(
            name=name,
            kind=kind,
            groups=tuple(sorted(set(texts_of(entry, "groups", what)))),
            jurisdiction=text_of(entry, "jurisdiction", what, ""),
            registered=truth_of(entry, "registered", what, default=True),
        )
    return found


def _steps(
    items: list[Any], parties: Mapping[str, PartyEntry], t0_ms: int, contract: Contract
) -> tuple[Step, ...]:
    steps: list[Step] = []
    names: dict[str, Step] = {}
    for number, item in enumerate(items, 1):
        if not isinstance(item, dict):
            raise ScenarioError(f"step {number}: expected a table [[step]], got {item!r}")
        step = _step(_replayed(item, number, names), number, parties, t0_ms, contract)
        if step.name in names:
            raise ScenarioError(f"step {number}: the name {step.name!r} stands twice")
        if step.together and (not steps or not steps[-1].do):
            raise ScenarioError(f"step {number} ({step.name}): together with no transaction above")
        names[step.name] = step
        steps.append(step)
    return tuple(steps)


def _is_name(text: str) -> bool:
    return len(text) <= NAME_LETTERS_MAX and _NAME.fullmatch(text) is not None


def _replayed(item: dict[str, Any], number: int, names: Mapping[str, Step]) -> dict[str, Any]:
    """A step that sends the bytes of another again says nothing else of its own."""
    breaks = item.get("break")
    if not isinstance(breaks, str) or not breaks.startswith(REPLAY):
        return item
    what, replayed = f"step {number} ({item.get('name')})", breaks.removeprefix(REPLAY)
    if replayed not in names or not names[replayed].do:
        raise ScenarioError(f"{what}: no transaction {replayed!r} above to replay")
    known = ("name", "by", "at", "together", "break", "expect", "outcome", "rule")
    only(item, f"{what}: a replay", known)
    return {**item, "do": names[replayed].do}


def _step(
    item: dict[str, Any],
    number: int,
    parties: Mapping[str, PartyEntry],
    t0_ms: int,
    contract: Contract,
) -> Step:
    name = item.get("name", f"step-{number}")
    what = f"step {number} ({name})"
    if not isinstance(name, str) or not _is_name(name):
        raise ScenarioError(f"step {number}: name {name!r}: lower-case letters, digits and '-'")
    do, ask = text_of(item, "do", what, ""), text_of(item, "ask", what, "")
    if bool(do) == bool(ask):
        raise ScenarioError(f"{what}: expected either 'do' or 'ask'")
    _check_words(what, do, ask, item, contract)
    cosigners = texts_of(item, "with", what) if "with" in item else None
    if cosigners is not None and len(cosigners) > limits.COSIGNERS_MAX:
        raise ScenarioError(f"{what}: with: {len(cosigners)}, at most {limits.COSIGNERS_MAX}")
    by = text_of(item, "by", what)
    for party in (by, *(cosigners or ())):
        if party not in parties:
            raise ScenarioError(f"{what}: no party {party!r}; known are {', '.join(parties)}")
    key = item.get("key")
    if key is not None and (not isinstance(key, int) or isinstance(key, bool) or key < 1):
        raise ScenarioError(f"{what}: key: expected the number of a key from 1, got {key!r}")
    answer = item.get("answer")
    if answer is not None and (do or not isinstance(answer, dict)):
        raise ScenarioError(f"{what}: answer: expected a table, of a step that asks")
    for moment in ("at", "body_valid_until"):
        if moment in item:
            _check_moment(what, moment, item[moment], t0_ms)
    return Step(
        number=number,
        name=name,
        by=by,
        do=do,
        ask=ask,
        at=item.get("at"),
        together=truth_of(item, "together", what, default=False),
        cosigners=cosigners,
        key=key,
        breaks=text_of(item, "break", what, ""),
        valid_until=item.get("body_valid_until"),
        expect=text_of(item, "expect", what, OK),
        outcome=text_of(item, "outcome", what, ""),
        rule=text_of(item, "rule", what, ""),
        answer=answer,
        fields={key: value for key, value in item.items() if key not in _STEP_KEYS},
    )


def _check_words(what: str, do: str, ask: str, item: dict[str, Any], contract: Contract) -> None:
    """The words out of closed sets, and what does not go together."""
    if do and do not in step_types(contract.name):
        known = ", ".join(step_types(contract.name))
        raise ScenarioError(f"{what}: do = {do!r}; known are {known}")
    if ask and ask not in contract.queries:
        raise ScenarioError(f"{what}: ask = {ask!r}; known are {', '.join(contract.queries)}")
    for key in ("together", "with", "key", "break", "body_valid_until", "outcome") if ask else ():
        if key in item:
            raise ScenarioError(f"{what}: {key!r} has no meaning where a step asks")
    if item.get("together") and "at" in item:
        raise ScenarioError(f"{what}: a step together with the one above it has no time of its own")
    breaks = item.get("break", "")
    if breaks and breaks not in BREAKS and not str(breaks).startswith(REPLAY):
        known = ", ".join((*BREAKS, REPLAY + "NAME"))
        raise ScenarioError(f"{what}: break = {breaks!r}; known are {known}")
    expect = item.get("expect", OK)
    if not isinstance(expect, str) or not _CODE.fullmatch(expect):
        raise ScenarioError(f"{what}: expect = {expect!r}: expected 'OK' or a code 'E_…'")
    outcome = item.get("outcome", "")
    if outcome and outcome not in OUTCOMES:
        raise ScenarioError(f"{what}: outcome = {outcome!r}; known are {', '.join(OUTCOMES)}")


def _check_moment(what: str, key: str, value: object, t0_ms: int) -> None:
    try:
        milliseconds(value, t0_ms=t0_ms, now_ms=t0_ms)
    except ScenarioError as error:
        raise ScenarioError(f"{what}: {key}: {error}") from None
