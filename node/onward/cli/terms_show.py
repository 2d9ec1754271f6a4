"""`onward terms show`: what terms mean, for who is asked to agree to them."""

from __future__ import annotations

import dataclasses
from typing import Any

import click
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from onward.cli.asking import Conversation, run_asking
from onward.cli.output import UsageFault, answer, json_option
from onward.cli.target import Target, file_named, read_file, target_options
from onward.errors import RejectedError, Unavailable
from onward.exchange.sentences import Reading, read_terms, reading_text
from onward.scenario.documents import shipped_documents
from onward_chaincode.contract import Refuse
from onward_chaincode.forms import HASH
from onward_chaincode.limits import DOCUMENT_BYTES_MAX
from onward_proto.documents import canonical_document, document_id, parse_document


@click.command("show", short_help="Read terms as sentences.")
@click.argument("terms", metavar="LABEL_FILE_OR_ID")
@target_options
@json_option
def show(terms: str, target: Target) -> None:
    """Read terms as sentences: every clause, also those that only silence implies.

    Terms that ship with Onward and files need no network; an id is asked for (--network, --as).
    Exit 1 for a document that no chain would publish.
    """
    document = _document(terms, target)
    try:
        reading = read_terms(document)
    except Refuse as error:
        raise RejectedError(error.code, f"{terms}: {error}", rule=error.rule) from None
    answer({**dataclasses.asdict(reading), "document": document}, lambda out: _show(out, reading))


def _document(terms: str, target: Target) -> dict[str, Any]:
    shipped = shipped_documents()
    if terms in shipped:
        return shipped[terms]
    if HASH.fullmatch(terms):
        return run_asking(target, lambda conversation: _published(conversation, terms))
    file = file_named(terms)
    if file is None:
        known = ", ".join(sorted(name for name in shipped if "clauses" in shipped[name]))
        raise UsageFault(f"{terms!r} is neither a file, nor an id, nor one of {known}")
    return parse_document(read_file(file, DOCUMENT_BYTES_MAX))


async def _published(conversation: Conversation, terms_id: str) -> dict[str, Any]:
    """The document with this id. Raises `Unavailable` where a node has another one in its place."""
    found = (await conversation.ask("terms", {"terms_id": terms_id})).get("document")
    if not isinstance(found, dict) or document_id(canonical_document(found)).hex() != terms_id:
        raise Unavailable(f"a node answered other terms than {terms_id}; --node asks another")
    return found


def _show(out: Console, reading: Reading) -> None:
    """The text, wrapped under its own indentation."""
    for line in reading_text(reading).splitlines():
        text = line.lstrip()
        if not text:
            out.print()
            continue
        indent = len(line) - len(text)
        style = "" if indent else "bold"
        out.print(Padding(Text(text, style=style), (0, 0, 0, indent), expand=False))
