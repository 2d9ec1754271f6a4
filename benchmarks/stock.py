"""The material of measured calls, made once and kept in a folder as bytes.

A chain is executed whose stories have partly ended and partly stopped, the same number before each
of their steps: what would come next is kept as envelopes, so a transaction of every type can be
executed on one state, as often as one likes. Beside it lies a state map of realistic size.

Only bytes, numbers and names are kept: measured code builds its own objects out of them, whatever
those look like in the commit that is measured.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from material import STEPS, Chain, World

from onward.execution.block import AtHand, BlockExecution
from onward.ledger import statemap
from onward.ledger.block import Executed
from onward.ledger.chain import StoredCheckpoint
from onward.ledger.log import LogFrontier
from onward.ledger.note import (
    Checkpoint,
    NoteKey,
    SignedNote,
    note_signature,
    validator_key_name,
)
from onward.ledger.store import MAP_NODE, WriteBatch, checkpoint_key
from onward.storage.leveldb import LevelStore
from onward.storage.store import Entries
from onward_chaincode.registry import contract_for
from onward_proto.canonical import encode

BLOCK_BODIES = 200
RECEIPTS = 14
WRITTEN_BLOCKS = 3
MAP_BLOCKS = 6
# As the blocks of this chain have it, where every key that several bodies write counts once.
MAP_WRITES_PER_BODY = 2
MAP_NEW_PER_CENT = 50
_PIECE_ROWS = 10_000

Rows = list[tuple[str, str | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much there is of it."""

    ended: int = 100  # stories that came to their end
    stopped: int = 14  # stories that stopped before each of the steps
    map_keys: int = 100_000


WHOLE = Scale()
TINY = Scale(ended=2, stopped=2, map_keys=500)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """What lies in the folder, beside two databases. All bytes are hex: the file is JSON."""

    genesis: str
    due: dict[str, list[str]]  # by type: envelopes that can be executed at the tip
    seq: int  # of the lane's last batch
    head: str
    batch: str  # the bytes of the last whole one: `BLOCK_BODIES` envelopes
    written: list[Rows]  # of the last blocks
    executed: list[str]  # the hashes of some transactions of that batch
    map_refs: list[str]  # before each of the blocks
    map_writes: list[list[tuple[str, str]]]  # of those blocks

    def save(self, folder: Path) -> None:
        """Into a folder that has the databases."""
        (folder / "stock.json").write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Stock:
        """What `build_stock` left."""
        found = json.loads((folder / "stock.json").read_text(encoding="utf-8"))
        return cls(**{item.name: found[item.name] for item in fields(cls)})


def open_copy(folder: Path, name: str, into: Path) -> LevelStore:
    """A database of a stock's, copied into an empty folder: whoever measures may write."""
    shutil.copytree(folder / name, into, dirs_exist_ok=True)
    return LevelStore(into)


def build_stock(folder: Path, scale: Scale = WHOLE, seed: int = 1) -> None:
    """Make everything in an empty folder: the same each time."""
    world = World(seed)
    chain = Chain.begin(world.genesis, folder / "chain")
    made = _Made(chain)
    made.take(world.published())
    stories = [world.story() for _ in range(scale.ended + scale.stopped * len(STEPS))]
    due: dict[str, list[str]] = {kind: [] for kind in STEPS}
    for kind in STEPS:
        stopped, stories = stories[: scale.stopped], stories[scale.stopped :]
        due[kind] += [next(story).hex() for story in stopped]
        made.take([next(story) for story in stories])
    made.execute(len(made.waiting))
    certify(world, chain)
    chain.store.close()
    _settle(folder / "chain")
    refs, writes = _build_map(folder / "map", scale, random.Random(seed))
    Stock(
        genesis=world.genesis_bytes.hex(),
        due=due,
        seq=chain.seq,
        head=chain.head.hex(),
        batch=made.batch,
        written=made.written[-WRITTEN_BLOCKS:],
        executed=made.executed[:RECEIPTS],
        map_refs=refs,
        map_writes=writes,
    ).save(folder)


class _Made:
    """A chain while it grows, and what is kept of it."""

    def __init__(self, chain: Chain) -> None:
        self.waiting: list[bytes] = []
        self.batch = ""
        self.written: list[Rows] = []
        self.executed: list[str] = []
        self._chain = chain
        self._at_hand = AtHand(chain.store)

    def take(self, envelopes: Sequence[bytes]) -> None:
        """Execute what makes whole blocks."""
        self.waiting += envelopes
        while len(self.waiting) >= BLOCK_BODIES:
            self.execute(BLOCK_BODIES)

    def execute(self, count: int) -> None:
        """One block of so many envelopes."""
        part, self.waiting = self.waiting[:count], self.waiting[count:]
        chain = self._chain
        ordered = chain.order(chain.tip(), part)
        work = BlockExecution(chain.store, chain.tip(), ordered, contract_for, self._at_hand)
        work.run(count + 1)
        result = work.finish()
        chain.write(result.writes)
        self._at_hand.settle(work.writes, result.tip)
        refused = [done.result.message for done in result.bodies if done.result.code != "OK"]
        if refused:
            raise ValueError(f"{len(refused)} transactions refused: {refused[0]}")
        if count >= len(self.executed):
            self.batch = encode(ordered.batches[0]).hex()
            self.executed = [done.transaction.tx_hash.hex() for done in result.bodies]
        self.written.append(
            [
                (key.hex(), None if value is None else value.hex())
                for key, value in result.writes.entries
            ]
        )


def certify(world: World, chain: Chain) -> None:
    """A quorum signs the checkpoint of the tip."""
    tip = chain.tip()
    frontier = LogFrontier.decode(tip.frontier)
    genesis = world.genesis
    checkpoint = Checkpoint(origin=genesis.origin, size=frontier.size, root=frontier.root())
    text = checkpoint.text()
    signed = tuple(
        note_signature(
            NoteKey(
                name=validator_key_name(name, genesis.network), public_key=bytes(key.public_key)
            ),
            key.sign(text),
        )
        for name, key in list(world.validators.items())[: genesis.validators.quorum]
    )
    stored = StoredCheckpoint(
        executed=Executed(height=tip.height, log_size=frontier.size, log_root=frontier.root()),
        note=SignedNote(text=text, signatures=signed).encode(),
    )
    chain.write(WriteBatch(entries=((checkpoint_key(tip.height), encode(stored)),)))


def _build_map(
    folder: Path, scale: Scale, chance: random.Random
) -> tuple[list[str], list[list[tuple[str, str]]]]:
    """A map, and blocks on it; in the database are the pages that all of them read."""
    store = LevelStore(folder, create=True)
    keys = [chance.randbytes(16).hex() for _ in range(scale.map_keys)]
    update = statemap.apply(
        lambda _: None, statemap.EMPTY_MAP, 1, {key: chance.randbytes(32) for key in keys}
    )
    refs: list[str] = []
    blocks: list[list[tuple[str, str]]] = []
    for height in range(2, 2 + MAP_BLOCKS):
        _write(store, tuple((MAP_NODE + key, page) for key, page in update.node_writes))
        count = MAP_WRITES_PER_BODY * BLOCK_BODIES
        fresh = [chance.randbytes(16).hex() for _ in range(count * MAP_NEW_PER_CENT // 100)]
        known = chance.sample(keys, min(count - len(fresh), len(keys)))
        writes = {key: chance.randbytes(160) for key in (*known, *fresh)}
        keys += fresh
        refs.append(update.ref.encode().hex())
        blocks.append([(key, value.hex()) for key, value in writes.items()])
        update = statemap.apply(lambda key: store.get(MAP_NODE + key), update.ref, height, writes)
    store.close()
    _settle(folder)
    return refs, blocks


def _write(store: LevelStore, rows: Entries) -> None:
    """In pieces that the store takes."""
    for start in range(0, len(rows), _PIECE_ROWS):
        store.put(WriteBatch(entries=rows[start : start + _PIECE_ROWS]))
        store.flush_next()


def _settle(folder: Path) -> None:
    """Open once more: what lay in the log comes into tables now and not when it is measured."""
    LevelStore(folder).close()
