"""`onward why-stuck` against networks to which something really happened.

Each story starts one network of real processes and lets one misfortune follow the other; each time
the command has to name it, with the validators concerned, and to end with the documented code.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import plyvel
import pytest
from click.testing import CliRunner
from tests.support.real_network import RealNetwork, streaming

from onward.cli.main import main
from onward.ledger.genesis import Parameters
from onward.network import processes
from onward.network.definition import NodePlace
from onward.runtime.config import parse_config
from onward.runtime.home import (
    CONFIG_NAME,
    DATA_NAME,
    GENESIS_NAME,
    KEY_NAME,
    read_seed,
    write_home,
)
from onward.storage.disk import FORMAT_KEY
from onward.storage.home import DATABASE
from onward_proto.documents import canonical_document

os.environ.setdefault("GRPC_VERBOSITY", "NONE")
pytestmark = pytest.mark.timeout(150)
WITHIN_S = 60
THREE_HOURS_MS = 3 * 3600 * 1000
PROGRESSES, STUCK, UNKNOWN = 0, 1, 2

# Programs that run a node to which something is the matter.
WRONG_CLOCK = """
import time
real = time.time_ns
time.time_ns = lambda: real() + ({ahead_ms}) * 1_000_000
from onward.cli.main import main
main()
"""
WRONG_CONTRACT = """
from onward.system import registry
real = registry.encode_party
registry.encode_party = lambda record: real(record.__class__(
    kind=record.kind, inactive=record.inactive, public_keys=record.public_keys,
    groups=("somebody-else",), jurisdiction=record.jurisdiction))
from onward.cli.main import main
main()
"""


@dataclass(frozen=True, slots=True)
class Told:
    """What the command said."""

    code: int
    document: dict[str, Any]

    @property
    def findings(self) -> set[tuple[str, str]]:
        return {(item["code"], name) for item in self.document["findings"] for name in item["who"]}

    @property
    def sentence(self) -> str:
        return str(self.document["sentence"])


def why(*arguments: object) -> Told:
    done = CliRunner().invoke(main, ["why-stuck", *map(str, arguments), "--json"])
    assert "Traceback" not in done.stderr
    told = Told(done.exit_code, json.loads(done.stdout))
    verdict = {PROGRESSES: "progresses", STUCK: "stuck", UNKNOWN: "unknown"}[told.code]
    assert told.document["verdict"] == verdict
    return told


def expect(where: object, code: int, findings: set[tuple[str, str]], state: str = "") -> Told:
    """Ask until the command says just this: processes start and links close as they like.

    `state`: "" for any.
    """
    deadline = time.monotonic() + WITHIN_S
    while True:
        told = why(where)
        is_state = state in {"", told.document["state"]}
        if is_state and (told.code, told.findings) == (code, findings):
            return told
        assert time.monotonic() < deadline, told


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)


def send(node: NodePlace, number: signal.Signals) -> None:
    process = processes.running(node)
    assert process is not None
    os.kill(process.pid, number)


def fails(network: RealNetwork, node: NodePlace) -> None:
    """Start a node that cannot run, and wait for its end."""
    processes.start(network.network, node)
    until(lambda: processes.running(node) is None)


def disturbed(node: NodePlace, program: str) -> list[str]:
    """The command line of a node that runs inside another program."""
    return [sys.executable, "-P", "-c", program, "node", "run", "--home", str(node.home.resolve())]


@contextmanager
def moved(path: Path) -> Iterator[Path]:
    """A file or folder that is away for a while; answers where it is meanwhile."""
    aside = path.with_name(path.name + ".aside")
    path.rename(aside)
    try:
        yield aside
    finally:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        aside.rename(path)


@contextmanager
def running(folder: Path) -> Iterator[RealNetwork]:
    with RealNetwork(folder) as network:
        asyncio.run(network.start())
        yield network


def test_it_tells_who_is_lost_and_whether_the_rest_is_enough(tmp_path: Path) -> None:
    """Idle, busy, frozen, killed, stopped: four processes show the same face to a client's timeout,
    and each wants something else done."""
    with running(tmp_path / "net") as network:
        place = network.network.folder
        v1, _, v3, v4 = network.nodes

        expect(place, PROGRESSES, set(), "idle")

        async def under_load() -> None:
            async with streaming(network, [0, 1, 2]) as stream:
                await stream.more(6)
                await asyncio.to_thread(expect, place, PROGRESSES, set(), "busy")

        asyncio.run(under_load())

        send(v4, signal.SIGSTOP)
        told = expect(place, PROGRESSES, {("frozen", "v4")})
        assert "one more loss stops it" in told.sentence

        send(v3, signal.SIGSTOP)
        told = expect(place, STUCK, {("frozen", "v3"), ("frozen", "v4")})
        assert "v3 and v4 are frozen" in told.sentence
        said = CliRunner().invoke(main, ["why-stuck", str(place)])
        assert said.exit_code == STUCK
        lines = said.stdout.splitlines()
        assert lines[0].startswith("The network is stuck: only 2 of 4 validators can vote")
        assert [line.split()[:3] for line in lines if line.startswith("  do")] == [
            ["do", "kill", "-CONT"]
        ] * 2
        # One node alone: it cannot see processes, only who has fallen silent.
        told = expect(v1.gateway, STUCK, {("unheard", "v3"), ("unheard", "v4")})
        assert told.sentence.startswith("Seen from v1 the network is stuck")

        send(v3, signal.SIGCONT)
        asyncio.run(network.kill(v4))
        expect(place, PROGRESSES, {("killed", "v4")})

        assert processes.stop([v3]) == ()
        told = expect(place, STUCK, {("killed", "v4"), ("stopped", "v3")})
        assert "only 2 of 4 validators can vote, and 3 are needed" in told.sentence
        # The home of one that is down says why, and nothing of the network.
        expect(v4.home, UNKNOWN, {("killed", "v4")})


def test_it_tells_why_a_validator_cannot_start(tmp_path: Path) -> None:
    """Its last words and its home say it; the log of a node that is down is read by nobody else."""
    with running(tmp_path / "net") as network:
        place, v4 = network.network.folder, network.nodes[3]
        data = v4.home / DATA_NAME
        asyncio.run(network.kill(v4))

        def told(code: str) -> None:
            expect(place, PROGRESSES, {(code, "v4")})

        with (data / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            fails(network, v4)
            told("home-locked")
        with socket.create_server((v4.metrics.host, v4.metrics.port)):
            fails(network, v4)
            told("address-taken")
        with moved(data / "journal"):
            (data / "journal").mkdir()
            fails(network, v4)
            told("journal-lost")
        with moved(data):
            told("data-missing")
        with moved(v4.home):
            told("home-missing")
        with moved(v4.home / KEY_NAME) as key:
            shutil.copy(network.nodes[0].home / KEY_NAME, v4.home / KEY_NAME)
            told("foreign-key")
            assert key.exists()
        (v4.home / KEY_NAME).chmod(0o644)
        told("home-wrong")
        (v4.home / KEY_NAME).chmod(0o600)

        with moved(data) as intact:
            shutil.copytree(intact, data)
            database = plyvel.DB(str(data / DATABASE))
            database.put(FORMAT_KEY, b"1")
            database.close()
            fails(network, v4)
            told("other-format")

        # The system's own full device: the first batch that this validator should keep meets it.
        (data / "batches" / "0000000001.log").symlink_to("/dev/full")
        processes.start(network.network, v4)

        async def until_full() -> None:
            async with network.client_of(0, others=True) as client:
                while processes.running(v4) is not None:
                    await client.submit(network.registration()[0])

        asyncio.run(until_full())
        told("disk-full")


def test_it_tells_of_links_chains_and_strangers(tmp_path: Path) -> None:
    """All processes run, and yet there is no quorum: who cannot reach whom, and why."""
    with RealNetwork(tmp_path / "net") as network:
        place = network.network.folder
        v1, v2, v3, v4 = network.nodes
        closed = network.nodes[-1].metrics.port + 1
        for node in (v1, v2):
            edit(node, f"{v3.peers}", f"127.0.0.1:{closed}")
            edit(node, f"{v4.peers}", f"127.0.0.1:{closed}")
        for node in network.nodes:
            processes.start(network.network, node)
        told = expect(place, STUCK, {("link-down", "v1"), ("link-down", "v2")})
        assert "no 3 of them are linked" in told.sentence
        reasons = " ".join(word for item in told.document["findings"] for word in item["because"])
        assert f"v1's node.toml says that v3 listens at 127.0.0.1:{closed}" in reasons

        # Half of it healed; the fourth speaks plaintext to validators that speak TLS.
        assert processes.kill(network.nodes) == ()
        for node in (v1, v2):
            edit(node, f'v3 = "127.0.0.1:{closed}"', f'v3 = "{v3.peers}"')
            edit(node, f'v4 = "127.0.0.1:{closed}"', f'v4 = "{v4.peers}"')
        edit(v4, "plaintext = false", "plaintext = true")
        for node in network.nodes:
            processes.start(network.network, node)
        told = expect(place, PROGRESSES, {("link-down", "v4")})
        assert "v4's node.toml says plaintext = true" in str(told.document["findings"])

        # Another network's validator listens in the place of the third.
        assert processes.kill([v3, v4]) == ()
        edit(v4, "plaintext = true", "plaintext = false")
        with RealNetwork(tmp_path / "other") as other:
            stranger = other.nodes[0]
            edit(stranger, f'listen = "{stranger.gateway}"', f'listen = "{v3.gateway}"')
            processes.start(other.network, stranger)
            expect(place, STUCK, {("stranger", "v3"), ("killed", "v4")})
            told = why(v3.gateway, "--genesis", place / GENESIS_NAME)
            assert told.code == UNKNOWN
            assert [item["code"] for item in told.document["findings"]] == ["stranger"]

        # The same keys and another genesis: all handshakes are refused, and only they tell why.
        document = json.loads((place / GENESIS_NAME).read_bytes())
        document["parameters"]["heartbeat_ms"] = Parameters().heartbeat_ms + 1
        settle_again(v4, canonical_document(document))
        for node in (v3, v4):
            processes.start(network.network, node)
        expect(place, PROGRESSES, {("other-chain", "v4")})
        expect(v1.gateway, PROGRESSES, {("other-chain", "v4")})


def test_it_tells_of_clocks_and_of_a_validator_that_diverged(tmp_path: Path) -> None:
    """These run, answer and are linked; only what they say shows what is the matter."""
    with RealNetwork(tmp_path / "net") as network:
        place = network.network.folder
        v1, v2, v3, v4 = network.nodes
        behind = disturbed(v3, WRONG_CLOCK.format(ahead_ms=-THREE_HOURS_MS))
        for node in (v1, v2, v4):
            processes.start(network.network, node)
        processes.start(network.network, v3, line=behind)
        expect(place, PROGRESSES, {("clock", "v3")})

        assert processes.kill([v4]) == ()
        ahead = disturbed(v4, WRONG_CLOCK.format(ahead_ms=THREE_HOURS_MS))
        processes.start(network.network, v4, line=ahead)
        told = expect(place, STUCK, {("clock", "v3"), ("clock", "v4")})
        assert "v3 and v4 have wrong clocks" in told.sentence

        assert processes.kill([v3, v4]) == ()
        processes.start(network.network, v3)
        processes.start(network.network, v4, line=disturbed(v4, WRONG_CONTRACT))

        async def until_diverged() -> None:
            async with network.client_of(0, others=True) as client:
                while processes.running(v4) is not None:
                    await client.submit(network.registration()[0])

        asyncio.run(until_diverged())
        expect(place, PROGRESSES, {("diverged", "v4")})
        report = json.loads((v4.home / "divergence.json").read_text(encoding="utf-8"))
        assert report["key"]["name"].startswith("sys/party/")
        assert report["key"]["here"] != report["key"]["certified"]
        assert bytes.fromhex(report["key"]["here"]).endswith(b"somebody-else")
        assert report["shown_by"] in {"v1", "v2", "v3"}


def test_usage_that_names_no_network_is_refused(tmp_path: Path) -> None:
    assert CliRunner().invoke(main, ["why-stuck", str(tmp_path)]).exit_code == UNKNOWN
    assert CliRunner().invoke(main, ["why-stuck", "nowhere"]).exit_code == UNKNOWN
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    told = why(f"127.0.0.1:{port}")
    assert told.code == UNKNOWN
    assert "could not be found out" in told.sentence


def edit(node: NodePlace, old: str, new: str) -> None:
    file = node.home / CONFIG_NAME
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def settle_again(node: NodePlace, genesis: bytes) -> None:
    """Set the validator's home up anew, with its key, for another genesis."""
    config = parse_config((node.home / CONFIG_NAME).read_bytes())
    seed = read_seed(node.home / KEY_NAME)
    shutil.rmtree(node.home)
    write_home(node.home, config, genesis, seed)
