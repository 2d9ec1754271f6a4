"""One execution of contracts in a process of its own, in an environment made to differ.

    python -m onward.gate.trial < job.json > traces.json

The parent sets what a process inherits (hash seed, locale, time zone, -O); this program moves the
clock, deepens the stack and, if asked, runs everything once before it counts. It answers every
write, event, code and projection row by its key.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import gc
import json
import locale
import os
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from onward.execution.block import ExecutedBody
from onward.gate.subject import Subject, contract_in, contract_of, load, trial_calls
from onward.ledger.transaction import BODY_FORMAT, Body, seal_envelope
from onward.scenario.chain import MemoryChain
from onward.scenario.documents import shipped_documents
from onward.scenario.format import BUILT_IN_PARTIES, parse_scenario
from onward.scenario.keys import salt_of, signing_key
from onward.scenario.runner import run_scenario, scenario_genesis
from onward_chaincode.contract import Contract
from onward_proto.canonical import encode

T0_MS = 1_750_000_000_000
BLOCK_STEP_MS = 1_000
VALIDITY_MS = 3_600_000
_CLOCKS = ("time", "monotonic", "perf_counter", "process_time", "thread_time")
_CALENDAR = ("localtime", "gmtime", "ctime")  # of now, where no time is given


class Trace:
    """What came out of an execution, by key, and how often something was accepted."""

    def __init__(self) -> None:
        """Nothing has come out yet."""
        self.rows: dict[str, str] = {}
        self.accepted = 0
        self._count = 0

    def add(self, body: ExecutedBody) -> None:
        """Everything that a body leaves behind."""
        result = body.result
        self._count += 1
        at = f"{self._count} {body.transaction.body.type}"
        self.rows[f"{at}: verdict"] = f"{result.code} {result.rule} {result.outcome}"
        for key, value in result.writes.items():
            self.rows[f"{at}: write {key}"] = "deleted" if value is None else value.hex()
        if result.event is not None:
            self.rows[f"{at}: event"] = encode(result.event).hex()
        for key, row in result.rows.items():
            self.rows[f"{at}: row {key}"] = row.hex()
        self.accepted += result.code == "OK"


def run_calls(contract: Contract, calls: Iterable[tuple[str, bytes]], trace: Trace) -> None:
    """Every call as each of three parties, in blocks of their own."""
    genesis = scenario_genesis(T0_MS, contract.name, contract.version)
    chain = MemoryChain(genesis, contract.name, _only(contract))
    now_ms = T0_MS
    for number, (kind, payload) in enumerate(calls):
        for party in BUILT_IN_PARTIES:
            now_ms += BLOCK_STEP_MS
            body = Body(
                format=BODY_FORMAT,
                contract=contract.name,
                type=kind,
                actor=party,
                cosigners=(),
                valid_until_ms=now_ms + VALIDITY_MS,
                salt=salt_of(f"{number} {party}"),
                payload=payload,
            )
            envelope = seal_envelope(chain.chain_id, (encode(body),), (signing_key(party),))
            try:
                done = chain.execute((envelope,), now_ms)
            except (MemoryError, RecursionError) as error:
                # What would stop a node; a replica with more room would go on.
                trace.rows[f"call {number} {kind} by {party}"] = f"stops: {type(error).__name__}"
                return
            for each in done:
                trace.add(each)


def _only(contract: Contract) -> Callable[[str, int], Contract | None]:
    def contract_for(name: str, version: int) -> Contract | None:
        return contract if (name, version) == (contract.name, contract.version) else None

    return contract_for


def run_subject(subject: Subject, scenarios: list[str], *, warm: bool) -> dict[str, Any]:
    """The trace of a contract; `warm`: it has done everything once before."""
    trace = Trace()
    try:
        if subject.path:
            module = load(subject.path)
            contract = contract_in(module, subject.path)
        else:
            module, contract = None, contract_of(subject)
        for counted in (Trace(), trace) if warm else (trace,):
            if not scenarios:
                run_calls(contract, trial_calls(contract, module), counted)
            for path in scenarios:
                _run_scenario(path, contract, counted)
    except Exception as error:  # noqa: BLE001 -- what a stranger's code raises is its report
        trace.rows["loading"] = f"{type(error).__name__}: {error}"
    return {"rows": trace.rows, "accepted": trace.accepted}


def _run_scenario(path: str, contract: Contract, trace: Trace) -> None:
    parsed = parse_scenario(Path(path).read_bytes(), where=path, fixtures=shipped_documents())
    result = run_scenario(parsed, _only(contract), trace.add)
    name = Path(path).name
    trace.rows[f"{name}: roots"] = f"{result.state_root} {result.log_root}"
    for step in result.steps:
        trace.rows[f"{name}: {step.name}"] = json.dumps([step.code, step.rule, step.answer])


# -- making this process differ --------------------------------------------------------------------


def move_clock(by_s: int) -> None:
    """Every clock that Python code can ask shows another time."""
    for name in _CLOCKS:
        _moved(name, by_s)
        _moved(f"{name}_ns", by_s * 10**9)
    for name in _CALENDAR:
        setattr(time, name, _shown(getattr(time, name)))
    real, real_date = dt.datetime, dt.date

    class Moved(real):  # type: ignore[misc, valid-type]
        """A datetime whose now is another."""

        @classmethod
        def now(cls, tz: Any = None) -> Any:
            """See datetime."""
            return real.now(tz) + dt.timedelta(seconds=by_s)

        @classmethod
        def utcnow(cls) -> Any:
            """See datetime."""
            return real.now(dt.UTC).replace(tzinfo=None) + dt.timedelta(seconds=by_s)

        today = now

    class MovedDate(real_date):  # type: ignore[misc, valid-type]
        """A date whose today is another."""

        @classmethod
        def today(cls) -> Any:
            """See datetime."""
            return Moved.now().date()

    dt.datetime = Moved  # type: ignore[misc]
    dt.date = MovedDate  # type: ignore[misc]


def _moved(name: str, by: int) -> None:
    clock = getattr(time, name, None)
    if clock is not None:
        setattr(time, name, lambda: clock() + by)


def _shown(show: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *given: show(*(given or (time.time(),)))


def deepened(frames: int, work: Callable[[], Any]) -> Any:
    """The answer of `work`, called that many frames further down."""
    return work() if frames == 0 else deepened(frames - 1, work)


def main() -> None:
    """Read the job, run it, answer the traces. What a contract prints goes nowhere."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    job = json.load(sys.stdin)
    with contextlib.suppress(locale.Error):  # not every machine has every locale
        locale.setlocale(locale.LC_ALL, "")
    if job["clock_shift_s"]:
        move_clock(job["clock_shift_s"])
    if job["collect_often"]:
        gc.set_threshold(1)
    traces: dict[str, Any] = {}
    for item in job["subjects"]:
        subject = Subject(**item["subject"])
        work = partial(run_subject, subject, item["scenarios"], warm=job["warm"])
        traces[subject.label] = deepened(job["deeper"], work)
    json.dump(traces, answers)
    answers.close()


if __name__ == "__main__":
    main()
