"""`onward network`: a whole network on this machine, for trying things out and for tests."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from onward.cli.output import (
    Exit,
    UsageFault,
    answer,
    console,
    json_option,
    plain_table,
    wants_json,
    writing,
)
from onward.cli.target import NETWORK_VARIABLE, open_network
from onward.errors import RejectedError, Unavailable
from onward.network.access import NodeReport, connect, now_ms, reports, wait_ready
from onward.network.definition import (
    Network,
    NodePlace,
    check_node_ports,
    create_network,
)
from onward.network.processes import STOP_S_MAX, alone, kill, running, start, stop
from onward.network.voters import NewestSet, newest_set
from onward.replica.answers import name_of

_SHORT = 12

new_folder_argument = click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
folder_argument = click.argument(
    "folder", metavar="DIR", envvar=NETWORK_VARIABLE, type=click.Path(path_type=Path)
)


@click.group()
def network() -> None:
    """Make and run a network of validators on this machine.

    Where DIR is left out, $ONWARD_NETWORK says it; only `init` must be told.
    """


@network.command(short_help="Make a network in DIR: keys, genesis, configuration.")
@new_folder_argument
@click.option(
    "--validators",
    required=True,
    type=click.IntRange(1, 25),
    metavar="N",
    help="How many: 4 survive one failure, 7 two, 10 three.",
)
@click.option(
    "--base-port",
    type=click.IntRange(1, 65_535),
    metavar="P",
    help="Three ports for each validator, from P on. By default free ones are chosen.",
)
@click.option("--name", default="local", show_default=True, help="The network's name.")
@click.option(
    "--fewer-than-four", is_flag=True, help="Allow a network that survives no failure at all."
)
@json_option
def init(
    folder: Path, validators: int, base_port: int | None, name: str, *, fewer_than_four: bool
) -> None:
    """Write keys, genesis and configuration into DIR, which must be new or empty."""
    try:
        with writing():
            made = create_network(
                folder,
                validators=validators,
                time_ms=now_ms(),
                base_port=base_port,
                name=name,
                fewer=fewer_than_four,
            )
    except RejectedError as error:
        # There is no chain yet that could give a verdict: this is how the command was used.
        raise click.UsageError(str(error)) from None
    genesis = made.genesis
    document = {
        "folder": str(folder),
        "network": genesis.network,
        "chain_id": genesis.chain_id.hex(),
        "validators": [_place_json(node) for node in made.nodes],
        "parties": list(made.wallet.names()),
    }

    def show(out: Console) -> None:
        out.print(f"{folder} holds a network of {validators} validators.")
        out.print(f"  chain     {genesis.chain_id.hex()[:16]}… ({genesis.network})")
        out.print(f"  keys of   {', '.join(made.wallet.names())}  (in {folder}/wallet)")
        out.print(f"  start it  onward network up {folder}")

    answer(document, show)


@network.command(short_help="Start the validators that are not running.")
@folder_argument
@json_option
def up(folder: Path) -> None:
    """Start the validators in DIR that are not running, and wait until all are connected."""
    found = open_network(folder)
    began = time.monotonic()
    with alone(found):
        missing = [node for node in found.nodes if running(node) is None]
        for node in missing:
            check_node_ports(node)
        for node in missing:
            start(found, node)
    # Also for those that another command has just started.
    asyncio.run(_until_ready(found))
    elapsed_s = round(time.monotonic() - began, 2)
    document = {
        "started": [node.name for node in missing],
        "running": [_process_json(node) for node in found.nodes],
        "elapsed_s": elapsed_s,
    }

    def show(out: Console) -> None:
        if not missing:
            out.print("All validators were running already.")
            return
        out.print(f"{len(missing)} of {len(found.nodes)} validators started in {elapsed_s} s.")
        out.print(f"  look  onward network status {folder}")
        out.print(f"  stop  onward network down {folder}")
        out.print(f"  logs  {found.logs}")

    answer(document, show)


@network.command(short_help="Each validator: process, place in the chain, lag.")
@folder_argument
@json_option
def status(folder: Path) -> None:
    """Show each validator's process, place in the chain, and how far it lags.

    Exit 3 where fewer than a quorum of the validators answer. Where validators changed, those of
    the newest epoch count; of a machine that is not in DIR, what the others hear of it does.
    """
    found = open_network(folder)
    asked = asyncio.run(_ask(found))
    top = max((item.status.height for item in asked if item.status is not None), default=0)
    newest = newest_set((item.status for item in asked), found.genesis)
    members = found.genesis.validators.members
    names = [
        name_of(member.public_key, item.node.name, newest.voters)
        for item, member in zip(asked, members, strict=True)
    ]
    answering = {n for n, item in zip(names, asked, strict=True) if item.status is not None}
    elsewhere = _elsewhere(newest, names)
    alive = sum(elsewhere.get(name, name in answering) for name in newest.names)
    quorum, size = newest.quorum, len(newest.voters)
    document = {
        "network": found.genesis.network,
        "chain_id": found.genesis.chain_id.hex(),
        "epoch": newest.epoch,
        "quorum": quorum,
        "available": alive >= quorum,
        "accused": _accused(asked),
        "validators": [
            _report_json(item, top) | {"validator": name, "votes": name in newest.names}
            for name, item in zip(names, asked, strict=True)
        ],
        "elsewhere": [{"validator": name, "heard": heard} for name, heard in elsewhere.items()],
    }

    def show(out: Console) -> None:
        out.print(
            f"{found.genesis.network}, chain {found.genesis.chain_id.hex()[:16]}…: "
            f"{alive} of {size} validators answer, {quorum} are needed"
            f"{f', epoch {newest.epoch}' if newest.epoch else ''}"
        )
        out.print()
        out.print(_status_table(dict(zip(names, asked, strict=True)), top))
        for name, heard in elsewhere.items():
            out.print(f"{name} is not in {folder}: the others {'hear' if heard else 'miss'} it")
        for name, item in zip(names, asked, strict=True):
            if item.status is not None and item.status.abstains:
                out.print()
                out.print(f"! {name} only follows: onward why-stuck tells why")
        for name in _accused(asked):
            out.print()
            out.print(Text(f"! {name} has cheated: see onward evidence list", style="bold red"))

    answer(document, show, code=Exit.YES if alive >= quorum else Exit.UNAVAILABLE)


@network.command()
@folder_argument
@click.option("--kill", "at_once", is_flag=True, help="SIGKILL: end them as a power cut would.")
@click.option("--only", "names", multiple=True, metavar="NAME", help="Only this one; repeatable.")
@json_option
def down(folder: Path, names: tuple[str, ...], *, at_once: bool) -> None:
    """Stop the validators in DIR and wait until they have ended."""
    found = open_network(folder)
    try:
        chosen = [found.node(name) for name in names] or list(found.nodes)
    except RejectedError as error:
        raise UsageFault(f"--only: {error}") from None
    with alone(found):
        were = [node for node in chosen if running(node) is not None]
        left = kill(were) if at_once else stop(were)
    if left:
        late = ", ".join(node.name for node in left)
        raise Unavailable(f"still running after {STOP_S_MAX} s: {late} (--kill ends them)")
    document = {"stopped": [node.name for node in were]}

    def show(out: Console) -> None:
        stopped = ", ".join(node.name for node in were)
        out.print(f"Stopped {stopped}." if were else "Nothing was running.")

    answer(document, show)


async def _until_ready(found: Network) -> None:
    """Wait, with a line that moves where a person looks on."""
    err = console(sys.stderr)
    quiet = wants_json() or not err.is_terminal
    with ExitStack() as stack:
        line = None if quiet else stack.enter_context(err.status("starting …"))

        def progress(count: int) -> None:
            if line is not None:
                line.update(f"{count} of {len(found.nodes)} are ready")

        async with connect(found) as client:
            await wait_ready(found, client, nodes=found.nodes, progress=progress)


async def _ask(found: Network) -> tuple[NodeReport, ...]:
    async with connect(found) as client:
        return await reports(found, client)


def _elsewhere(newest: NewestSet, here: Sequence[str]) -> dict[str, bool]:
    """The validators whose machines are not in the folder, and whether the witness hears them."""
    peers = () if newest.witness is None else newest.witness.peers
    heard = {peer.validator for peer in peers if peer.up}
    return {name: name in heard for name in newest.names if name not in here}


def _status_table(asked: Mapping[str, NodeReport], top: int) -> Any:
    columns = ("pid", "height", "final", "view", "checkpoint", "lag", "peers")
    table = plain_table("validator", *columns[:4], "state root", *columns[4:], right=columns)
    for name, item in asked.items():
        if item.status is None:
            what = "not running" if item.pid is None else "no answer"
            table.add_row(name, str(item.pid or "-"), what)
            continue
        found = item.status
        table.add_row(
            name,
            str(item.pid),
            str(found.height),
            str(found.finalized_height),
            str(found.view),
            found.state_root.hex()[:_SHORT],
            str(found.checkpoint_height),
            str(top - found.height),
            f"{sum(peer.up for peer in found.peers)}/{len(found.peers)}",
        )
    return table


def _accused(asked: Sequence[NodeReport]) -> list[str]:
    """Against whom some node holds evidence."""
    found = (item.status.accused for item in asked if item.status is not None)
    return sorted({name for names in found for name in names})


def _report_json(item: NodeReport, top: int) -> dict[str, Any]:
    document: dict[str, Any] = {"validator": item.node.name, "pid": item.pid, "up": False}
    found = item.status
    if found is None:
        return document
    return document | {
        "up": True,
        "height": found.height,
        "finalized_height": found.finalized_height,
        "checkpoint_height": found.checkpoint_height,
        "view": found.view,
        "epoch": found.epoch,
        "state_root": found.state_root.hex(),
        "time_ms": found.time_ms,
        "lag": top - found.height,
        "version": found.version,
        "accused": list(found.accused),
        "abstains": found.abstains,
        "peers": [
            {"validator": peer.validator, "up": peer.up, "height": peer.height}
            for peer in found.peers
        ],
    }


def _process_json(node: NodePlace) -> dict[str, Any]:
    process = running(node)
    return {"validator": node.name, "pid": None if process is None else process.pid}


def _place_json(node: NodePlace) -> dict[str, str]:
    return {
        "validator": node.name,
        "home": str(node.home),
        "peers": str(node.peers),
        "gateway": str(node.gateway),
        "metrics": str(node.metrics),
    }
