"""Who waits for which verdict.

Every transaction that was handed to the replica has one entry here, however many clients wait for
it. The entry ends with the transaction's verdict or refusal; or, should neither come, after a
minute: then the same bytes may be handed in again, which the replica recognises.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence

from onward import limits
from onward.errors import RejectCode, RejectedError, Unavailable
from onward.replica.effects import Verdict
from onward.types import Digest

Outcome = Verdict | RejectedError | Unavailable


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
        # In the order of their deadlines.
        self._entries: OrderedDict[Digest, tuple[int, asyncio.Future[Outcome]]] = OrderedDict()

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
        deadline = self._monotonic_ms() + self._age_ms_max
        loop = asyncio.get_running_loop()
        for tx_hash in tx_hashes:
            self._entries[tx_hash] = (deadline, loop.create_future())

    def drop(self, tx_hashes: Sequence[Digest]) -> None:
        """Close entries that never went to the replica."""
        for tx_hash in tx_hashes:
            entry = self._entries.pop(tx_hash, None)
            if entry is not None:
                entry[1].cancel()

    def settle(self, tx_hash: Digest, outcome: Outcome) -> None:
        """The verdict or refusal of a transaction, whether or not anybody waits."""
        entry = self._entries.pop(tx_hash, None)
        if entry is not None and not entry[1].done():
            entry[1].set_result(outcome)

    async def outcomes(self, tx_hashes: Sequence[Digest], wait_ms: int) -> list[Outcome] | None:
        """The outcomes of all of them in order, or None when they did not all come in time.

        Every hash must have an entry.
        """
        futures = [self._entries[tx_hash][1] for tx_hash in tx_hashes]
        _, pending = await asyncio.wait(futures, timeout=wait_ms / 1000)
        if pending or any(future.cancelled() for future in futures):
            return None
        return [future.result() for future in futures]

    def close(self) -> None:
        """Tell everybody that this node stops."""
        while self._entries:
            _, (_, future) = self._entries.popitem()
            if not future.done():
                future.set_result(Unavailable("the node is stopping"))

    def _forget_old(self) -> None:
        now = self._monotonic_ms()
        while self._entries:
            tx_hash, (deadline, future) = next(iter(self._entries.items()))
            if deadline > now:
                return
            del self._entries[tx_hash]
            future.cancel()
