"""`onward bench faults`: the same load with nothing wrong, and under one fault after the other."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from onward.bench.fault_campaign import (
    BASELINE,
    HEAD,
    KINDS,
    FaultsPlan,
    document,
    fault_page,
    rows,
)
from onward.bench.report import is_sound, run_document
from onward.bench.runner import Bench, RunPlan, own_network
from onward.bench.stories import WORKLOADS
from onward.cli.measuring import Progress, write_result
from onward.cli.output import Exit, answer, json_option, plain_table
from onward.network.access import now_ms
from onward.network.definition import VALIDATORS_MIN
from onward.network.ending import in_order, unwind_on_signals

_WORKLOADS = sorted(name for name, item in WORKLOADS.items() if not item.queries_per_write)
_TIME = click.FloatRange(1, 600)


@click.command(short_help="A load, and what one faulty validator does to it.")
@click.option("--rate", type=click.FloatRange(min=1), required=True, help="Transactions a second.")
@click.option("--workload", type=click.Choice(_WORKLOADS), default="isa", show_default=True)
@click.option("--before", "before_s", type=_TIME, default=15.0, show_default=True, metavar="S")
@click.option("--during", "during_s", type=_TIME, default=20.0, show_default=True, metavar="S")
@click.option("--after", "after_s", type=_TIME, default=25.0, show_default=True, metavar="S")
@click.option(
    "--only", "kinds", type=click.Choice(KINDS), multiple=True, help="This one. May be repeated."
)
@click.option("--validator", default="v2", show_default=True, help="To which of them it happens.")
@click.option(
    "--validators", type=click.IntRange(VALIDATORS_MIN, 25), default=VALIDATORS_MIN,
    show_default=True, help="How many validators to start.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option(
    "--out", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
    help="Write the result document here too.",
)  # fmt: skip
@click.option(
    "--charts", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
    help="Write a page of charts (HTML).",
)  # fmt: skip
@json_option
def faults(
    *,
    kinds: tuple[str, ...],
    validators: int,
    seed: int,
    out: Path | None,
    charts: Path | None,
    **given: Any,
) -> None:
    """A load with one validator killed, frozen, slowed down, and lying.

    Each fault is measured on a fresh network, and one run is without any. Exit status 0: the honest
    validators agree afterwards with what was told, each time.
    """
    plan = FaultsPlan(**given)
    if plan.validator not in {f"v{number}" for number in range(1, validators + 1)}:
        raise click.UsageError(f"--validator: there are v1 to v{validators}")
    unwind_on_signals()
    progress = Progress()
    began_ms = now_ms()
    found = []
    for kind in KINDS:
        if kinds and kind not in kinds:
            continue
        run = _measured(plan.run_under(kind), validators, seed, progress)
        name = "no fault" if kind == BASELINE else kind
        progress.told(f"{name}: {run['throughput']['settled_per_s']} settled a second")
        found.append((kind, run))
    progress.done()
    result = document(
        plan,
        found,
        command=["onward", *sys.argv[1:]],
        seed=seed,
        validators=validators,
        made_at_ms=began_ms,
    )
    write_result(result, fault_page(result), out=out, charts=charts)
    code = Exit.YES if all(is_sound(run) for _, run in found) else Exit.NO
    answer(result, lambda console: _show(console, result), code=code)


def _measured(plan: RunPlan, validators: int, seed: int, progress: Progress) -> dict[str, Any]:
    with own_network(validators, progress) as network:

        async def run() -> dict[str, Any]:
            bench = Bench(network, seed=seed, progress=progress)
            await bench.ready()
            return run_document(await bench.run(plan))

        return in_order(run())


def _show(out: Console, result: dict[str, Any]) -> None:
    table = plain_table(*HEAD, right=HEAD[1:-1])
    for row in rows(result):
        table.add_row(*("-" if item is None else str(item) for item in row))
    out.print(table)
