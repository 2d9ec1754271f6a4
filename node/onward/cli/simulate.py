"""`onward simulate`: many seeds and a report, or one seed event by event.

Exit status 0: every seed is clean. 1: a seed broke a promise, or something that should occur never
did. 2: wrong usage.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import click

from onward.cli.output import writing
from onward.simulation.campaign import run_campaign
from onward.simulation.mutants import MUTANTS
from onward.simulation.plan import Plan, Settings
from onward.simulation.report import Report
from onward.simulation.run import Result
from onward.simulation.shrink import regression_test
from onward.simulation.shrink import shrink as shrink_plan

SEEDS_MAX = 1_000_000
VALIDATORS = (4, 25)
LINES_MAX = 100
"""So many lines tell how far a campaign is, however long it is."""


class SeedRange(click.ParamType[range]):
    """`A:B`, the seeds from A to B - 1."""

    name = "A:B"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> range:
        """The range in the text."""
        if isinstance(value, range):
            return value
        first, colon, end = str(value).partition(":")
        if not (colon and first.isdecimal() and end.isdecimal()) or int(first) >= int(end):
            self.fail(f"{value!r}: expected A:B with A below B, such as 0:300", param, ctx)
        if int(end) - int(first) > SEEDS_MAX:
            self.fail(f"more than {SEEDS_MAX} seeds", param, ctx)
        return range(int(first), int(end))


@click.command()
@click.option("--seeds", type=SeedRange(), help="Run the seeds from A to B - 1.")
@click.option("--seed", type=click.IntRange(min=0), help="Run one seed and tell every event.")
@click.option("--jobs", type=click.IntRange(1, 256), default=1, show_default=True)
@click.option("--mutant", type=click.Choice(sorted(MUTANTS)), help="Plant this bug first.")
@click.option(
    "--validators",
    type=click.IntRange(*VALIDATORS),
    help="How many in each network; else most have 4, some 5 or 7.",
)
@click.option(
    "--shrink",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Cut the failing --seed down to what matters, and write it to this file as a test.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def simulate(
    seeds: range | None,
    seed: int | None,
    jobs: int,
    *,
    mutant: str | None,
    validators: int | None,
    shrink: Path | None,
    as_json: bool,
) -> None:
    """Run seeded networks of validators through faults and liars, and check every promise.

    The same seed does the same thing on every machine. A seed that fails is printed with the
    command that replays it.
    """
    settings = Settings(mutant=mutant or "", validators=validators)
    if (seeds is None) == (seed is None):
        raise click.UsageError("say either --seeds A:B or --seed N")
    if shrink is not None:
        if seed is None:
            raise click.UsageError("--shrink takes one --seed")
        sys.exit(_shrink(settings.plan(seed), shrink))
    if seed is not None:
        sys.exit(_replay(settings.plan(seed), as_json=as_json))
    report = run_campaign(
        seeds or range(0),
        jobs,
        settings=settings,
        progress=_Progress(len(seeds or ()), settings),
        stop_at_failure=mutant is not None,
    )
    if as_json:
        click.echo(json.dumps(report.as_json(), indent=2))
    else:
        _print_report(report)
    if report.interrupted:
        raise KeyboardInterrupt
    sys.exit(0 if report.is_clean else 1)


def _replay(plan: Plan, *, as_json: bool) -> int:
    seed, result = plan.seed, plan.run(None if as_json else click.echo)
    if as_json:
        document = {
            "seed": seed,
            "failure": result.failure,
            "audit": result.audit,
            "blocks": result.blocks,
            "bodies": result.bodies,
            "simulated_ms": result.simulated_ms,
            "totals": result.counts,
        }
        click.echo(json.dumps(document, indent=2))
    else:
        click.echo(f"seed {seed}: {result.failure or 'clean'}, audit {result.audit}")
    return 1 if result.failure else 0


def _shrink(plan: Plan, path: Path) -> int:
    seed, shrunk = plan.seed, shrink_plan(plan, lambda line: click.echo(line, err=True))
    if shrunk is None:
        click.echo(f"seed {seed} is clean: there is nothing to shrink")
        return 0
    with writing():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(regression_test(shrunk), encoding="utf-8")
    for fault in shrunk.plan.schedule:
        click.echo(str(fault))
    click.echo(f"seed {seed}: {shrunk.failure}")
    click.echo(f"{len(shrunk.plan.schedule)} faults after {shrunk.runs} runs, written to {path}")
    return 1


class _Progress:
    """Says how far the campaign is, on stderr; failures at once, with their replay."""

    def __init__(self, total: int, settings: Settings) -> None:
        self._total = total
        self._settings = settings
        self._every = max(10, total // LINES_MAX)
        self._began = time.monotonic()

    def __call__(self, done: int, result: Result) -> None:
        if result.failure:
            click.echo(f"seed {result.seed} failed: {result.failure}", err=True)
            click.echo(f"  replay: {self._settings.command(result.seed)}", err=True)
        if done % self._every == 0 or done == self._total:
            a_minute = 60 * done / max(time.monotonic() - self._began, 0.001)
            left_min = (self._total - done) / a_minute
            click.echo(
                f"{done}/{self._total} seeds, {a_minute:.0f} a minute, {left_min:.0f} min left",
                err=True,
            )


def _print_report(report: Report) -> None:
    if report.interrupted:
        click.echo("interrupted: this is what was done until then")
    width = max(map(len, report.totals))
    for name, total in report.totals.items():
        click.echo(f"{name:<{width}}  {total:>12,}")
    pace = f"{60 * report.seeds_per_second:.0f} a minute"
    click.echo(f"{report.seeds} seeds, {pace}, {report.cpu_seconds_per_seed:.2f} s of CPU each")
    for kind in report.missing:
        click.echo(f"never occurred and should have: {kind}")
    for result in report.failed:
        click.echo(f"seed {result.seed} failed: {result.failure}")
    if report.interrupted and not report.failed:
        click.echo("clean as far as it went")
    else:
        click.echo("clean" if report.is_clean else "NOT CLEAN")
