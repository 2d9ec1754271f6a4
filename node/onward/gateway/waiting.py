"""Who waits for which verdict.

Every transaction that was handed to the replica has one entry here, however many clients wait for
it. The entry ends with the transaction's verdict or refusal; or, should neither come, after a
minute: then the same bytes may be handed in again, which the replica recognises.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from onward import limits
from onward.errors import RejectCode, RejectedError, Unavailable
from onward.replica.effects import Verdict
from onward.types import Digest

Outcome = Verdict | RejectedError | Unavailable
Told = Callable[[list[Outcome]], None]


class _Ticket:
    """Somebody's wait for the outcomes of one envelope's bodies; told once, when all are known."""

    __slots__ = ("_hashes", "_outcomes", "_told")

    def __init__(self, hashes: Sequence[Digest], told: Told) -> None:
        self._hashes = hashes
        self._outcomes: dict[Digest, Outcome] = {}
        self._told = told

    def put(self, tx_hash: Digest, outcome: Outcome) -> None:
        """One more outcome."""
        self._outcomes[tx_hash] = outcome
        if len(self._outcomes) == len(self._hashes):
            self._told([self._outcomes[item] for item in self._hashes])


class _Entry:
    """One transaction in flight."""

    __slots__ = ("deadline_ms", "tickets")

    def __init__(self, deadline_ms: int) -> None:
        self.deadline_ms = deadline_ms
        self.tickets: list[_Ticket] = []


class Waiting:
    """The transactions in flight at this node."""

    def __init__(
        self,
        monotonic_ms: Callable[[], int],
        *,
        count_max: int = limits.GATEWAY_WAITERS_MAX,
        age_ms_max: int = limits.GATEWAY_WAIT_MS_MAX,
    ) -> None:
        self._monotonic_ms = monotonic_ms
        self._count_max = count_max
        self._age_ms_max = age_ms_max
        self._entries: OrderedDict[Digest, _Entry] = OrderedDict()  # in the order of deadlines

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, tx_hash: Digest) -> bool:
        return tx_hash in self._entries

    def add(self, tx_hashes: Sequence[Digest]) -> None:
        """Open an entry for each. Raises `Unavailable` E_BUSY when there are too many."""
        self._forget_old()
        if len(self._entries) + len(tx_hashes) > self._count_max:
            error = Unavailable(f"{len(self._entries)} transactions in flight", retry_after_ms=100)
            error.code = RejectCode.BUSY
            raise error
        deadline_ms = self._monotonic_ms() + self._age_ms_max
        for tx_hash in tx_hashes:
            self._entries[tx_hash] = _Entry(deadline_ms)

    def listen(self, tx_hashes: Sequence[Digest], told: Told) -> None:
        """Tell the outcomes of all of them, in order, once they are known.

        Every hash must have an entry.
        """
        ticket = _Ticket(tx_hashes, told)
        for tx_hash in tx_hashes:
            self._entries[tx_hash].tickets.append(ticket)

    def settle(self, tx_hash: Digest, outcome: Outcome) -> None:
        """The verdict or refusal of a transaction, whether or not anybody waits."""
        entry = self._entries.pop(tx_hash, None)
        if entry is not None:
            for ticket in entry.tickets:
                ticket.put(tx_hash, outcome)

    def close(self) -> None:
        """Tell everybody that this node stops."""
        while self._entries:
            self.settle(next(iter(self._entries)), Unavailable("the node is stopping"))

    def _forget_old(self) -> None:
        now_ms = self._monotonic_ms()
        while self._entries:
            tx_hash, entry = next(iter(self._entries.items()))
            if entry.deadline_ms > now_ms:
                return
            self.settle(tx_hash, no_verdict(self._age_ms_max))


def no_verdict(wait_ms: int) -> Unavailable:
    """What is told when a wait ends and nothing is known."""
    return Unavailable(f"no verdict within {wait_ms} ms; the same bytes may be sent again")
