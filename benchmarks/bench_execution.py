"""What one validator does for each transaction, stage by stage, without network or consensus.

    python benchmarks/bench_execution.py [--stories 300] [--json]

Handshakes, shares, acknowledgements and onward shares are executed in blocks of 200 on a real
LevelDB. Printed is CPU time per transaction of each stage, and the same in verifications of one
signature, measured in between: that ratio can be compared between commits and machines. The file
asks only for what has been there from the beginning: it runs, with `material.py` beside it, in an
older work tree too.
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from material import Chain, World, unsigned

from onward.crypto.signing import SigningKey, verify
from onward.execution.block import BlockExecution
from onward.ledger.transaction import check_envelope
from onward_chaincode.registry import contract_for

execution: Any = importlib.import_module("onward.execution.block")  # its parts are timed
BLOCK_BODIES = 200


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
    stages, chain_id = Stages(), world.genesis.chain_id
    stages.watch_bodies()
    chain = Chain.begin(world.genesis, folder / "database")
    at_hand = getattr(execution, "AtHand", None)  # earlier trees keep nothing at hand
    kept = () if at_hand is None else (at_hand(chain.store),)
    for start in range(0, len(envelopes), BLOCK_BODIES):
        part = envelopes[start : start + BLOCK_BODIES]
        stages.verify()
        clock = [time.process_time()]
        for envelope in part:
            check_envelope(envelope, chain_id, unsigned)
        clock.append(time.process_time())
        tip = chain.tip()
        ordered = chain.order(tip, part)
        clock.append(time.process_time())
        work = BlockExecution(chain.store, tip, ordered, contract_for, *kept)
        while not work.run(BLOCK_BODIES):
            pass
        clock.append(time.process_time())
        result = work.finish()
        clock.append(time.process_time())
        chain.write(result.writes)
        clock.append(time.process_time())
        if kept:
            kept[0].state.settle(work.writes)
        stages.rows += len(result.writes.entries)
        for name, before, after in zip(
            ("check", "order", "execute", "finish", "write"), clock, clock[1:], strict=False
        ):
            stages.seconds[name] += after - before
    chain.store.close()
    return stages


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
