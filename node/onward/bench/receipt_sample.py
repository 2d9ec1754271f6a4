"""Receipts of transactions that are drawn from a chain: how long they are, how fast they verify."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onward.audit.receipt_verifier import verify_receipt
from onward.errors import CorruptionError, Unavailable
from onward.ledger.chain import read_block, read_tip, read_transaction
from onward.ledger.genesis import Genesis
from onward.ledger.read import Reader
from onward.ledger.store import Store, transactions_key
from onward.network.access import now_ms
from onward.replica.answers import NodeStatus
from onward.replica.executor import Executor
from onward.runtime.reads import NodeReads
from onward.storage.home import open_home
from onward.types import PartyId, PublicKey
from onward_chaincode.registry import contract_for

SAMPLE = 25
_HASH_BYTES = 32
_TIMES = 5
_TRIES_MAX = 40 * SAMPLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """`transactions`: how many the chain has. `receipts`: of some of them, drawn by chance."""

    transactions: int
    receipts: tuple[bytes, ...]


def draw_receipts(data: Path, genesis: Genesis, *, height: int, seed: int) -> Sampled:
    """Receipts as the node of this home, which does not run, would give them.

    Drawn from the blocks up to `height`, from all of them where it is 0. Every receipt is made for
    the party that acted. Raises `CorruptionError`, `Unavailable` where nothing is certified.
    """
    disk = open_home(data, genesis.chain_id)
    try:
        disk.recover()
        tip = read_tip(disk.store)
        last = None if tip is None else read_block(disk.store, tip.height)
        if last is None:
            raise CorruptionError(f"{data}: the database holds no executed block")
        executor = Executor(disk.store, contract_for)
        reads = NodeReads(
            disk,
            contract_for,
            now_ms=now_ms,
            status=_nobody,
            evidence=tuple,
            executed=lambda: executor,
        )
        chance = random.Random(seed)
        found: list[bytes] = []
        for tx_hash in _drawn(disk.store, height or last.block.height, chance):
            stored = read_transaction(disk.store, tx_hash)
            if stored is None:
                raise CorruptionError(f"{data}: no verdict on {tx_hash.hex()}")
            actor = reads.signing_parties(stored)[0]
            reader = Reader(party=PartyId(actor), public_key=PublicKey(bytes(_HASH_BYTES)))
            receipt = reads.receipt(tx_hash, reader)
            if receipt is not None:
                found.append(receipt)
            if len(found) == SAMPLE:
                break
        return Sampled(transactions=last.log_size - last.block.height, receipts=tuple(found))
    finally:
        disk.close()


def measured(receipts: tuple[bytes, ...], genesis: bytes) -> dict[str, Any]:
    """Verify each of them offline. Raises `ReceiptError` where one does not hold."""
    if not receipts:
        raise Unavailable("no transaction of the chain has a receipt")
    spent_ms, signers = [], set()
    for receipt in receipts:
        signers.add(len(verify_receipt(receipt, genesis).validators))
        times = []
        for _ in range(_TIMES):
            began_s = time.perf_counter()
            verify_receipt(receipt, genesis)
            times.append(1_000 * (time.perf_counter() - began_s))
        spent_ms.append(min(times))
    sizes = [len(receipt) for receipt in receipts]
    return {
        "count": len(receipts),
        "validators": sorted(signers),
        "bytes_median": statistics.median(sizes),
        "bytes_max": max(sizes),
        "verify_ms_median": round(statistics.median(spent_ms), 3),
        "verify_ms_max": round(max(spent_ms), 3),
        "note": f"{len(receipts)} transactions drawn by chance; of {_TIMES} verifications the best",
    }


def _drawn(store: Store, height: int, chance: random.Random) -> Iterator[bytes]:
    """Hashes of transactions, block by block at random."""
    for _ in range(_TRIES_MAX):
        row = store.get(transactions_key(chance.randrange(1, height + 1)))
        if row:
            at = _HASH_BYTES * chance.randrange(len(row) // _HASH_BYTES)
            yield row[at : at + _HASH_BYTES]


def _nobody() -> NodeStatus:
    raise Unavailable("this node does not run")
