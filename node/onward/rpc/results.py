"""What validators ask each other when one of them has computed something else.

Calls of their own beside the stream, and answered from the database: whoever asks has stopped, and
whoever answers goes on voting meanwhile. Only validators are answered: a write set holds records.
An answer is followed by a rest for whoever got it, so that all that may be faulty get at most a
third of a node's time together.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import Message

from onward.errors import OnwardError, RejectCode, RejectedError, Unavailable
from onward.rpc import convert, tls
from onward.rpc.peers import PeerNetwork
from onward.rpc.ports import ResultPort
from onward.rpc.services import PEER_SERVICE
from onward.rpc.status import error_of, failure_of
from onward.types import ValidatorIndex, ValidatorSet
from onward_proto.v1 import peer_pb2

LEAVES, WRITES = "Leaves", "Writes"
_HEIGHT_MAX = 2**53 - 1
_ASK_TIMEOUT_S = 5.0
_TURN_MS_MIN = 1


class ResultService:
    """The results of one node, for its peers."""

    def __init__(
        self,
        port: ResultPort,
        validators: ValidatorSet,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._port = port
        self._now_s = now_s
        self._free_at_s: dict[bytes, float] = {
            member.public_key: 0.0 for member in validators.members
        }

    def register(self, server: grpc.aio.Server) -> None:
        """Let `server` answer what the Peer service has beside its stream."""
        methods: dict[str, Any] = {
            LEAVES: grpc.unary_unary_rpc_method_handler(self._guarded(self._leaves)),
            WRITES: grpc.unary_unary_rpc_method_handler(self._guarded(self._writes)),
        }
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(PEER_SERVICE, methods),)
        )

    def _leaves(self, data: bytes) -> Message:
        request = convert.parse(peer_pb2.LeavesRequest, data)
        leaves = self._port.leaves(_height(request.height))
        if leaves is None:
            raise RejectedError(RejectCode.NOT_FOUND, f"no result of block {request.height}")
        return peer_pb2.LeavesReply(leaves=leaves)

    def _writes(self, data: bytes) -> Message:
        request = convert.parse(peer_pb2.WritesRequest, data)
        found = self._port.write_set(_height(request.height), request.index)
        if found is None:
            raise RejectedError(
                RejectCode.NOT_FOUND, f"no write set {request.index} of block {request.height}"
            )
        return peer_pb2.WritesReply(write_set=found)

    def _guarded(
        self, handle: Callable[[bytes], Message]
    ) -> Callable[[bytes, Any], Awaitable[bytes]]:
        async def behaviour(data: bytes, context: Any) -> bytes:
            try:
                return self._in_turn(self._caller(context), lambda: handle(data))
            except OnwardError as error:
                failure = failure_of(error)
            await context.abort(failure.status, failure.message, failure.metadata)
            return b""

        return behaviour

    def _caller(self, context: Any) -> bytes:
        found = context.auth_context().get("x509_pem_cert")
        key = tls.issuer_of(bytes(found[0])) if found else None
        if key not in self._free_at_s:
            raise RejectedError(RejectCode.PEER, "only a validator, by its certificate, is told")
        return key

    def _in_turn(self, caller: bytes, answer: Callable[[], Message]) -> bytes:
        """The answer's bytes. Raises `Unavailable` E_BUSY while the caller has to rest."""
        began_s = self._now_s()
        rest_s = self._free_at_s[caller] - began_s
        if rest_s > 0:
            busy = Unavailable("one answer at a time", retry_after_ms=int(rest_s * 1000) + 1)
            busy.code = RejectCode.BUSY
            raise busy
        try:
            return answer().SerializeToString()
        finally:
            ended_s = self._now_s()
            self._free_at_s[caller] = ended_s + len(self._free_at_s) * (ended_s - began_s)


class ResultClient:
    """Asks peers, and waits for its turn there. Both raise `RejectedError` or `Unavailable`."""

    def __init__(self, peers: PeerNetwork) -> None:
        self._peers = peers

    async def leaves(self, peer: ValidatorIndex, height: int) -> tuple[bytes, ...]:
        """A peer's leaves of a block."""
        request = peer_pb2.LeavesRequest(height=height)
        data = await self._ask(peer, LEAVES, request)
        return tuple(convert.answer(peer_pb2.LeavesReply, data).leaves)

    async def write_set(self, peer: ValidatorIndex, height: int, index: int) -> bytes:
        """A peer's write set of one transaction."""
        request = peer_pb2.WritesRequest(height=height, index=index)
        data = await self._ask(peer, WRITES, request)
        return convert.answer(peer_pb2.WritesReply, data).write_set

    async def _ask(self, peer: ValidatorIndex, method: str, request: Message) -> bytes:
        async with self._peers.channel(peer) as channel:
            stub: Any = channel.unary_unary(f"/{PEER_SERVICE}/{method}")
            while True:
                try:
                    return bytes(await stub(request.SerializeToString(), timeout=_ASK_TIMEOUT_S))
                except grpc.aio.AioRpcError as error:
                    metadata = tuple(error.trailing_metadata() or ())
                    failure = error_of(error.code(), error.details() or "", metadata)
                if not isinstance(failure, Unavailable) or failure.code != RejectCode.BUSY:
                    raise failure
                # Our turn comes; how long we wait for it altogether is bounded by who asks.
                await asyncio.sleep(max(failure.retry_after_ms, _TURN_MS_MIN) / 1000)


def _height(value: int) -> int:
    if value > _HEIGHT_MAX:
        raise RejectedError(RejectCode.FORMAT, f"height {value}, at most {_HEIGHT_MAX}")
    return value
