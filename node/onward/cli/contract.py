"""`onward terms|schema|agreement|share|obligation|…`: one command for each type of transaction.

They are made from the table of payloads: nothing is written down here that the contract knows. What
is ours is who acts when nobody says so, and a sentence for the help page.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import click

from onward.cli.delivery import Act, Delivery, deliver, delivery_options, tell
from onward.cli.output import json_option
from onward.cli.target import Target, target_options
from onward.cli.terms_show import show as show_terms
from onward.cli.values import Option, Values, option_of, options_of
from onward.network.wallet import Identity
from onward.replica.effects import Verdict
from onward.rpc.client import Client, ReadingParty
from onward.scenario.format import CONTRACT
from onward.scenario.grammar import Sort
from onward_chaincode.drafts import draft
from onward_chaincode.payloads import PAYLOADS

GROUPS: dict[str, str] = {
    "agreement": "Offer, counter, accept, reject, amend, suspend, revoke and end agreements.",
    "blob": "What was shared: sealed to its two parties, beside the chain, destroyed on demand.",
    "breach": "Tell those whose data it is of a breach.",
    "intent": "Cast an intent to buy, answer one, select an answer.",
    "mandate": "Say which agreements an auditor may look into.",
    "obligation": "Attest that a duty is done, and flag one that is overdue.",
    "onward": "Approve single onward shares, where the terms ask for it.",
    "schema": "Publish schemas: what the fields of shared data are.",
    "share": "Record shares, confirm them, pass them on.",
    "violation": "Flag a violation of the terms, answer and resolve it.",
    "terms": "Read terms as sentences; publish, deprecate and recall them.",
}
DEFAULT_ACTORS = {"schema": "registry", "terms": "registry"}


def group_of(noun: str) -> click.Group:
    """The group of one noun, with a command for each of its transaction types."""
    group = click.Group(noun, help=GROUPS[noun])
    for kind in sorted(PAYLOADS):
        if kind.partition(".")[0] == noun:
            group.add_command(_command(kind))
    return group


def _command(kind: str) -> click.Command:
    """The command for a transaction type. What is published comes as an argument."""
    name = kind.partition(".")[2].replace("_", "-")
    options = options_of(kind)

    def run(target: Target, delivery: Delivery, **typed: Any) -> None:
        given = {option.key.key: typed[option.parameter] for option in options}
        _act(kind, target, delivery, given)

    callback: Callable[..., Any] = json_option(target_options(delivery_options(run)))
    for option in reversed(options):
        callback = _parameter(option)(callback)
    text = (PAYLOADS[kind].__doc__ or "").strip()
    return click.command(name, help=text.replace("`", ""), short_help=_first_sentence(text))(
        callback
    )


def _parameter(option: Option) -> Callable[[Any], Any]:
    if option.key.sort == Sort.DOCUMENT:
        made: Callable[[Any], Any] = click.argument(option.parameter, metavar="LABEL_OR_FILE")
        return made
    made = option_of(option)
    return made


def _first_sentence(text: str) -> str:
    line = " ".join(text.split("\n\n", maxsplit=1)[0].split()).replace("`", "")
    return line.split(": ")[0].split("; ")[0].rstrip(".") + "."


def _act(kind: str, target: Target, delivery: Delivery, given: dict[str, Any]) -> None:
    identity = target.identity(DEFAULT_ACTORS.get(kind.partition(".")[0]))
    act, verdict, notes = asyncio.run(_carry_out(kind, target, delivery, given, identity))
    tell(target, act, delivery, verdict, keep=notes)


async def _carry_out(
    kind: str, target: Target, delivery: Delivery, given: dict[str, Any], identity: Identity
) -> tuple[Act, Verdict | None, dict[str, str]]:
    reachable = target.network is not None or target.node is not None
    if not reachable:
        return await _with_client(kind, target, delivery, given, identity, None)
    async with target.client() as client:
        return await _with_client(kind, target, delivery, given, identity, client)


async def _with_client(  # noqa: PLR0917  # one call site, two branches
    kind: str,
    target: Target,
    delivery: Delivery,
    given: dict[str, Any],
    identity: Identity,
    client: Client | None,
) -> tuple[Act, Verdict | None, dict[str, str]]:
    reader = ReadingParty(party=identity.party_id, signer=identity.signer)
    values = Values(target, client, reader)
    fields = await values.fields(kind, given)
    named = [target.party_id(name) for name in delivery.cosigners]
    if kind == "share.onward" and fields["recipient"] != identity.party_id:
        named.insert(0, fields["recipient"])
    act = Act(
        contract=CONTRACT,
        type=kind,
        actor=identity,
        payload=draft(kind, fields),
        cosigners=tuple(dict.fromkeys(named)),
    )
    for name, value in values.notes.items():
        # Told before it is sent: what is on the chain without its salt can be opened by nobody.
        click.echo(f"keep this: {name} = {value}", err=True)
    return act, await deliver(target, client, act, delivery), values.notes


agreement = group_of("agreement")
breach = group_of("breach")
intent = group_of("intent")
mandate = group_of("mandate")
obligation = group_of("obligation")
onward = group_of("onward")
schema = group_of("schema")
share = group_of("share")
terms = group_of("terms")
violation = group_of("violation")

terms.add_command(show_terms)
