"""The result document: everything that a figure needs to be believed and compared.

    format, command, made_at_ms, seed, validators, machine
    limit_ratio      G1 of the main run: see below
    main             which of the runs it is
    runs             each with its windows, so that a spread can be stated

`limit_ratio` is client signatures in finalized, executed and accepted envelopes per second, divided
by (verifications per second of all cores / validators): every validator has to verify every client
signature, so no network of these validators on this machine can exceed 1. G1 is this ratio of
envelopes of one body each. Where one carries many (`bulk`), a signature stands for all of them, and
the figures to look at are `accepted_per_s` and `cpu_us_per_tx`.

`limit_ratio_cpu` of a run is the same in processor time: what the validators' verifications of
those signatures take, divided by all that validators and generator used. It is the ratio that
the run would have with all processors busy; a host that gives them to others does not change it.
`host_taken` says how much of them it gave; null where the kernel does not tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from onward.bench import machine
from onward.bench.counters import PEER_BYTES
from onward.bench.runner import RunRecord, Sample
from onward.errors import MalformedError

FORMAT = "onward/bench/1"
BEHIND_PART = 0.02
BEHIND_S = 0.5
USED_UP_PART = 0.97
GENERATOR = "generator"
_REQUIRED = (
    "format",
    "command",
    "made_at_ms",
    "seed",
    "validators",
    "machine",
    "limit_ratio",
    "main",
    "runs",
)
_RUN_REQUIRED = (
    "workload",
    "rate",
    "holds",
    "throughput",
    "limit_ratio",
    "verify",
    "latency_ms",
    "transactions",
    "processes",
    "windows",
    "check",
)


def document(
    runs: Sequence[dict[str, Any]],
    *,
    main: int,
    command: Sequence[str],
    seed: int,
    validators: int,
    made_at_ms: int,
) -> dict[str, Any]:
    """The document of some runs; `main` is the number of the one that is asked for first."""
    return {
        "format": FORMAT,
        "command": " ".join(command),
        "made_at_ms": made_at_ms,
        "seed": seed,
        "validators": validators,
        "machine": machine.describe(),
        "limit_ratio": runs[main]["limit_ratio"],
        "main": main,
        "runs": list(runs),
    }


def check_document(found: object) -> dict[str, Any]:
    """The document, if it is one. Raises `MalformedError` naming what is missing."""
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise MalformedError(f"expected a document of the format {FORMAT}")
    for key in _REQUIRED:
        if key not in found:
            raise MalformedError(f"result: {key} is missing")
    if not isinstance(found["runs"], list) or not found["runs"]:
        raise MalformedError("result: runs is no list of runs")
    for number, run in enumerate(found["runs"]):
        for key in _RUN_REQUIRED:
            if key not in run:
                raise MalformedError(f"result: runs[{number}].{key} is missing")
    return found


def main_run(found: dict[str, Any]) -> dict[str, Any]:
    """The run that a document is about."""
    run: dict[str, Any] = found["runs"][found["main"]]
    return run


def run_document(record: RunRecord) -> dict[str, Any]:
    """One run."""
    plan, outcome = record.plan, record.outcome
    seconds = record.measured.window_s * record.measured.windows
    limit = limit_per_second(record)
    complaints = why_not(record)
    first, last = record.pace
    blocks, pace_s = last.height - first.height, last.at_s - first.at_s
    return {
        "workload": plan.workload,
        "mode": "open" if plan.rate is not None else "closed",
        "rate": plan.rate,
        "in_flight": plan.in_flight,
        "seconds": seconds,
        "warm_s": plan.warm_s,
        "tick_ms": plan.tick_ms,
        "p99_ms_max": plan.p99_ms_max,
        "holds": not complaints,
        "complaints": complaints,
        "limit_ratio": round(outcome.signatures / seconds / limit, 4),
        "limit_ratio_cpu": _limit_ratio_cpu(record),
        "host_taken": machine.host_taken(record.samples[0].ticks, record.samples[-1].ticks),
        "throughput": {
            "envelopes_per_s": round(outcome.envelopes / seconds, 1),
            "settled_per_s": round(outcome.settled / seconds, 1),
            "accepted_per_s": round(sum(item.accepted for item in outcome.windows) / seconds, 1),
            "signatures_per_s": round(outcome.signatures / seconds, 1),
        },
        "verify": {
            "before_per_s": round(record.verified_before.per_s),
            "after_per_s": round(record.verified_after.per_s),
            "cpu_us": round(_verify_cpu_us(record), 2),
            "limit_per_s": round(limit, 1),
            "note": "all cores, network idle (it still makes empty blocks)",
        },
        "latency_ms": outcome.latency.as_json(buckets=True),
        "send_lag_ms": outcome.send_lag.as_json(),
        "longest_stall_ms": round(1000 * outcome.longest_gap_s, 1),
        "faults": _faults(record),
        "evidence": record.evidence,
        "moves": record.moves,
        "queries": {
            "per_s": round(outcome.queries.count / seconds, 1),
            "failed": outcome.queries_failed,
            "latency_ms": outcome.queries.as_json(),
        },
        "transactions": _transactions(record),
        "processes": _processes(record),
        "cpu_us_per_tx": _cpu_total(record),
        "blocks_per_s": round(blocks / pace_s, 2),
        "views_per_s": round((last.view - first.view) / pace_s, 2),
        "transactions_per_block": _per(outcome.settled, blocks),
        "disk": {
            "bytes_per_tx_per_node": _per(
                record.disk_bytes, outcome.verdicts * len(record.validators)
            ),
            "note": "growth of the homes on disk, before the database has compacted it",
        },
        "wire": {
            "client_sent_bytes_per_tx": _per(outcome.sent_bytes, outcome.submitted),
            "client_received_bytes_per_tx": _per(outcome.received_bytes, outcome.verdicts),
            "peer_bytes_per_tx": _per(record.counters.get(PEER_BYTES), outcome.verdicts),
            "loopback_bytes_per_tx": _per(record.loopback_bytes, outcome.verdicts),
            "note": "peers: by the nodes' own counters, null where they have none; loopback: all "
            "of this machine's, clients and peers and headers together",
        },
        "counters": record.counters,
        "windows": _windows(record, limit),
        "check": record.checked.as_json(),
    }


def limit_per_second(record: RunRecord) -> float:
    """Client signatures a second that no network of these validators here can exceed."""
    mean = (record.verified_before.per_s + record.verified_after.per_s) / 2
    return mean / len(record.validators)


def _verify_cpu_us(record: RunRecord) -> float:
    return (record.verified_before.cpu_us + record.verified_after.cpu_us) / 2


def _limit_ratio_cpu(record: RunRecord) -> float | None:
    """None where a process was replaced: what the one before has used is gone with it."""
    spent = _cpu_between(record.samples[0], record.samples[-1])
    if spent is None or not sum(spent):
        return None
    needed_us = record.outcome.signatures * len(record.validators) * _verify_cpu_us(record)
    return round(needed_us / (1e6 * sum(spent)), 4)


def why_not(record: RunRecord) -> list[str]:
    """Why a run does not count as one that held its rate; empty where it did."""
    plan, outcome = record.plan, record.outcome
    found = list(record.generator_errors)
    found += list(record.checked.complaints)
    if outcome.unexpected:
        found.append(f"{outcome.unexpected} unexpected: {'; '.join(outcome.examples[:3])}")
    if outcome.refused_at_the_door:
        found.append(f"turned away: {dict(outcome.refused_at_the_door)}")
    if outcome.queries_failed:
        found.append(f"{outcome.queries_failed} queries got no answer")
    if plan.write_rate is None:
        if outcome.submitted > USED_UP_PART * outcome.planned:
            found.append(
                f"{outcome.submitted} of {outcome.planned} signed transactions were sent: some "
                "lane had no more; say --sign with more a second"
            )
        return found
    seconds = record.measured.window_s * record.measured.windows
    # In a short run it is chance how many verdicts fall into it: latencies come and go.
    behind_s = seconds - outcome.envelopes / plan.write_rate
    if behind_s > max(BEHIND_S, BEHIND_PART * seconds):
        found.append(
            f"{outcome.envelopes / seconds:.1f} settled a second, {plan.write_rate:.1f} were due"
        )
    if outcome.queries.count < plan.query_rate * (seconds - max(BEHIND_S, BEHIND_PART * seconds)):
        found.append(f"{outcome.queries.count / seconds:.1f} queries a second were asked")
    kinds = [("", outcome.latency)] + [(" of queries", outcome.queries)] * bool(plan.query_rate)
    for kind, latency in kinds:
        p99 = latency.quantile_ms(0.99)
        if p99 is None or p99 > plan.p99_ms_max:
            found.append(f"p99{kind} {p99} ms, at most {plan.p99_ms_max}")
    if outcome.unanswered:
        found.append(f"{len(outcome.unanswered)} without an answer")
    if outcome.submitted < outcome.planned:
        found.append(f"{outcome.planned - outcome.submitted} were never sent")
    return found


def is_sound(run: dict[str, Any]) -> bool:
    """Whether nothing was lost, doubled or judged otherwise than it must be.

    Where a step was turned away at the door, its story's later steps must fail: that is no fault.
    """
    told = run["transactions"]
    return bool(run["check"]["ok"]) and (not told["unexpected"] or bool(told["turned_away"]))


def _faults(record: RunRecord) -> list[dict[str, Any]]:
    """Each with what is to be said of it."""
    faults = [item.as_json() for item in record.plan.faults]
    if not record.fault_notes:
        return faults
    return [fault | note for fault, note in zip(faults, record.fault_notes, strict=True)]


def _transactions(record: RunRecord) -> dict[str, Any]:
    outcome = record.outcome
    count = sum(item.transactions for item in record.signed)
    envelopes = sum(item.envelopes for item in record.signed)
    return {
        "planned": outcome.planned,
        "submitted": outcome.submitted,
        "verdicts": outcome.verdicts,
        "accepted": outcome.accepted,
        "recorded_refusals": outcome.recorded,
        "turned_away": dict(sorted(outcome.refused_at_the_door.items())),
        "without_answer": len(outcome.unanswered),
        "unexpected": outcome.unexpected,
        "examples": outcome.examples,
        "codes": dict(sorted(outcome.codes.items())),
        "types": dict(sorted(outcome.types.items())),
        "per_envelope_mean": _per(count, envelopes, 3),
        "envelope_bytes_mean": _per(sum(item.envelope_bytes for item in record.signed), envelopes),
        "body_bytes_mean": _per(sum(item.body_bytes for item in record.signed), count),
        "signatures_mean": _per(sum(item.signatures for item in record.signed), count, 3),
        "signing_s": round(record.signing_s, 1),
    }


def _processes(record: RunRecord) -> list[dict[str, Any]]:
    """CPU, memory and disk of each process over the measured time, per transaction or query."""
    first, last = record.samples[0], record.samples[-1]
    operations = record.outcome.settled + record.outcome.queries.count
    found = []
    for index, name in enumerate((*record.validators, GENERATOR)):
        before, after = first.used[index], last.used[index]
        entry: dict[str, Any] = {"name": name, "cpu_us_per_tx": None, "cpu_part": None}
        if before is not None and after is not None:
            cpu_s = after.cpu_s - before.cpu_s
            entry |= {
                "cpu_us_per_tx": _per(1e6 * cpu_s, operations),
                "cpu_part": round(cpu_s / (last.at_s - first.at_s), 3),
                "rss_bytes": after.rss_bytes,
                "written_bytes_per_tx": _per(
                    None
                    if before.written_bytes is None or after.written_bytes is None
                    else after.written_bytes - before.written_bytes,
                    record.outcome.settled,
                ),
            }
        found.append(entry)
    return found


def _cpu_total(record: RunRecord) -> dict[str, float | None]:
    """CPU microseconds per settled transaction (or query): all validators, and the generator."""
    spent = _cpu_between(record.samples[0], record.samples[-1])
    settled = record.outcome.settled + record.outcome.queries.count
    return {
        "validators": _per(None if spent is None else 1e6 * sum(spent[:-1]), settled),
        GENERATOR: _per(None if spent is None else 1e6 * spent[-1], settled),
    }


def _cpu_between(first: Sample, last: Sample) -> list[float] | None:
    found = []
    for before, after in zip(first.used, last.used, strict=True):
        if before is None or after is None:
            return None
        found.append(after.cpu_s - before.cpu_s)
    return found


def _windows(record: RunRecord, limit: float) -> list[dict[str, Any]]:
    """What repeats within a run."""
    window_s, found = record.measured.window_s, []
    for number, window in enumerate(record.outcome.windows):
        spent = _cpu_between(record.samples[number], record.samples[number + 1])
        found.append(
            {
                "from_s": round(number * window_s, 3),
                "seconds": window_s,
                "settled_per_s": round(window.settled / window_s, 1),
                "accepted_per_s": round(window.accepted / window_s, 1),
                "signatures_per_s": round(window.signatures / window_s, 1),
                "limit_ratio": round(window.signatures / window_s / limit, 4),
                "host_taken": machine.host_taken(
                    record.samples[number].ticks, record.samples[number + 1].ticks
                ),
                "latency_ms": window.latency.as_json(),
                "validators_cpu_us_per_tx": _per(
                    None if spent is None else 1e6 * sum(spent[:-1]), window.settled
                ),
                "generator_cpu_us_per_tx": _per(
                    None if spent is None else 1e6 * spent[-1], window.settled
                ),
            }
        )
    return found


def _per(amount: float | None, count: int, digits: int = 1) -> float | None:
    return None if amount is None or count == 0 else round(amount / count, digits)
