"""What a contract is to the engine that runs it, and what the engine is to a contract.

A contract is a guest: pure, synchronous functions over text keys and non-empty byte values. The
same contract runs embedded in a node, in the memory of a scenario, and (later) on other engines;
the rules that keep that true are in docs/spec/chaincode.md. It sees no clock but `time_ms`, no
height, no randomness, no I/O, and it does nothing that could differ between two replicas.

The node prefixes a contract's keys, so a contract never sees another's state. Parties, their keys
and roles belong to the node; a contract reads them through `party`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Json = dict[str, Any]


class Refuse(Exception):
    """A business failure: everything the contract wrote is dropped, only the verdict remains.

    `code` is stable and for machines (`E_...`); `rule` names what decided (`R15`); the message is
    for people and may name ids, never personal data. Until the caller has turned out to be a
    party of what it names, the message says nothing that the caller did not say.
    """

    def __init__(self, code: str, message: str, *, rule: str = "") -> None:
        """See the class."""
        super().__init__(message)
        self.code = code
        self.rule = rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A refusal of which the contract keeps a record: its writes and its event stand."""

    code: str
    rule: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """A party as the node's registry has it at this point of the chain."""

    party_id: str
    kind: str  # "PERSON", "ORGANISATION", "AUDITOR", "REGISTRY", "ADMINISTRATOR", "ENROLLER"
    active: bool
    groups: tuple[str, ...]  # sorted
    jurisdiction: str  # ISO 3166-1 alpha-2, or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a body asks of a contract: one transaction type and its payload bytes."""

    type: str
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What an accepted (or recorded) transaction announces: at most one per transaction."""

    name: str
    payload: bytes  # canonical JSON
    readers: tuple[str, ...]  # sorted party ids that may see it


class Reader(Protocol):
    """Read access to a contract's own state."""

    def get(self, key: str) -> bytes | None:
        """The value of `key`, or None."""

    def scan(self, start: str, end: str, limit: int) -> list[tuple[str, bytes]]:
        """The first `limit` entries with `start <= key < end`, in key order (code points)."""


class Context(Reader, Protocol):
    """What a contract may know and do while it applies one transaction."""

    @property
    def time_ms(self) -> int:
        """Block time: UTC milliseconds that the validators agreed on, the only clock."""

    @property
    def tx_id(self) -> str:
        """The transaction's id: an opaque text, unique on the chain."""

    @property
    def caller(self) -> str:
        """The acting party. Its signature and key have been verified."""

    @property
    def cosigners(self) -> tuple[str, ...]:
        """The parties that signed beside the caller, each verified, in the body's order."""

    def party(self, party_id: str) -> Party | None:
        """The registry's entry of a party, or None."""

    def put(self, key: str, value: bytes) -> None:
        """Set `key`. The value is not empty; the contract reads its own writes."""

    def delete(self, key: str) -> None:
        """Remove `key`."""

    def emit(self, name: str, payload: Json, readers: tuple[str, ...]) -> None:
        """Announce what happened; at most once in a transaction."""


class View(Reader, Protocol):
    """What a query may know."""

    @property
    def time_ms(self) -> int:
        """The time at which the question is asked: at least the tip's block time."""

    @property
    def height(self) -> int:
        """The height of the state that answers."""

    @property
    def reader(self) -> str:
        """The party that asks; its signature has been verified."""

    def party(self, party_id: str) -> Party | None:
        """The registry's entry of a party, or None."""

    def projected(self, start: str, end: str, limit: int) -> list[tuple[str, bytes]]:
        """As `scan`, over the contract's projections."""


class Contract(Protocol):
    """One version of a contract."""

    @property
    def name(self) -> str:
        """Its namespace: lower-case letters and digits."""

    @property
    def version(self) -> int:
        """From 1. Old versions stay for replay."""

    @property
    def types(self) -> tuple[str, ...]:
        """The transaction types it applies, sorted."""

    @property
    def queries(self) -> tuple[str, ...]:
        """The queries it answers, sorted."""

    def apply(self, ctx: Context, call: Call) -> Recorded | None:
        """Apply one transaction: raise `Refuse`, or answer None (accepted), an event emitted."""

    def query(self, view: View, name: str, arguments: Mapping[str, Any]) -> Json:
        """Answer a question from committed state, or raise `Refuse`."""

    def project(self, event: Event, tx_id: str, before: Reader, after: Reader) -> dict[str, bytes]:
        """The projection rows that an event adds or replaces: outside the state root."""
