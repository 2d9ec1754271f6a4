"""Bad input on every method of a real server: code, status, and the node goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from hypothesis import given
from hypothesis import strategies as st

from onward import limits
from onward.blobs.place import Place
from onward.crypto.signing import SigningKey
from onward.errors import CorruptionError, MalformedError, RejectedError, Unavailable
from onward.ledger.chain import StoredBlock, StoredTransaction
from onward.replica.answers import NodeStatus, PeerStatus, Submission
from onward.replica.effects import Verdict
from onward.rpc import convert, tls
from onward.rpc.client import Client, Endpoint, NodeClient
from onward.rpc.ports import Result
from onward.rpc.server import bind, gateway_server
from onward.rpc.services import GATEWAY_SERVICE
from onward.types import Digest
from onward_proto.v1 import gateway_pb2

REQUESTS: dict[str, Any] = {
    "Submit": gateway_pb2.SubmitRequest,
    "DryRun": gateway_pb2.DryRunRequest,
    "Query": gateway_pb2.QueryRequest,
    "Transaction": gateway_pb2.TransactionRequest,
    "Block": gateway_pb2.BlockRequest,
    "Receipt": gateway_pb2.ReceiptRequest,
    "Status": gateway_pb2.StatusRequest,
    "Evidence": gateway_pb2.EvidenceRequest,
    "PutBlob": gateway_pb2.PutBlobRequest,
    "GetBlob": gateway_pb2.GetBlobRequest,
    "BlobDeletion": gateway_pb2.BlobDeletionRequest,
}
METHODS = tuple(REQUESTS)
STATUS = NodeStatus(
    network="local",
    chain_id=Digest(bytes([7]) * 32),
    validator="v1",
    index=0,
    height=41,
    state_root=Digest(bytes([8]) * 32),
    time_ms=1_750_000_000_000,
    epoch=0,
    view=43,
    finalized_height=42,
    checkpoint_height=40,
    version="0",
    peers=(PeerStatus(validator="v2", index=1, up=True, height=41),),
)
SEED = bytes([5]) * 32
TIMEOUT_MS = 5_000


def verdict(code: str = "OK") -> Verdict:
    return Verdict(
        tx_hash=Digest(bytes([1]) * 32),
        height=9,
        code=code,
        rule="",
        message="",
        outcome=1,
        log_index=3,
        event=None,
    )


class ScriptedGateway:
    """A `GatewayPort` that says what the test wrote down, and keeps what it was asked."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.envelopes: list[bytes] = []
        self.failures: list[Exception] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def submit(self, envelope: bytes, wait_ms: int) -> Submission:
        self.envelopes.append(envelope)
        await self.gate.wait()
        self._speak()
        if envelope == b"refused":
            raise RejectedError("E_SIG", "forged")
        return Submission(tx_hashes=(Digest(bytes([1]) * 32),), verdicts=(verdict(),))

    async def submit_many(
        self, envelopes: Sequence[bytes], wait_ms: int, tell: Callable[[int, Result], None]
    ) -> None:
        for place, envelope in enumerate(envelopes):
            try:
                tell(place, await self.submit(envelope, wait_ms))
            except RejectedError as error:
                tell(place, error)

    def dry_run(self, read: bytes, body: bytes) -> Verdict:
        self._speak()
        return verdict("E_DEPTH")

    def query(self, read: bytes, contract: str, name: str, arguments: bytes) -> tuple[bytes, int]:
        self._speak()
        return b"{}", 9

    def transaction(self, read: bytes, tx_hash: bytes) -> StoredTransaction:
        self._speak()
        raise RejectedError("E_NOT_FOUND", "none")

    def block(self, read: bytes, height: int) -> StoredBlock:
        self._speak()
        raise RejectedError("E_NOT_FOUND", "none")

    async def receipt(self, read: bytes, tx_hash: bytes, wait_ms: int) -> bytes:
        self._speak()
        return b"onward/receipt/1\n"

    def status(self) -> NodeStatus:
        self._speak()
        return STATUS

    def evidence(self) -> tuple[bytes, ...]:
        self._speak()
        return (b"onward/evidence/1\n",)

    async def put_blob(self, read: bytes, place: Place, blob: bytes) -> None:
        self._speak()

    async def get_blob(self, read: bytes, place: Place) -> bytes:
        self._speak()
        return b"blob"

    async def blob_deletion(self, read: bytes, place: Place) -> bytes:
        self._speak()
        return b"onward/deletion/1\n"

    def failed(self, error: Exception) -> None:
        self.failures.append(error)

    def _speak(self) -> None:
        if self.error is not None:
            raise self.error


@pytest.fixture
async def node() -> AsyncIterator[Any]:
    gateway = ScriptedGateway()
    server, health = gateway_server(gateway)
    port = bind(server, "127.0.0.1:0", tls.issue_identity(SEED))
    await server.start()
    endpoint = Endpoint(address=f"127.0.0.1:{port}", public_key=SigningKey(SEED).public_key)
    client = NodeClient(endpoint)
    yield SimpleNamespace(
        gateway=gateway, client=client, endpoint=endpoint, health=health, server=server
    )
    await client.close()
    await server.stop(0)


async def still_answers(node: Any) -> None:
    reply = await node.client.call(
        "Status", gateway_pb2.StatusRequest(), gateway_pb2.StatusReply, TIMEOUT_MS
    )
    assert convert.status_in(reply) == STATUS
    assert not node.gateway.failures


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "data",
    [b"\xff" * 9, b"\x0a\x7f", b"\x0a\xff\xff\xff\xff\x0f", b"\xa2\x06\x03new"],
    ids=["random", "truncated", "huge-length", "unknown-field"],
)
async def test_bytes_that_are_no_request_are_refused(node: Any, method: str, data: bytes) -> None:
    with pytest.raises(RejectedError) as refused:
        await node.client.call_raw(method, data, TIMEOUT_MS)
    assert refused.value.code == "E_FORMAT"
    assert not node.gateway.envelopes
    await still_answers(node)


@pytest.mark.parametrize("method", [name for name in METHODS if name not in ("Status", "Evidence")])
async def test_field_that_stands_twice_is_refused(node: Any, method: str) -> None:
    """A runtime keeps the last one; another could keep the first."""
    with pytest.raises(RejectedError) as refused:
        await node.client.call_raw(method, b"\x0a\x01a\x0a\x01b", TIMEOUT_MS)
    assert refused.value.code == "E_FORMAT"


@pytest.mark.parametrize("method", METHODS)
async def test_oversized_request_is_refused_unread(node: Any, method: str) -> None:
    with pytest.raises(RejectedError) as refused:
        await node.client.call_raw(method, bytes(limits.GATEWAY_REQUEST_BYTES_MAX + 1), TIMEOUT_MS)
    assert refused.value.code == "E_SIZE"
    await still_answers(node)


@pytest.mark.parametrize("method", ["Transaction", "Receipt"])
async def test_hash_of_the_wrong_length_is_refused(node: Any, method: str) -> None:
    request = REQUESTS[method](tx_hash=bytes(31)).SerializeToString()
    with pytest.raises(RejectedError) as refused:
        await node.client.call_raw(method, request, TIMEOUT_MS)
    assert refused.value.code == "E_FORMAT"


async def test_status_code_and_rule_travel_beside_each_other(node: Any) -> None:
    """A client in another language reads them off the plain gRPC status."""
    node.gateway.error = RejectedError("E_COUNTERSIG", "BETA has not signed", rule="R05")
    channel = grpc.aio.secure_channel(
        node.endpoint.address,
        tls.channel_credentials(node.endpoint.public_key),
        options=(("grpc.ssl_target_name_override", tls.host_name(node.endpoint.public_key)),),
    )
    stub: Any = channel.unary_unary(f"/{GATEWAY_SERVICE}/Submit")
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await stub(b"", timeout=30)
    assert failed.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert failed.value.details() == "BETA has not signed"
    metadata = dict(tuple(failed.value.trailing_metadata() or ()))
    assert metadata["onward-code"] == "E_COUNTERSIG"
    assert metadata["onward-rule"] == "R05"
    await channel.close()


async def test_fault_of_our_own_is_told_to_the_node_and_not_to_the_client(node: Any) -> None:
    node.gateway.error = CorruptionError("block 7 is torn")
    with pytest.raises(Unavailable, match="stopping"):
        await node.client.call_raw("Query", b"", TIMEOUT_MS)
    node.gateway.error = ZeroDivisionError("a bug")
    with pytest.raises(RejectedError) as refused:
        await node.client.call_raw("Query", b"", TIMEOUT_MS)
    assert refused.value.code == "E_FAULT"
    assert [type(error) for error in node.gateway.failures] == [
        CorruptionError,
        ZeroDivisionError,
    ]


async def test_stream_carries_verdicts_and_refusals_and_ends_at_nonsense(node: Any) -> None:
    channel = grpc.aio.secure_channel(
        node.endpoint.address,
        tls.channel_credentials(node.endpoint.public_key),
        options=(("grpc.ssl_target_name_override", tls.host_name(node.endpoint.public_key)),),
    )
    call: Any = channel.stream_stream(f"/{GATEWAY_SERVICE}/SubmitStream")()
    request = gateway_pb2.StreamedSubmit(first_id=1, envelopes=[b"good", b"refused"])
    await call.write(request.SerializeToString())
    replies: dict[int, Any] = {}
    while len(replies) < 2:
        reply = gateway_pb2.StreamedReply.FromString(await call.read())
        replies |= {item.id: item for item in reply.settled}
    assert replies[1].reply.verdicts[0].code == "OK"
    assert replies[2].refusal.code == "E_SIG"
    await call.write(b"\xff")
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await call.read()
    assert ended.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    await channel.close()
    await still_answers(node)


@pytest.mark.parametrize(
    "request_",
    [
        gateway_pb2.StreamedSubmit(first_id=2**64 - 1, envelopes=[b"good"]),
        gateway_pb2.StreamedSubmit(envelopes=[b""] * (limits.GATEWAY_STREAM_CALLS_MAX + 1)),
    ],
    ids=["numbers", "room"],
)
async def test_stream_message_that_cannot_be_numbered_or_kept_ends_the_stream(
    node: Any, request_: gateway_pb2.StreamedSubmit
) -> None:
    """A result whose number does not fit would come up in the middle of a block's verdicts."""
    channel = grpc.aio.secure_channel(
        node.endpoint.address,
        tls.channel_credentials(node.endpoint.public_key),
        options=(("grpc.ssl_target_name_override", tls.host_name(node.endpoint.public_key)),),
    )
    call: Any = channel.stream_stream(f"/{GATEWAY_SERVICE}/SubmitStream")()
    await call.write(request_.SerializeToString())
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await call.read()
    assert ended.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    await channel.close()
    assert not node.gateway.envelopes
    await still_answers(node)


async def test_client_of_another_key_does_not_trust_the_node(node: Any) -> None:
    """A name server or a proxy that leads elsewhere gets no transaction."""
    other = Endpoint(
        address=node.endpoint.address, public_key=SigningKey(bytes([6]) * 32).public_key
    )
    stranger = NodeClient(other)
    with pytest.raises(Unavailable):
        await stranger.call_raw("Submit", b"", TIMEOUT_MS)
    await stranger.close()
    assert not node.gateway.envelopes


async def test_health_and_reflection_answer_standard_tools(node: Any) -> None:
    await node.health.set_serving(serving=True)
    channel = grpc.aio.secure_channel(
        node.endpoint.address,
        tls.channel_credentials(node.endpoint.public_key),
        options=(("grpc.ssl_target_name_override", tls.host_name(node.endpoint.public_key)),),
    )
    stub: Any = health_pb2_grpc.HealthStub(channel)
    reply = await stub.Check(health_pb2.HealthCheckRequest(service=GATEWAY_SERVICE), timeout=30)
    assert reply.status == health_pb2.HealthCheckResponse.SERVING
    await node.health.set_serving(serving=False)
    reply = await stub.Check(health_pb2.HealthCheckRequest(), timeout=30)
    assert reply.status == health_pb2.HealthCheckResponse.NOT_SERVING
    stub_of: Any = reflection_pb2_grpc.ServerReflectionStub
    asked = stub_of(channel)
    call = asked.ServerReflectionInfo(timeout=30)
    await call.write(reflection_pb2.ServerReflectionRequest(list_services="*"))
    listed = await call.read()
    names = {item.name for item in listed.list_services_response.service}
    assert GATEWAY_SERVICE in names
    call.cancel()
    await channel.close()


async def test_client_takes_the_same_bytes_to_the_next_node(node: Any) -> None:
    dead = Endpoint(address="127.0.0.1:1", public_key=SigningKey(bytes([6]) * 32).public_key)
    async with Client(
        [dead, node.endpoint], chain_id=bytes(32), now_ms=lambda: 0, timeout_ms=TIMEOUT_MS
    ) as client:
        submission = await client.submit(b"the bytes")
    assert submission.verdicts == (verdict(),)
    assert node.gateway.envelopes == [b"the bytes"]


async def test_client_does_not_take_a_refusal_elsewhere(node: Any) -> None:
    async with Client(
        [node.endpoint, node.endpoint], chain_id=bytes(32), now_ms=lambda: 0
    ) as client:
        with pytest.raises(RejectedError) as refused:
            await client.submit(b"refused")
    assert refused.value.code == "E_SIG"
    assert node.gateway.envelopes == [b"refused"]


async def test_client_gives_up_in_time_when_no_node_answers(node: Any) -> None:
    node.gateway.gate.clear()
    async with Client(
        [node.endpoint], chain_id=bytes(32), now_ms=lambda: 0, timeout_ms=100
    ) as client:
        with pytest.raises(Unavailable, match="100 ms"):
            await client.submit(b"slow")


@given(data=st.binary(max_size=200))
def test_no_bytes_get_past_the_parser_but_its_own_form(data: bytes) -> None:
    for request in REQUESTS.values():
        try:
            parsed = convert.parse(request, data)
        except MalformedError:
            continue
        assert len(parsed.SerializeToString()) == len(data)


@pytest.mark.parametrize("data", [b"\xff" * 9, b"\x0a\x7f"], ids=["random", "truncated"])
@pytest.mark.parametrize(
    "method",
    [
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        f"/{GATEWAY_SERVICE}/NoSuchMethod",
    ],
)
async def test_nonsense_for_standard_services_is_refused_and_the_node_goes_on(
    node: Any, method: str, data: bytes
) -> None:
    """They read their own messages, so gRPC answers for them: a status without a code of ours."""
    channel = grpc.aio.secure_channel(
        node.endpoint.address,
        tls.channel_credentials(node.endpoint.public_key),
        options=(("grpc.ssl_target_name_override", tls.host_name(node.endpoint.public_key)),),
    )
    call: Any = channel.stream_stream(method)()
    with suppress(asyncio.InvalidStateError, grpc.aio.AioRpcError, grpc.aio.UsageError):
        await call.write(data)
        await call.done_writing()
    assert await asyncio.wait_for(call.code(), 5) is not grpc.StatusCode.OK
    await channel.close()
    await still_answers(node)
