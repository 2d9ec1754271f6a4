"""Which transactions certainly have no verdict yet, known without a look into the database.

Nearly every transaction that is executed is new, and LevelDB has to look on every level to say so;
the more often it looks in vain, the sooner it merges tables that nobody asked it to
(docs/adr/0009-page-log.md). A Bloom filter over the hashes of executed transactions answers from
memory. It may take a new one for known, and then the database is asked; never the other way round.

It is nowhere stored. After a start it is filled again while blocks are executed, some heights with
each, from the newest back to the first; until it has all of them it knows nothing.
"""

from __future__ import annotations

from struct import Struct

from onward import limits
from onward.ledger.store import Store, transactions_key

_HASH_BYTES = 32
_PLACES = Struct(">IIII")  # a hash is as good as random: four parts of it are the places


class KnownTransactions:
    """The transactions of one store's log."""

    __slots__ = ("_bits", "_first", "_last", "_mask", "_store")

    def __init__(self, store: Store) -> None:
        """Nothing is known yet."""
        self._store = store
        self._bits = bytearray(limits.TRANSACTION_FILTER_BYTES)
        self._mask = 8 * limits.TRANSACTION_FILTER_BYTES - 1
        self._first: int | None = None  # heights from here
        self._last = 0  # to here are in the filter

    def follow(self, height: int) -> None:
        """The log ends at `height` now. Take in what is missing, newest first, or a part of it."""
        if self._first is None:
            self._first, self._last = height + 1, height
        left = limits.TRANSACTION_FILTER_HEIGHTS_PER_BLOCK
        while left and self._last < height:
            self._last += 1
            self._add(self._last)
            left -= 1
        while left and self._first > 1:
            self._first -= 1
            self._add(self._first)
            left -= 1

    def certainly_new(self, tx_hash: bytes, height: int) -> bool:
        """Whether no transaction of the log, which ends at `height`, has this hash."""
        if self._first != 1 or self._last != height:
            return False
        bits, mask = self._bits, self._mask
        for part in _PLACES.unpack_from(tx_hash):
            place = part & mask
            if not bits[place >> 3] >> (place & 7) & 1:
                return True
        return False

    def _add(self, height: int) -> None:
        bits, mask = self._bits, self._mask
        hashes = self._store.get(transactions_key(height)) or b""
        for start in range(0, len(hashes), _HASH_BYTES):
            for part in _PLACES.unpack_from(hashes, start):
                place = part & mask
                bits[place >> 3] |= 1 << (place & 7)
