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

from onward.audit.epoch_verifier import verify_evidence_across
from onward.audit.evidence_verifier import (
    EVIDENCE_BYTES_MAX,
    Epochs,
    EvidenceError,
    EvidenceSummary,
    epoch_of,
    verify_evidence,
)
from onward.cli.offline import (
    epochs_option,
    file_and_genesis,
    judge,
    reached_epochs,
    read_proofs,
)
from onward.cli.output import Exit, UsageFault, answer, json_option, plain_table, writing
from onward.cli.target import Target, target_options
from onward.consensus.evidence_file import encode_evidence
from onward.consensus.forensics import find_fork
from onward.crypto.signing import verify as signatures_verify
from onward.errors import Unavailable
from onward.exchange.letters import spelled
from onward.replica.standing import known_sets
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
@epochs_option
@target_options
@json_option
def list_(save: Path | None, epochs: Path | None, target: Target) -> None:
    """Show the evidence that a node holds. Each piece is verified here before it is shown.

    Of pieces of a later epoch that --epochs FILE does not reach, only that they are there is said.
    """
    files, genesis = asyncio.run(_fetch(target)), target.genesis.document
    reached = reached_epochs(genesis, read_proofs(epochs))
    near = tuple(data for data in files if _epoch_of(data) < len(reached))
    far = tuple(data for data in files if _epoch_of(data) >= len(reached))
    found = _opened(near, genesis, reached, save)
    unread = [_kept(data, f"epoch-{_epoch_of(data)}", save) for data in far]

    def show(out: Console) -> None:
        if found or not unread:
            _show_list(out, found, save)
        if unread:
            out.print(
                f"{len(unread)} of later epochs, not verified: --epochs FILE names the file of "
                "`onward validators proofs`"
            )

    answer({"evidence": _listed(found), "not_verified": unread}, show)


@evidence.command(short_help="Verify evidence offline, with the genesis.")
@file_and_genesis
@epochs_option
@json_option
def verify(file: Path, genesis: Path, epochs: Path | None) -> None:
    """Verify evidence with the genesis and nothing else: no node, no network.

    Evidence of a later epoch needs --epochs. Exit 1 where it proves nothing.
    """
    proofs = read_proofs(epochs)
    judge(
        file,
        genesis,
        lambda evidence, document: verify_evidence_across(evidence, document, proofs),
        bytes_max=EVIDENCE_BYTES_MAX,
        show=_show,
        otherwise="proves nothing",
    )


@evidence.command(short_help="Put two stopped validators' chains side by side.")
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
        sets = tuple(known_sets(stores[0], genesis))
        fork = find_fork(*stores, genesis.chain_id, sets, signatures_verify)
    if fork is None:
        answer({"fork": None}, lambda out: out.print("one chain: neither contradicts the other"))
        return
    files = tuple(
        encode_evidence(item, genesis.chain_id, sets[item.epoch]) for item in fork.evidence
    )
    # The sets are those of the two databases, whose owners name their cheaters with them.
    names = [{f"{m.name}.{genesis.network}": bytes(m.public_key) for m in s.members} for s in sets]
    found = _opened(files, genesis.document, names, save)
    document = {"fork": {"height": fork.height, "evidence": _listed(found)}}

    def show(out: Console) -> None:
        out.print(Text(f"✗ two chains, from block {fork.height} on", style="bold red"))
        out.print()
        _show_list(out, found, save)

    answer(document, show, code=Exit.NO)


async def _fetch(target: Target) -> tuple[bytes, ...]:
    async with target.client() as client:
        return await client.evidence()


def _epoch_of(data: bytes) -> int:
    try:
        return epoch_of(data)
    except EvidenceError as error:
        raise Unavailable(f"the node's evidence does not verify: {error}") from None


def _opened(files: Iterable[bytes], genesis: bytes, epochs: Epochs, folder: Path | None) -> _Found:
    """Each file's name and what it proves; written to the folder, if there is one.

    Raises `Unavailable` for a node that answers with files that prove nothing.
    """
    found: _Found = []
    for data in files:
        try:
            summary = verify_evidence(data, genesis, epochs)
        except EvidenceError as error:
            raise Unavailable(f"the node's evidence does not verify: {error}") from None
        found.append((_kept(data, summary.validator, folder), summary))
    return found


def _kept(data: bytes, word: str, folder: Path | None) -> str:
    """The name of a piece, under which it is written to the folder, if there is one."""
    name = f"{word}-{sha256(data).hexdigest()[:_NAME_CHARACTERS]}.evidence"
    if folder is not None:
        with writing():
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
    return name


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
    line.append(spelled(f"{file} verifies"), style="bold")
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
