"""Dossiers of agreements in a world in memory, collected as the command line collects them."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.unit.chaincode.world import World

from onward.errors import RejectedError
from onward.exchange.coherence import parse_dossier
from onward.exchange.collecting import collect
from onward.exchange.dossier import Dossier
from onward_chaincode.contract import Refuse
from onward_proto.documents import canonical_document

CHAIN = bytes(range(32))


def asking(world: World, reader: str) -> Any:
    """How `reader` asks: refusals come as a client sees them."""

    async def ask(query: str, arguments: dict[str, Any]) -> dict[str, Any]:
        try:
            return dict(world.ask(reader, query, **arguments))
        except Refuse as error:
            raise RejectedError(error.code, str(error), rule=error.rule) from None

    return ask


def collected(world: World, reader: str, agreement_id: str) -> dict[str, Any]:
    return asyncio.run(collect(asking(world, reader), agreement_id, CHAIN))


def dossier_of(world: World, reader: str, agreement_id: str, **changes: Any) -> Dossier:
    return parse_dossier(canonical_document(collected(world, reader, agreement_id) | changes))
