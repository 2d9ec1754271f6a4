"""A small chain for tests of execution: a dictionary for a disk, a contract that does as told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from typing import Any

from onward.crypto.signing import SigningKey
from onward.execution.block import BlockExecution, ExecutedBlock, OrderedBlock, genesis_writes
from onward.ledger.block import (
    LANE_START,
    Batch,
    Block,
    LanePoint,
    batch_head,
    block_digest,
    genesis_block,
)
from onward.ledger.chain import read_tip
from onward.ledger.genesis import (
    Genesis,
    GenesisContract,
    GenesisParty,
    Parameters,
    genesis_document,
    parse_genesis,
)
from onward.ledger.log import LogFrontier
from onward.ledger.statemap.pages import page_version
from onward.ledger.store import MAP_FLOOR_KEY, MAP_NODE, WriteBatch
from onward.ledger.transaction import Body, Transaction, body_hash, seal_envelope
from onward.system.contracts import genesis_state
from onward.types import Validator
from onward_chaincode.contract import Call, Context, Event, Json, Reader, Recorded, View
from onward_proto.canonical import encode
from onward_proto.documents import canonical_document

T0 = 1_750_000_000_000
Action = Callable[[Context], Recorded | None]


def key(name: str) -> SigningKey:
    return SigningKey(sha256(name.encode()).digest())


class DictStore:
    """`ledger.store.Store` in the plainest way. Pages that may be removed are, at once."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        return self.rows.get(key)

    def scan(
        self, start: bytes, end: bytes, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        found = sorted(
            (item for item in self.rows.items() if start <= item[0] < end), reverse=reverse
        )
        yield from found

    def write(self, batch: WriteBatch) -> None:
        assert len(dict(batch.entries)) == len(batch.entries)
        for key, value in batch.entries:
            if value is None:
                self.rows.pop(key, None)
            else:
                assert value
                self.rows[key] = value
        floor = int.from_bytes(self.rows.get(MAP_FLOOR_KEY, b""), "big")
        end = MAP_NODE + page_version(floor)
        for key in [key for key in self.rows if MAP_NODE <= key < end]:
            del self.rows[key]


class Puppet:
    """A contract whose transactions run the action that the test hands it."""

    name = "puppet"
    version = 1
    types = ("move",)
    queries = ("nothing",)

    def __init__(self, action: Action | None = None) -> None:
        self.action: Action = action or moved
        self.rows: dict[str, bytes] = {}

    def apply(self, ctx: Context, call: Call) -> Recorded | None:
        return self.action(ctx)

    def query(self, view: View, name: str, arguments: Mapping[str, Any]) -> Json:
        return {}

    def project(self, event: Event, tx_id: str, before: Reader, after: Reader) -> dict[str, bytes]:
        return self.rows


def moved(ctx: Context) -> Recorded | None:
    ctx.put(f"moved/{ctx.tx_id}", ctx.caller.encode())
    ctx.emit("moved", {"by": ctx.caller}, (ctx.caller,))
    return None


PARTIES = (("acme", "ORGANISATION"), ("admin", "ADMINISTRATOR"), ("beta", "ORGANISATION"),
           ("enroller", "ENROLLER"), ("registry", "REGISTRY"))  # fmt: skip


def make_genesis(from_height: int = 1) -> Genesis:
    document = genesis_document(
        network="test",
        time_ms=T0,
        parameters=Parameters(),
        validators=(
            Validator(name="v0", organisation="o0", public_key=key("validator").public_key),
        ),
        parties=tuple(
            GenesisParty(party_id=name, kind=kind, public_key=key(name).public_key)
            for name, kind in PARTIES
        ),
        contracts=(GenesisContract(name="puppet", version=1, from_height=from_height),),
    )
    return parse_genesis(canonical_document(document))


class Chain:
    """Blocks on top of a genesis, one call each."""

    def __init__(self, contract: Puppet | None = None, *, from_height: int = 1) -> None:
        self.genesis = make_genesis(from_height)
        self.contract = contract or Puppet()
        self.store = DictStore()
        frontier = LogFrontier(size=0, edge=())
        self.last = genesis_block(
            self.genesis.chain_id, T0, self.genesis.validators, frontier.root()
        )
        self.store.write(
            genesis_writes(self.genesis.chain_id, self.last, genesis_state(self.genesis))
        )
        self.lane = LANE_START

    def contract_for(self, name: str, version: int) -> Puppet | None:
        return self.contract if (name, version) == ("puppet", 1) else None

    def envelope(self, *bodies: Body, signers: tuple[str, ...] = ()) -> bytes:
        names = signers or tuple(
            dict.fromkeys(name for body in bodies for name in (body.actor, *body.cosigners))
        )
        return seal_envelope(
            self.genesis.chain_id, [encode(body) for body in bodies], [key(name) for name in names]
        )

    def ordered(self, *envelopes: bytes, time_ms: int | None = None) -> OrderedBlock:
        batches, heads, lane = [], [], self.lane
        for envelope in envelopes:
            batch = Batch(
                author=0,
                epoch=0,
                seq=lane.seq + 1,
                previous=lane.head,
                envelopes=(envelope,),
                signature=bytes(64),
            )
            lane = LanePoint(seq=batch.seq, head=batch_head(self.genesis.chain_id, batch))
            batches.append(batch)
            heads.append(lane.head)
        block = Block(
            format=1,
            epoch=0,
            view=self.last.height + 1,
            height=self.last.height + 1,
            parent_view=self.last.height,
            parent=block_digest(self.last),
            time_ms=self.last.time_ms + 1_000 if time_ms is None else time_ms,
            cut=(lane,),
            executed=self.last.executed,
            last=False,
            next_set_hash=self.last.next_set_hash,
        )
        return OrderedBlock(
            block=block,
            digest=block_digest(block),
            final=b"",
            batches=tuple(batches),
            heads=tuple(heads),
        )

    def execution(self, ordered: OrderedBlock) -> BlockExecution:
        tip = read_tip(self.store)
        assert tip is not None
        return BlockExecution(self.store, tip, ordered, self.contract_for)

    def execute(self, *envelopes: bytes, time_ms: int | None = None) -> ExecutedBlock:
        ordered = self.ordered(*envelopes, time_ms=time_ms)
        execution = self.execution(ordered)
        while not execution.run(1_000):
            pass
        done = execution.finish()
        self.store.write(done.writes)
        self.last = ordered.block
        self.lane = ordered.block.cut[0]
        return done


def body(
    *,
    actor: str = "acme",
    contract: str = "puppet",
    kind: str = "move",
    payload: bytes = b"",
    cosigners: tuple[str, ...] = (),
    salt: int = 0,
    valid_until_ms: int = T0 + 3_600_000,
) -> Body:
    return Body(
        format=1,
        contract=contract,
        type=kind,
        actor=actor,
        cosigners=cosigners,
        valid_until_ms=valid_until_ms,
        salt=salt.to_bytes(16, "big"),
        payload=payload,
    )


def transaction(item: Body, *signers: str) -> Transaction:
    names = signers or (item.actor, *item.cosigners)
    return Transaction(
        tx_hash=body_hash(encode(item)),
        body=item,
        signers=tuple(key(name).public_key for name in names),
    )
