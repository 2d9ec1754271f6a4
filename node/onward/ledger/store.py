"""The port to the ordered key-value store, and the layout of its keys.

One block is one write batch: after a crash a block is in the store whole or not at all, and every
block below it is too. The body of this port is LevelDB at a node and a dictionary in a simulation.

    m/...                     small facts: the chain id, the tip
    b/<height u64>            the delivered block with its final certificate (`StoredBlock`)
    h/<block digest>          height of a block
    x/<tx hash>               where a transaction stands (`StoredTransaction`)
    r/<height>                hashes of the transactions in the log, in their order, 32 bytes each
    a/<batch head>            where the batch lies in the batch log (written by the storage room)
    s/<state key>             contract and system state, by its text key
    n/<node key>              pages of the state map (the storage room keeps them in files)
    l/<level u8><index u64>   full subtree hashes of the log, 16 in a tile (`ledger.log_tiles`)
    k/<height u64>            the certified checkpoint of a height
    p/<contract>/<row key>    projections: outside the state root, rebuildable
    w/<height u64>            the write sets of a recent block
    y/<height u64>            where in the map the pages of a height stand
    z/<height u64>            the oldest height whose pages the map of this one refers to
    e/<signer><place><offence>  evidence against a validator (`replica.accusations`)
    f/<epoch u64>             the proof that an epoch has ended (`consensus.epochs.EpochEnd`)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

META = b"m/"
BLOCK = b"b/"
BLOCK_HEIGHT = b"h/"
TRANSACTION = b"x/"
TRANSACTIONS = b"r/"
BATCH_PLACE = b"a/"
STATE = b"s/"
MAP_NODE = b"n/"
LOG_TILE = b"l/"
CHECKPOINT = b"k/"
PROJECTION = b"p/"
WRITES = b"w/"
MAP_STEPS = b"y/"
MAP_FLOORS = b"z/"
EVIDENCE = b"e/"
EPOCH_END = b"f/"

TIP_KEY = META + b"tip"
CHAIN_KEY = META + b"chain"
MAP_KEPT_KEY = META + b"map-kept"  # how many pages of the state map there are
MAP_FLOOR_KEY = META + b"map-floor"  # pages of heights below it may be removed
KNOWN_KEY = META + b"known"  # a filter of the transactions up to a height (`execution.known`)
ABSTAINS_KEY = META + b"abstains"  # there are votes under this key that its journal does not hold


class Store(Protocol):
    """Read access to an ordered map from bytes to non-empty bytes.

    A read sees every batch handed to the store so far, durable or not.
    """

    def get(self, key: bytes) -> bytes | None:
        """The value of `key`, or None."""

    def scan(
        self, start: bytes, end: bytes, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """The entries with `start <= key < end` in byte order, or backwards, one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteBatch:
    """Puts and deletes that take effect together, each key once, in any order; None deletes."""

    entries: tuple[tuple[bytes, bytes | None], ...]


def u64(value: int) -> bytes:
    """Eight big-endian bytes: byte order is numeric order."""
    return value.to_bytes(8, "big")


def block_key(height: int) -> bytes:
    """Where a delivered block stands."""
    return BLOCK + u64(height)


def transaction_key(tx_hash: bytes) -> bytes:
    """Where a transaction's verdict stands."""
    return TRANSACTION + tx_hash


def transactions_key(height: int) -> bytes:
    """Where the hashes of a block's transactions stand."""
    return TRANSACTIONS + u64(height)


def log_tile_key(level: int, index: int) -> bytes:
    """Where a tile of the log stands."""
    return LOG_TILE + level.to_bytes(1, "big") + u64(index)


def checkpoint_key(height: int) -> bytes:
    """Where the certified checkpoint of a height stands."""
    return CHECKPOINT + u64(height)


def prefix_end(prefix: bytes) -> bytes:
    """The first key behind every key that begins with `prefix` (which does not end in 0xFF)."""
    return prefix[:-1] + bytes([prefix[-1] + 1])
