"""Whom a command talks to, and as whom: the options that most commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import click

from onward.cli.output import UsageFault
from onward.errors import MalformedError, RejectedError, Unavailable
from onward.ledger.genesis import GENESIS_BYTES_MAX, Genesis, parse_genesis
from onward.ledger.transaction import is_party_id
from onward.network.access import anyone_listens, endpoints, endpoints_at, further_keys, now_ms
from onward.network.definition import WALLET_NAME, Network, read_network
from onward.network.wallet import Identity, Wallet, read_identity
from onward.rpc.client import Client, Endpoint, ReadingParty

F = TypeVar("F", bound=Callable[..., Any])

NETWORK_VARIABLE = "ONWARD_NETWORK"


@dataclass(slots=True, kw_only=True)
class Target:
    """What the shared options say. Files are read when they are needed, and once."""

    network: Path | None
    node: str | None
    genesis_file: Path | None
    key_file: Path | None
    as_name: str | None
    _genesis: Genesis | None = field(default=None, init=False)

    @property
    def genesis(self) -> Genesis:
        """The chain's genesis. Raises `UsageFault` when nothing says which chain is meant."""
        if self._genesis is None:
            self._genesis = self._read_genesis()
        return self._genesis

    @property
    def wallet(self) -> Wallet | None:
        """The keys in the folder of --network, if one is named. Raises `UsageFault`.

        The rest of it may be of another network: with the genesis of several organisations in it,
        the folder's own nodes are nobody's.
        """
        if self.network is None:
            return None
        wallet = Wallet(self.network / WALLET_NAME)
        if not wallet.folder.is_dir():
            raise UsageFault(
                f"{self.network} holds no {WALLET_NAME}; `onward network init {self.network}` "
                "makes a network"
            )
        return wallet

    def identity(self, default: str | None = None) -> Identity:
        """Who acts: `--key`, `--as`, or the `default` name. Raises `UsageFault` without any."""
        if self.key_file is not None:
            try:
                return read_identity(self.key_file)
            except RejectedError as error:
                raise UsageFault(str(error)) from None
        name = self.as_name or default
        if name is None:
            raise UsageFault("who acts? --as NAME (of the network's wallet) or --key FILE")
        wallet = self.wallet
        if wallet is None:
            raise UsageFault("where is the key? --network DIR (for its wallet) or --key FILE")
        identity = wallet.load(name) if name in wallet else wallet.of_party(name)
        if identity is None:
            known = ", ".join(wallet.names())
            raise UsageFault(f"the wallet has no key of {name!r}; it has {known}")
        return identity

    def identity_of(self, party_id: str) -> Identity | None:
        """The wallet's key of a party, or None."""
        wallet = self.wallet
        return None if wallet is None else wallet.of_party(party_id)

    def party_id(self, name: str) -> str:
        """A party's id: a name of the wallet, or the id itself."""
        wallet = self.wallet
        if wallet is not None and name in wallet:
            return wallet.load(name).party_id
        if not is_party_id(name):
            raise UsageFault(f"{name!r} is neither a name in the wallet nor a party id")
        return name

    def record(self, name: str) -> dict[str, str]:
        """The ids behind a name that was given with `--save`; empty for an unknown one."""
        wallet = self.wallet
        return {} if wallet is None else wallet.records().get(name, {})

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Where to ask. Raises `UsageFault` when nothing says."""
        if self.node is not None:
            if not self.node.rpartition(":")[2].isdecimal():
                raise UsageFault(
                    f"--node {self.node!r}: expected HOST:PORT, NAME@HOST:PORT or KEY@HOST:PORT"
                )
            further = () if self.network is None else further_keys(open_network(self.network))
            found = endpoints_at(self.node, self.genesis, further)
            if not found:
                raise UsageFault(
                    f"--node {self.node}: the genesis has no such validator; one that came later "
                    "is asked as KEY@HOST:PORT"
                )
            return found
        if self.network is None:
            raise UsageFault("which network? --network DIR, or --node ADDRESS --genesis FILE")
        return endpoints(open_network(self.network))

    def client(self, *, timeout_ms: int = 20_000) -> Client:
        """A client of the network. Raises `Unavailable` where nobody listens at all."""
        places = self.endpoints()
        if not anyone_listens(places):
            addresses = ", ".join(dict.fromkeys(place.address for place in places))
            hint = "" if self.network is None else f"; `onward network up {self.network}` starts it"
            raise Unavailable(f"no validator listens at {addresses}{hint}")
        return Client(
            places,
            chain_id=self.genesis.chain_id,
            now_ms=now_ms,
            timeout_ms=timeout_ms,
        )

    def reader(self, default: str | None = None) -> ReadingParty:
        """On whose behalf is asked."""
        identity = self.identity(default)
        return ReadingParty(party=identity.party_id, signer=identity.signer)

    def _read_genesis(self) -> Genesis:
        if self.genesis_file is not None:
            return parse_genesis(read_file(self.genesis_file, GENESIS_BYTES_MAX))
        if self.network is not None:
            return open_network(self.network).genesis
        raise UsageFault("which chain? --network DIR or --genesis FILE")


def target_options(command: F) -> F:
    """Add the shared options; the command receives them as one `target`."""

    @functools.wraps(command)
    def gather(*args: Any, **options: Any) -> Any:
        target = Target(
            network=options.pop("network"),
            node=options.pop("node"),
            genesis_file=options.pop("genesis_file"),
            key_file=options.pop("key_file"),
            as_name=options.pop("as_name"),
        )
        return command(*args, target=target, **options)

    wrapped: Any = gather
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    result: F = wrapped
    return result


_OPTIONS = (
    click.option(
        "--network",
        metavar="DIR",
        envvar=NETWORK_VARIABLE,
        type=click.Path(path_type=Path, file_okay=False),
        help=f"A network made by `onward network init` (or ${NETWORK_VARIABLE}).",
    ),
    click.option("--as", "as_name", metavar="NAME", help="Who acts: a name in the wallet."),
    click.option(
        "--node", metavar="HOST:PORT", help="Ask this node (also NAME@ or KEY@HOST:PORT)."
    ),
    click.option(
        "--genesis",
        "genesis_file",
        metavar="FILE",
        type=click.Path(path_type=Path, dir_okay=False),
        help="The chain's genesis, where no --network is at hand.",
    ),
    click.option(
        "--key",
        "key_file",
        metavar="FILE",
        type=click.Path(path_type=Path, dir_okay=False),
        help="The key file of who acts, in place of --as.",
    ),
)


def open_network(folder: Path) -> Network:
    """The network in a folder. Raises `UsageFault` where there is none, `MalformedError`."""
    try:
        return read_network(folder)
    except RejectedError as error:
        # No chain was asked, so this is no verdict: it is how the command was used.
        raise UsageFault(str(error)) from None


def file_named(text: str) -> Path | None:
    """The file of this name, if there is one: what an argument names may be something else."""
    try:
        file = Path(text)
        return file if file.is_file() else None
    except (OSError, ValueError):
        return None  # no file can have such a name


def read_start(file: Path, size: int) -> bytes:
    """A file's first `size` bytes. Raises `UsageFault`."""
    try:
        with file.open("rb") as stream:
            return stream.read(size)
    except OSError as error:
        raise UsageFault(f"{file}: cannot be read: {error.strerror}") from None


def read_file(file: Path, maximum: int) -> bytes:
    """A file of bounded size. Raises `UsageFault`, `MalformedError`."""
    data = read_start(file, maximum + 1)
    if len(data) > maximum:
        raise MalformedError(f"{file}: more than {maximum} bytes")
    return data


def hex_id(value: str, what: str) -> bytes:
    """32 bytes written as 64 hexadecimal digits."""
    try:
        data = bytes.fromhex(value)
    except ValueError:
        data = b""
    if len(data) != 32:
        raise UsageFault(f"{what} {value!r}: expected 64 hexadecimal digits")
    return data
