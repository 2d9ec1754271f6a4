"""What a block's writes cost in each candidate for the state map.

    python benchmarks/bench_statemap.py [--keys 10000 100000] [--writes 200 2000] [--leveldb]

A map of `--keys` random keys is built in one go, not timed; then come blocks of `--writes` writes:
70 % to keys that exist, 25 % new ones, 5 % deletions. All candidates get the same blocks, taking
turns block by block, so that a machine that is slow for a while is slow for all of them.

Per touched key: microseconds of processor time inside `apply` (reading nodes included, writing them
not), that time against the chosen one's, nodes read, nodes written, their bytes with keys; then the
mean bytes of a proof, and the bytes on disk per key. The dictionary shows the structure's own cost;
with `--leveldb` the nodes live in a LevelDB in a temporary directory, and writing counts too.

Candidates that differ only in their pages must end in one root: exit code 1 if they do not.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from copy import deepcopy
from typing import Any

from statemap_prototypes import Paged, Patricia

from onward.ledger.statemap import EMPTY_MAP, PageCache, encode_map_proof
from onward.ledger.statemap.proof import prove_path
from onward.ledger.statemap.update import apply_hashed

BLOCKS = 5
REPEATS = 3
PROOFS = 200


class Chosen:
    """The map in `node/onward/ledger/statemap`: pages of 4 bits that keep their quads."""

    def start(self) -> Any:
        return EMPTY_MAP

    def apply(self, read: Any, ref: Any, height: int, writes: Any) -> Any:
        update = apply_hashed(read, ref, height, writes)
        return update.ref, update.root, update.node_writes, update.stale

    def proof_bytes(self, read: Any, ref: Any, path: bytes) -> int:
        return len(encode_map_proof(prove_path(read, ref, path)))


class Cached(Chosen):
    """The same with a page cache, as a node runs it."""

    def __init__(self) -> None:
        self.pages = self.before = PageCache()
        self.height = 0

    def rewind(self, height: int) -> None:
        """Before every repeat of a block the cache is what the block before left behind."""
        if height != self.height:
            self.height, self.before = height, self.pages
        self.pages = deepcopy(self.before)

    def apply(self, read: Any, ref: Any, height: int, writes: Any) -> Any:
        update = apply_hashed(read, ref, height, writes, self.pages)
        return update.ref, update.root, update.node_writes, update.stale


CANDIDATES: dict[str, Callable[[], Any]] = {
    "chosen: 4 bits, quads kept": Chosen,
    "chosen, with a page cache": Cached,
    "pages of 4 bits": lambda: Paged(4),
    "pages of 2 bits": lambda: Paged(2),
    "pages of 8 bits": lambda: Paged(8),
    "binary, node per bit": lambda: Paged(1),
    "binary, node per branching bit": Patricia,
    "radix 16, flat node hash": lambda: Paged(4, flat=True),
}
OTHER_ROOTS = {"binary, node per branching bit", "radix 16, flat node hash"}


class Contestant:
    """One candidate with its nodes, in a dictionary or in LevelDB, and its counts."""

    def __init__(self, name: str, directory: str | None) -> None:
        self.name = name
        self.trie = CANDIDATES[name]()
        self.ref = self.trie.start()
        self.root = b""
        self.height = 0
        self.nodes: dict[bytes, bytes] = {}
        self.database: Any = None
        self.stored_bytes = 0
        if directory is not None:
            import plyvel  # noqa: PLC0415 - only this variant needs it

            self.database = plyvel.DB(directory, create_if_missing=True, lru_cache_size=64 << 20)
        self.reset()

    def reset(self) -> None:
        self.best_s = float("inf")
        self.reads = self.node_writes = self.write_bytes = 0

    def read(self, key: bytes) -> bytes | None:
        self.reads += 1
        if self.database is None:
            return self.nodes.get(key)
        found: bytes | None = self.database.get(key)
        return found

    def block(self, writes: Any) -> None:
        """Apply one block: the least time of several, because `apply` is pure."""
        self.height += 1
        reads = self.reads
        update: Any = None
        best_s = float("inf")
        for _ in range(REPEATS):
            self.reads = reads
            if isinstance(self.trie, Cached):
                self.trie.rewind(self.height)
            start = time.process_time()
            update = self.trie.apply(self.read, self.ref, self.height, writes)
            best_s = min(best_s, time.process_time() - start)
        self.ref, self.root, node_writes, stale = update
        self.node_writes += len(node_writes)
        size = sum(len(key) + len(value) for key, value in node_writes)
        self.write_bytes += size
        self.stored_bytes += size
        start = time.process_time()
        self.keep(node_writes, stale)
        if self.database is not None:
            best_s += time.process_time() - start
        self.best_s = min(self.best_s, best_s / len(writes))

    def keep(self, node_writes: Any, stale: Any) -> None:
        if self.database is None:
            self.nodes.update(node_writes)
            for key in stale:
                del self.nodes[key]
            return
        with self.database.write_batch() as batch:
            for key, value in node_writes:
                batch.put(key, value)
            for key in stale:
                batch.delete(key)


def block_writes(source: random.Random, keys: list[bytes], count: int) -> Any:
    """70 % overwrites, 25 % inserts, 5 % deletions, sorted by key hash; `keys` follows."""
    writes: dict[bytes, bytes | None] = {}
    while len(writes) < count:
        draw = source.random()
        if draw < 0.25:
            key = source.randbytes(32)
            keys.append(key)
            writes[key] = source.randbytes(32)
            continue
        place = source.randrange(len(keys))
        key = keys[place]
        if key in writes:
            continue
        if draw < 0.30:
            keys[place] = keys[-1]
            keys.pop()
            writes[key] = None
        else:
            writes[key] = source.randbytes(32)
    return sorted(writes.items())


def measure(size: int, counts: list[int], contestants: list[Contestant]) -> None:
    """Print the rows of one map size."""
    source = random.Random(20261122)
    keys = [source.randbytes(32) for _ in range(size)]
    leaves = sorted((key, source.randbytes(32)) for key in keys)
    per_key: dict[str, float] = {}
    for one in contestants:
        one.ref, one.root, node_writes, stale = one.trie.apply(one.read, one.ref, 0, leaves)
        one.keep(node_writes, stale)
        per_key[one.name] = sum(len(key) + len(value) for key, value in node_writes) / size
    for count in counts:
        for one in contestants:
            one.reset()
        for _ in range(BLOCKS):
            writes = block_writes(source, keys, count)
            for one in contestants:
                one.block(writes)
        touched = count * BLOCKS
        picks = [source.choice(keys) for _ in range(PROOFS)]
        for one in contestants:
            reads = one.reads
            proofs = sum(one.trie.proof_bytes(one.read, one.ref, key) for key in picks)
            print(
                f"{one.name:32}{size:>9}{count:>7}{one.best_s * 1e6:>8.1f}"
                f"{one.best_s / contestants[0].best_s:>7.2f}{reads / touched:>7.2f}"
                f"{one.node_writes / touched:>7.2f}{one.write_bytes / touched:>7.0f}"
                f"{proofs / PROOFS:>7.0f}{per_key[one.name]:>7.0f}",
                flush=True,
            )


def main() -> int:
    """Print the table; exit 1 if two candidates of one logical trie disagree on the root."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--keys", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--writes", type=int, nargs="+", default=[200, 2_000])
    parser.add_argument("--leveldb", action="store_true")
    parser.add_argument("--only", nargs="+", default=list(CANDIDATES), metavar="NAME")
    options = parser.parse_args()
    columns = ("keys", "writes", "µs/key", "ratio", "reads", "nodes", "bytes", "proof", "B/key")
    widths = (9, 7, 8, 7, 7, 7, 7, 7, 7)
    header = "".join(f"{name:>{width}}" for name, width in zip(columns, widths, strict=True))
    print(f"{'candidate':32}{header}")
    agreed = True
    for size in options.keys:
        with ExitStack() as places:
            contestants = []
            for name in options.only:
                place = None
                if options.leveldb:
                    place = places.enter_context(tempfile.TemporaryDirectory())
                contestants.append(Contestant(name, place))
            measure(size, options.writes, contestants)
            roots = {one.root for one in contestants if one.name not in OTHER_ROOTS}
            agreed = agreed and len(roots) <= 1
            for one in contestants:
                if one.database is not None:
                    one.database.close()
    return 0 if agreed else 1


if __name__ == "__main__":
    raise SystemExit(main())
