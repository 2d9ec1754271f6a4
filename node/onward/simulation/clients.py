"""The clients: they sign real transactions, submit, try again, and remember what they were told.

A client keeps to one validator until it answers, then (or when it has waited too long) goes to
another with the same bytes. What it was told once must stay true; what was taken in must come to a
verdict.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from typing import Protocol

from onward.ledger.leaf import Outcome
from onward.ledger.transaction import CheckedEnvelope, open_envelope
from onward.replica.effects import Answer, Commit
from onward.simulation.host import Host
from onward.simulation.oracles import SafetyOracles
from onward.types import Digest

RETRY_AFTER_MS = 2_500
_ELSEWHERE_ONE_IN = 8  # this share of a burst goes to other validators


@dataclass(frozen=True, slots=True)
class Order:
    """One signed envelope, and what its bodies are called."""

    envelope: bytes
    tx_hashes: tuple[Digest, ...]


class Workload(Protocol):
    """Where the transactions come from."""

    def next_order(self, time_ms: int) -> Order:
        """The next envelope to submit; `time_ms` is UTC."""

    def on_verdict(self, tx_hash: Digest, code: str) -> None:
        """A transaction of an earlier order has its verdict."""


@dataclass(slots=True)
class _Pending:
    order: Order
    open: set[Digest]
    host: int
    retry_at_ms: int


class Clients:
    """Everyone who submits, and what each is waiting for."""

    def __init__(
        self,
        rng: random.Random,
        hosts: list[Host],
        workload: Workload,
        oracles: SafetyOracles,
        counts: Counter[str],
    ) -> None:
        """`hosts`: the honest validators, by index; clients do not ask liars."""
        self._rng = rng
        self._hosts = hosts
        self._workload = workload
        self._oracles = oracles
        self._counts = counts
        self._pending: dict[Digest, _Pending] = {}  # by each open tx hash

    @property
    def waiting(self) -> int:
        """Transactions without a verdict."""
        return len(self._pending)

    def submit_burst(self, envelopes: int, now_ms: int, utc_ms: int, twice_permille: int) -> None:
        """Submit some new envelopes: a burst is one client's, and most of it goes to one node."""
        up = self._up()
        one = self._rng.choice(up) if up else None
        for _ in range(envelopes):
            order = self._workload.next_order(utc_ms)
            pending = _Pending(order, set(order.tx_hashes), 0, 0)
            for tx_hash in order.tx_hashes:
                self._pending[tx_hash] = pending
            self._try(pending, now_ms, one if self._rng.randrange(_ELSEWHERE_ONE_IN) else None)
            if twice_permille and self._rng.randrange(1000) < twice_permille:
                self._submit_again(pending)

    def submit(self, order: Order, now_ms: int) -> None:
        """Submit one envelope out of turn."""
        pending = _Pending(order, set(order.tx_hashes), 0, 0)
        for tx_hash in order.tx_hashes:
            self._pending[tx_hash] = pending
        self._try(pending, now_ms)

    def _submit_again(self, pending: _Pending) -> None:
        """It counts where another validator hears it."""
        host = self._rng.choice(self._hosts)
        if host.machine is not None and host.index != pending.host:
            self._counts["client.double_submit"] += 1
        host.submit(checked(pending.order.envelope))

    def retry(self, now_ms: int) -> None:
        """Whoever has waited too long goes to another validator with the same bytes."""
        for item in list(self._pending.values()):
            if item.open and item.retry_at_ms <= now_ms:
                self._counts["client.retry"] += 1
                self._try(item, now_ms)

    def on_answer(self, answer: Answer, now_ms: int) -> None:
        """A validator did not take a submission in."""
        self._counts[f"answer.{answer.error.code}"] += 1
        for tx_hash in answer.tx_hashes:
            pending = self._pending.get(tx_hash)
            if pending is not None:
                pending.retry_at_ms = min(pending.retry_at_ms, now_ms + 200)

    def on_commit(self, host: Host, commit: Commit) -> None:
        """A validator has verdicts. It tells those who wait at it."""
        for verdict in commit.verdicts:
            pending = self._pending.get(verdict.tx_hash)
            if pending is None or pending.host != host.index or verdict.outcome == 0:
                continue
            self._settle(verdict.tx_hash, verdict.height, verdict.code, verdict.outcome)

    def _up(self) -> list[Host]:
        return [host for host in self._hosts if host.machine is not None]

    def _try(self, pending: _Pending, now_ms: int, host: Host | None = None) -> None:
        """Known bytes get their verdict at once; in flight, the client waits; else they go in."""
        pending.retry_at_ms = now_ms + RETRY_AFTER_MS
        if host is None:
            up = self._up()
            if not up:
                return
            host = self._rng.choice(up)
        pending.host = host.index
        for tx_hash in pending.order.tx_hashes:
            known = host.disk.verdict(tx_hash) if tx_hash in pending.open else None
            if known is not None:
                self._settle(tx_hash, *known)
        if pending.open:
            host.submit(checked(pending.order.envelope))

    def _settle(self, tx_hash: Digest, height: int, code: str, outcome: int) -> None:
        self._oracles.on_told(tx_hash, height, code)
        self._counts[f"verdict.{Outcome(outcome).name.lower()}"] += 1
        pending = self._pending.pop(tx_hash)
        pending.open.discard(tx_hash)
        self._workload.on_verdict(tx_hash, code)


def checked(envelope: bytes) -> CheckedEnvelope:
    """An envelope as it comes from the door, which has nothing to find in an honest client's."""
    return CheckedEnvelope(data=envelope, transactions=open_envelope(envelope))
