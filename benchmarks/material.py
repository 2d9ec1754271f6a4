"""What benchmarks are made of: a consortium with its keys, its transactions, and a chain of them.

It asks only for what has been there from the beginning, so that `bench_execution.py` with this file
beside it measures an older work tree too.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from onward.crypto.signing import SigningKey
from onward.execution.block import OrderedBlock, genesis_writes
from onward.ledger.block import (
    BLOCK_FORMAT,
    Batch,
    Block,
    LanePoint,
    batch_head,
    block_digest,
    genesis_block,
)
from onward.ledger.chain import Tip, read_tip
from onward.ledger.genesis import (
    Genesis,
    GenesisContract,
    GenesisParty,
    Parameters,
    genesis_document,
    parse_genesis,
)
from onward.ledger.log import EMPTY_LOG
from onward.ledger.store import WriteBatch
from onward.ledger.transaction import BODY_FORMAT, Body, body_hash, seal_envelope
from onward.storage.leveldb import LevelStore
from onward.system.contracts import genesis_state
from onward.system.parties import NAMESPACE, PartyKind, pseudonym_of
from onward.system.registry import Register, Registration
from onward.types import Validator
from onward_chaincode.drafts import draft, ids_of, published_id
from onward_proto.canonical import encode

SHARES = 5
STEPS = (
    "party.register",
    "agreement.offer",
    "agreement.accept",
    *("share.record", "share.ack") * SHARES,
    "share.onward",
)
T0_MS = 1_750_000_000_000
LATER_MS = T0_MS + 20 * 3_600_000
ORGANISATIONS = ("acme", "beta", "gamma", "delta")
OFFICES = {
    "registry": PartyKind.REGISTRY,
    "enroller": PartyKind.ENROLLER,
    "admin": PartyKind.ADMINISTRATOR,
}
PURPOSE = "dpv:ServiceProvision"
SCHEMA: dict[str, Any] = {
    "format": "onward/schema/1",
    "label": "measured",
    "version": "1",
    "title": "Contact data",
    "source": "benchmark",
    "fields": [
        {
            "index": index,
            "name": name,
            "category": "dpv-pd:Contact",
            "sensitivity": "NONE",
            "identifying": False,
        }
        for index, name in enumerate(("name", "email", "postcode", "price"))
    ],
}
TERMS: dict[str, Any] = {
    "format": "onward/terms/1",
    "label": "measured-p2b",
    "version": "1",
    "title": "Onward under the same terms, two hops",
    "source": "benchmark",
    "clauses": {
        "onward.mode": "SAME_TERMS",
        "onward.max_depth": 2,
        "onward.recipients": "ANY_MEMBER",
        "duration": "UNLIMITED",
        "purposes_allowed": [PURPOSE],
    },
}


class World:
    """A consortium whose keys are all here, and the transactions that its members make."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.keys = {name: self.key() for name in (*ORGANISATIONS, *OFFICES)}
        kinds = dict.fromkeys(ORGANISATIONS, PartyKind.ORGANISATION)
        kinds |= OFFICES
        self.validators = {f"v{n}": self.key() for n in range(4)}
        document = genesis_document(
            network="bench",
            time_ms=T0_MS,
            parameters=Parameters(),
            validators=tuple(
                Validator(name=name, organisation=f"of-{name}", public_key=key.public_key)
                for name, key in self.validators.items()
            ),
            parties=tuple(
                GenesisParty(party_id=name, kind=str(kinds[name]), public_key=key.public_key)
                for name, key in sorted(self.keys.items())
            ),
            contracts=(GenesisContract(name="isa", version=1, from_height=1),),
        )
        self.genesis_bytes = json.dumps(document).encode()
        self.genesis = parse_genesis(self.genesis_bytes)

    def key(self) -> SigningKey:
        """A new one."""
        return SigningKey(self.rng.randbytes(32))

    def sealed(
        self, kind: str, fields: dict[str, Any] | bytes, *signers: str
    ) -> tuple[bytes, dict[str, str]]:
        """A signed envelope, and the ids of what it makes. The first signer acts."""
        system = isinstance(fields, bytes)
        body = encode(
            Body(
                format=BODY_FORMAT,
                contract=NAMESPACE if system else "isa",
                type=kind,
                actor=signers[0],
                cosigners=signers[1:],
                valid_until_ms=LATER_MS,
                salt=self.rng.randbytes(16),
                payload=fields if isinstance(fields, bytes) else draft(kind, fields),
            )
        )
        envelope = seal_envelope(
            self.genesis.chain_id, [body], [self.keys[name] for name in signers]
        )
        return envelope, ids_of(body_hash(body).hex())

    def story(self) -> Iterator[bytes]:
        """A person, an agreement, shares and their receipts, one onward share."""
        key = self.key()
        person = pseudonym_of(key.public_key)
        self.keys[person] = key
        first, second = self.rng.sample(ORGANISATIONS, 2)
        entry = Registration(
            party=person,
            kind=str(PartyKind.PERSON),
            public_key=key.public_key,
            groups=(),
            jurisdiction="",
        )
        yield self.sealed("party.register", encode(Register(parties=(entry,))), "enroller")[0]
        grant = {
            "terms": published_id(TERMS),
            "schema": published_id(SCHEMA),
            "fields": [1, 2, 3],
            "purposes": [PURPOSE],
            "notice": self.drawn(),
        }
        asked = {"to": first, "grant": grant, "offer_expires_at_ms": LATER_MS}
        envelope, offer = self.sealed("agreement.offer", asked, person)
        yield envelope
        envelope, made = self.sealed("agreement.accept", {"offer": offer["offer_id"]}, first)
        yield envelope
        agreement = made["agreement_id"]
        share = ""
        for _ in range(SHARES):
            record = {"agreement": agreement, "share": self.parcel()}
            envelope, made = self.sealed("share.record", record, person)
            yield envelope
            share = made["share_id"]
            yield self.sealed("share.ack", {"share": share}, first)[0]
        passed = {
            "parent_agreement": agreement,
            "parent_share": share,
            "recipient": second,
            "child": {**grant, "fields": [1, 2], "notice": self.drawn()},
            "share": self.parcel(),
        }
        yield self.sealed("share.onward", passed, first, second)[0]

    def parcel(self) -> dict[str, Any]:
        """What is handed over."""
        return {"fields": [1, 2], "purpose": PURPOSE, "commitment": self.drawn()}

    def drawn(self) -> str:
        """A hash of something."""
        return self.rng.randbytes(32).hex()

    def published(self) -> list[bytes]:
        """The envelopes that come before all stories: terms and schema."""
        return [
            self.sealed("terms.publish", {"document": TERMS}, "registry")[0],
            self.sealed("schema.publish", {"document": SCHEMA}, "registry")[0],
        ]

    def envelopes(self, stories: int) -> list[bytes]:
        """Everything: what is published, then all stories side by side, one step of each in turn.

        A story whose last step came gets no further one: all have `STEPS`.
        """
        made = self.published()
        running = [self.story() for _ in range(stories)]
        for _ in STEPS:
            made += [next(story) for story in running]
        return made


class Chain:
    """A chain in a LevelDB of its own: blocks of one batch each, all from one lane."""

    def __init__(
        self, genesis: Genesis, store: LevelStore, *, seq: int = 0, head: bytes = bytes(32)
    ) -> None:
        """In `store`, whose last block ordered the lane up to the batch `seq` with this head."""
        self.chain_id = genesis.chain_id
        self.store = store
        self.root = genesis_block(genesis.chain_id, T0_MS, genesis.validators, EMPTY_LOG.root())
        self.seq = seq
        self.head = head

    @classmethod
    def begin(cls, genesis: Genesis, folder: Path) -> Chain:
        """A new one, with its genesis written. `folder` is where the database comes to be."""
        chain = cls(genesis, LevelStore(folder, create=True))
        chain.write(genesis_writes(genesis.chain_id, chain.root, genesis_state(genesis)))
        return chain

    def tip(self) -> Tip:
        """Of what has been written."""
        tip = read_tip(self.store)
        if tip is None:
            raise ValueError("a chain without its genesis")
        return tip

    def order(self, tip: Tip, envelopes: Sequence[bytes]) -> OrderedBlock:
        """The next block, with these envelopes as its batch."""
        self.seq += 1
        batch = Batch(
            author=0,
            epoch=0,
            seq=self.seq,
            previous=self.head,
            envelopes=tuple(envelopes),
            signature=bytes(64),
        )
        self.head = batch_head(self.chain_id, batch)
        block = Block(
            format=BLOCK_FORMAT,
            epoch=0,
            view=self.seq,
            height=tip.height + 1,
            parent_view=self.seq - 1,
            parent=tip.digest,
            time_ms=T0_MS + 50 * self.seq,
            cut=(LanePoint(seq=self.seq, head=self.head), *self.root.cut[1:]),
            executed=self.root.executed,
            last=False,
            next_set_hash=self.root.next_set_hash,
        )
        return OrderedBlock(
            block=block,
            digest=block_digest(block),
            final=b"",
            batches=(batch,),
            heads=(self.head,),
        )

    def write(self, writes: WriteBatch) -> None:
        """One synced write, as for a block."""
        self.store.put(writes)
        self.store.flush_next()


def unsigned(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """In place of a verification: what is measured is all the rest."""
    del public_key, message, signature
    return True
