"""What a transaction costs each validator, by how many validators there are: goal G18.

`cells`      n validators on virtual time with a wire of a fixed delay (`virtual_run`)
`processes`  n real processes on this machine, without delay, at one modest rate
`growth`     the largest network's cost per transaction and validator, by the smallest one's

A cell's figures per transaction are CPU of one validator. They are given in microseconds and in
verifications of one signature that were measured between its turns: those compare between machines.
"""

from __future__ import annotations

import html
import multiprocessing
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

from onward.bench import machine
from onward.bench.charts import Chart, Line, html_page, svg, table
from onward.bench.report import GENERATOR
from onward.bench.seat import DISK, EXECUTION, MESSAGES, PARTS, RULES, VOTES, Meter
from onward.bench.virtual import SYNC_US
from onward.bench.virtual_run import Alone, Together, VirtualPlan, run_alone, run_together
from onward.types import quorum_of

FORMAT = "onward/bench-validators/1"
GROWTH_MAX = 1.3
NOTES = {
    "cells": "one process plays all validators, each with a core to itself on a virtual clock: no "
    "sockets, no gRPC, no event loop; store and files in memory; a message takes its delay, a sync "
    f"{SYNC_US / 1_000:g} ms; cpu is that of one validator, played again alone in a process",
    "processes": "real ones, with gRPC, TLS, synced files and LevelDB, all on this machine",
}
_CONSENSUS = (RULES, VOTES, MESSAGES, DISK)

P = ParamSpec("P")
T = TypeVar("T")


def measure_cell(plan: VirtualPlan, *, repeat: int) -> dict[str, Any]:
    """One cell: everybody together, then the witness alone so often, and its best time counts.

    Each of these is done by a process of its own.
    """
    together = in_fresh_process(run_together, plan)
    times = [in_fresh_process(run_alone, together.witnessed) for _ in range(repeat)]
    return cell(plan, together, min(times, key=lambda item: item.meter.total_ns / item.verify_ns))


def in_fresh_process(work: Callable[P, T], *arguments: P.args, **more: P.kwargs) -> T:
    """Do something in a process that has done nothing else, and answer what it answers."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments, more)


def cell(plan: VirtualPlan, together: Together, alone: Alone) -> dict[str, Any]:
    """The document of one cell."""
    meter = alone.meter
    executed = meter.counts["executed"]
    costs = [_per(item.total_ns, item.counts["executed"]) for item in together.meters]
    complaints = _complaints(together, alone)
    return {
        "validators": plan.validators,
        "quorum": quorum_of(plan.validators),
        "delay_ms": plan.delay_ms,
        "rate": plan.rate,
        "seconds": plan.seconds,
        "cpu_us_per_tx": _us(meter.total_ns, executed),
        "verifications_per_tx": _verifications(meter.total_ns, executed, alone.verify_ns),
        "verify_us": round(alone.verify_ns / 1_000, 1),
        "parts": {
            name: {
                "us_per_tx": _us(meter.ns[name], executed),
                "verifications_per_tx": _verifications(meter.ns[name], executed, alone.verify_ns),
            }
            for name in PARTS
        },
        "consensus_us_per_block": _us(sum(meter.ns[name] for name in _CONSENSUS), together.blocks),
        "core_part": round(meter.total_ns / (plan.seconds * 1e9), 3),
        "together": {
            "verify_us": round(together.verify_ns / 1_000, 1),
            "us_per_tx_mean": round(sum(costs) / len(costs) / 1_000, 1),
            "us_per_tx_min": round(min(costs) / 1_000, 1),
            "us_per_tx_max": round(max(costs) / 1_000, 1),
            "verifications_per_tx": round(sum(costs) / len(costs) / together.verify_ns, 3),
        },
        "sent": _sent(meter, together.blocks),
        "votes_verified_per_block": round(_per(meter.counts["votes_verified"], together.blocks), 1),
        "turns_per_block": round(_per(meter.counts["turns"], together.blocks), 1),
        "transactions_per_block": round(_per(executed, together.blocks), 1),
        "blocks_per_s": round(together.blocks / plan.seconds, 2),
        "views_per_s": round(together.views / plan.seconds, 2),
        "latency_ms": together.latency.as_json(),
        "transactions": {
            "submitted": together.submitted,
            "settled": together.settled,
            "unexpected": together.unexpected,
        },
        "check": {
            "ok": not complaints,
            "height": together.height,
            "state_root": together.state_roots[-1].hex(),
            "complaints": complaints,
        },
    }


def _sent(meter: Meter, blocks: int) -> dict[str, Any]:
    """What a validator sends to all of its peers together."""
    counts, executed = meter.counts, meter.counts["executed"]
    return {
        "messages_per_block": round(_per(counts["wires"], blocks), 1),
        "messages_per_tx": round(_per(counts["wires"], executed), 3),
        "frames_per_block": round(_per(counts["frames"], blocks), 1),
        "bytes_per_block": round(_per(counts["bytes"], blocks)),
        "bytes_per_tx": round(_per(counts["bytes"], executed)),
    }


def _complaints(together: Together, alone: Alone) -> list[str]:
    found = []
    *roots, last = together.state_roots
    if len(set(roots)) != 1:
        found.append(f"the validators have {len(set(roots))} different states at one height")
    if together.settled < together.submitted or together.unexpected:
        found.append(
            f"{together.submitted} submitted, {together.settled} settled, "
            f"{together.unexpected} not as foretold"
        )
    if (alone.height, alone.state_root) != (together.height, last):
        found.append("the witness alone came to another state than among the others")
    return found


def process_cell(run: dict[str, Any], verify_ns: float) -> dict[str, Any]:
    """What a run's document says of its validators' processes; `verify_ns` of CPU, meanwhile."""
    nodes = [item for item in run["processes"] if item["name"] != GENERATOR]
    costs = [item["cpu_us_per_tx"] for item in nodes if item["cpu_us_per_tx"] is not None]
    verify_us = verify_ns / 1_000
    mean_us = sum(costs) / len(costs) if costs else None
    return {
        "validators": len(nodes),
        "rate": run["rate"],
        "seconds": run["seconds"],
        "cpu_us_per_tx": {
            "mean": None if mean_us is None else round(mean_us, 1),
            "min": min(costs, default=None),
            "max": max(costs, default=None),
        },
        "verify_us": round(verify_us, 1),
        "verifications_per_tx": None if mean_us is None else round(mean_us / verify_us, 2),
        "core_part": round(sum(item["cpu_part"] or 0 for item in nodes), 2),
        "settled_per_s": run["throughput"]["settled_per_s"],
        "blocks_per_s": run["blocks_per_s"],
        "transactions_per_block": run["transactions_per_block"],
        "latency_ms": {name: run["latency_ms"][name] for name in ("p50", "p99")},
        "holds": run["holds"],
        "complaints": run["complaints"],
        "check": run["check"],
    }


def growth(cells: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each delay, how much more the largest network's validators pay than the smallest's."""
    found = []
    for delay_ms in sorted({item["delay_ms"] for item in cells}):
        row = sorted(
            (item for item in cells if item["delay_ms"] == delay_ms),
            key=lambda item: item["validators"],
        )
        least, most = row[0], row[-1]
        ratio = most["verifications_per_tx"] / least["verifications_per_tx"]
        found.append(
            {
                "delay_ms": delay_ms,
                "from": least["validators"],
                "to": most["validators"],
                "ratio": round(ratio, 3),
                "goal": GROWTH_MAX,
                "parts": {
                    name: round(
                        most["parts"][name]["verifications_per_tx"]
                        - least["parts"][name]["verifications_per_tx"],
                        3,
                    )
                    for name in PARTS
                },
            }
        )
    return found


def document(
    cells: Sequence[dict[str, Any]],
    processes: Sequence[dict[str, Any]],
    *,
    command: Sequence[str],
    workload: str,
    seed: int,
    made_at_ms: int,
) -> dict[str, Any]:
    """Everything that was measured, and on what."""
    return {
        "format": FORMAT,
        "command": " ".join(command),
        "made_at_ms": made_at_ms,
        "seed": seed,
        "machine": machine.describe(),
        "workload": workload,
        "notes": NOTES,
        "cells": list(cells),
        "processes": list(processes),
        "growth": growth(cells),
    }


def is_sound(result: dict[str, Any]) -> bool:
    """Whether every network agreed, and gave every transaction the verdict that it had to get."""
    return all(item["check"]["ok"] for item in (*result["cells"], *result["processes"]))


CELL_HEAD = (
    "validators", "delay", "µs/tx", "verif./tx", "messages/block", "bytes/tx", "blocks/s",
    "tx/block", "p50 ms", "p99 ms",
)  # fmt: skip
PROCESS_HEAD = (
    "processes", "rate", "µs/tx", "verif./tx", "blocks/s", "tx/block", "p50 ms", "p99 ms",
)  # fmt: skip


def cell_rows(result: dict[str, Any]) -> list[tuple[object, ...]]:
    """The cells under `CELL_HEAD`."""
    return [
        (
            item["validators"],
            f"{item['delay_ms']:g}",
            round(item["cpu_us_per_tx"]),
            f"{item['verifications_per_tx']:.2f}",
            item["sent"]["messages_per_block"],
            item["sent"]["bytes_per_tx"],
            item["blocks_per_s"],
            item["transactions_per_block"],
            item["latency_ms"]["p50"],
            item["latency_ms"]["p99"],
        )
        for item in result["cells"]
    ]


def process_rows(result: dict[str, Any]) -> list[tuple[object, ...]]:
    """The processes under `PROCESS_HEAD`."""
    return [
        (
            item["validators"],
            item["rate"],
            item["cpu_us_per_tx"]["mean"],
            item["verifications_per_tx"],
            item["blocks_per_s"],
            item["transactions_per_block"],
            item["latency_ms"]["p50"],
            item["latency_ms"]["p99"],
        )
        for item in result["processes"]
    ]


def validators_page(result: dict[str, Any]) -> str:
    """Tables and charts: cost, its parts, messages and latency by the number of validators."""
    title = f"Onward: what {result['workload']} costs by the number of validators"
    known = result["machine"]
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        (
            f"<p><code>{html.escape(result['command'])}</code><br>{known['cores']} cores of "
            f"{html.escape(str(known['cpu']))}, Python {html.escape(known['python'])}, "
            f"commit {html.escape(str(known['commit']))}</p>"
        ),
    ]
    for name, head, rows in (
        ("cells", CELL_HEAD, cell_rows(result)),
        ("processes", PROCESS_HEAD, process_rows(result)),
    ):
        if rows:
            parts += [f"<p>{html.escape(result['notes'][name])}</p>", table(head, rows)]
    parts += [svg(chart) for chart in charts_of(result)]
    return html_page(title, parts)


def charts_of(result: dict[str, Any]) -> list[Chart]:
    """By the number of validators, a line for each delay."""
    cells = result["cells"]
    delays = sorted({item["delay_ms"] for item in cells})

    def lines(value_of: Callable[[dict[str, Any]], float]) -> tuple[Line, ...]:
        return tuple(
            Line(
                name=f"{delay_ms:g} ms",
                points=tuple(
                    (item["validators"], value_of(item))
                    for item in cells
                    if item["delay_ms"] == delay_ms
                ),
            )
            for delay_ms in delays
        )

    found = []
    if cells:
        found = [
            _chart(
                "CPU of a validator for a transaction",
                "verifications",
                lines(lambda item: item["verifications_per_tx"]),
            ),
            _chart(f"Its parts at {delays[0]:g} ms", "verifications", _parts(cells, delays[0])),
            _chart(
                "Messages that a validator sends for a block",
                "messages",
                lines(lambda item: item["sent"]["messages_per_block"]),
            ),
            _chart("Finality, p50", "ms", lines(lambda item: item["latency_ms"]["p50"] or 0)),
            _chart("Finality, p99", "ms", lines(lambda item: item["latency_ms"]["p99"] or 0)),
        ]
    measured = [item for item in result["processes"] if item["verifications_per_tx"] is not None]
    if measured:
        points = tuple((item["validators"], item["verifications_per_tx"]) for item in measured)
        found.append(
            _chart(
                f"CPU of a real process for a transaction, {measured[0]['rate']:g} a second",
                "verifications",
                (Line(name="processes", points=points),),
            )
        )
    return found


def _parts(cells: Sequence[dict[str, Any]], delay_ms: float) -> tuple[Line, ...]:
    ours = [item for item in cells if item["delay_ms"] == delay_ms]
    return tuple(
        Line(
            name=name,
            points=tuple(
                (item["validators"], item["parts"][name]["verifications_per_tx"]) for item in ours
            ),
        )
        for name in (EXECUTION, RULES, VOTES, MESSAGES, DISK)
    )


def _chart(title: str, y_label: str, lines: tuple[Line, ...]) -> Chart:
    return Chart(title=title, x_label="validators", y_label=y_label, lines=lines)


def _us(ns: float, count: int) -> float:
    return round(_per(ns, count) / 1_000, 1)


def _verifications(ns: float, count: int, verify_ns: float) -> float:
    return round(_per(ns, count) / verify_ns, 4)


def _per(amount: float, count: int) -> float:
    return amount / count if count else 0.0
