"""What blocks resulted in is told to validators, who prove by their certificate that they are."""

from __future__ import annotations

from typing import Any, Self

import grpc
import pytest
from tests.support.cluster import make_genesis

from onward.errors import Unavailable
from onward.rpc import tls
from onward.rpc.results import ResultClient, ResultService
from onward.rpc.services import PEER_SERVICE
from onward.types import ValidatorIndex
from onward_proto.v1 import peer_pb2

GENESIS, _ = make_genesis(4)
STRANGER = tls.issue_identity(b"stranger".ljust(32))


class Results:
    """One block of one transaction."""

    def leaves(self, height: int) -> tuple[bytes, ...] | None:
        return (b"leaf", b"block") if height == 1 else None

    def write_set(self, height: int, index: int) -> bytes | None:
        return b"written" if (height, index) == (1, 0) else None


class Refused(Exception):
    """The call was aborted."""


class Call:
    """One call, from whoever shows this certificate, or none."""

    def __init__(self, certificate: bytes | None) -> None:
        self._certificate = certificate

    def auth_context(self) -> dict[str, list[bytes]]:
        return {} if self._certificate is None else {"x509_pem_cert": [self._certificate]}

    async def abort(self, status: object, message: str, metadata: Any) -> None:
        raise Refused(dict(metadata)["onward-code"])


class Registry:
    """Stands for a server: keeps what is registered."""

    def add_generic_rpc_handlers(self, handlers: tuple[Any, ...]) -> None:
        (self.handler,) = handlers

    async def call(self, method: str, request: bytes, call: Call) -> bytes:
        class Details:
            invocation_metadata = ()

        Details.method = f"/{PEER_SERVICE}/{method}"  # type: ignore[attr-defined]
        return bytes(await self.handler.service(Details).unary_unary(request, call))


@pytest.fixture
def server() -> Registry:
    registry = Registry()
    service = ResultService(Results(), GENESIS.validators, now_s=lambda: 0.0)
    service.register(registry)  # type: ignore[arg-type]
    return registry


def member(monkeypatch: pytest.MonkeyPatch) -> Call:
    """A validator's call; which key issued its certificate is the TLS room's to say."""
    key = GENESIS.validators.public_key(2)
    monkeypatch.setattr(tls, "issuer_of", lambda _: key)
    return Call(b"certificate")


LEAVES = peer_pb2.LeavesRequest(height=1).SerializeToString()
WRITES = peer_pb2.WritesRequest(height=1, index=0).SerializeToString()


async def test_validator_is_told(server: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    call = member(monkeypatch)
    leaves = peer_pb2.LeavesReply.FromString(await server.call("Leaves", LEAVES, call))
    assert tuple(leaves.leaves) == (b"leaf", b"block")
    written = peer_pb2.WritesReply.FromString(await server.call("Writes", WRITES, call))
    assert written.write_set == b"written"


@pytest.mark.parametrize("call", [Call(None), Call(STRANGER.certificate_pem)])
@pytest.mark.parametrize(("method", "request_"), [("Leaves", LEAVES), ("Writes", WRITES)])
async def test_nobody_else_is_told(
    server: Registry, call: Call, method: str, request_: bytes
) -> None:
    """A write set holds the records of parties that did not ask for an audience."""
    with pytest.raises(Refused, match="E_PEER"):
        await server.call(method, request_, call)


@pytest.mark.parametrize(
    ("method", "request_", "code"),
    [
        ("Leaves", b"\xff", "E_FORMAT"),
        ("Leaves", peer_pb2.LeavesRequest(height=2**60).SerializeToString(), "E_FORMAT"),
        ("Leaves", peer_pb2.LeavesRequest(height=7).SerializeToString(), "E_NOT_FOUND"),
        ("Writes", peer_pb2.WritesRequest(height=1, index=9).SerializeToString(), "E_NOT_FOUND"),
    ],
)
async def test_what_is_no_question_gets_its_code(
    server: Registry, monkeypatch: pytest.MonkeyPatch, method: str, request_: bytes, code: str
) -> None:
    with pytest.raises(Refused, match=code):
        await server.call(method, request_, member(monkeypatch))


async def test_validator_that_asks_without_end_does_not_get_the_nodes_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A full block takes a while to read, and the loop that reads it is the one that votes."""
    seconds = [100.0]

    class SlowResults(Results):
        def leaves(self, height: int) -> tuple[bytes, ...] | None:
            seconds[0] += 0.25
            return super().leaves(height)

    registry = Registry()
    service = ResultService(SlowResults(), GENESIS.validators, now_s=lambda: seconds[0])
    service.register(registry)  # type: ignore[arg-type]
    call = member(monkeypatch)
    await registry.call("Leaves", LEAVES, call)
    for request in (LEAVES, b"\xff"):
        with pytest.raises(Refused, match="E_BUSY"):
            await registry.call("Leaves", request, call)
    key = GENESIS.validators.public_key(3)
    monkeypatch.setattr(tls, "issuer_of", lambda _: key)
    await registry.call("Leaves", LEAVES, call)  # another validator has its own turn
    seconds[0] += 0.25 * GENESIS.validators.size
    await registry.call("Leaves", LEAVES, call)


class Peer:
    """A connection to a peer that says what the test wrote down, one after the other."""

    def __init__(self, *says: Any) -> None:
        self.says = list(says)

    def channel(self, _: object) -> Peer:
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    def unary_unary(self, _: str) -> Any:
        async def ask(*_: object, **__: object) -> bytes:
            said = self.says.pop(0)
            if isinstance(said, Exception):
                raise said
            return bytes(said)

        return ask


def refusal_of(code: str) -> grpc.aio.AioRpcError:
    metadata = grpc.aio.Metadata(("onward-code", code), ("onward-retry-after-ms", "1"))
    return grpc.aio.AioRpcError(
        grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), metadata, details="not now"
    )


async def test_who_asks_waits_for_its_turn() -> None:
    reply = peer_pb2.LeavesReply(leaves=[b"leaf"]).SerializeToString()
    busy = refusal_of("E_BUSY")
    asker = ResultClient(Peer(busy, busy, reply))  # type: ignore[arg-type]
    assert await asker.leaves(ValidatorIndex(1), 1) == (b"leaf",)
    down = ResultClient(Peer(refusal_of("E_UNAVAILABLE")))  # type: ignore[arg-type]
    with pytest.raises(Unavailable):
        await down.leaves(ValidatorIndex(1), 1)
