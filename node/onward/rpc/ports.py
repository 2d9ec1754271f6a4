"""What the servers of this room need from the rest of the node; handed in at start-up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from onward.blobs.place import Place
from onward.consensus.messages import PeerMessage
from onward.errors import RejectedError, Unavailable
from onward.ledger.chain import StoredBlock, StoredTransaction
from onward.replica.answers import NodeStatus, Submission
from onward.replica.effects import Verdict
from onward.types import ValidatorIndex


class PeerEvents(Protocol):
    """Where the peer network tells what happens."""

    def peer_up(self, peer: ValidatorIndex) -> None:
        """A peer has proved who it is; what was sent before may be lost."""

    def peer_down(self, peer: ValidatorIndex) -> None:
        """The peer's connection is gone. Comes once after each `peer_up`."""

    async def received(self, peer: ValidatorIndex, message: PeerMessage, size: int) -> None:
        """A message of `size` bytes. Returns when there is room for the next of this peer."""

    def peer_refused(self, where: str, reason: str) -> None:
        """A connection was refused or given up; for logs only."""

    def failed(self, error: Exception) -> None:
        """An error that ends the node came up on a link."""


class ResultPort(Protocol):
    """What blocks resulted in here."""

    def leaves(self, height: int) -> tuple[bytes, ...] | None:
        """The canonical leaves of an executed block, in the log's order."""

    def write_set(self, height: int, index: int) -> bytes | None:
        """The canonical write set behind a recent transaction's leaf."""


Result = Submission | RejectedError | Unavailable
"""What becomes of one envelope."""


class GatewayPort(Protocol):
    """What clients may ask. Every method raises `RejectedError` or `Unavailable`.

    `read` is always the bytes of a signed read (`ledger.read`).
    """

    async def submit(self, envelope: bytes, wait_ms: int) -> Submission:
        """Take an envelope in and wait for its verdicts."""

    async def submit_many(
        self, envelopes: Sequence[bytes], wait_ms: int, tell: Callable[[int, Result], None]
    ) -> None:
        """Take envelopes in, in order; `tell(place, result)` comes once for each, now or later."""

    def dry_run(self, read: bytes, body: bytes) -> Verdict:
        """What the chain would say to `body` now."""

    def query(self, read: bytes, contract: str, name: str, arguments: bytes) -> tuple[bytes, int]:
        """A contract's answer in JSON, and the height at which it holds."""

    def transaction(self, read: bytes, tx_hash: bytes) -> StoredTransaction:
        """The verdict on a transaction, without what the reader may not see."""

    def block(self, read: bytes, height: int) -> StoredBlock:
        """An executed block."""

    async def receipt(self, read: bytes, tx_hash: bytes, wait_ms: int) -> bytes:
        """The receipt's text, once a quorum has signed a checkpoint that covers it."""

    def status(self) -> NodeStatus:
        """How the node is doing."""

    def evidence(self) -> tuple[bytes, ...]:
        """The evidence files that the node holds."""

    async def put_blob(self, read: bytes, place: Place, blob: bytes) -> None:
        """Keep a record's blob; durable on return."""

    async def get_blob(self, read: bytes, place: Place) -> bytes:
        """A record's blob."""

    async def blob_deletion(self, read: bytes, place: Place) -> bytes:
        """The node's signed deletion of a record's blob."""

    def failed(self, error: Exception) -> None:
        """A request met a fault of our own: one that ends the node, or a bug that only it met."""
