"""Validators, links and a scripted gateway on real gRPC servers, on loopback."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from itertools import count

import pytest

from onward.consensus.messages import PeerMessage
from onward.crypto.signing import SigningKey, verify
from onward.rpc import tls
from onward.rpc.peers import SERVER_OPTIONS, PeerNetwork, PeerSettings
from onward.rpc.server import bind, peer_server
from onward.types import Epoch, Validator, ValidatorIndex, ValidatorSet

os.environ.setdefault("GRPC_VERBOSITY", "NONE")
CHAIN = bytes([7]) * 32
NONCES = (number.to_bytes(32, "big") for number in count(1))
WITHIN_S = 30


class RecordedEvents:
    """`PeerEvents` that keeps everything, and lets a test wait for it."""

    def __init__(self) -> None:
        self.up: set[int] = set()
        self.messages: list[tuple[int, PeerMessage]] = []
        self.refused: list[tuple[str, str]] = []
        self.ups = 0
        self._changed = asyncio.Event()

    def peer_up(self, peer: ValidatorIndex) -> None:
        self.up.add(peer)
        self.ups += 1
        self._changed.set()

    def peer_down(self, peer: ValidatorIndex) -> None:
        self.up.discard(peer)
        self._changed.set()

    async def received(self, peer: ValidatorIndex, message: PeerMessage, size: int) -> None:
        assert size > 0
        self.messages.append((peer, message))
        self._changed.set()

    def peer_refused(self, where: str, reason: str) -> None:
        self.refused.append((where, reason))
        self._changed.set()

    def failed(self, error: Exception) -> None:
        raise error

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not holds():
                self._changed.clear()
                await self._changed.wait()


class RunningPeer:
    """One validator's links on a port of its own."""

    def __init__(
        self, keys: list[SigningKey], seeds: list[bytes], index: int, **options: bool
    ) -> None:
        self.keys, self.seeds, self.index = keys, seeds, index
        self.plaintext = options.get("plaintext", False)
        self.events = RecordedEvents()
        self.server = peer_server(len(keys), SERVER_OPTIONS)
        self.identity = tls.issue_identity(seeds[index])
        self.port = 0
        self.task: asyncio.Task[None] | None = None
        self.network: PeerNetwork | None = None

    def bind(self, port: int = 0) -> int:
        self.port = bind(
            self.server,
            f"127.0.0.1:{port}",
            None if self.plaintext else self.identity,
            client_keys=tuple(key.public_key for key in self.keys),
        )
        return self.port

    def settings(self, ports: list[int]) -> PeerSettings:
        return PeerSettings(
            chain_id=CHAIN,
            validators=validators_of(self.keys),
            index=ValidatorIndex(self.index),
            signer=self.keys[self.index],
            verify=verify,
            addresses=tuple(f"127.0.0.1:{port}" for port in ports),
            tls=None if self.plaintext else self.identity,
            nonce=lambda: next(NONCES),
        )

    async def start(self, ports: list[int]) -> None:
        self.network = PeerNetwork(self.settings(ports), self.events)
        self.network.register(self.server)
        await self.server.start()
        self.task = asyncio.create_task(self.network.run())

    async def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait({self.task})
        await self.server.stop(0)


def validators_of(keys: list[SigningKey]) -> ValidatorSet:
    return ValidatorSet(
        epoch=Epoch(0),
        members=tuple(
            Validator(name=f"v{index}", organisation="org", public_key=key.public_key)
            for index, key in enumerate(keys)
        ),
    )


@pytest.fixture
def seeds() -> list[bytes]:
    return [bytes([index + 1]) * 32 for index in range(3)]


@pytest.fixture
def keys(seeds: list[bytes]) -> list[SigningKey]:
    return [SigningKey(seed) for seed in seeds]


@pytest.fixture
async def start_peers(
    keys: list[SigningKey], seeds: list[bytes]
) -> AsyncIterator[Callable[..., object]]:
    """Start these validators, linked with each other; they stop with the test."""
    running: list[RunningPeer] = []

    async def start(*indexes: int, plaintext: bool = False) -> list[RunningPeer]:
        peers = [RunningPeer(keys, seeds, index, plaintext=plaintext) for index in indexes]
        ports = [1] * len(keys)
        for peer in peers:
            ports[peer.index] = peer.bind()
        for peer in peers:
            await peer.start(ports)
        running.extend(peers)
        return peers

    yield start
    for peer in running:
        await peer.stop()
