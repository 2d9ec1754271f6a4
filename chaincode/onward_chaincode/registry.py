"""Which contracts this package offers. The node asks here and names no contract itself."""

from __future__ import annotations

from onward_chaincode.contract import Contract
from onward_chaincode.isa import Isa
from onward_chaincode.opaque import Opaque

_CONTRACTS: dict[tuple[str, int], Contract] = {("isa", 1): Isa(), ("opaque", 1): Opaque()}
_FOR_MEASURING = (("opaque", 1),)


def available() -> tuple[tuple[str, int], ...]:
    """Every (name, version) that a network is made of, sorted; not what only benchmarks use."""
    return tuple(sorted(key for key in _CONTRACTS if key not in _FOR_MEASURING))


def contract_for(name: str, version: int) -> Contract | None:
    """The contract, or None when this package does not have that version."""
    return _CONTRACTS.get((name, version))
