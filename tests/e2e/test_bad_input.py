"""Bad input on real nodes: each gets its documented code and status, changes nothing, and the node
goes on (docs/spec/codes.md).
"""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from tests.support.real_network import RealNetwork

from onward import limits
from onward.crypto.signing import SigningKey
from onward.errors import RejectedError
from onward.ledger.block import Block
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
from onward.ledger.transaction import Envelope, decode_body, seal_envelope
from onward.network import processes
from onward.network.access import endpoints, now_ms
from onward.rpc import tls
from onward.rpc.client import NodeClient
from onward.rpc.convert import parse_peer_frame, peer_frames, peer_hello
from onward.rpc.hello import Side, read_hello
from onward.rpc.peers import EXCHANGE
from onward.rpc.services import GATEWAY_SERVICE
from onward.runtime.home import KEY_NAME, read_seed
from onward_proto.canonical import decode, encode
from onward_proto.v1 import gateway_pb2

os.environ.setdefault("GRPC_VERBOSITY", "NONE")
pytestmark = pytest.mark.timeout(120)
S = grpc.StatusCode
TIMEOUT_S = 20
HASH = bytes(32)
BLOB = b"sealed bytes"
STRANGER = SigningKey(b"stranger".ljust(32, b"."))
Refusal = tuple[grpc.StatusCode, str]
FORMAT: Refusal = (S.INVALID_ARGUMENT, "E_FORMAT")
UNARY = (
    *("Submit", "DryRun", "Query", "Transaction", "Block", "Receipt", "Status", "Evidence"),
    *("PutBlob", "GetBlob", "BlobDeletion"),
)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealNetwork]:
    with RealNetwork(tmp_path_factory.mktemp("bad-input") / "network") as running:
        asyncio.run(running.start())
        yield running


class Door:
    """A node's gateway, without a client's good manners."""

    def __init__(self, network: RealNetwork, index: int = 0) -> None:
        self.network = network
        self.endpoint = endpoints(network.network)[index]
        key = self.endpoint.public_key
        self.channel = grpc.secure_channel(
            self.endpoint.address,
            tls.channel_credentials(key),
            options=(
                ("grpc.ssl_target_name_override", tls.host_name(key)),
                ("grpc.enable_http_proxy", 0),
            ),
        )

    def call(self, method: str, data: bytes) -> bytes:
        stub: Any = self.channel.unary_unary(f"/{GATEWAY_SERVICE}/{method}")
        return bytes(stub(data, timeout=TIMEOUT_S))

    def refusal(self, method: str, data: bytes) -> Refusal:
        return refusal_of(lambda: self.call(method, data))

    def submit(self, envelope: bytes) -> gateway_pb2.SubmitReply:
        request = gateway_pb2.SubmitRequest(envelope=envelope, wait_ms=15_000)
        return gateway_pb2.SubmitReply.FromString(self.call("Submit", request.SerializeToString()))

    def refused_envelope(self, envelope: bytes) -> Refusal:
        return refusal_of(lambda: self.submit(envelope))

    def read(self, method: str, arguments: bytes, **changes: Any) -> bytes:
        scope = ReadScope(
            chain_id=changes.get("chain_id", self.network.network.genesis.chain_id),
            node=changes.get("node", self.endpoint.public_key),
            method=method,
            arguments=arguments,
        )
        return seal_read(
            scope,
            party=changes.get("party", "admin"),
            valid_until_ms=now_ms() + changes.get("valid_ms", 30_000),
            signer=changes.get("signer", self.network.admin),
        )

    def requests(self) -> dict[str, bytes]:
        """A good request for each method; in all but Status the first field is most of it."""
        body = self.network.registration_body()
        envelope, _ = self.network.registration()
        messages = {
            "Submit": gateway_pb2.SubmitRequest(envelope=envelope, wait_ms=1),
            "DryRun": gateway_pb2.DryRunRequest(
                read=self.read(METHOD_DRY_RUN, body), body=body[:16]
            ),
            "Query": gateway_pb2.QueryRequest(
                read=self.read(query_method("isa", "terms"), b"{}"),
                contract="isa",
                name="terms",
                arguments=b"{}",
            ),
            "Transaction": gateway_pb2.TransactionRequest(
                read=self.read(METHOD_TRANSACTION, HASH), tx_hash=HASH
            ),
            "Block": gateway_pb2.BlockRequest(read=self.read(METHOD_BLOCK, u64(1)), height=1),
            "Receipt": gateway_pb2.ReceiptRequest(
                read=self.read(METHOD_RECEIPT, HASH), tx_hash=HASH
            ),
            "Status": gateway_pb2.StatusRequest(),
            "Evidence": gateway_pb2.EvidenceRequest(),
            "PutBlob": gateway_pb2.PutBlobRequest(
                read=self.read(METHOD_BLOB_PUT, blob_arguments("isa", HASH, BLOB)),
                contract="isa",
                record=HASH,
                blob=BLOB,
            ),
            "GetBlob": self.about_blob(gateway_pb2.GetBlobRequest, METHOD_BLOB_GET),
            "BlobDeletion": self.about_blob(gateway_pb2.BlobDeletionRequest, METHOD_BLOB_DELETION),
        }
        return {name: message.SerializeToString() for name, message in messages.items()}

    def about_blob(self, request: Any, method: str, **changes: Any) -> Any:
        """A question about the blob of a record that there is not."""
        contract, record = changes.pop("contract", "isa"), changes.pop("record", HASH)
        read = self.read(method, blob_arguments(contract, record), **changes)
        return request(read=read, contract=contract, record=record)

    def block(self, height: int) -> gateway_pb2.BlockReply:
        request = gateway_pb2.BlockRequest(read=self.read(METHOD_BLOCK, u64(height)), height=height)
        return gateway_pb2.BlockReply.FromString(self.call("Block", request.SerializeToString()))

    def status(self) -> gateway_pb2.StatusReply:
        return gateway_pb2.StatusReply.FromString(self.call("Status", b""))

    def record(self) -> tuple[bytes, int]:
        """The tip's state root, and how many transactions the log has."""
        status = self.status()
        tip = self.block(status.height)
        assert decode(Block, tip.block).height == status.height
        return tip.state_root, tip.log_size - status.height


@pytest.fixture
def door(network: RealNetwork) -> Iterator[Door]:
    opened = Door(network)
    yield opened
    opened.channel.close()


@contextmanager
def untouched(door: Door) -> Iterator[None]:
    """Nothing is recorded meanwhile, no process ends, and afterwards the network takes a
    transaction as ever."""
    pids = [processes.running(node) for node in door.network.nodes]
    before = door.record()
    yield
    assert door.record() == before
    (verdict,) = door.submit(door.network.registration()[0]).verdicts
    assert verdict.code == "OK"
    assert door.record() != before
    assert [processes.running(node) for node in door.network.nodes] == pids


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def refusal_of(call: Callable[[], object]) -> Refusal:
    """Status and code of a call that has to be refused."""
    with pytest.raises(grpc.RpcError) as refused:
        call()
    error: Any = refused.value
    metadata = dict(error.trailing_metadata() or ())
    return error.code(), str(metadata.get("onward-code", ""))


def forged(data: bytes, place: int) -> bytes:
    """The same envelope with one bit of a signature turned."""
    envelope = decode(Envelope, data)
    signatures = list(envelope.signatures)
    signature = bytearray(signatures[place].signature)
    signature[7] ^= 1
    signatures[place] = replace(signatures[place], signature=bytes(signature))
    return encode(replace(envelope, signatures=tuple(signatures)))


def unsigned(data: bytes) -> bytes:
    return encode(replace(decode(Envelope, data), signatures=()))


# -- the gateway -----------------------------------------------------------------------------------


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


# -- the peers' port -------------------------------------------------------------------------------


def exhaust(dial: Any, word: bytes) -> None:
    list(dial(iter([word])))


class PeerPort:
    """The last validator's port for peers, and the seeds of all."""

    def __init__(self, network: RealNetwork) -> None:
        self.seeds = [read_seed(node.home / KEY_NAME) for node in network.nodes]
        self.key = endpoints(network.network)[-1].public_key
        self.address = str(network.nodes[-1].peers)
        self.chain_id = network.network.genesis.chain_id
        self.channels: list[grpc.Channel] = []

    def dial(self, identity: tls.TlsIdentity | None, *, plaintext: bool = False) -> Any:
        """A function that sends words, and gives the iterator of answers."""
        if plaintext:
            channel = grpc.insecure_channel(self.address)
        else:
            channel = grpc.secure_channel(
                self.address,
                tls.channel_credentials(self.key, identity),
                options=(
                    ("grpc.ssl_target_name_override", tls.host_name(self.key)),
                    ("grpc.max_send_message_length", -1),
                ),
            )
        self.channels.append(channel)
        exchange: Any = channel.stream_stream(EXCHANGE)
        return lambda words: exchange(words, timeout=TIMEOUT_S)

    def side(self, signer: SigningKey, identity: tls.TlsIdentity, chain_id: bytes = b"") -> Side:
        return Side(
            chain_id=chain_id or self.chain_id,
            epoch=0,
            signer=signer,
            nonce=bytes(32),
            leaf_hash=identity.leaf_hash,
        )

    def close(self) -> None:
        for channel in self.channels:
            channel.close()


@pytest.fixture
def port(network: RealNetwork) -> Iterator[PeerPort]:
    opened = PeerPort(network)
    yield opened
    opened.close()


def test_strangers_get_no_connection_to_a_peers_port(door: Door, port: PeerPort) -> None:
    stranger = tls.issue_identity(b"stranger".ljust(32, b"."))
    with untouched(door):
        for dial in (
            port.dial(stranger),  # its key is not in the genesis
            port.dial(None),  # TLS without a certificate
            port.dial(None, plaintext=True),
        ):
            assert refusal_of(partial(exhaust, dial, b"x")) == (S.UNAVAILABLE, "")


def test_bad_first_words_on_a_peers_port_are_refused_with_their_code(
    door: Door, port: PeerPort
) -> None:
    """A validator's own certificate opens the port; that alone makes nobody a peer."""
    first, second = SigningKey(port.seeds[0]), SigningKey(port.seeds[1])
    identity = tls.issue_identity(port.seeds[0])
    hello = port.side(first, identity).introduce(port.key)
    peer: Refusal = (S.PERMISSION_DENIED, "E_PEER")
    words: dict[str, tuple[bytes, Refusal]] = {
        "random": (random.Random(5).randbytes(90), FORMAT),
        "empty": (b"", FORMAT),
        "truncated": (peer_hello(hello)[:-3], FORMAT),
        "truncated inside": (peer_hello(hello[:-3]), FORMAT),
        "unknown field": (peer_hello(hello) + b"\x78\x01", FORMAT),
        "twice": (peer_hello(hello) * 2, FORMAT),
        "frame first": (peer_frames(b"\x01"), FORMAT),
        "oversized hello": (peer_hello(bytes(5_000)), FORMAT),
        "oversized": (bytes(limits.PEER_MESSAGE_BYTES_MAX + 1024), (S.RESOURCE_EXHAUSTED, "")),
        "unknown key": (peer_hello(port.side(STRANGER, identity).introduce(port.key)), peer),
        "another's certificate": (
            peer_hello(port.side(second, identity).introduce(port.key)),
            peer,
        ),
        "another chain": (
            peer_hello(port.side(first, identity, bytes([1]) * 32).introduce(port.key)),
            (S.INVALID_ARGUMENT, "E_CHAIN"),
        ),
        "for another node": (
            peer_hello(port.side(first, identity).introduce(second.public_key)),
            peer,
        ),
    }
    found: dict[str, Refusal] = {}
    with untouched(door):
        for name, (word, _) in words.items():
            dial = port.dial(identity)
            found[name] = refusal_of(partial(exhaust, dial, word))
    assert found == {name: expected for name, (_, expected) in words.items()}


@pytest.mark.parametrize("kind", ["random", "truncated", "proof"])
def test_validator_that_sends_garbage_is_cut_off_and_the_network_goes_on(
    door: Door, port: PeerPort, kind: str
) -> None:
    """The key is real, what it says is not: its stream ends, and the honest one comes back."""
    signer, identity = SigningKey(port.seeds[0]), tls.issue_identity(port.seeds[0])
    side = port.side(signer, identity)
    rest = {
        "random": (peer_frames(random.Random(6).randbytes(400)), FORMAT),
        "truncated": (peer_frames(b"\x0a\x20abc"), FORMAT),
        "proof": (peer_hello(side.prove(port.key, bytes(32))), (S.PERMISSION_DENIED, "E_PEER")),
    }[kind]

    def misbehave() -> None:
        answers: list[bytes] = []
        heard = threading.Event()

        def words() -> Iterator[bytes]:
            yield peer_hello(side.introduce(port.key))
            heard.wait(TIMEOUT_S)
            nonce = read_hello(parse_peer_frame(answers[0])[0]).sender_nonce
            if kind != "proof":
                yield peer_hello(side.prove(port.key, nonce))
            yield rest[0]

        for answer in port.dial(identity)(words()):
            answers.append(answer)
            heard.set()

    with untouched(door):
        assert refusal_of(misbehave) == rest[1]
    last = Door(door.network, index=-1)
    wait_until(lambda: all(peer.up for peer in last.status().peers))
    last.channel.close()
