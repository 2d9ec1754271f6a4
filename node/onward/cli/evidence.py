"""`onward evidence`: what proves that a validator cheated."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterable
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from onward.audit.evidence_verifier import (
    EVIDENCE_BYTES_MAX,
    EvidenceError,
    EvidenceSummary,
    verify_evidence,
)
from onward.cli.offline import file_and_genesis, judge
from onward.cli.output import Exit, UsageFault, answer, json_option, plain_table
from onward.cli.target import Target, target_options
from onward.consensus.evidence_file import encode_evidence
from onward.consensus.forensics import find_fork
from onward.crypto.signing import verify as signatures_verify
from onward.errors import Unavailable
from onward.runtime.home import read_home
from onward.storage.home import open_home

_NAME_CHARACTERS = 12
_Found = list[tuple[str, EvidenceSummary]]


@click.group()
def evidence() -> None:
    """Fetch evidence against validators, and verify it offline."""


@evidence.command("list")
@click.option(
    "--save",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write each piece to a file in DIR.",
)
@target_options
@json_option
def list_(save: Path | None, target: Target) -> None:
    """Show the evidence that a node holds. Each piece is verified here before it is shown."""
    found = _opened(asyncio.run(_fetch(target)), target.genesis.document, save)
    answer({"evidence": _listed(found)}, lambda out: _show_list(out, found, save))


@evidence.command()
@file_and_genesis
@json_option
def verify(file: Path, genesis: Path) -> None:
    """Verify evidence with the genesis and nothing else: no node, no network.

    Exit 1 where it proves nothing.
    """
    judge(
        file,
        genesis,
        verify_evidence,
        bytes_max=EVIDENCE_BYTES_MAX,
        show=_show,
        otherwise="proves nothing",
    )


@evidence.command()
@click.argument("left", metavar="HOME", type=click.Path(path_type=Path, exists=True))
@click.argument("right", metavar="HOME", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--save",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write each piece to a file in DIR.",
)
@json_option
def compare(left: Path, right: Path, save: Path | None) -> None:
    """Put the chains of two stopped validators side by side, and name who forked them.

    HOME is a validator's home, or a copy of one. Exit 1 where the two contradict each other.
    """
    homes = read_home(left), read_home(right)
    genesis = homes[0].genesis
    if homes[1].genesis.chain_id != genesis.chain_id:
        raise UsageFault(f"{left} and {right} are of two chains")
    with ExitStack() as stack:
        disks = [open_home(home.data, genesis.chain_id) for home in homes]
        for disk in disks:
            stack.callback(disk.close)
        stores = disks[0].store, disks[1].store
        fork = find_fork(*stores, genesis.chain_id, genesis.validators, signatures_verify)
    if fork is None:
        answer({"fork": None}, lambda out: out.print("one chain: neither contradicts the other"))
        return
    files = tuple(
        encode_evidence(item, genesis.chain_id, genesis.validators) for item in fork.evidence
    )
    found = _opened(files, genesis.document, save)
    document = {"fork": {"height": fork.height, "evidence": _listed(found)}}

    def show(out: Console) -> None:
        out.print(Text(f"✗ two chains, from block {fork.height} on", style="bold red"))
        out.print()
        _show_list(out, found, save)

    answer(document, show, code=Exit.NO)


async def _fetch(target: Target) -> tuple[bytes, ...]:
    async with target.client() as client:
        return await client.evidence()


def _opened(files: Iterable[bytes], genesis: bytes, folder: Path | None) -> _Found:
    """Each file's name and what it proves; written to the folder, if there is one.

    Raises `Unavailable` for a node that answers with files that prove nothing.
    """
    found: _Found = []
    for data in files:
        try:
            summary = verify_evidence(data, genesis)
        except EvidenceError as error:
            raise Unavailable(f"the node's evidence does not verify: {error}") from None
        name = f"{summary.validator}-{sha256(data).hexdigest()[:_NAME_CHARACTERS]}.evidence"
        found.append((name, summary))
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
    return found


def _listed(found: _Found) -> list[dict[str, Any]]:
    return [{"file": name, **dataclasses.asdict(summary)} for name, summary in found]


def _show_list(out: Console, found: _Found, folder: Path | None) -> None:
    if not found:
        out.print("no evidence against any validator")
        return
    table = plain_table("validator", "what it did", "file")
    for name, summary in found:
        table.add_row(summary.validator, summary.offence, name)
    out.print(table)
    if folder is not None:
        out.print()
        out.print(f"written to {folder}; check each with onward evidence verify")


def _show(out: Console, file: Path, summary: EvidenceSummary) -> None:
    line = Text("✓ ", style="green")
    line.append(f"{file} verifies", style="bold")
    out.print(line)
    out.print(f"  {summary.validator} cheated: it {summary.offence}.")
    out.print()
    table = plain_table("", "")
    table.show_header = False
    for name, value in (
        ("validator", f"{summary.validator}, number {summary.index} of {summary.network}"),
        ("key", summary.public_key),
        ("signed", _unsigned(summary.statements[0])),
        ("and also", _unsigned(summary.statements[1])),
        ("chain", summary.chain_id),
        ("epoch", str(summary.epoch)),
    ):
        table.add_row(f"  {name}", value)
    out.print(table)


def _unsigned(statement: str) -> str:
    """A statement's line without its signature."""
    return statement.rpartition(" ")[0]
