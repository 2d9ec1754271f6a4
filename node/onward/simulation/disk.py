"""A simulated disk: the node's own disk code over files and a store that lose what they may.

Every primitive operation (append, sync, unlink, directory sync, database write) passes the gate, so
that power can go before any of them. After a power cut unsynced bytes are gone, torn or zeroed,
unsynced names may be undone, and staged database writes are lost; after the death of the process
alone the page cache is still there.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from enum import Enum, auto
from functools import lru_cache

from onward.execution.block import genesis_writes
from onward.ledger.block import genesis_block
from onward.ledger.chain import read_tip, read_transaction
from onward.ledger.genesis import Genesis
from onward.ledger.log import EMPTY_LOG
from onward.ledger.store import Store, WriteBatch
from onward.replica.effects import Boot
from onward.simulation.faults import FaultKind
from onward.simulation.ruin import BATCHES, JOURNAL, FailingFiles, PowerCut, Span, spoilable
from onward.storage.disk import NodeDisk
from onward.storage.memory_store import MemoryStore
from onward.system.contracts import genesis_state

_NOTHING = "the data directory was wiped"
_NO_JOURNAL = "the vote journal was deleted"
_NO_DATABASE = "the database was deleted"
_WIPED = (_NOTHING, _NO_JOURNAL, _NO_DATABASE)

NAMES_BECOME_DURABLE = "sync_directory"
"""The operation of the files that ends a rotation; before it, names may be undone."""


class Loss(Enum):
    """What a crash takes with it."""

    PROCESS = auto()  # only what was in the process' own memory
    POWER = auto()  # also what was not synced


class SteppedDisk(NodeDisk):
    """The node's disk, whose writer takes one turn at a time, so that time can pass in between."""

    @property
    def must_persist(self) -> bool:
        """Whether something waits to be persisted, and no rotation has to come first."""
        return bool(self._to_persist) and not self._rotating

    @property
    def must_settle(self) -> bool:
        """Whether the database or the journal's rotation lags behind."""
        return bool(self._to_settle)

    @property
    def rotating(self) -> bool:
        """Whether a rotation holds up what is to be persisted."""
        return self._rotating

    def persist(self) -> bool:
        """Make what is to be persisted durable, as one group; whether there was any."""
        return self._persist_group()

    def settle(self) -> bool:
        """Make one step's database writes durable, and rotate; whether there were any."""
        if not self._to_settle:
            return False
        self._settle_next()
        return True


class SimulatedDisk:
    """What stays of a machine when it stops."""

    def __init__(
        self,
        rng: random.Random,
        genesis: Genesis,
        counts: Counter[str],
        disk_type: type[SteppedDisk] = SteppedDisk,
    ) -> None:
        """`rng` decides what a power cut takes; the home is set up at once."""
        self.disk_type = disk_type
        self.burn: Callable[[str], None] = _pass
        self._rng = rng
        self._chain_id = genesis.chain_id
        self._counts = counts
        self.ruin = ""  # what befell the home, so that nobody may start over it any more
        self._files = FailingFiles(rng)
        self._store = MemoryStore()
        self.node_disk = self.disk_type(self._files, self._store, genesis.chain_id)
        self.node_disk.create((), _first_writes(genesis))

    @property
    def store(self) -> Store:
        """Database and page log, staged writes included."""
        return self.node_disk.store

    def open(self) -> Boot:
        """Start up: what is still there."""
        self.node_disk = self.disk_type(self._files, self._store, self._chain_id)
        boot = self.node_disk.recover()
        self._files.gate = self._store.gate = self._gate
        return boot

    def height(self) -> int:
        """The executed height that the database has."""
        tip = read_tip(self._store)
        return 0 if tip is None else tip.height

    def verdict(self, tx_hash: bytes) -> tuple[int, str, int] | None:
        """(height, code, outcome) of a transaction, as this machine would tell a client."""
        stored = read_transaction(self._store, tx_hash)
        return (
            None if stored is None else (stored.leaf.height, stored.leaf.code, stored.leaf.outcome)
        )

    def crash(self, loss: Loss) -> None:
        """The machine stops: see the module's head."""
        lost_writes = self._store.crash()
        self._counts["disk.lost_database_writes"] += lost_writes
        if loss is Loss.POWER:
            lost = self._files.crash(self._rng)
            self._counts["disk.torn_tails"] += lost.torn_files
            self._counts["disk.lost_bytes"] += lost.lost_bytes
            self._counts["disk.undone_names"] += lost.undone_entries
        self._files.gate = self._store.gate = _pass

    @property
    def is_full(self) -> bool:
        """Whether writes fail now."""
        return self._files.is_full

    def fill(self, *, is_full: bool) -> None:
        """Leave no room on the disk, or make some again."""
        self._files.is_full = is_full

    def spoilable(self) -> tuple[FailingFiles, tuple[Span, ...]]:
        """The files of the stopped machine, and where in them no turned bit may pass unnoticed."""
        return self._files, spoilable(self._files, self._store)

    def rot(self, draw: int) -> bool:
        """Turn a bit of what the stopped machine had synced; False where there is nothing."""
        _, spans = self.spoilable()
        if not spans:
            return False
        span = spans[draw % len(spans)]
        self._files.spoil(span, draw)
        self.ruin = f"{span[0]}: a bit of the frame at {span[1]} turned"
        return True

    def wipe(self, draw: int) -> None:
        """Delete the stopped machine's data directory, or its journal, or its database."""
        self.ruin = _WIPED[draw % len(_WIPED)]
        if self.ruin != _NO_DATABASE:
            self._files.delete(JOURNAL)
        if self.ruin == _NOTHING:
            self._files.delete(BATCHES)
        if self.ruin != _NO_JOURNAL:
            self._store = MemoryStore()

    def _gate(self, operation: str) -> None:
        if self.is_full and operation == "flush":
            raise PowerCut(FaultKind.DISK_FULL)
        self.burn(operation)


@lru_cache(maxsize=32)
def _first_writes(genesis: Genesis) -> WriteBatch:
    """What a new home's store begins with: the same in every world of the same genesis."""
    block = genesis_block(genesis.chain_id, genesis.time_ms, genesis.validators, EMPTY_LOG.root())
    return genesis_writes(genesis.chain_id, block, genesis_state(genesis))


def _pass(operation: str) -> None:
    """Every operation passes."""
    del operation
