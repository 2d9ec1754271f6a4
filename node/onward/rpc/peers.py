"""The links between validators: one stream for each pair, over which both speak.

The validator with the lower index dials, so that a pair never has two half-dead links that take
turns, and the dialer alone decides when to try again. A new stream of a peer that has proved itself
replaces the older one: the peer knows better than we do that the old one is dead.

A peer that sends what no validator sends (a malformed frame, a message of somebody else) loses its
stream and is kept out for a while; it is told why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import grpc

from onward import limits
from onward.consensus.messages import PeerMessage, decode_frame
from onward.crypto.signing import Signer, Verify
from onward.errors import (
    MalformedError,
    OnwardError,
    PeerFault,
    RejectCode,
    RejectedError,
    Unavailable,
    unreachable,
)
from onward.replica.answers import LinkFault
from onward.rpc import tls
from onward.rpc.convert import parse_peer_frame, peer_frames, peer_hello
from onward.rpc.hello import Hello, Side, check_address, check_proof, read_hello
from onward.rpc.outbox import Outbox, Outgoing
from onward.rpc.ports import PeerEvents
from onward.rpc.services import PEER_SERVICE
from onward.rpc.status import error_of, failure_of, is_fatal
from onward.types import ValidatorIndex, ValidatorSet

EXCHANGE = f"/{PEER_SERVICE}/Exchange"
_FRAME_BYTES_MAX = limits.PEER_MESSAGE_BYTES_MAX + 8 * limits.PEER_FRAMES_MAX
_KEEPALIVE = (
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
)
_MESSAGE_SIZES = (
    ("grpc.max_receive_message_length", _FRAME_BYTES_MAX),
    ("grpc.max_send_message_length", _FRAME_BYTES_MAX),
)
SERVER_OPTIONS: tuple[tuple[str, Any], ...] = (
    *_MESSAGE_SIZES,
    *_KEEPALIVE,
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.so_reuseport", 0),
)
CHANNEL_OPTIONS: tuple[tuple[str, Any], ...] = (
    *_MESSAGE_SIZES,
    *_KEEPALIVE,
    ("grpc.enable_retries", 0),
    # Each attempt is a channel of its own, so gRPC's back-off must not outlive it.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
    # How long one attempt may take to connect: TCP says an unanswered word again after 1 and then 3
    # seconds, and a link that has healed meanwhile should not wait for the third.
    ("grpc.min_reconnect_backoff_ms", limits.PEER_CONNECT_MS_MAX),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerSettings:
    """Who we are among whom. `tls` is None only where plaintext was asked for, on loopback."""

    chain_id: bytes
    validators: ValidatorSet
    index: ValidatorIndex
    signer: Signer
    verify: Verify
    addresses: tuple[str, ...]  # by validator index
    tls: tls.TlsIdentity | None
    nonce: Callable[[], bytes]  # 32 unpredictable bytes at each call


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stream:
    """One end of a gRPC stream of raw messages. `read` answers None at its end."""

    read: Callable[[], Awaitable[bytes | None]]
    write: Callable[[bytes], Awaitable[None]]


class _Link:
    """What we keep of one peer between and during its connections."""

    __slots__ = ("fault", "fault_at", "outbox", "session", "shut_out_until")

    def __init__(self) -> None:
        self.outbox = Outbox()
        self.session: asyncio.Task[None] | None = None
        self.shut_out_until = 0.0  # by the event loop's clock
        self.fault = LinkFault.NONE
        self.fault_at = 0.0  # by the event loop's clock


class PeerNetwork:
    """All links of one validator. Create, `register` at a server, `run`."""

    def __init__(self, settings: PeerSettings, events: PeerEvents) -> None:
        self._settings = settings
        self._events = events
        self._links = {
            ValidatorIndex(index): _Link()
            for index in range(settings.validators.size)
            if index != settings.index
        }

    def register(self, server: grpc.aio.Server) -> None:
        """Let `server` answer the Peer service."""
        handler: Any = grpc.stream_stream_rpc_method_handler(self._serve)
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(PEER_SERVICE, {"Exchange": handler}),)
        )

    async def run(self) -> None:
        """Keep a link to every peer that is ours to dial. Ends only by being cancelled."""
        async with asyncio.TaskGroup() as group:
            for peer in self._links:
                if peer > self._settings.index:
                    group.create_task(self._dial_for_ever(peer), name=f"dial-{peer}")

    def send(self, to: ValidatorIndex | None, message: PeerMessage) -> None:
        """Queue a message for one connected peer or for all of them. The others miss it."""
        outgoing = Outgoing(message)
        for peer, link in self._links.items():
            if link.session is not None and to in (None, peer):
                link.outbox.put(outgoing)

    def is_up(self, peer: ValidatorIndex) -> bool:
        """Whether the peer's stream stands."""
        return peer in self._links and self._links[peer].session is not None

    def fault(self, peer: ValidatorIndex) -> tuple[LinkFault, int]:
        """Why there was last no link to the peer, and how many milliseconds ago that was."""
        link = self._links[peer]
        if link.fault is LinkFault.NONE:
            return link.fault, 0
        ago_s = asyncio.get_running_loop().time() - link.fault_at
        return link.fault, int(ago_s * 1000)

    def outbox_bytes(self, peer: ValidatorIndex) -> int:
        """How much waits to be sent to the peer."""
        return self._links[peer].outbox.bytes

    def dropped(self, peer: ValidatorIndex) -> int:
        """How many messages to the peer were pushed out of its full outbox."""
        return self._links[peer].outbox.dropped

    def punish(self, peer: ValidatorIndex, reason: str) -> None:
        """End the stream of a peer that did what no honest validator does."""
        self._shut_out(peer, reason)
        session = self._links[peer].session
        if session is not None:
            session.cancel()

    # -- listening -------------------------------------------------------------------------------

    async def _serve(self, _requests: object, context: Any) -> None:
        """One incoming stream, from its first byte to its end."""

        async def read() -> bytes | None:
            data = await context.read()
            return None if data is grpc.aio.EOF else data

        try:
            stream = _Stream(read=read, write=context.write)
            async with asyncio.timeout(limits.PEER_HANDSHAKE_MS_MAX / 1000):
                peer = await self._listen(stream, _leaf_of(context))
            await self._session(peer, stream)
        except TimeoutError:
            failure = failure_of(Unavailable("the handshake took too long"))
        except OnwardError as error:
            if is_fatal(error):
                self._events.failed(error)
            failure = failure_of(error)
        else:
            return
        self._note_caller(context, failure.code)
        self._events.peer_refused(str(context.peer()), f"{failure.code}: {failure.message}")
        await context.abort(failure.status, failure.message, failure.metadata)

    async def _listen(self, stream: _Stream, leaf_pem: bytes | None) -> ValidatorIndex:
        """The listener's half of the handshake; answers who dialed."""
        side = self._side()
        introduction = await _read_hello(stream)
        check_address(introduction, side)
        peer = self._settings.validators.index_of(introduction.sender)
        if peer is None:
            raise RejectedError(
                RejectCode.PEER, f"key {introduction.sender.hex()[:16]} is no validator's"
            )
        if peer >= self._settings.index:
            raise RejectedError(RejectCode.PEER, f"validator {peer} is not the one to dial")
        if self._links[peer].shut_out_until > asyncio.get_running_loop().time():
            raise Unavailable(
                f"validator {peer} sent what no validator sends",
                retry_after_ms=limits.PEER_SHUT_OUT_MS,
            )
        leaf_hash = None
        if leaf_pem is not None:
            leaf_hash = tls.check_leaf(leaf_pem, introduction.sender)
        await stream.write(peer_hello(side.prove(introduction.sender, introduction.sender_nonce)))
        check_proof(
            await _read_hello(stream),
            side,
            sender=introduction.sender,
            leaf_hash=leaf_hash,
            verify=self._settings.verify,
        )
        return peer

    # -- dialing ---------------------------------------------------------------------------------

    async def _dial_for_ever(self, peer: ValidatorIndex) -> None:
        delay_ms = limits.PEER_REDIAL_MS_MIN
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            reason = await self._dial(peer)
            if loop.time() - started > limits.PEER_SHUT_OUT_MS / 1000:
                delay_ms = limits.PEER_REDIAL_MS_MIN  # it stood for a while
            if reason:
                self._events.peer_refused(self._settings.addresses[peer], reason)
            shut_out = self._links[peer].shut_out_until - loop.time()
            await asyncio.sleep(max(delay_ms / 1000, shut_out))
            delay_ms = min(2 * delay_ms, limits.PEER_REDIAL_MS_MAX)

    async def _dial(self, peer: ValidatorIndex) -> str:
        """One connection from attempt to end; answers why it ended, empty where the peer left."""
        async with self.channel(peer) as channel:
            call: Any = channel.stream_stream(EXCHANGE)()

            async def read() -> bytes | None:
                data = await call.read()
                return None if data is grpc.aio.EOF else data

            stream = _Stream(read=read, write=call.write)
            try:
                async with asyncio.timeout(limits.PEER_HANDSHAKE_MS_MAX / 1000):
                    await self._introduce(peer, stream)
                await self._session(peer, stream)
            except TimeoutError:
                self._note_fault(peer, LinkFault.SILENT)
                return "the handshake took too long"
            except grpc.aio.AioRpcError as error:
                self._note_fault(peer, _fault_of(error))
                return _reason_of(error)
            except (asyncio.InvalidStateError, grpc.aio.UsageError):
                # A write after the stream's end; its status says what ended it.
                ended = error_of(await call.code(), await call.details() or "", ())
                self._note_fault(peer, _fault_of(ended))
                return _reason_of(ended)
            except OnwardError as error:
                if is_fatal(error):
                    raise
                self._note_fault(peer, _fault_of(error))
                return str(error)
            finally:
                call.cancel()
        return ""

    async def _introduce(self, peer: ValidatorIndex, stream: _Stream) -> None:
        """The dialer's half of the handshake."""
        side = self._side()
        key = self._settings.validators.public_key(peer)
        await stream.write(peer_hello(side.introduce(key)))
        answer = await _read_hello(stream)
        check_proof(answer, side, sender=key, leaf_hash=None, verify=self._settings.verify)
        await stream.write(peer_hello(side.prove(key, answer.sender_nonce)))

    def channel(self, peer: ValidatorIndex) -> grpc.aio.Channel:
        """A new connection to a peer, which trusts no key but the peer's own."""
        address = self._settings.addresses[peer]
        identity = self._settings.tls
        if identity is None:
            return grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS)
        key = self._settings.validators.public_key(peer)
        return grpc.aio.secure_channel(
            address,
            tls.channel_credentials(key, identity),
            options=(*CHANNEL_OPTIONS, ("grpc.ssl_target_name_override", tls.host_name(key))),
        )

    # -- both ------------------------------------------------------------------------------------

    async def _session(self, peer: ValidatorIndex, stream: _Stream) -> None:
        """Carry messages until the stream ends, fails, misbehaves or is replaced."""
        link = self._links[peer]
        while link.session is not None:
            link.session.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.shield(_ended(link.session))
        session = asyncio.create_task(self._carry(peer, stream), name=f"peer-{peer}")
        link.session = session
        link.outbox.clear()
        self._events.peer_up(peer)
        try:
            await asyncio.wait({session})
        finally:
            session.cancel()
            if link.session is session:
                link.session = None
            link.outbox.clear()
            self._events.peer_down(peer)
        if session.cancelled():
            return
        error = session.exception()
        if isinstance(error, MalformedError | PeerFault):
            self._shut_out(peer, str(error))
        if error is not None:
            raise error

    async def _carry(self, peer: ValidatorIndex, stream: _Stream) -> None:
        sender = asyncio.create_task(self._send(peer, stream), name=f"send-{peer}")
        receiver = asyncio.create_task(self._receive(peer, stream), name=f"receive-{peer}")
        try:
            done, _ = await asyncio.wait({sender, receiver}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sender.cancel()
            receiver.cancel()
            await asyncio.gather(sender, receiver, return_exceptions=True)
        for task in (receiver, sender):  # the reader knows best what the peer said
            if task in done:
                task.result()

    async def _send(self, peer: ValidatorIndex, stream: _Stream) -> None:
        outbox = self._links[peer].outbox
        while True:
            together = await outbox.get()
            await stream.write(peer_frames(*(outgoing.frame() for outgoing in together)))

    async def _receive(self, peer: ValidatorIndex, stream: _Stream) -> None:
        while (data := await stream.read()) is not None:
            hello, frames = parse_peer_frame(data)
            if hello:
                raise MalformedError("a hello after the handshake")
            for frame in frames:
                await self._events.received(peer, decode_frame(frame), len(frame))

    def _shut_out(self, peer: ValidatorIndex, reason: str) -> None:
        loop = asyncio.get_running_loop()
        self._links[peer].shut_out_until = loop.time() + limits.PEER_SHUT_OUT_MS / 1000
        self._events.peer_refused(f"validator {peer}", reason)

    def _note_fault(self, peer: ValidatorIndex, fault: LinkFault) -> None:
        link = self._links[peer]
        link.fault, link.fault_at = fault, asyncio.get_running_loop().time()

    def _note_caller(self, context: Any, code: str) -> None:
        """Remember why a validator's call was refused; its certificate says who it was."""
        leaf = _leaf_of(context)
        key = None if leaf is None else tls.issuer_of(leaf)
        peer = None if key is None else self._settings.validators.index_of(key)
        if peer is not None and peer in self._links:
            is_chain = code == RejectCode.CHAIN
            self._note_fault(peer, LinkFault.CHAIN if is_chain else LinkFault.REFUSED)

    def _side(self) -> Side:
        settings = self._settings
        return Side(
            chain_id=settings.chain_id,
            epoch=settings.validators.epoch,
            signer=settings.signer,
            nonce=settings.nonce(),
            leaf_hash=settings.tls.leaf_hash if settings.tls else None,
        )


async def _ended(task: asyncio.Task[None]) -> None:
    await asyncio.wait({task})


async def _read_hello(stream: _Stream) -> Hello:
    data = await stream.read()
    if data is None:
        raise Unavailable("the peer left during the handshake")
    hello, _ = parse_peer_frame(data)
    if not hello:
        raise MalformedError("expected a hello, got a frame")
    return read_hello(hello)


def _leaf_of(context: Any) -> bytes | None:
    """The client's certificate in PEM; None without TLS."""
    auth = context.auth_context()
    if auth.get("transport_security_type") != [b"ssl"]:
        return None
    found = auth.get("x509_pem_cert")
    if not found:
        unreachable("a TLS server that demands certificates let a client in without one")
    return bytes(found[0])


def _fault_of(error: grpc.aio.AioRpcError | OnwardError) -> LinkFault:
    """The kind of what kept a link from standing. What gRPC means it says in words only."""
    if isinstance(error, grpc.aio.AioRpcError):
        metadata = tuple(error.trailing_metadata() or ())
        error = error_of(error.code(), error.details() or "", metadata)
    text = str(error)
    if isinstance(error, RejectedError) and error.code == RejectCode.CHAIN:
        return LinkFault.CHAIN
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return LinkFault.CERTIFICATE
    if "handshake failed" in text or "WRONG_VERSION" in text:
        return LinkFault.TLS
    if isinstance(error, Unavailable):
        is_deaf = "deadline" in text or "timed out" in text or "left during" in text
        return LinkFault.SILENT if is_deaf else LinkFault.UNREACHABLE
    return LinkFault.REFUSED


def _reason_of(error: grpc.aio.AioRpcError | OnwardError) -> str:
    if isinstance(error, OnwardError):
        return str(error)
    found = error_of(error.code(), error.details() or "", tuple(error.trailing_metadata() or ()))
    return f"{found.code}: {found}"
