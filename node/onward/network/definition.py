"""A consortium on one machine, as `onward network init` writes it.

DIR/genesis.json       what everybody agreed on; receipts are checked against it
DIR/network.toml       the validators' names, homes and addresses
DIR/node-1 … node-n    one home for each validator (`runtime.home`)
DIR/wallet/            keys of the administrator, the registry, the enroller, and of later parties
DIR/logs/              what the processes have to say
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onward import limits
from onward.crypto.signing import SigningKey
from onward.errors import MalformedError, RejectCode, RejectedError, Unavailable
from onward.ledger.genesis import (
    GENESIS_BYTES_MAX,
    Genesis,
    GenesisContract,
    GenesisParty,
    Parameters,
    genesis_document,
    parse_genesis,
)
from onward.network.ports import HIGHEST_PORT, LOOPBACK, free_ports, taken_port
from onward.network.wallet import Wallet, new_seed
from onward.runtime.config import GatewayConfig, Listen, NodeConfig, PeersConfig
from onward.runtime.home import GENESIS_NAME, read_bounded, write_home
from onward.system.parties import PartyKind
from onward.types import Validator
from onward_proto.documents import canonical_document

NETWORK_NAME = "network.toml"
WALLET_NAME = "wallet"
LOGS_NAME = "logs"
PORTS_PER_NODE = 3
VALIDATORS_MIN = 4
NETWORK_BYTES_MAX = 64 * 1024

CONTRACT, CONTRACT_VERSION = "isa", 1
FOUNDERS = {
    "admin": PartyKind.ADMINISTRATOR,
    "enroller": PartyKind.ENROLLER,
    "registry": PartyKind.REGISTRY,
}
"""Parties that stand in the genesis, by their names: who registers, who enrols, who publishes."""

_NETWORK = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePlace:
    """Where one validator lives and listens."""

    name: str
    home: Path
    peers: Listen
    gateway: Listen
    metrics: Listen


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A definition that was read back: the genesis, and its validators in the genesis' order."""

    folder: Path
    genesis: Genesis
    nodes: tuple[NodePlace, ...]

    @property
    def wallet(self) -> Wallet:
        """The keys that came with it."""
        return Wallet(self.folder / WALLET_NAME)

    @property
    def logs(self) -> Path:
        """Where the processes write to."""
        return self.folder / LOGS_NAME

    def node(self, name: str) -> NodePlace:
        """The validator with this name. Raises `RejectedError` E_NOT_FOUND."""
        for node in self.nodes:
            if node.name == name:
                return node
        known = ", ".join(node.name for node in self.nodes)
        raise RejectedError(RejectCode.NOT_FOUND, f"no validator {name!r}; there are {known}")


def create_network(
    folder: Path,
    *,
    validators: int,
    time_ms: int,
    base_port: int | None = None,
    name: str = "local",
    fewer: bool = False,
    log_level: str = "info",
    contracts: tuple[tuple[str, int], ...] = ((CONTRACT, CONTRACT_VERSION),),
) -> Network:
    """Write a new consortium into `folder`, which is made or empty; answers it as read back.

    `time_ms`: when the chain begins. Without `base_port` free ports are chosen. `fewer` admits
    networks that no fault is survived by. `contracts`: name and version of each, from the first
    block on.

    Raises `RejectedError` E_LIMIT (too few or too many validators), E_STATE (the folder holds
    something), `MalformedError`, `Unavailable` (a port is taken).
    """
    _check_size(validators, fewer=fewer)
    if not _NETWORK.fullmatch(name):
        raise MalformedError(f"network name {name!r}: lower-case letters, digits and '-' inside")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RejectedError(RejectCode.STATE, f"{folder} is not an empty folder")
    ports = _ports(validators, base_port)
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    (folder / LOGS_NAME).mkdir()
    wallet = Wallet(folder / WALLET_NAME)
    parties = tuple(
        GenesisParty(
            party_id=party, kind=kind, public_key=wallet.create(party, kind).signer.public_key
        )
        for party, kind in FOUNDERS.items()
    )
    seeds = [new_seed() for _ in range(validators)]
    members = tuple(
        Validator(name=f"v{k}", organisation=f"org-{k}", public_key=SigningKey(seed).public_key)
        for k, seed in enumerate(seeds, 1)
    )
    document = genesis_document(
        network=name,
        time_ms=time_ms,
        parameters=Parameters(),
        validators=members,
        parties=parties,
        contracts=tuple(
            GenesisContract(name=contract, version=version, from_height=1)
            for contract, version in contracts
        ),
    )
    genesis = canonical_document(document)
    nodes = tuple(_place(folder, k, ports) for k in range(validators))
    for node, seed in zip(nodes, seeds, strict=True):
        write_home(node.home, _config(node, nodes, log_level), genesis, seed)
    (folder / GENESIS_NAME).write_bytes(genesis)
    (folder / NETWORK_NAME).write_text(_render(name, nodes), encoding="utf-8")
    return read_network(folder)


def read_network(folder: Path) -> Network:
    """The consortium in a folder. Raises `RejectedError` E_NOT_FOUND, `MalformedError`."""
    file = folder / NETWORK_NAME
    if not file.is_file():
        raise RejectedError(
            RejectCode.NOT_FOUND,
            f"{folder} holds no {NETWORK_NAME}; `onward network init {folder}` makes a network",
        )
    try:
        document = tomllib.loads(read_bounded(file, NETWORK_BYTES_MAX).decode())
        nodes = tuple(_read_place(folder, item) for item in document["node"])
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MalformedError(f"{file}: {error}") from None
    except (KeyError, TypeError) as error:
        raise MalformedError(f"{file}: {error} is missing or in the wrong kind") from None
    genesis = parse_genesis(read_bounded(folder / GENESIS_NAME, GENESIS_BYTES_MAX))
    names = tuple(member.name for member in genesis.validators.members)
    if tuple(node.name for node in nodes) != names:
        raise MalformedError(f"{file}: its nodes are not the genesis' validators {names}")
    return Network(folder=folder, genesis=genesis, nodes=nodes)


def check_ports(network: Network) -> None:
    """Whether the network's ports are free. Raises `Unavailable` naming the first that is not."""
    for node in network.nodes:
        check_node_ports(node)


def check_node_ports(node: NodePlace) -> None:
    """As `check_ports`, for one validator."""
    for what, place in (
        ("peers", node.peers),
        ("gateway", node.gateway),
        ("metrics", node.metrics),
    ):
        if taken_port(place.port, 1) is not None:
            raise Unavailable(f"{node.name}: {what} port {place.port} on {place.host} is taken")


def _check_size(validators: int, *, fewer: bool) -> None:
    if not 1 <= validators <= limits.VALIDATORS_MAX:
        raise RejectedError(
            RejectCode.LIMIT, f"{validators} validators, expected 1 to {limits.VALIDATORS_MAX}"
        )
    if validators < VALIDATORS_MIN and not fewer:
        raise RejectedError(
            RejectCode.LIMIT,
            f"{validators} validators survive the failure of none; it takes {VALIDATORS_MIN} "
            "to survive one (--fewer-than-four if that is meant)",
        )


def _ports(validators: int, base_port: int | None) -> int:
    count = PORTS_PER_NODE * validators
    if base_port is None:
        return free_ports(count)
    if not 1 <= base_port <= HIGHEST_PORT + 1 - count:
        raise MalformedError(
            f"base port {base_port}: {count} ports from it on must lie in 1 to {HIGHEST_PORT}"
        )
    taken = taken_port(base_port, count)
    if taken is not None:
        raise Unavailable(
            f"port {taken} on {LOOPBACK} is taken; the network would use "
            f"{base_port} to {base_port + count - 1}"
        )
    return base_port


def _place(folder: Path, index: int, base: int) -> NodePlace:
    first = base + PORTS_PER_NODE * index
    return NodePlace(
        name=f"v{index + 1}",
        home=folder / f"node-{index + 1}",
        peers=Listen(host=LOOPBACK, port=first),
        gateway=Listen(host=LOOPBACK, port=first + 1),
        metrics=Listen(host=LOOPBACK, port=first + 2),
    )


def _config(node: NodePlace, nodes: tuple[NodePlace, ...], log_level: str) -> NodeConfig:
    return NodeConfig(
        name=node.name,
        peers=PeersConfig(
            listen=node.peers,
            addresses=tuple((peer.name, peer.peers) for peer in nodes if peer is not node),
            plaintext=False,
        ),
        gateway=GatewayConfig(listen=node.gateway, plaintext=False),
        metrics=node.metrics,
        log_level=log_level,
    )


def _render(name: str, nodes: tuple[NodePlace, ...]) -> str:
    lines = [
        "# Where the validators of this network live and listen, in the order of the genesis.",
        f'name = "{name}"',
    ]
    for node in nodes:
        lines += [
            "",
            "[[node]]",
            f'name = "{node.name}"',
            f'home = "{node.home.name}"',
            f'peers = "{node.peers}"',
            f'gateway = "{node.gateway}"',
            f'metrics = "{node.metrics}"',
        ]
    return "\n".join([*lines, ""])


def _read_place(folder: Path, item: dict[str, Any]) -> NodePlace:
    return NodePlace(
        name=str(item["name"]),
        home=folder / str(item["home"]),
        peers=_address(item["peers"]),
        gateway=_address(item["gateway"]),
        metrics=_address(item["metrics"]),
    )


def _address(value: object) -> Listen:
    host, _, port = str(value).rpartition(":")
    if not host or not port.isdecimal() or int(port) > HIGHEST_PORT:
        raise MalformedError(f"{NETWORK_NAME}: {value!r}, expected host:port")
    return Listen(host=host.strip("[]"), port=int(port))
