"""What the gateway needs from the rest of the node; handed in at start-up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from onward.blobs.place import Place
from onward.crypto.signing import Verify
from onward.ledger.chain import StoredBlock, StoredTransaction
from onward.ledger.read import Reader
from onward.ledger.transaction import Body, Transaction
from onward.replica.answers import NodeStatus
from onward.replica.effects import Submitted, Verdict
from onward.types import Digest, PublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorSettings:
    """Where this door stands. `now_ms` is UTC, `monotonic_ms` measures waiting."""

    chain_id: Digest
    node: PublicKey
    verify: Verify
    now_ms: Callable[[], int]
    monotonic_ms: Callable[[], int]


class ReadPort(Protocol):
    """Reads of the executed state. Synchronous and bounded: a page at most."""

    def transaction(self, tx_hash: bytes) -> StoredTransaction | None:
        """The verdict on a transaction, or None while it has none."""

    def signing_parties(self, stored: StoredTransaction) -> tuple[str, ...]:
        """The actor and the cosigners of an executed transaction."""

    def block(self, height: int) -> StoredBlock | None:
        """The executed block at a height, or None."""

    def admit(self, transaction: Transaction, now_ms: int) -> None:
        """The courtesy check of what execution will judge: keys, parties, contract and type.

        Raises `RejectedError` where it is already plain that execution would not take it.
        """

    def holds_key(self, party: str, public_key: bytes) -> bool:
        """Whether the party is active and the key is one of its own, at the tip."""

    def query(
        self, contract: str, name: str, arguments: bytes, reader: Reader
    ) -> tuple[bytes, int]:
        """A contract's answer in JSON and its height. Raises `RejectedError`."""

    def dry_run(self, body: Body, body_bytes: bytes, now_ms: int) -> Verdict:
        """What execution would say to a body at max(tip time + 1, now). Changes nothing."""

    def receipt(self, tx_hash: bytes, reader: Reader) -> bytes | None:
        """The receipt's text, or None until a quorum has signed a covering checkpoint.

        Raises `RejectedError` E_READER for who may not have it.
        """

    def status(self) -> NodeStatus:
        """How the node is doing."""

    def evidence(self) -> tuple[bytes, ...]:
        """The evidence files that the node holds."""


class BlobPort(Protocol):
    """The blobs beside the chain. Every method blocks on the disk and may raise `OSError`."""

    def places(self) -> Iterator[tuple[Place, str | None]]:
        """Every blob, and who brought it: "" for nobody knows, None where it is half destroyed."""

    def keep(self, place: Place, party: str, blob: bytes) -> None:
        """Keep a blob; durable on return. One that is kept or destroyed already stays so."""

    def read(self, place: Place) -> bytes | None:
        """A blob's bytes, or None."""

    def destroy(self, place: Place, height: int) -> bool:
        """Destroy a blob and sign for it; durable on return. False where there is none."""

    def deletion(self, place: Place) -> bytes | None:
        """The signed deletion, or None."""


class SubmissionInbox(Protocol):
    """The driver's door for submissions."""

    def offer(self, event: Submitted) -> bool:
        """Hand over submissions; False when there is no room for them."""
