"""Clients that submit at a steady rate and try again wherever they must.

Each sends one transaction after the other; when finality stalls they wait for it, and none is left
out of the count. A client sees a failure only when no node has told it a verdict in the time that
it is willing to wait, or when the verdict is another than OK.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.real_network import RealNetwork, Stream

from onward.errors import OnwardError
from onward.network.access import endpoints, now_ms
from onward.rpc.client import Client

CLIENTS = 12
WAIT_MS = 2_000  # for a verdict, until a client asks the next node


class SteadyLoad:
    """What the clients were told, and what they were not."""

    def __init__(self, network: RealNetwork, *, per_s: int, patience_s: float) -> None:
        self.stream = Stream()
        self.failures: list[str] = []
        self.longest_s = 0.0
        """How long a client has waited for a verdict, at most."""
        self._network = network
        self._period_s = CLIENTS / per_s
        self._patience_ms = int(patience_s * 1000)
        self._spreads = 0
        self._ending = asyncio.Event()

    @property
    def told(self) -> dict[bytes, tuple[int, str]]:
        """Height and code of every acknowledged transaction."""
        return self.stream.told

    async def more(self, count: int) -> None:
        """Wait until `count` further transactions are acknowledged."""
        await self.stream.more(count)

    def spread(self) -> None:
        """Let each client go back to its own node, in whose place it may have found another."""
        self._spreads += 1

    def end(self) -> None:
        """Let each client end with its present transaction."""
        self._ending.set()

    async def submit(self, number: int) -> None:
        """Client `number`, until the end."""
        known = endpoints(self._network.network)
        own = number % len(known)
        while not self._ending.is_set():
            spreads = self._spreads
            async with Client(
                (*known[own:], *known[:own]),
                chain_id=self._network.network.genesis.chain_id,
                now_ms=now_ms,
                timeout_ms=self._patience_ms,
            ) as client:
                while not self._ending.is_set() and spreads == self._spreads:
                    began = time.monotonic()
                    await self._submit_one(client)
                    took_s = time.monotonic() - began
                    self.longest_s = max(self.longest_s, took_s)
                    await asyncio.sleep(max(0.0, self._period_s - took_s))

    async def _submit_one(self, client: Client) -> None:
        envelope, tx_hash = self._network.registration()
        try:
            answer = await client.submit(envelope, wait_ms=WAIT_MS)
        except OnwardError as error:
            self.failures.append(f"{type(error).__name__}: {error}")
            return
        (verdict,) = answer.verdicts
        if verdict.code == "OK":
            self.stream.tell(tx_hash, verdict.height, verdict.code)
        else:
            self.failures.append(f"{verdict.code}: {verdict.message}")


@asynccontextmanager
async def steady_load(
    network: RealNetwork, *, per_s: int = 60, patience_s: float = 60
) -> AsyncIterator[SteadyLoad]:
    """Such a load while the block runs; when it ends, every transaction has come to an end."""
    load = SteadyLoad(network, per_s=per_s, patience_s=patience_s)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(load.submit(number)) for number in range(CLIENTS)]
        try:
            yield load
        except BaseException:
            for task in tasks:
                task.cancel()
            raise
        load.end()
