"""Is on the chain what was told, once, at every validator? Nothing lost, nothing doubled.

each verdict has a place of its own in the log
the log grew by one leaf for each of them and by one for each block, and by nothing else
a random sample is asked for at every validator, and is there as it was told
all validators have one state root and one log at one height

A validator that lied is a case apart: when it does not come along afterwards it is left out, and
named. When it does, it is held to the same as everybody.
"""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from onward.bench.outcome import Outcome, Told
from onward.errors import RejectCode, RejectedError, Unavailable
from onward.ledger.chain import StoredBlock
from onward.network.access import connect, endpoints, now_ms, reports
from onward.network.definition import Network
from onward.rpc.client import Client, ReadingParty

SAMPLE = 500
REACHED_S_MAX = 60
LIAR_S_MAX = 15
_POLL_S = 0.1
_PACE_MS = 5_000
_ASKING = 8
_EXAMPLES_MAX = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """How far the chain was: the last block, and the log's size after it."""

    height: int
    log_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How far consensus was at a moment of the machine's monotonic clock."""

    at_s: float
    height: int
    view: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a check came to. `complaints` is empty where all is well."""

    height: int
    state_root: str
    leaves_expected: int
    leaves_found: int
    sampled: int
    late: int
    complaints: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """For the result document."""
        return {
            "ok": not self.complaints,
            "height": self.height,
            "state_root": self.state_root,
            "leaves_expected": self.leaves_expected,
            "leaves_found": self.leaves_found,
            "sampled": self.sampled,
            "executed_without_an_answer": self.late,
            "left_out": list(self.left_out),
            "complaints": list(self.complaints),
        }


class ChainCheck:
    """Asks the validators of a network, as a party that may read blocks and transactions."""

    def __init__(self, network: Network, reader: ReadingParty) -> None:
        self._network = network
        self._reader = reader

    def client_of(self, index: int) -> Client:
        """A client that asks one validator only."""
        return Client(
            endpoints(self._network)[index : index + 1],
            chain_id=self._network.genesis.chain_id,
            now_ms=now_ms,
        )

    async def place(self) -> Place:
        """Where the first validator stands."""
        async with self.client_of(0) as client:
            height = (await client.status(0)).height
            log_size = (await client.block(height, self._reader)).log_size if height else 0
        return Place(height=height, log_size=log_size)

    async def reached(
        self, height: int, *, without: frozenset[str] = frozenset(), limit_s: float = REACHED_S_MAX
    ) -> int:
        """Wait until every validator has executed this height; answers how far all have come.

        `without`: validators that are not waited for. Raises `Unavailable` when that does not come
        true in time.
        """
        deadline = time.monotonic() + limit_s
        async with connect(self._network) as client:
            while True:
                found = await reports(self._network, client)
                heights = [
                    0 if item.status is None else item.status.height
                    for node, item in zip(self._network.nodes, found, strict=True)
                    if node.name not in without
                ]
                if min(heights) >= height:
                    return min(heights)
                if time.monotonic() > deadline:
                    raise Unavailable(
                        f"not all validators executed height {height} within {limit_s:g} s: "
                        f"heights {heights}"
                    )
                await asyncio.sleep(_POLL_S)

    async def pace(self) -> Pace:
        """Which block and view a validator is at now, the first one that says so.

        Raises `Unavailable` when none does.
        """
        async with connect(self._network) as client:
            for index in range(len(self._network.nodes)):
                with suppress(Unavailable):
                    status = await client.status(index, timeout_ms=_PACE_MS)
                    return Pace(at_s=time.monotonic(), height=status.height, view=status.view)
        raise Unavailable("no validator says where it is")

    async def check(
        self,
        outcome: Outcome,
        before: Place,
        *,
        seed: int,
        alone: bool,
        liars: frozenset[str] = frozenset(),
    ) -> Checked:
        """Everything; see the module. `alone`: nobody else has submitted since `before`."""
        highest = max((item.height for item in outcome.told), default=before.height)
        top = await self.reached(highest, without=liars)
        left_out = await self._left_behind(top, liars)
        places = [
            index for index, node in enumerate(self._network.nodes) if node.name not in left_out
        ]
        complaints: list[str] = []
        blocks = await asyncio.gather(*(self._block(index, top) for index in places))
        if len({(item.state_root, item.log_size, item.log_root) for item in blocks}) != 1:
            complaints.append(f"the validators differ at height {top}")
        late = await self._late(outcome.unanswered)
        leaves = blocks[0].log_size - before.log_size - (top - before.height)
        if outcome.doubled_places:
            complaints.append(f"{outcome.doubled_places} verdicts share a place in the log")
        if alone and leaves != outcome.verdicts + late:
            complaints.append(
                f"{leaves} transactions on the chain, {outcome.verdicts} acknowledged and {late} "
                "executed without an answer"
            )
        chosen = random.Random(seed).sample(outcome.told, min(SAMPLE, len(outcome.told)))
        for wrong in await asyncio.gather(*(self._compare(index, chosen) for index in places)):
            complaints += wrong[:_EXAMPLES_MAX]
        return Checked(
            height=top,
            state_root=blocks[0].state_root.hex(),
            leaves_expected=outcome.verdicts + late,
            leaves_found=leaves,
            sampled=len(chosen),
            late=late,
            complaints=tuple(complaints),
            left_out=tuple(sorted(left_out)),
        )

    async def _left_behind(self, height: int, liars: frozenset[str]) -> frozenset[str]:
        """Those of the liars that do not get to this height in time."""
        names = frozenset(node.name for node in self._network.nodes)
        found = set()
        for name in sorted(liars):
            try:
                await self.reached(height, without=names - {name}, limit_s=LIAR_S_MAX)
            except Unavailable:
                found.add(name)
        return frozenset(found)

    async def _block(self, index: int, height: int) -> StoredBlock:
        async with self.client_of(index) as client:
            return await client.block(height, self._reader)

    async def _late(self, unanswered: list[bytes]) -> int:
        """How many of those that were never answered were executed all the same."""
        async with self.client_of(0) as client:
            codes = await self._ask(client, unanswered)
        return sum(code is not None for code in codes)

    async def _compare(self, index: int, chosen: list[Told]) -> list[str]:
        """What a validator says otherwise than it was told."""
        async with self.client_of(index) as client:
            found = await self._ask(client, [item.tx_hash for item in chosen])
        name = self._network.nodes[index].name
        return [
            f"{name}: {told.tx_hash.hex()[:16]} was told {told.code} at {told.height}, is {answer}"
            for told, answer in zip(chosen, found, strict=True)
            if answer != (told.height, told.code)
        ]

    async def _ask(self, client: Client, hashes: list[bytes]) -> list[tuple[int, str] | None]:
        """Height and code of each transaction, None for one that is not on the chain."""
        found: list[tuple[int, str] | None] = [None] * len(hashes)
        waiting = iter(range(len(hashes)))

        async def ask() -> None:
            for index in waiting:
                try:
                    answer = await client.transaction(hashes[index], self._reader)
                except RejectedError as error:
                    if error.code != RejectCode.NOT_FOUND:
                        raise
                    continue
                found[index] = (answer.verdict.height, answer.verdict.code)

        await asyncio.gather(*(ask() for _ in range(_ASKING)))
        return found
