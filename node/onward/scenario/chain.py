"""A chain of one in memory: real blocks, real execution, a dictionary for a disk.

What is left out is agreement about the order, because there is nobody to agree with. State root,
log root and verdicts are those that any validator would compute for these blocks.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from onward.errors import RejectCode, RejectedError
from onward.execution.block import BlockExecution, ExecutedBody, OrderedBlock, genesis_writes
from onward.execution.body import ContractFor
from onward.execution.reading import party_record
from onward.execution.reading import query as run_query
from onward.ledger.block import (
    BLOCK_FORMAT,
    Batch,
    Block,
    LanePoint,
    batch_head,
    block_digest,
    genesis_block,
)
from onward.ledger.chain import Tip, read_block, read_tip
from onward.ledger.genesis import Genesis
from onward.ledger.log import LogFrontier
from onward.ledger.store import WriteBatch
from onward.limits import BLOCK_BODIES_MAX
from onward.scenario.errors import ScenarioError
from onward.system.contracts import genesis_state
from onward_chaincode.contract import Json


class DictionaryStore:
    """`ledger.store.Store` over a dictionary."""

    __slots__ = ("_keys", "_rows")

    def __init__(self) -> None:
        """Empty."""
        self._rows: dict[bytes, bytes] = {}
        self._keys: list[bytes] = []

    def get(self, key: bytes) -> bytes | None:
        """The value of `key`, or None."""
        return self._rows.get(key)

    def scan(
        self, start: bytes, end: bytes, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """The entries with `start <= key < end` in byte order, or backwards."""
        keys = self._keys[bisect_left(self._keys, start) : bisect_left(self._keys, end)]
        for key in reversed(keys) if reverse else keys:
            yield key, self._rows[key]

    def write(self, batch: WriteBatch) -> None:
        """Apply a batch."""
        for key, value in batch.entries:
            if value is None:
                if self._rows.pop(key, None) is not None:
                    del self._keys[bisect_left(self._keys, key)]
                continue
            if key not in self._rows:
                insort(self._keys, key)
            self._rows[key] = value


class MemoryChain:
    """Executes envelopes, a block at a time, on top of a genesis."""

    def __init__(self, genesis: Genesis, contract: str, contract_for: ContractFor) -> None:
        """`contract` answers questions; `contract_for` has what the genesis activates."""
        self._contract = contract
        self._store = DictionaryStore()
        self._contract_for = contract_for
        self._chain_id = genesis.chain_id
        first = genesis_block(
            genesis.chain_id,
            genesis.time_ms,
            genesis.validators,
            LogFrontier(size=0, edge=()).root(),
        )
        self._store.write(genesis_writes(genesis.chain_id, first, genesis_state(genesis)))
        self._lane = first.cut[0]
        self._last = first

    @property
    def chain_id(self) -> bytes:
        """The tagged hash of the genesis."""
        return self._chain_id

    @property
    def tip(self) -> Tip:
        """The last executed block."""
        tip = read_tip(self._store)
        if tip is None:
            raise ScenarioError("the chain has no genesis")
        return tip

    @property
    def roots(self) -> tuple[bytes, bytes]:
        """(state root, log root) after the last block."""
        stored = read_block(self._store, self.tip.height)
        if stored is None:
            raise ScenarioError("the tip is not stored")
        return stored.state_root, stored.log_root

    def execute(self, envelopes: Sequence[bytes], time_ms: int) -> tuple[ExecutedBody, ...]:
        """One block with these envelopes at this time, which is later than the tip's."""
        tip = self.tip
        if time_ms <= tip.time_ms:
            raise ScenarioError(
                f"block time {time_ms} is not after {tip.time_ms}, the block before"
            )
        batch = Batch(
            author=0,
            epoch=self._last.epoch,
            seq=self._lane.seq + 1,
            previous=self._lane.head,
            envelopes=tuple(envelopes),
            signature=bytes(64),
        )
        head = batch_head(self._chain_id, batch)
        self._lane = LanePoint(seq=batch.seq, head=head)
        self._last = Block(
            format=BLOCK_FORMAT,
            epoch=self._last.epoch,
            view=tip.height + 1,
            height=tip.height + 1,
            parent_view=tip.height,
            parent=tip.digest,
            time_ms=time_ms,
            cut=(self._lane,),
            executed=self._last.executed,
            last=False,
            next_set_hash=self._last.next_set_hash,
        )
        ordered = OrderedBlock(
            block=self._last,
            digest=block_digest(self._last),
            final=b"",
            batches=(batch,),
            heads=(head,),
        )
        execution = BlockExecution(self._store, tip, ordered, self._contract_for)
        while not execution.run(BLOCK_BODIES_MAX):
            pass
        done = execution.finish()
        self._store.write(done.writes)
        return done.bodies

    def ask(self, query: str, arguments: Mapping[str, Any], *, reader: str, at_ms: int) -> Json:
        """A query of `contract` by a party, as of a time. Raises `RejectedError`."""
        if party_record(self._store, reader) is None:
            raise RejectedError(RejectCode.PARTY, f"no party {reader}")
        question = (self._contract, query, arguments)
        return run_query(self._store, self._contract_for, question, reader=reader, now_ms=at_ms)[0]
