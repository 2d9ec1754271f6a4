"""What a contract sees while it applies one transaction: its namespace, its signers, block time."""

from __future__ import annotations

from onward import limits
from onward.errors import RejectCode, RejectedError
from onward.execution.overlay import Overlay, State
from onward.ledger.leaf import EVERYONE, LedgerEvent
from onward.ledger.transaction import Transaction, is_party_id
from onward.system.parties import read_party
from onward.system.validators import ChainHistory
from onward_chaincode.contract import Json, Party
from onward_proto.documents import DocumentError, canonical_document

_KEY_END = "\U0010ffff"


def of_kind(value: object, kind: type) -> bool:
    """Whether a contract hands over what its types promise: nothing else holds it to them."""
    return isinstance(value, kind)


class Namespace:
    """A contract's own part of the state: its keys behind `<name>/`."""

    __slots__ = ("_prefix", "_state")

    def __init__(self, state: State, contract: str) -> None:
        """`contract` is the name that prefixes the keys."""
        self._state = state
        self._prefix = contract + "/"

    def get(self, key: str) -> bytes | None:
        """The value of the contract's `key`, or None."""
        return self._state.get(self._prefix + key)

    def scan(self, start: str, end: str, limit: int) -> list[tuple[str, bytes]]:
        """The first `limit` entries with `start <= key < end`; at most SCAN_ROWS_MAX."""
        if limit > limits.SCAN_ROWS_MAX:
            raise RejectedError(
                RejectCode.LIMIT, f"scan of {limit} rows, at most {limits.SCAN_ROWS_MAX}"
            )
        skip = len(self._prefix)
        end = min(end, _KEY_END)
        rows = self._state.scan(self._prefix + start, self._prefix + end, limit)
        return [(key[skip:], value) for key, value in rows]


class TransactionContext(Namespace):
    """`onward_chaincode.contract.Context` over an overlay, which is dropped on a refusal."""

    __slots__ = ("_overlay", "_time_ms", "_transaction", "_written_bytes", "event", "history")

    def __init__(
        self,
        overlay: Overlay,
        transaction: Transaction,
        time_ms: int,
        history: ChainHistory | None = None,
    ) -> None:
        """`time_ms` is the block's time; `history` is for the system's own contract alone."""
        super().__init__(overlay, transaction.body.contract)
        self._overlay = overlay
        self._transaction = transaction
        self._time_ms = time_ms
        self._written_bytes = 0
        self.event: LedgerEvent | None = None
        self.history = history

    @property
    def time_ms(self) -> int:
        """Block time, UTC milliseconds."""
        return self._time_ms

    @property
    def tx_id(self) -> str:
        """The body's hash in hex."""
        return self._transaction.tx_hash.hex()

    @property
    def caller(self) -> str:
        """The acting party."""
        return self._transaction.body.actor

    @property
    def cosigners(self) -> tuple[str, ...]:
        """The verified co-signing parties."""
        return self._transaction.body.cosigners

    @property
    def signers(self) -> tuple[bytes, ...]:
        """The public keys that signed; for the system's own contract."""
        return self._transaction.signers

    def party(self, party_id: str) -> Party | None:
        """The registry's entry of a party, or None."""
        record = read_party(self._overlay, party_id)
        return None if record is None else record.as_party(party_id)

    def put(self, key: str, value: bytes) -> None:
        """Set `key` of the contract. Raises `RejectedError` E_LIMIT outside the bounds."""
        size = self._key_size(key)
        if not of_kind(value, bytes) or not 0 < len(value) <= limits.STATE_VALUE_BYTES_MAX:
            raise RejectedError(
                RejectCode.LIMIT,
                f"value of {len(value)} bytes, expected 1 to {limits.STATE_VALUE_BYTES_MAX}",
            )
        self._count(key, size + len(value))
        self._overlay.put(self._prefix + key, value)

    def delete(self, key: str) -> None:
        """Remove `key` of the contract."""
        self._count(key, self._key_size(key))
        self._overlay.delete(self._prefix + key)

    def emit(self, name: str, payload: Json, readers: tuple[str, ...]) -> None:
        """Announce what happened; readers `("*",)` is everyone.

        Raises `RejectedError` E_LIMIT for a second or too large event.
        """
        if self.event is not None:
            raise RejectedError(RejectCode.LIMIT, "a transaction emits at most one event")
        try:
            data = canonical_document(payload)
        except DocumentError as error:
            raise RejectedError(RejectCode.LIMIT, f"event payload: {error}") from None
        if len(data) > limits.EVENT_PAYLOAD_BYTES_MAX or len(readers) > limits.EVENT_READERS_MAX:
            raise RejectedError(RejectCode.LIMIT, f"event of {len(data)} bytes is too large")
        if not 0 < len(name.encode()) <= limits.EVENT_NAME_BYTES_MAX:
            raise RejectedError(
                RejectCode.LIMIT, f"event name {name!r}: 1 to {limits.EVENT_NAME_BYTES_MAX} bytes"
            )
        ordered = of_kind(readers, tuple) and list(readers) == sorted(set(readers))
        if not (ordered and all(map(is_party_id, readers))) and readers != EVERYONE:
            raise RejectedError(RejectCode.LIMIT, "event readers are not sorted unique party ids")
        self.event = LedgerEvent(
            contract=self._transaction.body.contract, name=name, payload=data, readers=readers
        )

    def _key_size(self, key: str) -> int:
        """The key's bytes with its prefix. No NUL and no U+10FFFF: every engine can keep it."""
        if "\x00" in key or _KEY_END in key:
            raise RejectedError(RejectCode.LIMIT, "a key holds NUL or U+10FFFF")
        try:
            size = len((self._prefix + key).encode())
        except UnicodeEncodeError:
            raise RejectedError(RejectCode.LIMIT, "a key holds a lone surrogate") from None
        if size > limits.STATE_KEY_BYTES_MAX:
            raise RejectedError(
                RejectCode.LIMIT, f"key of {size} bytes, at most {limits.STATE_KEY_BYTES_MAX}"
            )
        return size

    def _count(self, key: str, size_bytes: int) -> None:
        """Judge a write before it is made: a contract that swallows the error gains nothing."""
        if self._written_bytes + size_bytes > limits.WRITTEN_BYTES_PER_BODY_MAX:
            raise RejectedError(
                RejectCode.LIMIT,
                f"more than {limits.WRITTEN_BYTES_PER_BODY_MAX} bytes written in a transaction",
            )
        writes = self._overlay.writes
        if len(writes) == limits.WRITES_PER_BODY_MAX and self._prefix + key not in writes:
            raise RejectedError(
                RejectCode.LIMIT, f"more than {limits.WRITES_PER_BODY_MAX} writes in a transaction"
            )
        self._written_bytes += size_bytes
