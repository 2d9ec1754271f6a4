"""What a node tells its clients, beside verdicts, blocks and receipts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from onward.ledger.chain import StoredTransaction
from onward.replica.effects import Verdict
from onward.types import Digest, PublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """An envelope that was taken in, one entry for each body, in order.

    `verdicts` is empty where the client did not wait and nothing was known yet.
    """

    tx_hashes: tuple[Digest, ...]
    verdicts: tuple[Verdict, ...]


class LinkFault(StrEnum):
    """Why two validators had no link. Kinds and not sentences: a status is open to everyone."""

    NONE = ""
    UNREACHABLE = "unreachable"  # nobody listens, or there is no way
    SILENT = "silent"  # a connection, and no word in time
    CERTIFICATE = "certificate"  # who listens has not the key that the genesis names
    TLS = "tls"  # one side speaks TLS and the other does not, or does not like what it sees
    CHAIN = "chain"  # the other one's genesis is not ours
    REFUSED = "refused"  # anything else that one side said


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerStatus:
    """What a node knows of another validator. `height`: how far that one says it has delivered.

    `heard_ago_ms`: since its last message, None where none came. `fault`: the last reason for which
    there was no link, which may be long past: see `fault_ago_ms`. `epoch`: the newest it has said.
    """

    validator: str
    index: int
    up: bool
    height: int
    heard_ago_ms: int | None = None
    fault: LinkFault = LinkFault.NONE
    fault_ago_ms: int = 0
    epoch: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Voter:
    """A validator of an epoch: the chain's name for it, and its key."""

    name: str
    public_key: PublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """One node's place in the chain.

    `height`, `state_root` and `time_ms` are the executed tip's; `finalized_height` may be ahead of
    it. `checkpoint_height` is the last one whose checkpoint a quorum signed; 0 where unknown.

    What comes behind `peers` is 0, "" or None where an older node leaves it out. `now_ms` is the
    node's own clock; `finalized_ago_ms` counts from the last block that became final before its
    eyes, and is None when none has since its process began; `not_voted` says why it last did not
    vote on a proposal. `accused` names the validators against whom it holds evidence;
    `abstains` says that it only follows, because votes under its key are not in its journal.
    `voters` are the validators of its epoch. Who is one of them is called as the chain calls it,
    here and in `peers`; the others as in this node's configuration.
    """

    network: str
    chain_id: Digest
    validator: str
    index: int
    height: int
    state_root: Digest
    time_ms: int
    epoch: int
    view: int
    finalized_height: int
    checkpoint_height: int
    version: str
    peers: tuple[PeerStatus, ...]
    now_ms: int = 0
    uptime_ms: int = 0
    finalized_ago_ms: int | None = None
    in_flight: int = 0
    not_voted: str = ""
    not_voted_ago_ms: int = 0
    heartbeat_ms: int = 0
    timeout_ms_max: int = 0
    future_ms_max: int = 0
    past_ms_max: int = 0
    accused: tuple[str, ...] = ()
    abstains: bool = False
    voters: tuple[Voter, ...] = ()


def name_of(key: bytes, configured: str, voters: Iterable[Voter]) -> str:
    """What to call the machine of a key: as the chain does, if it is a validator.

    Who is none keeps its name of the configuration, unless that has gone to another key.
    """
    named = {item.public_key: item.name for item in voters}
    plain = f"{configured} (other key)" if configured in named.values() else configured
    return next((name for held, name in named.items() if held == key), plain)


def verdict_of(stored: StoredTransaction) -> Verdict:
    """The verdict in what the store keeps of a transaction."""
    return Verdict(
        tx_hash=Digest(stored.leaf.tx_hash),
        height=stored.leaf.height,
        code=stored.leaf.code,
        rule=stored.rule,
        message=stored.message,
        outcome=stored.leaf.outcome,
        log_index=stored.log_index,
        event=stored.event,
    )
