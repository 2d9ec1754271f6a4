"""A validator's home: everything that one node process needs, in one folder.

node.toml             configuration (`runtime.config`)
genesis.json          the network's genesis, as every party signed it off
keys/validator.key    the identity key's seed, 64 hex digits; readable by its owner only
keys/began            there since the home has had its data: it gets no empty ones again
data/                 vote journal, batch log and database (`storage.home`)
evidence/             what proves that validators cheated, if any did (`runtime.evidence_files`)
"""

from __future__ import annotations

import re
import shutil
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from onward.crypto.signing import SigningKey
from onward.errors import MalformedError, RejectCode, RejectedError
from onward.execution.block import genesis_writes
from onward.ledger.block import genesis_block
from onward.ledger.genesis import GENESIS_BYTES_MAX, Genesis, parse_genesis
from onward.ledger.log import EMPTY_LOG
from onward.runtime.config import CONFIG_BYTES_MAX, NodeConfig, parse_config, render_config
from onward.storage.home import create_home
from onward.storage.secret_file import write_secret
from onward.system.contracts import genesis_state
from onward.types import PublicKey, Validator, ValidatorIndex, ValidatorSet

CONFIG_NAME = "node.toml"
GENESIS_NAME = "genesis.json"
KEY_NAME = "keys/validator.key"
BEGAN_NAME = "keys/began"
DATA_NAME = "data"
BLOBS_NAME = "blobs"
EVIDENCE_NAME = "evidence"
_SEED = re.compile(rb"[0-9a-f]{64}\n?")
_KEY_BYTES_MAX = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeHome:
    """What a home holds, read and checked against each other. `seed` is secret."""

    path: Path
    config: NodeConfig
    genesis: Genesis
    index: ValidatorIndex
    seed: bytes

    @property
    def validator(self) -> Validator:
        """Who this node is."""
        return self.seats.members[self.index]

    @property
    def seats(self) -> ValidatorSet:
        """Every machine that this node knows by a number: the genesis', then the configuration's.

        Who of them is a validator now is on the chain.
        """
        return _seats(self.genesis, self.config)

    @property
    def data(self) -> Path:
        """Where the storage room lives."""
        return self.path / DATA_NAME

    @property
    def evidence(self) -> Path:
        """Where evidence files are put; it need not exist."""
        return self.path / EVIDENCE_NAME

    @property
    def blobs(self) -> Path:
        """Where blobs are kept; it need not exist."""
        return self.path / BLOBS_NAME

    def __repr__(self) -> str:
        # The seed must not get into a log by way of a traceback.
        return f"NodeHome({self.path}, {self.config.name})"


def write_home(path: Path, config: NodeConfig, genesis: bytes, seed: bytes) -> NodeHome:
    """Set up a new validator's home at `path`, which is created; answers it as read back.

    Raises `RejectedError` E_STATE where one stands already, `MalformedError` for parts that do not
    fit together.
    """
    if (path / CONFIG_NAME).exists():
        raise RejectedError(RejectCode.STATE, f"a validator's home stands in {path} already")
    write_key(path, seed)
    (path / GENESIS_NAME).write_bytes(genesis)
    (path / CONFIG_NAME).write_text(render_config(config), encoding="utf-8")
    return begin_home(path)


def write_key(path: Path, seed: bytes) -> None:
    """Put a new validator's key into its home, which is created. Raises `OSError`."""
    write_secret(path / KEY_NAME, seed.hex().encode() + b"\n")


def begin_home(path: Path) -> NodeHome:
    """Make the empty data of a home that has all its other parts; once in this home.

    Raises `RejectedError` E_STATE where it has had data: a validator that forgot what it voted for
    could contradict it. `MalformedError` or `RejectedError` as `read_home`. Whatever it raises, the
    home is as it was.
    """
    home = read_home(path)
    if (path / BEGAN_NAME).exists():
        raise RejectedError(
            RejectCode.STATE,
            f"{path / BEGAN_NAME} says that this home has had its data; a validator that lost them "
            "comes back under a new key, in another home",
        )
    if home.data.exists() and any(home.data.iterdir()):
        raise RejectedError(
            RejectCode.STATE, f"{home.data} is not empty: the votes in it may be this key's"
        )
    is_ours = not home.data.exists()  # an empty one may be a disk of its own
    facts = home.genesis
    block = genesis_block(facts.chain_id, facts.time_ms, facts.validators, EMPTY_LOG.root())
    writes = genesis_writes(facts.chain_id, block, genesis_state(facts))
    home.data.mkdir(mode=0o700, exist_ok=True)
    try:
        create_home(home.data, facts.chain_id, (), writes)
        mark_begun(path)
    except RejectedError:
        raise  # somebody else is making them
    except BaseException:
        # Nothing has run on them, so they hold no vote.
        _empty(home.data)
        if is_ours:
            home.data.rmdir()
        (path / BEGAN_NAME).unlink(missing_ok=True)
        raise
    return home


def mark_begun(path: Path) -> None:
    """Say in a home, durably, that it has had its data; before a first vote is in them."""
    if not (path / BEGAN_NAME).exists():
        with suppress(FileExistsError):
            write_secret(path / BEGAN_NAME, b"")


def _empty(folder: Path) -> None:
    for item in folder.iterdir():
        if item.is_dir():
            shutil.rmtree(item)
        else:
            item.unlink()


def read_home(path: Path) -> NodeHome:
    """The home at `path`, without its data. Raises `MalformedError` or `RejectedError`."""
    config = parse_config(read_bounded(path / CONFIG_NAME, CONFIG_BYTES_MAX))
    genesis = parse_genesis(read_bounded(path / GENESIS_NAME, GENESIS_BYTES_MAX))
    seed = read_seed(path / KEY_NAME)
    seats = _seats(genesis, config)
    names = [member.name for member in seats.members]
    if config.name not in names:
        raise MalformedError(
            f"node.toml: node.name: {config.name!r} is none of the validators {', '.join(names)}"
        )
    index = ValidatorIndex(names.index(config.name))
    expected = seats.public_key(index)
    found = SigningKey(seed).public_key
    if found != expected:
        who = "the genesis" if index < genesis.validators.size else "node.toml"
        raise MalformedError(
            f"{KEY_NAME}: is the key {found.hex()}, {who} names {expected.hex()} for {config.name}"
        )
    _check_addresses(config, names)
    return NodeHome(path=path, config=config, genesis=genesis, index=index, seed=seed)


def read_seed(path: Path) -> bytes:
    """The 32 secret bytes in a key file that nobody but its owner may read."""
    data = read_bounded(path, _KEY_BYTES_MAX)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise MalformedError(
            f"{path}: mode {mode:04o} lets others at the key; expected 0600 or 0400"
        )
    if not _SEED.fullmatch(data):
        raise MalformedError(f"{path}: expected 64 hex digits")
    return bytes.fromhex(data.decode().strip())


def _seats(genesis: Genesis, config: NodeConfig) -> ValidatorSet:
    """Raises `MalformedError` where a name or a key stands twice."""
    further = tuple(
        Validator(name=name, organisation=name, public_key=PublicKey(key))
        for name, key in config.peers.keys
    )
    members = (*genesis.validators.members, *further)
    for what, found in (
        ("name", {item.name for item in members}),
        ("key", {item.public_key for item in members}),
    ):
        if len(found) != len(members):
            raise MalformedError(f"node.toml: peers.keys: a {what} stands twice, or in the genesis")
    return ValidatorSet(epoch=genesis.validators.epoch, members=members)


def _check_addresses(config: NodeConfig, names: list[str]) -> None:
    found = {name for name, _ in config.peers.addresses}
    for name in found:
        if name not in names:
            raise MalformedError(
                f"node.toml: peers.addresses.{name}: the genesis has no such validator"
            )
    for name in names:
        if name != config.name and name not in found:
            raise MalformedError(f"node.toml: peers.addresses.{name}: is missing")


def read_bounded(path: Path, maximum: int) -> bytes:
    """A file of at most `maximum` bytes.

    Raises: RejectedError E_NOT_FOUND when it cannot be read, MalformedError when it is longer.
    """
    try:
        with path.open("rb") as file:
            data = file.read(maximum + 1)
    except OSError as error:
        raise RejectedError(
            RejectCode.NOT_FOUND, f"{path}: cannot be read: {error.strerror}"
        ) from None
    if len(data) > maximum:
        raise MalformedError(f"{path}: more than {maximum} bytes")
    return data
