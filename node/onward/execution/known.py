"""Which transactions certainly have no verdict yet, known without a look into the database.

Nearly every transaction that is executed is new, and LevelDB has to look on every level to say so;
the more often it looks in vain, the sooner it merges tables that nobody asked it to
(docs/adr/0009-page-log.md). A Bloom filter over the hashes of executed transactions answers from
memory. It may take a new one for known, and then the database is asked; never the other way round.

Now and then the filter is stored with a block, as it was before it. A start begins with that and
takes in the heights behind it, some with each block; until it has all of them it knows nothing.
Before it is believed, what it took in is counted: the log has a leaf for each of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from zlib import crc32

from onward import limits
from onward.errors import CorruptionError
from onward.ledger.chain import Tip
from onward.ledger.log import LogFrontier
from onward.ledger.store import KNOWN_KEY, TRANSACTIONS, Store, transactions_key

_HASH_BYTES = 32
_PLACES = Struct(">IIII16x")  # a hash is as good as random: four parts of it are the places
_HEAD = Struct(">QQI")  # the height, how many transactions there were, a check of both and the bits


class KnownTransactions:
    """The transactions of one store's log."""

    __slots__ = ("_bits", "_count", "_height", "_kept_count", "_mask", "_store")

    def __init__(self, store: Store) -> None:
        """Nothing is known yet."""
        self._store = store
        self._bits = bytearray()  # none: not even what is stored
        self._mask = 8 * limits.TRANSACTION_FILTER_BYTES - 1
        self._height = 0  # up to here the heights are in the filter,
        self._count = 0  # with so many transactions
        self._kept_count = 0  # how many the stored filter has

    def follow(self, tip: Tip) -> None:
        """The log ends at `tip` now. Take in what is missing, or a part of it.

        Raises `CorruptionError` when the rows of the log do not hold its transactions.
        """
        if not self._bits:
            self._bits = bytearray(limits.TRANSACTION_FILTER_BYTES)
            self._height = self._count = self._kept_count = 0
            self._load(tip.height)
        if self._height == tip.height:
            return
        left = limits.TRANSACTION_FILTER_ADDED_MAX
        for height, hashes in self._rows(tip.height):
            if left <= 0:
                return
            left -= self._add(hashes)
            self._height = height
        self._height = tip.height
        expected = LogFrontier.decode(tip.frontier).size - tip.height  # each block has a leaf too
        if self._count != expected:
            self._bits = bytearray()  # nothing is believed any more
            raise CorruptionError(
                f"database: the rows up to height {tip.height} name {self._count} transactions, "
                f"the log has {expected}"
            )

    def certainly_new(self, tx_hash: bytes, height: int) -> bool:
        """Whether no transaction of the log, which ends at `height`, has this hash."""
        if not self._bits or self._height != height:
            return False
        bits, mask = self._bits, self._mask
        for part in _PLACES.unpack(tx_hash):
            place = part & mask
            if not bits[place >> 3] >> (place & 7) & 1:
                return True
        return False

    def to_keep(self, height: int) -> bytes | None:
        """What to store under `KNOWN_KEY` with the block after `height`, if it is time to."""
        grown = self._count - self._kept_count
        if self._height != height or grown < limits.TRANSACTION_FILTER_KEPT_EVERY:
            return None
        self._kept_count = self._count
        check = _check(self._height, self._count, self._bits)
        return _HEAD.pack(self._height, self._count, check) + self._bits

    def _load(self, height: int) -> None:
        """Begin with the stored filter. One of another size is of another release: of no use."""
        data = self._store.get(KNOWN_KEY)
        if data is None or len(data) != _HEAD.size + limits.TRANSACTION_FILTER_BYTES:
            return
        kept_height, count, check = _HEAD.unpack_from(data)
        bits = bytearray(memoryview(data)[_HEAD.size :])
        if kept_height > height or check != _check(kept_height, count, bits):
            raise CorruptionError(
                f"database: the filter of transactions up to height {kept_height} of {height} is "
                "not what was written"
            )
        self._bits, self._height, self._count, self._kept_count = bits, kept_height, count, count

    def _rows(self, height: int) -> Iterator[tuple[int, bytes]]:
        """The heights that are missing to this one, with their transactions; others have none."""
        if self._height + 1 == height:
            hashes = self._store.get(transactions_key(height))
            if hashes is not None:
                yield height, hashes
            return
        first, end = transactions_key(self._height + 1), transactions_key(height + 1)
        for key, hashes in self._store.scan(first, end):
            yield int.from_bytes(key[len(TRANSACTIONS) :], "big"), hashes

    def _add(self, hashes: bytes) -> int:
        """Take in the transactions of a height; how many there are."""
        if len(hashes) % _HASH_BYTES:
            raise CorruptionError(f"database: hashes of transactions in {len(hashes)} bytes")
        bits, mask = self._bits, self._mask
        for parts in _PLACES.iter_unpack(hashes):
            for part in parts:
                place = part & mask
                bits[place >> 3] |= 1 << (place & 7)
        count = len(hashes) // _HASH_BYTES
        self._count += count
        return count


def _check(height: int, count: int, bits: bytearray) -> int:
    return crc32(bits, crc32(_HEAD.pack(height, count, 0)))
