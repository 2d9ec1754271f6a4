"""How long a validator may wait for its next block while nothing is wrong but some leaders.

Safety oracles see no slowness, and the oracles of liveness only what never ends: whoever forgets to
pass a ticket on, to answer a laggard or to follow f + 1 nullifiers still ends, late. So where the
links are well and at most f validators lie or stand still, each wait of each other one is held
against a bound: two seconds and, for each faulty leader in a row, the time-out of its view.
"""

from __future__ import annotations

from collections.abc import Iterable

from onward.consensus.timing import view_timeout_ms
from onward.ledger.genesis import Parameters
from onward.simulation.oracles import Violation

RESUME_MS = 2_000
"""For everything but faulty leaders' time-outs: syncs, messages, one beat of an idle network."""


def resume_ms_max(parameters: Parameters, faulty: int) -> int:
    """The longest wait between two blocks where `faulty` leaders may come one after the other.

    The first of them finds one view open since the last finalization, the next one two, and so on.
    """
    return RESUME_MS + sum(
        view_timeout_ms(parameters, open_views + 1) for open_views in range(faulty)
    )


class Pace:
    """The waits of the validators that are watched."""

    def __init__(self) -> None:
        """Nobody is watched."""
        self._since_ms: dict[str, int] = {}
        self._bound_ms = 0
        self.worst_ms = 0

    def watch(self, hosts: Iterable[str], now_ms: int, bound_ms: int) -> None:
        """From now on each of these executes a block at least every `bound_ms`."""
        self._since_ms = dict.fromkeys(hosts, now_ms)
        self._bound_ms = bound_ms

    def on_commit(self, host: str, now_ms: int) -> None:
        """`host` has executed a block."""
        if host in self._since_ms:
            self._judge(host, now_ms)
            self._since_ms[host] = now_ms

    def stop(self, now_ms: int) -> None:
        """Watch no longer; who waits now must not have waited too long already."""
        for host in self._since_ms:
            self._judge(host, now_ms)
        self._since_ms = {}

    def _judge(self, host: str, now_ms: int) -> None:
        waited_ms = now_ms - self._since_ms[host]
        self.worst_ms = max(self.worst_ms, waited_ms)
        if waited_ms > self._bound_ms:
            raise Violation(
                "latency", f"{host} waited {waited_ms} ms for a block, at most {self._bound_ms}"
            )
