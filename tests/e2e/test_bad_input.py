"""Bad input on real nodes: each gets its documented code and status, changes nothing, and the node
goes on (docs/spec/codes.md).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from tests.support.raw_door import (
    BLOB,
    FORMAT,
    HASH,
    STRANGER,
    TIMEOUT_S,
    Door,
    Refusal,
    S,
    forged,
    refusal_of,
    unsigned,
    untouched,
)
from tests.support.real_network import RealNetwork

from onward import limits
from onward.crypto.signing import SigningKey
from onward.errors import RejectedError
from onward.ledger.read import (
    METHOD_BLOB_DELETION,
    METHOD_BLOB_GET,
    METHOD_BLOB_PUT,
    METHOD_RECEIPT,
    METHOD_TRANSACTION,
    blob_arguments,
)
from onward.ledger.transaction import decode_body, seal_envelope
from onward.network.access import endpoints, now_ms
from onward.rpc import tls
from onward.rpc.client import NodeClient
from onward.rpc.services import GATEWAY_SERVICE
from onward_proto.canonical import encode
from onward_proto.v1 import gateway_pb2

pytestmark = pytest.mark.timeout(120)
UNARY = (
    *("Submit", "DryRun", "Query", "Transaction", "Block", "Receipt", "Status", "Evidence"),
    *("PutBlob", "GetBlob", "BlobDeletion"),
)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealNetwork]:
    with RealNetwork(tmp_path_factory.mktemp("bad-input") / "network") as running:
        asyncio.run(running.start())
        yield running


@pytest.fixture
def door(network: RealNetwork) -> Iterator[Door]:
    opened = Door(network)
    yield opened
    opened.channel.close()


def test_truncated_requests_are_refused_on_every_method(door: Door) -> None:
    with untouched(door):
        for method, data in door.requests().items():
            for size in {1, len(data) // 3, len(data) // 2} if data else ():
                assert (method, door.refusal(method, data[:size])) == (method, FORMAT)


def test_random_bytes_are_refused_on_every_method(door: Door) -> None:
    chance = random.Random(4)
    with untouched(door):
        for method in UNARY:
            for size in (1, 7, 64, 300, 5_000):
                data = chance.randbytes(size)
                assert (method, size, door.refusal(method, data)) == (method, size, FORMAT)
        stream: Any = door.channel.stream_stream(f"/{GATEWAY_SERVICE}/SubmitStream")
        calls = (
            lambda: list(stream(iter([chance.randbytes(64)]), timeout=TIMEOUT_S)),
            lambda: list(stream(iter([door.requests()["Submit"]] * 2), timeout=TIMEOUT_S)),
        )
        for call in calls:
            assert refusal_of(call) == FORMAT


def test_refusal_inside_a_stream_leaves_the_stream_standing(door: Door) -> None:
    stream: Any = door.channel.stream_stream(f"/{GATEWAY_SERVICE}/SubmitStream")
    good, _ = door.network.registration()
    word = gateway_pb2.StreamedSubmit(
        first_id=5,
        envelopes=[
            b"",
            bytes(limits.ENVELOPE_BYTES_MAX + 1),
            good,
            good[:-1] + bytes([good[-1] ^ 1]),
            unsigned(good),
            good,
        ],
        wait_ms=15_000,
    )
    found = {}
    for data in stream(iter([word.SerializeToString()]), timeout=TIMEOUT_S):
        for item in gateway_pb2.StreamedReply.FromString(data).settled:
            found[item.id] = item.refusal.code or item.reply.verdicts[0].code
    assert found == {
        5: "E_FORMAT",
        6: "E_SIZE",
        7: "OK",
        8: "E_SIG",
        9: "E_SIG",
        10: "OK",  # the same bytes again: their one verdict, told twice
    }
    again = gateway_pb2.StreamedSubmit(envelopes=[good], wait_ms=15_000)
    (data,) = stream(iter([again.SerializeToString()]), timeout=TIMEOUT_S)
    (item,) = gateway_pb2.StreamedReply.FromString(data).settled
    assert item.reply.verdicts[0].code == "OK"  # replayed: known, and not executed again


def test_unknown_and_repeated_fields_are_refused_on_every_method(door: Door) -> None:
    """Whoever sends a field that we do not know means something that we would not do."""
    with untouched(door):
        for method, data in door.requests().items():
            assert (method, door.refusal(method, data + b"\x78\x01")) == (method, FORMAT)
            if data:
                assert (method, door.refusal(method, data + data)) == (method, FORMAT)


def test_standard_services_survive_garbage(door: Door) -> None:
    """Health and reflection are gRPC's own: they answer with its status and no code of ours."""
    with untouched(door):
        check: Any = door.channel.unary_unary("/grpc.health.v1.Health/Check")
        reflect: Any = door.channel.stream_stream(
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
        )
        garbage = b"\xff" * 9
        assert refusal_of(lambda: check(garbage, timeout=TIMEOUT_S)) == (S.UNKNOWN, "")
        refused = refusal_of(lambda: list(reflect(iter([garbage]), timeout=TIMEOUT_S)))
        assert refused == (S.UNKNOWN, "")
        answer = health_pb2.HealthCheckResponse.FromString(check(b"", timeout=TIMEOUT_S))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        unknown: Any = door.channel.unary_unary(f"/{GATEWAY_SERVICE}/Nonsense")
        assert refusal_of(lambda: unknown(b"", timeout=TIMEOUT_S)) == (S.UNIMPLEMENTED, "")


def test_blobs_are_for_who_asks_for_just_this_at_just_this_node(door: Door) -> None:
    """Whoever could replay a question, or ask in another's name, would get at what was shared."""
    put, get = gateway_pb2.PutBlobRequest, gateway_pb2.GetBlobRequest
    gone = gateway_pb2.BlobDeletionRequest
    about = door.about_blob
    elsewhere = endpoints(door.network.network)[1].public_key
    good = door.read(METHOD_BLOB_PUT, blob_arguments("isa", HASH, BLOB))
    turned = bytearray(good)
    turned[-1] ^= 1
    huge = bytes(limits.BLOB_BYTES_MAX + 1)
    denied, invalid = S.PERMISSION_DENIED, S.INVALID_ARGUMENT
    reader: Refusal = (denied, "E_READER")

    def bring(read: bytes, blob: bytes = BLOB, record: bytes = HASH) -> Any:
        return put(read=read, contract="isa", record=record, blob=blob)

    cases: dict[str, tuple[str, Any, Refusal]] = {
        "no such record": ("PutBlob", bring(good), (S.NOT_FOUND, "E_UNKNOWN_SHARE")),
        "none to get": ("GetBlob", about(get, METHOD_BLOB_GET), (S.NOT_FOUND, "E_UNKNOWN_SHARE")),
        "none gone": (
            *("BlobDeletion", about(gone, METHOD_BLOB_DELETION)),
            (S.NOT_FOUND, "E_UNKNOWN_SHARE"),
        ),
        "forged": ("PutBlob", bring(bytes(turned)), (S.UNAUTHENTICATED, "E_SIG")),
        "a stranger": (
            *("GetBlob", about(get, METHOD_BLOB_GET, signer=STRANGER)),
            (denied, "E_PARTY"),
        ),
        "another blob": ("PutBlob", bring(good, b"other bytes"), reader),
        "another record": ("PutBlob", bring(good, record=b"r" * 32), reader),
        "a question as an order": (
            *("PutBlob", bring(door.read(METHOD_BLOB_GET, blob_arguments("isa", HASH)))),
            reader,
        ),
        "replayed from another node": (
            *("GetBlob", about(get, METHOD_BLOB_GET, node=elsewhere)),
            reader,
        ),
        "over": (
            *("GetBlob", about(get, METHOD_BLOB_GET, valid_ms=-1)),
            (S.FAILED_PRECONDITION, "E_EXPIRED"),
        ),
        "good for ever": (
            *("GetBlob", about(get, METHOD_BLOB_GET, valid_ms=10 * 60_000)),
            (invalid, "E_VALIDITY"),
        ),
        "oversized": (
            *(
                "PutBlob",
                bring(door.read(METHOD_BLOB_PUT, blob_arguments("isa", HASH, huge)), huge),
            ),
            (invalid, "E_SIZE"),
        ),
        "short record": (
            *("GetBlob", about(get, METHOD_BLOB_GET, record=b"../../../etc")),
            FORMAT,
        ),
        "no such contract": (
            *("GetBlob", about(get, METHOD_BLOB_GET, contract="../isa")),
            (invalid, "E_CONTRACT"),
        ),
        "a contract without blobs": (
            *("GetBlob", about(get, METHOD_BLOB_GET, contract="sys")),
            (S.NOT_FOUND, "E_NOT_FOUND"),
        ),
    }
    with untouched(door):
        for name, (method, request, refusal) in cases.items():
            assert (name, door.refusal(method, request.SerializeToString())) == (name, refusal)
    assert not any((node.home / "blobs").exists() for node in door.network.nodes)


def test_oversized_messages_are_refused(door: Door) -> None:
    """What gRPC itself refuses unread has no code on the wire; our client gives it the code."""
    envelope = bytes(limits.ENVELOPE_BYTES_MAX + 1)
    request = gateway_pb2.SubmitRequest(envelope=bytes(limits.GATEWAY_REQUEST_BYTES_MAX))

    async def ask() -> None:
        client = NodeClient(door.endpoint)
        try:
            await client.call("Submit", request, gateway_pb2.SubmitReply, TIMEOUT_S * 1000)
        finally:
            await client.close()

    with untouched(door):
        assert door.refused_envelope(envelope) == (S.INVALID_ARGUMENT, "E_SIZE")
        refused = door.refusal("Submit", request.SerializeToString())
        assert refused == (S.RESOURCE_EXHAUSTED, "")
        with pytest.raises(RejectedError) as error:
            asyncio.run(ask())
        assert error.value.code == "E_SIZE"


def test_envelopes_that_are_not_what_they_should_be_are_refused_with_their_code(
    door: Door,
) -> None:
    network = door.network
    chain_id = network.network.genesis.chain_id
    registry = network.network.wallet.load("registry").signer

    def sealed(chain: bytes = chain_id, *signers: SigningKey, **changes: Any) -> bytes:
        body = replace(decode_body(network.registration_body()), **changes)
        return seal_envelope(chain, [encode(body)], list(signers or (network.admin,)))

    two: dict[str, Any] = {"cosigners": ("registry",)}
    both = (chain_id, network.admin, registry)
    body = network.registration_body()
    cases: dict[str, tuple[bytes, Refusal]] = {
        "nothing": (b"", FORMAT),
        "truncated": (sealed()[:-1], FORMAT),
        "padded": (sealed() + b"\x00", FORMAT),
        "unknown field": (sealed() + b"\x78\x01", FORMAT),
        "forged signature": (forged(sealed(), 0), (S.UNAUTHENTICATED, "E_SIG")),
        "no signature": (unsigned(sealed()), (S.UNAUTHENTICATED, "E_SIG")),
        "cosigner missing": (sealed(**two), (S.UNAUTHENTICATED, "E_COUNTERSIG")),
        "cosigner forged": (
            forged(sealed(*both, **two), 1),
            (S.UNAUTHENTICATED, "E_COUNTERSIG"),
        ),
        "another chain's": (sealed(bytes(32)), (S.INVALID_ARGUMENT, "E_CHAIN")),
        "unknown key": (sealed(chain_id, STRANGER), (S.PERMISSION_DENIED, "E_PARTY")),
        "unknown party": (sealed(actor="nobody"), (S.PERMISSION_DENIED, "E_PARTY")),
        "expired": (sealed(valid_until_ms=now_ms() - 1), (S.FAILED_PRECONDITION, "E_EXPIRED")),
        "valid for too long": (
            sealed(valid_until_ms=now_ms() + limits.VALIDITY_MS_MAX + 60_000),
            (S.INVALID_ARGUMENT, "E_VALIDITY"),
        ),
        "body twice": (
            seal_envelope(chain_id, [body, body], [network.admin]),
            (S.ALREADY_EXISTS, "E_DUPLICATE"),
        ),
        "capitals in a name": (sealed(contract="SYS"), FORMAT),
    }
    with untouched(door):
        found = {name: door.refused_envelope(envelope) for name, (envelope, _) in cases.items()}
    assert found == {name: expected for name, (_, expected) in cases.items()}


def test_replayed_transaction_gets_its_verdict_again_and_is_executed_once(door: Door) -> None:
    """A client that got no answer must be able to ask again; nobody else may gain by it."""
    network = door.network
    chain_id = network.network.genesis.chain_id
    registry = network.network.wallet.load("registry").signer
    first, second = network.registration_body(), network.registration_body()
    envelope = seal_envelope(chain_id, [first], [network.admin])
    told = door.submit(envelope)
    with untouched(door):
        assert door.submit(envelope) == told
        wrapped = seal_envelope(chain_id, [first], [network.admin, registry])
        assert door.submit(wrapped) == told
        smuggled = seal_envelope(chain_id, [second, first], [network.admin])
        assert door.refused_envelope(smuggled) == (S.ALREADY_EXISTS, "E_REPLAY")


def test_reads_of_somebody_else_are_refused_with_their_code(door: Door) -> None:
    """A read is signed for one chain, node, method and arguments, and for a moment."""

    def ask(read: bytes) -> Refusal:
        request = gateway_pb2.TransactionRequest(read=read, tx_hash=HASH)
        return door.refusal("Transaction", request.SerializeToString())

    def signed(method: str = METHOD_TRANSACTION, arguments: bytes = HASH, **how: Any) -> bytes:
        return door.read(method, arguments, **how)

    turned = bytearray(signed())
    turned[-1] ^= 1
    reader: Refusal = (S.PERMISSION_DENIED, "E_READER")
    cases: dict[str, tuple[bytes, Refusal]] = {
        "none": (b"", FORMAT),
        "forged": (bytes(turned), (S.UNAUTHENTICATED, "E_SIG")),
        "another chain": (signed(chain_id=HASH), (S.INVALID_ARGUMENT, "E_CHAIN")),
        "another node": (signed(node=STRANGER.public_key), reader),
        "another method": (signed(METHOD_RECEIPT), reader),
        "other arguments": (signed(arguments=bytes([1]) * 32), reader),
        "another's key": (signed(signer=STRANGER), (S.PERMISSION_DENIED, "E_PARTY")),
        "nobody": (signed(party="nobody"), (S.PERMISSION_DENIED, "E_PARTY")),
        "late": (signed(valid_ms=-1), (S.FAILED_PRECONDITION, "E_EXPIRED")),
        "for ever": (signed(valid_ms=10_000_000), (S.INVALID_ARGUMENT, "E_VALIDITY")),
        "good, of nothing": (signed(), (S.NOT_FOUND, "E_NOT_FOUND")),
    }
    with untouched(door):
        found = {name: ask(read) for name, (read, _) in cases.items()}
    assert found == {name: expected for name, (_, expected) in cases.items()}


def test_plaintext_client_and_one_with_another_nodes_key_reach_nobody(door: Door) -> None:
    other = endpoints(door.network.network)[1].public_key
    channels = (
        grpc.insecure_channel(door.endpoint.address),
        grpc.secure_channel(
            door.endpoint.address,
            tls.channel_credentials(other),
            options=(("grpc.ssl_target_name_override", tls.host_name(other)),),
        ),
    )
    with untouched(door):
        for channel in channels:
            status: Any = channel.unary_unary(f"/{GATEWAY_SERVICE}/Status")
            assert refusal_of(partial(status, b"", timeout=TIMEOUT_S)) == (
                S.UNAVAILABLE,
                "",
            )
            channel.close()
