"""Real node processes, each in a network namespace of its own: `RealNetwork` with true cuts.

with NamespacedNetwork(folder) as network:
    asyncio.run(story(network))
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.namespaces import Namespaces
from tests.support.real_network import RealNetwork

from onward.network import processes
from onward.network.definition import NETWORK_NAME, NodePlace, read_network
from onward.runtime.config import Listen, parse_config, render_config
from onward.runtime.home import CONFIG_NAME


class NamespacedNetwork(RealNetwork):
    """A network of node processes in a folder, which speak over cables. Takes root."""

    def __init__(self, folder: Path, *, validators: int = 4) -> None:
        super().__init__(folder, validators=validators)
        self.cables = Namespaces(validators)
        self._move(folder)

    def __enter__(self) -> Self:
        self.cables.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            super().__exit__(kind, error, trace)
        finally:
            self.cables.__exit__(kind, error, trace)

    def launch(self, node: NodePlace) -> None:
        """Start a validator's process in its namespace."""
        line = self.cables.command(self.nodes.index(node), processes.command(node.home))
        processes.start(self.network, node, line=line)

    def _move(self, folder: Path) -> None:
        """From loopback to the addresses of the namespaces; the ports stay."""
        peers, gateways = {}, {}
        for index, node in enumerate(self.nodes):
            peers[node.name] = Listen(host=self.cables.peer_host(index), port=node.peers.port)
            host = self.cables.client_host(index)
            gateways[node.name] = Listen(host=host, port=node.gateway.port)
        table = folder / NETWORK_NAME
        text = table.read_text(encoding="utf-8")
        for node in self.nodes:
            file = node.home / CONFIG_NAME
            config = parse_config(file.read_bytes())
            addresses = tuple((name, peers[name]) for name, _ in config.peers.addresses)
            moved = replace(
                config,
                peers=replace(config.peers, listen=peers[node.name], addresses=addresses),
                gateway=replace(config.gateway, listen=gateways[node.name]),
            )
            file.write_text(render_config(moved), encoding="utf-8")
            text = text.replace(f'"{node.peers}"', f'"{peers[node.name]}"')
            text = text.replace(f'"{node.gateway}"', f'"{gateways[node.name]}"')
        table.write_text(text, encoding="utf-8")
        self.network = read_network(folder)
