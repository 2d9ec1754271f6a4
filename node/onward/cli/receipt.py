"""`onward receipt`: evidence that needs no node to be checked."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from onward.audit.epoch_verifier import verify_across
from onward.audit.receipt_verifier import RECEIPT_BYTES_MAX, ReceiptSummary
from onward.cli.asking import run_asking
from onward.cli.offline import epochs_option, file_and_genesis, judge, read_proofs
from onward.cli.output import answer, json_option, plain_table
from onward.cli.target import Target, hex_id, target_options
from onward.exchange.letters import spelled, spelled_lines


@click.group()
def receipt() -> None:
    """Fetch receipts, and verify them offline."""


@receipt.command()
@click.argument("tx_hash", metavar="TX")
@target_options
@json_option
def get(tx_hash: str, target: Target) -> None:
    """Write the receipt of transaction TX to standard output.

    Waits until a quorum of the validators has signed for it. --as: a party that may read it.
    """
    place = hex_id(tx_hash, "TX")
    text = run_asking(target, lambda node: node.receipt(place))
    document = {"tx_hash": tx_hash, "receipt": text}
    answer(document, lambda _: click.echo(spelled_lines(text), nl=False))


@receipt.command(short_help="Verify a receipt offline, with the genesis.")
@file_and_genesis
@epochs_option
@json_option
def verify(file: Path, genesis: Path, epochs: Path | None) -> None:
    """Verify a receipt with the genesis and nothing else: no node, no network.

    Exit 1 where it does not hold.
    """
    proofs = read_proofs(epochs)
    judge(
        file,
        genesis,
        lambda receipt, document: verify_across(receipt, document, proofs),
        bytes_max=RECEIPT_BYTES_MAX,
        show=_show,
        otherwise="does not verify",
    )


def _show(out: Console, file: Path, summary: ReceiptSummary) -> None:
    line = Text("✓ ", style="green")
    line.append(spelled(f"{file} verifies"), style="bold")
    out.print(line)
    out.print(f"  {len(summary.validators)} validators swear: the chain holds this verdict.")
    out.print()
    verdict: Any = Text(summary.code, style="green" if summary.code == "OK" else "red")
    moment = datetime.fromtimestamp(summary.time_ms / 1000, UTC)
    table = plain_table("", "")
    table.show_header = False
    for name, value in (
        ("verdict", verdict),
        ("outcome", summary.outcome),
        ("type", summary.type),
        ("by", ", ".join((summary.actor, *summary.cosigners))),
        ("transaction", summary.tx_hash),
        ("block", f"{summary.height}, at {moment:%Y-%m-%d %H:%M:%S} UTC"),
        ("log", f"entry {summary.log_index} of {summary.tree_size}, {summary.origin}"),
        ("signed by", ", ".join(summary.validators)),
    ):
        table.add_row(f"  {name}", value)
    out.print(table)
