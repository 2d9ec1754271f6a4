"""One `SubmitStream`: many envelopes in a message, many results in a reply.

What one message costs is paid once for all that it carries. Results gather while a reply is being
written, so that the busier a node is, the larger its replies are. A client that does not read its
results is not read from: what a stream has taken in and not yet answered is bounded.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import grpc

from onward import limits
from onward.errors import MalformedError
from onward.rpc import convert
from onward.rpc.ports import GatewayPort, Result
from onward_proto.v1 import gateway_pb2

_ID_MAX = 2**64 - 1


class SubmissionStream:
    """Serves one stream from its first message to its end. `context` is gRPC's, of raw bytes."""

    def __init__(self, port: GatewayPort, context: Any) -> None:
        self._port = port
        self._context = context
        self._open = 0  # envelopes taken in whose results are not written
        self._settled: list[gateway_pb2.Settled] = []
        self._changed = asyncio.Event()
        self._ended = False

    async def run(self) -> None:
        """Until the client has no more to say and knows all results. Raises what ends it before."""
        halves = {asyncio.create_task(self._read()), asyncio.create_task(self._write())}
        try:
            done, _ = await asyncio.wait(halves, return_when=asyncio.FIRST_EXCEPTION)
            for half in done:
                half.result()
        finally:
            for half in halves:
                half.cancel()
            await asyncio.gather(*halves, return_exceptions=True)

    async def _read(self) -> None:
        while (data := await self._context.read()) is not grpc.aio.EOF:
            message = convert.parse(gateway_pb2.StreamedSubmit, data)
            count = len(message.envelopes)
            _check(message.first_id, count)
            while self._open + count > limits.GATEWAY_STREAM_CALLS_MAX:
                self._changed.clear()
                await self._changed.wait()
            self._open += count
            tell = partial(self._tell, message.first_id, with_events=not message.without_events)
            await self._port.submit_many(message.envelopes, message.wait_ms, tell)
        self._ended = True
        self._changed.set()

    def _tell(self, first_id: int, place: int, result: Result, *, with_events: bool) -> None:
        self._settled.append(convert.settled_out(first_id + place, result, with_events=with_events))
        self._changed.set()

    async def _write(self) -> None:
        while self._open or not self._ended:
            if not self._settled:
                self._changed.clear()
                await self._changed.wait()
                continue
            reply = self._next_reply()
            await self._context.write(reply.SerializeToString())
            self._open -= len(reply.settled)
            self._changed.set()

    def _next_reply(self) -> gateway_pb2.StreamedReply:
        """The oldest results, as many as one message should carry."""
        count = size = 0
        while count < len(self._settled) and size < limits.GATEWAY_REPLY_BYTES_TARGET:
            size += self._settled[count].ByteSize()
            count += 1
        reply = gateway_pb2.StreamedReply(settled=self._settled[:count])
        del self._settled[:count]
        return reply


def _check(first_id: int, count: int) -> None:
    """Raises `MalformedError` for a message whose results could not be numbered or kept."""
    if count > limits.GATEWAY_STREAM_CALLS_MAX:
        raise MalformedError(
            f"StreamedSubmit: {count} envelopes, at most {limits.GATEWAY_STREAM_CALLS_MAX}"
        )
    if first_id + count > _ID_MAX:
        raise MalformedError(f"StreamedSubmit: first_id {first_id} leaves no numbers for {count}")
