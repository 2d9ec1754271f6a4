"""`onward why-stuck`: why a network does not progress, and what to do."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from onward.cli.offline import epochs_option, reached_epochs, read_proofs
from onward.cli.output import Exit, UsageFault, answer, json_option, plain_table, width
from onward.cli.target import NETWORK_VARIABLE, open_network, read_file
from onward.diagnosis.findings import Certainty, Diagnosis, Finding, Verdict, span
from onward.diagnosis.observations import NodeSeen, Observations, Reach
from onward.errors import RejectedError
from onward.ledger.genesis import GENESIS_BYTES_MAX, Genesis, parse_genesis
from onward.network.definition import NETWORK_NAME
from onward.network.observing import Look, address_look, home_look, network_look, watch
from onward.runtime.home import CONFIG_NAME
from onward.types import PublicKey

_EXIT = {
    Verdict.PROGRESSES: Exit.YES,
    Verdict.STUCK: Exit.NO,
    Verdict.UNKNOWN: Exit.USAGE,
}
_SURENESS = {Certainty.LIKELY: " (likely)", Certainty.POSSIBLE: " (possible)"}
_INDENT = 11


@click.command("why-stuck")
@click.argument("where", metavar="DIR|ADDRESS", envvar=NETWORK_VARIABLE)
@click.option(
    "--genesis",
    "genesis_file",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The chain's genesis, to check who answers at ADDRESS.",
)
@epochs_option
@json_option
def why_stuck(where: str, genesis_file: Path | None, epochs: Path | None) -> None:
    """Say why a network does not progress, and what to do. Changes nothing.

    DIR is a network's folder (all its validators are looked at: processes, homes, clocks, links) or
    one validator's home; ADDRESS is the HOST:PORT at which a node answers clients, which tells what
    it sees. Left out, it is $ONWARD_NETWORK. Takes 10 seconds at most.

    Exit codes: 0 the network progresses, 1 it is stuck, 2 that could not be found out.
    """
    seen, found = asyncio.run(watch(_look(where, genesis_file, epochs)))
    answer(_document(seen, found), lambda out: _show(out, seen, found), code=_EXIT[found.verdict])


def _look(where: str, genesis_file: Path | None, epochs: Path | None) -> Look:
    folder = Path(where)
    if folder.is_dir():
        if genesis_file is not None or epochs is not None:
            option = "--epochs" if genesis_file is None else "--genesis"
            raise UsageFault(f"{option} goes with an ADDRESS; a folder has its own genesis")
        if (folder / NETWORK_NAME).is_file():
            return network_look(open_network(folder))
        if (folder / CONFIG_NAME).is_file():
            try:
                return home_look(folder)
            except RejectedError as error:
                raise UsageFault(str(error)) from None
        raise UsageFault(f"{folder} holds neither a {NETWORK_NAME} nor a {CONFIG_NAME}")
    host, colon, port = where.rpartition(":")
    if not (colon and host and port.isascii() and port.isdecimal() and 0 < int(port) < 65_536):
        raise UsageFault(f"{where!r} is neither a folder nor HOST:PORT")
    if genesis_file is None:
        if epochs is not None:
            raise UsageFault("--epochs goes with --genesis: the proofs begin with it")
        return address_look(where, None)
    genesis = parse_genesis(read_file(genesis_file, GENESIS_BYTES_MAX))
    return address_look(where, genesis, _later(genesis, epochs))


def _later(genesis: Genesis, epochs: Path | None) -> tuple[dict[str, PublicKey], ...]:
    """The validators of the epochs that the proofs reach, behind the genesis', by their names."""
    if epochs is None:
        return ()
    reached = reached_epochs(genesis.document, read_proofs(epochs))
    ending = f".{genesis.network}"  # notes are signed as NAME.NETWORK
    return tuple(
        {name.removesuffix(ending): PublicKey(key) for name, key in keys.items()}
        for keys in reached[1:]
    )


# -- for programs ----------------------------------------------------------------------------------


def _document(seen: Observations, found: Diagnosis) -> dict[str, Any]:
    return {
        "verdict": str(found.verdict),
        "state": found.state,
        "sentence": found.sentence,
        "validators": list(seen.names),
        "quorum": seen.quorum,
        "watched_ms": seen.watched_ms,
        "findings": [_finding_json(item) for item in found.findings],
        "nodes": [_node_json(node) for node in seen.nodes],
    }


def _finding_json(item: Finding) -> dict[str, Any]:
    return {
        "code": str(item.code),
        "who": list(item.who),
        "sentence": item.sentence,
        "because": list(item.because),
        "advice": item.advice,
        "certainty": str(item.certainty),
        "costs_vote": item.costs_vote,
    }


def _node_json(node: NodeSeen) -> dict[str, Any]:
    process, said = node.process, node.answer
    document: dict[str, Any] = {
        "validator": node.name,
        "gateway": node.gateway,
        "answers": said is not None,
        "reach": str(node.reach),
        "pid": None if process is None else process.pid,
        "process": None if process is None else str(process.state),
    }
    if said is None:
        return document
    return document | {
        "height": said.height,
        "finalized_height": said.finalized_height,
        "finalized_ago_ms": said.finalized_ago_ms,
        "view": said.view,
        "in_flight": said.in_flight,
        "clock_ahead_ms": node.clock_ahead_ms,
        "links": [peer.validator for peer in said.peers if peer.up],
    }


# -- for people ------------------------------------------------------------------------------------


def _show(out: Console, seen: Observations, found: Diagnosis) -> None:
    out.print(found.sentence)
    for item in found.findings:
        out.print()
        out.print(f"{item.sentence}.{_SURENESS.get(item.certainty, '')}")
        for line, reason in enumerate(item.because):
            _row(out, "because" if line == 0 else "", reason)
        _row(out, "do", item.advice)
    out.print()
    out.print(_table(seen))


def _row(out: Console, label: str, text: str) -> None:
    """A label and its text, whose further lines stand below the first."""
    from rich.padding import Padding
    from rich.table import Table

    row = Table.grid(padding=(0, 1, 0, 0))
    row.add_column(width=_INDENT - 3)
    row.add_column(overflow="fold", max_width=width() - _INDENT)
    row.add_row(label, text)
    out.print(Padding(row, (0, 0, 0, 2)))


def _table(seen: Observations) -> Any:
    table = plain_table(
        *("validator", "process", "answers", "height", "last block", "clock", "links"),
        right=("height", "last block", "clock"),
    )
    for node in seen.nodes:
        process = "?"
        if node.process is not None:
            pid = node.process.pid
            process = str(node.process.state) if pid is None else f"{pid} {node.process.state}"
        said = node.answer
        if said is None:
            reach = "-" if node.reach is Reach.NOT_ASKED else str(node.reach)
            table.add_row(node.name, process, reach, "-", "-", "-", "-")
            continue
        ago_ms, ahead_ms = said.finalized_ago_ms, node.clock_ahead_ms
        table.add_row(
            node.name,
            process,
            "yes",
            str(said.finalized_height),
            "-" if ago_ms is None else f"{span(ago_ms)} ago",
            "?" if ahead_ms is None else f"{'-' if ahead_ms < 0 else '+'}{span(ahead_ms)}",
            " ".join(peer.validator for peer in said.peers if peer.up) or "none",
        )
    return table
