"""Bad input on the port for peers: strangers get no connection, and who says garbage loses it with
its documented code and status, while the network goes on (docs/spec/codes.md).
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import grpc
import pytest
from tests.support.raw_door import (
    FORMAT,
    STRANGER,
    TIMEOUT_S,
    Door,
    Refusal,
    S,
    refusal_of,
    untouched,
    wait_until,
)
from tests.support.real_network import RealNetwork

from onward import limits
from onward.crypto.signing import SigningKey
from onward.network.access import endpoints
from onward.rpc import tls
from onward.rpc.convert import parse_peer_frame, peer_frames, peer_hello
from onward.rpc.hello import Side, read_hello
from onward.rpc.peers import EXCHANGE
from onward.runtime.home import KEY_NAME, read_seed

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealNetwork]:
    with RealNetwork(tmp_path_factory.mktemp("bad-peers") / "network") as running:
        asyncio.run(running.start())
        yield running


@pytest.fixture
def door(network: RealNetwork) -> Iterator[Door]:
    opened = Door(network)
    yield opened
    opened.channel.close()


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
