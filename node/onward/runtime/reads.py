"""The gateway's reads, from the node's own store and batch log."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Protocol

from onward import limits
from onward.errors import CorruptionError, RejectCode, RejectedError
from onward.execution.body import ContractFor, judge_void
from onward.execution.overlay import Overlay, State
from onward.execution.reading import (
    committed_tip,
    dry_run,
    query,
    question_time,
)
from onward.ledger.chain import (
    StoredBlock,
    StoredTransaction,
    read_block,
    read_checkpoint,
    read_log_node,
    read_transaction,
)
from onward.ledger.leaf import EVERYONE
from onward.ledger.log import inclusion_path
from onward.ledger.note import parse_note
from onward.ledger.read import Reader
from onward.ledger.receipt import build_receipt, encode_receipt
from onward.ledger.results import leaves_at, write_set_at
from onward.ledger.transaction import (
    Body,
    Envelope,
    Transaction,
    body_hash,
    decode_body,
    decode_envelope,
)
from onward.replica.answers import NodeStatus
from onward.replica.effects import Verdict
from onward.storage.disk import NodeDisk
from onward.system.parties import read_party
from onward_proto.canonical import encode
from onward_proto.documents import DocumentError, parse_document


class Executed(Protocol):
    """What execution has at hand of the executed tip (`replica.executor`).

    LevelDB looks on every level for what it does not have, and on several for what is old, and the
    more often it does the more it merges: a few looks for each submission cost a validator more
    writing than the submission itself (docs/adr/0009-page-log.md).
    """

    @property
    def state(self) -> State:
        """The executed state."""

    def is_new(self, tx_hash: bytes) -> bool:
        """Whether certainly no executed block gave a verdict on a transaction."""


class NodeReads:
    """`gateway.ports.ReadPort` and `rpc.ports.ResultPort` over a node's disk.

    Everything is answered from the executed tip.
    """

    def __init__(
        self,
        disk: NodeDisk,
        contract_for: ContractFor,
        *,
        now_ms: Callable[[], int],
        status: Callable[[], NodeStatus],
        evidence: Callable[[], tuple[bytes, ...]],
        executed: Callable[[], Executed],
    ) -> None:
        """`status` and `evidence` are asked for what the store does not say by itself.

        `executed` is asked first, for what would else be looked for in it with each request.
        """
        self._disk = disk
        self._store = disk.store
        self._contract_for = contract_for
        self._now_ms = now_ms
        self._status = status
        self.evidence = evidence
        self._executed = executed

    def transaction(self, tx_hash: bytes) -> StoredTransaction | None:
        """The verdict on a transaction."""
        if self._executed().is_new(tx_hash):
            return None
        return read_transaction(self._store, tx_hash)

    def block(self, height: int) -> StoredBlock | None:
        """The executed block at a height."""
        return read_block(self._store, height)

    def admit(self, transaction: Transaction, now_ms: int) -> None:
        """What execution would call void, it would call void now."""
        time_ms = question_time(committed_tip(self._store), now_ms)
        void = judge_void(Overlay(self._executed().state), transaction, time_ms)
        if void is not None:
            raise RejectedError(void[0], void[1])

    def holds_key(self, party: str, public_key: bytes) -> bool:
        """Whether the party is active and the key its own."""
        record = read_party(self._executed().state, party)
        return record is not None and not record.inactive and public_key in record.public_keys

    def query(
        self, contract: str, name: str, arguments: bytes, reader: Reader
    ) -> tuple[bytes, int]:
        """A contract's answer in canonical JSON, and its height."""
        try:
            parsed = parse_document(arguments, maximum=limits.QUERY_BYTES_MAX)
        except DocumentError as error:
            raise RejectedError(RejectCode.FORMAT, f"arguments: {error}") from None
        answer, height = query(
            self._store,
            self._contract_for,
            (contract, name, parsed),
            reader=reader.party,
            now_ms=self._now_ms(),
        )
        # A contract's answer may be any JSON value, not only a document.
        text = json.dumps(answer, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        return text.encode(), height

    def dry_run(self, body: Body, body_bytes: bytes, now_ms: int) -> Verdict:
        """The verdict that the chain would give now."""
        transaction = Transaction(tx_hash=body_hash(body_bytes), body=body, signers=())
        result = dry_run(self._store, self._contract_for, transaction, now_ms=now_ms)
        return Verdict(
            tx_hash=transaction.tx_hash,
            height=0,
            code=result.code,
            rule=result.rule,
            message=result.message,
            outcome=0 if result.outcome is None else result.outcome,
            log_index=0,
            event=result.event,
        )

    def receipt(self, tx_hash: bytes, reader: Reader) -> bytes | None:
        """The receipt, for the parties that signed the transaction and for its event's readers."""
        stored = read_transaction(self._store, tx_hash)
        if stored is None:
            return None
        envelope = self._envelope(stored)
        listed = stored.event.readers if stored.event else ()
        allowed = (*_signers(envelope, stored), *listed)
        if listed != EVERYONE and reader.party not in allowed:
            raise RejectedError(
                RejectCode.READER, f"{reader.party} has no part in {tx_hash.hex()[:16]}"
            )
        checkpoint = read_checkpoint(self._store, stored.leaf.height)
        if checkpoint is None:
            return None
        receipt = build_receipt(
            envelope=envelope,
            body_index=stored.body_index,
            leaf=encode(stored.leaf),
            leaf_index=stored.log_index,
            inclusion=inclusion_path(
                self._log_node, stored.log_index, checkpoint.executed.log_size
            ),
            checkpoint=parse_note(checkpoint.note),
        )
        return encode_receipt(receipt)

    def signing_parties(self, stored: StoredTransaction) -> tuple[str, ...]:
        """The parties in whose names a transaction speaks: its actor and its cosigners."""
        return _signers(self._envelope(stored), stored)

    def _envelope(self, stored: StoredTransaction) -> Envelope:
        batch = self._disk.batch(stored.batch_head)
        if batch is None:
            raise CorruptionError(f"batch {stored.batch_head.hex()} is not in the batch log")
        return decode_envelope(batch.envelopes[stored.envelope_index])

    def leaves(self, height: int) -> tuple[bytes, ...] | None:
        """The canonical leaves of an executed block, in the log's order."""
        return leaves_at(self._store, height)

    def write_set(self, height: int, index: int) -> bytes | None:
        """The canonical write set behind a recent transaction's leaf."""
        return write_set_at(self._store, height, index)

    def status(self) -> NodeStatus:
        """How the node is doing."""
        return self._status()

    def _log_node(self, level: int, index: int) -> bytes:
        return read_log_node(self._store, level, index)


def _signers(envelope: Envelope, stored: StoredTransaction) -> tuple[str, ...]:
    body = decode_body(envelope.bodies[stored.body_index])
    return (body.actor, *body.cosigners)
