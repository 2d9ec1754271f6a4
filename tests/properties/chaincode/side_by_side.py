"""The contract and the naive rules side by side: one story, two verdicts for every step.

Payloads are encoded here once more too, so that a malformed one can be sent: what a draft would
refuse never reaches the chain.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from tests.properties.chaincode.forests import Forest
from tests.properties.chaincode.naive_rules import judge
from tests.properties.chaincode.naive_world import (
    Judged,
    Row,
    document_bytes,
    happen,
    new_world,
    path_up,
)
from tests.unit.chaincode.world import Rows

from onward_chaincode.contract import Call, Event, Json, Party, Recorded, Refuse
from onward_chaincode.registry import contract_for
from onward_proto.documents import canonical_document

# An onward share; an offer with parents and its acceptance; a further share in a child, in a root.
ATTEMPTS = ("onward", "offer", "accept", "inside", "root")
UNKNOWN_FIELD = 15
GRANT = {
    "terms": 1,
    "schema": 2,
    "fields": 3,
    "purposes": 4,
    "jurisdictions": 5,
    "lawful_basis": 6,
    "notice": 7,
    "not_before_ms": 8,
    "expires_at_ms": 9,
    "retention_ms": 10,
}
PARCEL = {"fields": 1, "purpose": 2, "transform": 3, "commitment": 4, "blob": 5}
REVOKE = {"agreement": 1, "scope": 2, "fields": 3, "purposes": 4, "reason": 5}
NUMBERS: dict[str, dict[str, Any]] = {
    "terms.publish": {"document": 1},
    "schema.publish": {"document": 1},
    "terms.deprecate": {"terms": 1},
    "terms.recall": {"terms": 1},
    "agreement.offer": {
        "to": 1,
        "first_party": 2,
        "grant": (3, GRANT),
        "offer_expires_at_ms": 4,
        "parent_agreement": 7,
        "parent_share": 8,
        "approval": 9,
    },
    "agreement.accept": {"offer": 1},
    "agreement.revoke": REVOKE,
    "agreement.terminate": {"agreement": 1, "effective_at_ms": 2},
    "share.record": {"agreement": 1, "share": (2, PARCEL), "parent_share": 3, "approval": 4},
    "share.onward": {
        "parent_agreement": 1,
        "parent_share": 2,
        "recipient": 3,
        "child": (4, GRANT),
        "share": (5, PARCEL),
        "approval": 6,
    },
    "share.withdraw": {"share": 1},
    "onward.approve": {
        "parent_share": 1,
        "recipient": 2,
        "terms": 3,
        "fields": 4,
        "purposes": 5,
        "expires_at_ms": 6,
    },
    "agreement.amend": {
        "agreement": 1,
        "fields": 2,
        "purposes": 3,
        "expires_at_ms": 4,
        "notice": 6,
    },
    "agreement.suspend": {"agreement": 1, "evidence": 2},
    "agreement.resume": {"agreement": 1},
    "mandate.grant": {"auditor": 1, "scope": 2},
    "obligation.attest": {"agreement": 1, "kind": 2, "evidence": 3},
    "obligation.flag_overdue": {"agreement": 1},
    "violation.flag": {"agreement": 1, "ground": 2, "evidence": 3},
    "violation.resolve": {"violation": 1, "finding": 2},
}
HASHES = {
    *("terms", "schema", "notice", "commitment", "blob", "offer", "agreement"),
    *("parent_agreement", "parent_share", "approval", "evidence", "violation"),
}


def payload_bytes(fields: Row, numbers: dict[str, Any]) -> bytes:
    """The wire form of a payload; an unknown key travels as a field nobody knows."""
    parts = []
    if numbers is GRANT:
        fields = {"lawful_basis": "dpv:Consent", **fields}
    if numbers is PARCEL:
        fields = {"transform": "NONE", **fields}
    if numbers is REVOKE:
        fields = {"reason": "CONSENT_WITHDRAWN", **fields}
    for name, value in fields.items():
        number, inner = numbers.get(name, UNKNOWN_FIELD), None
        if isinstance(number, tuple):
            number, inner = number
        items = value if isinstance(value, list) and name != "fields" else [value]
        parts += [(number, one(name, number, item, inner)) for item in items if item != ""]
    return b"".join(part for _, part in sorted(parts, key=lambda part: part[0]))


def one(name: str, number: int, value: Any, inner: dict[str, Any] | None) -> bytes:
    """One value on the wire."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value) if value else b""
    if value == []:
        return b""
    if isinstance(value, list):
        content = b"".join(map(varint, value))
    elif inner is not None:
        content = payload_bytes(value, inner)
    elif isinstance(value, dict):
        content = document_bytes(value)
    else:
        content = bytes.fromhex(value) if name in HASHES or name == "share" else value.encode()
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    """A whole number, seven bits at a time."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


class Engine(Rows):
    """Contract state in memory. It is itself the context of the transaction that runs."""

    def __init__(self) -> None:
        super().__init__({})
        found = contract_for("isa", 1)
        assert found is not None
        self.contract = found
        self.parties: dict[str, Party] = {}
        self.projections: dict[str, bytes] = {}
        self.written: dict[str, bytes | None] = {}
        self.time_ms, self.tx_id, self.caller = 0, "", ""
        self.cosigners: tuple[str, ...] = ()
        self.event: Event | None = None
        self.kept: dict[str, bytes | None] = {}  # what the last step wrote

    def get(self, key: str) -> bytes | None:
        return self.written[key] if key in self.written else self.rows.get(key)

    def party(self, party_id: str) -> Party | None:
        return self.parties.get(party_id)

    def put(self, key: str, value: bytes) -> None:
        assert value
        self.written[key] = value

    def delete(self, key: str) -> None:
        self.written[key] = None

    def emit(self, name: str, payload: Json, readers: tuple[str, ...]) -> None:
        assert self.event is None
        self.event = Event(name=name, payload=canonical_document(payload), readers=readers)

    def submit(self, step: Row, *, project: bool = False) -> Judged:
        """Apply a step; answers the contract's verdict."""
        payload, self.kept = step["payload"], {}
        if step["kind"] == "party":
            self.parties[payload["name"]] = Party(
                party_id=payload["name"],
                kind=payload["kind"],
                active=payload["active"],
                groups=tuple(payload["groups"]),
                jurisdiction=payload["jurisdiction"],
            )
            return Judged("OK", "", "accepted")
        self.time_ms, self.tx_id, self.caller = step["now"], step["tx"], step["actor"]
        self.cosigners, self.event, self.written = tuple(step["signed"]), None, {}
        kind = step["kind"]
        try:
            call = Call(type=kind, payload=payload_bytes(payload, NUMBERS[kind]))
            found = self.contract.apply(self, call)
        except Refuse as refusal:
            self.written = {}
            return Judged(refusal.code, refusal.rule, "refused")
        self._keep(step["tx"], project=project)
        if isinstance(found, Recorded):
            return Judged(found.code, found.rule, "recorded")
        return Judged("OK", "", "accepted")

    def _keep(self, tx_id: str, *, project: bool) -> None:
        self.kept, self.written = self.written, {}
        for key, value in self.kept.items():
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value
        if project and self.event is not None:
            nothing, after = Rows({}), Rows(self.rows)
            self.projections |= self.contract.project(self.event, tx_id, nothing, after)


@dataclasses.dataclass(slots=True, kw_only=True)
class Tally:
    """How often what decided: by verdict, and there by the kind of attempt (`ATTEMPTS`)."""

    decided: dict[Judged, Counter[str]] = dataclasses.field(default_factory=dict)
    forests: int = 0
    steps: int = 0
    deepest: int = 0

    def count(self, kind: str, judged: Judged) -> None:
        """One more verdict."""
        self.decided.setdefault(judged, Counter())[kind] += 1

    @property
    def attempts(self) -> int:
        """Onward shares that were judged; offers, acceptances and further shares are more."""
        return sum(found["onward"] for found in self.decided.values())

    def too_seldom(self, least: int) -> list[str]:
        """What a rule can say of an onward share, but said less than `least` times."""
        counts: Counter[tuple[str, str, str]] = Counter()
        for (code, rule, outcome), found in self.decided.items():
            counts[rule, code, outcome] += found["onward"]
        return [" ".join(key) for key in ONWARD_VERDICTS if counts[key] < least]

    def table(self) -> str:
        """The tally, a row for each verdict."""
        lines = [f"{'rule':5}{'code':24}{'outcome':10}" + "".join(f"{one:>9}" for one in ATTEMPTS)]
        for judged in sorted(self.decided, key=lambda one: (one.rule, one.code, one.outcome)):
            row = "".join(f"{self.decided[judged][kind] or '-':>9}" for kind in ATTEMPTS)
            lines.append(f"{judged.rule:5}{judged.code:24}{judged.outcome:10}{row}")
        total = "".join(
            f"{sum(found[kind] for found in self.decided.values()):>9}" for kind in ATTEMPTS
        )
        return "\n".join([*lines, f"{'all':39}{total}"])


# Every verdict on an onward share. Out of reach is E_PARENT_NOT_YET: no share exists before the
# agreement begins; share.record meets it.
ONWARD_VERDICTS: tuple[tuple[str, str, str], ...] = (
    ("", "OK", "accepted"),
    ("R01", "E_FORMAT", "refused"),
    ("R02", "E_SIZE", "refused"),
    ("R04", "E_PARTY", "refused"),
    ("R05", "E_COUNTERSIG", "refused"),
    ("R20", "E_QUOTA", "refused"),
    ("R08", "E_UNKNOWN_PARENT", "recorded"),
    ("R09", "E_PARENT_MISMATCH", "recorded"),
    ("R10", "E_NOT_RECIPIENT", "recorded"),
    ("R11", "E_PARENT_EXPIRED", "recorded"),
    ("R11", "E_PARENT_NOT_ACTIVE", "recorded"),
    ("R11", "E_PARENT_SUSPENDED", "recorded"),
    ("R11", "E_PARENT_REVOKED", "recorded"),
    ("R11", "E_PARENT_TERMINATED", "recorded"),
    ("R12", "E_ANCESTOR_ENDED", "recorded"),
    ("R13", "E_SHARE_WITHDRAWN", "recorded"),
    ("R14", "E_SANCTIONED", "recorded"),
    ("R15", "E_ONWARD_PROHIBITED", "recorded"),
    ("R16", "E_TERMS_MISMATCH", "recorded"),
    ("R17", "E_TERMS_RECALLED", "recorded"),
    ("R18", "E_CONSENT_TOKEN", "recorded"),
    ("R19", "E_DEPTH", "recorded"),
    ("R20", "E_QUOTA", "recorded"),
    ("R21", "E_SCHEMA", "recorded"),
    ("R22", "E_FIELDS", "recorded"),
    ("R23", "E_PURPOSE", "recorded"),
    ("R24", "E_ANONYMISATION", "recorded"),
    ("R25", "E_WINDOW", "recorded"),
    ("R26", "E_RECIPIENT", "recorded"),
    ("R26", "E_JURISDICTION", "recorded"),
    ("R27", "E_TOPOLOGY", "recorded"),
    ("R28", "E_DUPLICATE", "recorded"),
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A step at whose end the two disagree; `story` ends with it."""

    story: tuple[Row, ...]
    contract: Judged
    naive: Judged

    def __str__(self) -> str:
        lines = [f"{len(self.story)} steps; the last one:"]
        lines += [f"  contract  {self.contract}", f"  naive     {self.naive}", ""]
        start = self.story[0]["now"]
        for step in self.story:
            signed = " + ".join([step["actor"], *step["signed"]])
            lines.append(
                f"+{step['now'] - start} ms  {step['kind']}  by {signed}  {step['tx'][:8]}"
            )
            lines.append(f"    {json.dumps(step['payload'])}")
        return "\n".join(lines)


def attempted(world: Row, step: Row) -> str | None:
    """Which of `ATTEMPTS` a step is; None for what only makes the forest grow."""
    payload = step["payload"]
    match step["kind"]:
        case "share.onward":
            return "onward"
        case "agreement.offer" if "parent_share" in payload:
            return "offer"
        case "agreement.accept":
            offer = world["offers"].get(payload["offer"])
            is_child = offer is None or "parent_share" in offer["payload"]
            return "accept" if is_child else None
        case "share.record":
            agreement = world["agreements"].get(payload["agreement"])
            return "root" if agreement is None or agreement["parent"] is None else "inside"
        case _:
            return None


def play_forest(seed: int, steps: int, tally: Tally, *, on_time: bool = False) -> Difference | None:
    """So many steps of a seed's forest, on both; the first that they judge differently."""
    forest, engine = Forest(seed, on_time=on_time), Engine()
    past: list[Row] = []
    for step in itertools.islice(forest.life(), steps):
        past.append(step)
        counted = attempted(forest.world, step)
        naive, contract = judge(forest.world, step), engine.submit(step)
        if naive != contract:
            return Difference(story=tuple(past), contract=contract, naive=naive)
        happen(forest.world, step, naive)
        if counted is not None:
            tally.count(counted, naive)
    tally.forests += 1
    tally.steps += steps
    agreements = forest.world["agreements"]
    deepest = max((len(path_up(forest.world, one)) - 1 for one in agreements), default=0)
    tally.deepest = max(tally.deepest, deepest)
    return None


def compare(story: Iterable[Row]) -> Difference | None:
    """Play a story on both; the first step that they judge differently."""
    engine, world, past = Engine(), new_world(), []
    for step in story:
        past.append(step)
        naive, contract = judge(world, step), engine.submit(step)
        if naive != contract:
            return Difference(story=tuple(past), contract=contract, naive=naive)
        happen(world, step, naive)
    return None


def shortest(found: Difference) -> Difference:
    """The same difference after as few steps as leaving out more and more of them gives."""
    size = len(found.story) // 2
    while size:
        stop = len(found.story) - 1  # the last step is the difference
        while stop > 0:
            start = max(0, stop - size)
            again = differs_alike((*found.story[:start], *found.story[stop:]), found)
            found, stop = again or found, start
        size //= 2
    return found


def differs_alike(story: tuple[Row, ...], found: Difference) -> Difference | None:
    """The difference, if the story still shows it at its last step."""
    try:
        again = compare(story)
    except (KeyError, IndexError, ValueError):
        return None  # a step speaks of something that was left out
    if again is None or len(again.story) != len(story):
        return None
    same = (again.contract, again.naive) == (found.contract, found.naive)
    return again if same else None
