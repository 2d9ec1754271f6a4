"""`onward bench`: how much a network carries, measured on real processes.

Exit status 0: measured, and the chain holds what was told. 1: something was lost, doubled or judged
otherwise than it must be.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from onward.bench.campaign import QUICK_S, Campaign, best_of
from onward.bench.charts import page
from onward.bench.compare import compare as compare_documents
from onward.bench.faults import Fault, FaultKind, liars
from onward.bench.report import check_document, document, is_sound, main_run
from onward.bench.runner import P99_MS_MAX, SIGNED_PER_S, Bench, RunPlan, own_network
from onward.bench.stories import WORKLOADS
from onward.cli.bench_faults import faults as faults_command
from onward.cli.bench_growth import grow_network, growth
from onward.cli.bench_validators import validators as validators_command
from onward.cli.measuring import Progress, write_result
from onward.cli.output import Exit, answer, json_option, plain_table
from onward.errors import MalformedError, Unavailable
from onward.network.access import now_ms
from onward.network.definition import VALIDATORS_MIN, Network, read_network
from onward.network.ending import in_order, unwind_on_signals
from onward.network.processes import running

RESULT_BYTES_MAX = 64 * 1024 * 1024

Runs = Callable[[Campaign], Awaitable[list[dict[str, Any]]]]


class FaultChoice(click.ParamType[Fault]):
    """`KIND:V:AT:FOR`."""

    name = "fault"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Fault:
        """The fault in the text."""
        if isinstance(value, Fault):
            return value
        try:
            kind, validator, at, lasts = str(value).split(":")
            fault = Fault(
                kind=FaultKind(kind), validator=validator, at_s=float(at), for_s=float(lasts)
            )
        except ValueError:
            self.fail(f"{value!r}: expected something like kill:v2:10:5", param, ctx)
        if not (fault.at_s >= 0 and fault.for_s >= 0):
            self.fail(f"{value!r}: times from 0 on", param, ctx)
        return fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What all measuring commands take."""

    validators: int
    network: Path | None
    seed: int
    workload: str
    p99_ms_max: float
    keep: Path | None
    out: Path | None
    charts: Path | None


def _options(command: Any) -> Any:
    """Add the options of `Options`, but for the workload."""
    for option in reversed(
        (
            click.option(
                "--validators",
                type=click.IntRange(VALIDATORS_MIN, 25),
                default=VALIDATORS_MIN,
                show_default=True,
                help="How many validators to start.",
            ),
            click.option(
                "--network",
                metavar="DIR",
                type=click.Path(path_type=Path, exists=True, file_okay=False),
                help="Measure this running network of this machine instead.",
            ),
            click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True),
            click.option(
                "--p99-max",
                "p99_ms_max",
                type=click.FloatRange(min=1),
                default=P99_MS_MAX,
                show_default=True,
                metavar="MS",
                help="A rate holds up to this p99 latency.",
            ),
            click.option(
                "--keep",
                metavar="DIR",
                type=click.Path(path_type=Path),
                help="Leave the network that is started, with its logs, in DIR (new or empty).",
            ),
            click.option(
                "--out",
                metavar="FILE",
                type=click.Path(path_type=Path, dir_okay=False),
                help="Write the result document here too.",
            ),
            click.option(
                "--charts",
                metavar="FILE",
                type=click.Path(path_type=Path, dir_okay=False),
                help="Write a page of charts (HTML).",
            ),
        )
    ):
        command = option(command)
    return command


_workload = click.option(
    "--workload", type=click.Choice(sorted(WORKLOADS)), default="isa", show_default=True
)


@click.group(invoke_without_command=True)
@click.option("--quick", is_flag=True, help="A short ramp and one run, within three minutes.")
@_options
@json_option
@click.pass_context
def bench(ctx: click.Context, /, *, quick: bool, **given: Any) -> None:
    """Measure a network of real validators under load.

    It starts the validators and a load generator, each a process of its own, counts what was
    finalized, executed and accepted, and compares with the chain at the end. `limit_ratio` is what
    it reached of what verifying signatures alone would allow on this machine.
    """
    if ctx.invoked_subcommand is not None:
        return
    if not quick:
        raise click.UsageError(
            "say --quick, or one of: run, sweep, compare, faults, growth, grow, validators"
        )

    async def runs(campaign: Campaign) -> list[dict[str, Any]]:
        return await campaign.quick(QUICK_S)

    _measure(Options(workload="isa", **given), runs, last_is_main=True)


@bench.command()
@_workload
@click.option("--rate", type=click.FloatRange(min=1), help="Envelopes a second, open loop.")
@click.option("--closed", type=click.IntRange(min=1), help="So many in flight, closed loop.")
@click.option(
    "--sign",
    "signed_per_s",
    type=click.FloatRange(min=1),
    default=SIGNED_PER_S,
    show_default=True,
    metavar="N",
    help="Envelopes to sign for each second of a closed loop.",
)
@click.option("--seconds", type=click.FloatRange(1, 3_600), default=30.0, show_default=True)
@click.option("--warm", "warm_s", type=click.FloatRange(0, 600), default=3.0, show_default=True)
@click.option("--tick", "tick_ms", type=click.IntRange(1, 1_000), default=20, show_default=True)
@click.option(
    "--fault",
    "faults",
    type=FaultChoice(),
    multiple=True,
    metavar="KIND:V:AT:FOR",
    help="Kill, freeze, slow down validator V or have it equivocate at second AT, for FOR seconds: "
    "kill:v2:10:5. May be repeated.",
)
@_options
@json_option
def run(
    *,
    workload: str,
    rate: float | None,
    closed: int | None,
    signed_per_s: float,
    seconds: float,
    warm_s: float,
    tick_ms: int,
    faults: tuple[Fault, ...],
    **given: Any,
) -> None:
    """One run: at a fixed rate, or with a fixed number in flight.

    An envelope carries one transaction, but in bulk, where most carry ten.
    """
    if faults and WORKLOADS[workload].queries_per_write:
        raise click.UsageError(
            f"{workload} has queries, which do not move on to the next validator"
        )
    if any(item.at_s + item.for_s > seconds for item in faults):
        raise click.UsageError(f"--fault: it has to be over within the {seconds:g} s of the run")
    if (rate is None) == (closed is None):
        raise click.UsageError("say either --rate R or --closed N")
    if closed is not None and WORKLOADS[workload].queries_per_write:
        raise click.UsageError(f"{workload} has queries, which need --rate")
    options = Options(workload=workload, **given)
    if options.network is not None and liars(faults):
        raise click.UsageError("equivocate: only in a network that the benchmark starts")
    plan = RunPlan(
        workload=workload,
        rate=rate,
        in_flight=closed or 0,
        rate_guess=signed_per_s,
        seconds=seconds,
        warm_s=warm_s,
        tick_ms=tick_ms,
        p99_ms_max=options.p99_ms_max,
        faults=faults,
    )

    async def runs(campaign: Campaign) -> list[dict[str, Any]]:
        return [await campaign.one(plan)]

    _measure(options, runs, last_is_main=True)


bench.add_command(faults_command)
bench.add_command(growth)
bench.add_command(grow_network)
bench.add_command(validators_command)


@bench.command()
@_workload
@click.option("--seconds", type=click.FloatRange(1, 3_600), default=30.0, show_default=True)
@_options
@json_option
def sweep(*, workload: str, seconds: float, **given: Any) -> None:
    """Find the highest rate that holds: steps up, then halving."""

    async def runs(campaign: Campaign) -> list[dict[str, Any]]:
        return await campaign.sweep(seconds)

    _measure(Options(workload=workload, **given), runs, last_is_main=False)


@bench.command(short_help="What changed from one result to another.")
@click.argument("before", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("after", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@json_option
def compare(before: Path, after: Path) -> None:
    """What changed from one result to another: ratios of their main runs, with their spread.

    The spread is a 95 % interval over the windows of each run.
    """
    found = compare_documents(_read(before), _read(after))

    def show(out: Console) -> None:
        table = plain_table("", "before", "after", "ratio", "95 %", right=("before", "after"))
        for row in found["figures"]:
            low, high = row["interval"]
            clear = "" if low <= 1 <= high else "  *"
            table.add_row(
                row["name"],
                f"{row['before']:,.4g}",
                f"{row['after']:,.4g}",
                f"{row['ratio']:.3f}",
                f"{low:.3f} to {high:.3f}{clear}",
            )
        out.print(table)
        for note in found["notes"]:
            out.print(note)

    answer(found, show)


# -- measuring -------------------------------------------------------------------------------------


def _measure(options: Options, runs: Runs, *, last_is_main: bool) -> None:
    """Run, write what is asked for, answer."""
    unwind_on_signals()
    progress = Progress()
    began_ms = now_ms()
    with _network(options, progress) as network:
        found = in_order(_play(options, network, runs, progress))
    progress.done()
    result = document(
        found,
        main=len(found) - 1 if last_is_main else best_of(found),
        command=["onward", *sys.argv[1:]],
        seed=options.seed,
        validators=len(network.nodes),
        made_at_ms=began_ms,
    )
    write_result(result, page([result]), out=options.out, charts=options.charts)
    code = Exit.YES if all(is_sound(item) for item in found) else Exit.NO
    answer(result, lambda out: show_result(out, result), code=code)


@contextmanager
def _network(options: Options, progress: Progress) -> Iterator[Network]:
    """The network to measure: one of our own, or one that runs."""
    if options.network is None:
        with own_network(options.validators, progress, options.keep) as network:
            yield network
        return
    network = read_network(options.network)
    missing = [node.name for node in network.nodes if running(node) is None]
    if missing:
        raise Unavailable(
            f"{', '.join(missing)} not running; `onward network up {options.network}` starts them"
        )
    yield network


async def _play(
    options: Options, network: Network, runs: Runs, progress: Progress
) -> list[dict[str, Any]]:
    bench_of_network = Bench(
        network, seed=options.seed, progress=progress, alone=options.network is None
    )
    await bench_of_network.ready()
    campaign = Campaign(
        bench=bench_of_network,
        workload=options.workload,
        progress=progress,
        told=lambda run_: progress.told(_sentence(run_)),
        p99_ms_max=options.p99_ms_max,
    )
    return await runs(campaign)


def _sentence(run_: dict[str, Any]) -> str:
    aim = f"{run_['rate']:.0f}/s" if run_["rate"] else f"{run_['in_flight']} in flight"
    latency = run_["latency_ms"]
    verdict = "holds" if run_["holds"] else f"does not hold: {'; '.join(run_['complaints'])}"
    return (
        f"{run_['workload']} at {aim}: {run_['throughput']['settled_per_s']:.0f} settled a second, "
        f"limit ratio {run_['limit_ratio']:.3f}, p50 {latency['p50']} ms, p99 {latency['p99']} ms; "
        f"{verdict}"
    )


def show_result(out: Console, result: dict[str, Any]) -> None:
    """A result document for people."""
    table = plain_table(
        "workload", "rate", "settled/s", "signatures/s", "limit ratio", "p50 ms", "p99 ms",
        "p99.9 ms", "CPU µs/tx", "generator", "holds",
        right=("rate", "settled/s", "signatures/s", "limit ratio", "p50 ms", "p99 ms", "p99.9 ms",
               "CPU µs/tx", "generator"),
    )  # fmt: skip
    for item in result["runs"]:
        latency, cpu = item["latency_ms"], item["cpu_us_per_tx"]
        table.add_row(
            item["workload"],
            "closed" if item["rate"] is None else f"{item['rate']:.0f}",
            f"{item['throughput']['settled_per_s']:.0f}",
            f"{item['throughput']['signatures_per_s']:.0f}",
            f"{item['limit_ratio']:.3f}",
            *(_whole(latency[part]) for part in ("p50", "p99", "p999")),
            _whole(cpu["validators"]),
            _whole(cpu["generator"]),
            "yes" if item["holds"] else "no",
        )
    out.print(table)
    main = main_run(result)
    out.print()
    out.print(f"limit ratio {result['limit_ratio']} of the run at {main['rate'] or 'closed loop'}")
    by_cpu = main.get("limit_ratio_cpu")
    if by_cpu is not None:
        taken = main.get("host_taken")
        part = "an unknown part" if taken is None else f"{taken:.1%}"
        out.print(f"in processor time {by_cpu}; the host took {part} of the processors away")
    known = result["machine"]
    out.print(f"{known['cores']} cores of {known['cpu']}, Python {known['python']}")
    for item in result["runs"]:
        for complaint in item["complaints"]:
            out.print(f"  {item['rate'] or 'closed loop'}: {complaint}")


def _whole(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def _read(file: Path) -> dict[str, Any]:
    if file.stat().st_size > RESULT_BYTES_MAX:
        raise MalformedError(f"{file}: more than {RESULT_BYTES_MAX} bytes")
    try:
        return check_document(json.loads(file.read_text(encoding="utf-8")))
    except ValueError as error:
        raise MalformedError(f"{file}: not JSON: {error}") from None
    except MalformedError as error:
        raise MalformedError(f"{file}: {error}") from None
