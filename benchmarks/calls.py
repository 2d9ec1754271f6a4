"""The calls that are measured one by one: each with its material, and the same for every counter.

`CALLS[name](material)` answers a `Ready`. Calling its `call` does the work once, on the next of its
`items`; after the last comes the first again, so a second round finds at hand what a node has at
hand. No call changes what another one finds.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from material import STEPS, Chain, unsigned
from stock import BLOCK_BODIES, Stock, open_copy

from onward.audit.receipt_verifier import verify_receipt
from onward.crypto.signing import Verify, verify
from onward.execution.block import AtHand, BlockExecution, ExecutedBlock, OrderedBlock
from onward.execution.body import BodyResult, execute_body
from onward.execution.overlay import Overlay
from onward.ledger import statemap
from onward.ledger.block import Batch, batch_head
from onward.ledger.chain import read_checkpoint, read_log_node, read_transaction
from onward.ledger.genesis import Genesis, parse_genesis
from onward.ledger.log import inclusion_path
from onward.ledger.note import parse_note
from onward.ledger.receipt import build_receipt, encode_receipt
from onward.ledger.statemap import MapRef, MapUpdate, PageCache
from onward.ledger.store import MAP_NODE, WriteBatch
from onward.ledger.transaction import (
    CheckedEnvelope,
    Transaction,
    check_envelope,
    decode_envelope,
    open_envelope,
)
from onward.storage.leveldb import LevelStore
from onward_chaincode.registry import contract_for
from onward_proto.canonical import decode, encode

ITEMS = 14

T = TypeVar("T")


class Material:
    """A stock in its folder, and the parts of it that several calls need."""

    def __init__(self, folder: Path) -> None:
        """`folder`: where `build_stock` put it. Copies of its databases are made beside it."""
        self._folder = folder
        self.stock = Stock.load(folder)
        self.genesis: Genesis = parse_genesis(bytes.fromhex(self.stock.genesis))

    def store(self, name: str) -> LevelStore:
        """A copy of one of the databases: tasks of several processes have one each."""
        return open_copy(self._folder, name, Path(tempfile.mkdtemp(dir=self._folder)))

    def due(self, kind: str) -> list[bytes]:
        """Envelopes with transactions of a type, ready to be executed."""
        return [bytes.fromhex(item) for item in self.stock.due[kind]]

    def mixed(self) -> list[bytes]:
        """A block's worth of them, of every type as often as a story has it."""
        return [envelope for kind in dict.fromkeys(STEPS) for envelope in self.due(kind)]

    def batch(self) -> Batch:
        """A whole batch, as it was ordered."""
        return decode(Batch, bytes.fromhex(self.stock.batch))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """One kind of call. `items`: how many different ones there are."""

    call: Callable[[], object]
    items: int


def in_turn(work: Callable[[T], object], items: Sequence[T]) -> Ready:
    """The same work on each of the items."""
    following = itertools.cycle(items)
    return Ready(call=lambda: work(next(following)), items=len(items))


def check(material: Material, verifying: Verify) -> Ready:
    """From a client's bytes to an envelope that may go into a batch."""
    chain_id = material.genesis.chain_id

    def checked(data: bytes) -> CheckedEnvelope:
        return CheckedEnvelope(data=data, transactions=check_envelope(data, chain_id, verifying))

    return in_turn(checked, material.due("share.record")[:ITEMS])


def encode_batch(material: Material) -> Ready:
    """A batch on its way to a peer or to the batch log."""
    return in_turn(encode, [material.batch()])


def decode_batch(material: Material) -> Ready:
    """A batch as it came, envelopes still closed."""
    return in_turn(partial(decode, Batch), [bytes.fromhex(material.stock.batch)])


def hash_batch(material: Material) -> Ready:
    """The head of a batch."""
    return in_turn(partial(batch_head, material.genesis.chain_id), [material.batch()])


def execute(material: Material, kind: str) -> Ready:
    """One transaction of a type on a state that lies in a database; signatures are checked."""
    chain = _chain(material)
    state = AtHand(chain.store).state
    ordered = chain.order(chain.tip(), [])

    def executed(transaction: Transaction) -> BodyResult:
        return execute_body(
            Overlay(state),
            transaction,
            height=ordered.block.height,
            time_ms=ordered.block.time_ms,
            contract_for=contract_for,
        )

    opened = [open_envelope(item)[0] for item in material.due(kind)[:ITEMS]]
    for transaction in opened:
        expect_ok(executed(transaction))
    return in_turn(executed, opened)


def execute_block(material: Material) -> Ready:
    """A block of all types: bodies, state root, leaves, log, and the rows to be written."""
    chain = _chain(material)
    at_hand, tip = AtHand(chain.store), chain.tip()
    ordered = chain.order(tip, material.mixed())

    def executed(block: OrderedBlock) -> ExecutedBlock:
        work = BlockExecution(chain.store, tip, block, contract_for, at_hand)
        work.run(BLOCK_BODIES + 1)
        return work.finish()

    for done in executed(ordered).bodies:
        expect_ok(done.result)
    return in_turn(executed, [ordered])


def update_map(material: Material) -> Ready:
    """The state root of a block: its writes to a map, through a page cache, over a database."""
    store, pages = material.store("map"), PageCache()
    stock = material.stock
    blocks = [
        (MapRef.decode(bytes.fromhex(ref)), {key: bytes.fromhex(value) for key, value in writes})
        for ref, writes in zip(stock.map_refs, stock.map_writes, strict=True)
    ]

    def updated(block: tuple[MapRef, dict[str, bytes]]) -> MapUpdate:
        ref, writes = block
        return statemap.apply(
            lambda key: store.get(MAP_NODE + key), ref, ref.height + 1, writes, pages
        )

    return in_turn(updated, blocks)


def write_block(material: Material) -> Ready:
    """A block's rows into the database, synced."""
    store = material.store("chain")
    batches = [
        WriteBatch(
            entries=tuple(
                (bytes.fromhex(key), None if value is None else bytes.fromhex(value))
                for key, value in rows
            )
        )
        for rows in material.stock.written
    ]

    def written(batch: WriteBatch) -> None:
        store.put(batch)
        store.flush_next()

    return in_turn(written, batches)


def receipt(material: Material) -> Ready:
    """The receipt of a transaction out of the store, whose batch is at hand."""
    return in_turn(_receipts(material), _hashes(material))


def check_receipt(material: Material) -> Ready:
    """The offline verifier on a receipt, genesis and all."""
    receipts = [_receipts(material)(tx_hash) for tx_hash in _hashes(material)]
    genesis = bytes.fromhex(material.stock.genesis)
    return in_turn(lambda data: verify_receipt(data, genesis), receipts)


def _receipts(material: Material) -> Callable[[bytes], bytes]:
    store, batch = material.store("chain"), material.batch()

    def receipt_of(tx_hash: bytes) -> bytes:
        stored = read_transaction(store, tx_hash)
        checkpoint = None if stored is None else read_checkpoint(store, stored.leaf.height)
        if stored is None or checkpoint is None:
            raise ValueError(f"no receipt of {tx_hash.hex()}")
        found = build_receipt(
            envelope=decode_envelope(batch.envelopes[stored.envelope_index]),
            body_index=stored.body_index,
            leaf=encode(stored.leaf),
            leaf_index=stored.log_index,
            inclusion=inclusion_path(
                partial(read_log_node, store), stored.log_index, checkpoint.executed.log_size
            ),
            checkpoint=parse_note(checkpoint.note),
        )
        return encode_receipt(found)

    return receipt_of


def _hashes(material: Material) -> list[bytes]:
    return [bytes.fromhex(tx_hash) for tx_hash in material.stock.executed]


def _chain(material: Material) -> Chain:
    stock = material.stock
    return Chain(
        material.genesis, material.store("chain"), seq=stock.seq, head=bytes.fromhex(stock.head)
    )


def expect_ok(result: BodyResult) -> None:
    """A refusal is another piece of work, and would be measured as this one."""
    if result.code != "OK":
        raise ValueError(f"refused: {result.code} {result.rule} {result.message}")


CALLS: dict[str, Callable[[Material], Ready]] = {
    "check-envelope": partial(check, verifying=verify),
    "check-envelope-without-signature": partial(check, verifying=unsigned),
    "encode-batch": encode_batch,
    "decode-batch": decode_batch,
    "hash-batch": hash_batch,
    **{f"execute-{kind}": partial(execute, kind=kind) for kind in dict.fromkeys(STEPS)},
    "execute-block": execute_block,
    "update-state-map": update_map,
    "write-block": write_block,
    "build-receipt": receipt,
    "verify-receipt": check_receipt,
}
