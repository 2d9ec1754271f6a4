"""Looking at a network from outside: never longer than promised, and without leaving a trace."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from onward.diagnosis.findings import Verdict
from onward.diagnosis.observations import (
    Ending,
    HomeFault,
    NodeSeen,
    Observations,
    ProcessSeen,
    ProcessState,
    Reach,
    Times,
)
from onward.network import observing
from onward.network.definition import create_network
from onward.network.looking import lock_holder, look_at_end, look_at_home, look_at_process
from onward.network.observing import address_look, network_look, watch
from onward.replica.answers import NodeStatus, PeerStatus
from onward.types import Digest, PublicKey

GENESIS_MS = 1_750_000_000_000


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observing, "PAUSE_MS", 1)


def test_lock_of_a_home_is_seen_without_taking_it(tmp_path: Path) -> None:
    """Who takes the lock to look keeps a validator from starting."""
    network = create_network(tmp_path / "net", validators=1, time_ms=GENESIS_MS, fewer=True)
    home = network.nodes[0].home
    assert lock_holder(home) is None
    with (home / "data" / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert lock_holder(home) == os.getpid()
        assert look_at_process(network.nodes[0]).pid is None  # a test is no node


@pytest.mark.parametrize(
    ("lines", "ending", "code", "reason"),
    [
        ("", Ending.NEVER_BEGAN, 0, ""),
        ('{"event": "listening"}\n', Ending.WITHOUT_A_WORD, 0, ""),
        ('{"event": "listening"}\n{"event": "stopped"}\n', Ending.ASKED, 0, ""),
        ('{"event": "stopped"}\n{"event": "listening"}\n', Ending.WITHOUT_A_WORD, 0, ""),
        ('{"event": "node_failed", "code": 74, "reason": "full"}\n', Ending.FAILED, 74, "full"),
        (
            '{"event": "node_failed", "code": 70, "exception": "a\\nb: c"}',
            Ending.FAILED,
            70,
            "b: c",
        ),
        ('no json\n{"event": "stopped"}\n[1]\n{"eve', Ending.ASKED, 0, ""),
    ],
)
def test_last_words_of_a_process_say_how_it_ended(
    tmp_path: Path, lines: str, ending: Ending, code: int, reason: str
) -> None:
    network = create_network(tmp_path / "net", validators=1, time_ms=GENESIS_MS, fewer=True)
    log = network.logs / "v1.log"
    assert look_at_end(log, network.nodes[0]) is None
    log.write_text(lines, encoding="utf-8")
    found = look_at_end(log, network.nodes[0])
    assert found is not None
    assert (found.ending, found.code, found.reason) == (ending, code, reason)


def test_home_is_looked_through_as_a_node_would_and_left_as_it_was(tmp_path: Path) -> None:
    network = create_network(tmp_path / "net", validators=1, time_ms=GENESIS_MS, fewer=True)
    home = network.nodes[0].home
    before = sorted((path, path.stat().st_mtime_ns) for path in home.rglob("*"))
    assert look_at_home(home, is_looked_into=True).fault is HomeFault.NONE
    assert sorted((path, path.stat().st_mtime_ns) for path in home.rglob("*")) == before
    config = home / "node.toml"
    config.write_text(config.read_text(encoding="utf-8") + "\n[x]\n", encoding="utf-8")
    found = look_at_home(home, is_looked_into=True)
    assert found.fault is HomeFault.CONFIGURATION
    assert "there is no such setting" in found.reason
    assert look_at_home(home / "nowhere", is_looked_into=True).fault is HomeFault.MISSING


def test_address_that_takes_connections_and_says_nothing_is_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A frozen process looks like this: the system takes its connections for it."""
    monkeypatch.setattr(observing, "TLS_MS_MAX", 100)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        seen = asyncio.run(address_look(f"127.0.0.1:{deaf.getsockname()[1]}", None)())
    assert seen.nodes[0].reach is Reach.SILENT
    assert not seen.is_whole
    gone = asyncio.run(address_look(seen.place, None)())
    assert gone.nodes[0].reach is Reach.NOBODY_LISTENS


def test_address_that_speaks_something_else_is_no_node() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def greet() -> None:
            for _ in range(4):
                try:
                    connection, _ = other.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(b"220 mail.example\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        seen = asyncio.run(address_look(f"127.0.0.1:{other.getsockname()[1]}", None)())
        other.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert seen.nodes[0].reach is Reach.NO_TLS


def test_network_that_never_ran_is_seen_whole_and_unchanged(tmp_path: Path) -> None:
    network = create_network(tmp_path / "net", validators=4, time_ms=GENESIS_MS)
    before = sorted((path, path.stat().st_mtime_ns) for path in network.folder.rglob("*"))
    seen, found = asyncio.run(watch(network_look(network)))
    assert sorted((path, path.stat().st_mtime_ns) for path in network.folder.rglob("*")) == before
    assert (found.verdict, found.state) == (Verdict.STUCK, "no-quorum")
    assert seen.is_whole


# -- whose key -------------------------------------------------------------------------------------

OLD, NEW, OTHER = (PublicKey(bytes([n]) * 32) for n in (1, 2, 3))


def seen_behind(
    key: bytes | Reach,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    *,
    proved: bool,
    says: str = "v1",
    address: str = "192.0.2.7:1",
) -> Observations:
    """What is seen at an address that shows a key; `proved`: v1 has the key NEW since epoch 1.

    Who is asked tells of epoch 1 and of itself as of the validator `says`, as anybody could.
    """
    genesis = create_network(tmp_path / "net", validators=4, time_ms=GENESIS_MS).genesis
    members = genesis.validators.members
    key = members[0].public_key if key == OLD else key
    shown = key if isinstance(key, Reach) else observing._Shown(value=bytes(key))
    told = answer(9, epoch=1, chain_id=genesis.chain_id, validator=says)

    async def ask(*_: object) -> observing._Word:
        return observing._Word(reach=Reach.ANSWERED, answer=told)

    monkeypatch.setattr(observing, "_shown_key", lambda _: shown)
    monkeypatch.setattr(observing, "_ask", ask)
    second = {item.name: item.public_key for item in members[1:]} | {"v1": NEW}
    return asyncio.run(address_look(address, genesis, (second,) if proved else ())())


def test_validator_of_a_later_epoch_is_none_until_that_is_proved(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Who vouches for itself is not checked; who was voted in is no stranger for ever."""
    node = seen_behind(NEW, monkeypatch, tmp_path / "a", proved=False).nodes[0]
    assert (node.reach, node.unproved_after) == (Reach.STRANGER, 0)
    node = seen_behind(NEW, monkeypatch, tmp_path / "b", proved=True).nodes[0]
    assert (node.reach, node.name) == (Reach.ANSWERED, "v1")


def test_proofs_make_no_validator_of_a_key_that_they_do_not_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen = seen_behind(OTHER, monkeypatch, tmp_path, proved=True)
    assert (seen.nodes[0].reach, seen.nodes[0].unproved_after) == (Reach.STRANGER, 1)
    assert sorted(seen.names) == ["v1", "v2", "v3", "v4"]


def test_machine_that_has_kept_its_old_key_is_still_known_and_by_no_validators_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It follows. A key may have been changed because it was stolen: what it says is no name."""
    for says in ("v1", "v3"):
        node = seen_behind(OLD, monkeypatch, tmp_path / says, proved=True, says=says).nodes[0]
        assert (node.reach, node.name) == (Reach.ANSWERED, "v1 (until epoch 0)")


def test_validator_is_called_as_its_key_and_not_as_it_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One that lies would be taken for another, and the wrong machine restarted."""
    node = seen_behind(NEW, monkeypatch, tmp_path, proved=True, says="v3").nodes[0]
    assert (node.reach, node.name) == (Reach.ANSWERED, "v1")


def test_who_shows_no_key_is_believed_on_this_machine_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whoever stands in between would leave TLS away, and say that the network progresses."""
    far = seen_behind(Reach.NO_TLS, monkeypatch, tmp_path / "a", proved=True).nodes[0]
    assert (far.reach, far.answer) == (Reach.NO_TLS, None)
    for number, address in enumerate(("127.0.0.1:1", "[::1]:1")):
        seen = seen_behind(
            Reach.NO_TLS, monkeypatch, tmp_path / f"b{number}", proved=True, address=address
        )
        assert seen.nodes[0].reach is Reach.ANSWERED


def test_server_that_is_none_of_ours_is_certainly_no_validator(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No proof would make it one: whoever is sent to look for proofs looks for ever."""
    node = seen_behind(b"", monkeypatch, tmp_path, proved=False).nodes[0]
    assert (node.reach, node.unproved_after) == (Reach.STRANGER, None)
    monkeypatch.setattr(observing, "_shown_key", lambda _: observing._Shown(value=b""))
    assert asyncio.run(address_look("192.0.2.7:1", None)()).nodes[0].reach is Reach.STRANGER


# -- time ------------------------------------------------------------------------------------------


def answer(height: int, **changes: Any) -> NodeStatus:
    facts: dict[str, Any] = {
        "network": "local",
        "chain_id": Digest(bytes(32)),
        "validator": "v1",
        "index": 0,
        "height": height,
        "state_root": Digest(bytes(32)),
        "time_ms": 0,
        "epoch": 0,
        "view": 1,
        "finalized_height": height,
        "checkpoint_height": height,
        "version": "0",
        "peers": (PeerStatus(validator="v2", index=1, up=True, height=0, heard_ago_ms=1),),
        "uptime_ms": 1_000,
    }
    return NodeStatus(**(facts | changes))


def glance(height: int) -> Observations:
    node = NodeSeen(name="v1", reach=Reach.ANSWERED, answer=answer(height))
    return Observations(place="x", names=("v1", "v2"), nodes=(node,), times=Times())


def test_watching_ends_with_the_first_block_that_comes() -> None:
    looks = iter([3, 3, 4, 5])

    async def look(patience_ms: int = 0) -> Observations:
        return glance(next(looks))

    _, found = asyncio.run(watch(look))
    assert found.verdict is Verdict.PROGRESSES
    assert next(looks) == 5


def test_who_does_not_answer_at_once_is_given_more_time_at_the_next_look() -> None:
    given = []

    async def look(patience_ms: int = observing.STATUS_MS_MAX) -> Observations:
        given.append(patience_ms)
        running = ProcessSeen(state=ProcessState.RUNS, pid=5, age_ms=60_000)
        slow = NodeSeen(name="v1", reach=Reach.SILENT, process=running)
        is_late = patience_ms > observing.STATUS_MS_MAX
        return glance(len(given) + 3) if is_late else replace(glance(3), nodes=(slow,))

    _, found = asyncio.run(watch(look))
    assert given == [observing.STATUS_MS_MAX, *[observing.LATER_STATUS_MS_MAX] * len(given[1:])]
    assert found.verdict is Verdict.PROGRESSES


def test_watching_ends_when_time_is_up_even_in_the_middle_of_a_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A command that hangs with the network is one more thing that is stuck."""
    monkeypatch.setattr(observing, "WATCH_MS_MAX", 200)
    count = 0

    async def look(patience_ms: int = 0) -> Observations:
        nonlocal count
        count += 1
        if count > 2:
            await asyncio.Event().wait()
        return glance(3)

    seen, found = asyncio.run(watch(look))
    assert (seen.is_last_look, found.verdict) == (True, Verdict.UNKNOWN)


def test_block_that_one_validator_catches_up_with_is_no_progress() -> None:
    first = glance(3)
    late = replace(first.nodes[0], name="v2", answer=answer(9))
    both = replace(first, nodes=(first.nodes[0], late))
    risen = replace(both, nodes=(replace(first.nodes[0], answer=answer(8)), late))
    assert observing._since(both, risen).rise == 0
    assert observing._since(both, both).nodes[0].height_before == 3
