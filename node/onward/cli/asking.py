"""Questions to the chain that commands ask for themselves, in one go and as one party."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from onward.cli.target import Target
from onward.cli.values import ANSWER_BYTES_MAX
from onward.rpc.client import Client, ReadingParty
from onward.scenario.format import CONTRACT
from onward_proto.documents import canonical_document, parse_document

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A client and who asks through it."""

    client: Client
    reader: ReadingParty

    async def ask(self, query: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The answer of a query of the contract."""
        data, height = await self.client.query(
            CONTRACT, query, canonical_document(arguments), self.reader
        )
        return {"height": height, **parse_document(data, maximum=ANSWER_BYTES_MAX)}

    async def receipt(self, tx_hash: bytes) -> str:
        """The receipt of a transaction, once a quorum has signed for it."""
        return (await self.client.receipt(tx_hash, self.reader)).decode()


def run_asking(target: Target, talk: Callable[[Conversation], Awaitable[T]]) -> T:
    """What a conversation with the target's nodes comes to."""

    async def run() -> T:
        async with target.client() as client:
            return await talk(Conversation(client=client, reader=target.reader()))

    return asyncio.run(run())
