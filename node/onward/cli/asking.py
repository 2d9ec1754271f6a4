"""Questions to the chain that commands ask for themselves, in one go and as one party.

Who answers is a node, and may be anybody's: what cannot be an answer is nobody's bug, and no fault
of who asked. Another node may have a better one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from onward.cli.target import Target
from onward.errors import MalformedError, Unavailable
from onward.rpc.client import Client, ReadingParty
from onward.scenario.format import CONTRACT
from onward_chaincode.forms import HASH
from onward_proto.canonical import CanonicalError
from onward_proto.documents import DocumentError, canonical_document, parse_document

ANSWER_BYTES_MAX = 8 * 1024 * 1024  # a page holds many records, each up to a document's size
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
        return read_answer(data, height)

    async def receipt(self, tx_hash: bytes) -> str:
        """The receipt of a transaction, once a quorum has signed for it."""
        with as_a_node_says():
            return (await self.client.receipt(tx_hash, self.reader)).decode()


@contextmanager
def as_a_node_says() -> Iterator[None]:
    """Whatever cannot be read in here is a node's doing: `Unavailable`, ask another one."""
    try:
        yield
    except (MalformedError, DocumentError, CanonicalError, UnicodeDecodeError) as error:
        raise Unavailable(f"a node answered what cannot be: {error}; --node asks another") from None


def read_answer(data: bytes, height: int) -> dict[str, Any]:
    """A query's answer, with the height at which it holds. Raises `Unavailable` for what is none.

    What the answer itself says of a height is not the client's word for it.
    """
    with as_a_node_says():
        document = parse_document(data, maximum=ANSWER_BYTES_MAX)
    return {"height": height} | document | {"height": height}


def id_in(answer: Mapping[str, Any], key: str) -> str:
    """An id that an answer must have, to go on with. Raises `Unavailable`."""
    value = answer.get(key)
    if not isinstance(value, str) or not HASH.fullmatch(value):
        raise Unavailable(f"a node answered without a {key}; --node asks another")
    return value


def run_asking(target: Target, talk: Callable[[Conversation], Awaitable[T]]) -> T:
    """What a conversation with the target's nodes comes to."""

    async def run() -> T:
        async with target.client() as client:
            return await talk(Conversation(client=client, reader=target.reader()))

    return asyncio.run(run())
