"""`onward node`: one validator."""

from __future__ import annotations

import gc
from pathlib import Path

import click
from rich.console import Console

from onward.cli.output import UsageFault, answer, json_option, to_copy, writing

home_argument = click.argument(
    "home", metavar="DIR", type=click.Path(path_type=Path, file_okay=False)
)


@click.group()
def node() -> None:
    """Set up and run one validator."""


@node.command("key")
@home_argument
@json_option
def show_key(home: Path) -> None:
    """Make a validator's key in DIR, or show the one there.

    The public key is shown: the genesis, [peers.keys] and `onward validators propose` name it. The
    secret stays in DIR, in keys/validator.key.
    """
    from onward.crypto.signing import SigningKey
    from onward.errors import RejectedError
    from onward.network.wallet import new_seed
    from onward.runtime.home import KEY_NAME, read_seed, write_key

    is_new = not (home / KEY_NAME).exists()
    try:
        if is_new:
            with writing():
                write_key(home, new_seed())
        public_key = SigningKey(read_seed(home / KEY_NAME)).public_key.hex()
    except RejectedError as error:
        raise UsageFault(str(error)) from None
    document = {"home": str(home), "public_key": public_key, "made": is_new}

    def show(out: Console) -> None:
        to_copy(out, public_key)

    answer(document, show)


@node.command("init")
@home_argument
@json_option
def init(home: Path) -> None:
    """Make the empty data of the new validator in DIR.

    DIR has its node.toml, its genesis.json and the key of `onward node key`. Once in this home:
    who lost its data may have voted, and comes back under a new key, in another home.
    """
    from onward.errors import RejectedError
    from onward.runtime.home import begin_home

    try:
        made = begin_home(home)
    except RejectedError as error:
        raise UsageFault(str(error)) from None
    document = {
        "home": str(home),
        "validator": made.config.name,
        "network": made.genesis.network,
        "chain_id": made.genesis.chain_id.hex(),
        "public_key": made.validator.public_key.hex(),
        "in_genesis": made.index < made.genesis.validators.size,
    }

    def show(out: Console) -> None:
        chain = f"{made.genesis.chain_id.hex()[:16]}… ({made.genesis.network})"
        role = "a validator of the genesis" if document["in_genesis"] else "follows at first"
        to_copy(out, f"{home} is ready.")
        out.print(f"  validator  {made.config.name}, {role}")
        out.print(f"  chain      {chain}")
        to_copy(out, f"  start it   onward node run --home {home}")

    answer(document, show)


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
