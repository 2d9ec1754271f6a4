"""What a synced database write per block costs, beside the ways that do not keep what they promise.

    python benchmarks/bench_durability.py [--blocks 300] [--writes 20 200 2000] [--folder DIR]

Per block `--writes` random keys of 32 bytes with values of 120 bytes go into LevelDB as one write
batch: synced each time; synced at every eighth block; never synced. The ways take turns block by
block, so that a machine that is slow for a while is slow for all. Then the journal: one record of
300 bytes, appended and synced, and eight of them as one group. Wall-clock milliseconds per block
or sync: median, 99th percentile, mean. `--folder` chooses the disk; the default is the current one.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import plyvel

from onward import limits
from onward.storage.home_files import HomeFiles
from onward.storage.journal import Journal

EVERY = 8
CHAIN = bytes(32)


def timed(action: Callable[[], None]) -> float:
    start = time.perf_counter()
    action()
    return (time.perf_counter() - start) * 1_000


def report(name: str, times: list[float]) -> None:
    ordered = sorted(times)
    print(
        f"{name:44} p50 {statistics.median(times):8.2f} ms   "
        f"p99 {ordered[int(len(ordered) * 0.99)]:8.2f} ms   mean {statistics.mean(times):8.2f} ms"
    )


def write_block(database: plyvel.DB, rows: list[tuple[bytes, bytes]], *, sync: bool) -> None:
    with database.write_batch(sync=sync) as batch:
        for key, value in rows:
            batch.put(key, value)


def measure_database(folder: Path, blocks: int, writes: int) -> None:
    chance = random.Random(writes)
    ways = {"each block synced": 1, f"every {EVERY}th block synced": EVERY, "never synced": 0}
    databases = {
        name: plyvel.DB(
            str(folder / f"{writes}-{every}"),
            create_if_missing=True,
            write_buffer_size=limits.STORE_WRITE_BUFFER_BYTES,
        )
        for name, every in ways.items()
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(blocks):
        rows = [(chance.randbytes(32), chance.randbytes(120)) for _ in range(writes)]
        for name, every in ways.items():
            sync = bool(every) and number % every == 0
            write = partial(write_block, databases[name], rows, sync=sync)
            times[name].append(timed(write))
    for name in ways:
        report(f"database, {writes} writes, {name}", times[name])
        databases[name].close()


def write_group(journal: Journal, records: list[bytes]) -> None:
    journal.append(records)
    journal.sync()


def measure_journal(folder: Path, rounds: int) -> None:
    files = HomeFiles(folder)
    journal = Journal(files, CHAIN)
    journal.create([])
    for count in (1, EVERY):
        records = [bytes(range(250)) + bytes(50)] * count

        times = [timed(partial(write_group, journal, records)) for _ in range(rounds)]
        report(f"journal, {count} records, append and sync", times)
    files.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--blocks", type=int, default=300)
    parser.add_argument("--writes", type=int, nargs="+", default=[20, 200, 2_000])
    parser.add_argument("--folder", type=Path, default=Path())
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as name:
        measure_journal(Path(name), chosen.blocks)
        for writes in chosen.writes:
            measure_database(Path(name), chosen.blocks, writes)


if __name__ == "__main__":
    main()
