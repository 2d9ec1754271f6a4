"""`onward bench validators`: what a transaction costs each validator, by how many there are."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import click
from rich.console import Console

from onward.bench.report import run_document
from onward.bench.runner import Bench, RunPlan, own_network
from onward.bench.stories import WORKLOADS
from onward.bench.validators_campaign import (
    CELL_HEAD,
    PROCESS_HEAD,
    cell_rows,
    document,
    is_sound,
    measure_cell,
    process_cell,
    process_rows,
    validators_page,
)
from onward.bench.virtual_run import VirtualPlan, verification_ns
from onward.cli.measuring import Progress, write_result
from onward.cli.output import Exit, answer, json_option, plain_table
from onward.limits import VALIDATORS_MAX
from onward.network.access import now_ms
from onward.network.definition import VALIDATORS_MIN
from onward.network.ending import in_order, unwind_on_signals

DELAY_MS_MAX = 1_000
_SAMPLE_EVERY_S = 0.5
_WORKLOADS = sorted(
    name for name, item in WORKLOADS.items() if not item.queries_per_write and item.bodies_max == 1
)


class Numbers(click.ParamType[tuple[float, ...]]):
    """`4,7,10`: numbers within bounds, each once."""

    name = "numbers"

    def __init__(self, read: Callable[[str], float], low: float, high: float) -> None:
        self._read = read
        self._low = low
        self._high = high

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """The numbers in the text, ascending."""
        if isinstance(value, tuple):
            return value
        try:
            found = sorted({self._read(item) for item in str(value).split(",")})
        except ValueError:
            self.fail(f"{value!r}: expected numbers with commas between them", param, ctx)
        if not all(self._low <= item <= self._high for item in found):
            self.fail(f"{value!r}: from {self._low:g} to {self._high:g}", param, ctx)
        return tuple(found)


@click.command(short_help="What a transaction costs each of 4 to 16 validators.")
@click.option(
    "--sizes", type=Numbers(int, VALIDATORS_MIN, VALIDATORS_MAX), default="4,7,10,16",
    show_default=True, metavar="N,…", help="How many validators.",
)  # fmt: skip
@click.option(
    "--delay-ms", "delays_ms", type=Numbers(float, 0.0, float(DELAY_MS_MAX)), default="5,25",
    show_default=True, metavar="MS,…", help="How long a message takes.",
)  # fmt: skip
@click.option("--workload", type=click.Choice(_WORKLOADS), default="isa", show_default=True)
@click.option(
    "--rate", type=click.FloatRange(1, 5_000), default=500.0, show_default=True,
    help="Transactions in a second of virtual time.",
)  # fmt: skip
@click.option(
    "--seconds", type=click.FloatRange(0.5, 600), default=5.0, show_default=True,
    help="Virtual ones; of real ones with --processes.",
)  # fmt: skip
@click.option("--warm", "warm_s", type=click.FloatRange(0, 60), default=1.0, show_default=True)
@click.option(
    "--repeat", type=click.IntRange(1, 20), default=3, show_default=True,
    help="How often one validator's turns are clocked; the best counts.",
)  # fmt: skip
@click.option(
    "--processes", is_flag=True, help="Real processes instead, without delay, at a modest --rate."
)
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
def validators(
    *,
    sizes: tuple[int, ...],
    delays_ms: tuple[float, ...],
    processes: bool,
    repeat: int,
    seed: int,
    out: Path | None,
    charts: Path | None,
    **given: Any,
) -> None:
    """What a transaction costs each validator of a small and of a large network.

    One process plays all validators on a virtual clock, with a delay on every wire; each has a core
    to itself. With --processes: real ones, which share this machine.
    """
    unwind_on_signals()
    progress = Progress()
    began_ms = now_ms()
    cells: list[dict[str, Any]] = []
    measured: list[dict[str, Any]] = []
    if processes:
        for size in sizes:
            measured.append(_measured(RunPlan(**given), size, seed, progress))
            progress.told(_sentence(measured[-1], measured[-1]["cpu_us_per_tx"]["mean"]))
    else:
        for size, delay_ms in ((size, delay) for delay in delays_ms for size in sizes):
            progress(f"{size} validators, {delay_ms:g} ms between them")
            plan = VirtualPlan(validators=size, delay_ms=delay_ms, seed=seed, **given)
            cells.append(measure_cell(plan, repeat=repeat))
            progress.told(_sentence(cells[-1], cells[-1]["cpu_us_per_tx"]))
    progress.done()
    result = document(
        cells,
        measured,
        command=["onward", *sys.argv[1:]],
        workload=given["workload"],
        seed=seed,
        made_at_ms=began_ms,
    )
    write_result(result, validators_page(result), out=out, charts=charts)
    code = Exit.YES if is_sound(result) else Exit.NO
    answer(result, lambda console: _show(console, result), code=code)


def _measured(plan: RunPlan, size: int, seed: int, progress: Progress) -> dict[str, Any]:
    """A run of real processes, and what a verification costs beside them."""
    units: list[float] = []

    async def sample() -> None:
        while True:
            units.append(verification_ns())
            await asyncio.sleep(_SAMPLE_EVERY_S)

    with own_network(size, progress) as network:

        async def run() -> dict[str, Any]:
            bench = Bench(network, seed=seed, progress=progress)
            await bench.ready()
            sampling = asyncio.create_task(sample())
            try:
                found = run_document(await bench.run(plan))
            finally:
                sampling.cancel()
            return process_cell(found, median(units))

        return in_order(run())


def _sentence(item: dict[str, Any], cost_us: float | None) -> str:
    where = f", {item['delay_ms']:g} ms" if "delay_ms" in item else " as processes"
    return (
        f"{item['validators']} validators{where}: {cost_us} µs per transaction, "
        f"{item['verifications_per_tx']} verifications, p50 {item['latency_ms']['p50']} ms"
    )


def _show(out: Console, result: dict[str, Any]) -> None:
    for head, rows in ((CELL_HEAD, cell_rows(result)), (PROCESS_HEAD, process_rows(result))):
        if rows:
            table = plain_table(*head, right=head)
            for row in rows:
                table.add_row(*("-" if item is None else str(item) for item in row))
            out.print(table)
    for item in result["growth"]:
        out.print(
            f"{item['delay_ms']:g} ms: {item['from']} to {item['to']} validators cost "
            f"{item['ratio']:.2f} times as much each; the goal is {item['goal']}"
        )
    for item in (*result["cells"], *result["processes"]):
        for complaint in item["check"]["complaints"]:
            out.print(f"  {item['validators']} validators: {complaint}")
