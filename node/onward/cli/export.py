"""`onward export`: an agreement in the formats of others."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

from onward.cli.asking import Conversation, run_asking
from onward.cli.output import UsageFault, answer, json_option
from onward.cli.target import Target, file_named, hex_id, read_file, target_options
from onward.errors import RejectCode, RejectedError
from onward.exchange.coherence import parse_dossier
from onward.exchange.collecting import collect, founding_steps
from onward.exchange.dossier import Dossier
from onward.exchange.exports import FORMATS, ExportFormat, export_text
from onward.exchange.letters import json_text
from onward.limits import DOSSIER_BYTES_MAX
from onward_chaincode.forms import HASH
from onward_proto.documents import canonical_document

_WITH_RECEIPTS = ("vc",)


@click.group()
def export() -> None:
    """Write an agreement in the format of another system to standard output.

    SOURCE is an agreement (its id, or a name given with --save), for which a node is asked, or a
    dossier made by `onward export dossier`, for which nobody is asked: the same dossier gives the
    same bytes everywhere.
    """


def _command(name: str, chosen: ExportFormat) -> click.Command:
    def run(source: str, target: Target) -> None:
        text = export_text(name, _dossier(source, target, receipts=name in _WITH_RECEIPTS))
        answer(json.loads(text), lambda _: click.echo(text, nl=False))

    callback: Callable[..., Any] = json_option(target_options(run))
    callback = click.argument("source", metavar="SOURCE")(callback)
    return click.command(name, help=f"{chosen.summary}.", short_help=f"{chosen.summary}.")(callback)


for _name, _format in FORMATS.items():
    export.add_command(_command(_name, _format))


@export.command(short_help="All about an agreement, as one file.")
@click.argument("agreement", metavar="AGREEMENT")
@click.option("--receipts", is_flag=True, help="With the receipts of how it came about.")
@target_options
@json_option
def dossier(agreement: str, target: Target, *, receipts: bool) -> None:
    """All that the chain answers about an agreement, as one file for later exports."""
    document = _collected(agreement, target, receipts=receipts)
    text = json_text(document, indent=2) + "\n"
    if len(text.encode()) > DOSSIER_BYTES_MAX:
        raise RejectedError(
            RejectCode.SIZE,
            f"a dossier of {len(text.encode())} bytes, at most {DOSSIER_BYTES_MAX}: no export "
            "would read it",
        )
    answer(document, lambda _: click.echo(text, nl=False))


def _dossier(source: str, target: Target, *, receipts: bool) -> Dossier:
    file = file_named(source)
    if file is not None:
        return parse_dossier(read_file(file, DOSSIER_BYTES_MAX))
    return parse_dossier(canonical_document(_collected(source, target, receipts=receipts)))


def _collected(agreement: str, target: Target, *, receipts: bool) -> dict[str, Any]:
    agreement_id = agreement
    if not HASH.fullmatch(agreement):
        ids = target.record(agreement)
        if "agreement_id" not in ids:
            raise UsageFault(
                f"{agreement!r} is neither a file, nor the 64 hex digits of an agreement, nor the "
                "name of one given with --save"
            )
        agreement_id = ids["agreement_id"]
    chain_id = target.genesis.chain_id

    async def ask_all(conversation: Conversation) -> dict[str, Any]:
        found = await collect(conversation.ask, agreement_id, chain_id)
        for tx_id in founding_steps(found) if receipts else ():
            found["receipts"][tx_id] = await conversation.receipt(hex_id(tx_id, "transaction"))
        return found

    return run_asking(target, ask_all)
