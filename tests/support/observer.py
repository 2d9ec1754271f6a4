"""A running network seen from outside, by what its validators say of themselves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.support.real_network import WITHIN_S, RealNetwork

from onward.consensus.leader import leader_of
from onward.errors import OnwardError, Unavailable
from onward.network.access import connect
from onward.replica.answers import NodeStatus
from onward.rpc.client import Client

LOOK_S = 0.03  # between two questions; as exact is every time below
LAG_MAX = 1  # blocks by which validators of one height may differ while blocks come
_STATUS_MS = 1_000
_SETTLING_LOOK_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """How blocks came to the validators that were watched, in seconds."""

    first_s: float  # until one of them had one more than any had before
    next_s: float  # until each of them had
    stall_s: float  # the longest time in which not each of them got one


class Observer:
    """One client that asks all validators. Use `observing`."""

    def __init__(self, network: RealNetwork, client: Client) -> None:
        self._network = network
        self._client = client

    async def statuses(self, indexes: Collection[int] = ()) -> dict[int, NodeStatus]:
        """What these say, all by default; whoever does not answer in a second is left out."""

        async def ask(index: int) -> NodeStatus | None:
            try:
                return await self._client.status(index, timeout_ms=_STATUS_MS)
            except OnwardError:
                return None

        chosen = tuple(indexes) or tuple(range(len(self._network.nodes)))
        found = await asyncio.gather(*(ask(index) for index in chosen))
        return {index: status for index, status in zip(chosen, found, strict=True) if status}

    async def leader(self) -> int:
        """Who leads the view in which the foremost validator is."""
        view = max(status.view for status in (await self.statuses()).values())
        return leader_of(self._network.network.genesis.validators, view)

    async def height(self, indexes: Collection[int] = ()) -> int:
        """How far the foremost of these is."""
        return max(status.height for status in (await self.statuses(indexes)).values())

    async def watch(
        self, indexes: Collection[int], *, since: float, for_s: float, above: int = -1
    ) -> Waits:
        """Watch blocks come; a wait that has not ended after `for_s` is watched to its end.

        `since`: from when on they are waited for, by the monotonic clock. `above`: the height over
        which a block is a new one; by default where the foremost is when it is asked first.
        """
        goal, lowest = above, -1
        first_at = next_at = None
        last_at, stall_s = since, 0.0
        until = time.monotonic() + for_s
        while True:
            found = await self.statuses(indexes)
            now = time.monotonic()
            heights = [status.height for status in found.values()]
            if heights and first_at is None and -1 < goal < max(heights):
                first_at = now
            if len(found) == len(indexes):
                goal = max(heights) if goal < 0 else goal
                lowest = min(heights) if lowest < 0 else lowest
                if min(heights) > lowest:
                    lowest, stall_s, last_at = min(heights), max(stall_s, now - last_at), now
                if next_at is None and lowest > goal:
                    next_at = now
                if next_at is not None and first_at is not None and last_at > until:
                    return Waits(first_s=first_at - since, next_s=next_at - since, stall_s=stall_s)
            if now > until + WITHIN_S:
                raise Unavailable(f"validators {sorted(indexes)} got no block in {WITHIN_S} s")
            await asyncio.sleep(LOOK_S)

    async def settled(self) -> None:
        """Wait until all are as far as the foremost is now, and every link between them stands."""
        goal = await self.height() - LAG_MAX
        others = len(self._network.nodes) - 1
        deadline = time.monotonic() + WITHIN_S
        while True:
            found = await self.statuses()
            if len(found) > others and all(
                status.height >= goal and sum(peer.up for peer in status.peers) == others
                for status in found.values()
            ):
                return
            if time.monotonic() > deadline:
                places = {index: (item.height, item.peers) for index, item in found.items()}
                raise Unavailable(f"not level at {goal} and linked in {WITHIN_S} s: {places}")
            await asyncio.sleep(_SETTLING_LOOK_S)


@asynccontextmanager
async def observing(network: RealNetwork) -> AsyncIterator[Observer]:
    """An observer of this network."""
    async with connect(network.network) as client:
        yield Observer(network, client)
