"""Which contracts this package offers. The node asks here and names no contract itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onward_chaincode import payloads, reconciliation_records
from onward_chaincode.contract import Contract
from onward_chaincode.isa import Isa
from onward_chaincode.opaque import PUT, Opaque, OpaquePut
from onward_chaincode.reconciliation import Reconciliation

_CONTRACTS: dict[tuple[str, int], Contract] = {
    ("isa", 1): Isa(),
    ("opaque", 1): Opaque(),
    ("reconciliation", 1): Reconciliation(),
}
# A network has these only when its genesis says so: `opaque` is for measuring, and whoever settles
# campaigns asks for `reconciliation`.
_WHEN_ASKED_FOR = (("opaque", 1), ("reconciliation", 1))

_PAYLOADS: dict[str, Mapping[str, type[Any]]] = {
    "isa": payloads.PAYLOADS,
    "opaque": {PUT: OpaquePut},
    "reconciliation": reconciliation_records.PAYLOADS,
}


def available() -> tuple[tuple[str, int], ...]:
    """Every (name, version) that a network is made of unless its genesis says otherwise, sorted."""
    return tuple(sorted(key for key in _CONTRACTS if key not in _WHEN_ASKED_FOR))


def offered() -> tuple[tuple[str, int], ...]:
    """Every (name, version) that this package has, sorted."""
    return tuple(sorted(_CONTRACTS))


def contract_for(name: str, version: int) -> Contract | None:
    """The contract, or None when this package does not have that version."""
    return _CONTRACTS.get((name, version))


def newest(name: str) -> int | None:
    """The newest version of a contract, or None when this package has none of that name."""
    return max((version for known, version in _CONTRACTS if known == name), default=None)


def payloads_of(name: str) -> Mapping[str, type[Any]]:
    """The message that each transaction type of a contract carries; empty for an unknown one."""
    return _PAYLOADS.get(name, {})


def payload_of(kind: str) -> type[Any] | None:
    """The message that a transaction type carries, whichever contract has it: types are unique."""
    return next((known[kind] for known in _PAYLOADS.values() if kind in known), None)
