"""A node's configuration: `node.toml`, strictly read.

    [node]
    name = "v1"                       # which validator of the genesis this is

    [peers]
    listen = "127.0.0.1:7001"         # where the other validators reach this one
    plaintext = false                 # without TLS; only with loopback addresses

    [peers.addresses]                 # where this one reaches the others; itself may be left out
    v2 = "127.0.0.1:7002"

    [peers.keys]                      # may be left out: machines that the genesis does not name,
    v5 = "<64 hex digits>"            # by names of this network's own choice, and their keys

    [gateway]
    listen = "127.0.0.1:7101"         # where clients reach this node
    plaintext = false

    [metrics]
    listen = "127.0.0.1:7201"         # /metrics; always on loopback

    [log]
    level = "info"                    # debug, info, warning, error

An unknown key is refused, and every complaint names the key's path: a misspelt setting that is
passed over would be found only when it is missed.
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onward.errors import MalformedError
from onward.telemetry.events import LEVELS

CONFIG_BYTES_MAX = 64 * 1024
_PORT_MAX = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Where to listen; port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True, slots=True, kw_only=True)
class PeersConfig:
    """The links to the other validators, by their names."""

    listen: Listen
    addresses: tuple[tuple[str, Listen], ...]
    plaintext: bool
    keys: tuple[tuple[str, bytes], ...] = ()  # of machines that the genesis does not name


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayConfig:
    """The door for clients."""

    listen: Listen
    plaintext: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig:
    """The whole of `node.toml`."""

    name: str
    peers: PeersConfig
    gateway: GatewayConfig
    metrics: Listen
    log_level: str


def parse_config(data: bytes) -> NodeConfig:
    """The configuration in a file's bytes. Raises `MalformedError` naming the key that is wrong."""
    if len(data) > CONFIG_BYTES_MAX:
        raise MalformedError(f"node.toml: {len(data)} bytes, at most {CONFIG_BYTES_MAX}")
    try:
        document = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MalformedError(f"node.toml: {error}") from None
    _keys(document, "", required=("node", "peers", "gateway", "metrics"), optional=("log",))
    node = _table(document, "node", required=("name",))
    metrics = _table(document, "metrics", required=("listen",))
    log = _table(document, "log", optional=("level",)) if "log" in document else {}
    config = NodeConfig(
        name=_text(node, "node.name"),
        peers=_peers(document),
        gateway=_gateway(document),
        metrics=_address(metrics, "metrics.listen"),
        log_level=_text(log, "log.level") if log else "info",
    )
    if config.log_level not in LEVELS:
        raise MalformedError(
            f"node.toml: log.level: {config.log_level!r}, expected one of {', '.join(LEVELS)}"
        )
    if not config.metrics.is_loopback:
        raise MalformedError(
            f"node.toml: metrics.listen: {config.metrics} is not on loopback; "
            "let a collector on this machine read it"
        )
    return config


def render_config(config: NodeConfig) -> str:
    """The file's text; `parse_config` gives the same configuration back."""
    lines = [
        "[node]",
        f'name = "{config.name}"',
        "",
        "[peers]",
        f'listen = "{config.peers.listen}"',
        f"plaintext = {str(config.peers.plaintext).lower()}",
        "",
        "[peers.addresses]",
        *(f'{name} = "{address}"' for name, address in config.peers.addresses),
        "",
        *(["[peers.keys]"] if config.peers.keys else []),
        *(f'{name} = "{key.hex()}"' for name, key in config.peers.keys),
        *([""] if config.peers.keys else []),
        "[gateway]",
        f'listen = "{config.gateway.listen}"',
        f"plaintext = {str(config.gateway.plaintext).lower()}",
        "",
        "[metrics]",
        f'listen = "{config.metrics}"',
        "",
        "[log]",
        f'level = "{config.log_level}"',
        "",
    ]
    return "\n".join(lines)


def _peers(document: Mapping[str, Any]) -> PeersConfig:
    table = _table(
        document, "peers", required=("listen", "addresses"), optional=("plaintext", "keys")
    )
    addresses, keys = table["addresses"], table.get("keys", {})
    if not isinstance(addresses, dict) or not isinstance(keys, dict):
        raise MalformedError("node.toml: peers.addresses, peers.keys: expected tables")
    config = PeersConfig(
        listen=_address(table, "peers.listen"),
        addresses=tuple(
            (name, _address(addresses, f"peers.addresses.{name}")) for name in addresses
        ),
        plaintext=_flag(table, "peers.plaintext"),
        keys=tuple((name, _key(keys, f"peers.keys.{name}")) for name in keys),
    )
    if config.plaintext:
        _only_loopback("peers.listen", config.listen)
        for name, address in config.addresses:
            _only_loopback(f"peers.addresses.{name}", address)
    return config


def _gateway(document: Mapping[str, Any]) -> GatewayConfig:
    table = _table(document, "gateway", required=("listen",), optional=("plaintext",))
    config = GatewayConfig(
        listen=_address(table, "gateway.listen"), plaintext=_flag(table, "gateway.plaintext")
    )
    if config.plaintext:
        _only_loopback("gateway.listen", config.listen)
    return config


def _only_loopback(path: str, address: Listen) -> None:
    if not address.is_loopback:
        raise MalformedError(
            f"node.toml: {path}: {address} is not on loopback, and plaintext goes nowhere else"
        )


def _table(
    document: Mapping[str, Any],
    path: str,
    *,
    required: tuple[str, ...] = (),
    optional: tuple[str, ...] = (),
) -> dict[str, Any]:
    value = document[path]
    if not isinstance(value, dict):
        raise MalformedError(f"node.toml: {path}: expected a table, got {value!r}")
    _keys(value, f"{path}.", required=required, optional=optional)
    return value


def _keys(
    table: Mapping[str, Any], prefix: str, *, required: tuple[str, ...], optional: tuple[str, ...]
) -> None:
    for key in table:
        if key not in required and key not in optional:
            raise MalformedError(f"node.toml: {prefix}{key}: there is no such setting")
    for key in required:
        if key not in table:
            raise MalformedError(f"node.toml: {prefix}{key}: is missing")


def _text(table: Mapping[str, Any], path: str) -> str:
    value = table[path.rpartition(".")[2]]
    if not isinstance(value, str) or not value:
        raise MalformedError(f"node.toml: {path}: expected text, got {value!r}")
    return value


def _key(table: Mapping[str, Any], path: str) -> bytes:
    value = _text(table, path)
    if not re.fullmatch(r"[0-9a-f]{64}", value, re.ASCII):
        raise MalformedError(f"node.toml: {path}: expected 64 hex digits, got {value!r}")
    return bytes.fromhex(value)


def _flag(table: Mapping[str, Any], path: str) -> bool:
    value = table.get(path.rpartition(".")[2], False)
    if not isinstance(value, bool):
        raise MalformedError(f"node.toml: {path}: expected true or false, got {value!r}")
    return value


def _address(table: Mapping[str, Any], path: str) -> Listen:
    value = _text(table, path)
    host, colon, port = value.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if not colon or not host or not port.isascii() or not port.isdecimal():
        raise MalformedError(f"node.toml: {path}: {value!r}, expected host:port")
    if int(port) > _PORT_MAX:
        raise MalformedError(f"node.toml: {path}: port {port}, at most {_PORT_MAX}")
    return Listen(host=host, port=int(port))
