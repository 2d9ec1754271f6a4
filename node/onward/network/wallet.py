"""A wallet: the keys of the parties that somebody acts for, one file each.

wallet/<name>.json     the party's id, kind, key and its secret seed; readable by its owner only
wallet/records.json    names that were given to records of the chain (`--save NAME`)

A name is what a person calls a party; its id is what the chain calls it. For a person the id is a
pseudonym that follows from the key, for everybody else it is the name.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onward.crypto.signing import SEED_BYTES, SigningKey
from onward.errors import MalformedError, RejectCode, RejectedError
from onward.ledger.transaction import is_party_id
from onward.runtime.home import read_bounded
from onward.storage.secret_file import write_secret
from onward.system.parties import PartyKind, pseudonym_of

KEY_FORMAT = "onward/key/1"
KEY_FILE_BYTES_MAX = 4 * 1024
RECORDS_BYTES_MAX = 1024 * 1024
_RECORDS = "records"
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?", re.ASCII)
_HEX32 = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A party and the key that signs for it."""

    name: str
    party_id: str
    kind: str
    signer: SigningKey


def new_seed() -> bytes:
    """The 32 secret bytes of a new key."""
    return secrets.token_bytes(SEED_BYTES)


def check_name(name: str) -> None:
    """Whether a party or a record may be called that. Raises `MalformedError`."""
    if not _NAME.fullmatch(name):
        raise MalformedError(f"name {name!r}: lower-case letters, digits and '._-' inside")


class Wallet:
    """The keys in one folder."""

    def __init__(self, folder: Path) -> None:
        """`folder` need not exist yet."""
        self.folder = folder

    def names(self) -> tuple[str, ...]:
        """Everybody in the wallet, sorted."""
        if not self.folder.is_dir():
            return ()
        return tuple(
            sorted(file.stem for file in self.folder.glob("*.json") if file.stem != _RECORDS)
        )

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self.names()

    def create(self, name: str, kind: str) -> Identity:
        """A new key for a party. Raises `RejectedError` E_DUPLICATE, `MalformedError`."""
        check_name(name)
        if name == _RECORDS:
            raise MalformedError(f"name {name!r}: a file of the wallet is called that")
        if kind not in set(PartyKind):
            known = ", ".join(item.lower() for item in PartyKind)
            raise MalformedError(f"kind {kind!r} is none of {known}")
        if name in self:
            raise RejectedError(RejectCode.DUPLICATE, f"the wallet has a key of {name!r} already")
        seed = new_seed()
        signer = SigningKey(seed)
        party_id = pseudonym_of(signer.public_key) if kind == PartyKind.PERSON else name
        document = {
            "format": KEY_FORMAT,
            "party": party_id,
            "kind": str(kind),
            "public_key": signer.public_key.hex(),
            "seed": seed.hex(),
        }
        write_secret(self.folder / f"{name}.json", _text(document))
        return Identity(name=name, party_id=party_id, kind=str(kind), signer=signer)

    def load(self, name: str) -> Identity:
        """The key of a party, by its name. Raises `RejectedError` E_NOT_FOUND."""
        if name not in self:
            known = ", ".join(self.names()) or "nobody"
            raise RejectedError(
                RejectCode.NOT_FOUND, f"{self.folder} has no key of {name!r}; it has {known}"
            )
        return read_identity(self.folder / f"{name}.json")

    def of_party(self, party_id: str) -> Identity | None:
        """The key of the party with this id, or None."""
        for name in self.names():
            identity = self.load(name)
            if identity.party_id == party_id:
                return identity
        return None

    def set_aside(self, name: str, seed: bytes) -> Path:
        """Keep a party's next key in a file of its own, before anybody hears of it."""
        identity = self.load(name)
        public_key = SigningKey(seed).public_key.hex()
        document = {
            "format": KEY_FORMAT,
            "party": identity.party_id,
            "kind": identity.kind,
            "public_key": public_key,
            "seed": seed.hex(),
        }
        file = self.folder / f"{name}.{public_key[:8]}.new"
        write_secret(file, _text(document))
        return file

    def replace_key(self, name: str, aside: Path) -> None:
        """Sign with the key set aside from now on; the party keeps its id, the old key its file."""
        old = self.load(name).signer.public_key.hex()
        file = self.folder / f"{name}.json"
        file.replace(self.folder / f"{name}.{old[:8]}.old")
        aside.replace(file)

    # -- names of records ------------------------------------------------------------------------

    def records(self) -> dict[str, dict[str, str]]:
        """What `remember` was told: by name, the ids of each kind (`agreement_id`)."""
        file = self.folder / f"{_RECORDS}.json"
        if not file.exists():
            return {}
        found: dict[str, dict[str, str]] = _document(file, RECORDS_BYTES_MAX)
        return found

    def remember(self, name: str, ids: Mapping[str, str]) -> None:
        """Give a name to what a transaction made."""
        check_name(name)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)  # for one small write; commands may run in parallel
            records = {**self.records(), name: dict(ids)}
            file = self.folder / f"{_RECORDS}.json"
            fresh = file.with_suffix(".new")
            fresh.write_bytes(_text(records))
            fresh.replace(file)
        finally:
            os.close(folder)


def read_identity(file: Path) -> Identity:
    """The party and key in a file that nobody but its owner may read. Raises `MalformedError`."""
    document = _document(file, KEY_FILE_BYTES_MAX)
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise MalformedError(f"{file}: mode {mode:04o} lets others at the key; expected 0600")
    expected = ("format", "party", "kind", "public_key", "seed")
    if sorted(document) != sorted(expected) or document["format"] != KEY_FORMAT:
        raise MalformedError(f"{file}: expected {KEY_FORMAT} with {', '.join(expected)}")
    seed = document["seed"]
    if not isinstance(seed, str) or not _HEX32.fullmatch(seed):
        raise MalformedError(f"{file}: seed: expected 64 hex digits")
    signer = SigningKey(bytes.fromhex(seed))
    if signer.public_key.hex() != document["public_key"]:
        raise MalformedError(f"{file}: public_key is not the one of the seed")
    if not isinstance(document["party"], str) or not is_party_id(document["party"]):
        raise MalformedError(f"{file}: party {document['party']!r} is no party id")
    return Identity(
        name=file.stem, party_id=document["party"], kind=str(document["kind"]), signer=signer
    )


def _text(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document, indent=2) + "\n").encode()


def _document(file: Path, maximum: int) -> dict[str, Any]:
    data = read_bounded(file, maximum)
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"{file}: not JSON: {error}") from None
    if not isinstance(document, dict):
        raise MalformedError(f"{file}: expected an object")
    return document
