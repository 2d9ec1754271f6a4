"""`onward validators`: who the validators are, and how the members change them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from onward.cli.delivery import Act, Delivery, deliver, delivery_options, tell
from onward.cli.output import Exit, UsageFault, answer, json_option, to_copy
from onward.cli.target import Target, hex_id, target_options
from onward.crypto.signing import SigningKey
from onward.errors import RejectedError
from onward.ledger.epoch_proof import join_epoch_proofs
from onward.network.access import now_ms
from onward.replica.effects import Verdict
from onward.replica.standing import epoch_proofs, standing_of
from onward.rpc.client import Client, Endpoint
from onward.runtime.config import CONFIG_BYTES_MAX, parse_config
from onward.runtime.home import CONFIG_NAME, KEY_NAME, read_bounded, read_home, read_seed
from onward.storage.home import open_home
from onward.system.parties import NAMESPACE
from onward.system.validators import Approve, Member, Members, Propose, Ready, members_of
from onward_proto.canonical import encode

_ACTOR = "admin"
home_option = click.option(
    "--home",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="The home of the validator whose key signs.",
)


@click.group()
def validators() -> None:
    """Show the validators; propose others, get ready, approve."""


@validators.command()
@target_options
@json_option
def show(target: Target) -> None:
    """Show the newest approved validators, and the open proposals."""
    found = asyncio.run(_ask(target))
    members = _current(target, found)
    document = {**found, "validators": [_as_json(item) for item in members]}

    def tell_people(out: Console) -> None:
        out.print(f"Newest approved set: epoch {found['epoch']}")
        for item in members:
            out.print(f"  {item.name} of {item.organisation}")
            to_copy(out, f"    {item.public_key.hex()}")
        for item in found["proposals"]:
            names = ", ".join(member["name"] for member in item["validators"])
            votes = ", ".join(item["approved_by"]) or "nobody yet"
            out.print(f"{item['organisation']} proposes {names}; approved by {votes}")
            to_copy(out, f"    {item['proposal']}")

    answer(document, tell_people)


@validators.command("propose", short_help="Propose other validators.")
@home_option
@click.option("--add", "added", multiple=True, metavar="NAME=ORGANISATION=KEY", help="Repeatable.")
@click.option("--remove", "removed", multiple=True, metavar="NAME", help="Repeatable.")
@click.option("--rekey", "rekeyed", multiple=True, metavar="NAME=KEY", help="Repeatable.")
@target_options
@delivery_options
@json_option
def propose_set(
    home: Path,
    added: tuple[str, ...],
    removed: tuple[str, ...],
    rekeyed: tuple[str, ...],
    *,
    target: Target,
    delivery: Delivery,
) -> None:
    """Propose other validators, in place of the same organisation's earlier proposal."""
    current = _current(target, asyncio.run(_ask(target)))
    following = changed(current, added, removed, rekeyed)
    payload = encode(Propose(current=current, following=following))
    _act(target, delivery, ("validators.propose", payload), _key_of(home))


@validators.command("ready", short_help="Show that a newcomer has come up to the chain.")
@home_option
@target_options
@delivery_options
@json_option
def be_ready(home: Path, target: Target, delivery: Delivery) -> None:
    """Show that the newcomer in DIR, whose node runs, has come up to the chain."""
    key = _key_of(home)
    payload = encode(asyncio.run(_result_of(target, home, key)))
    _act(target, delivery, ("validators.ready", payload), key)


@validators.command("approve", short_help="Vote for PROPOSAL.")
@click.argument("proposal", metavar="PROPOSAL")
@home_option
@target_options
@delivery_options
@json_option
def approve_set(proposal: str, home: Path, target: Target, delivery: Delivery) -> None:
    """Vote for PROPOSAL (an id of `onward validators show`) in a validator's organisation's name.

    What is approved cannot be taken back.
    """
    wanted = hex_id(proposal, "PROPOSAL")
    for item in asyncio.run(_ask(target))["proposals"]:
        if item["proposal"] == wanted.hex():
            payload = encode(Approve(organisation=item["organisation"], proposal=wanted))
            _act(target, delivery, ("validators.approve", payload), _key_of(home))
            return
    raise UsageFault(f"there is no open proposal {proposal}; `onward validators show` lists them")


@validators.command("proofs", short_help="Write the proofs of all ended epochs.")
@click.argument("home", metavar="HOME", type=click.Path(path_type=Path, file_okay=False))
@json_option
def write_proofs(home: Path) -> None:
    """Write the proofs of all ended epochs to standard output, for `verify --epochs`.

    From the database of a stopped node, or of a copy of its home: of one that ran when each of
    these epochs ended. Exit 1 where it can prove only the first of them.
    """
    with _homes():
        node = read_home(home)
    disk = open_home(node.data, node.genesis.chain_id)
    try:
        proofs = epoch_proofs(disk.store, node.genesis)
        ended = standing_of(disk.store, node.genesis).validators.epoch
    finally:
        disk.close()
    text = join_epoch_proofs(proofs).decode()

    def show(_: Console) -> None:
        click.echo(text, nl=False)
        if len(proofs) < ended:
            click.echo(
                f"onward: {len(proofs)} of {ended} epochs: this node was away when epoch "
                f"{len(proofs)} ended; ask one that ran then",
                err=True,
            )

    document = {"epochs": text, "proved": len(proofs), "ended": ended}
    answer(document, show, code=Exit.YES if len(proofs) == ended else Exit.NO)


def changed(
    current: Members,
    added: tuple[str, ...],
    removed: tuple[str, ...],
    rekeyed: tuple[str, ...],
) -> Members:
    """The set after these changes. Raises `UsageFault` for a validator that is none."""
    found = {item.name: item for item in current}
    for name in removed:
        if found.pop(name, None) is None:
            raise UsageFault(f"--remove {name}: there is no such validator")
    for text in rekeyed:
        name, _, key = text.partition("=")
        before = found.get(name)
        if before is None:
            raise UsageFault(f"--rekey {text}: there is no such validator")
        found[name] = Member(
            name=name, organisation=before.organisation, public_key=hex_id(key, "--rekey")
        )
    for text in added:
        name, organisation, key = [*text.split("="), "", ""][:3]
        if not name or not organisation or name in found or text.count("=") != 2:
            raise UsageFault(f"--add {text}: expected NAME=ORGANISATION=KEY with a new name")
        found[name] = Member(name=name, organisation=organisation, public_key=hex_id(key, "--add"))
    return tuple(found.values())


def _current(target: Target, found: dict[str, Any]) -> Members:
    """The newest approved set; that of the genesis as long as there is no other."""
    if found["epoch"] == 0:
        return members_of(target.genesis.validators)
    return tuple(
        Member(
            name=item["name"],
            organisation=item["organisation"],
            public_key=bytes.fromhex(item["public_key"]),
        )
        for item in found["validators"]
    )


def _as_json(member: Member) -> dict[str, str]:
    return {
        "name": member.name,
        "organisation": member.organisation,
        "public_key": member.public_key.hex(),
    }


@contextmanager
def _homes() -> Iterator[None]:
    """What is read from a home. Raises `UsageFault` where none is there: no chain said no."""
    try:
        yield
    except RejectedError as error:
        raise UsageFault(str(error)) from None


def _key_of(home: Path) -> SigningKey:
    with _homes():
        return SigningKey(read_seed(home / KEY_NAME))


async def _ask(target: Target) -> dict[str, Any]:
    async with target.client() as client:
        data, _ = await client.query(NAMESPACE, "validators", b"{}", target.reader(_ACTOR))
    found: dict[str, Any] = json.loads(data)
    return found


async def _result_of(target: Target, home: Path, key: SigningKey) -> Ready:
    """The newest result that the newcomer's own node has computed."""
    with _homes():
        gateway = parse_config(read_bounded(home / CONFIG_NAME, CONFIG_BYTES_MAX)).gateway
    endpoint = Endpoint(
        address=str(gateway.listen), public_key=key.public_key, plaintext=gateway.plaintext
    )
    chain_id = target.genesis.chain_id
    async with Client((endpoint,), chain_id=chain_id, now_ms=now_ms) as newcomer:
        height = (await newcomer.status(0)).height
        if height < 1:
            raise UsageFault("the newcomer's node has not come to the first block yet")
        stored = await newcomer.block(height, target.reader(_ACTOR))
    return Ready(
        public_key=key.public_key,
        height=height,
        log_size=stored.log_size,
        log_root=stored.log_root,
    )


def _act(target: Target, delivery: Delivery, what: tuple[str, bytes], key: SigningKey) -> None:
    if delivery.draft is not None or delivery.dry_run:
        raise UsageFault("a validator's key signs at once: without --draft and --dry-run")
    kind, payload = what
    act = Act(
        contract=NAMESPACE,
        type=kind,
        actor=target.identity(_ACTOR),
        payload=payload,
        extra_signers=(key,),
    )
    tell(target, act, delivery, asyncio.run(_deliver(target, act, delivery)))


async def _deliver(target: Target, act: Act, delivery: Delivery) -> Verdict | None:
    async with target.client() as client:
        return await deliver(target, client, act, delivery)
