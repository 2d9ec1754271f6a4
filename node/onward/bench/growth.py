"""How cost grows with the chain: the same measurement on chains of different lengths.

One chain is grown offline. At each size every validator gets a copy of it, the network starts, is
measured and ends, and the chain itself, on which nothing was measured, grows on. So the sizes are
what they say, and each chain is a prefix of the next one.

Two loads at each size: a closed loop, for what a transaction costs when there is always another
one, and a fixed rate, the same at all sizes, for how long one takes.
"""

from __future__ import annotations

import asyncio
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from onward.bench import machine
from onward.bench.grown import Grown
from onward.bench.homes import copy_data
from onward.bench.report import GENERATOR, run_document
from onward.bench.runner import CONTRACTS, Bench, Progress, RunPlan
from onward.errors import Unavailable
from onward.network.access import anyone_listens, connect, endpoints, now_ms, wait_level, wait_ready
from onward.network.definition import NETWORK_NAME, Network, create_network, read_network
from onward.network.processes import kill, last_words, running, start
from onward.runtime.home import DATA_NAME

FORMAT = "onward/bench-growth/1"
BOOT_S_MAX = 120
LEVEL_S_MAX = 120
_SIGNED_MORE = 1.6
_RATE_PART = 0.5
_IDLE_S = 4.0
_SETTLE_S = 1.0
_VERIFY_S = 1.0
_POLL_S = 0.01
_CHAIN, _NETWORK = "chain", "network"

FIGURES = {
    "settled_per_s": "settled a second, closed loop",
    "limit_ratio": "limit ratio, closed loop",
    "cpu_us": "CPU µs of a validator for a transaction, closed loop",
    "cpu_verifications": "the same in verifications of a signature",
    "cpu_verifications_at_rate": "… and at the fixed rate",
    "p50_ms": "p50 at the fixed rate, ms",
    "p99_ms": "p99 at the fixed rate, ms",
    "disk_bytes": "bytes of a home for each of its transactions",
    "written_bytes": "bytes written for a transaction, closed loop",
    "rss_mb": "memory of a validator after the closed loop, MB",
    "idle_rss_mb": "memory of a validator before any load, MB",
    "idle_cpu_percent": "an idle validator's share of a core, %",
    "boot_s": "start of a process to its first answer, s",
    "receipt_bytes": "a receipt, bytes (median)",
    "receipt_verify_ms": "its verification offline, ms (median)",
}
"""What is stated for each size; the words are those of tables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measuring:
    """What is done at each size. `rate` None: half of what the first chain's closed loop took."""

    workload: str
    in_flight: int
    rate: float | None
    seconds: float
    warm_s: float
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """A network that does not run, and the chain that its validators get copies of."""

    network: Network
    chain: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What the validators of one size showed while they ran.

    `verified_us`: processor time of a verification before the loads, between and after them.
    """

    boot_s: float
    idle: dict[str, float]
    verified_us: tuple[float, float, float]
    closed: dict[str, Any]
    at_rate: dict[str, Any]


@contextmanager
def own_stand(validators: int, keep: Path | None = None) -> Iterator[Stand]:
    """A stand that goes with the block; in `keep` it is left, and taken up where one stands."""
    folder = keep or Path(tempfile.mkdtemp(prefix="onward-bench-"))
    try:
        place = folder / _NETWORK
        if (place / NETWORK_NAME).is_file():
            network = read_network(place)
        else:
            network = create_network(
                place,
                validators=validators,
                time_ms=now_ms(),
                name="bench",
                fewer=True,
                contracts=CONTRACTS,
                log_level="warning",
            )
        chain = folder / _CHAIN
        if not chain.exists():
            copy_data(network.nodes[0].home / DATA_NAME, chain)
        yield Stand(network=network, chain=chain)
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def copied(stand: Stand) -> Iterator[Network]:
    """Every validator on its copy of the chain; what runs at the end of the block ends with it."""
    network = stand.network
    try:
        for node in network.nodes:
            copy_data(stand.chain, node.home / DATA_NAME)
        yield network
    finally:
        kill(network.nodes)
        for node in network.nodes:
            shutil.rmtree(node.home / DATA_NAME, ignore_errors=True)


async def measure(
    network: Network, plan: Measuring, expected_per_s: float, progress: Progress
) -> Taken:
    """Start the network and measure it; it still runs when this returns.

    `expected_per_s`: the closed loop is prepared to take somewhat more than that.
    """
    boot_s = await _boot(network, progress)
    progress("watching idle validators")
    idle = await _idle(network)
    bench = Bench(network, seed=plan.seed, progress=progress)
    before_us = await _verified_us(progress)
    closed = run_document(
        await bench.run(
            RunPlan(
                workload=plan.workload,
                rate=None,
                in_flight=plan.in_flight,
                rate_guess=expected_per_s,
                seconds=plan.seconds,
                warm_s=plan.warm_s,
            )
        )
    )
    between_us = await _verified_us(progress)
    rate = plan.rate or max(1.0, round(_RATE_PART * closed["throughput"]["settled_per_s"]))
    at_rate = run_document(
        await bench.run(
            RunPlan(workload=plan.workload, rate=rate, seconds=plan.seconds, warm_s=plan.warm_s)
        )
    )
    verified_us = (before_us, between_us, await _verified_us(progress))
    return Taken(boot_s=boot_s, idle=idle, verified_us=verified_us, closed=closed, at_rate=at_rate)


async def _verified_us(progress: Progress) -> float:
    progress("verifying signatures on all cores")
    await asyncio.sleep(_SETTLE_S)
    return round((await asyncio.to_thread(machine.measure_verifying, _VERIFY_S)).cpu_us, 2)


def expected_after(taken: Taken) -> float:
    """How many a second the next closed loop should be prepared for."""
    return _SIGNED_MORE * float(taken.closed["throughput"]["settled_per_s"])


async def _boot(network: Network, progress: Progress) -> float:
    """Start one validator and clock it until it answers; then the others, until all are level."""
    first, *others = network.nodes
    progress(f"starting {first.name}")
    began_s = time.monotonic()
    start(network, first)
    async with connect(network) as client:
        while not anyone_listens(endpoints(network)[:1]):
            if running(first) is None:
                raise Unavailable(f"{first.name} ended at once: {last_words(network, first)}")
            if time.monotonic() > began_s + BOOT_S_MAX:
                raise Unavailable(f"{first.name} does not listen after {BOOT_S_MAX} s")
            await asyncio.sleep(_POLL_S)
        status = await client.status(0, timeout_ms=1_000 * BOOT_S_MAX)
        boot_s = time.monotonic() - began_s
        progress(f"starting {len(others)} more validators")
        for node in others:
            start(network, node)
        await wait_ready(
            network, client, nodes=network.nodes, progress=lambda _: None, timeout_s=BOOT_S_MAX
        )
        await wait_level(network, client, height=status.height, timeout_s=LEVEL_S_MAX)
    return round(boot_s, 3)


async def _idle(network: Network) -> dict[str, float]:
    """What validators use that nobody asks anything; the mean of them."""
    processes = [running(node) for node in network.nodes]
    pids = [item.pid for item in processes if item is not None]
    await asyncio.sleep(_SETTLE_S)
    before = [machine.usage(pid) for pid in pids]
    await asyncio.sleep(_IDLE_S)
    after = [machine.usage(pid) for pid in pids]
    spent = [
        (late.cpu_s - early.cpu_s, late.rss_bytes)
        for early, late in zip(before, after, strict=True)
        if early is not None and late is not None
    ]
    if not spent:
        raise Unavailable("no validator runs")
    return {
        "seconds": _IDLE_S,
        "cpu_part": round(statistics.fmean(cpu_s for cpu_s, _ in spent) / _IDLE_S, 4),
        "rss_bytes": round(statistics.fmean(rss for _, rss in spent)),
    }


# -- the document ----------------------------------------------------------------------------------


def size_document(
    grown: Grown, taken: Taken, home: dict[str, int], receipts: dict[str, Any]
) -> dict[str, Any]:
    """One size. `home`: what a validator's home came to be, see `weigh`."""
    return {
        "transactions": grown.transactions,
        "height": grown.height,
        "grown": asdict(grown),
        "boot_s": taken.boot_s,
        "idle": taken.idle,
        "verification_cpu_us": list(taken.verified_us),
        "home": home,
        "receipts": receipts,
        "figures": _figures(taken, home, receipts),
        "runs": {"closed": taken.closed, "at_rate": taken.at_rate},
    }


def weigh(data: Path, transactions: int) -> dict[str, int]:
    """What the parts of a home take up on the disk, and how many transactions it holds."""
    parts = {
        f"{part.name}_bytes": machine.folder_bytes([part])
        for part in sorted(data.iterdir())
        if part.is_dir()
    }
    return {"transactions": transactions, **parts, "bytes": sum(parts.values())}


def _figures(
    taken: Taken, home: dict[str, int], receipts: dict[str, Any]
) -> dict[str, float | None]:
    closed, at_rate = taken.closed, taken.at_rate
    latency = at_rate["latency_ms"]
    found = {
        "settled_per_s": closed["throughput"]["settled_per_s"],
        "limit_ratio": closed["limit_ratio"],
        "cpu_us": _mean(closed, "cpu_us_per_tx"),
        "cpu_verifications": _in_verifications(closed, taken.verified_us[:2]),
        "cpu_verifications_at_rate": _in_verifications(at_rate, taken.verified_us[1:]),
        "p50_ms": latency["p50"],
        "p99_ms": latency["p99"],
        "disk_bytes": round(home["bytes"] / max(1, home["transactions"]), 1),
        "written_bytes": _mean(closed, "written_bytes_per_tx"),
        "rss_mb": _megabytes(_mean(closed, "rss_bytes")),
        "idle_rss_mb": _megabytes(taken.idle["rss_bytes"]),
        "idle_cpu_percent": round(100 * taken.idle["cpu_part"], 2),
        "boot_s": taken.boot_s,
        "receipt_bytes": receipts["bytes_median"],
        "receipt_verify_ms": receipts["verify_ms_median"],
    }
    return {name: found[name] for name in FIGURES}


def _mean(run: dict[str, Any], key: str) -> float | None:
    """Of the validators; None where one of them does not say."""
    values = [item.get(key) for item in run["processes"] if item["name"] != GENERATOR]
    return None if None in values else round(statistics.fmean(values), 1)


def _in_verifications(run: dict[str, Any], verified_us: tuple[float, ...]) -> float | None:
    """A validator's processor time for a transaction, in that of verifying one signature."""
    cpu_us = _mean(run, "cpu_us_per_tx")
    return None if cpu_us is None else round(cpu_us / statistics.fmean(verified_us), 3)


def _megabytes(value: float | None) -> float | None:
    return None if value is None else round(value / 1e6, 1)


def document(
    sizes: Sequence[dict[str, Any]],
    *,
    command: Sequence[str],
    plan: Measuring,
    validators: int,
    made_at_ms: int,
) -> dict[str, Any]:
    """The document of some sizes; each gets the ratios of its figures to those of the first."""
    first = sizes[0]["figures"]
    return {
        "format": FORMAT,
        "command": " ".join(command),
        "made_at_ms": made_at_ms,
        "seed": plan.seed,
        "validators": validators,
        "machine": machine.describe(),
        "measuring": asdict(plan),
        "figures": FIGURES,
        "sizes": [
            {
                **size,
                "ratios": {
                    name: _ratio(value, first[name]) for name, value in size["figures"].items()
                },
            }
            for size in sizes
        ],
    }


def _ratio(value: float | None, first: float | None) -> float | None:
    return None if value is None or not first else round(value / first, 3)
