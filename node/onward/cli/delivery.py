"""What happens with a transaction once it is drafted: written, tried, or signed and submitted."""

from __future__ import annotations

import functools
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from onward import limits
from onward.cli.draft_file import DraftFile, write_draft
from onward.cli.output import Exit, UsageFault, answer, plain_table
from onward.cli.target import Target
from onward.crypto.signing import Signer
from onward.errors import Unavailable
from onward.ledger.leaf import CODE_OK, Outcome
from onward.ledger.transaction import BODY_FORMAT, Body, body_hash, seal_envelope
from onward.network.access import now_ms
from onward.network.wallet import Identity, check_name
from onward.replica.effects import Verdict
from onward.rpc.client import Client, ReadingParty
from onward.scenario.grammar import MAKES
from onward.system.parties import PartyKind
from onward_chaincode.drafts import ids_of
from onward_chaincode.errors import ENTRIES
from onward_proto.canonical import encode

F = TypeVar("F", bound=Callable[..., Any])
VALIDITY_MS_DEFAULT = 3_600_000
_PSEUDONYM_SHOWN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What the shared options of all acting commands say."""

    dry_run: bool
    draft: Path | None
    save: str | None
    cosigners: tuple[str, ...]
    valid_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """A transaction to be: who signs beside the actor, and with which further keys."""

    contract: str
    type: str
    actor: Identity
    payload: bytes
    cosigners: tuple[str, ...] = ()  # party ids
    extra_signers: tuple[Signer, ...] = ()  # further keys of the actor

    def body(self, valid_ms: int) -> bytes:
        """The canonical body, valid from now on for `valid_ms`."""
        return encode(
            Body(
                format=BODY_FORMAT,
                contract=self.contract,
                type=self.type,
                actor=self.actor.party_id,
                cosigners=self.cosigners,
                valid_until_ms=now_ms() + valid_ms,
                salt=secrets.token_bytes(limits.SALT_BYTES),
                payload=self.payload,
            )
        )


def delivery_options(command: F) -> F:
    """Add the options of all acting commands; the command receives them as one `delivery`."""

    @functools.wraps(command)
    def gather(*args: Any, **options: Any) -> Any:
        delivery = Delivery(
            dry_run=options.pop("dry_run"),
            draft=options.pop("draft_file"),
            save=options.pop("save"),
            cosigners=tuple(options.pop("cosigner_names")),
            valid_ms=options.pop("valid_minutes") * 60_000,
        )
        if delivery.dry_run and delivery.draft is not None:
            raise click.UsageError("--dry-run and --draft exclude each other")
        if delivery.save is not None:
            check_name(delivery.save)
        return command(*args, delivery=delivery, **options)

    wrapped: Any = gather
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    result: F = wrapped
    return result


_OPTIONS = (
    click.option("--dry-run", is_flag=True, help="Only ask for the verdict; change nothing."),
    click.option(
        "--draft",
        "draft_file",
        metavar="FILE",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Write an unsigned draft instead (see `onward tx`).",
    ),
    click.option("--save", metavar="NAME", help="Call what this makes NAME from now on."),
    click.option(
        "--with",
        "cosigner_names",
        multiple=True,
        metavar="NAME",
        help="Another party that signs too; repeatable.",
    ),
    click.option(
        "--valid-minutes",
        default=VALIDITY_MS_DEFAULT // 60_000,
        show_default=True,
        type=click.IntRange(1, limits.VALIDITY_MS_MAX // 60_000),
        metavar="N",
        help="How long it may take to get into a block.",
    ),
)


async def deliver(
    target: Target, client: Client | None, act: Act, delivery: Delivery
) -> Verdict | None:
    """Do with a transaction what the options say; answers the verdict, if one was asked for."""
    body = act.body(delivery.valid_ms)
    if delivery.draft is not None:
        draft = DraftFile(chain_id=target.genesis.chain_id, bodies=(body,), signatures=())
        write_draft(delivery.draft, draft)
        return None
    if client is None:
        raise UsageFault("which network? --network DIR, or --node ADDRESS --genesis FILE")
    if delivery.save is not None and target.wallet is None:
        raise UsageFault("--save needs a wallet: --network DIR")
    if delivery.dry_run:
        reader = ReadingParty(party=act.actor.party_id, signer=act.actor.signer)
        return await client.dry_run(body, reader)
    signers = [act.actor.signer, *_cosigners(target, act.cosigners), *act.extra_signers]
    envelope = seal_envelope(target.genesis.chain_id, [body], signers)
    try:
        submission = await client.submit(envelope)
    except Unavailable as error:
        tx_hash = body_hash(body).hex()
        error.args = (f"{error}; `onward query tx {tx_hash}` tells whether it was executed",)
        raise
    return submission.verdicts[0]


def tell(
    target: Target,
    act: Act,
    delivery: Delivery,
    verdict: Verdict | None,
    *,
    keep: Mapping[str, str] | None = None,
) -> None:
    """Print what became of it, and end with the exit code that says so.

    `keep`: what only the caller has from now on (the salts of commitments), for programs.
    """
    kept = dict(keep or {})
    if verdict is None:
        tell_draft(target, delivery, keep=kept)
        return
    made = made_by(act.type, verdict)
    wallet = target.wallet
    if delivery.save and wallet and verdict.code == CODE_OK and not delivery.dry_run:
        wallet.remember(delivery.save, made)
    tell_verdict(
        verdict,
        head={
            "contract": act.contract,
            "type": act.type,
            "actor": act.actor.party_id,
            "cosigners": list(act.cosigners),
        },
        made=made,
        keep=kept,
        dry_run=delivery.dry_run,
        by=_called(act.actor),
    )


def _called(actor: Identity) -> str:
    """Who acts, for people: a person is known to the chain by a pseudonym, and here by a name."""
    if actor.name == actor.party_id:
        return actor.name
    is_person = actor.kind == PartyKind.PERSON
    shown = f"{actor.party_id[:_PSEUDONYM_SHOWN]}…" if is_person else actor.party_id
    return f"{actor.name} ({shown})"


def tell_draft(target: Target, delivery: Delivery, *, keep: dict[str, str]) -> None:
    """Say where the draft lies and what is to be done with it."""
    file = delivery.draft

    def show(out: Console) -> None:
        out.print(f"Draft written to {file}, for chain {target.genesis.chain_id.hex()[:16]}….")
        out.print(f"  read it   onward tx show {file}")
        out.print(f"  sign it   onward tx sign {file} …")

    answer(
        {"draft": str(file), "chain_id": target.genesis.chain_id.hex(), "keep": keep},
        show,
    )


def tell_verdict(
    verdict: Verdict,
    *,
    head: dict[str, Any],
    made: dict[str, str],
    dry_run: bool,
    keep: dict[str, str] | None = None,
    by: str = "",
) -> None:
    """Print a verdict; exit 0 for yes and 1 for no. `by`: who acted, as people call them."""
    facts = {"made": made, "keep": keep or {}, "dry_run": dry_run}
    document = head | verdict_json(verdict) | facts

    def show(out: Console) -> None:
        good = verdict.code == CODE_OK
        line = Text("✓ " if good else "✗ ", style="green" if good else "red")
        line.append(verdict.code, style="bold green" if good else "bold red")
        if verdict.rule:
            line.append(f" by rule {verdict.rule}", style="red")
        line.append(
            f"  {head['type']} by {by or head['actor']}, {_place(verdict, dry_run=dry_run)}", ""
        )
        out.print(line)
        for sentence in sentences(verdict):
            out.print(Padding(Text(sentence), (0, 0, 0, 2), expand=False))
        table = plain_table("", "")
        table.show_header = False
        if not dry_run:
            table.add_row("  transaction", verdict.tx_hash.hex())
        for name, value in made.items() if not dry_run else ():
            table.add_row(f"  {name.removesuffix('_id')}", value)
        if table.row_count:
            out.print(table)

    answer(document, show, code=Exit.YES if verdict.code == CODE_OK else Exit.NO)


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """A verdict for programs."""
    return {
        "tx_hash": verdict.tx_hash.hex(),
        "code": verdict.code,
        "rule": verdict.rule,
        "message": verdict.message,
        "outcome": outcome_name(verdict),
        "height": verdict.height,
    }


def outcome_name(verdict: Verdict) -> str:
    """`accepted`, `recorded`, `refused`, or `void` for what left no trace."""
    return Outcome(verdict.outcome).name.lower() if verdict.outcome else "void"


def sentences(verdict: Verdict) -> list[str]:
    """Why it was refused: the rule's sentence, and what it was in this case."""
    if verdict.code == CODE_OK:
        return []
    entry = ENTRIES.get(verdict.code)
    general = [] if entry is None else [entry.sentence]
    return [*general, *([verdict.message] if verdict.message else [])]


def made_by(kind: str, verdict: Verdict) -> dict[str, str]:
    """The ids of what an accepted transaction made."""
    if verdict.code != CODE_OK:
        return {}
    ids = ids_of(verdict.tx_hash.hex())
    return {f"{noun}_id": ids[f"{noun}_id"] for noun in MAKES.get(kind, ())}


def _place(verdict: Verdict, *, dry_run: bool) -> str:
    if dry_run:
        return "if it came into a block now"
    if not verdict.outcome:
        return "not executed"
    kept = "; the attempt is on record" if verdict.outcome == Outcome.RECORDED else ""
    return f"in block {verdict.height}{kept}"


def _cosigners(target: Target, party_ids: Sequence[str]) -> list[Signer]:
    signers: list[Signer] = []
    for party_id in party_ids:
        identity = target.identity_of(party_id)
        if identity is None:
            raise UsageFault(
                f"{party_id} has to sign too and its key is not in the wallet: write a draft with "
                "--draft FILE, let it `onward tx cosign FILE`, then `onward tx submit FILE`"
            )
        signers.append(identity.signer)
    return signers
