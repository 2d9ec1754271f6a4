"""`onward bench growth` and `onward bench grow`: what a long chain costs, and how to get one."""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from onward.bench.grown import Grown, GrowthPlan, grow
from onward.bench.growth import (
    FORMAT,
    Measuring,
    Stand,
    copied,
    document,
    expected_after,
    measure,
    own_stand,
    size_document,
    weigh,
)
from onward.bench.growth_charts import growth_page, growth_table
from onward.bench.homes import copy_data
from onward.bench.receipt_sample import draw_receipts, measured
from onward.bench.report import is_sound
from onward.bench.runner import CONTRACTS, SIGNED_PER_S
from onward.bench.stories import WORKLOADS
from onward.cli.measuring import Progress, write_result
from onward.cli.output import Exit, UsageFault, answer, json_option, plain_table
from onward.cli.target import read_file
from onward.errors import Unavailable
from onward.network.access import now_ms
from onward.network.definition import (
    NETWORK_NAME,
    VALIDATORS_MIN,
    create_network,
    read_network,
)
from onward.network.ending import in_order, unwind_on_signals
from onward.network.processes import running, stop
from onward.runtime.home import DATA_NAME, GENESIS_NAME

_WORKLOADS = sorted(
    name
    for name, item in WORKLOADS.items()
    if not item.queries_per_write and item.bodies_max == 1 and (item.contract, 1) in CONTRACTS
)
_GC_THRESHOLDS = (50_000, 20, 50)
_DOCUMENT_BYTES_MAX = 16 * 1024 * 1024
_SIZES = "0,10000,100000,1000000"

_workload = click.option(
    "--workload", type=click.Choice(_WORKLOADS), default="isa", show_default=True
)
_seed = click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
_validators = click.option(
    "--validators",
    type=click.IntRange(VALIDATORS_MIN, 25),
    default=VALIDATORS_MIN,
    show_default=True,
)


class Sizes(click.ParamType[tuple[int, ...]]):
    """`0,10000,100000`."""

    name = "sizes"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """The numbers in the text."""
        if isinstance(value, tuple):
            return value
        try:
            found = tuple(int(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r}: expected something like {_SIZES}", param, ctx)
        if list(found) != sorted(set(found)) or found[0] < 0:
            self.fail(f"{value!r}: expected numbers from 0 on that ascend", param, ctx)
        return found


@click.command()
@click.option(
    "--sizes", type=Sizes(), default=_SIZES, show_default=True, metavar="N,…",
    help="Transactions on the chain when it is measured.",
)  # fmt: skip
@click.option("--closed", "in_flight", type=click.IntRange(min=1), default=1_024, show_default=True)
@click.option(
    "--rate", type=click.FloatRange(min=1),
    help="Of the second load, transactions a second.  [default: half of what the first closed loop "
    "takes]",
)  # fmt: skip
@click.option(
    "--sign", "signed_per_s", type=click.FloatRange(min=1), default=SIGNED_PER_S, show_default=True,
    metavar="N", help="Transactions to sign for each second of the first closed loop.",
)  # fmt: skip
@click.option("--seconds", type=click.FloatRange(1, 3_600), default=30.0, show_default=True)
@click.option("--warm", "warm_s", type=click.FloatRange(0, 600), default=3.0, show_default=True)
@_workload
@_validators
@_seed
@click.option(
    "--keep", metavar="DIR", type=click.Path(path_type=Path, file_okay=False),
    help="Leave the chain in DIR, and go on with one that was left there.",
)  # fmt: skip
@click.option(
    "--onto", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Put the sizes of this earlier document first: ratios are to its smallest.",
)  # fmt: skip
@click.option(
    "--out", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
    help="Write the result document here too, after each size.",
)  # fmt: skip
@click.option(
    "--charts", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
    help="Write a page of charts (HTML).",
)  # fmt: skip
@json_option
def growth(
    *,
    sizes: tuple[int, ...],
    signed_per_s: float,
    validators: int,
    keep: Path | None,
    onto: Path | None,
    out: Path | None,
    charts: Path | None,
    **given: Any,
) -> None:
    """The same measurement on ever longer chains.

    A chain is grown offline; at each size all validators get a copy of it and are measured under a
    closed loop and at a fixed rate.
    """
    plan = Measuring(**given)
    unwind_on_signals()
    progress = Progress()
    began_ms = now_ms()
    found = _earlier(onto, sizes)
    result: dict[str, Any] = {}
    with own_stand(validators, keep) as stand:
        for size in sizes:
            grown = _grown(stand, plan, size, progress)
            entry, signed_per_s, rate = _size(stand, plan, grown, signed_per_s, progress)
            plan = Measuring(**{**given, "rate": rate})
            found.append(entry)
            result = document(
                found,
                command=["onward", *sys.argv[1:]],
                plan=plan,
                validators=len(stand.network.nodes),
                made_at_ms=began_ms,
            )
            write_result(result, growth_page(result), out=out, charts=charts)
            progress.told(_sentence(entry))
    progress.done()
    sound = all(is_sound(run) for size in found for run in size["runs"].values())
    answer(result, lambda console: _show(console, result), code=Exit.YES if sound else Exit.NO)


@click.command(name="grow", short_help="Make a network whose chain is long already.")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--transactions", type=click.IntRange(min=0), required=True, help="How many it has in the end."
)
@_workload
@_validators
@_seed
@json_option
def grow_network(
    *, folder: Path, transactions: int, workload: str, validators: int, seed: int
) -> None:
    """Make a network in DIR whose chain is long already; `onward network up DIR` starts it.

    Where DIR holds a network that was made so and never started, its chain grows on.
    """
    unwind_on_signals()
    progress = Progress()
    if (folder / NETWORK_NAME).is_file():
        network = read_network(folder)
        up = [node.name for node in network.nodes if running(node) is not None]
        if up:
            raise Unavailable(f"{', '.join(up)} running; `onward network down {folder}` stops them")
    else:
        network = create_network(
            folder, validators=validators, time_ms=now_ms(), name="bench", contracts=CONTRACTS
        )
    first, *others = (node.home / DATA_NAME for node in network.nodes)
    grown = _grow(
        Stand(network=network, chain=first),
        GrowthPlan(transactions=transactions, seed=seed, workload=workload),
        progress,
    )
    for data in others:
        copy_data(first, data)
    progress.done()
    found = {
        "folder": str(folder),
        "transactions": grown.transactions,
        "height": grown.height,
        "added": grown.added,
        "seconds": grown.seconds,
    }
    answer(
        found,
        lambda out: out.print(
            f"{folder}: {grown.transactions:,} transactions in {grown.height:,} blocks at "
            f"{len(network.nodes)} validators, {grown.added:,} of them new in {grown.seconds:.0f} s"
        ),
    )


def _earlier(file: Path | None, sizes: tuple[int, ...]) -> list[dict[str, Any]]:
    """The sizes of an earlier document, all below those that are measured now."""
    if file is None:
        return []
    known = json.loads(read_file(file, _DOCUMENT_BYTES_MAX))
    if known.get("format") != FORMAT:
        raise UsageFault(f"{file} is no document of {FORMAT}")
    found: list[dict[str, Any]] = known["sizes"]
    if found[-1]["transactions"] >= sizes[0]:
        raise UsageFault(f"{file} goes up to {found[-1]['transactions']}: ask for more than that")
    return found


def _grown(stand: Stand, plan: Measuring, size: int, progress: Progress) -> Grown:
    wanted = GrowthPlan(transactions=size, seed=plan.seed, workload=plan.workload)
    return _grow(stand, wanted, progress)


def _grow(stand: Stand, wanted: GrowthPlan, progress: Progress) -> Grown:
    """As a node does it: what lives long is not looked at by the garbage collector again."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    try:
        return grow(stand.network, stand.chain, wanted, progress)
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def _size(
    stand: Stand, plan: Measuring, grown: Grown, signed_per_s: float, progress: Progress
) -> tuple[dict[str, Any], float, float]:
    """Measure one size; with what the next closed loop is signed for, and the fixed rate."""
    with copied(stand) as network:
        taken = in_order(measure(network, plan, signed_per_s, progress))
        progress("drawing receipts")
        stop(network.nodes)
        data = network.nodes[0].home / DATA_NAME
        genesis = (network.folder / GENESIS_NAME).read_bytes()
        sampled = draw_receipts(data, network.genesis, height=grown.height, seed=plan.seed)
        entry = size_document(
            grown,
            taken,
            weigh(data, sampled.transactions),
            measured(sampled.receipts, genesis),
        )
    return entry, expected_after(taken), float(taken.at_rate["rate"])


def _sentence(size: dict[str, Any]) -> str:
    figures, grown = size["figures"], size["grown"]
    pace = f", {grown['added'] / grown['seconds']:.0f} a second" if grown["added"] else ""
    return (
        f"{size['transactions']:,} transactions (grown in {grown['seconds']:.0f} s{pace}): "
        f"{figures['settled_per_s']:.0f} settled a second, {figures['cpu_verifications']} "
        f"verifications of CPU each, p50 {figures['p50_ms']} ms, start {figures['boot_s']} s"
    )


def _show(out: Console, result: dict[str, Any]) -> None:
    head, rows = growth_table(result)
    table = plain_table(*head, right=tuple(head[1:]))
    for row in rows:
        table.add_row(*("-" if item is None else item for item in row))
    out.print(table)
    for size in result["sizes"]:
        for name, run in size["runs"].items():
            for complaint in run["complaints"]:
                out.print(f"  {size['transactions']:,}, {name}: {complaint}")
