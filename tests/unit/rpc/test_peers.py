from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

from onward import limits
from onward.consensus.messages import ChainRequest, Fetch
from onward.crypto.signing import SigningKey
from onward.replica.answers import LinkFault
from onward.rpc import tls
from onward.rpc.convert import parse_peer_frame, peer_frames, peer_hello
from onward.rpc.hello import Side, read_hello
from onward.rpc.peers import CHANNEL_OPTIONS, EXCHANGE
from onward.types import ValidatorIndex

from .conftest import CHAIN, NONCES, WITHIN_S

ASK = ChainRequest(from_height=7)


async def dial(
    port: int, *, server_key: bytes | None, identity: tls.TlsIdentity | None
) -> tuple[grpc.aio.Channel, Any]:
    address = f"127.0.0.1:{port}"
    if server_key is None:
        channel = grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS)
    else:
        channel = grpc.aio.secure_channel(
            address,
            tls.channel_credentials(server_key, identity),
            options=(
                *CHANNEL_OPTIONS,
                ("grpc.ssl_target_name_override", tls.host_name(server_key)),
            ),
        )
    return channel, channel.stream_stream(EXCHANGE)()


async def end_of(channel: grpc.aio.Channel, call: Any) -> tuple[grpc.StatusCode, str]:
    """Status and code of a stream that the other side ends."""
    async with asyncio.timeout(WITHIN_S):
        status = await call.code()
        metadata = dict(tuple(await call.trailing_metadata() or ()))
    await channel.close()
    return status, str(metadata.get("onward-code", ""))


async def still_works(peers: list[Any]) -> None:
    """The node that was badly treated goes on talking to an honest one."""
    before = len(peers[1].events.messages)
    peers[0].network.send(ValidatorIndex(peers[1].index), ASK)
    await peers[1].events.until(lambda: len(peers[1].events.messages) > before)


async def test_validators_find_each_other_over_tls_and_talk_both_ways(start_peers: Any) -> None:
    low, high = await start_peers(0, 1)
    await low.events.until(lambda: low.events.up == {1})
    await high.events.until(lambda: high.events.up == {0})
    low.network.send(ValidatorIndex(1), ASK)
    high.network.send(None, Fetch(blocks=(bytes(32),), batches=()))
    await high.events.until(lambda: high.events.messages == [(0, ASK)])
    await low.events.until(lambda: len(low.events.messages) == 1)
    assert low.events.messages[0][0] == 1


async def test_link_comes_back_when_the_listener_was_restarted(
    start_peers: Any, keys: list[SigningKey], seeds: list[bytes]
) -> None:
    low, high = await start_peers(0, 1)
    await low.events.until(lambda: low.events.up == {1})
    await high.stop()
    await low.events.until(lambda: not low.events.up)
    assert not low.network.is_up(ValidatorIndex(1))
    again = type(high)(keys, seeds, 1)
    again.bind(high.port)
    await again.start([low.port, high.port, 1])
    try:
        await low.events.until(lambda: low.events.up == {1})
        await again.events.until(lambda: again.events.up == {0})
        low.network.send(None, ASK)
        await again.events.until(lambda: again.events.messages == [(0, ASK)])
    finally:
        await again.stop()


async def test_stranger_fails_the_tls_handshake(start_peers: Any) -> None:
    """Its certificate is issued by a key that the genesis does not name."""
    peers = await start_peers(0, 1)
    await peers[0].events.until(lambda: bool(peers[0].events.up))
    stranger = tls.issue_identity(bytes([99]) * 32)
    target = peers[1]
    channel, call = await dial(target.port, server_key=target.keys[1].public_key, identity=stranger)
    status, _ = await end_of(channel, call)
    assert status is grpc.StatusCode.UNAVAILABLE
    assert peers[1].events.up == {0}
    await still_works(peers)


async def test_plaintext_peer_is_not_understood(start_peers: Any) -> None:
    peers = await start_peers(0, 1)
    await peers[0].events.until(lambda: bool(peers[0].events.up))
    channel, call = await dial(peers[1].port, server_key=None, identity=None)
    status, _ = await end_of(channel, call)
    assert status is grpc.StatusCode.UNAVAILABLE
    await still_works(peers)


async def test_validator_cannot_pass_for_another_one(start_peers: Any) -> None:
    """Its certificate is its own: issued by validator 2, while the hello names validator 0."""
    (target,) = await start_peers(1)
    impostor = tls.issue_identity(target.seeds[2])
    server_key = target.keys[1].public_key
    channel, call = await dial(target.port, server_key=server_key, identity=impostor)
    side = Side(
        chain_id=CHAIN,
        epoch=0,
        signer=target.keys[0],
        nonce=next(NONCES),
        leaf_hash=impostor.leaf_hash,
    )
    await call.write(peer_hello(side.introduce(server_key)))
    assert await end_of(channel, call) == (grpc.StatusCode.PERMISSION_DENIED, "E_PEER")
    assert not target.events.up


@pytest.mark.parametrize(
    ("first_word", "expected"),
    [
        (b"\xff\xff", (grpc.StatusCode.INVALID_ARGUMENT, "E_FORMAT")),
        (b"", (grpc.StatusCode.INVALID_ARGUMENT, "E_FORMAT")),
        (peer_frames(b"\x01"), (grpc.StatusCode.INVALID_ARGUMENT, "E_FORMAT")),
        (peer_hello(b"\x08\x01"), (grpc.StatusCode.INVALID_ARGUMENT, "E_FORMAT")),
        (peer_hello(bytes(600)), (grpc.StatusCode.INVALID_ARGUMENT, "E_FORMAT")),
        (
            bytes(limits.PEER_MESSAGE_BYTES_MAX + 1024),
            (grpc.StatusCode.RESOURCE_EXHAUSTED, ""),
        ),
    ],
    ids=["random", "empty", "frame-first", "truncated-hello", "long-hello", "oversized"],
)
async def test_bad_first_word_is_refused_and_the_node_goes_on(
    start_peers: Any, first_word: bytes, expected: tuple[grpc.StatusCode, str]
) -> None:
    peers = await start_peers(0, 1, plaintext=True)
    await peers[0].events.until(lambda: bool(peers[0].events.up))
    channel, call = await dial(peers[1].port, server_key=None, identity=None)
    if len(first_word) > limits.PEER_MESSAGE_BYTES_MAX:
        await channel.close()
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{peers[1].port}")
        call = channel.stream_stream(EXCHANGE)()
    await call.write(first_word)
    assert await end_of(channel, call) == expected
    await still_works(peers)


@pytest.mark.parametrize(
    ("signer", "chain_id", "receiver", "expected"),
    [
        (9, CHAIN, 1, "E_PEER"),  # a key that no validator has
        (0, bytes(32), 1, "E_CHAIN"),
        (0, CHAIN, 2, "E_PEER"),  # meant for somebody else
        (2, CHAIN, 1, "E_PEER"),  # the higher index listens, it does not dial
    ],
)
async def test_hello_of_the_wrong_party_is_refused_with_its_code(
    start_peers: Any, signer: int, chain_id: bytes, receiver: int, expected: str
) -> None:
    (target,) = await start_peers(1, plaintext=True)
    channel, call = await dial(target.port, server_key=None, identity=None)
    key = target.keys[signer] if signer < 3 else SigningKey(bytes([99]) * 32)
    side = Side(chain_id=chain_id, epoch=0, signer=key, nonce=next(NONCES), leaf_hash=None)
    await call.write(peer_hello(side.introduce(target.keys[receiver].public_key)))
    _, code = await end_of(channel, call)
    assert code == expected
    assert not target.events.up
    assert target.events.refused


async def shake_hands(target: Any, call: Any, *, proof_nonce: bytes | None = None) -> None:
    """The dialer's half of the handshake as validator 0, with a chosen answer to the nonce."""
    side = Side(chain_id=CHAIN, epoch=0, signer=target.keys[0], nonce=next(NONCES), leaf_hash=None)
    server_key = target.keys[1].public_key
    await call.write(peer_hello(side.introduce(server_key)))
    hello = read_hello(parse_peer_frame(await call.read())[0])
    await call.write(peer_hello(side.prove(server_key, proof_nonce or hello.sender_nonce)))


async def test_recorded_proof_is_of_no_use_in_another_connection(start_peers: Any) -> None:
    (target,) = await start_peers(1, plaintext=True)
    channel, call = await dial(target.port, server_key=None, identity=None)
    await shake_hands(target, call, proof_nonce=bytes(32))
    assert await end_of(channel, call) == (grpc.StatusCode.PERMISSION_DENIED, "E_PEER")
    assert not target.events.up


async def test_malformed_frame_ends_the_stream_and_shuts_the_peer_out(start_peers: Any) -> None:
    (target,) = await start_peers(1, plaintext=True)
    channel, call = await dial(target.port, server_key=None, identity=None)
    await shake_hands(target, call)
    await target.events.until(lambda: target.events.up == {0})
    await call.write(peer_frames(b"\xff" * 20))
    assert await end_of(channel, call) == (grpc.StatusCode.INVALID_ARGUMENT, "E_FORMAT")
    assert not target.events.up
    channel, call = await dial(target.port, server_key=None, identity=None)
    side = Side(chain_id=CHAIN, epoch=0, signer=target.keys[0], nonce=next(NONCES), leaf_hash=None)
    await call.write(peer_hello(side.introduce(target.keys[1].public_key)))
    assert await end_of(channel, call) == (grpc.StatusCode.UNAVAILABLE, "E_UNAVAILABLE")


async def test_newer_stream_of_a_peer_replaces_the_older_one(start_peers: Any) -> None:
    """The peer knows better than we do that its old connection is dead."""
    (target,) = await start_peers(1, plaintext=True)
    old_channel, old_call = await dial(target.port, server_key=None, identity=None)
    await shake_hands(target, old_call)
    await target.events.until(lambda: target.events.ups == 1)
    channel, call = await dial(target.port, server_key=None, identity=None)
    await shake_hands(target, call)
    await target.events.until(lambda: target.events.ups == 2)
    await end_of(old_channel, old_call)
    assert target.events.up == {0}
    target.network.send(ValidatorIndex(0), ASK)
    assert await asyncio.wait_for(call.read(), WITHIN_S)
    call.cancel()
    await channel.close()


async def test_punished_peer_loses_its_stream(start_peers: Any) -> None:
    low, high = await start_peers(0, 1)
    await high.events.until(lambda: high.events.up == {0})
    high.network.punish(ValidatorIndex(0), "a bad signature")
    await high.events.until(lambda: not high.events.up)
    assert any("bad signature" in reason for _, reason in high.events.refused)
    await low.events.until(lambda: low.events.up == {1} and low.events.ups == 2)


# -- why there is no link --------------------------------------------------------------------------


async def until_fault(peer: Any, other: int, fault: LinkFault) -> None:
    await peer.events.until(lambda: peer.network.fault(ValidatorIndex(other))[0] is fault)


async def test_peer_that_does_not_listen_is_told_from_one_that_is_somebody_else(
    keys: list[SigningKey], seeds: list[bytes], start_peers: Any
) -> None:
    """Each wants something else done: a start, or another address."""
    low, high = await start_peers(0, 1)
    await low.events.until(lambda: low.events.up == {1})
    assert low.network.fault(ValidatorIndex(1)) == (LinkFault.NONE, 0)
    await high.stop()
    await until_fault(low, 1, LinkFault.UNREACHABLE)
    stranger = type(high)(keys, seeds, 2)
    stranger.bind(high.port)
    await stranger.start([low.port, high.port, high.port])
    try:
        await until_fault(low, 1, LinkFault.CERTIFICATE)
        assert low.network.fault(ValidatorIndex(1))[1] < WITHIN_S * 1000
    finally:
        await stranger.stop()


async def test_caller_with_another_genesis_is_known_by_its_certificate(start_peers: Any) -> None:
    """Its hello is refused before it has proved anything; the handshake below has proved enough."""
    (target,) = await start_peers(1)
    identity = tls.issue_identity(target.seeds[0])
    server_key = target.keys[1].public_key
    for chain, fault in ((bytes(32), LinkFault.CHAIN), (CHAIN, LinkFault.REFUSED)):
        channel, call = await dial(target.port, server_key=server_key, identity=identity)
        side = Side(
            chain_id=chain,
            epoch=0,
            signer=target.keys[0],
            nonce=next(NONCES),
            leaf_hash=identity.leaf_hash,
        )
        # The second one is meant for another listener.
        meant_for = server_key if fault is LinkFault.CHAIN else target.keys[2].public_key
        await call.write(peer_hello(side.introduce(meant_for)))
        await end_of(channel, call)
        assert target.network.fault(ValidatorIndex(0))[0] is fault
