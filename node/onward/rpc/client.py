"""The client of a network: one node at a time, the next one when that cannot answer.

A submission is the same bytes wherever it is sent, and a node that knows them answers with their
verdict; so trying again elsewhere is always safe. Reads are signed for one node and are signed anew
for the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
from google.protobuf.message import Message

from onward import limits
from onward.blobs.place import Place
from onward.blobs.sealing import blob_hash
from onward.crypto.signing import Signer
from onward.errors import RejectCode, RejectedError, Unavailable
from onward.ledger.chain import StoredBlock
from onward.ledger.leaf import TransactionLeaf
from onward.ledger.read import (
    METHOD_BLOB_DELETION,
    METHOD_BLOB_GET,
    METHOD_BLOB_PUT,
    METHOD_BLOCK,
    METHOD_DRY_RUN,
    METHOD_RECEIPT,
    METHOD_TRANSACTION,
    ReadScope,
    blob_arguments,
    query_method,
    seal_read,
)
from onward.ledger.store import u64
from onward.replica.answers import NodeStatus, Submission
from onward.replica.effects import Verdict
from onward.rpc import convert, tls
from onward.rpc.services import GATEWAY_SERVICE
from onward.rpc.status import error_of
from onward.types import PublicKey
from onward_proto.v1 import gateway_pb2

M = TypeVar("M", bound=Message)
T = TypeVar("T")
_READ_VALID_MS = limits.READ_VALIDITY_MS_MAX // 2  # leaves room for clocks that disagree
_CALL_MARGIN_MS = 2_000
_PAUSE_MS = 200
_MESSAGE_BYTES_MAX = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A node's client address `host:port`, and its identity key from the genesis."""

    address: str
    public_key: PublicKey
    plaintext: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingParty:
    """On whose behalf reads are made, and the key that signs them."""

    party: str
    signer: Signer


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionAnswer:
    """A transaction's verdict and its leaf in the log."""

    verdict: Verdict
    leaf: TransactionLeaf


def open_channel(endpoint: Endpoint) -> grpc.aio.Channel:
    """A channel to one node, which trusts no key but the node's own and connects by itself."""
    options: list[tuple[str, Any]] = [
        ("grpc.max_receive_message_length", _MESSAGE_BYTES_MAX),
        ("grpc.enable_retries", 0),
        ("grpc.enable_http_proxy", 0),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1_000),
    ]
    if endpoint.plaintext:
        return grpc.aio.insecure_channel(endpoint.address, options=options)
    options.append(("grpc.ssl_target_name_override", tls.host_name(endpoint.public_key)))
    credentials = tls.channel_credentials(endpoint.public_key)
    return grpc.aio.secure_channel(endpoint.address, credentials, options=options)


class NodeClient:
    """Calls to one node. Errors of the node are raised as ours; what gRPC says is `Unavailable`."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._channel = open_channel(endpoint)

    async def close(self) -> None:
        """End the connection."""
        await self._channel.close()

    async def call(self, method: str, request: Message, reply: type[M], timeout_ms: int) -> M:
        """One call. Raises `RejectedError` or `Unavailable`."""
        data = await self.call_raw(method, request.SerializeToString(), timeout_ms)
        return convert.answer(reply, data)

    async def call_raw(self, method: str, data: bytes, timeout_ms: int) -> bytes:
        """One call with bytes as they are. Raises `RejectedError` or `Unavailable`."""
        stub: Any = self._channel.unary_unary(f"/{GATEWAY_SERVICE}/{method}")
        try:
            return bytes(await stub(data, timeout=timeout_ms / 1000))
        except grpc.aio.AioRpcError as error:
            metadata = tuple(error.trailing_metadata() or ())
            raise error_of(error.code(), error.details() or "", metadata) from None


class Client:
    """A network as a client sees it. Use it with `async with`."""

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        *,
        chain_id: bytes,
        now_ms: Callable[[], int],
        timeout_ms: int = 30_000,
    ) -> None:
        """`timeout_ms`: how long a request may take over all nodes together."""
        self._nodes = [NodeClient(endpoint) for endpoint in endpoints]
        self._chain_id = chain_id
        self._now_ms = now_ms
        self._timeout_ms = timeout_ms
        self._current = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End all connections."""
        for node in self._nodes:
            await node.close()

    async def submit(self, envelope: bytes, *, wait_ms: int = 15_000) -> Submission:
        """Submit an envelope; on unavailability the same bytes go to the next node.

        Raises `RejectedError` for what a node refuses at its door, `Unavailable` when no node
        answered.
        """
        request = gateway_pb2.SubmitRequest(envelope=envelope, wait_ms=wait_ms)

        async def ask(node: NodeClient) -> Submission:
            reply = await node.call(
                "Submit", request, gateway_pb2.SubmitReply, wait_ms + _CALL_MARGIN_MS
            )
            return convert.submission_in(reply)

        return await self._somewhere(ask)

    async def dry_run(self, body: bytes, reader: ReadingParty) -> Verdict:
        """The verdict that `body` would get now; `reader` is its actor or a cosigner."""

        async def ask(node: NodeClient) -> Verdict:
            read = self._read(node, reader, METHOD_DRY_RUN, body)
            request = gateway_pb2.DryRunRequest(read=read, body=body)
            reply = await node.call("DryRun", request, gateway_pb2.DryRunReply, self._timeout_ms)
            return convert.verdict_in(reply.verdict)

        return await self._somewhere(ask)

    async def query(
        self, contract: str, name: str, arguments: bytes, reader: ReadingParty
    ) -> tuple[bytes, int]:
        """A contract's answer (JSON) to `arguments` (JSON), and the height at which it holds."""

        async def ask(node: NodeClient) -> tuple[bytes, int]:
            read = self._read(node, reader, query_method(contract, name), arguments)
            request = gateway_pb2.QueryRequest(
                read=read, contract=contract, name=name, arguments=arguments
            )
            reply = await node.call("Query", request, gateway_pb2.QueryReply, self._timeout_ms)
            return reply.answer, reply.height

        return await self._somewhere(ask)

    async def query_all(
        self, contract: str, name: str, arguments: bytes, reader: ReadingParty
    ) -> tuple[bytes, ...]:
        """What each node that can be reached answers: for what one of them must not make up."""

        async def ask(node: NodeClient) -> bytes:
            request = gateway_pb2.QueryRequest(
                read=self._read(node, reader, query_method(contract, name), arguments),
                contract=contract,
                name=name,
                arguments=arguments,
            )
            reply = await node.call("Query", request, gateway_pb2.QueryReply, self._timeout_ms)
            return reply.answer

        return tuple(await self._everywhere(ask))

    async def transaction(self, tx_hash: bytes, reader: ReadingParty) -> TransactionAnswer:
        """A transaction's verdict and leaf. Raises `RejectedError` E_NOT_FOUND."""

        async def ask(node: NodeClient) -> TransactionAnswer:
            read = self._read(node, reader, METHOD_TRANSACTION, tx_hash)
            request = gateway_pb2.TransactionRequest(read=read, tx_hash=tx_hash)
            reply = await node.call(
                "Transaction", request, gateway_pb2.TransactionReply, self._timeout_ms
            )
            return TransactionAnswer(
                verdict=convert.verdict_in(reply.verdict), leaf=convert.leaf_in(reply.leaf)
            )

        return await self._somewhere(ask)

    async def block(self, height: int, reader: ReadingParty) -> StoredBlock:
        """An executed block, without certificate and batch heads. Raises E_NOT_FOUND."""

        async def ask(node: NodeClient) -> StoredBlock:
            read = self._read(node, reader, METHOD_BLOCK, u64(height))
            request = gateway_pb2.BlockRequest(read=read, height=height)
            reply = await node.call("Block", request, gateway_pb2.BlockReply, self._timeout_ms)
            return convert.block_in(reply)

        return await self._somewhere(ask)

    async def receipt(
        self, tx_hash: bytes, reader: ReadingParty, *, wait_ms: int = 10_000
    ) -> bytes:
        """The text of a transaction's receipt, once a quorum has signed for it."""

        async def ask(node: NodeClient) -> bytes:
            read = self._read(node, reader, METHOD_RECEIPT, tx_hash)
            request = gateway_pb2.ReceiptRequest(read=read, tx_hash=tx_hash, wait_ms=wait_ms)
            reply = await node.call(
                "Receipt", request, gateway_pb2.ReceiptReply, wait_ms + _CALL_MARGIN_MS
            )
            return reply.receipt

        return await self._somewhere(ask)

    async def status(self, index: int, *, timeout_ms: int = 2_000) -> NodeStatus:
        """How the node at `index` of the endpoints is doing. Never asks another one."""
        reply = await self._nodes[index].call(
            "Status", gateway_pb2.StatusRequest(), gateway_pb2.StatusReply, timeout_ms
        )
        return convert.status_in(reply)

    async def evidence(self) -> tuple[bytes, ...]:
        """The evidence files of one node. They are not checked here."""

        async def ask(node: NodeClient) -> tuple[bytes, ...]:
            request = gateway_pb2.EvidenceRequest()
            answer = gateway_pb2.EvidenceReply
            return tuple((await node.call("Evidence", request, answer, self._timeout_ms)).files)

        return await self._somewhere(ask)

    async def put_blob(self, place: Place, blob: bytes, reader: ReadingParty) -> int:
        """Leave a record's blob with every node that takes it; answers how many have it.

        Where none has: raises the first `RejectedError`, or `Unavailable`.
        """
        arguments = blob_arguments(place.contract, place.record, blob)

        async def bring(node: NodeClient) -> None:
            request = gateway_pb2.PutBlobRequest(
                read=self._read(node, reader, METHOD_BLOB_PUT, arguments),
                contract=place.contract,
                record=place.record,
                blob=blob,
            )
            await node.call("PutBlob", request, gateway_pb2.PutBlobReply, self._timeout_ms)

        return len(await self._everywhere(bring))

    async def get_blob(self, place: Place, named: bytes, reader: ReadingParty) -> bytes:
        """A record's blob from the first node that has the bytes with the hash `named`.

        What another node says, or sends in its place, does not end the search. Where none has it:
        raises the first `RejectedError`, or `Unavailable`.
        """
        arguments = blob_arguments(place.contract, place.record)
        refused: RejectedError | None = None
        failed = Unavailable("no node to ask")
        for node in self._nodes:
            request = gateway_pb2.GetBlobRequest(
                read=self._read(node, reader, METHOD_BLOB_GET, arguments),
                contract=place.contract,
                record=place.record,
            )
            timeout_ms = self._timeout_ms // len(self._nodes)
            try:
                reply = await node.call("GetBlob", request, gateway_pb2.GetBlobReply, timeout_ms)
            except RejectedError as error:
                refused = refused or error
            except Unavailable as error:
                failed = error
            else:
                if blob_hash(reply.blob) == named:
                    return reply.blob
                failed = Unavailable("a node keeps other bytes than the chain names")
        raise refused or failed

    async def blob_deletions(self, place: Place, reader: ReadingParty) -> tuple[bytes, ...]:
        """The signed deletions of the nodes that have one, in the nodes' order. Unchecked."""
        arguments = blob_arguments(place.contract, place.record)

        async def ask(node: NodeClient) -> bytes:
            request = gateway_pb2.BlobDeletionRequest(
                read=self._read(node, reader, METHOD_BLOB_DELETION, arguments),
                contract=place.contract,
                record=place.record,
            )
            answer = gateway_pb2.BlobDeletionReply
            try:
                return (await node.call("BlobDeletion", request, answer, self._timeout_ms)).deletion
            except RejectedError as error:
                if error.code != RejectCode.NOT_FOUND:
                    raise
                return b""

        return tuple(filter(None, await self._everywhere(ask)))

    def _read(self, node: NodeClient, reader: ReadingParty, method: str, arguments: bytes) -> bytes:
        scope = ReadScope(
            chain_id=self._chain_id,
            node=node.endpoint.public_key,
            method=method,
            arguments=arguments,
        )
        return seal_read(
            scope,
            party=reader.party,
            valid_until_ms=self._now_ms() + _READ_VALID_MS,
            signer=reader.signer,
        )

    async def _somewhere(self, ask: Callable[[NodeClient], Awaitable[T]]) -> T:
        """Ask the current node, then the others in turn, until one answers or time is up."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout_ms / 1000
        failed = 0
        while True:
            node = self._nodes[self._current]
            try:
                async with asyncio.timeout_at(deadline):
                    return await ask(node)
            except RejectedError:
                raise
            except TimeoutError:
                raise Unavailable(f"no answer within {self._timeout_ms} ms") from None
            except Unavailable as error:
                failed += 1
                self._current = (self._current + 1) % len(self._nodes)
                pause_ms = error.retry_after_ms or _PAUSE_MS
                if failed % len(self._nodes):
                    pause_ms = 0  # there is another one to ask first
                if loop.time() + pause_ms / 1000 >= deadline:
                    raise
                await asyncio.sleep(pause_ms / 1000)

    async def _everywhere(self, ask: Callable[[NodeClient], Awaitable[T]]) -> list[T]:
        """What the nodes answer, in their order; all are asked at once, and each for itself.

        Where none answers: raises the first `RejectedError`, or `Unavailable`.
        """
        answers: list[T] = []
        refused: RejectedError | None = None
        failed = Unavailable("no node to ask")
        asked = (ask(node) for node in self._nodes)
        for answer in await asyncio.gather(*asked, return_exceptions=True):
            match answer:
                case RejectedError():
                    refused = refused or answer
                case Unavailable():
                    failed = answer
                case BaseException():
                    raise answer
                case _:
                    answers.append(answer)
        if not answers:
            raise refused or failed
        return answers
