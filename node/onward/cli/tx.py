"""`onward tx`: drafts that travel as files until everybody has signed."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.padding import Padding

from onward.cli.delivery import made_by, tell_verdict, verdict_json
from onward.cli.draft_file import (
    DRAFT_BYTES_MAX,
    DraftFile,
    explanation,
    parse_draft,
    write_draft,
)
from onward.cli.output import Exit, UsageFault, answer, json_option, plain_table
from onward.cli.page import date_of
from onward.cli.target import Target, read_file, target_options
from onward.errors import RejectCode, RejectedError
from onward.ledger.leaf import CODE_OK
from onward.ledger.transaction import Body
from onward.replica.answers import Submission
from onward.replica.effects import Verdict

file_argument = click.argument(
    "file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False)
)


@click.group()
def tx() -> None:
    """Drafts: show, sign, cosign and submit them.

    A draft file is made with --draft by any command that acts. Signing needs the file, a key and
    nothing else: no network.
    """


@tx.command()
@file_argument
@json_option
def show(file: Path) -> None:
    """Say what a draft would do, and who has signed it."""
    draft = _read(file)
    _tell(file, draft, f"{file} is a draft for chain {draft.chain_id.hex()[:16]}….")


@tx.command()
@file_argument
@target_options
@json_option
def sign(file: Path, target: Target) -> None:
    """Sign a draft as the party that acts."""
    draft = _read(file)
    identity = target.identity()
    if identity.party_id != draft.actor:
        raise UsageFault(
            f"{identity.party_id} is not {draft.actor}, who acts (others: onward tx cosign)"
        )
    _sign(file, draft, target)


@tx.command()
@file_argument
@target_options
@json_option
def cosign(file: Path, target: Target) -> None:
    """Sign a draft as one of the other parties that it names."""
    draft = _read(file)
    identity = target.identity()
    if identity.party_id == draft.actor:
        raise UsageFault(f"{identity.party_id} is the one who acts: onward tx sign")
    _sign(file, draft, target)


@tx.command(short_help="Submit a draft that everybody has signed.")
@file_argument
@target_options
@json_option
def submit(file: Path, target: Target) -> None:
    """Submit a draft that everybody has signed, wait for the verdict and print it.

    Anyone may: the signatures are in the file. Submitting twice gives the same answer.
    """
    draft = _read(file)
    _same_chain(draft, target)
    submission = asyncio.run(_submit(draft.envelope(), target))
    bodies = draft.decoded()
    if len(bodies) == 1:
        verdict = submission.verdicts[0]
        made = made_by(bodies[0].type, verdict)
        tell_verdict(verdict, head=_head(bodies[0]), made=made, dry_run=False)
        return
    _tell_several(list(zip(bodies, submission.verdicts, strict=True)))


def _head(body: Body) -> dict[str, Any]:
    return {
        "contract": body.contract,
        "type": body.type,
        "actor": body.actor,
        "cosigners": list(body.cosigners),
    }


def _tell_several(pairs: list[tuple[Body, Verdict]]) -> None:
    """The verdicts of one envelope; one no is a no."""
    document = [
        _head(body) | verdict_json(verdict) | {"made": made_by(body.type, verdict)}
        for body, verdict in pairs
    ]

    def show_them(out: Console) -> None:
        table = plain_table("verdict", "rule", "type", "block", "transaction")
        for body, verdict in pairs:
            place = str(verdict.height)
            table.add_row(verdict.code, verdict.rule, body.type, place, verdict.tx_hash.hex())
        out.print(table)

    good = all(verdict.code == CODE_OK for _, verdict in pairs)
    answer({"verdicts": document}, show_them, code=Exit.YES if good else Exit.NO)


async def _submit(envelope: bytes, target: Target) -> Submission:
    async with target.client() as client:
        return await client.submit(envelope)


def _sign(file: Path, draft: DraftFile, target: Target) -> None:
    if target.network is not None or target.genesis_file is not None:
        _same_chain(draft, target)
    identity = target.identity()
    signed = draft.signed(identity.party_id, identity.signer)
    write_draft(file, signed)
    _tell(file, signed, f"Signed by {identity.party_id}.")


def _same_chain(draft: DraftFile, target: Target) -> None:
    expected = target.genesis.chain_id
    if draft.chain_id != expected:
        raise RejectedError(
            RejectCode.CHAIN,
            f"the draft is for chain {draft.chain_id.hex()[:16]}, this is {expected.hex()[:16]}",
        )


def _read(file: Path) -> DraftFile:
    return parse_draft(read_file(file, DRAFT_BYTES_MAX), str(file))


def _tell(file: Path, draft: DraftFile, first: str) -> None:
    told = explanation(draft.bodies)
    signed = [item.party for item in draft.signatures]
    document = {
        "draft": str(file),
        "chain_id": draft.chain_id.hex(),
        "transactions": told,
        "signed": signed,
        "missing": list(draft.missing),
    }

    def show_it(out: Console) -> None:
        out.print(first)
        for item in told:
            out.print()
            out.print(f"{item['type']} by {item['actor']}", style="bold")
            limit = date_of(item["valid_until_ms"])
            out.print(f"  of contract {item['contract']}, to be executed before {limit} UTC")
            text = json.dumps(item["payload"], indent=2, ensure_ascii=False)
            out.print(Padding(text, (0, 0, 0, 2), expand=False))
        out.print()
        out.print(f"signed by   {', '.join(signed) or 'nobody yet'}")
        if draft.missing:
            out.print(f"still needs {', '.join(draft.missing)}")
        else:
            out.print(f"complete:   onward tx submit {file} …")

    answer(document, show_it)
