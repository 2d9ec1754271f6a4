"""Whole nodes: real disk, real links, real clients."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from io import StringIO
from itertools import count
from typing import Any

import pytest

from onward.crypto.signing import SigningKey
from onward.errors import (
    CorruptionError,
    DivergenceError,
    InvariantError,
    MalformedError,
    RejectedError,
)
from onward.ledger.transaction import Body, body_hash, seal_envelope
from onward.network.ports import free_ports
from onward.rpc.client import Client, Endpoint, ReadingParty
from onward.runtime.clock import Clock
from onward.runtime.config import GatewayConfig, Listen, PeersConfig
from onward.runtime.home import BEGAN_NAME, NodeHome, begin_home
from onward.runtime.node import Exit, exit_code, report_end, run_node
from onward.runtime.supervisor import ListenError, Ports, Supervisor
from onward.system.registry import Register, Registration
from onward.telemetry.events import make_log
from onward.types import PublicKey
from onward_proto.canonical import encode

from .conftest import ADMIN, seed_of

MakeHome = Callable[..., NodeHome]
WITHIN_S = 30


now_ms = Clock().now_ms
SALTS = (number.to_bytes(16, "big") for number in count(1))


def registration(home: NodeHome, party: str) -> tuple[bytes, bytes]:
    """Hash and envelope of a transaction that registers a party."""
    key = SigningKey(party.encode().ljust(32, b"-"))
    payload = Register(
        parties=(
            Registration(
                party=party,
                kind="ORGANISATION",
                public_key=PublicKey(key.public_key),
                groups=(),
                jurisdiction="DE",
            ),
        )
    )
    body = encode(
        Body(
            format=1,
            contract="sys",
            type="party.register",
            actor="admin",
            cosigners=(),
            valid_until_ms=now_ms() + 60_000,
            salt=next(SALTS),
            payload=encode(payload),
        )
    )
    return body_hash(body), seal_envelope(home.genesis.chain_id, [body], [ADMIN])


class RunningNode:
    def __init__(self, home: NodeHome) -> None:
        self.home = home
        self.logged = StringIO()
        log = make_log("info", stream=self.logged, node=home.config.name)
        self.supervisor = Supervisor(home, log)
        self.task = asyncio.create_task(self.supervisor.run())

    async def ports(self) -> Ports:
        asking = asyncio.create_task(self.supervisor.ports())
        await asyncio.wait(
            {asking, self.task}, return_when=asyncio.FIRST_COMPLETED, timeout=WITHIN_S
        )
        if self.task.done():
            asking.cancel()
            self.task.result()
        return await asking

    async def stop(self) -> None:
        self.supervisor.stop("test")
        await asyncio.wait_for(self.task, WITHIN_S)


@asynccontextmanager
async def running(home: NodeHome) -> Any:
    node = RunningNode(home)
    try:
        await node.ports()
        yield node
    finally:
        if not node.task.done():
            await node.stop()


async def client_of(*nodes: RunningNode) -> Client:
    endpoints = []
    for node in nodes:
        ports = await node.ports()
        endpoints.append(
            Endpoint(
                address=f"127.0.0.1:{ports.gateway}",
                public_key=node.home.validator.public_key,
            )
        )
    chain_id = nodes[0].home.genesis.chain_id
    return Client(endpoints, chain_id=chain_id, now_ms=now_ms)


async def test_home_that_a_node_has_run_on_gets_no_empty_data_again(make_home: MakeHome) -> None:
    """One from before there was a mark, or put back without it: its key has voted from now on."""
    home = await asyncio.to_thread(make_home)
    mark = home.path / BEGAN_NAME
    await asyncio.to_thread(mark.unlink)
    async with running(home):
        assert await asyncio.to_thread(mark.exists)
    await asyncio.to_thread(shutil.rmtree, home.data)
    with pytest.raises(RejectedError, match="had its data"):
        await asyncio.to_thread(begin_home, home.path)


async def test_home_without_data_is_not_said_to_have_had_them(make_home: MakeHome) -> None:
    """Who starts a node before `onward node init` could never make up for it."""
    home = await asyncio.to_thread(make_home)
    await asyncio.to_thread((home.path / BEGAN_NAME).unlink)
    await asyncio.to_thread(shutil.rmtree, home.data)
    with pytest.raises(RejectedError, match="no database"):
        await Supervisor(home, make_log("error", stream=StringIO())).run()
    await asyncio.to_thread(begin_home, home.path)


async def test_node_takes_a_transaction_keeps_it_and_proves_it(make_home: MakeHome) -> None:
    home = await asyncio.to_thread(make_home)
    reader = ReadingParty(party="admin", signer=ADMIN)
    tx_hash, envelope = registration(home, "acme")
    async with running(home) as node, await client_of(node) as client:
        submission = await client.submit(envelope)
        assert [item.code for item in submission.verdicts] == ["OK"]
        receipt = await client.receipt(tx_hash, reader)
        assert receipt.startswith(b"onward/receipt/1\n")
        ports = await node.ports()
        page = await asyncio.to_thread(
            lambda: urllib.request.urlopen(f"http://127.0.0.1:{ports.metrics}/metrics").read()
        )
        assert b'onward_bodies_total{outcome="accepted"} 1.0' in page
    # The same home again: nothing acknowledged is missing.
    async with running(home) as node, await client_of(node) as client:
        assert (await client.transaction(tx_hash, reader)).verdict.code == "OK"
        answer, height = await client.query("sys", "party", b'{"party":"acme"}', reader)
        assert json.loads(answer)["kind"] == "ORGANISATION"
        assert (await client.status(0)).height >= height >= 1
        assert (await client.submit(envelope)).verdicts[0].height == submission.verdicts[0].height
        block = await client.block(submission.verdicts[0].height, reader)
        assert block.block.height == submission.verdicts[0].height


async def test_four_nodes_agree_over_tls_and_go_on_without_one(make_home: MakeHome) -> None:
    first = await asyncio.to_thread(free_ports, 4)
    addresses = tuple(
        (f"v{index}", Listen(host="127.0.0.1", port=first + index)) for index in range(4)
    )
    homes = [
        await asyncio.to_thread(
            make_home,
            index,
            4,
            peers=PeersConfig(listen=addresses[index][1], addresses=addresses, plaintext=False),
        )
        for index in range(4)
    ]
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(running(home)) for home in homes]
        client = await stack.enter_async_context(await client_of(*nodes))
        for party in ("acme", "beta"):
            _, envelope = registration(homes[0], party)
            assert (await client.submit(envelope)).verdicts[0].code == "OK"
        await nodes[0].stop()
        _, envelope = registration(homes[0], "gamma")
        submission = await client.submit(envelope)
        assert submission.verdicts[0].code == "OK"
        height = submission.verdicts[0].height
        roots = set()
        for index in (1, 2, 3):
            async with asyncio.timeout(WITHIN_S):
                while (status := await client.status(index)).height < height:
                    pass  # asking takes a while
            reader = ReadingParty(party="admin", signer=ADMIN)
            client._current = index
            roots.add((await client.block(height, reader)).state_root)
            assert not status.peers[0].up
        assert len(roots) == 1


async def test_home_in_use_is_refused(make_home: MakeHome) -> None:
    """Two processes with one key and one journal would contradict each other."""
    home = await asyncio.to_thread(make_home)
    async with running(home):
        with pytest.raises(RejectedError) as refused:
            await RunningNode(home).task
    assert refused.value.code == "E_STATE"


async def test_taken_port_is_named_and_nothing_is_left_behind(make_home: MakeHome) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = Listen(host="127.0.0.1", port=taken.getsockname()[1])
        gateway = GatewayConfig(listen=listen, plaintext=False)
        home = await asyncio.to_thread(make_home, gateway=gateway)
        with pytest.raises(ListenError, match=str(listen.port)):
            await RunningNode(home).task
    async with running(home):
        pass


async def test_error_that_ends_a_node_stops_all_of_it(make_home: MakeHome) -> None:
    others = set(threading.enumerate())
    home = await asyncio.to_thread(make_home)
    node = RunningNode(home)
    await node.ports()
    client = await client_of(node)
    assert node.supervisor.node is not None
    node.supervisor.node.inbox.fail(CorruptionError("a torn page"))
    with pytest.raises(BaseExceptionGroup) as ended:
        await asyncio.wait_for(node.task, WITHIN_S)
    assert ended.group_contains(CorruptionError)
    await client.close()
    for thread in set(threading.enumerate()) - others:
        if not thread.name.startswith(("blobs", "disk")):
            continue  # the loop's own, and gRPC's
        await asyncio.to_thread(thread.join, WITHIN_S)
        assert not thread.is_alive(), f"{thread.name} outlives the node"
    async with running(home):
        pass  # lock and ports are free again


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_the_process_cleanly(make_home: MakeHome, number: int) -> None:
    home = make_home()
    program = "import sys; from pathlib import Path; from onward.runtime.node import run_node\n"
    program += "sys.exit(run_node(Path(sys.argv[1])))"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(home.path)], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        try:
            events = []
            for line in process.stderr:
                events.append(json.loads(line)["event"])
                if events[-1] == "listening":
                    process.send_signal(number)
            assert process.wait(WITHIN_S) == Exit.STOPPED
        finally:
            with suppress(ProcessLookupError):
                process.kill()
    assert events[-2:] == ["stopping", "stopped"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CorruptionError("x"), 65),
        (InvariantError("x"), 70),
        (ZeroDivisionError("x"), 70),
        (OSError("x"), 74),
        (DivergenceError("x"), 76),
        (MalformedError("x"), 2),
        (RejectedError("E_NOT_FOUND", "x"), 2),
        (RejectedError("E_STATE", "x"), 3),
        (ListenError("x"), 3),
        (KeyboardInterrupt(), 0),
    ],
)
def test_each_way_to_end_has_its_exit_code(error: BaseException, code: int) -> None:
    logged = StringIO()
    nested = BaseExceptionGroup("outer", [BaseExceptionGroup("inner", [error])])
    assert exit_code(error) == code
    assert report_end(nested, make_log("info", stream=logged)) == code
    line = json.loads(logged.getvalue())
    assert line["event"] == ("node_failed" if code else "node_interrupted")


def test_broken_home_ends_with_a_line_that_says_what_is_wrong(
    make_home: MakeHome, capfd: pytest.CaptureFixture[str]
) -> None:
    home = make_home()
    (home.path / "node.toml").write_text("[node]\nname = 7\n")
    interval = sys.getswitchinterval()
    try:
        assert run_node(home.path) == Exit.CONFIGURATION
    finally:
        sys.setswitchinterval(interval)
    line = json.loads(capfd.readouterr().err)
    assert "node.toml" in line["reason"]
    assert seed_of(0).hex() not in json.dumps(line)
