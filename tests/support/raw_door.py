"""A node's gateway and its answers as they are on the wire: for tests that send what no client
would.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import grpc
import pytest
from tests.support.real_network import RealNetwork

from onward.crypto.signing import SigningKey
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
from onward.ledger.transaction import Envelope
from onward.network import processes
from onward.network.access import endpoints, now_ms
from onward.rpc import tls
from onward.rpc.services import GATEWAY_SERVICE
from onward_proto.canonical import decode, encode
from onward_proto.v1 import gateway_pb2

os.environ.setdefault("GRPC_VERBOSITY", "NONE")
S = grpc.StatusCode
TIMEOUT_S = 20
HASH = bytes(32)
BLOB = b"sealed bytes"
STRANGER = SigningKey(b"stranger".ljust(32, b"."))
Refusal = tuple[grpc.StatusCode, str]
FORMAT: Refusal = (S.INVALID_ARGUMENT, "E_FORMAT")


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
