"""What comes in: each envelope is checked once, handed to the replica, and waited for.

Submitting is idempotent: a body that has a verdict is answered with it, one in flight is waited
for. Whatever else is refused here (a foreign key, an expired body) is a courtesy to honest clients:
execution judges it again, alike at every replica.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from onward import limits
from onward.errors import RejectCode, RejectedError, Unavailable
from onward.gateway.ports import DoorSettings, ReadPort, SubmissionInbox
from onward.gateway.waiting import Outcome, Waiting, no_verdict
from onward.ledger.transaction import Body, CheckedEnvelope, Transaction, check_envelope
from onward.replica.answers import Submission, verdict_of
from onward.replica.effects import Answer, Submitted, Verdict
from onward.types import PublicKey

Result = Submission | RejectedError | Unavailable
Tell = Callable[[Result], None]


class Submissions:
    """The envelopes that clients hand in at one node."""

    def __init__(self, settings: DoorSettings, reads: ReadPort, inbox: SubmissionInbox) -> None:
        self._settings = settings
        self._reads = reads
        self._inbox = inbox
        self._waiting = Waiting(settings.monotonic_ms)
        self._closed = False

    @property
    def in_flight(self) -> int:
        """How many transactions wait for a verdict."""
        return len(self._waiting)

    # -- from clients ------------------------------------------------------------------------------

    async def submit(self, envelope: bytes, wait_ms: int) -> Submission:
        """Take one envelope in and wait for its verdicts. Raises what `submit_many` tells."""
        result: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._take_in(((envelope, partial(_resolve, result)),), wait_ms)
        wait_ms = min(wait_ms, limits.GATEWAY_WAIT_MS_MAX)
        try:
            async with asyncio.timeout(wait_ms / 1000 if wait_ms else None):
                found = await result
        except TimeoutError:
            raise no_verdict(wait_ms) from None
        if not isinstance(found, Submission):
            raise found
        return found

    async def submit_many(
        self, envelopes: Sequence[bytes], wait_ms: int, tell: Callable[[int, Result], None]
    ) -> None:
        """Take envelopes in, one by one, in order; returns when the last one is in.

        `tell(place, result)` comes once for each, now or later: its verdicts (none with `wait_ms`
        0), or `RejectedError` (what `check_envelope`, `ReadPort.admit` and the replica's mempool
        refuse; E_REPLAY for an envelope of which a part was executed), or `Unavailable`, which also
        ends a wait of `wait_ms`, a minute at most.
        """
        open_places = dict.fromkeys(range(len(envelopes)))
        timer: asyncio.TimerHandle | None = None
        wait_ms = min(wait_ms, limits.GATEWAY_WAIT_MS_MAX)

        def told(place: int, result: Result) -> None:
            if place in open_places:
                del open_places[place]
                tell(place, result)
            if not open_places and timer is not None:
                timer.cancel()

        def give_up() -> None:
            for place in tuple(open_places):
                told(place, no_verdict(wait_ms))

        for start in range(0, len(envelopes), limits.VERIFY_CHUNK_ENVELOPES):
            if start:
                await asyncio.sleep(0)  # signatures take their time, and others wait for the loop
            places = range(start, min(start + limits.VERIFY_CHUNK_ENVELOPES, len(envelopes)))
            self._take_in([(envelopes[at], partial(told, at)) for at in places], wait_ms)
        if open_places and wait_ms:
            timer = asyncio.get_running_loop().call_later(wait_ms / 1000, give_up)

    # -- from the driver ---------------------------------------------------------------------------

    def finished(self, verdicts: Sequence[Verdict]) -> None:
        """A block was executed: answer those who wait for its bodies."""
        for verdict in sorted(verdicts, key=_is_void):
            self._waiting.settle(verdict.tx_hash, _told(verdict))

    def refused(self, answer: Answer) -> None:
        """The replica did not take a submission in."""
        for tx_hash in answer.tx_hashes:
            self._waiting.settle(tx_hash, answer.error)

    def close(self) -> None:
        """Take nothing in any more, and let nobody wait in vain."""
        self._closed = True
        self._waiting.close()

    # -- taking in ---------------------------------------------------------------------------------

    def _take_in(self, arrivals: Sequence[tuple[bytes, Tell]], wait_ms: int) -> None:
        """Judge envelopes and hand the new ones to the replica together."""
        fresh: list[CheckedEnvelope] = []
        hasty: list[tuple[CheckedEnvelope, Tell]] = []
        for data, tell in arrivals:
            try:
                envelope = self._checked(data)
                known = self._known(envelope)
                if known:
                    tell(Submission(tx_hashes=envelope.tx_hashes, verdicts=known))
                    continue
                is_new = self._admit(envelope)
            except (RejectedError, Unavailable) as error:
                tell(error)
                continue
            if is_new:
                fresh.append(envelope)
            if wait_ms:
                answer = partial(self._answer, envelope, tell, is_new=is_new)
                self._waiting.listen(envelope.tx_hashes, answer)
            else:
                hasty.append((envelope, tell))
        if fresh and not self._inbox.offer(Submitted(envelopes=tuple(fresh))):
            self._turn_away(fresh)
        for envelope, tell in hasty:
            if all(tx_hash in self._waiting for tx_hash in envelope.tx_hashes):
                tell(Submission(tx_hashes=envelope.tx_hashes, verdicts=()))
            else:
                tell(_busy())

    def _checked(self, data: bytes) -> CheckedEnvelope:
        """Everything that needs no state."""
        if self._closed:
            raise Unavailable("the node is stopping")
        settings = self._settings
        transactions = check_envelope(data, settings.chain_id, settings.verify)
        return CheckedEnvelope(data=data, transactions=transactions)

    def _known(self, envelope: CheckedEnvelope) -> tuple[Verdict, ...]:
        """The verdicts that an envelope's bodies already have: all of them or none."""
        found = [self._reads.transaction(item.tx_hash) for item in envelope.transactions]
        known = [item for item in found if item is not None]
        if 0 < len(known) < len(found):
            place = next(index for index, item in enumerate(found) if item is not None)
            raise RejectedError(
                RejectCode.REPLAY,
                f"body {place} of the envelope was executed at height {known[0].leaf.height} and "
                "others were not; sign the others again without it",
            )
        if not known:
            return ()
        return self._shown(envelope.transactions, [verdict_of(item) for item in known])

    def _admit(self, envelope: CheckedEnvelope) -> bool:
        """Open an entry for each body; False where the envelope is in flight already."""
        hashes = envelope.tx_hashes
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
        for transaction in envelope.transactions:
            check_validity(transaction.body, now_ms)
            self._reads.admit(transaction, now_ms)
        self._waiting.add(hashes)
        return True

    def _turn_away(self, envelopes: Sequence[CheckedEnvelope]) -> None:
        for envelope in envelopes:
            for tx_hash in envelope.tx_hashes:
                self._waiting.settle(tx_hash, _busy())

    # -- answering ---------------------------------------------------------------------------------

    def _answer(
        self, envelope: CheckedEnvelope, tell: Tell, outcomes: list[Outcome], *, is_new: bool
    ) -> None:
        """All outcomes are known. One envelope goes in or stays out as a whole."""
        verdicts: list[Verdict] = []
        for outcome in outcomes:
            if not isinstance(outcome, Verdict):
                tell(outcome)
                return
            verdicts.append(outcome)
        shown = tuple(verdicts) if is_new else self._shown(envelope.transactions, verdicts)
        tell(Submission(tx_hashes=envelope.tx_hashes, verdicts=shown))

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


def check_validity(body: Body, now_ms: int) -> None:
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


def _resolve(result: asyncio.Future[Result], found: Result) -> None:
    if not result.done():  # whoever asked may have gone
        result.set_result(found)


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


def _busy() -> Unavailable:
    error = Unavailable("the node has no room for more submissions now", retry_after_ms=100)
    error.code = RejectCode.BUSY
    return error
