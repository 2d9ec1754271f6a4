"""One node that lies, lags or is silent does not come between a party and her blobs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from onward.blobs.place import Place
from onward.blobs.sealing import blob_hash
from onward.crypto.signing import SigningKey
from onward.errors import RejectedError, Unavailable
from onward.rpc.client import Client, ReadingParty
from onward_proto.v1 import gateway_pb2

PLACE = Place(contract="isa", record=b"r" * 32)
BLOB = b"sealed bytes"
KEY = SigningKey(b"k" * 32)
ALICE = ReadingParty(party="alice", signer=KEY)
LAGS = RejectedError("E_UNKNOWN_SHARE", "no such share yet")
DOWN = Unavailable("cannot be reached")
GONE = RejectedError("E_NOT_FOUND", "not kept here")


class ScriptedNode:
    """Answers every call with one reply, or raises."""

    def __init__(self, reply: Any) -> None:
        self.endpoint = SimpleNamespace(public_key=KEY.public_key)
        self.asked = 0
        self._reply = reply

    async def call(self, *_: object) -> Any:
        self.asked += 1
        if isinstance(self._reply, Exception):
            raise self._reply
        return self._reply


def client_of(replies: Sequence[Any]) -> tuple[Client, list[Any]]:
    client = Client((), chain_id=b"c" * 32, now_ms=lambda: 1_750_000_000_000)
    nodes: list[Any] = [ScriptedNode(reply) for reply in replies]
    client._nodes = nodes
    return client, nodes


def got(blob: bytes) -> Any:
    return gateway_pb2.GetBlobReply(blob=blob)


@pytest.mark.parametrize("first", [LAGS, DOWN, RejectedError("E_READER", "a lie")])
async def test_blob_is_left_with_the_others_whatever_the_first_node_says(first: Any) -> None:
    """One validator could otherwise see to it that nobody keeps what was shared."""
    client, nodes = client_of([first, *[gateway_pb2.PutBlobReply()] * 3])
    assert await client.put_blob(PLACE, BLOB, ALICE) == 3
    assert [node.asked for node in nodes] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    "first",
    [LAGS, DOWN, GONE, RejectedError("E_READER", "a lie"), got(b"other bytes"), got(b"")],
    ids=["lags", "down", "gone", "lies", "other-bytes", "nothing"],
)
async def test_blob_is_taken_from_the_first_node_that_really_has_it(first: Any) -> None:
    client, _ = client_of([first, got(BLOB), GONE])
    assert await client.get_blob(PLACE, blob_hash(BLOB), ALICE) == BLOB


@pytest.mark.parametrize("first", [LAGS, DOWN, RejectedError("E_READER", "a lie")])
async def test_deletions_of_the_others_are_shown(first: Any) -> None:
    deletion = gateway_pb2.BlobDeletionReply(deletion=b"signed")
    client, _ = client_of([first, GONE, deletion, deletion])
    assert await client.blob_deletions(PLACE, ALICE) == (b"signed", b"signed")


def put(client: Client) -> Any:
    return client.put_blob(PLACE, BLOB, ALICE)


def take(client: Client) -> Any:
    return client.get_blob(PLACE, blob_hash(BLOB), ALICE)


def list_deletions(client: Client) -> Any:
    return client.blob_deletions(PLACE, ALICE)


@pytest.mark.parametrize("ask", [put, take, list_deletions])
async def test_where_no_node_helps_the_refusal_counts_more_than_silence(
    ask: Callable[[Client], Any],
) -> None:
    client, _ = client_of([DOWN, LAGS, DOWN])
    with pytest.raises(RejectedError) as refused:
        await ask(client)
    assert refused.value.code == "E_UNKNOWN_SHARE"
    silent, _ = client_of([DOWN, DOWN])
    with pytest.raises(Unavailable):
        await ask(silent)


async def test_every_node_is_asked_where_one_answer_is_not_enough() -> None:
    replies = [gateway_pb2.QueryReply(answer=text) for text in (b"1", b"2", b"1")]
    client, _ = client_of([LAGS, *replies])
    assert await client.query_all("isa", "share", b"{}", ALICE) == (b"1", b"2", b"1")
