"""Whole nodes whose validators change: real disks, real links, real keys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest
from click.testing import CliRunner

from onward.audit.epoch_verifier import read_epochs
from onward.cli import validators
from onward.cli.main import main
from onward.crypto.signing import SigningKey
from onward.ledger.chain import read_block
from onward.ledger.transaction import Body, body_hash, seal_envelope
from onward.network.ports import free_ports
from onward.rpc.client import Client
from onward.runtime.config import Listen, PeersConfig
from onward.runtime.home import NodeHome
from onward.system.validators import Approve, Member, Propose, Ready, members_of
from onward_proto.canonical import encode

from .conftest import ADMIN, seed_of
from .test_supervisor import (
    SALTS,
    WITHIN_S,
    RunningNode,
    client_of,
    now_ms,
    registration,
    running,
)

NEWCOMER = 4
NAMES = ("v0", "v1", "v2", "v3")


def keys(index: int) -> SigningKey:
    return SigningKey(seed_of(index))


async def send(
    client: Client, home: NodeHome, kind: str, payload: object, signer: SigningKey
) -> bytes:
    """Submit a transaction about validators; answers its id once it is accepted."""
    body = encode(
        Body(
            format=1,
            contract="sys",
            type=kind,
            actor="admin",
            cosigners=(),
            valid_until_ms=now_ms() + 60_000,
            salt=next(SALTS),
            payload=encode(payload),
        )
    )
    envelope = seal_envelope(home.genesis.chain_id, [body], [ADMIN, signer])
    verdict = (await client.submit(envelope)).verdicts[0]
    assert verdict.code == "OK", verdict
    return body_hash(body)


def machine(node: RunningNode) -> object:
    assert node.supervisor.node is not None
    return node.supervisor.node.replica


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not reached():  # noqa: ASYNC110 - a replica tells nobody that it moved on
            await asyncio.sleep(0.05)


async def test_a_fifth_node_joins_over_tls_and_the_network_needs_its_vote(
    make_home: Callable[..., NodeHome], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The simulation has no sockets: here a stranger's key must come through the handshake."""
    first = await asyncio.to_thread(free_ports, 5)
    addresses = tuple(
        (f"v{index}", Listen(host="127.0.0.1", port=first + index)) for index in range(5)
    )
    homes = [
        await asyncio.to_thread(
            make_home,
            index,
            4,
            peers=PeersConfig(
                listen=addresses[index][1],
                addresses=addresses,
                plaintext=False,
                keys=(("v4", keys(NEWCOMER).public_key),),
            ),
        )
        for index in range(5)
    ]
    home = homes[0]
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(running(item)) for item in homes]
        client = await stack.enter_async_context(await client_of(*nodes[:4]))
        current = members_of(home.genesis.validators)
        newcomer = Member(name="v4", organisation="o4", public_key=keys(NEWCOMER).public_key)
        payload = Propose(current=current, following=(*current, newcomer))
        proposal = await send(client, home, "validators.propose", payload, keys(0))
        follower = nodes[NEWCOMER]
        await until(lambda: getattr(machine(follower), "height", 0) >= 1)
        height = getattr(machine(follower), "height", 0)
        assert follower.supervisor.node is not None
        stored = read_block(follower.supervisor.node.reads._store, height)
        assert stored is not None
        shown = Ready(
            public_key=keys(NEWCOMER).public_key,
            height=height,
            log_size=stored.log_size,
            log_root=stored.log_root,
        )
        await send(client, home, "validators.ready", shown, keys(NEWCOMER))
        organisation = current[0].organisation
        for index in range(3):
            vote = Approve(organisation=organisation, proposal=proposal)
            await send(client, home, "validators.approve", vote, keys(index))
        await until(lambda: all(getattr(machine(node), "epoch", 0) == 1 for node in nodes))
        assert getattr(machine(follower), "is_validator", False)
        status = await client.status(0)
        assert (status.epoch, [voter.name for voter in status.voters]) == (1, [*NAMES, "v4"])
        assert [peer.validator for peer in status.peers] == [*NAMES[1:], "v4"]
        await nodes[3].stop()  # four of five are a quorum only with the new one
        _, envelope = registration(home, "late")
        assert (await client.submit(envelope)).verdicts[0].code == "OK"
        told = {peer.validator: peer.epoch for peer in (await client.status(0)).peers}
        assert [told[name] for name in ("v1", "v2", "v4")] == [1, 1, 1]
    async with running(homes[NEWCOMER]) as again:
        assert getattr(machine(again), "epoch", 0) == 1
    await asyncio.to_thread(auditor_is_led_on, homes[NEWCOMER], monkeypatch)


def auditor_is_led_on(home: NodeHome, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the node kept of the change convinces whoever has the genesis; or it says it cannot."""
    done = CliRunner().invoke(main, ["validators", "proofs", str(home.path)])
    assert done.exit_code == 0, done.output
    epochs = read_epochs(home.genesis.document, done.stdout.encode())
    assert [len(epoch.keys) for epoch in epochs] == [4, 5]
    monkeypatch.setattr(validators, "epoch_proofs", lambda *_: ())
    done = CliRunner().invoke(main, ["validators", "proofs", str(home.path)])
    assert (done.exit_code, done.stdout) == (1, "")
    assert "0 of 1 epochs: this node was away when epoch 0 ended" in done.stderr
