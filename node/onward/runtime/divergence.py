"""After a divergence: which transaction left which key with another value than at the others.

The node has stopped already. It asks its peers what the blocks resulted in there, believes only
what the certified log root stands for, and leaves `divergence.json` in its home.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from onward import limits
from onward.errors import DivergenceError, OnwardError
from onward.ledger.block import Executed
from onward.ledger.chain import read_newest_checkpoint
from onward.ledger.leaf import BlockLeaf, TransactionLeaf
from onward.ledger.results import (
    KeyParting,
    Leaves,
    Parting,
    are_certified,
    check_block,
    first_key,
    first_parting,
    frontier_at,
    leaves_at,
    write_set_at,
)
from onward.ledger.store import Store
from onward.types import ValidatorIndex

FILE_NAME = "divergence.json"
_SHOWN_BYTES_MAX = 2_048


class AskPeer(Protocol):
    """What a validator may ask another one. Both raise `RejectedError` or `Unavailable`."""

    async def leaves(self, peer: ValidatorIndex, height: int) -> Leaves:
        """A peer's leaves of a block."""

    async def write_set(self, peer: ValidatorIndex, height: int, index: int) -> bytes:
        """A peer's write set of one transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Where this node's execution parted from the certified one, as one peer could show.

    `key` is None where no key differs: then it is a code, an event or the state's root alone.
    """

    peer: ValidatorIndex
    parting: Parting
    key: KeyParting | None

    @property
    def sentence(self) -> str:
        """It in a line."""
        own, theirs = self.parting.own, self.parting.theirs
        where = f"block {self.parting.height}, leaf {self.parting.index}"
        if isinstance(own, TransactionLeaf) and isinstance(theirs, TransactionLeaf):
            where = f"transaction {theirs.tx_hash.hex()} of block {self.parting.height}"
            if self.key is not None:
                return f"{where} left another value under the key {self.key.key!r}"
            if own.code != theirs.code:
                return f"{where} was answered with {own.code} here and {theirs.code} elsewhere"
            return f"{where} announced something else"
        if isinstance(own, BlockLeaf) and isinstance(theirs, BlockLeaf):
            return f"block {self.parting.height} wrote the same and has another state root"
        return f"{where} is another one elsewhere"

    def document(self, names: Sequence[str]) -> dict[str, Any]:
        """It as JSON; values in hexadecimal, the first bytes of long ones."""
        own, theirs = self.parting.own, self.parting.theirs
        return {
            "sentence": self.sentence,
            "height": self.parting.height,
            "leaf": self.parting.index,
            "transaction": theirs.tx_hash.hex() if isinstance(theirs, TransactionLeaf) else None,
            "shown_by": names[self.peer],
            "here": _leaf_document(own),
            "certified": _leaf_document(theirs),
            "key": None
            if self.key is None
            else {
                "name": self.key.key,
                "here": _value(self.key.own, is_written=self.key.is_own),
                "certified": _value(self.key.theirs, is_written=self.key.is_theirs),
            },
        }


async def examine(
    store: Store, error: DivergenceError, peers: Sequence[ValidatorIndex], ask: AskPeer
) -> Found | None:
    """Where it happened; None where nobody can show it any more.

    Asks one peer after the other, within `DIVERGENCE_S_MAX`, until one can show the key as well.
    """
    certified = error.certified
    if not isinstance(certified, Executed):
        return None
    agreed = read_newest_checkpoint(store)
    base = Executed(height=0, log_size=0, log_root=bytes(32)) if agreed is None else agreed.executed
    heights = range(base.height + 1, certified.height + 1)
    if not 0 < len(heights) <= limits.RECENT_HEIGHTS_KEPT:
        return None
    own = [leaves for leaves in (leaves_at(store, height) for height in heights) if leaves]
    if len(own) != len(heights):
        return None
    frontier = frontier_at(store, base.log_size)
    best: Found | None = None
    # Each has its share of the time: as many as may be faulty can use theirs up in silence.
    share_s = limits.DIVERGENCE_S_MAX / (len(peers) // 3 + 1)
    with suppress(TimeoutError):
        async with asyncio.timeout(limits.DIVERGENCE_S_MAX):
            for peer in peers:
                with suppress(OnwardError, TimeoutError):
                    async with asyncio.timeout(share_s):
                        theirs = [await _leaves_of(peer, height, ask) for height in heights]
                        if not are_certified(frontier, theirs, certified):
                            continue  # it lies, or it has parted too
                        parting = first_parting(heights[0], own, theirs)
                        if parting is None:
                            continue
                        best = best or Found(peer=peer, parting=parting, key=None)
                        mine = _own_writes(store, parting)
                        if mine is None:
                            break
                        found = await _key_of(peer, parting, mine, ask)
                        if found is not None:
                            return Found(peer=peer, parting=parting, key=found)
    return best


def write_report(home: Path, found: Found, names: Sequence[str]) -> Path:
    """Leave the report in the home; answers the file. Raises `OSError`."""
    file = home / FILE_NAME
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps(found.document(names), indent=1) + "\n", encoding="utf-8")
    fresh.replace(file)
    return file


async def _leaves_of(peer: ValidatorIndex, height: int, ask: AskPeer) -> Leaves:
    leaves = await ask.leaves(peer, height)
    check_block(leaves, height)
    return leaves


def _own_writes(store: Store, parting: Parting) -> bytes | None:
    """This node's write set where write sets differ; None where none does, or it is gone."""
    own, theirs = parting.own, parting.theirs
    if not isinstance(own, TransactionLeaf) or not isinstance(theirs, TransactionLeaf):
        return None
    if own.write_set_hash == theirs.write_set_hash:
        return None
    return write_set_at(store, parting.height, parting.index)


async def _key_of(
    peer: ValidatorIndex, parting: Parting, mine: bytes, ask: AskPeer
) -> KeyParting | None:
    if not isinstance(parting.theirs, TransactionLeaf):
        return None
    theirs = await ask.write_set(peer, parting.height, parting.index)
    return first_key(mine, theirs, parting.theirs)


def _leaf_document(leaf: TransactionLeaf | BlockLeaf | None) -> dict[str, Any] | None:
    match leaf:
        case TransactionLeaf():
            return {
                "transaction": leaf.tx_hash.hex(),
                "code": leaf.code,
                "writes": leaf.write_set_hash.hex(),
                "event": leaf.event_hash.hex(),
            }
        case BlockLeaf():
            return {"block": leaf.block_digest.hex(), "state_root": leaf.state_root.hex()}
        case None:
            return None


def _value(value: bytes | None, *, is_written: bool) -> str:
    if not is_written:
        return "not written"
    if value is None:
        return "removed"
    cut = "" if len(value) <= _SHOWN_BYTES_MAX else f"… ({len(value)} bytes)"
    return value[:_SHOWN_BYTES_MAX].hex() + cut
