"""From the steps of a scenario to drafts that anybody can sign and submit.

A story needs three things from whoever tells it: the party ids and public keys behind the names,
and, after each step, the hash of the transaction that the step became, because the ids that later
steps name derive from it. The in-memory run and a run against a real network differ only there.

Drafts are resolved one by one, in the order of the steps; `now_ms` is when the step happens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from onward.ledger.transaction import BODY_FORMAT, Body
from onward.scenario.errors import ScenarioError
from onward.scenario.format import (
    BUILT_IN_PARTIES,
    DocumentEntry,
    PartyEntry,
    Scenario,
    Step,
    texts_of,
)
from onward.scenario.grammar import MAKES, REFERENCES, SYSTEM_KEYS, Key, Sort, keys_of
from onward.scenario.keys import label_hash
from onward.scenario.moments import milliseconds
from onward.scenario.names import Cast, Made, Names
from onward.system.parties import NAMESPACE, PartyKind
from onward.system.registry import Deactivate, Register, Registration, RotateKey, SetGroups
from onward_chaincode.drafts import DraftError, draft
from onward_chaincode.forms import HASH
from onward_proto.canonical import CanonicalError, encode

OFFER_OPEN_MS = 7 * 24 * 3_600_000
_SYSTEM_SETUP = "setup"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A transaction before it is signed. `signers`: (party, number of its key), the actor first."""

    name: str
    contract: str
    type: str
    actor: str  # names, as in the scenario
    cosigners: tuple[str, ...]
    actor_id: str
    cosigner_ids: tuple[str, ...]
    signers: tuple[tuple[str, int], ...]
    fields: Mapping[str, Any]  # what the payload says, in plain values
    payload: bytes

    def body(self, *, valid_until_ms: int, salt: bytes) -> Body:
        """The transaction's body."""
        return Body(
            format=BODY_FORMAT,
            contract=self.contract,
            type=self.type,
            actor=self.actor_id,
            cosigners=self.cosigner_ids,
            valid_until_ms=valid_until_ms,
            salt=salt,
            payload=self.payload,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A query as a step asks it; `answer` is what its answer must contain."""

    name: str
    query: str
    reader: str
    reader_id: str
    arguments: Mapping[str, Any]
    answer: Mapping[str, Any] | None


class Story:
    """Resolves the steps of one scenario, for one cast, beginning at one time."""

    def __init__(self, scenario: Scenario, cast: Cast, *, t0_ms: int | None = None) -> None:
        """`t0_ms`: when the story begins, by default when the file says."""
        self._scenario = scenario
        self._cast = cast
        self._t0_ms = scenario.t0_ms if t0_ms is None else t0_ms
        self._names = Names(scenario, cast, self._t0_ms)
        self._key_numbers = dict.fromkeys(scenario.parties, 1)

    @property
    def t0_ms(self) -> int:
        """When the story begins."""
        return self._t0_ms

    def setup(self) -> tuple[Draft, ...]:
        """What has to happen before the first step: registering parties, publishing documents."""
        scenario = self._scenario
        drafts: list[Draft] = []
        newcomers = [
            entry
            for name, entry in scenario.parties.items()
            if entry.registered and name not in BUILT_IN_PARTIES
        ]
        persons = [
            entry for entry in newcomers if entry.kind == PartyKind.PERSON and not entry.groups
        ]
        others = [entry for entry in newcomers if entry not in persons]
        for actor, entries in (("admin", others), ("enroller", persons)):
            if entries:
                draft_of_all = self._system_draft(
                    f"{_SYSTEM_SETUP}/{actor}",
                    "party.register",
                    fields={"parties": [entry.name for entry in entries]},
                    payload=self._registration(entries),
                    signers=((actor, 1),),
                )
                drafts.append(draft_of_all)
        for kind, entries_of in (("schema", scenario.schemas), ("terms", scenario.terms)):
            published = [entry for entry in entries_of.values() if entry.published]
            drafts.extend(self._publication(kind, entry) for entry in published)
        return tuple(drafts)

    def draft(self, step: Step, now_ms: int) -> Draft:
        """The transaction of a step that does something. Raises `ScenarioError` naming the step."""
        try:
            if step.do in SYSTEM_KEYS:
                return self._system_step(step)
            return self._contract_step(step, now_ms)
        except (ScenarioError, DraftError, CanonicalError) as error:
            raise self._at(step, error) from None

    def question(self, step: Step, now_ms: int) -> Question:
        """The query of a step that asks. Raises `ScenarioError` naming the step."""
        try:
            return Question(
                name=step.name,
                query=step.ask,
                reader=step.by,
                reader_id=self._cast.party_id(step.by),
                arguments=dict(self._arguments(step, now_ms)),
                answer=None
                if step.answer is None
                else self._names.expected(step.answer, "", now_ms),
            )
        except ScenarioError as error:
            raise self._at(step, error) from None

    def executed(self, step: Step, tx_hash: bytes, *, accepted: bool) -> None:
        """Tell which transaction a step became. Ids derive from it, whatever the verdict was."""
        made = self._names.made.get(step.name)
        if made is not None:
            made.tx_hash = tx_hash
        if accepted and step.do == "party.rotate_key":
            self._key_numbers[step.by] = int(step.fields["new_key"])

    def rehearse(self) -> None:
        """Resolve every step, with made-up hashes. Raises `ScenarioError` for the first wrong."""
        try:
            self.setup()
        except (DraftError, CanonicalError) as error:
            raise ScenarioError(f"{self._scenario.where}: before the steps: {error}") from None
        for step in self._scenario.steps:
            now_ms = self._t0_ms
            if step.ask:
                self.question(step, now_ms)
            elif not step.replays:
                self.draft(step, now_ms)
                self.executed(step, label_hash("rehearsal", step.name), accepted=True)

    def _at(self, step: Step, error: Exception) -> ScenarioError:
        text = str(error)
        return ScenarioError(f"{self._scenario.where}: step {step.number} ({step.name}): {text}")

    # -- the system's transactions -----------------------------------------------------------------

    def _system_step(self, step: Step) -> Draft:
        keys = SYSTEM_KEYS[step.do]
        for key in step.fields:
            if key not in keys:
                raise ScenarioError(f"unknown key {key!r}; {step.do} has {', '.join(keys)}")
        for key in keys:
            if key not in step.fields:
                raise ScenarioError(f"{key} is missing")
        if step.cosigners is not None:
            raise ScenarioError(f"with: nobody signs {step.do} beside the actor")
        fields = dict(step.fields)
        extra: tuple[tuple[str, int], ...] = ()
        match step.do:
            case "party.register":
                newcomers = texts_of(fields, "parties", step.do)
                payload = self._registration([self._names.entry(name) for name in newcomers])
            case "party.rotate_key":
                number = fields["new_key"]
                if not isinstance(number, int) or isinstance(number, bool) or number < 1:
                    raise ScenarioError(f"new_key: expected the number of a key, got {number!r}")
                payload = encode(RotateKey(public_key=self._cast.public_key(step.by, number)))
                extra = ((step.by, number),)
            case "party.deactivate":
                payload = encode(Deactivate(party=self._names.party(fields["party"])))
            case _:
                groups = tuple(sorted(set(texts_of(fields, "groups", step.do))))
                payload = encode(SetGroups(party=self._names.party(fields["party"]), groups=groups))
        signers = ((step.by, self._key_number(step.by, step)), *extra)
        return self._system_draft(
            step.name, step.do, fields=fields, payload=payload, signers=signers
        )

    def _system_draft(
        self,
        name: str,
        kind: str,
        *,
        fields: Mapping[str, Any],
        payload: bytes,
        signers: tuple[tuple[str, int], ...],
    ) -> Draft:
        actor = signers[0][0]
        return Draft(
            name=name,
            contract=NAMESPACE,
            type=kind,
            actor=actor,
            cosigners=(),
            actor_id=self._cast.party_id(actor),
            cosigner_ids=(),
            signers=tuple(dict.fromkeys(signers)),
            fields=fields,
            payload=payload,
        )

    def _registration(self, entries: list[PartyEntry]) -> bytes:
        parties = tuple(
            Registration(
                party=self._cast.party_id(entry.name),
                kind=entry.kind,
                public_key=self._cast.public_key(entry.name, 1),
                groups=entry.groups,
                jurisdiction=entry.jurisdiction,
            )
            for entry in entries
        )
        return encode(Register(parties=parties))

    def _publication(self, kind: str, entry: DocumentEntry) -> Draft:
        fields = {"document": entry.document}
        return Draft(
            name=f"{_SYSTEM_SETUP}/{kind}/{entry.name}",
            contract=self._scenario.contract,
            type=f"{kind}.publish",
            actor="registry",
            cosigners=(),
            actor_id=self._cast.party_id("registry"),
            cosigner_ids=(),
            signers=(("registry", 1),),
            fields=fields,
            payload=draft(f"{kind}.publish", fields),
        )

    def _key_number(self, party: str, step: Step | None) -> int:
        if step is not None and step.key is not None and party == step.by:
            return step.key
        return self._key_numbers[party]

    # -- the contract's transactions ---------------------------------------------------------------

    def _contract_step(self, step: Step, now_ms: int) -> Draft:
        keys = keys_of(step.do)
        given = dict(_flatten(step.fields, keys))
        made = Made(kinds=MAKES.get(step.do, ()))
        self._fill(step, given, made, keys)
        fields: dict[str, Any] = {}
        for name, value in given.items():
            key = keys[name]
            resolved = self._value(step, key, value, given, now_ms)
            _place(fields, key.path, resolved)
        for name, key in keys.items():
            if key.required and name not in given:
                raise ScenarioError(f"{name} is missing; {step.do} has {', '.join(keys)}")
        self._remember(step, given, made)
        cosigners = self._cosigners(step, given)
        payload = draft(step.do, fields)
        self._names.made[step.name] = made
        return Draft(
            name=step.name,
            contract=self._scenario.contract,
            type=step.do,
            actor=step.by,
            cosigners=cosigners,
            actor_id=self._cast.party_id(step.by),
            cosigner_ids=tuple(self._cast.party_id(name) for name in cosigners),
            signers=tuple((name, self._key_number(name, step)) for name in (step.by, *cosigners)),
            fields=fields,
            payload=payload,
        )

    def _cosigners(self, step: Step, given: Mapping[str, Any]) -> tuple[str, ...]:
        """Who signs beside the actor: the recipient of an onward share, unless the step says."""
        if step.cosigners is not None:
            return step.cosigners
        if step.do == "share.onward" and given["recipient"] != step.by:
            return (given["recipient"],)
        return ()

    def _fill(self, step: Step, given: dict[str, Any], made: Made, keys: Mapping[str, Key]) -> None:
        """What a step may leave unsaid, because only one thing can be meant."""
        self._fill_documents(given, made, keys)
        for name, key in keys.items():
            if name in given or not key.required:
                continue
            if key.sort == Sort.LABEL:
                given[name] = step.name if key.name == "commitment" else key.name
            elif name == "offer_expires_at":
                given[name] = f"now + {OFFER_OPEN_MS}ms"
            elif name == "scope" and step.do.startswith("mandate."):
                scopes = {"agreement": "ROOT", "terms": "TERMS"}
                given[name] = next((scopes[part] for part in scopes if part in given), "ALL")
            elif name == "scope":
                given[name] = next(
                    (part.upper() for part in ("fields", "purposes") if part in given), "ALL"
                )
            elif name == "parent_agreement" and "parent_share" in given:
                given[name] = self._agreement_of(given["parent_share"])
        if step.do == "share.onward":
            given.setdefault("child.fields", given.get("fields", []))
            named = given.get("purpose")
            given.setdefault("child.purposes", [named] if named else [])

    def _fill_documents(self, given: dict[str, Any], made: Made, keys: Mapping[str, Key]) -> None:
        """Terms and schema: those of the record that the step names, or the only ones there are."""
        origin = next(
            (
                self._names.made[given[name]]
                for name in ("intent", "parent_share", "parent_agreement", "agreement", "offer")
                if isinstance(given.get(name), str) and given[name] in self._names.made
            ),
            None,
        )
        scenario = self._scenario
        for sort, table in ((Sort.TERMS, scenario.terms), (Sort.SCHEMA, scenario.schemas)):
            attribute = sort.value
            inherited = getattr(origin, attribute) if origin is not None else None
            if inherited is None and len(table) == 1:
                inherited = next(iter(table))
            for name, key in keys.items():
                if key.sort == sort and key.required and inherited is not None:
                    given.setdefault(name, inherited)
            stated = given.get(f"child.{attribute}", given.get(attribute, inherited))
            setattr(made, attribute, stated)
        if origin is not None and made.schema is None:
            made.schema = origin.schema

    def _agreement_of(self, share: object) -> str:
        made = self._names.made.get(share) if isinstance(share, str) else None
        if made is None or made.agreement is None:
            raise ScenarioError(f"parent_agreement is missing, and {share!r} is no share above")
        return made.agreement

    def _remember(self, step: Step, given: Mapping[str, Any], made: Made) -> None:
        """Under which agreement a share stands, in the words of the file."""
        if step.do == "share.record":
            made.agreement = given.get("agreement")
        elif step.do == "share.onward":
            made.agreement = step.name

    # -- values ------------------------------------------------------------------------------------

    def _value(
        self, step: Step, key: Key, value: Any, given: Mapping[str, Any], now_ms: int
    ) -> Any:
        if key.sort == Sort.REFERENCE and isinstance(value, list):
            return [self._value(step, key, item, given, now_ms) for item in value]
        try:
            return self._resolve(step, key, value, given, now_ms)
        except ScenarioError as error:
            raise ScenarioError(f"{key.key}: {error}") from None

    def _resolve(
        self, step: Step, key: Key, value: Any, given: Mapping[str, Any], now_ms: int
    ) -> Any:
        match key.sort:
            case Sort.TIME:
                return milliseconds(value, t0_ms=self._t0_ms, now_ms=now_ms)
            case Sort.PARTY:
                return self._names.party(value)
            case Sort.REFERENCE:
                return self._names.reference(value, REFERENCES[key.name])
            case Sort.TERMS:
                return self._names.document(value, "terms", self._scenario.terms).document_id
            case Sort.SCHEMA:
                return self._names.document(value, "schemas", self._scenario.schemas).document_id
            case Sort.DOCUMENT:
                section = step.do.partition(".")[0]
                table = self._scenario.terms if section == "terms" else self._scenario.schemas
                return self._names.document(value, section, table).document
            case Sort.FIELDS:
                return self._names.field_indexes(value, key, given)
            case Sort.COMMITMENT if isinstance(value, dict):
                return {name: _opening(name, item) for name, item in value.items()}
            case Sort.LABEL | Sort.COMMITMENT:
                if not isinstance(value, str) or not value:
                    raise ScenarioError(f"expected a text, got {value!r}")
                return value if HASH.fullmatch(value) else label_hash(key.name, value).hex()
            case Sort.PLAIN:
                return value

    # -- questions ---------------------------------------------------------------------------------

    def _arguments(self, step: Step, now_ms: int) -> Iterator[tuple[str, Any]]:
        """`agreement` becomes `agreement_id`, a time in words becomes milliseconds."""
        documents: dict[str, Callable[[], Mapping[str, DocumentEntry]]] = {
            "terms": lambda: self._scenario.terms,
            "schema": lambda: self._scenario.schemas,
        }
        for name, value in step.fields.items():
            if name in REFERENCES:
                yield f"{name}_id", self._names.reference(value, REFERENCES[name])
            elif name in documents:
                yield f"{name}_id", self._names.document(value, name, documents[name]()).document_id
            elif name in ("within", "as_of"):
                key = {"within": "within_ms", "as_of": "at_ms"}[name]
                yield key, milliseconds(value, t0_ms=self._t0_ms, now_ms=now_ms)
            else:
                yield name, self._names.expected(value, name, now_ms)


def _flatten(
    fields: Mapping[str, Any], keys: Mapping[str, Key], prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    """The keys of a step with those of its tables as `child.fields`. Raises for an unknown one."""
    for name, value in fields.items():
        full = prefix + name
        if full in keys:
            yield full, value
        elif isinstance(value, dict) and any(key.startswith(f"{full}.") for key in keys):
            yield from _flatten(value, keys, f"{full}.")
        else:
            raise ScenarioError(f"unknown key {full!r}; known are {', '.join(keys)}")


def _opening(name: str, value: Any) -> Any:
    """A part of what a commitment commits to: a number, or a text that stands for 32 bytes."""
    if isinstance(value, str) and not HASH.fullmatch(value):
        return label_hash(name, value).hex()
    return value


def _place(fields: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for part in path[:-1]:
        fields = fields.setdefault(part, {})
    fields[path[-1]] = value
