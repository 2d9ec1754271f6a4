"""What became of a load, read from the files that the generator left.

An envelope's latency is the time from the moment at which it was due to the arrival of its
verdicts: one that had to wait at our end for a slow node has waited all the same. Throughput counts
verdicts that arrived within the measured time; latencies are those of the transactions that were
due within it.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from onward.bench import wire
from onward.bench.generator import REPLIED, SENT, LoadSpec
from onward.bench.histogram import Histogram
from onward.bench.lanes import Lane
from onward.bench.queries import ANSWERED
from onward.bench.stories import OK

EXAMPLES_MAX = 10
ACCEPTED, RECORDED = 1, 2
_NEVER = -1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The time that counts, on the machine's monotonic clock, in windows of equal length."""

    from_s: float
    window_s: float
    windows: int

    @property
    def until_s(self) -> float:
        """Its end."""
        return self.from_s + self.window_s * self.windows

    def window_of(self, at_s: float) -> int | None:
        """The window in which a moment lies; None before and after."""
        if not self.from_s <= at_s < self.until_s:
            return None
        return min(self.windows - 1, int((at_s - self.from_s) / self.window_s))


@dataclass(slots=True, kw_only=True)
class Window:
    """What happened in one window. `latency` is of those due, the rest of verdicts that came.

    Transactions are counted, but for `envelopes` and its signatures: one for however many it
    carries, and only where all of them are accepted.
    """

    envelopes: int = 0
    settled: int = 0
    accepted: int = 0
    signatures: int = 0
    latency: Histogram = field(default_factory=Histogram)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A verdict as it was told: where it stands on the chain."""

    tx_hash: bytes
    code: str
    height: int


@dataclass(slots=True, kw_only=True)
class Outcome:
    """Everything that a run came to."""

    windows: list[Window]
    planned: int = 0
    submitted: int = 0
    verdicts: int = 0
    accepted: int = 0
    recorded: int = 0
    refused_at_the_door: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    types: Counter[str] = field(default_factory=Counter)
    unexpected: int = 0
    examples: list[str] = field(default_factory=list)
    unanswered: list[bytes] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    doubled_places: int = 0
    latency: Histogram = field(default_factory=Histogram)
    send_lag: Histogram = field(default_factory=Histogram)
    longest_gap_s: float = 0.0
    queries: Histogram = field(default_factory=Histogram)
    queries_failed: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0

    @property
    def settled(self) -> int:
        """Verdicts that came within the measured time."""
        return sum(window.settled for window in self.windows)

    @property
    def envelopes(self) -> int:
        """Envelopes whose verdicts came within the measured time."""
        return sum(window.envelopes for window in self.windows)

    @property
    def signatures(self) -> int:
        """Client signatures of what was accepted within the measured time."""
        return sum(window.signatures for window in self.windows)


def read_outcome(spec: LoadSpec, start_s: float, measured: Measured) -> Outcome:
    """What a load came to that began at `start_s`. Raises `MalformedError`, `OSError`."""
    found = Outcome(windows=[Window() for _ in range(measured.windows)])
    places, arrivals = array("Q"), array("d")
    for lane in range(len(spec.endpoints)):
        with Lane(spec.folder, lane) as signed:
            reader = _LaneReader(spec, lane, signed, found)
            reader.read_sends(start_s)
            reader.read_replies(measured, places)
            reader.finish(measured)
            reader.read_answers(measured)
            arrivals += reader.arrivals
    found.longest_gap_s = _longest_gap(arrivals, measured)
    found.doubled_places = len(places) - len(set(places))
    return found


class _LaneReader:
    """Reads what happened on one lane into the outcome of the whole."""

    def __init__(self, spec: LoadSpec, lane: int, signed: Lane, found: Outcome) -> None:
        self._base = spec.folder / f"lane-{lane}"
        self._spec = spec
        self._lane = lane
        self._signed = signed
        self._found = found
        self._due = array("d", [_NEVER]) * len(signed)
        self._answered = bytearray(len(signed))
        self.arrivals = array("d")
        self._tail_bytes = len(wire.tail(spec.wait_ms)) + 4

    def read_sends(self, start_s: float) -> None:
        """When each was due, and how late it was sent."""
        lanes, rate = len(self._spec.endpoints), self._spec.rate
        found = self._found
        prologue = self._signed.prologue
        found.planned += self._signed.transactions(0, len(self._signed))
        for first, count, at_s in SENT.iter_unpack(self._base.with_suffix(".sends").read_bytes()):
            for index in range(first, first + count):
                if rate is None or index < prologue:
                    self._due[index] = at_s
                    continue
                due_s = start_s + ((index - prologue) * lanes + self._lane) / rate
                self._due[index] = due_s
                found.send_lag.add(1000 * max(0.0, at_s - due_s))
            found.submitted += self._signed.transactions(first, first + count)
            found.sent_bytes += len(self._signed.frames(first, first + count)) + self._tail_bytes

    def read_replies(self, measured: Measured, places: array[int]) -> None:
        """Every verdict, with the moment of its arrival."""
        for at_s, reply in _replies(self._base.with_suffix(".replies")):
            self._found.received_bytes += len(reply)
            self.arrivals.append(at_s)
            window = measured.window_of(at_s)
            for settled in wire.read_reply(reply):
                self._settle(settled, at_s, window, measured)
                places.extend(verdict.log_index for verdict in settled.verdicts)

    def finish(self, measured: Measured) -> None:
        """What was sent and never answered has the worst latency of all."""
        for index, due_s in enumerate(self._due):
            if due_s != _NEVER and not self._answered[index]:
                self._found.unanswered.extend(self._signed.tx_hashes(index))
                self._note_latency(due_s, measured.until_s, measured)

    def read_answers(self, measured: Measured) -> None:
        """The queries that were due within the measured time."""
        data = self._base.with_suffix(".answers").read_bytes()
        for due_s, at_s, is_answer in ANSWERED.iter_unpack(data):
            if measured.window_of(due_s) is not None:
                self._found.queries.add(1000 * (at_s - due_s))
            self._found.queries_failed += not is_answer

    def _settle(
        self, settled: wire.Settled, at_s: float, window: int | None, measured: Measured
    ) -> None:
        found, index = self._found, settled.id - 1
        if not 0 <= index < len(self._due) or self._answered[index] or self._due[index] == _NEVER:
            self._complain(f"an answer to {settled.id}, which does not wait for one")
            return
        refusal, kind = settled.refusal, self._signed.type(index)
        if refusal is not None:
            found.refused_at_the_door[refusal.code] += 1
            if refusal.code not in ("E_BUSY", "E_UNAVAILABLE"):
                self._complain(f"{kind}: {refusal.code}: {refusal.message}")
            return
        self._answered[index] = 1
        self._note_latency(self._due[index], at_s, measured)
        tx_hashes, verdicts = self._signed.tx_hashes(index), settled.verdicts
        if len(verdicts) != len(tx_hashes):
            self._complain(f"{kind}: {len(verdicts)} verdicts for {len(tx_hashes)} transactions")
        for tx_hash, verdict in zip(tx_hashes, verdicts, strict=False):
            self._judge(index, tx_hash, verdict)
        if window is not None:
            accepted = sum(verdict.outcome == ACCEPTED for verdict in verdicts)
            found.types[kind] += len(verdicts)
            counted = found.windows[window]
            counted.envelopes += 1
            counted.settled += len(verdicts)
            counted.accepted += accepted
            if accepted == len(tx_hashes):
                counted.signatures += self._signed.signatures(index)

    def _judge(self, index: int, tx_hash: bytes, verdict: wire.Told) -> None:
        """One transaction of an envelope, against what was foretold of it."""
        found = self._found
        found.verdicts += 1
        found.codes[verdict.code] += 1
        found.told.append(Told(tx_hash=tx_hash, code=verdict.code, height=verdict.height))
        accepted = verdict.outcome == ACCEPTED
        found.accepted += accepted
        found.recorded += verdict.outcome == RECORDED
        expected = self._signed.expected(index)
        if verdict.code != expected or accepted != (expected == OK):
            self._complain(
                f"{self._signed.type(index)}: expected {expected}, got {verdict.code} with outcome "
                f"{verdict.outcome}: {verdict.message}"
            )

    def _note_latency(self, due_s: float, at_s: float, measured: Measured) -> None:
        window = measured.window_of(due_s)
        if window is not None:
            latency_ms = 1000 * (at_s - due_s)
            self._found.latency.add(latency_ms)
            self._found.windows[window].latency.add(latency_ms)

    def _complain(self, sentence: str) -> None:
        self._found.unexpected += 1
        if len(self._found.examples) < EXAMPLES_MAX:
            self._found.examples.append(f"lane {self._lane}: {sentence}")


def _longest_gap(arrivals: array[float], measured: Measured) -> float:
    """The longest time without a verdict for anybody."""
    within = sorted(at_s for at_s in arrivals if measured.window_of(at_s) is not None)
    moments = [measured.from_s, *within, measured.until_s]
    return max(after - before for before, after in pairwise(moments))


def _replies(file: Path) -> Iterator[tuple[float, bytes]]:
    with file.open("rb") as stream:
        while head := stream.read(REPLIED.size):
            at_s, size = REPLIED.unpack(head)
            yield at_s, stream.read(size)
