"""`onward query`: what the chain knows, for who may know it.

One table of questions; the contract answers them, here they only get options and a page.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import click

from onward.cli.asking import as_a_node_says, read_answer
from onward.cli.delivery import outcome_name, verdict_json
from onward.cli.output import UsageFault, answer, json_option
from onward.cli.page import show_document
from onward.cli.target import Target, hex_id, target_options
from onward.cli.values import Values, moment
from onward.ledger.block import block_digest
from onward.ledger.chain import StoredBlock
from onward.rpc.client import Client, ReadingParty, TransactionAnswer
from onward.scenario.documents import shipped_documents
from onward.scenario.format import CONTRACT
from onward.system.parties import NAMESPACE
from onward_chaincode.drafts import published_id
from onward_chaincode.forms import HASH
from onward_proto.documents import INTEGER_MAX, canonical_document, parse_document

Ask = Callable[[Client, ReadingParty], Awaitable[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A query of the contract. `about`: the kind of record that it takes as an argument."""

    query: str
    summary: str
    about: str = ""
    words: tuple[tuple[str, str], ...] = ()  # further options: argument, help
    parties: tuple[tuple[str, str], ...] = ()  # a name of the wallet, or an id
    times: tuple[tuple[str, str], ...] = ()
    paged: bool = False


_SINCE = "Since then, such as 'now - 7d' or 2027-01-31."

QUESTIONS: dict[str, Question] = {
    "aggregate": Question(
        query="aggregate",
        summary="How much I gave, received or passed on, by month and more.",
        words=(
            ("direction", "given, received, passed_on or onward."),
            ("month", "Of this month, such as 2027-01."),
        ),
        paged=True,
    ),
    "agreement": Question(
        query="agreement",
        summary="An agreement, whether it is in force, and why not.",
        about="agreement",
        times=(("at_ms", "How it stands at another time."),),
    ),
    "agreements": Question(query="agreements", summary="All of mine.", paged=True),
    "approvals": Question(
        query="approvals", summary="Approvals of single onward shares.", paged=True
    ),
    "breaches": Question(query="breaches", summary="Notices of breaches.", paged=True),
    "catalogue": Question(
        query="catalogue",
        summary="The terms, or the schemas, that are published.",
        words=(("kind", "terms or schema."),),
        paged=True,
    ),
    "changes": Question(
        query="changes",
        summary="What an agreement allowed at one time and allows at another.",
        about="agreement",
        times=(("from_ms", _SINCE), ("to_ms", "Until then; now, if left out.")),
    ),
    "compliance": Question(
        query="compliance",
        summary="How a custodian keeps its word, as far as I may see.",
        parties=(("party", "The custodian; I, if left out."),),
    ),
    "feed": Question(
        query="feed",
        summary="What happened that I may have to act on.",
        times=(("since_ms", _SINCE),),
        paged=True,
    ),
    "handshake": Question(
        query="handshake", summary="What was answered to an offer.", about="offer", paged=True
    ),
    "history": Question(
        query="history", summary="What happened under an agreement.", about="agreement", paged=True
    ),
    "intent": Question(query="intent", summary="An intentcast.", about="intent"),
    "intents": Question(
        query="intents",
        summary="Open intentcasts.",
        words=(("industry", "Of this industry."), ("tag", "With this tag.")),
        paged=True,
    ),
    "mandates": Question(
        query="mandates",
        summary="What an auditor may look into.",
        parties=(("auditor", "Whose; mine, if left out."),),
        paged=True,
    ),
    "obligations": Question(
        query="obligations",
        summary="Duties that I owe, or that are owed to me.",
        words=(("state", "OPEN, OVERDUE or ATTESTED."),),
        times=(("due_before_ms", "Due before then, such as 30d."),),
        paged=True,
    ),
    "offer": Question(query="offer", summary="An offer.", about="offer"),
    "refusals": Question(
        query="refusals", summary="Refused onward shares of mine or of my data.", paged=True
    ),
    "responses": Question(
        query="responses", summary="Answers to an intentcast.", about="intent", paged=True
    ),
    "schema": Question(query="schema", summary="A schema.", about="schema"),
    "share": Question(query="share", summary="A share.", about="share"),
    "shares": Question(
        query="shares",
        summary="What I gave, received, passed on, and others did of mine.",
        words=(("direction", "given, received, passed_on or onward."),),
        paged=True,
    ),
    "terms": Question(query="terms", summary="Terms, and whether they still apply.", about="terms"),
    "violations": Question(query="violations", summary="Flagged violations.", paged=True),
    "view": Question(
        query="party_view",
        summary="My sharing at a glance.",
        times=(("within_ms", "What ends within this time, such as 30d."),),
    ),
}


@click.group()
def query() -> None:
    """Ask the chain. Every answer is for the party that asks (--as) and what it may read."""


def _command(name: str, question: Question) -> click.Command:
    def run(target: Target, **typed: Any) -> None:
        _tell(_ask(target, question, typed), target, name)

    callback: Any = json_option(target_options(run))
    if question.paged:
        callback = click.option("--limit", type=click.IntRange(1, 200), help="Rows in a page.")(
            callback
        )
        callback = click.option("--after", metavar="CURSOR", help="Behind the page before.")(
            callback
        )
    for word, text in (*question.words, *question.parties, *question.times):
        flag = "--" + word.removesuffix("_ms").replace("_", "-")
        callback = click.option(flag, word, metavar=word.removesuffix("_ms").upper(), help=text)(
            callback
        )
    if question.about:
        callback = click.argument("about", metavar=question.about.upper())(callback)
    return click.command(name, help=question.summary)(callback)


def _ask(target: Target, question: Question, typed: dict[str, Any]) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    for word, _ in question.words:
        if typed[word]:
            arguments[word] = typed[word]
    for word, _ in question.parties:
        if typed[word]:
            arguments[word] = target.party_id(typed[word])
    for word, _ in question.times:
        if typed[word]:
            name = word.removesuffix("_ms")
            sort = "within" if name == "within" else "moment_at"  # a period, or a moment
            arguments[word] = moment(sort, typed[word], f"--{name.replace('_', '-')}")
    if question.about:
        arguments[f"{question.about}_id"] = reference(target, question.about, typed["about"])
    for word in ("after", "limit") if question.paged else ():
        if typed[word]:
            arguments[word] = typed[word]
    answered: dict[str, Any] = _run(target, _query(CONTRACT, question.query, arguments))
    return answered


def _query(contract: str, name: str, arguments: dict[str, Any]) -> Ask:
    async def ask(client: Client, reader: ReadingParty) -> dict[str, Any]:
        data, height = await client.query(contract, name, canonical_document(arguments), reader)
        return read_answer(data, height)

    return ask


def _run(target: Target, ask: Ask, default: str | None = None) -> Any:
    async def run() -> Any:
        async with target.client() as client:
            return await ask(client, target.reader(default))

    return asyncio.run(run())


def reference(target: Target, kind: str, value: str) -> str:
    """The id of a record, or of terms or a schema that ship with the contract."""
    if HASH.fullmatch(value):
        return value
    if kind in ("terms", "schema"):
        fixtures = shipped_documents()
        if value in fixtures:
            return published_id(fixtures[value])
        raise UsageFault(f"{value!r}: expected a label that ships with Onward, or an id")
    ids = target.record(value)
    if f"{kind}_id" not in ids:
        raise UsageFault(
            f"{value!r}: expected the {kind}'s id, 64 hex digits, or a name given with --save"
        )
    return ids[f"{kind}_id"]


def _tell(document: dict[str, Any], target: Target, title: str) -> None:
    answer(document, lambda out: show_document(out, document, target, title=title))


for _name, _question in QUESTIONS.items():
    query.add_command(_command(_name, _question))


@query.command(short_help="The path up, and the tree of all that came of it.")
@click.argument("about", metavar="AGREEMENT")
@click.option("--share", "is_share", is_flag=True, help="The argument is a share.")
@click.option("--after", metavar="CURSOR", help="Behind the page before.")
@click.option("--limit", type=click.IntRange(1, 200), help="Rows in a page.")
@target_options
@json_option
def lineage(
    about: str, after: str | None, limit: int | None, *, is_share: bool, target: Target
) -> None:
    """The path up to the rights holder, and the tree of all that was passed on."""
    kind = "share" if is_share else "agreement"
    arguments: dict[str, Any] = {f"{kind}_id": reference(target, kind, about)}
    arguments |= {"after": after} if after else {}
    arguments |= {"limit": limit} if limit else {}
    _tell(_run(target, _query(CONTRACT, "lineage", arguments)), target, "lineage")


@query.command(short_help="What each rule would say to passing SHARE on.")
@click.argument("share", metavar="SHARE")
@click.option("--recipient", required=True, metavar="PARTY", help="Who would receive it.")
@click.option(
    "--fields", required=True, multiple=True, metavar="FIELDS",
    help="By name or index; repeatable, or with commas.",
)  # fmt: skip
@click.option("--purpose", default="", metavar="IRI", help="What for.")
@click.option("--expires-at", metavar="TIME", help="Until when.")
@click.option("--approval", metavar="ID", help="The approval, where the terms ask for one.")
@click.option("--blob", metavar="HASH", help="Of the sealed payload, where one goes along.")
@target_options
@json_option
def trace(
    share: str, expires_at: str | None, blob: str | None, target: Target, **typed: Any
) -> None:
    """What each rule would say to passing SHARE on now, and how each agreement above it stands."""

    async def ask(client: Client, reader: ReadingParty) -> dict[str, Any]:
        given = {name: value for name, value in typed.items() if value}
        given |= {"parent_share": share, "child.expires_at": expires_at}
        fields = await Values(target, client, reader).fields("share.onward", given)
        child, parcel = fields["child"], fields["share"]
        arguments = {
            "parent_share_id": fields["parent_share"],
            "recipient": fields["recipient"],
            "fields": parcel["fields"],
            "purpose": parcel.get("purpose", ""),
        }
        if "approval" in fields:
            arguments["approval_id"] = fields["approval"]
        if blob is not None:
            arguments["blob"] = hex_id(blob, "--blob").hex()
        if "expires_at_ms" in child:
            arguments["expires_at_ms"] = child["expires_at_ms"]
        found: dict[str, Any] = await _query(CONTRACT, "trace", arguments)(client, reader)
        return found

    _tell(_run(target, ask), target, "trace")


@query.command()
@click.argument("name", metavar="NAME")
@target_options
@json_option
def party(name: str, target: Target) -> None:
    """A party's entry in the registry: kind, keys, groups."""
    arguments = {"party": target.party_id(name)}
    default = target.as_name or (name if target.identity_of(arguments["party"]) else None)
    _tell(_run(target, _query(NAMESPACE, "party", arguments), default), target, "party")


@query.command()
@click.argument("tx_hash", metavar="TX")
@target_options
@json_option
def tx(tx_hash: str, target: Target) -> None:
    """The verdict on a transaction, and its place in the log."""
    data = hex_id(tx_hash, "TX")

    async def ask(client: Client, reader: ReadingParty) -> dict[str, Any]:
        with as_a_node_says():
            return _transaction_json(await client.transaction(data, reader))

    _tell(_run(target, ask), target, "transaction")


def _transaction_json(found: TransactionAnswer) -> dict[str, Any]:
    event = found.verdict.event
    return verdict_json(found.verdict) | {
        "outcome": outcome_name(found.verdict),
        "log_index": found.verdict.log_index,
        "time_ms": found.leaf.time_ms,
        "event": None
        if event is None
        else {"name": event.name, "payload": parse_document(event.payload)},
    }


@query.command()
@click.argument("height", type=click.IntRange(0, INTEGER_MAX))
@target_options
@json_option
def block(height: int, target: Target) -> None:
    """An executed block."""

    async def ask(client: Client, reader: ReadingParty) -> dict[str, Any]:
        with as_a_node_says():
            return block_json(await client.block(height, reader))

    _tell(_run(target, ask), target, "block")


def block_json(found: StoredBlock) -> dict[str, Any]:
    """A block for programs. Of its leaves in the log, the last is its own."""
    header = found.block
    return {
        "height": header.height,
        "digest": block_digest(header).hex(),
        "parent": header.parent.hex(),
        "time_ms": header.time_ms,
        "view": header.view,
        "epoch": header.epoch,
        "state_root": found.state_root.hex(),
        "log_root": found.log_root.hex(),
        "log_size": found.log_size,
        "transaction_count": found.log_size - found.first_leaf - 1,
        "void_count": found.void_count,
        "executed_height": header.executed.height,
    }
