"""What one validator does for each transaction, stage by stage, without network or consensus.

    python benchmarks/bench_execution.py [--stories 300] [--json]

Handshakes, shares, acknowledgements and onward shares are executed in blocks of 200 on a real
LevelDB. Printed is CPU time per transaction of each stage, and the same in verifications of one
signature, measured in between: that ratio can be compared between commits and machines. The file
asks only for what has been there from the beginning, so it runs in an older work tree too.
"""

from __future__ import annotations

import argparse
import importlib
import json
import random
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from onward.crypto.signing import SigningKey, verify
from onward.execution.block import BlockExecution, OrderedBlock, genesis_writes
from onward.ledger.block import Batch, Block, LanePoint, batch_head, block_digest, genesis_block
from onward.ledger.chain import read_tip
from onward.ledger.genesis import (
    GenesisContract,
    GenesisParty,
    Parameters,
    genesis_document,
    parse_genesis,
)
from onward.ledger.log import EMPTY_LOG
from onward.ledger.transaction import (
    BODY_FORMAT,
    Body,
    body_hash,
    check_envelope,
    seal_envelope,
)
from onward.storage.leveldb import LevelStore
from onward.system.contracts import genesis_state
from onward.system.parties import NAMESPACE, PartyKind, pseudonym_of
from onward.system.registry import Register, Registration
from onward.types import Validator
from onward_chaincode.drafts import draft, ids_of, published_id
from onward_chaincode.registry import contract_for
from onward_proto.canonical import encode

execution: Any = importlib.import_module("onward.execution.block")  # its parts are timed
BLOCK_BODIES = 200
SHARES = 5
T0_MS = 1_750_000_000_000
LATER_MS = T0_MS + 20 * 3_600_000
ORGANISATIONS = ("acme", "beta", "gamma", "delta")
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
        self.keys = {name: self.key() for name in (*ORGANISATIONS, "registry", "enroller")}
        kinds = dict.fromkeys(ORGANISATIONS, PartyKind.ORGANISATION)
        kinds |= {"registry": PartyKind.REGISTRY, "enroller": PartyKind.ENROLLER}
        document = genesis_document(
            network="bench",
            time_ms=T0_MS,
            parameters=Parameters(),
            validators=tuple(
                Validator(name=f"v{n}", organisation=f"o{n}", public_key=self.key().public_key)
                for n in range(4)
            ),
            parties=tuple(
                GenesisParty(party_id=name, kind=str(kinds[name]), public_key=key.public_key)
                for name, key in sorted(self.keys.items())
            ),
            contracts=(GenesisContract(name="isa", version=1, from_height=1),),
        )
        self.genesis = parse_genesis(json.dumps(document).encode())

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

    def envelopes(self, stories: int) -> list[bytes]:
        """All stories side by side, one step of each in turn."""
        made = [
            self.sealed("terms.publish", {"document": TERMS}, "registry")[0],
            self.sealed("schema.publish", {"document": SCHEMA}, "registry")[0],
        ]
        running = [self.story() for _ in range(stories)]
        while running:
            steps = [(story, next(story, None)) for story in running]
            made += [envelope for _, envelope in steps if envelope is not None]
            running = [story for story, envelope in steps if envelope is not None]
        return made


class Stages:
    """CPU seconds by stage and by transaction type, and verifications in between."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.types: dict[str, list[float]] = defaultdict(list)
        self.verifications: list[float] = []
        self.rows = self.refused = 0
        self._key = SigningKey(bytes(32))
        self._signature = self._key.sign(bytes(90))

    def verify(self) -> None:
        """What one verification costs now."""
        began = time.process_time()
        for _ in range(100):
            verify(self._key.public_key, bytes(90), self._signature)
        self.verifications.append((time.process_time() - began) / 100)

    def watch_bodies(self) -> None:
        """Time each body by its type."""
        execute = execution.execute_body

        def timed(state: Any, transaction: Any, **more: Any) -> Any:
            began = time.process_time()
            result = execute(state, transaction, **more)
            self.types[transaction.body.type].append(time.process_time() - began)
            self.refused += result.code != "OK"
            return result

        execution.execute_body = timed


def run(world: World, envelopes: list[bytes], folder: Path) -> Stages:
    """Execute everything, block by block."""
    stages, genesis = Stages(), world.genesis
    stages.watch_bodies()
    store = LevelStore(folder / "database", create=True)
    root = genesis_block(genesis.chain_id, T0_MS, genesis.validators, EMPTY_LOG.root())
    store.put(genesis_writes(genesis.chain_id, root, genesis_state(genesis)))
    store.flush_next()
    at_hand = getattr(execution, "AtHand", None)  # earlier trees keep nothing at hand
    kept = () if at_hand is None else (at_hand(store),)
    head = bytes(32)
    for seq, start in enumerate(range(0, len(envelopes), BLOCK_BODIES), start=1):
        part = tuple(envelopes[start : start + BLOCK_BODIES])
        stages.verify()
        clock = [time.process_time()]
        for envelope in part:
            check_envelope(envelope, genesis.chain_id, _yes)
        clock.append(time.process_time())
        tip: Any = read_tip(store)
        batch = Batch(
            author=0, epoch=0, seq=seq, previous=head, envelopes=part, signature=bytes(64)
        )
        head = batch_head(genesis.chain_id, batch)
        ordered = _ordered(root, tip, batch, head)
        clock.append(time.process_time())
        work = BlockExecution(store, tip, ordered, contract_for, *kept)
        while not work.run(BLOCK_BODIES):
            pass
        clock.append(time.process_time())
        result = work.finish()
        clock.append(time.process_time())
        store.put(result.writes)
        store.flush_next()
        clock.append(time.process_time())
        if kept:
            kept[0].state.settle(work.writes)
        stages.rows += len(result.writes.entries)
        for name, before, after in zip(
            ("check", "order", "execute", "finish", "write"), clock, clock[1:], strict=False
        ):
            stages.seconds[name] += after - before
    store.close()
    return stages


def _ordered(root: Block, tip: Any, batch: Batch, head: bytes) -> OrderedBlock:
    block = Block(
        format=1,
        epoch=0,
        view=batch.seq,
        height=tip.height + 1,
        parent_view=batch.seq - 1,
        parent=tip.digest,
        time_ms=T0_MS + 50 * batch.seq,
        cut=(LanePoint(seq=batch.seq, head=head), *root.cut[1:]),
        executed=root.executed,
        last=False,
        next_set_hash=root.next_set_hash,
    )
    return OrderedBlock(
        block=block, digest=block_digest(block), final=b"", batches=(batch,), heads=(head,)
    )


def _yes(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """The check without its verification, which is measured by itself."""
    del public_key, message, signature
    return True


def report(stages: Stages, count: int) -> dict[str, Any]:
    """Microseconds per transaction, and in verifications."""
    unit = statistics.median(stages.verifications)
    named = {
        name: {
            "us": round(stages.seconds[name] / count * 1e6, 1),
            "verifications": round(stages.seconds[name] / count / unit, 3),
        }
        for name in ("check", "execute", "finish", "write")
    }
    types = {
        name: {
            "us": round(statistics.median(found) * 1e6, 1),
            "verifications": round(statistics.median(found) / unit, 3),
        }
        for name, found in sorted(stages.types.items())
    }
    return {
        "transactions": count,
        "refused": stages.refused,
        "verify_us": round(unit * 1e6, 1),
        "rows_per_transaction": round(stages.rows / count, 2),
        "stages": named,
        "types": types,
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stories", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    world = World(arguments.seed)
    envelopes = world.envelopes(arguments.stories)
    with tempfile.TemporaryDirectory() as folder:
        found = report(run(world, envelopes, Path(folder)), len(envelopes))
    if arguments.json:
        print(json.dumps(found))
        return int(found["refused"] > 0)
    print(f"{found['transactions']} transactions; a verification takes {found['verify_us']} us\n")
    for title in ("stages", "types"):
        for name, cost in found[title].items():
            print(f"{name:18} {cost['us']:8.1f} us {cost['verifications']:8.2f} verifications")
        print()
    return int(found["refused"] > 0)


if __name__ == "__main__":
    sys.exit(main())
