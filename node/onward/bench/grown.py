"""Grows a chain offline: acts of signed transactions, laid into blocks as a loaded network would.

An act is a stretch of the chain with its own organisations, persons and documents: first what
registers and publishes them, then the stories of a workload, on all lanes at once. It is signed by
a second process, ahead of its time, into files that go when it is on the chain; what is in memory
does not grow with the chain. The tag of an act says where it begins, so a chain that was grown
before goes on with new names, and each chain is a prefix of the longer one that it becomes.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.pool import AsyncResult, Pool
from pathlib import Path
from shutil import rmtree

from onward.bench.cast import Setting
from onward.bench.chain_author import ChainAuthor
from onward.bench.lanes import Lane, LaneFacts, LaneJob, write_lane
from onward.bench.runner import Progress, preparations
from onward.bench.stories import OK, WORKLOADS, organisations_for
from onward.crypto.signing import SigningKey
from onward.errors import RejectCode, RejectedError, invariant
from onward.ledger.transaction import seal_envelope
from onward.network.access import now_ms
from onward.network.definition import Network
from onward.runtime.home import read_home

ACT_TRANSACTIONS = 20_000
BLOCK_TRANSACTIONS = 200
"""About what a network of four puts into a block when it is loaded to the full."""
ADDED_MIN = 50
_AHEAD = 2
_LOOK_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthPlan:
    """How to grow. `transactions`: how many the chain then has in all, preparations included."""

    transactions: int
    seed: int = 1
    workload: str = "isa"
    act_transactions: int = ACT_TRANSACTIONS
    block_transactions: int = BLOCK_TRANSACTIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    """What growing came to."""

    transactions: int
    height: int
    added: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Act:
    """One stretch. `length`: how many transactions it has, preparations included."""

    length: int
    setting: Setting
    jobs: tuple[LaneJob, ...]


def grow(
    network: Network,
    data: Path,
    plan: GrowthPlan,
    progress: Progress,
    *,
    clock: Callable[[], int] = now_ms,
) -> Grown:
    """Grow the chain in `data`, a validator's of this network, on which no node runs.

    Interrupted, it leaves a whole chain, with which the next call goes on. Raises `RejectedError`
    E_LIMIT where the chain is longer already, or shorter by less than an act takes.
    """
    signers = [SigningKey(read_home(node.home).seed) for node in network.nodes]
    began_s = time.monotonic()
    with ChainAuthor(data, network.genesis, signers, now_ms=clock) as author:
        before = author.transactions
        missing = plan.transactions - before
        if missing and missing < ADDED_MIN:
            raise RejectedError(
                RejectCode.LIMIT,
                f"the chain has {before} transactions, and {plan.transactions} are asked for: "
                f"expected as many, or at least {ADDED_MIN} more",
            )
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="onward-grown-")))
            # A pool that ends with its block, so that nobody signs on for what was given up.
            pool = stack.enter_context(multiprocessing.get_context("spawn").Pool(1))
            acts = _acts(network, folder, plan, before, clock)
            for act, signed in _signed(pool, acts, progress):
                for done in _performed(network, author, plan, act, signed):
                    rate = (done - before) / (time.monotonic() - began_s)
                    progress(f"growing: {done} of {plan.transactions}, {rate:.0f} a second")
        return Grown(
            transactions=author.transactions,
            height=author.height,
            added=author.transactions - before,
            seconds=round(time.monotonic() - began_s, 3),
        )


def _acts(
    network: Network, folder: Path, plan: GrowthPlan, before: int, clock: Callable[[], int]
) -> Iterator[_Act]:
    """The acts from here to the goal, about equally long."""
    missing = plan.transactions - before
    acts_left = -(-missing // plan.act_transactions)
    lanes = len(network.nodes)
    workload = WORKLOADS[plan.workload]
    while missing:
        length = -(-missing // acts_left)
        first = plan.transactions - missing
        setting = Setting(
            seed=plan.seed,
            tag=f"g{first}",
            organisation_count=organisations_for(workload, length),
            time_ms=clock(),
        )
        jobs = tuple(
            LaneJob(
                folder=folder / setting.tag,
                lane=lane,
                count=-(-length // lanes),
                workload=plan.workload,
                setting=setting,
                chain_id=network.genesis.chain_id,
            )
            for lane in range(lanes)
        )
        yield _Act(length=length, setting=setting, jobs=jobs)
        missing -= length
        acts_left -= 1


def _signed(
    pool: Pool, acts: Iterator[_Act], progress: Progress
) -> Iterator[tuple[_Act, list[LaneFacts]]]:
    """Each act once its lanes are written; some are being signed ahead."""
    waiting: deque[tuple[_Act, AsyncResult[list[LaneFacts]]]] = deque()
    more = True
    while more or waiting:
        while more and len(waiting) < _AHEAD:
            act = next(acts, None)
            more = act is not None
            if act is not None:
                act.jobs[0].folder.mkdir()
                waiting.append((act, pool.map_async(write_lane, act.jobs, chunksize=1)))
        if waiting:
            act, signing = waiting.popleft()
            while not signing.ready():
                progress(f"signing {act.length} transactions")
                signing.wait(_LOOK_S)
            yield act, signing.get()
            rmtree(act.jobs[0].folder)


def _performed(
    network: Network,
    author: ChainAuthor,
    plan: GrowthPlan,
    act: _Act,
    signed: Sequence[LaneFacts],
) -> Iterator[int]:
    """Lay an act into blocks; how many transactions the chain has after each of them."""
    prepared = [
        seal_envelope(network.genesis.chain_id, [body], [actor.signer])
        for body, actor in preparations(act.setting, signed, network.wallet)
    ]
    invariant(len(prepared) < act.length, f"an act of {act.length} is all preparation")
    for start in range(0, len(prepared), plan.block_transactions):
        envelopes = tuple(prepared[start : start + plan.block_transactions])
        _compare(author.add((envelopes,)), [OK] * len(envelopes), act)
        yield author.transactions
    lanes = len(act.jobs)
    with ExitStack() as stack:
        told = [stack.enter_context(Lane(job.folder, job.lane)) for job in act.jobs]
        left = act.length - len(prepared)
        ends = [0] * lanes
        while left:
            count = min(left, plan.block_transactions)
            places = [
                range(end, end + (count - lane + lanes - 1) // lanes)
                for lane, end in enumerate(ends)
            ]
            of_lanes = list(zip(told, places, strict=True))
            codes = author.add([tuple(map(lane.envelope, place)) for lane, place in of_lanes])
            expected = [lane.expected(index) for lane, place in of_lanes for index in place]
            _compare(codes, expected, act)
            ends = [place.stop for place in places]
            left -= count
            yield author.transactions


def _compare(codes: Sequence[str], expected: Sequence[str], act: _Act) -> None:
    """Every story foretells its verdicts; after another one it would not go on as it should."""
    for index, (code, foretold) in enumerate(zip(codes, expected, strict=True)):
        invariant(
            code == foretold,
            f"act {act.setting.tag}: body {index} of a block got {code}, expected {foretold}",
        )
