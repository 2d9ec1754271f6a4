"""Who is connected with whom: connections break with machines and (where it is noticed) with links.

Of twins, each peer is connected with one at a time.
"""

from __future__ import annotations

from typing import Protocol

from onward.replica.effects import Happened, PeerDown, PeerUp
from onward.simulation.byzantine.twins import TwinRoutes
from onward.simulation.faults import Options
from onward.simulation.host import Host
from onward.simulation.network import Network
from onward.types import ValidatorIndex

_BAN_MS = 1_000
ACCUSATIONS = {
    "misbehaved": "peer",
    "equivocation": "signer",
    "evidence": "signer",
    "lane_forked": "lane",
}
"""The typed events that accuse a validator, with the field that names it."""


class ConnectedWorld(Protocol):
    """What connections need of the world."""

    hosts: list[Host]
    network: Network
    options: Options
    twin_routes: TwinRoutes
    now_ms: int


class Connections:
    """Makes and breaks connections, and tells both ends."""

    def __init__(self, world: ConnectedWorld) -> None:
        """`world` has its hosts already."""
        self._world = world
        self._banned_until_ms: dict[tuple[str, str], int] = {}
        self._pairs = [
            (a, b)
            for place, a in enumerate(world.hosts)
            for b in world.hosts[place + 1 :]
            if a.index != b.index
        ]

    def receiver(self, host: Host, to: int) -> Host | None:
        """The machine that `host` reaches under the index `to`."""
        for other in self._world.hosts:
            if other.index == to and self._world.twin_routes.meet(host, other):
                return other
        return None

    def refresh(self) -> None:
        """Bring every pair into the state that it should be in."""
        for a, b in self._pairs:
            known = (b.index in a.peers_up) + (a.index in b.peers_up)
            if self._world.twin_routes.has_twins and not self._world.twin_routes.meet(a, b):
                continue  # the other twin's business
            if known == 2 and not self._may_meet(a, b):
                self._down(a, b)
                self._down(b, a)
            elif known < 2 and self._may_meet(a, b):
                self._down(a, b)
                self._down(b, a)
                self._up(a, b)
                self._up(b, a)
            elif known == 1:
                self._down(a, b)
                self._down(b, a)

    def drop(self, host: Host, peer: int) -> None:
        """`host` ends its connection with `peer`, and takes it up again later."""
        other = self.receiver(host, peer)
        if other is None:
            return
        self._banned_until_ms[_pair(host, other)] = self._world.now_ms + _BAN_MS
        self._down(host, other)
        self._down(other, host)

    def rewire(self) -> None:
        """The twins' peers were dealt anew: every connection with one of them begins again."""
        for a, b in self._pairs:
            if self._world.twin_routes.is_twin(a) or self._world.twin_routes.is_twin(b):
                self._down(a, b)
                self._down(b, a)
        self.refresh()

    @staticmethod
    def accused_by(happened: Happened) -> int | None:
        """The validator that a typed event accuses, if it is an accusation."""
        field = ACCUSATIONS.get(happened.name)
        index = dict(happened.fields).get(field) if field is not None else None
        return index if isinstance(index, int) else None

    def _may_meet(self, a: Host, b: Host) -> bool:
        if a.machine is None or b.machine is None:
            return False
        if self._banned_until_ms.get(_pair(a, b), 0) > self._world.now_ms:
            return False
        network = self._world.network
        is_open = network.is_open(a.index, b.index) and network.is_open(b.index, a.index)
        both = b.index in a.peers_up and a.index in b.peers_up
        return is_open or (both and not self._world.options.notices_cuts)

    def _up(self, host: Host, other: Host) -> None:
        host.peers_up.add(other.index)
        host.deliver(host.boots, PeerUp(peer=ValidatorIndex(other.index)))

    def _down(self, host: Host, other: Host) -> None:
        if other.index in host.peers_up:
            host.peers_up.discard(other.index)
            host.deliver(host.boots, PeerDown(peer=ValidatorIndex(other.index)))


def _pair(a: Host, b: Host) -> tuple[str, str]:
    first, second = sorted((a.name, b.name))
    return (first, second)
