"""What the contract's worst cases cost, and how that grows.

    python benchmarks/bench_worst_cases.py [--descendants 10000] [--shares 100000] [--json]

A path of eight hops, a root with many descendants that is revoked, and the views of somebody who
gave very often. Bodies are executed by the engine that executes blocks, on a real LevelDB; each
figure is the fastest of some tries, in microseconds and in verifications of one signature, with the
state keys that were written.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from material import LATER_MS, PURPOSE, SCHEMA, T0_MS, TERMS, Chain, World

from onward.crypto.signing import SigningKey, verify
from onward.execution.body import BodyResult, execute_body
from onward.execution.overlay import Overlay, StoredState
from onward.execution.reading import query
from onward.ledger.store import PROJECTION, STATE, WriteBatch
from onward.ledger.transaction import Transaction, body_hash, decode_body, decode_envelope
from onward.system.parties import PartyKind
from onward.system.registry import Register, Registration
from onward_chaincode.drafts import published_id
from onward_chaincode.registry import contract_for
from onward_proto.canonical import encode

DEPTH_MAX = 8
TRIES = 20
FLUSHED_EVERY = 2_000
PARTIES_AT_ONCE = 50
TOLD_EVERY = 50_000
KINDS = ((1,), (2,), (1, 2))
"""Of fields: what follows each other is never alike."""
DEEP = {
    **TERMS,
    "label": "measured-deep",
    "clauses": {**TERMS["clauses"], "onward.max_depth": DEPTH_MAX},
}
Step = tuple[bytes, dict[str, str]]


class Ground:
    """A state that grows without blocks: what is executed goes to the database in batches."""

    def __init__(self, folder: Path) -> None:
        self.world = World(1)
        self.chain = Chain.begin(self.world.genesis, folder / "database")
        self.time_ms = T0_MS + 1_000
        self._rows: dict[bytes, bytes | None] = {}
        self._state = Overlay(StoredState(self.chain.store))
        self._waiting = 0
        for document in (DEEP, SCHEMA):
            kind = "terms.publish" if document is DEEP else "schema.publish"
            self.play(self.world.sealed(kind, {"document": document}, "registry")[0])

    def play(self, envelope: bytes) -> None:
        """Execute, and keep what was written."""
        self.time_ms += 1
        result = self._execute(envelope, self._state)
        if result.code != "OK":
            raise ValueError(f"{result.code}: {result.message}")
        self._state.absorb(result.writes)
        self._rows.update({STATE + k.encode(): v for k, v in result.writes.items()})
        self._rows.update({PROJECTION + k.encode(): v for k, v in result.rows.items()})
        self._waiting += 1
        if self._waiting >= FLUSHED_EVERY:
            self.flush()

    def flush(self) -> None:
        """Everything into the database, and an empty overlay above it."""
        self.chain.write(WriteBatch(entries=tuple(self._rows.items())))
        self._rows, self._waiting = {}, 0
        self._state = Overlay(StoredState(self.chain.store))

    def probe(self, envelope: bytes) -> dict[str, float]:
        """What executing it would cost now; nothing is kept."""
        self.flush()
        result = self._execute(envelope, Overlay(StoredState(self.chain.store)))
        if result.code != "OK":
            raise ValueError(f"{result.code}: {result.message}")
        us = fastest_us(lambda: self._execute(envelope, Overlay(StoredState(self.chain.store))))
        return {"us": us, "keys_written": len(result.writes), "rows_written": len(result.rows)}

    def ask(self, party: str, name: str, **arguments: Any) -> dict[str, float]:
        """What a query costs now."""
        self.flush()
        question = ("isa", name, arguments)
        answer, _ = query(
            self.chain.store, contract_for, question, reader=party, now_ms=self.time_ms
        )
        us = fastest_us(
            lambda: query(
                self.chain.store, contract_for, question, reader=party, now_ms=self.time_ms
            )
        )
        return {"us": us, "bytes": len(json.dumps(answer))}

    def join(self, names: list[str]) -> None:
        """Register organisations."""
        for start in range(0, len(names), PARTIES_AT_ONCE):
            some = names[start : start + PARTIES_AT_ONCE]
            self.world.keys |= {name: self.world.key() for name in some}
            entries = tuple(
                Registration(
                    party=name,
                    kind=str(PartyKind.ORGANISATION),
                    public_key=self.world.keys[name].public_key,
                    groups=(),
                    jurisdiction="",
                )
                for name in some
            )
            body = encode(Register(parties=entries))
            self.play(self.world.sealed("party.register", body, "admin")[0])

    def agree(self, giver: str, taker: str) -> str:
        """A root agreement; answers its id."""
        asked = {"to": taker, "grant": self.grant(), "offer_expires_at_ms": LATER_MS}
        envelope, offer = self.world.sealed("agreement.offer", asked, giver)
        self.play(envelope)
        fields = {"offer": offer["offer_id"]}
        envelope, made = self.world.sealed("agreement.accept", fields, taker)
        self.play(envelope)
        return made["agreement_id"]

    def grant(self) -> dict[str, Any]:
        """The same for all."""
        return {
            "terms": published_id(DEEP),
            "schema": published_id(SCHEMA),
            "fields": [1, 2],
            "purposes": [PURPOSE],
            "notice": self.world.drawn(),
        }

    def shared(self, giver: str, agreement: str, fields: tuple[int, ...] = (1, 2)) -> Step:
        """One hand-over under a root agreement."""
        record = {"agreement": agreement, "share": self.world.parcel() | {"fields": list(fields)}}
        return self.world.sealed("share.record", record, giver)

    def passed(self, sharer: str, recipient: str, agreement: str, share: str) -> Step:
        """One onward share."""
        fields = {
            "parent_agreement": agreement,
            "parent_share": share,
            "recipient": recipient,
            "child": self.grant(),
            "share": self.world.parcel(),
        }
        return self.world.sealed("share.onward", fields, sharer, recipient)

    def _execute(self, envelope: bytes, state: Overlay) -> BodyResult:
        opened = decode_envelope(envelope)
        (data,) = opened.bodies
        transaction = Transaction(
            tx_hash=body_hash(data),
            body=decode_body(data),
            signers=tuple(item.public_key for item in opened.signatures),
        )
        return execute_body(
            state, transaction, height=1, time_ms=self.time_ms, contract_for=contract_for
        )


def fastest_us(work: Callable[[], object]) -> float:
    """CPU time of the fastest try."""
    best = float("inf")
    for _ in range(TRIES):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return round(best * 1e6, 1)


def depths(ground: Ground) -> Iterator[dict[str, float]]:
    """An onward share at each depth: the path to the root is read."""
    names = [f"hop-{number}" for number in range(DEPTH_MAX + 2)]
    ground.join(names)
    agreement = ground.agree(names[0], names[1])
    envelope, made = ground.shared(names[0], agreement)
    ground.play(envelope)
    for depth in range(1, DEPTH_MAX + 1):
        sharer, recipient = names[depth], names[depth + 1]
        envelope, following = ground.passed(sharer, recipient, agreement, made["share_id"])
        yield {"depth": depth, **ground.probe(envelope)}
        ground.play(envelope)
        agreement, made = following["agreement_id"], following


def revocations(ground: Ground, most: int) -> Iterator[dict[str, Any]]:
    """A root that is revoked, with ever more agreements below it; and a page of its lineage."""
    ground.join(["wide-root", "wide-holder"])
    agreement = ground.agree("wide-root", "wide-holder")
    envelope, made = ground.shared("wide-root", agreement)
    ground.play(envelope)
    count = 0
    for goal in steps(most):
        names = [f"wide-{number}" for number in range(count, goal)]
        ground.join(names)
        for name in names:
            ground.play(ground.passed("wide-holder", name, agreement, made["share_id"])[0])
        count = goal
        fields = {"agreement": agreement, "scope": "ALL"}
        revoke = ground.world.sealed("agreement.revoke", fields, "wide-root")[0]
        yield {
            "descendants": count,
            "revoke": ground.probe(revoke),
            "lineage_page": ground.ask("wide-root", "lineage", agreement_id=agreement, limit=50),
        }


def views(ground: Ground, most: int) -> Iterator[dict[str, Any]]:
    """What somebody is told who gave ever more often, of three kinds in turn."""
    ground.join(["often-gives", "often-takes"])
    agreement = ground.agree("often-gives", "often-takes")
    count = 0
    for goal in steps(most):
        for number in range(count, goal):
            kind = KINDS[number % len(KINDS)]
            ground.play(ground.shared("often-gives", agreement, kind)[0])
            if number and number % TOLD_EVERY == 0:
                print(f"{number:,} of {most:,} shares", file=sys.stderr, flush=True)
        count = goal
        yield {
            "shares": count,
            "aggregate": ground.ask("often-gives", "aggregate", direction="given"),
            "shares_page": ground.ask("often-gives", "shares", direction="given", limit=50),
            "one_more_share": ground.probe(ground.shared("often-gives", agreement)[0]),
        }


def steps(most: int) -> list[int]:
    """10, 100, 1 000, … up to `most`."""
    found = [10]
    while found[-1] * 10 <= most:
        found.append(found[-1] * 10)
    return found


def verification_us() -> float:
    """What one signature's verification costs."""
    key = SigningKey(bytes(32))
    signature = key.sign(bytes(90))
    return fastest_us(lambda: verify(key.public_key, bytes(90), signature))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--descendants", type=int, default=10_000)
    parser.add_argument("--shares", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ground = Ground(Path(folder))
        found = {
            "verification_us": verification_us(),
            "depth": list(depths(ground)),
            "revocation": list(revocations(ground, arguments.descendants)),
            "views": list(views(ground, arguments.shares)),
        }
        ground.chain.store.close()
    print(json.dumps(found) if arguments.json else told(found))
    return 0


def told(found: dict[str, Any]) -> str:
    """The same for people."""
    unit = found["verification_us"]
    lines = [f"one verification: {unit:.0f} us", ""]
    for title in ("depth", "revocation", "views"):
        for item in found[title]:
            (name, count), *rest = item.items()
            parts = [("", item)] if title == "depth" else rest
            costs = "   ".join(
                f"{what} {part['us']:8.0f} us {part['us'] / unit:6.1f}"
                + (f" ({part['keys_written']} keys)" if "keys_written" in part else "")
                for what, part in parts
            )
            lines.append(f"{name:12} {count:>9,} {costs}")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
