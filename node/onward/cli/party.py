"""`onward party`: who takes part. Registering, keys, groups."""

from __future__ import annotations

import asyncio

import click
from rich.console import Console

from onward.cli.delivery import Act, Delivery, deliver, delivery_options, tell
from onward.cli.output import UsageFault, answer, json_option, plain_table, to_copy
from onward.cli.target import Target, hex_id, target_options
from onward.crypto.signing import SigningKey
from onward.errors import OnwardError
from onward.ledger.leaf import CODE_OK
from onward.network.wallet import Wallet, new_seed
from onward.replica.effects import Verdict
from onward.system.parties import NAMESPACE, PartyKind, pseudonym_of
from onward.system.registry import Deactivate, Register, Registration, RotateKey, SetGroups
from onward_proto.canonical import encode

KINDS = tuple(kind.lower() for kind in PartyKind)
kind_option = click.option(
    "--kind",
    type=click.Choice(KINDS, case_sensitive=False),
    default="organisation",
    show_default=True,
    help="What it is; a person is known by a pseudonym only.",
)


@click.group()
def party() -> None:
    """Register parties, and change their keys and groups."""


@party.command("list")
@target_options
@json_option
def list_parties(target: Target) -> None:
    """Show whose keys are in the network's wallet."""
    wallet = _wallet(target)
    found = [wallet.load(name) for name in wallet.names()]
    document = [
        {
            "name": item.name,
            "party": item.party_id,
            "kind": item.kind,
            "public_key": item.signer.public_key.hex(),
        }
        for item in found
    ]

    def show(out: Console) -> None:
        table = plain_table("name", "party", "kind")
        for item in found:
            table.add_row(item.name, item.party_id, item.kind.lower())
        out.print(table)

    answer({"parties": document}, show)


@party.command("create")
@click.argument("name")
@kind_option
@target_options
@json_option
def create(name: str, kind: str, target: Target) -> None:
    """Make a key for NAME in the wallet, without registering it."""
    identity = _wallet(target).create(name, kind.upper())
    document = {
        "name": name,
        "party": identity.party_id,
        "kind": identity.kind,
        "public_key": identity.signer.public_key.hex(),
    }

    def show(out: Console) -> None:
        out.print(f"{name} is {identity.party_id}; register it: onward party register {name} …")
        to_copy(out, f"  public key  {identity.signer.public_key.hex()}")

    answer(document, show)


@party.command("register")
@click.argument("name")
@kind_option
@click.option("--group", "groups", multiple=True, metavar="GROUP", help="Repeatable.")
@click.option("--jurisdiction", default="", metavar="CC", help="A country's two letters.")
@click.option("--public-key", metavar="HEX", help="Somebody else's key, in place of the wallet's.")
@target_options
@delivery_options
@json_option
def register(
    name: str,
    kind: str,
    groups: tuple[str, ...],
    jurisdiction: str,
    public_key: str | None,
    *,
    target: Target,
    delivery: Delivery,
) -> None:
    """Register NAME, with a new key unless the wallet has one.

    By the network's administrator, or for a person in no group by the enroller, unless --as says
    otherwise.
    """
    kind = kind.upper()
    if public_key is not None:
        key = hex_id(public_key, "--public-key")
        party_id = pseudonym_of(key) if kind == PartyKind.PERSON else name
    elif delivery.dry_run and name not in _wallet(target):
        key = SigningKey(new_seed()).public_key
        party_id = pseudonym_of(key) if kind == PartyKind.PERSON else name
    else:
        wallet = _wallet(target)
        identity = wallet.load(name) if name in wallet else wallet.create(name, kind)
        if identity.kind != kind:
            raise UsageFault(f"the wallet's key of {name!r} is one of kind {identity.kind.lower()}")
        key, party_id = identity.signer.public_key, identity.party_id
    registration = Registration(
        party=party_id,
        kind=kind,
        public_key=key,
        groups=tuple(sorted(set(groups))),
        jurisdiction=jurisdiction.upper(),
    )
    payload = encode(Register(parties=(registration,)))
    default = "enroller" if kind == PartyKind.PERSON and not groups else "admin"
    _act(target, delivery, "party.register", payload, default)


@party.command("rotate-key", short_help="Give the party that acts a new key.")
@target_options
@delivery_options
@json_option
def rotate_key(target: Target, delivery: Delivery) -> None:
    """Give the party that acts a new key; the old one signs for it, and the new one too."""
    wallet = _wallet(target)
    identity = target.identity()
    if identity.name not in wallet:
        raise UsageFault("a new key goes to the wallet: --network DIR --as NAME")
    if delivery.draft is not None:
        raise UsageFault("the new key has to sign at once: without --draft")
    seed = new_seed()
    fresh = SigningKey(seed)
    act = Act(
        contract=NAMESPACE,
        type="party.rotate_key",
        actor=identity,
        payload=encode(RotateKey(public_key=fresh.public_key)),
        extra_signers=(fresh,),
    )
    if delivery.dry_run:
        tell(target, act, delivery, asyncio.run(_deliver(target, act, delivery)))
        return
    # On disk before the chain can know it: whoever loses a key that is in force loses the party.
    aside = wallet.set_aside(identity.name, seed)
    try:
        verdict = asyncio.run(_deliver(target, act, delivery))
    except UsageFault:
        aside.unlink()
        raise
    except OnwardError as error:  # a refusal too: perhaps of what another node has taken in
        error.args = (f"{error}; should it be executed after all, the new key is in {aside}",)
        raise
    if verdict is not None and verdict.code == CODE_OK:
        wallet.replace_key(identity.name, aside)
    elif verdict is not None and verdict.outcome:
        aside.unlink()
    tell(target, act, delivery, verdict)


@party.command("deactivate", short_help="Take NAME out of the network.")
@click.argument("name")
@target_options
@delivery_options
@json_option
def deactivate(name: str, target: Target, delivery: Delivery) -> None:
    """Take NAME out of the network; by the administrator or by itself."""
    payload = encode(Deactivate(party=target.party_id(name)))
    _act(target, delivery, "party.deactivate", payload, "admin")


@party.command("set-groups")
@click.argument("name")
@click.option(
    "--group", "groups", multiple=True, metavar="GROUP", help="Repeatable; none: no group."
)
@target_options
@delivery_options
@json_option
def set_groups(name: str, groups: tuple[str, ...], target: Target, delivery: Delivery) -> None:
    """Say which groups NAME is in from now on; by the administrator."""
    payload = encode(SetGroups(party=target.party_id(name), groups=tuple(sorted(set(groups)))))
    _act(target, delivery, "party.set_groups", payload, "admin")


def _act(target: Target, delivery: Delivery, kind: str, payload: bytes, default: str) -> None:
    act = Act(
        contract=NAMESPACE,
        type=kind,
        actor=target.identity(default),
        payload=payload,
        cosigners=tuple(target.party_id(item) for item in delivery.cosigners),
    )
    tell(target, act, delivery, asyncio.run(_deliver(target, act, delivery)))


async def _deliver(target: Target, act: Act, delivery: Delivery) -> Verdict | None:
    if delivery.draft is not None:
        return await deliver(target, None, act, delivery)
    async with target.client() as client:
        return await deliver(target, client, act, delivery)


def _wallet(target: Target) -> Wallet:
    wallet = target.wallet
    if wallet is None:
        raise UsageFault("which wallet? --network DIR")
    return wallet
