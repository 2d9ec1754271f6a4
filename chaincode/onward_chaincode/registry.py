"""Which contracts this package offers. The node asks here and names no contract itself."""

from __future__ import annotations

from onward_chaincode.contract import Contract
from onward_chaincode.isa import Isa

_CONTRACTS: dict[tuple[str, int], Contract] = {("isa", 1): Isa()}


def available() -> tuple[tuple[str, int], ...]:
    """Every (name, version), sorted."""
    return tuple(sorted(_CONTRACTS))


def contract_for(name: str, version: int) -> Contract | None:
    """The contract, or None when this package does not have that version."""
    return _CONTRACTS.get((name, version))
