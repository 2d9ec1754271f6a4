"""Questions to committed state: a contract's queries, and the verdict of a dry run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onward.errors import CorruptionError, RejectCode, RejectedError
from onward.execution.block import StoredHistory
from onward.execution.body import BodyResult, ContractFor, execute_body
from onward.execution.context import Namespace
from onward.execution.overlay import Overlay, StoredState
from onward.ledger.chain import Tip, read_tip
from onward.ledger.store import PROJECTION, Store
from onward.ledger.transaction import Transaction
from onward.system.contracts import active_version
from onward.system.parties import NAMESPACE, PartyRecord, read_party
from onward.system.registry import PartyRegistry
from onward_chaincode.contract import Contract, Json, Party, Refuse


class CommittedView(Namespace):
    """`onward_chaincode.contract.View` over the store's tip."""

    __slots__ = ("_contract_rows", "_tip", "_whole", "reader", "time_ms")

    def __init__(self, store: Store, tip: Tip, contract: str, *, reader: str, now_ms: int) -> None:
        """`reader`: the party that asks, verified; `now_ms`: this node's clock."""
        whole = StoredState(store)
        super().__init__(whole, contract)
        self._whole = whole
        self._contract_rows = Namespace(StoredState(store, PROJECTION), contract)
        self._tip = tip
        self.reader = reader
        self.time_ms = question_time(tip, now_ms)

    @property
    def height(self) -> int:
        """The height of the state that answers."""
        return self._tip.height

    def party(self, party_id: str) -> Party | None:
        """The registry's entry of a party, or None."""
        record = read_party(self._whole, party_id)
        return None if record is None else record.as_party(party_id)

    def projected(self, start: str, end: str, limit: int) -> list[tuple[str, bytes]]:
        """The first `limit` projection rows with `start <= key < end`."""
        return self._contract_rows.scan(start, end, limit)


def question_time(tip: Tip, now_ms: int) -> int:
    """When a question is asked: the next block could come now, and it comes after the tip."""
    return max(tip.time_ms + 1, now_ms)


def committed_tip(store: Store) -> Tip:
    """The tip that questions are answered from."""
    tip = read_tip(store)
    if tip is None:
        raise CorruptionError("the database holds no chain, not even a genesis")
    return tip


def party_record(store: Store, party_id: str) -> PartyRecord | None:
    """The registered party, or None."""
    return read_party(StoredState(store), party_id)


def query(
    store: Store,
    contract_for: ContractFor,
    question: tuple[str, str, Mapping[str, Any]],
    *,
    reader: str,
    now_ms: int,
) -> tuple[Json, int]:
    """The answer to `question` (contract, query, arguments) for `reader`, and its height.

    Raises `RejectedError`: E_CONTRACT, E_NOT_FOUND for a query that the contract does not have, or
    the contract's own code.
    """
    name, asked, arguments = question
    tip = committed_tip(store)
    contract = _contract_at(store, tip.height, name, contract_for)
    if asked not in contract.queries:
        raise RejectedError(RejectCode.NOT_FOUND, f"contract {name} answers no query {asked!r}")
    view = CommittedView(store, tip, name, reader=reader, now_ms=now_ms)
    try:
        return contract.query(view, asked, arguments), tip.height
    except Refuse as refusal:
        raise RejectedError(refusal.code, str(refusal), rule=refusal.rule) from None


def dry_run(
    store: Store, contract_for: ContractFor, transaction: Transaction, *, now_ms: int
) -> BodyResult:
    """The verdict that the chain would give now, if every named party signed.

    The same code as the real path, on an overlay that is dropped; `transaction.signers` is ignored.
    """
    tip = committed_tip(store)
    state = Overlay(StoredState(store))
    keys: list[bytes] = []
    for party_id in (transaction.body.actor, *transaction.body.cosigners):
        record = read_party(state, party_id)
        keys.extend(record.public_keys if record else ())
    assumed = Transaction(tx_hash=transaction.tx_hash, body=transaction.body, signers=tuple(keys))
    return execute_body(
        state,
        assumed,
        height=tip.height + 1,
        time_ms=question_time(tip, now_ms),
        contract_for=contract_for,
        history=StoredHistory(store, tip.height + 1),
    )


def _contract_at(
    store: Store, height: int, name: str, contract_for: ContractFor
) -> Contract | PartyRegistry:
    if name == NAMESPACE:
        return PartyRegistry()
    version = active_version(StoredState(store), name, height + 1)
    contract = None if version is None else contract_for(name, version)
    if contract is None:
        raise RejectedError(RejectCode.CONTRACT, f"no contract {name!r} at height {height}")
    return contract
