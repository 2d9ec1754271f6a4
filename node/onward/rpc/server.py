"""The client's side of a node as a gRPC service, with the standard health and reflection services.

Requests come in as raw bytes, so that whatever is wrong with them gets our code and not the
runtime's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from onward import limits
from onward.blobs.place import Place
from onward.errors import OnwardError
from onward.rpc import convert, tls
from onward.rpc.ports import GatewayPort
from onward.rpc.services import GATEWAY_SERVICE
from onward.rpc.status import failure_of, is_fatal
from onward.rpc.submission_stream import SubmissionStream
from onward_proto.v1 import gateway_pb2

_OPTIONS: tuple[tuple[str, Any], ...] = (
    ("grpc.max_receive_message_length", limits.GATEWAY_REQUEST_BYTES_MAX),
    ("grpc.so_reuseport", 0),
)
Handle = Callable[[bytes], Awaitable[Message]]
Server = grpc.aio.Server


class GatewayService:
    """The Gateway service over a port to the node."""

    def __init__(self, port: GatewayPort) -> None:
        self._port = port

    def register(self, server: grpc.aio.Server) -> None:
        """Let `server` answer the Gateway service."""
        handles: dict[str, Handle] = {
            "Submit": self._submit,
            "DryRun": self._dry_run,
            "Query": self._query,
            "Transaction": self._transaction,
            "Block": self._block,
            "Receipt": self._receipt,
            "Status": self._status,
            "Evidence": self._evidence,
            "PutBlob": self._put_blob,
            "GetBlob": self._get_blob,
            "BlobDeletion": self._blob_deletion,
        }
        methods: dict[str, Any] = {
            name: grpc.unary_unary_rpc_method_handler(self._guarded(handle))
            for name, handle in handles.items()
        }
        methods["SubmitStream"] = grpc.stream_stream_rpc_method_handler(self._submit_stream)
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(GATEWAY_SERVICE, methods),)
        )

    async def _submit(self, data: bytes) -> Message:
        request = convert.parse(gateway_pb2.SubmitRequest, data)
        return convert.submission_out(await self._port.submit(request.envelope, request.wait_ms))

    async def _dry_run(self, data: bytes) -> Message:
        request = convert.parse(gateway_pb2.DryRunRequest, data)
        verdict = self._port.dry_run(request.read, request.body)
        return gateway_pb2.DryRunReply(verdict=convert.verdict_out(verdict))

    async def _query(self, data: bytes) -> Message:
        request = convert.parse(gateway_pb2.QueryRequest, data)
        answer, height = self._port.query(
            request.read, request.contract, request.name, request.arguments
        )
        return gateway_pb2.QueryReply(answer=answer, height=height)

    async def _transaction(self, data: bytes) -> Message:
        request = convert.parse(gateway_pb2.TransactionRequest, data)
        tx_hash = convert.tx_hash_in(request.tx_hash)
        return convert.transaction_out(self._port.transaction(request.read, tx_hash))

    async def _block(self, data: bytes) -> Message:
        request = convert.parse(gateway_pb2.BlockRequest, data)
        return convert.block_out(self._port.block(request.read, request.height))

    async def _receipt(self, data: bytes) -> Message:
        request = convert.parse(gateway_pb2.ReceiptRequest, data)
        tx_hash = convert.tx_hash_in(request.tx_hash)
        text = await self._port.receipt(request.read, tx_hash, request.wait_ms)
        return gateway_pb2.ReceiptReply(receipt=text)

    async def _status(self, data: bytes) -> Message:
        convert.parse(gateway_pb2.StatusRequest, data)
        return convert.status_out(self._port.status())

    async def _evidence(self, data: bytes) -> Message:
        convert.parse(gateway_pb2.EvidenceRequest, data)
        return gateway_pb2.EvidenceReply(files=self._port.evidence())

    async def _put_blob(self, data: bytes) -> Message:
        request = convert.parse(gateway_pb2.PutBlobRequest, data)
        await self._port.put_blob(request.read, _place_of(request), request.blob)
        return gateway_pb2.PutBlobReply()

    async def _get_blob(self, data: bytes) -> Message:
        request = convert.parse(gateway_pb2.GetBlobRequest, data)
        blob = await self._port.get_blob(request.read, _place_of(request))
        return gateway_pb2.GetBlobReply(blob=blob)

    async def _blob_deletion(self, data: bytes) -> Message:
        request = convert.parse(gateway_pb2.BlobDeletionRequest, data)
        deletion = await self._port.blob_deletion(request.read, _place_of(request))
        return gateway_pb2.BlobDeletionReply(deletion=deletion)

    async def _submit_stream(self, _requests: object, context: Any) -> None:
        """Many submissions at once; a malformed message ends the stream, a refusal does not."""
        try:
            await SubmissionStream(self._port, context).run()
        except Exception as error:  # noqa: BLE001  # told to the node, never swallowed
            self._tell(error)
            failure = failure_of(error)
            await context.abort(failure.status, failure.message, failure.metadata)

    def _guarded(self, handle: Handle) -> Callable[[bytes, Any], Awaitable[bytes]]:
        """The gRPC behaviour of a method: refusals become status, code and rule."""

        async def behaviour(data: bytes, context: Any) -> bytes:
            try:
                return (await handle(data)).SerializeToString()
            except Exception as error:  # noqa: BLE001  # told to the node, never swallowed
                self._tell(error)
                failure = failure_of(error)
            await context.abort(failure.status, failure.message, failure.metadata)
            return b""

        return behaviour

    def _tell(self, error: Exception) -> None:
        """Refusals are the client's; everything else is ours, and gRPC would only log it."""
        if is_fatal(error) or not isinstance(error, OnwardError):
            self._port.failed(error)


def _place_of(
    request: gateway_pb2.PutBlobRequest
    | gateway_pb2.GetBlobRequest
    | gateway_pb2.BlobDeletionRequest,
) -> Place:
    return Place(contract=request.contract, record=request.record)


class Health:
    """The standard health service of one server."""

    def __init__(self, server: grpc.aio.Server, services: tuple[str, ...]) -> None:
        self._services = ("", *services)
        self._servicer = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    async def set_serving(self, *, serving: bool) -> None:
        """Tell probes whether the node does its work."""
        status = health_pb2.HealthCheckResponse
        for service in self._services:
            await self._servicer.set(service, status.SERVING if serving else status.NOT_SERVING)


def gateway_server(port: GatewayPort) -> tuple[grpc.aio.Server, Health]:
    """A server for clients, not yet bound: gateway, health and reflection."""
    server = grpc.aio.server(options=_OPTIONS, maximum_concurrent_rpcs=limits.GATEWAY_CALLS_MAX)
    GatewayService(port).register(server)
    checks = Health(server, (GATEWAY_SERVICE,))
    names = (
        GATEWAY_SERVICE,
        health.SERVICE_NAME,
        reflection.SERVICE_NAME,
    )
    reflection.enable_server_reflection(names, server)
    return server, checks


def peer_server(validators: int, options: tuple[tuple[str, Any], ...]) -> grpc.aio.Server:
    """A server for peers, not yet bound. A few more streams than peers: old ones linger."""
    return grpc.aio.server(options=options, maximum_concurrent_rpcs=4 * validators + 16)


def bind(
    server: grpc.aio.Server,
    address: str,
    identity: tls.TlsIdentity | None,
    *,
    client_keys: tuple[bytes, ...] = (),
) -> int:
    """Listen at `host:port` and answer the port. Raises `OSError` where that is not possible."""
    try:
        if identity is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(
                address, tls.server_credentials(identity, client_keys=client_keys)
            )
    except RuntimeError as error:
        raise OSError(f"cannot listen at {address}: {error}") from None
    if port == 0:
        raise OSError(f"cannot listen at {address}")
    return int(port)
