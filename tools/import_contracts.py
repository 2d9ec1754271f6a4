"""An import-linter contract whose rooms may be absent.

The built-in `forbidden` contract stops when a source room does not exist. Here an absent room is
passed over, so that the contract names every room the house will have from its first day on.
`tests/test_tidy.py` checks that no room that exists is missing from the contracts.
"""

from __future__ import annotations

from grimp import ImportGraph
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.domain.contract import ContractCheck


class ForbiddenRoomsContract(ForbiddenContract):
    """`forbidden`, for those of the named modules that exist."""

    type_name = "forbidden_rooms"

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Drop what is absent, then check as the built-in contract does."""
        roots = {name.partition(".")[0] for name in graph.modules if "." in name}

        def is_expected(name: str) -> bool:
            # An external module is in the graph only when somebody imports it.
            return name in graph.modules or name.partition(".")[0] not in roots

        # The base class declares these as field descriptors and holds sets in them.
        fields = vars(self)
        for field in ("source_modules", "forbidden_modules"):
            fields[field] = {module for module in fields[field] if is_expected(str(module))}
        return super().check(graph, verbose)
