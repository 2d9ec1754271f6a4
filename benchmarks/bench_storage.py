"""What a transaction costs a validator's disk, and its processor, as the chain grows.

    onward bench grow NETWORK --transactions 100000
    python benchmarks/bench_storage.py NETWORK [--at 20000 50000 100000] [--folder DIR]

Executes the blocks of a network's chain once more, in one process, into a new home on a real disk,
and says at each size, per transaction since the size before: processor time of executing and of
writing, and of LevelDB's own thread; bytes that were put, by family of keys; bytes that reached the
disk; and what the home takes up, and the process without mapped files. There is no network, no
signature is checked. Processor time moves with the neighbours of a shared machine: for a comparison
run both versions at the same time.
"""

from __future__ import annotations

import argparse
import gc
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import BinaryIO

from onward.bench.machine import folder_bytes
from onward.execution.block import OrderedBlock, genesis_writes
from onward.ledger.block import Batch, Block, batch_head, block_digest, genesis_block
from onward.ledger.chain import read_block, read_tip
from onward.ledger.genesis import Genesis
from onward.ledger.log import EMPTY_LOG
from onward.ledger.transaction import open_envelope
from onward.network.definition import Network, read_network
from onward.replica.effects import Effects
from onward.replica.executor import Executor, commit_of
from onward.runtime.home import DATA_NAME
from onward.storage.disk import NodeDisk
from onward.storage.home import create_home, open_home
from onward.system.contracts import genesis_state
from onward_chaincode.registry import contract_for
from onward_proto.canonical import decode, encode

_TICKS = os.sysconf("SC_CLK_TCK")
_LENGTH = Struct(">I")
FAMILIES = "bflmnprswxz"


@dataclass
class Spent:
    """What has been used so far."""

    transactions: int
    seconds: dict[str, float]
    put: Counter[str]
    written: int

    def since(self, before: Spent) -> str:
        """A line of it, per transaction."""
        count = self.transactions - before.transactions
        cpu = {
            name: 1e6 * (value - before.seconds[name]) / count
            for name, value in self.seconds.items()
        }
        put = {name: (self.put[name] - before.put[name]) / count for name in FAMILIES}
        return (
            f"{self.transactions:>9,}  execute {cpu['execute']:4.0f} µs  write {cpu['write']:3.0f}"
            f"  compaction {cpu['others']:3.0f}  put {sum(put.values()):6,.0f} B  on the disk "
            f"{(self.written - before.written) / count:7,.0f} B   "
            + " ".join(f"{name} {size:.0f}" for name, size in put.items() if size >= 1)
        )


def copy_blocks(network: Network, target: BinaryIO) -> None:
    """The chain of the first validator's home into a file: its database is not open meanwhile."""
    disk = open_home(network.nodes[0].home / DATA_NAME, network.genesis.chain_id)
    disk.recover()
    tip = read_tip(disk.store)
    for height in range(1, (tip.height if tip else 0) + 1):
        stored = read_block(disk.store, height)
        if stored is None:
            raise ValueError(f"block {height} is missing")
        batches = [encode(batch) for head in stored.batch_heads if (batch := disk.batch(head))]
        parts = (encode(stored.block), stored.final, _LENGTH.pack(len(batches)), *batches)
        target.writelines(_LENGTH.pack(len(part)) + part for part in parts)
    disk.close()


def blocks(source: BinaryIO, genesis: Genesis) -> Iterator[OrderedBlock]:
    """The blocks of such a file, with their envelopes taken apart."""

    def part() -> bytes:
        return source.read(int.from_bytes(source.read(_LENGTH.size), "big"))

    source.seek(0)
    while data := part():
        block, final = decode(Block, data), part()
        batches = tuple(decode(Batch, part()) for _ in range(int.from_bytes(part(), "big")))
        yield OrderedBlock(
            block=block,
            digest=block_digest(block),
            final=final,
            batches=batches,
            heads=tuple(batch_head(genesis.chain_id, batch) for batch in batches),
            opened=tuple(tuple(map(open_envelope, batch.envelopes)) for batch in batches),
        )


def others_s() -> float:
    """Processor time of all threads but this one: LevelDB's."""
    total = 0.0
    for thread in Path("/proc/self/task").iterdir():
        if int(thread.name) != os.getpid():
            fields = (thread / "stat").read_text(encoding="ascii").rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) / _TICKS
    return total


def written_bytes() -> int:
    """What this process has caused to be written to disks."""
    lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))


def own_memory_bytes() -> int:
    """What this process takes up, without the files that are mapped into it."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


def measure(disk: NodeDisk, source: Iterator[OrderedBlock], sizes: list[int], home: Path) -> None:
    """Execute and write everything; a line at each size."""
    executor = Executor(disk.store, contract_for)
    cpu = {"execute": 0.0, "write": 0.0, "others": 0.0}
    put: Counter[str] = Counter()
    first_others_s, count = others_s(), 0
    before = Spent(0, dict(cpu), Counter(), written_bytes())
    for ordered in source:
        began = time.thread_time()
        executor.push(ordered)
        while (done := executor.run()) is None:
            pass
        commit = commit_of(*done)
        executed = time.thread_time()
        disk.stage(Effects(persist=ordered.batches, commit=commit))
        disk.write()
        cpu["execute"] += executed - began
        cpu["write"] += time.thread_time() - executed
        for key, value in commit.writes.entries:
            put[chr(key[0])] += len(key) + len(value or b"")
        count += sum(len(batch.envelopes) for batch in ordered.batches)
        if sizes and count >= sizes[0]:
            sizes.pop(0)
            cpu["others"] = others_s() - first_others_s
            spent = Spent(count, dict(cpu), Counter(put), written_bytes())
            print(
                f"{spent.since(before)}  home {folder_bytes([home]) / 1e6:,.0f} MB"
                f"  memory {own_memory_bytes() / 1e6:,.0f} MB",
                flush=True,
            )
            before = spent
        if not sizes:
            break


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("network", type=Path, help="where `onward bench grow` made a network")
    parser.add_argument("--at", type=int, nargs="+", default=[20_000, 50_000, 100_000])
    parser.add_argument("--folder", type=Path, default=Path(), help="the disk to measure")
    options = parser.parse_args()
    network = read_network(options.network)
    genesis = network.genesis
    root = genesis_block(genesis.chain_id, genesis.time_ms, genesis.validators, EMPTY_LOG.root())
    with (
        tempfile.TemporaryDirectory(dir=options.folder) as folder,
        tempfile.TemporaryFile() as copied,
    ):
        copy_blocks(network, copied)
        home = Path(folder)
        create_home(
            home,
            genesis.chain_id,
            (),
            genesis_writes(genesis.chain_id, root, genesis_state(genesis)),
        )
        gc.freeze()
        disk = open_home(home, genesis.chain_id)
        disk.recover()
        measure(disk, blocks(copied, genesis), sorted(options.at), home)
        disk.close()


if __name__ == "__main__":
    main()
