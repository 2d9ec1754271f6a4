"""The node's door for clients: who may read what, and who waits for a receipt.

What comes in goes through `submissions`. A read proves with a signature which party asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from onward import limits
from onward.blobs.place import Place
from onward.errors import RejectCode, RejectedError, Unavailable
from onward.gateway.blobs import BlobDoor
from onward.gateway.ports import BlobPort, DoorSettings, ReadPort, SubmissionInbox
from onward.gateway.submissions import Submissions, check_validity
from onward.ledger.chain import StoredBlock, StoredTransaction
from onward.ledger.leaf import EVERYONE, LedgerEvent
from onward.ledger.read import (
    METHOD_BLOB_DELETION,
    METHOD_BLOB_GET,
    METHOD_BLOB_PUT,
    METHOD_BLOCK,
    METHOD_DRY_RUN,
    METHOD_RECEIPT,
    METHOD_TRANSACTION,
    Reader,
    ReadScope,
    blob_arguments,
    check_read,
    query_method,
)
from onward.ledger.store import u64
from onward.ledger.transaction import body_hash, decode_body
from onward.replica.answers import NodeStatus
from onward.replica.effects import Verdict

_HEIGHT_MAX = 2**53 - 1


class Gateway:
    """Submissions, reads and receipts of one node."""

    def __init__(
        self,
        settings: DoorSettings,
        reads: ReadPort,
        inbox: SubmissionInbox,
        blobs: BlobPort,
        failed: Callable[[Exception], None],
    ) -> None:
        """`failed` is told of faults of our own that a request met."""
        self.failed = failed
        self.blobs = BlobDoor(blobs, reads, failed)
        self._settings = settings
        self._reads = reads
        self._submissions = Submissions(settings, reads, inbox)
        self.submit = self._submissions.submit
        self.submit_many = self._submissions.submit_many
        self.refused = self._submissions.refused
        self._progress = asyncio.Event()
        self._receipt_waiters = 0
        self._closed = False

    # -- from the driver -------------------------------------------------------------------------

    def finished(self, verdicts: Sequence[Verdict]) -> None:
        """A block is executed and durable: whoever waits for a verdict gets it."""
        self._submissions.finished(verdicts)
        self.blobs.executed(verdicts)

    def progressed(self) -> None:
        """The store has grown: a receipt that was missing may exist now."""
        self._progress.set()
        self._progress = asyncio.Event()

    def close(self) -> None:
        """Take nothing in any more, and let nobody wait in vain."""
        self._closed = True
        self._submissions.close()
        self.progressed()

    @property
    def in_flight(self) -> int:
        """How many transactions wait for a verdict."""
        return self._submissions.in_flight

    # -- reads -----------------------------------------------------------------------------------

    def dry_run(self, read: bytes, body: bytes) -> Verdict:
        """What the chain would say to a body; asked by its actor or a cosigner."""
        reader = self._reader(read, METHOD_DRY_RUN, body)
        if len(body) > limits.BODY_BYTES_MAX:
            raise RejectedError(
                RejectCode.SIZE, f"body of {len(body)} bytes, at most {limits.BODY_BYTES_MAX}"
            )
        decoded = decode_body(body)
        if reader.party not in (decoded.actor, *decoded.cosigners):
            raise RejectedError(
                RejectCode.READER, f"{reader.party} may not ask what {decoded.actor} would be told"
            )
        now_ms = self._settings.now_ms()
        try:
            check_validity(decoded, now_ms)
            verdict = self._reads.dry_run(decoded, body, now_ms)
        except RejectedError as error:
            # The door's own refusal is an answer here, not a failure to answer.
            return Verdict(
                tx_hash=body_hash(body),
                height=0,
                code=error.code,
                rule=error.rule,
                message=str(error),
                outcome=0,
                log_index=0,
                event=None,
            )
        # Whoever asks names the parties herself: an event would tell her of people and papers, and
        # so would the words of a refusal that are meant for the actor.
        if reader.party != decoded.actor:
            verdict = replace(verdict, message="")
        return verdict if _may_see(verdict.event, reader) else replace(verdict, event=None)

    def query(self, read: bytes, contract: str, name: str, arguments: bytes) -> tuple[bytes, int]:
        """A contract's answer to a party."""
        if len(arguments) > limits.QUERY_BYTES_MAX:
            raise RejectedError(
                RejectCode.SIZE,
                f"arguments of {len(arguments)} bytes, at most {limits.QUERY_BYTES_MAX}",
            )
        reader = self._reader(read, query_method(contract, name), arguments)
        return self._reads.query(contract, name, arguments, reader)

    def transaction(self, read: bytes, tx_hash: bytes) -> StoredTransaction:
        """The verdict on a transaction; its event only for the event's readers.

        What the message says may name other parties, and papers between them: it is for those
        readers too, and for who signed.
        """
        reader = self._reader(read, METHOD_TRANSACTION, tx_hash)
        stored = self._reads.transaction(tx_hash)
        if stored is None:
            raise RejectedError(RejectCode.NOT_FOUND, f"no verdict on {tx_hash.hex()}")
        if stored.event is not None and _may_see(stored.event, reader):
            return stored
        hidden = replace(stored, event=None)
        if reader.party in self._reads.signing_parties(stored):
            return hidden
        return replace(hidden, message="")

    def block(self, read: bytes, height: int) -> StoredBlock:
        """An executed block, for any registered party."""
        if height > _HEIGHT_MAX:
            raise RejectedError(RejectCode.FORMAT, f"height {height}, at most {_HEIGHT_MAX}")
        self._reader(read, METHOD_BLOCK, u64(height))
        stored = self._reads.block(height)
        if stored is None:
            raise RejectedError(RejectCode.NOT_FOUND, f"no executed block at height {height}")
        return stored

    async def receipt(self, read: bytes, tx_hash: bytes, wait_ms: int) -> bytes:
        """The receipt of a transaction; waits for its certified checkpoint, a minute at most."""
        self._check_open()
        reader = self._reader(read, METHOD_RECEIPT, tx_hash)
        if self._reads.transaction(tx_hash) is None:
            raise RejectedError(RejectCode.NOT_FOUND, f"no verdict on {tx_hash.hex()}")
        found = self._reads.receipt(tx_hash, reader)
        if found is not None:
            return found
        if self._receipt_waiters >= limits.GATEWAY_WAITERS_MAX:
            error = Unavailable("too many clients wait for receipts", retry_after_ms=100)
            error.code = RejectCode.BUSY
            raise error
        self._receipt_waiters += 1
        try:
            async with asyncio.timeout(min(wait_ms, limits.GATEWAY_WAIT_MS_MAX) / 1000):
                while found is None:
                    await self._progress.wait()
                    self._check_open()
                    found = self._reads.receipt(tx_hash, reader)
        except TimeoutError:
            raise Unavailable(
                "no quorum has signed a checkpoint that covers it yet", retry_after_ms=500
            ) from None
        finally:
            self._receipt_waiters -= 1
        return found

    def status(self) -> NodeStatus:
        """How the node is doing; for everyone."""
        return self._reads.status()

    def evidence(self) -> tuple[bytes, ...]:
        """The evidence files that the node holds; for everyone."""
        return self._reads.evidence()

    # -- blobs -----------------------------------------------------------------------------------

    async def put_blob(self, read: bytes, place: Place, blob: bytes) -> None:
        """Keep a record's blob. See `BlobDoor`."""
        self._check_open()
        if len(blob) > limits.BLOB_BYTES_MAX:
            raise RejectedError(
                RejectCode.SIZE, f"blob of {len(blob)} bytes, at most {limits.BLOB_BYTES_MAX}"
            )
        arguments = blob_arguments(place.contract, place.record, blob)
        await self.blobs.put(self._reader(read, METHOD_BLOB_PUT, arguments), place, blob)

    async def get_blob(self, read: bytes, place: Place) -> bytes:
        """A record's blob. See `BlobDoor`."""
        arguments = blob_arguments(place.contract, place.record)
        return await self.blobs.get(self._reader(read, METHOD_BLOB_GET, arguments), place)

    async def blob_deletion(self, read: bytes, place: Place) -> bytes:
        """The node's signed deletion of a record's blob. See `BlobDoor`."""
        arguments = blob_arguments(place.contract, place.record)
        return await self.blobs.deletion(self._reader(read, METHOD_BLOB_DELETION, arguments), place)

    def _reader(self, read: bytes, method: str, arguments: bytes) -> Reader:
        """Who asks, if the signed read is for just this and the key is the party's."""
        settings = self._settings
        scope = ReadScope(
            chain_id=settings.chain_id, node=settings.node, method=method, arguments=arguments
        )
        reader = check_read(read, scope, now_ms=settings.now_ms(), verify=settings.verify)
        if not self._reads.holds_key(reader.party, reader.public_key):
            raise RejectedError(
                RejectCode.PARTY,
                f"key {reader.public_key.hex()[:16]} is not one of the party {reader.party}",
            )
        return reader

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("the node is stopping")


def _may_see(event: LedgerEvent | None, reader: Reader) -> bool:
    return event is None or reader.party in event.readers or event.readers == EVERYONE
