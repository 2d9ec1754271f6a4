"""`onward node`: one validator."""

from __future__ import annotations

import gc
from pathlib import Path

import click


@click.group()
def node() -> None:
    """Run one validator."""


@node.command("run")
@click.option(
    "--home",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="The validator's home: node.toml, genesis.json, keys/, data/.",
)
def run(home: Path) -> None:
    """Run the validator whose home is DIR, until SIGTERM or SIGINT.

    Logs go to standard error, one JSON object a line. Exit codes beside 0: 2 home or
    configuration wrong, 3 address or home in use, 65 the disk contradicts itself, 70 a bug,
    74 the disk failed, 76 diverged from what a quorum certified.
    """
    # The node's libraries load only where one runs. All of what loading makes stays: looking it
    # through for garbage, again and again, took a fifth of a node's start.
    gc.disable()
    from onward.runtime.node import run_node

    gc.freeze()
    gc.enable()
    click.get_current_context().exit(run_node(home))
