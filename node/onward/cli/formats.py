"""`onward format`: the JSON Schema of everything that is written to Onward or comes from it."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.console import Console

from onward.audit.evidence_verifier import EvidenceSummary
from onward.audit.receipt_verifier import ReceiptSummary
from onward.cli.output import UsageFault, answer, json_option, plain_table
from onward.exchange.document_schemas import document_names, document_schema, verified_schema

_VERIFIED: dict[str, type[Any]] = {"evidence": EvidenceSummary, "receipt": ReceiptSummary}


@click.group("format")
def formats() -> None:
    """What documents look like: JSON Schemas (draft 2020-12)."""


@formats.command("list")
@json_option
def list_() -> None:
    """Name every document that has a schema. What has a dot is the draft of a transaction."""
    found = {name: schema_of(name)["title"] for name in names()}

    def show(out: Console) -> None:
        table = plain_table("name", "what it is")
        for name, title in found.items():
            table.add_row(name, title)
        out.print(table)

    answer(found, show)


@formats.command("show")
@click.argument("name", metavar="NAME")
@json_option
def show(name: str) -> None:
    """Write the JSON Schema of a document to standard output."""
    schema = schema_of(name)
    text = json.dumps(schema, indent=2, ensure_ascii=False)
    answer(schema, lambda _: click.echo(text))


def names() -> tuple[str, ...]:
    """Everything that has a schema."""
    return (*(f"{kind}-verified" for kind in _VERIFIED), *document_names())


def schema_of(name: str) -> dict[str, Any]:
    """The JSON Schema of a document. Raises `UsageFault` for an unknown name."""
    kind = name.removesuffix("-verified")
    if kind in _VERIFIED and kind != name:
        title = f"What `onward {kind} verify --json` answers."
        return verified_schema(name, title, _VERIFIED[kind])
    schema = document_schema(name)
    if schema is None:
        raise UsageFault(f"no document is called {name!r}; `onward format list` names them all")
    return schema
