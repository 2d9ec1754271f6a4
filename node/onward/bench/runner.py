"""Runs a load against a network of real validator processes and measures it.

A run: sign everything, register and publish what it needs, wait until the network is idle, measure
how fast this machine verifies, load, wait for the last verdict, verify again, and compare with the
chain. The load generator is a process of its own; this one sleeps meanwhile, and looks at the
processes at the end of each window.
"""

from __future__ import annotations

import asyncio
import json
import math
import multiprocessing
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from onward.bench import machine
from onward.bench.cast import Setting, publication, registrations
from onward.bench.chain_check import ChainCheck, Checked, Pace
from onward.bench.counters import Counters, evidence_since, growth, read_counters, read_evidence
from onward.bench.faults import Fault, happen, liars, prepare
from onward.bench.generator import LoadSpec
from onward.bench.lanes import LaneFacts, LaneJob, write_lane
from onward.bench.outcome import Measured, Outcome, read_outcome
from onward.bench.stories import WORKLOADS, organisations_for
from onward.errors import RejectCode, RejectedError, Unavailable
from onward.ledger.transaction import seal_envelope
from onward.network.access import connect, endpoints, now_ms, wait_ready
from onward.network.definition import Network, create_network
from onward.network.processes import kill, running, start
from onward.network.wallet import Identity, Wallet
from onward.rpc.client import Client, ReadingParty
from onward.system.parties import PartyKind

Progress = Callable[[str], None]
CONTRACTS = (("isa", 1), ("opaque", 1))
WINDOW_S = 5.0
SHORT_WINDOW_S = 1.0
SHORT_RUN_S = 15.0
WAIT_MS = 60_000
SIGNED_PER_S = 1_200.0
P99_MS_MAX = 2_000.0  # a view that ends without a block costs its time-out, a second
"""How many a closed loop signs for each of its seconds, before anybody knows what it will take."""
_SETUP_AT_ONCE = 16
_START_IN_S = 1.0
_IDLE_S = 1.0
_LOOK_S = 0.2
_READY_S_MAX = 300  # sixteen validators and their prologue take their time on two cores


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """One load. Open loop at `rate` a second, or closed with `in_flight` and `rate` None.

    Where the workload has queries, `rate` counts them and the writes together.
    A closed loop signs `rate_guess` times its length, and ends early when that is used up.
    """

    workload: str
    rate: float | None
    in_flight: int = 0
    rate_guess: float = 0
    seconds: float
    warm_s: float = 3.0
    tick_ms: int = 20
    p99_ms_max: float = P99_MS_MAX
    verify_s: float = 1.5
    faults: tuple[Fault, ...] = ()
    closely: bool = False  # windows of a second, however long it takes

    @property
    def envelopes(self) -> int:
        """How many are signed."""
        return math.ceil((self.write_rate or self.rate_guess) * (self.warm_s + self.seconds))

    @property
    def write_rate(self) -> float | None:
        """Envelopes a second."""
        queries = WORKLOADS[self.workload].queries_per_write
        return None if self.rate is None else self.rate / (1 + queries)

    @property
    def query_rate(self) -> float:
        """Queries a second."""
        return (self.rate or 0) - (self.write_rate or 0)

    @property
    def window_s(self) -> float:
        """How long a window is."""
        is_short = self.seconds < SHORT_RUN_S or self.faults or self.closely
        return SHORT_WINDOW_S if is_short else WINDOW_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The processes at one moment, in the order of the validators and then the generator."""

    at_s: float
    used: tuple[machine.Usage | None, ...]
    ticks: machine.Ticks | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """Everything that a run is judged by; `report` makes a document of it."""

    plan: RunPlan
    validators: tuple[str, ...]
    outcome: Outcome
    measured: Measured
    samples: tuple[Sample, ...]
    verified_before: machine.Verifying
    verified_after: machine.Verifying
    pace: tuple[Pace, Pace]
    disk_bytes: int
    loopback_bytes: int | None
    counters: dict[str, float]
    signed: tuple[LaneFacts, ...]
    signing_s: float
    moves: int
    generator_errors: tuple[str, ...]
    checked: Checked
    fault_notes: tuple[dict[str, Any], ...] = ()
    evidence: dict[str, dict[str, float]] = field(default_factory=dict)


@contextmanager
def own_network(validators: int, progress: Progress, keep: Path | None = None) -> Iterator[Network]:
    """A fresh network of running processes, which end with the block; in `keep` it is left."""
    folder = keep or Path(tempfile.mkdtemp(prefix="onward-bench-"))
    network = create_network(
        folder,
        validators=validators,
        time_ms=now_ms(),
        name="bench",
        fewer=True,
        contracts=CONTRACTS,
        log_level="warning",
    )
    try:
        progress(f"starting {validators} validators")
        for node in network.nodes:
            start(network, node)
        yield network
    finally:
        kill(network.nodes)
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)


def preparations(
    setting: Setting, signed: Sequence[LaneFacts], wallet: Wallet
) -> list[tuple[bytes, Identity]]:
    """What has to be executed before these lanes, in this order: bodies, and who signs each."""
    admin, enroller, registry = (wallet.load(name) for name in ("admin", "enroller", "registry"))
    organisations = [setting.organisation(number) for number in range(setting.organisation_count)]
    persons = [
        setting.person(facts.lane, number)
        for facts in signed
        for number in range(len(facts.persons))
    ]
    orders: list[tuple[bytes, Identity]] = []
    for kind, parties, actor in (
        (PartyKind.ORGANISATION, organisations, admin),
        (PartyKind.PERSON, persons, enroller),
    ):
        listed = [(party.party_id, bytes(party.signer.public_key)) for party in parties]
        orders += [(body, actor) for body in registrations(setting, kind, listed, actor.party_id)]
    orders += [
        (publication(setting, kind, document, registry.party_id), registry)
        for kind, document in setting.documents()
    ]
    return orders


class Bench:
    """Runs one load after the other against one network."""

    def __init__(
        self, network: Network, *, seed: int, progress: Progress, alone: bool = True
    ) -> None:
        """`alone`: nobody else submits to this network, so that its log can be counted."""
        self._network = network
        self._seed = seed
        self._progress = progress
        self._alone = alone
        self._runs = 0
        self._began_ms = now_ms()
        self._verified: machine.Verifying | None = None
        admin = network.wallet.load("admin")
        self._check = ChainCheck(network, ReadingParty(party=admin.party_id, signer=admin.signer))

    async def ready(self) -> None:
        """Wait until all validators are connected."""
        async with connect(self._network) as client:
            await wait_ready(
                self._network,
                client,
                nodes=self._network.nodes,
                progress=lambda _: None,
                timeout_s=_READY_S_MAX,
            )

    async def run(self, plan: RunPlan) -> RunRecord:
        """One run. Raises `OnwardError` where it cannot be done."""
        for fault in plan.faults:
            self._network.node(fault.validator)
        contract = WORKLOADS[plan.workload].contract
        if contract not in {item.name for item in self._network.genesis.contracts}:
            raise RejectedError(
                RejectCode.CONTRACT, f"this network's genesis has no contract {contract}"
            )
        with tempfile.TemporaryDirectory(prefix="onward-load-") as name:
            folder = Path(name)
            began_s = time.monotonic()
            setting, signed = await self._sign(folder, plan)
            signing_s = time.monotonic() - began_s
            await self._set_up(setting, signed)
            if liars(plan.faults):
                await asyncio.to_thread(prepare, plan.faults, self._network)
                await self.ready()
            return await self._load(folder, plan, signed, signing_s)

    # -- before the clock starts ---------------------------------------------------------------

    async def _sign(self, folder: Path, plan: RunPlan) -> tuple[Setting, tuple[LaneFacts, ...]]:
        workload = WORKLOADS[plan.workload]
        tag = f"r{self._runs}" if self._alone else f"r{self._began_ms:x}-{self._runs}"
        self._runs += 1
        setting = Setting(
            seed=self._seed,
            tag=tag,
            organisation_count=organisations_for(workload, plan.envelopes),
            time_ms=now_ms(),
        )
        lanes = len(self._network.nodes)
        jobs = [
            LaneJob(
                folder=folder,
                lane=lane,
                count=max(1, (plan.envelopes - lane + lanes - 1) // lanes),
                workload=plan.workload,
                setting=setting,
                chain_id=self._network.genesis.chain_id,
            )
            for lane in range(lanes)
        ]
        # A pool that ends with its block, so that nobody signs on for a run that was given up.
        with multiprocessing.get_context("spawn").Pool(machine.cores()) as pool:
            signing = pool.map_async(write_lane, jobs, chunksize=1)
            while not signing.ready():
                done_mb = machine.folder_bytes([folder]) / 1e6
                self._progress(f"signing {plan.envelopes} envelopes: {done_mb:.0f} MB")
                await asyncio.sleep(_LOOK_S)
            return setting, tuple(signing.get())

    async def _set_up(self, setting: Setting, signed: Sequence[LaneFacts]) -> None:
        """Register and publish, and wait until every validator knows."""
        orders = preparations(setting, signed, self._network.wallet)
        height = await self._submit_all(orders)
        await self._check.reached(height)

    async def _submit_all(self, orders: Sequence[tuple[bytes, Identity]]) -> int:
        """Have bodies executed; answers the height of the last."""
        highest = done = 0
        waiting = iter(orders)

        async def submit(client: Client) -> None:
            nonlocal highest, done
            for body, actor in waiting:
                envelope = seal_envelope(self._network.genesis.chain_id, [body], [actor.signer])
                (verdict,) = (await client.submit(envelope, wait_ms=30_000)).verdicts
                if verdict.code != "OK":
                    raise RejectedError(
                        RejectCode.STATE, f"setting up: {verdict.code}: {verdict.message}"
                    )
                highest, done = max(highest, verdict.height), done + 1
                self._progress(f"setting up: {done} of {len(orders)}")

        async with connect(self._network, timeout_ms=60_000) as client:
            await asyncio.gather(*(submit(client) for _ in range(_SETUP_AT_ONCE)))
        return highest

    # -- the load ------------------------------------------------------------------------------

    async def _load(
        self, folder: Path, plan: RunPlan, signed: tuple[LaneFacts, ...], signing_s: float
    ) -> RunRecord:
        spec = self._spec(folder, plan)
        verified_before = await self._verify(plan)
        homes = [node.home for node in self._network.nodes]
        began = await self._check.place()
        counted, evidence = await self._counted()
        disk_before, sent_before = machine.folder_bytes(homes), machine.loopback_bytes()
        generator = _Generator(spec, self._progress)
        faults: list[asyncio.Task[dict[str, Any]]] = []
        try:
            await generator.start()
            start_s = time.monotonic() + _START_IN_S
            measured = Measured(
                from_s=start_s + plan.warm_s,
                window_s=plan.window_s,
                windows=max(1, round(plan.seconds / plan.window_s)),
            )
            await generator.go(start_s)
            faults = [
                asyncio.create_task(happen(fault, self._network, measured.from_s))
                for fault in plan.faults
            ]
            samples, pace = await self._watch(measured, generator.pid)
            errors = await generator.finished()
            fault_notes = await asyncio.gather(*faults)
        finally:
            for fault in faults:
                fault.cancel()
            await asyncio.gather(*faults, return_exceptions=True)
            await generator.end()
        sent_after = machine.loopback_bytes()
        counted_after, evidence_after = await self._counted()
        self._verified = None
        verified_after = await self._verify(plan)
        self._progress("reading what came back")
        outcome = await asyncio.to_thread(read_outcome, spec, start_s, measured)
        self._progress("comparing with the chain")
        checked = await self._check.check(
            outcome, began, seed=self._seed, alone=self._alone, liars=liars(plan.faults)
        )
        return RunRecord(
            plan=plan,
            validators=tuple(node.name for node in self._network.nodes),
            outcome=outcome,
            measured=measured,
            samples=samples,
            verified_before=verified_before,
            verified_after=verified_after,
            pace=pace,
            disk_bytes=machine.folder_bytes(homes) - disk_before,
            loopback_bytes=_difference(sent_before, sent_after),
            counters=growth(counted, counted_after),
            signed=signed,
            signing_s=signing_s,
            moves=generator.moves,
            generator_errors=errors,
            checked=checked,
            fault_notes=tuple(fault_notes),
            evidence=evidence_since(evidence, evidence_after, without=liars(plan.faults)),
        )

    def _spec(self, folder: Path, plan: RunPlan) -> LoadSpec:
        """What the load generator is told."""
        return LoadSpec(
            folder=folder,
            endpoints=endpoints(self._network),
            rate=plan.write_rate,
            in_flight=plan.in_flight,
            query_rate=plan.query_rate,
            chain_id=self._network.genesis.chain_id,
            seconds=plan.warm_s + plan.seconds,
            tick_ms=plan.tick_ms,
            wait_ms=WAIT_MS,
        )

    async def _counted(self) -> tuple[Counters, dict[str, Counters]]:
        """What all validators count together, and what each has found others guilty of."""
        network = self._network
        return (
            await asyncio.to_thread(read_counters, network),
            await asyncio.to_thread(read_evidence, network),
        )

    async def _verify(self, plan: RunPlan) -> machine.Verifying:
        """How all cores verify, with the network idle; found out after the run before."""
        if self._verified is None:
            self._progress("verifying signatures on all cores")
            await asyncio.sleep(_IDLE_S)
            self._verified = await asyncio.to_thread(machine.measure_verifying, plan.verify_s)
        return self._verified

    async def _watch(
        self, measured: Measured, generator: int
    ) -> tuple[tuple[Sample, ...], tuple[Pace, Pace]]:
        """Look at the processes at the beginning of the measured time and after each window."""
        processes = [running(node) for node in self._network.nodes]
        pids = [0 if item is None else item.pid for item in processes] + [generator]
        samples, asked = [], []
        for number in range(measured.windows + 1):
            at_s = measured.from_s + number * measured.window_s
            await asyncio.sleep(max(0.0, at_s - time.monotonic()))
            samples.append(
                Sample(
                    at_s=time.monotonic(),
                    used=tuple(machine.usage(pid) if pid else None for pid in pids),
                    ticks=machine.ticks(),
                )
            )
            if number in (0, measured.windows):
                asked.append(asyncio.create_task(self._check.pace()))
        first, last = await asyncio.gather(*asked)
        return tuple(samples), (first, last)


class _Generator:
    """The load generator's process."""

    def __init__(self, spec: LoadSpec, progress: Progress) -> None:
        self._spec = spec
        self._progress = progress
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._errors: tuple[str, ...] | None = None
        self.moves = 0

    @property
    def pid(self) -> int:
        """Its process id."""
        return 0 if self._process is None else self._process.pid

    async def start(self) -> None:
        """Start it, and wait until it is connected."""
        file = self._spec.folder / "spec.json"
        file.write_text(json.dumps(self._spec.as_json()), encoding="utf-8")
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "onward.bench.generator", str(file)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        self._reading = asyncio.create_task(self._read())
        waiting = asyncio.create_task(self._ready.wait())
        await asyncio.wait(
            [waiting, self._reading],
            timeout=_READY_S_MAX,
            return_when=asyncio.FIRST_COMPLETED,
        )
        waiting.cancel()
        if not self._ready.is_set():
            raise Unavailable("the load generator could not connect")

    async def go(self, start_s: float) -> None:
        """Let it begin at this moment."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(f"{start_s!r}\n".encode())
            await self._process.stdin.drain()

    async def finished(self) -> tuple[str, ...]:
        """Wait for its end; answers which streams broke."""
        if self._reading is not None:
            await self._reading
        if self._process is not None:
            await self._process.wait()
        if self._errors is None:
            raise Unavailable("the load generator ended before its time")
        return self._errors

    async def end(self) -> None:
        """End it, if it runs."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
        if self._process is not None:
            await self._process.wait()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self) -> None:
        if self._process is None or self._process.stdout is None:
            return
        async for line in self._process.stdout:
            said: dict[str, Any] = json.loads(line)
            if "ready" in said:
                self._ready.set()
            elif "done" in said:
                self._errors = tuple(said["errors"])
                self.moves = int(said["moves"])
            else:
                waiting = said["sent"] - said["settled"]
                self._progress(f"{said['settled']} settled, {waiting} in flight")


def _difference(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else after - before
