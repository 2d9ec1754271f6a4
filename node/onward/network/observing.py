"""Looks at a network from outside, twice at least, until a diagnosis can be made or time is up.

Nodes are asked for their status with the key that the genesis names for each. Who does not answer
is looked at from below: does anyone listen, does it speak TLS, and with whose key?
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from onward.diagnosis.diagnose import diagnose
from onward.diagnosis.findings import Diagnosis
from onward.diagnosis.observations import (
    NodeSeen,
    Observations,
    ProcessState,
    Reach,
    Times,
)
from onward.errors import OnwardError, RejectCode, RejectedError, Unavailable
from onward.ledger.genesis import GENESIS_BYTES_MAX, Genesis, Parameters, parse_genesis
from onward.network.access import now_ms
from onward.network.definition import LOGS_NAME, Network, NodePlace
from onward.network.looking import look_at_end, look_at_home, look_at_process, read_config
from onward.network.processes import log_file
from onward.network.voters import NewestSet, newest_set, voters_of
from onward.replica.answers import NodeStatus, name_of
from onward.rpc import tls
from onward.rpc.client import Client, Endpoint
from onward.runtime.config import CONFIG_BYTES_MAX, Listen, parse_config
from onward.runtime.home import CONFIG_NAME, GENESIS_NAME, read_bounded
from onward.types import PublicKey

WATCH_MS_MAX = 8_000  # the whole command promises 10 s: Python starts, and a last probe may linger
PAUSE_MS = 500
STATUS_MS_MAX = 1_500
LATER_STATUS_MS_MAX = 3_000  # who was only slow at the first look deserves more patience
CONNECT_MS_MAX = 500
TLS_MS_MAX = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Word:
    """What came of asking a gateway. `name`: of its key, "" where nothing proves one."""

    reach: Reach
    name: str = ""
    answer: NodeStatus | None = None
    clock_ahead_ms: int | None = None
    stranger: str = ""
    unproved_after: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """The identity key behind a certificate; empty where no validator issued it."""

    value: bytes


class Look(Protocol):
    """One look at a network, with so much patience for each of its nodes' answers."""

    def __call__(self, patience_ms: int = STATUS_MS_MAX) -> Coroutine[Any, Any, Observations]:
        """What was seen."""
        ...


async def watch(look: Look) -> tuple[Observations, Diagnosis]:
    """Look again until the diagnosis is decided; answers the last look, and what it says."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    first = seen = await look()
    slowest_ms = watched_ms = int((loop.time() - began) * 1000)
    while True:
        await asyncio.sleep(PAUSE_MS / 1000)
        try:
            async with asyncio.timeout_at(began + WATCH_MS_MAX / 1000):
                seen = await look(LATER_STATUS_MS_MAX)
        except TimeoutError:
            seen = replace(seen, is_last_look=True)
            return seen, diagnose(seen)
        before_ms, watched_ms = watched_ms, int((loop.time() - began) * 1000)
        slowest_ms = max(slowest_ms, watched_ms - before_ms - PAUSE_MS)
        is_last = watched_ms + PAUSE_MS + 2 * slowest_ms > WATCH_MS_MAX
        first = _with_late(first, seen)
        seen = replace(_since(first, seen), watched_ms=watched_ms, is_last_look=is_last)
        found = diagnose(seen)
        if found.is_decided or is_last:
            return seen, found


def network_look(network: Network) -> Look:
    """How to look at all validators of a network on this machine."""
    genesis = network.genesis
    keys = _keys(genesis)

    async def look(patience_ms: int = STATUS_MS_MAX) -> Observations:
        looked = await asyncio.gather(
            *(_look_at(node, log_file(network, node), keys, patience_ms) for node in network.nodes)
        )
        newest = newest_set((node.answer for node in looked), genesis)
        return Observations(
            place=str(network.folder),
            names=newest.names,
            nodes=_renamed(tuple(looked), keys, newest),
            epoch=newest.epoch,
            times=_times(genesis.parameters),
            chain_id=genesis.chain_id,
            start_command=f"onward network up {network.folder}",
        )

    return look


def home_look(home: Path) -> Look:
    """How to look at one validator on this machine; the others it only tells of.

    Raises `MalformedError`, `RejectedError` where the home does not say who it is.
    """
    config = parse_config(read_bounded(home / CONFIG_NAME, CONFIG_BYTES_MAX))
    genesis = parse_genesis(read_bounded(home / GENESIS_NAME, GENESIS_BYTES_MAX))
    keys = _keys(genesis) | {name: PublicKey(key) for name, key in config.peers.keys}
    if config.name not in keys:
        raise RejectedError(
            RejectCode.NOT_FOUND,
            f"{home}: {config.name} is in no set: neither in the genesis nor in peers.keys",
        )
    node = NodePlace(
        name=config.name,
        home=home,
        peers=config.peers.listen,
        gateway=_dialed(config.gateway.listen),
        metrics=config.metrics,
    )
    log = home.parent / LOGS_NAME / f"{node.name}.log"

    async def look(patience_ms: int = STATUS_MS_MAX) -> Observations:
        looked = await _look_at(node, log, keys, patience_ms)
        newest = newest_set((looked.answer,), genesis)
        return Observations(
            place=str(home),
            names=newest.names,
            nodes=_renamed((looked,), keys, newest),
            epoch=newest.epoch,
            times=_times(genesis.parameters),
            chain_id=genesis.chain_id,
            start_command=f"onward node run --home {home}",
        )

    return look


def address_look(
    address: str, genesis: Genesis | None, later: Sequence[Mapping[str, PublicKey]] = ()
) -> Look:
    """How to look at whoever answers clients at `host:port`, on any machine.

    Without a genesis whoever answers there is believed: a status is open to everyone. With one it
    has to show a key of the genesis or of one of the `later` sets, the newest last, that proofs
    lead to, and is called by that key's name. What a stranger says of itself makes it no validator.
    """
    sets = () if genesis is None else (_keys(genesis), *later)
    newest = tuple(sets[-1]) if sets else ()

    async def look(patience_ms: int = STATUS_MS_MAX) -> Observations:
        return _heard_at(address, await _word_at(address, sets, patience_ms), genesis, newest)

    return look


async def _word_at(
    address: str, sets: Sequence[Mapping[str, PublicKey]], patience_ms: int
) -> _Word:
    """What is said at an address, by whom the `sets` (if there are any) prove a validator.

    Plaintext proves nothing. It is for loopback, where this machine vouches for who listens.
    """
    newest = sets[-1] if sets else {}
    shown = await asyncio.to_thread(_shown_key, address)
    if isinstance(shown, Reach):
        if shown is not Reach.NO_TLS or (sets and not _place(address).is_loopback):
            return _Word(reach=shown)
        nobody = PublicKey(bytes(32))
        plain = Endpoint(address=address, public_key=nobody, plaintext=True)
        word = await _ask(plain, newest, patience_ms)
        return word if word.answer is not None else _Word(reach=shown)
    name = _proved_name(shown.value, sets)
    if not shown.value or (sets and not name):
        return _Word(
            reach=Reach.STRANGER,
            stranger=_owner(shown.value, newest),
            unproved_after=len(sets) - 1 if shown.value else None,
        )
    word = await _ask(
        Endpoint(address=address, public_key=PublicKey(shown.value)), newest, patience_ms
    )
    return replace(word, name=name)


def _heard_at(
    address: str, word: _Word, genesis: Genesis | None, known: tuple[str, ...]
) -> Observations:
    answer = word.answer
    name = address if answer is None else word.name or answer.validator
    names = known or (name,)
    if answer is not None and answer.voters:
        names = tuple(item.name for item in voters_of(answer))
    elif answer is not None and not known:
        places = {peer.index: peer.validator for peer in answer.peers} | {answer.index: name}
        names = tuple(places[index] for index in sorted(places))
    times = Times() if genesis is None else _times(genesis.parameters)
    if answer is not None and answer.heartbeat_ms:
        times = Times(
            heartbeat_ms=answer.heartbeat_ms,
            timeout_ms_max=answer.timeout_ms_max,
            future_ms_max=answer.future_ms_max,
            past_ms_max=answer.past_ms_max,
        )
    node = NodeSeen(
        name=name,
        gateway=address,
        reach=word.reach,
        answer=answer,
        clock_ahead_ms=word.clock_ahead_ms,
        stranger=word.stranger,
        unproved_after=word.unproved_after,
    )
    # A lone name would look like a whole network of one.
    others = names if answer is not None or known else (name, "")
    return Observations(
        place=address,
        names=others,
        nodes=(node,),
        times=times,
        chain_id=None if genesis is None else genesis.chain_id,
        epoch=0 if answer is None else answer.epoch,
    )


def _renamed(
    nodes: tuple[NodeSeen, ...], keys: Mapping[str, PublicKey], newest: NewestSet
) -> tuple[NodeSeen, ...]:
    """The nodes as the newest epoch calls their keys."""
    return tuple(
        replace(node, name=name_of(keys[node.name], node.name, newest.voters)) for node in nodes
    )


async def _look_at(
    node: NodePlace, log: Path, keys: Mapping[str, PublicKey], patience_ms: int
) -> NodeSeen:
    """One validator of this machine: first from outside, then by asking it."""
    process = await asyncio.to_thread(look_at_process, node)
    word = _Word(reach=Reach.NOT_ASKED)
    if process.state is not ProcessState.STOPPED:  # nobody is there to answer
        config = await asyncio.to_thread(read_config, node.home)
        endpoint = Endpoint(
            address=str(node.gateway),
            public_key=keys[node.name],
            plaintext=config is not None and config.gateway.plaintext,
        )
        word = await _ask(endpoint, keys, patience_ms)
    is_gone = process.state is ProcessState.NONE and word.answer is None
    home = await asyncio.to_thread(look_at_home, node.home, is_looked_into=is_gone)
    return NodeSeen(
        name=node.name,
        gateway=str(node.gateway),
        reach=word.reach,
        answer=word.answer,
        clock_ahead_ms=word.clock_ahead_ms,
        stranger=word.stranger,
        # One that answers and has no process here runs where nobody can look from here.
        process=process if process.pid is not None or is_gone else None,
        end=await asyncio.to_thread(look_at_end, log, node) if is_gone else None,
        home=home,
        log=str(log),
    )


async def _ask(endpoint: Endpoint, keys: Mapping[str, PublicKey], patience_ms: int) -> _Word:
    """A node's status, or why there is none."""
    before_ms = now_ms()
    try:
        async with Client((endpoint,), chain_id=bytes(32), now_ms=now_ms) as client:
            answer = await client.status(0, timeout_ms=patience_ms)
    except Unavailable:
        return await asyncio.to_thread(_probe, endpoint, keys)
    except OnwardError:
        return _Word(reach=Reach.REFUSED)
    middle_ms = (before_ms + now_ms()) // 2
    return _Word(
        reach=Reach.ANSWERED,
        answer=answer,
        clock_ahead_ms=answer.now_ms - middle_ms if answer.now_ms else None,
    )


# -- from below ------------------------------------------------------------------------------------


def _probe(endpoint: Endpoint, keys: Mapping[str, PublicKey]) -> _Word:
    """Why a node's status was not to be had."""
    shown = _shown_key(endpoint.address)
    if isinstance(shown, Reach):
        is_meant = shown is Reach.NO_TLS and endpoint.plaintext
        return _Word(reach=Reach.SILENT if is_meant else shown)
    if shown.value == endpoint.public_key:
        return _Word(reach=Reach.SILENT)
    return _Word(reach=Reach.STRANGER, stranger=_owner(shown.value, keys))


def _shown_key(address: str) -> _Shown | Reach:
    """Whose certificate is shown at an address, or why none is."""
    listen = _place(address)
    place = (listen.host, listen.port)
    try:
        socket.create_connection(place, timeout=CONNECT_MS_MAX / 1000).close()
    except ConnectionRefusedError:
        return Reach.NOBODY_LISTENS
    except OSError:
        return Reach.UNREACHABLE
    began = time.monotonic()
    try:
        pem = ssl.get_server_certificate(place, timeout=TLS_MS_MAX / 1000)
    except TimeoutError:
        return Reach.SILENT
    except OSError:  # TLS errors are among them
        is_slow = time.monotonic() - began >= TLS_MS_MAX / 1000
        return Reach.SILENT if is_slow else Reach.NO_TLS
    return _Shown(value=tls.issuer_of(pem.encode()) or b"")


def _owner(key: bytes, keys: Mapping[str, PublicKey]) -> str:
    for name, known in keys.items():
        if known == key:
            return f"the validator {name}"
    return f"a stranger with key {key.hex()[:16]}" if key else "no validator at all"


# -- putting together ------------------------------------------------------------------------------


def _with_late(first: Observations, seen: Observations) -> Observations:
    """The first look, with the first answers of those who were slow then."""
    prompt = {node.name for node in first.answering}
    late = tuple(node for node in seen.answering if node.name not in prompt)
    return replace(first, nodes=(*first.answering, *late))


def _since(first: Observations, seen: Observations) -> Observations:
    """What changed since the first look."""
    before = {node.name: node.answer for node in first.answering}
    nodes = tuple(
        node
        if (earlier := before.get(node.name)) is None
        else replace(node, height_before=earlier.finalized_height)
        for node in seen.nodes
    )
    both = [node for node in seen.answering if node.name in before]
    then = [_top(earlier, seen) for node in both if (earlier := before[node.name]) is not None]
    now = [_top(node.answer, seen) for node in both if node.answer is not None]
    rise = max(now, default=0) - max(then, default=0)
    return replace(seen, nodes=nodes, rise=max(0, rise))


def _top(answer: NodeStatus, seen: Observations) -> int:
    """How high the chain is by a node's word; one that is asked alone may itself be behind."""
    if seen.chain_id is not None and answer.chain_id != seen.chain_id:
        return 0
    told = () if not seen.is_alone else tuple(peer.height for peer in answer.peers)
    return max(answer.finalized_height, *told, 0)


def _keys(genesis: Genesis) -> dict[str, PublicKey]:
    return {member.name: member.public_key for member in genesis.validators.members}


def _proved_name(key: bytes, sets: Sequence[Mapping[str, PublicKey]]) -> str:
    """What the newest set with a key calls it, and until when, if that is not the last one.

    "" for a key that is in no set. Its name may have gone to another key, and the key to a thief.
    """
    for epoch, keys in reversed(tuple(enumerate(sets))):
        for name, known in keys.items():
            if known == key:
                return name if keys is sets[-1] else f"{name} (until epoch {epoch})"
    return ""


def _times(parameters: Parameters) -> Times:
    return Times(
        heartbeat_ms=parameters.heartbeat_ms,
        timeout_ms_max=parameters.timeout_ms_max,
        future_ms_max=parameters.future_ms_max,
        past_ms_max=parameters.past_ms_max,
    )


def _place(address: str) -> Listen:
    host, _, port = address.rpartition(":")
    return Listen(host=host.strip("[]"), port=int(port))


def _dialed(listen: Listen) -> Listen:
    """Where to reach on this machine who listens at an address; all addresses include loopback."""
    hosts = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # compared, not listened at
    return replace(listen, host=hosts.get(listen.host, listen.host))
