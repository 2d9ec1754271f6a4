"""`onward blob`: what was shared itself, which never stands on the chain."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.text import Text

from onward import limits
from onward.blobs.deletion import SignedDeletion, verify_deletion
from onward.blobs.place import Place
from onward.blobs.sealing import SALT_BYTES, Opened, Secrets, blob_hash, open_blob, seal
from onward.cli.contract import group_of
from onward.cli.output import UsageFault, answer, json_option, plain_table, writing
from onward.cli.query import reference
from onward.cli.target import Target, hex_id, read_file, target_options
from onward.crypto.signing import verify as signatures_verify
from onward.errors import OnwardError, RejectCode, RejectedError, Unavailable
from onward.exchange.letters import spelled_lines
from onward.rpc.client import Client, ReadingParty
from onward.scenario.format import CONTRACT
from onward.system.parties import NAMESPACE
from onward_chaincode.forms import HASH
from onward_proto.documents import canonical_document

T = TypeVar("T")
_KEY_BYTES, _NONCE_BYTES = 32, 24

blob = group_of("blob")


@blob.command("seal", short_help="Seal FILE, and say what to record of it.")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--for", "holders", metavar="PARTY", multiple=True, required=True,
              help="Who may open it: both parties to the share. Repeatable.")  # fmt: skip
@click.option("--out", required=True, metavar="FILE", type=click.Path(path_type=Path),
              help="Where to write the blob.")  # fmt: skip
@target_options
@json_option
def seal_(file: Path, holders: tuple[str, ...], out: Path, target: Target) -> None:
    """Seal FILE, and say what to record of it: --commitment and --blob of the share.

    The salt of the commitment is inside of the blob and nowhere else.
    """
    data = read_file(file, limits.BLOB_PAYLOAD_BYTES_MAX)
    keys = asyncio.run(_keys_of(tuple(map(target.party_id, holders)), target))
    fresh = Secrets(
        salt=secrets.token_bytes(SALT_BYTES),
        key=secrets.token_bytes(_KEY_BYTES),
        nonce=secrets.token_bytes(_NONCE_BYTES),
    )
    sealed = seal(data, keys, fresh)
    commitment = Opened(salt=fresh.salt, payload=data).commitment
    with writing():
        out.write_bytes(sealed)
    document = {"commitment": commitment.hex(), "blob": blob_hash(sealed).hex(), "file": str(out)}

    def show(console: Console) -> None:
        console.print(f"{out}: sealed to {', '.join(holders)}. Record the share with")
        console.print(f"  --commitment {document['commitment']} \\")
        console.print(f"  --blob {document['blob']}")

    answer(document, show)


@blob.command("put")
@click.argument("share", metavar="SHARE")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@target_options
@json_option
def put(share: str, file: Path, target: Target) -> None:
    """Leave the blob in FILE with every node that can be reached. By a party to SHARE."""
    place, sealed = _place(share, target), read_file(file, limits.BLOB_BYTES_MAX)

    async def bring() -> int:
        async with target.client() as client:
            return await client.put_blob(place, sealed, target.reader())

    count = asyncio.run(bring())
    answer({"share": place.record.hex(), "nodes": count},
           lambda console: console.print(f"{count} nodes keep it"))  # fmt: skip


@blob.command("get", short_help="Fetch, open and check what was shared.")
@click.argument("share", metavar="SHARE")
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
              help="Write it here instead of to standard output.")  # fmt: skip
@target_options
@json_option
def get(share: str, out: Path | None, target: Target) -> None:
    """Fetch and open what was shared, and check that it is what the chain's commitment says."""
    place, reader = _place(share, target), target.reader()

    async def fetch() -> tuple[dict[str, str], bytes]:
        async with target.client() as client:
            record = await _record_of(client, place, reader, target)
            return record, await client.get_blob(place, bytes.fromhex(record["blob"]), reader)

    record, sealed = asyncio.run(fetch())
    opened = open_blob(sealed, target.identity().signer)
    if opened.commitment.hex() != record["commitment"]:
        raise RejectedError(RejectCode.BLOB, "the payload is not what the chain's commitment says")
    if out is not None:
        _write_private(out, opened.payload)
    document = {
        "share": place.record.hex(),
        "commitment": record["commitment"],
        "salt": opened.salt.hex(),
        "payload": opened.payload.decode(errors="replace") if out is None else str(out),
    }

    def show(console: Console) -> None:
        if out is None:
            _write_payload(opened.payload)
        else:
            console.print(f"{out}: {len(opened.payload)} bytes, as the chain's commitment says")

    answer(document, show)


@blob.command("deletions", short_help="What the nodes signed that destroyed the blob.")
@click.argument("share", metavar="SHARE")
@click.option("--save", metavar="DIR", type=click.Path(path_type=Path, file_okay=False),
              help="Write each to a file in DIR.")  # fmt: skip
@target_options
@json_option
def deletions(share: str, save: Path | None, target: Target) -> None:
    """The signed deletions of the nodes that destroyed the blob, each verified here.

    What does not verify is counted and not shown: it proves nothing, and hides no other's.
    """
    place, reader = _place(share, target), target.reader()

    async def fetch() -> tuple[bytes, ...]:
        async with target.client() as client:
            return await client.blob_deletions(place, reader)

    found: list[SignedDeletion] = []
    answers = asyncio.run(fetch())
    for data in answers:
        try:
            signed = verify_deletion(data, target.genesis, signatures_verify)
        except OnwardError:
            continue
        of = Place(contract=signed.deletion.contract, record=signed.deletion.record)
        if of != place or any(signed.validator == item.validator for item in found):
            continue  # of another record, or handed on by one that has none of its own
        found.append(signed)
        if save is not None:
            name = f"{signed.validator}-{place.record.hex()[:12]}.deletion"
            with writing():
                save.mkdir(parents=True, exist_ok=True)
                (save / name).write_bytes(data)
    rows = [
        {
            "validator": item.validator,
            "blob": item.deletion.blob.hex(),
            "height": item.deletion.height,
        }
        for item in found
    ]
    unverified = len(answers) - len(found)
    document = {"share": place.record.hex(), "deletions": rows, "unverified": unverified}
    answer(document, lambda out: _show(out, found, unverified))


def _write_payload(payload: bytes) -> None:
    """To a file or another program as it is; a terminal would obey what the sender put inside."""
    if sys.stdout.isatty():
        click.echo(spelled_lines(payload.decode(errors="replace")))
    else:
        sys.stdout.buffer.write(payload)


def _write_private(file: Path, data: bytes) -> None:
    """Personal data is for whoever fetched it, whatever the umask says."""
    with writing():
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        os.fchmod(stream.fileno(), 0o600)
        stream.write(data)


def _show(out: Console, found: list[SignedDeletion], unverified: int) -> None:
    if unverified:
        out.print(f"{unverified} nodes answered with what is no deletion of theirs")
    if not found:
        out.print("no node has destroyed a blob of this share")
        return
    table = plain_table("validator", "destroyed", "at height")
    for item in found:
        table.add_row(item.validator, Text(item.deletion.blob.hex()), str(item.deletion.height))
    out.print(table)


def _place(share: str, target: Target) -> Place:
    return Place(contract=CONTRACT, record=hex_id(reference(target, "share", share), "SHARE"))


async def _record_of(
    client: Client, place: Place, reader: ReadingParty, target: Target
) -> dict[str, str]:
    """What the chain holds of the share. Raises `RejectedError` E_NOT_FOUND without a blob."""
    arguments = canonical_document({"share_id": place.record.hex()})
    answers = await client.query_all(place.contract, "share", arguments, reader)
    commitment, named = _agreed(answers, _committed, target)
    if named is None:
        raise RejectedError(RejectCode.NOT_FOUND, "the share names no blob")
    return {"commitment": commitment, "blob": named}


async def _keys_of(parties: tuple[str, ...], target: Target) -> tuple[bytes, ...]:
    """All current keys of the parties. Raises `UsageFault` for one that has none.

    A node that could make one up could open what is sealed.
    """
    reader, keys = target.reader(), list[bytes]()
    async with target.client() as client:
        for party in parties:
            arguments = canonical_document({"party": party})
            answers = await client.query_all(NAMESPACE, "party", arguments, reader)
            is_active, found = _agreed(answers, _keys_in, target)
            if not is_active or not found:
                raise UsageFault(f"{party} is not active: nothing can be sealed to it")
            keys += found
    return tuple(keys)


def _keys_in(answer: Any) -> tuple[bool, tuple[bytes, ...]]:
    return answer["active"] is True, tuple(map(_digest, answer["public_keys"]))


def _committed(answer: Any) -> tuple[str, str | None]:
    blob = answer["blob"]
    return _digest(answer["commitment"]).hex(), None if blob is None else _digest(blob).hex()


def _digest(value: Any) -> bytes:
    """32 bytes as an answer writes them. Raises `ValueError` for what is none."""
    if not isinstance(value, str) or not HASH.fullmatch(value):
        raise ValueError("expected 64 hexadecimal digits")
    return bytes.fromhex(value)


def _agreed(answers: tuple[bytes, ...], take: Callable[[Any], T], target: Target) -> T:
    """What so many nodes say that one of them is honest; with --node, what that one says.

    `take` raises for an answer of another form, which then counts for nothing. Raises
    `Unavailable` where too few agree.
    """
    validators = target.genesis.validators
    needed = 1 if target.node is not None else validators.size - validators.quorum + 1
    said: list[T] = []
    for text in answers:
        with suppress(
            ValueError, KeyError, TypeError, RecursionError
        ):  # a liar's answer has any form
            said.append(take(json.loads(text)))
    for value in said:
        if said.count(value) >= needed:
            return value
    raise Unavailable(f"{len(answers)} nodes answer, and no {needed} of them say the same")
