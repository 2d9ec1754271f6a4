"""Plant every bug of `onward.simulation.mutants` and see whether the simulation catches it.

    make mutants                        all of them, a table, a summary as the last line
    tools/mutants.py --only NAME        one of them, or several
    tools/mutants.py --json             one JSON document

Exit status 0: enough were caught, and no seed failed without a bug. 1: not so. 2: wrong usage.
"""

from __future__ import annotations

import json
import sys

import click

from onward.simulation.mutants import MUTANTS
from onward.simulation.score import SEEDS_MAX, Score, conclude, score

_ROW = "{:<8} {:<30} {:<24} {:>5} {:>6}  {}"


@click.command()
@click.option("--only", multiple=True, type=click.Choice(list(MUTANTS)), help="Just this one.")
@click.option("--jobs", type=click.IntRange(1, 256), default=1, show_default=True)
@click.option("--seeds", type=click.IntRange(1, 10_000), default=SEEDS_MAX, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def main(only: tuple[str, ...], jobs: int, seeds: int, *, as_json: bool) -> None:
    """Try each planted bug on at most so many seeds, in ascending order."""
    found: list[Score] = []
    if not as_json:
        click.echo(_ROW.format("room", "planted bug", "world", "seeds", "CPU s", "caught by"))
    for item in score(only or tuple(MUTANTS), jobs, seeds):
        found.append(item)
        if not as_json:
            click.echo(_row(item))
    scores = conclude(found)
    if as_json:
        click.echo(json.dumps(scores.as_json(), indent=2))
    else:
        for trial, seed, failure in scores.false_alarms:
            click.echo(f"fails without a bug as well: {trial}, seed {seed}: {failure}")
        click.echo(scores.summary)
    sys.exit(0 if scores.is_enough and not scores.false_alarms else 1)


def _row(item: Score) -> str:
    caught = item.oracle or "NOT CAUGHT"
    spent = f"{item.cpu_s:.1f}"
    return _ROW.format(item.room, item.name, item.trial, item.seeds, spent, caught)


if __name__ == "__main__":
    main()
