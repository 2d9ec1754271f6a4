"""One connection to one validator, as lean as it can be: bytes out, bytes in.

No other module outside of `rpc` opens a channel. What this one measures is the node, so it must not
pay for messages as objects: `wire` puts requests together from slices and reads replies later.
"""

from __future__ import annotations

import asyncio
from typing import Any

import grpc

from onward.rpc.client import Endpoint, open_channel
from onward.rpc.services import GATEWAY_SERVICE

SUBMIT_STREAM = f"/{GATEWAY_SERVICE}/SubmitStream"
QUERY = f"/{GATEWAY_SERVICE}/Query"


class SubmitStream:
    """A stream, and queries beside it. Raises `ConnectionError` where it has ended."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._channel = open_channel(endpoint)
        self._call: Any = None
        self._query: Any = self._channel.unary_unary(QUERY)

    async def open(self) -> None:
        """Connect and begin the call."""
        await self._channel.channel_ready()
        call: Any = self._channel.stream_stream(SUBMIT_STREAM)()
        try:
            await call.wait_for_connection()
        except grpc.aio.AioRpcError as error:
            raise ConnectionError(self._why(error)) from None
        self._call = call

    async def write(self, message: bytes) -> None:
        """Hand a message over; waits while the node does not read."""
        if self._call is None:
            raise ConnectionError(f"{self.endpoint.address}: not connected")
        try:
            await self._call.write(message)
        except (grpc.aio.AioRpcError, grpc.aio.UsageError, asyncio.InvalidStateError) as error:
            raise ConnectionError(self._why(error)) from None

    async def read(self) -> bytes:
        """The next reply."""
        if self._call is None:
            raise ConnectionError(f"{self.endpoint.address}: not connected")
        try:
            reply = await self._call.read()
        except grpc.aio.AioRpcError as error:
            raise ConnectionError(self._why(error)) from None
        if not isinstance(reply, bytes):
            raise ConnectionError(f"{self.endpoint.address}: the stream has ended")
        return reply

    async def query(self, request: bytes, *, timeout_s: float) -> bytes | None:
        """The QueryReply to a QueryRequest; None where there is none."""
        try:
            reply: bytes = await self._query(request, timeout=timeout_s)
        except grpc.aio.AioRpcError:
            return None
        return reply

    async def close(self) -> None:
        """End the call and the connection."""
        if self._call is not None:
            self._call.cancel()
        await self._channel.close()

    def _why(self, error: Exception) -> str:
        if isinstance(error, grpc.aio.AioRpcError):
            return f"{self.endpoint.address}: {error.code().name}: {error.details()}"
        return f"{self.endpoint.address}: {error}"
