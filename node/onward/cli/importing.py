"""`onward import`: records of other systems, verified."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from onward.cli.output import answer, json_option, plain_table
from onward.cli.target import read_start
from onward.exchange.jlinc import NOT_PROVEN, JlincRecord, counterparts, read_jlinc
from onward.exchange.letters import spelled
from onward.exchange.moments import moment_in_words
from onward.limits import IMPORT_BYTES_MAX

_TEXT_SHOWN_MAX = 200


@click.group("import")
def importing() -> None:
    """Verify records of other systems. Nothing is written anywhere."""


@importing.command(short_help="Verify a JLINC record of version 6 or 7.")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@json_option
def jlinc(file: Path) -> None:
    """Verify a JLINC record of version 6 or 7: an agreement (SISA) and its events.

    Says what was verified, what such a record cannot prove, and what each part would be here. What
    was shared is not shown. Exit 1 where a hash, a signature or the order of events is wrong.
    """
    # One byte more than there may be: that it is too long is the reader's verdict.
    record = read_jlinc(read_start(file, IMPORT_BYTES_MAX + 1))
    answer(record_json(record), lambda out: _show(out, file, record))


def record_json(record: JlincRecord) -> dict[str, Any]:
    """A record for programs: everything but what was shared."""
    found = dataclasses.asdict(record)
    for event in found["events"]:
        del event["content"]
    return {
        "verified": True,
        **found,
        "not_proven": list(NOT_PROVEN),
        "counterparts": [dataclasses.asdict(item) for item in counterparts(record)],
    }


def _legal_text(record: JlincRecord) -> str:
    return record.agreement if len(record.agreement) < _TEXT_SHOWN_MAX else "in the record"


def _show(out: Console, file: Path, record: JlincRecord) -> None:
    acknowledged = sum(event.acknowledged_by is not None for event in record.events)
    line = Text("✓ ", style="green")
    line.append(spelled(f"{file} verifies"), style="bold")
    out.print(line)
    out.print(
        f"  JLINC version {record.version}: 2 signatures under the agreement, "
        f"{len(record.events)} events in an unbroken chain, {acknowledged} of them acknowledged."
    )
    out.print()
    table = plain_table("", "")
    table.show_header = False
    for name, value in (
        ("agreement", record.sisa_id),
        ("rights holder", record.rights_holder.did),
        ("custodian", record.data_custodian.did),
        ("offered", f"{moment_in_words(record.offered_at_ms)}, by the custodian's clock"),
        ("accepted", f"{moment_in_words(record.accepted_at_ms)}, by the rights holder's clock"),
        ("legal text", _legal_text(record)),
        ("its SHA-256", record.text_hash or "not stated"),
    ):
        table.add_row(f"  {name}", value)
    out.print(table)
    out.print()
    out.print(Text("What this does not prove", style="bold"))
    for item in NOT_PROVEN:
        out.print(Padding(Text(f"{item}."), (0, 0, 0, 2)))
    out.print()
    out.print(Text("What it would be here, signed anew by the same parties", style="bold"))
    here = plain_table("  part", "transaction", "what would have to be added")
    for part in counterparts(record):
        here.add_row(f"  {part.of[:16]}", part.type, part.lacks)
    out.print(here)
