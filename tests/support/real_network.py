"""Four real node processes on loopback, and clients that keep what they were told.

    with RealNetwork(folder) as network:
        asyncio.run(story(network))

Processes that still run at the end are killed.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Self

from onward.consensus.leader import leader_of
from onward.crypto.signing import SigningKey
from onward.errors import Unavailable
from onward.ledger.transaction import Body, body_hash, seal_envelope
from onward.network import processes
from onward.network.access import NodeReport, connect, endpoints, now_ms, wait_level, wait_ready
from onward.network.definition import Network, NodePlace, create_network
from onward.rpc.client import Client, ReadingParty
from onward.system.parties import pseudonym_of
from onward.system.registry import Register, Registration
from onward_proto.canonical import encode

WITHIN_S = 60
PAUSE_S = 0.2  # of a client between two transactions: steady, and within two processors
_VALID_MS = 600_000


class RealNetwork:
    """A network of node processes in a folder."""

    def __init__(self, folder: Path, *, validators: int = 4) -> None:
        self.network: Network = create_network(folder, validators=validators, time_ms=now_ms())
        self.admin = self.network.wallet.load("admin").signer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        left = processes.kill(self.network.nodes)
        assert not left, f"still running after SIGKILL: {[node.name for node in left]}"

    @property
    def nodes(self) -> tuple[NodePlace, ...]:
        """The validators, in the genesis' order."""
        return self.network.nodes

    @property
    def reader(self) -> ReadingParty:
        """The administrator reads too."""
        return ReadingParty(party="admin", signer=self.admin)

    def launch(self, node: NodePlace) -> None:
        """Start a validator's process, and wait for nothing."""
        processes.start(self.network, node)

    async def start(self, *nodes: NodePlace) -> float:
        """Start these processes, all by default; answers after how many seconds they are ready."""
        chosen = nodes or self.nodes
        began = time.monotonic()
        for node in chosen:
            self.launch(node)
        async with connect(self.network) as client:
            await wait_ready(
                self.network, client, nodes=chosen, progress=lambda _: None, timeout_s=WITHIN_S
            )
        return time.monotonic() - began

    async def kill(self, *nodes: NodePlace) -> None:
        """SIGKILL."""
        left = await asyncio.to_thread(processes.kill, nodes)
        assert not left

    async def level(self, height: int) -> tuple[NodeReport, ...]:
        """Wait until all stand at one height, at least this one, with one state root."""
        async with connect(self.network) as client:
            return await wait_level(self.network, client, height=height, timeout_s=WITHIN_S)

    async def led_by(self, views_ahead: int = 0, *, ask: int = 0) -> int:
        """The validator that leads the current view of node `ask`, or one so many views later."""
        async with connect(self.network) as client:
            status = await client.status(ask)
        return leader_of(self.network.genesis.validators, status.view + views_ahead)

    def registration(self, signer: SigningKey | None = None) -> tuple[bytes, bytes]:
        """An envelope that registers a new person, and its body's hash."""
        body = self.registration_body()
        envelope = seal_envelope(
            self.network.genesis.chain_id, [body], [signer if signer is not None else self.admin]
        )
        return envelope, body_hash(body)

    def registration_body(self, *, valid_ms: int = _VALID_MS) -> bytes:
        """The canonical bytes of a body that registers a new person."""
        person = SigningKey(secrets.token_bytes(32))
        item = Registration(
            party=pseudonym_of(person.public_key),
            kind="PERSON",
            public_key=person.public_key,
            groups=(),
            jurisdiction="",
        )
        return encode(
            Body(
                format=1,
                contract="sys",
                type="party.register",
                actor="admin",
                cosigners=(),
                valid_until_ms=now_ms() + valid_ms,
                salt=secrets.token_bytes(16),
                payload=encode(Register(parties=(item,))),
            )
        )

    def client_of(self, index: int, *, others: bool = False) -> Client:
        """A client that asks one node, and with `others` the next ones when that is gone."""
        known = endpoints(self.network)
        chosen = (*known[index:], *known[:index]) if others else known[index : index + 1]
        return Client(chosen, chain_id=self.network.genesis.chain_id, now_ms=now_ms)

    async def expect_told(self, told: dict[bytes, tuple[int, str]]) -> None:
        """Every validator has every acknowledged verdict, as it was told."""

        async def ask(index: int) -> None:
            async with self.client_of(index) as client:
                for tx_hash, (height, code) in told.items():
                    answer = await client.transaction(tx_hash, self.reader)
                    assert (answer.verdict.height, answer.verdict.code) == (height, code)

        await asyncio.gather(*(ask(index) for index in range(len(self.nodes))))


@dataclass
class Stream:
    """Clients that submit all the time, and what they were told."""

    told: dict[bytes, tuple[int, str]] = field(default_factory=dict)
    told_at: list[float] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, tx_hash: bytes, height: int, code: str) -> None:
        """A client got a verdict."""
        self.told[tx_hash] = (height, code)
        self.told_at.append(time.monotonic())
        self._changed.set()

    async def more(self, count: int) -> None:
        """Wait until `count` further transactions are acknowledged."""
        goal = len(self.told) + count
        async with asyncio.timeout(WITHIN_S):
            while len(self.told) < goal:
                self._changed.clear()
                await self._changed.wait()

    def stall_s(self, since: float, until: float) -> float:
        """The longest time between two acknowledgements, to any client, in this period."""
        moments = [since, *(at for at in self.told_at if since < at < until), until]
        return max(after - before for before, after in pairwise(moments))


@asynccontextmanager
async def streaming(network: RealNetwork, clients: Sequence[int]) -> AsyncIterator[Stream]:
    """A stream while the block runs: one client for each of these nodes, that moves on if it must.

    A client that gets no answer submits the same bytes again, at the next node. Any other end of
    its submission is a fault, and raised when the block ends.
    """
    stream = Stream()
    done = asyncio.Event()

    async def submit(index: int) -> None:
        async with network.client_of(index, others=True) as client:
            while not done.is_set():
                envelope, tx_hash = network.registration()
                try:
                    answer = await client.submit(envelope)
                except Unavailable:
                    continue
                (verdict,) = answer.verdicts
                assert verdict.code == "OK", f"{verdict.code}: {verdict.message}"
                stream.tell(tx_hash, verdict.height, verdict.code)
                await asyncio.sleep(PAUSE_S)

    tasks = [asyncio.create_task(submit(index)) for index in clients]
    try:
        yield stream
    finally:
        done.set()
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        for end in ends:
            if isinstance(end, Exception):
                raise end
