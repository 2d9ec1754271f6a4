"""The node's door for clients: what may come in, who may read, and who waits for what.

An envelope is checked here once, with its signatures, and then given to the replica as it is.
Submitting is idempotent: a body that has a verdict is answered with it, one in flight is waited
for. Whatever else the door refuses (a foreign key, an expired body) is a courtesy to honest
clients: execution judges it again, alike at every replica.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from onward import limits
from onward.crypto.signing import Verify
from onward.errors import RejectCode, RejectedError, Unavailable
from onward.gateway.ports import ReadPort, SubmissionInbox
from onward.gateway.waiting import Outcome, Waiting
from onward.ledger.chain import StoredBlock, StoredTransaction
from onward.ledger.leaf import EVERYONE, LedgerEvent
from onward.ledger.read import (
    METHOD_BLOCK,
    METHOD_DRY_RUN,
    METHOD_RECEIPT,
    METHOD_TRANSACTION,
    Reader,
    ReadScope,
    check_read,
    query_method,
)
from onward.ledger.store import u64
from onward.ledger.transaction import Body, Transaction, body_hash, check_envelope, decode_body
from onward.replica.answers import NodeStatus, Submission, verdict_of
from onward.replica.effects import Answer, Submitted, Verdict
from onward.types import Digest, PublicKey

_HEIGHT_MAX = 2**53 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorSettings:
    """Where this door stands. `now_ms` is UTC, `monotonic_ms` measures waiting."""

    chain_id: Digest
    node: PublicKey
    verify: Verify
    now_ms: Callable[[], int]
    monotonic_ms: Callable[[], int]


class Gateway:
    """Submissions, reads and receipts of one node."""

    def __init__(
        self,
        settings: DoorSettings,
        reads: ReadPort,
        inbox: SubmissionInbox,
        failed: Callable[[Exception], None],
    ) -> None:
        """`failed` is told of faults of our own that a request met."""
        self.failed = failed
        self._settings = settings
        self._reads = reads
        self._inbox = inbox
        self._waiting = Waiting(settings.monotonic_ms)
        self._progress = asyncio.Event()
        self._receipt_waiters = 0
        self._closed = False

    # -- from the driver -------------------------------------------------------------------------

    def finished(self, verdicts: Sequence[Verdict]) -> None:
        """A block was executed: answer those who wait for its bodies."""
        for verdict in sorted(verdicts, key=_is_void):
            self._waiting.settle(verdict.tx_hash, _told(verdict))

    def refused(self, answer: Answer) -> None:
        """The replica did not take a submission in."""
        for tx_hash in answer.tx_hashes:
            self._waiting.settle(tx_hash, answer.error)

    def progressed(self) -> None:
        """The store has grown: a receipt that was missing may exist now."""
        self._progress.set()
        self._progress = asyncio.Event()

    def close(self) -> None:
        """Take nothing in any more, and let nobody wait in vain."""
        self._closed = True
        self._waiting.close()
        self.progressed()

    @property
    def in_flight(self) -> int:
        """How many transactions wait for a verdict."""
        return len(self._waiting)

    # -- submissions -----------------------------------------------------------------------------

    async def submit(self, envelope: bytes, wait_ms: int) -> Submission:
        """Take an envelope in and wait for its verdicts, a minute at most.

        Raises `RejectedError` (what `check_envelope`, `ReadPort.admit` and the replica's mempool
        refuse; E_REPLAY for an envelope of which a part was executed) and `Unavailable`.
        """
        self._check_open()
        settings = self._settings
        transactions = check_envelope(envelope, settings.chain_id, settings.verify)
        hashes = tuple(item.tx_hash for item in transactions)
        known = self._known(hashes)
        if known:
            return Submission(tx_hashes=hashes, verdicts=self._shown(transactions, known))
        admitted = self._take_in(envelope, transactions)
        if wait_ms == 0:
            return Submission(tx_hashes=hashes, verdicts=())
        wait_ms = min(wait_ms, limits.GATEWAY_WAIT_MS_MAX)
        outcomes = await self._waiting.outcomes(hashes, wait_ms)
        if outcomes is None:
            raise Unavailable(f"no verdict within {wait_ms} ms; the same bytes may be sent again")
        verdicts = _verdicts(outcomes)
        if not admitted:
            verdicts = self._shown(transactions, verdicts)
        return Submission(tx_hashes=hashes, verdicts=verdicts)

    def _known(self, hashes: Sequence[Digest]) -> tuple[Verdict, ...]:
        """The verdicts that an envelope's bodies already have: all of them or none."""
        found = [self._reads.transaction(tx_hash) for tx_hash in hashes]
        known = [item for item in found if item is not None]
        if 0 < len(known) < len(found):
            place = next(index for index, item in enumerate(found) if item is not None)
            raise RejectedError(
                RejectCode.REPLAY,
                f"body {place} of the envelope was executed at height {known[0].leaf.height} and "
                "others were not; sign the others again without it",
            )
        return tuple(verdict_of(item) for item in known)

    def _shown(
        self, transactions: Sequence[Transaction], verdicts: Sequence[Verdict]
    ) -> tuple[Verdict, ...]:
        """The verdicts, with events only for their actors: anybody can sign bytes that she holds.

        For transactions that this call did not take in, so that nobody has asked whose keys these
        are. Who has changed her key since then reads her event with a signed read.
        """
        return tuple(
            verdict
            if any(self._reads.holds_key(item.body.actor, PublicKey(key)) for key in item.signers)
            else replace(verdict, event=None)
            for item, verdict in zip(transactions, verdicts, strict=True)
        )

    def _take_in(self, envelope: bytes, transactions: Sequence[Transaction]) -> bool:
        """Hand an envelope to the replica; answers False where it is in flight already."""
        hashes = tuple(item.tx_hash for item in transactions)
        fresh = tuple(tx_hash for tx_hash in hashes if tx_hash not in self._waiting)
        if not fresh:
            return False
        if len(set(hashes)) != len(hashes):
            raise RejectedError(RejectCode.DUPLICATE, "the envelope holds one body twice")
        if len(fresh) != len(hashes):
            raise RejectedError(
                RejectCode.REPLAY, "a part of the envelope's bodies is in flight in another one"
            )
        now_ms = self._settings.now_ms()
        for transaction in transactions:
            _check_validity(transaction.body, now_ms)
            self._reads.admit(transaction, now_ms)
        self._waiting.add(fresh)
        if not self._inbox.offer(Submitted(envelope=envelope, tx_hashes=hashes)):
            self._waiting.drop(fresh)
            raise _busy("the node has no room for more submissions now")
        return True

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
            _check_validity(decoded, now_ms)
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
        # Whoever asks names the parties herself: an event would tell her of people and papers.
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
        """The verdict on a transaction; its event only for the event's readers."""
        reader = self._reader(read, METHOD_TRANSACTION, tx_hash)
        stored = self._reads.transaction(tx_hash)
        if stored is None:
            raise RejectedError(RejectCode.NOT_FOUND, f"no verdict on {tx_hash.hex()}")
        return stored if _may_see(stored.event, reader) else replace(stored, event=None)

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
            raise _busy("too many clients wait for receipts")
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


def _is_void(verdict: Verdict) -> bool:
    return verdict.outcome == 0


def _told(verdict: Verdict) -> Outcome:
    """What a verdict means for those who wait for its body.

    Void for a key speaks of an envelope, not of a body: anybody can put a body that she has seen
    under a key of her own, and a validator can have that ordered before the true envelope.
    """
    if _is_void(verdict) and verdict.code == RejectCode.PARTY:
        return Unavailable("an envelope with this body was void; the same bytes may be sent again")
    return verdict


def _may_see(event: LedgerEvent | None, reader: Reader) -> bool:
    return event is None or reader.party in event.readers or event.readers == EVERYONE


def _check_validity(body: Body, now_ms: int) -> None:
    """A courtesy with this node's clock; execution uses the block's time."""
    if body.valid_until_ms <= now_ms:
        raise RejectedError(
            RejectCode.EXPIRED, f"body was valid until {body.valid_until_ms}, now it is {now_ms}"
        )
    if body.valid_until_ms > now_ms + limits.VALIDITY_MS_MAX:
        raise RejectedError(
            RejectCode.VALIDITY,
            f"body is valid for {body.valid_until_ms - now_ms} ms, "
            f"at most {limits.VALIDITY_MS_MAX}",
        )


def _verdicts(outcomes: Sequence[Outcome]) -> tuple[Verdict, ...]:
    """All verdicts; the first refusal is raised. One envelope goes in or stays out as a whole."""
    verdicts: list[Verdict] = []
    for outcome in outcomes:
        if not isinstance(outcome, Verdict):
            raise outcome
        verdicts.append(outcome)
    return tuple(verdicts)


def _busy(message: str) -> Unavailable:
    error = Unavailable(message, retry_after_ms=100)
    error.code = RejectCode.BUSY
    return error
