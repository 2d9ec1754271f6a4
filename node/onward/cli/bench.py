"""`onward bench`: how much a network carries, measured on real processes.

Exit status 0: measured, and the chain holds what was told. 1: something was lost, doubled or judged
otherwise than it must be.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import click
from rich.console import Console

from onward.bench.campaign import QUICK_S, Campaign, best_of
from onward.bench.charts import page
from onward.bench.compare import compare as compare_documents
from onward.bench.faults import Fault, FaultKind
from onward.bench.report import check_document, document, is_sound, main_run
from onward.bench.runner import Bench, RunPlan, own_network
from onward.bench.stories import WORKLOADS
from onward.cli.output import Exit, answer, json_option, plain_table
from onward.demo.perform import ending_signals
from onward.errors import MalformedError, Unavailable
from onward.network.access import now_ms
from onward.network.definition import VALIDATORS_MIN, Network, read_network
from onward.network.processes import running

RESULT_BYTES_MAX = 64 * 1024 * 1024
_TOLD_EVERY_S = 5.0

T = TypeVar("T")
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
                default=1_000.0,
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
        raise click.UsageError("say --quick, or one of: run, sweep, compare")

    async def runs(campaign: Campaign) -> list[dict[str, Any]]:
        return await campaign.quick(QUICK_S)

    _measure(Options(workload="isa", **given), runs, last_is_main=True)


@bench.command()
@_workload
@click.option("--rate", type=click.FloatRange(min=1), help="Transactions a second, open loop.")
@click.option("--closed", type=click.IntRange(min=1), help="So many in flight, closed loop.")
@click.option("--seconds", type=click.FloatRange(1, 3_600), default=30.0, show_default=True)
@click.option("--warm", "warm_s", type=click.FloatRange(0, 600), default=3.0, show_default=True)
@click.option("--tick", "tick_ms", type=click.IntRange(1, 1_000), default=20, show_default=True)
@click.option(
    "--fault",
    "faults",
    type=FaultChoice(),
    multiple=True,
    metavar="KIND:V:AT:FOR",
    help="Kill or freeze validator V at second AT, for FOR seconds: kill:v2:10:5. May be repeated.",
)
@_options
@json_option
def run(
    *,
    workload: str,
    rate: float | None,
    closed: int | None,
    seconds: float,
    warm_s: float,
    tick_ms: int,
    faults: tuple[Fault, ...],
    **given: Any,
) -> None:
    """One run: at a fixed rate, or with a fixed number in flight."""
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
    plan = RunPlan(
        workload=workload,
        rate=rate,
        in_flight=closed or 0,
        rate_guess=3_000.0,
        seconds=seconds,
        warm_s=warm_s,
        tick_ms=tick_ms,
        p99_ms_max=options.p99_ms_max,
        faults=faults,
    )

    async def runs(campaign: Campaign) -> list[dict[str, Any]]:
        return [await campaign.one(plan)]

    _measure(options, runs, last_is_main=True)


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


@bench.command()
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
    _unwind_on_signals()
    progress = _Progress()
    began_ms = now_ms()
    with _network(options, progress) as network:
        found = _in_order(_play(options, network, runs, progress))
    progress.done()
    result = document(
        found,
        main=len(found) - 1 if last_is_main else best_of(found),
        command=["onward", *sys.argv[1:]],
        seed=options.seed,
        validators=len(network.nodes),
        made_at_ms=began_ms,
    )
    if options.out is not None:
        options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if options.charts is not None:
        options.charts.write_text(page([result]), encoding="utf-8")
    code = Exit.YES if all(is_sound(item) for item in found) else Exit.NO
    answer(result, lambda out: show_result(out, result), code=code)


@contextmanager
def _network(options: Options, progress: _Progress) -> Iterator[Network]:
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
    options: Options, network: Network, runs: Runs, progress: _Progress
) -> list[dict[str, Any]]:
    bench_of_network = Bench(
        network, seed=options.seed, progress=progress, alone=options.network is None
    )
    await bench_of_network.ready()
    campaign = Campaign(
        bench=bench_of_network,
        workload=options.workload,
        progress=progress,
        told=progress.told,
        p99_ms_max=options.p99_ms_max,
    )
    return await runs(campaign)


class _Progress:
    """What is going on, on stderr: one line that is written anew, or a line now and then."""

    def __init__(self) -> None:
        self._alive = sys.stderr.isatty()
        self._next_s = 0.0

    def __call__(self, text: str) -> None:
        now_s = time.monotonic()
        if self._alive:
            click.echo(f"\r\x1b[K{text}", err=True, nl=False)
        elif now_s >= self._next_s:
            self._next_s = now_s + _TOLD_EVERY_S
            click.echo(text, err=True)

    def told(self, run_: dict[str, Any]) -> None:
        """A run is over."""
        self.done()
        click.echo(_sentence(run_), err=True)
        self._next_s = 0.0

    def done(self) -> None:
        """Leave no line behind."""
        if self._alive:
            click.echo("\r\x1b[K", err=True, nl=False)


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


def _unwind_on_signals() -> None:
    """A signal unwinds, so that the processes of the network end with us."""
    for number in ending_signals():
        signal.signal(number, _end_in_order)


def _end_in_order(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _in_order(work: Coroutine[Any, Any, T]) -> T:
    """Run, and let a signal cancel: one that unwound in the middle of a call would crash gRPC."""
    came: list[int] = []

    async def run() -> T:
        running = asyncio.current_task()

        def end(number: int) -> None:
            came.append(number)
            if running is not None:
                running.cancel()

        for number in ending_signals():
            asyncio.get_running_loop().add_signal_handler(number, end, number)
        return await work

    try:
        return asyncio.run(run())
    except asyncio.CancelledError:
        sys.exit(128 + came[0] if came else Exit.UNAVAILABLE)
    finally:
        _unwind_on_signals()
