"""What a node tells its clients, beside verdicts, blocks and receipts."""

from __future__ import annotations

from dataclasses import dataclass

from onward.ledger.chain import StoredTransaction
from onward.replica.effects import Verdict
from onward.types import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """An envelope that was taken in, one entry for each body, in order.

    `verdicts` is empty where the client did not wait and nothing was known yet.
    """

    tx_hashes: tuple[Digest, ...]
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerStatus:
    """What a node knows of another validator. `height`: how far that one says it has delivered."""

    validator: str
    index: int
    up: bool
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """One node's place in the chain.

    `height`, `state_root` and `time_ms` are the executed tip's; `finalized_height` may be ahead of
    it. `checkpoint_height` is the last one whose checkpoint a quorum signed; 0 where unknown.
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
