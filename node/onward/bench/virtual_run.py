"""One measurement of n validators on virtual time: a steady load, and what it cost each of them.

First all of them together, in one process. That process has one codec and one set of caches, so the
first validator to meet a record pays for the others; and one garbage collector, which is switched
off. Therefore the turns of one validator, the witness, are taken again by it alone in a process of
its own, from what was written down: the same bytes at the same times, and at the end the same state
root. The figures per transaction are the witness's; the others show that it is like them.
"""

from __future__ import annotations

import gc
import json
import math
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from statistics import median
from time import process_time_ns as clock

from onward.bench.cast import Setting
from onward.bench.histogram import Histogram
from onward.bench.lanes import Lane, LaneJob, write_lane
from onward.bench.machine import VERIFIED_BYTES
from onward.bench.runner import preparations
from onward.bench.seat import Handed, Meter, Seat, Turn
from onward.bench.stories import WORKLOADS, organisations_for
from onward.bench.virtual import SECOND_US, VirtualNetwork
from onward.crypto.signing import SigningKey, verify
from onward.ledger.genesis import (
    GenesisContract,
    GenesisParty,
    Parameters,
    genesis_document,
    parse_genesis,
)
from onward.ledger.transaction import seal_envelope
from onward.network.definition import FOUNDERS
from onward.network.wallet import Wallet
from onward.replica.effects import Verdict
from onward.types import Validator
from onward_chaincode.registry import contract_for
from onward_proto.documents import canonical_document

EPOCH_MS = 1_750_000_000_000
TICK_US = 20_000
PROLOGUE_ENVELOPES = 64
WITNESS = 0
_CONTRACTS = (("isa", 1), ("opaque", 1))
_SETTLE_S_MAX = 60
_EVEN_S_MAX = 20
_VERIFICATIONS = 50
_SAMPLES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualPlan:
    """A load; seconds and the rate are of virtual time."""

    validators: int
    delay_ms: float
    workload: str
    rate: float
    seconds: float
    warm_s: float = 2.0
    seed: int = 1

    @property
    def transactions(self) -> int:
        """How many are signed, but for the prologue."""
        return math.ceil(self.rate * (self.warm_s + self.seconds))


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnessed:
    """What one validator's turns were. `marks`: where in them the measured time begins and ends."""

    genesis: bytes
    seed: bytes
    turns: tuple[Turn, ...]
    marks: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone:
    """What the witness's turns cost it in the measured time."""

    meter: Meter
    verify_ns: float
    height: int
    state_root: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """What a load came to. Meters are of the measured time, by validator."""

    meters: tuple[Meter, ...]
    verify_ns: float
    blocks: int
    views: int
    submitted: int
    settled: int
    unexpected: int
    latency: Histogram
    height: int
    state_roots: tuple[bytes, ...]
    witnessed: Witnessed


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mark:
    """Everybody at one moment."""

    meters: tuple[Meter, ...]
    height: int
    view: int
    turns: int


def run_together(plan: VirtualPlan) -> Together:
    """Play the load with all validators in this process."""
    with tempfile.TemporaryDirectory(prefix="onward-virtual-") as name, ExitStack() as open_lanes:
        folder = Path(name)
        wallet = Wallet(folder / "wallet")
        genesis = _genesis(plan, wallet)
        setting = Setting(
            seed=plan.seed,
            tag="virtual",
            organisation_count=organisations_for(WORKLOADS[plan.workload], plan.transactions),
            time_ms=EPOCH_MS,
        )
        chain_id = parse_genesis(genesis).chain_id
        lanes = range(plan.validators)
        signed = [
            write_lane(
                LaneJob(
                    folder=folder,
                    lane=lane,
                    count=_share(plan, lane),
                    workload=plan.workload,
                    setting=setting,
                    chain_id=chain_id,
                )
            )
            for lane in lanes
        ]
        orders = [
            seal_envelope(chain_id, [body], [actor.signer])
            for body, actor in preparations(setting, signed, wallet)
        ]
        written = [open_lanes.enter_context(Lane(folder, lane)) for lane in lanes]
        return _Play(plan, genesis, written).run(orders)


def run_alone(witnessed: Witnessed) -> Alone:
    """Take the witness's turns again, in this process."""
    seat = _seat(witnessed.genesis, WITNESS, SigningKey(witnessed.seed))
    start, end = witnessed.marks
    before = after = seat.meter
    every = max(1, (end - start) // _SAMPLES)
    units = []
    for number, turn in enumerate(witnessed.turns):
        if number == start:
            before = seat.meter.copy()
        if number == end:
            after = seat.meter.copy()
        if start <= number < end and (number - start) % every == 0:
            units.append(verification_ns())
        seat.turn(turn)
    if end >= len(witnessed.turns):
        after = seat.meter.copy()
    height = seat.replica.height
    return Alone(
        meter=after.since(before),
        verify_ns=median(units),
        height=height,
        state_root=seat.state_root(height),
    )


def without_collecting(work: Callable[[], None]) -> None:
    """Do something with the garbage collector switched off."""
    gc.collect()
    gc.disable()
    try:
        work()
    finally:
        gc.enable()


def verification_ns() -> float:
    """What one verification of a signature costs now."""
    began = clock()
    for _ in range(_VERIFICATIONS):
        verify(_KEY.public_key, _MESSAGE, _SIGNATURE)
    return (clock() - began) / _VERIFICATIONS


_KEY = SigningKey(bytes(32))
_MESSAGE = bytes(VERIFIED_BYTES)
_SIGNATURE = _KEY.sign(_MESSAGE)


class _Play:
    """One load on one network."""

    def __init__(self, plan: VirtualPlan, genesis: bytes, lanes: Sequence[Lane]) -> None:
        self._plan = plan
        self._genesis = genesis
        self._lanes = lanes
        self._waiting: dict[bytes, tuple[int, int, str]] = {}  # lane, due, the verdict it must get
        self._latency = Histogram()
        self._units: list[float] = []
        self._marks: list[_Mark] = []
        self._counts: Counter[str] = Counter()
        self._from_us = self._until_us = 0
        self._network = VirtualNetwork(
            [_seat(genesis, index, _key(plan, index)) for index in range(plan.validators)],
            epoch_ms=EPOCH_MS,
            delay_us=round(1_000 * plan.delay_ms),
            told=self._told,
            witness=WITNESS,
        )

    def run(self, orders: Sequence[bytes]) -> Together:
        """Prepare, load, and let everything come to its end."""
        without_collecting(lambda: self._run(orders))
        network, plan = self._network, self._plan
        first, last = self._marks
        height = min(network.heights)
        witness = network.seats[WITNESS]
        return Together(
            meters=tuple(
                late.since(early) for early, late in zip(first.meters, last.meters, strict=True)
            ),
            verify_ns=median(self._units),
            blocks=last.height - first.height,
            views=last.view - first.view,
            submitted=self._counts["submitted"],
            settled=self._counts["settled"],
            unexpected=self._counts["unexpected"] + len(self._waiting),
            latency=self._latency,
            height=witness.replica.height,
            state_roots=(
                *(seat.state_root(height) for seat in network.seats),
                witness.state_root(witness.replica.height),
            ),
            witnessed=Witnessed(
                genesis=self._genesis,
                seed=_key_seed(plan, WITNESS),
                turns=tuple(network.recording),
                marks=(first.turns, last.turns),
            ),
        )

    def _run(self, orders: Sequence[bytes]) -> None:
        network, plan = self._network, self._plan
        network.run_until(SECOND_US)  # everybody has met everybody
        size = plan.validators
        before = len(orders)
        for number, envelope in enumerate(orders):
            network.hand(number % size, Handed(envelopes=(envelope,)))
        network.run_until(
            network.now_us + _SETTLE_S_MAX * SECOND_US,
            lambda: min(seat.meter.counts["executed"] for seat in network.seats) >= before,
        )
        for lane, signed in enumerate(self._lanes):
            for start in range(0, signed.prologue, PROLOGUE_ENVELOPES):
                self._hand(lane, start, min(signed.prologue, start + PROLOGUE_ENVELOPES))
        self._settle()
        self._from_us = network.now_us + round(plan.warm_s * SECOND_US)
        self._until_us = self._from_us + round(plan.seconds * SECOND_US)
        for lane in range(size):
            self._send_due(lane, self._lanes[lane].prologue, network.now_us)
        network.later(self._from_us, self._mark)
        network.later(self._until_us, self._mark)
        for number in range(_SAMPLES):
            at_us = self._from_us + round(number / _SAMPLES * plan.seconds * SECOND_US)
            network.later(at_us, lambda: self._units.append(verification_ns()))
        network.run_until(self._until_us)
        self._settle()
        top = max(network.heights)
        network.run_until(
            network.now_us + _EVEN_S_MAX * SECOND_US, lambda: min(network.heights) >= top
        )

    def _settle(self) -> None:
        """Until everything that was handed in has its verdict."""
        limit_us = self._network.now_us + _SETTLE_S_MAX * SECOND_US
        self._network.run_until(limit_us, lambda: not self._waiting)

    def _send_due(self, lane: int, first: int, start_us: int) -> None:
        """Hand in what is due by now, and come again a tick later."""
        signed, network, size = self._lanes[lane], self._network, self._plan.validators
        end, due = first, []
        while end < len(signed):
            index = end - signed.prologue
            due_us = start_us + round((index * size + lane) / self._plan.rate * SECOND_US)
            if due_us > network.now_us:
                break
            due.append(due_us)
            end += 1
        if due:
            self._hand(lane, first, end, due)
        if end < len(signed):
            network.later(network.now_us + TICK_US, self._send_due, lane, end, start_us)

    def _hand(self, lane: int, first: int, end: int, due: Sequence[int] = ()) -> None:
        signed = self._lanes[lane]
        for index in range(first, end):
            at_us = due[index - first] if due else -1
            (tx_hash,) = signed.tx_hashes(index)
            self._waiting[tx_hash] = lane, at_us, signed.expected(index)
        self._counts["submitted"] += end - first
        envelopes = tuple(signed.envelope(index) for index in range(first, end))
        self._network.hand(lane, Handed(envelopes=envelopes))

    def _told(self, validator: int, at_us: int, verdicts: tuple[Verdict, ...]) -> None:
        for verdict in verdicts:
            known = self._waiting.get(verdict.tx_hash)
            if known is None or known[0] != validator:
                continue
            del self._waiting[verdict.tx_hash]
            _, due_us, expected = known
            self._counts["unexpected"] += verdict.code != expected
            self._counts["settled"] += 1
            if self._from_us <= due_us < self._until_us:
                self._latency.add((at_us - due_us) / 1_000)

    def _mark(self) -> None:
        network = self._network
        witness = network.seats[WITNESS].replica
        self._marks.append(
            _Mark(
                meters=tuple(seat.meter.copy() for seat in network.seats),
                height=witness.height,
                view=witness.view,
                turns=len(network.recording),
            )
        )


def _share(plan: VirtualPlan, lane: int) -> int:
    """How many of the transactions are a lane's."""
    return max(1, (plan.transactions - lane + plan.validators - 1) // plan.validators)


def _key_seed(plan: VirtualPlan, index: int) -> bytes:
    return sha256(f"onward/bench/virtual/{plan.seed}/{index}".encode()).digest()


def _key(plan: VirtualPlan, index: int) -> SigningKey:
    return SigningKey(_key_seed(plan, index))


def _seat(genesis: bytes, index: int, key: SigningKey) -> Seat:
    return Seat(parse_genesis(genesis), index, key, contract_for)


def _genesis(plan: VirtualPlan, wallet: Wallet) -> bytes:
    document = genesis_document(
        network="virtual",
        time_ms=EPOCH_MS,
        parameters=Parameters(),
        validators=tuple(
            Validator(
                name=f"v{index + 1}",
                organisation=f"org-{index + 1}",
                public_key=_key(plan, index).public_key,
            )
            for index in range(plan.validators)
        ),
        parties=tuple(
            GenesisParty(
                party_id=name,
                kind=str(kind),
                public_key=wallet.create(name, kind).signer.public_key,
            )
            for name, kind in FOUNDERS.items()
        ),
        contracts=tuple(
            GenesisContract(name=name, version=version, from_height=1)
            for name, version in _CONTRACTS
        ),
    )
    return canonical_document(json.loads(json.dumps(document)))
