"""What the door asks of a node's own store: fresh at every block, and not asked in vain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import cast

import pytest
from tests.support.cluster import T0_MS, Cluster, DictStore

from onward.crypto.signing import SigningKey
from onward.errors import RejectedError
from onward.execution.overlay import CachedState
from onward.ledger.store import STATE, TRANSACTION
from onward.ledger.transaction import Body, Transaction
from onward.replica.executor import Executor
from onward.runtime.reads import NodeReads
from onward.storage.disk import NodeDisk
from onward.system.parties import pseudonym_of
from onward.types import Digest

NOBODY = Digest(sha256(b"never submitted").digest())


@dataclass
class Watched:
    """A disk whose store notes which rows it is asked for."""

    below: DictStore
    asked: list[bytes] = field(default_factory=list)

    @property
    def store(self) -> Watched:
        return self

    def get(self, key: bytes) -> bytes | None:
        self.asked.append(key[:2])
        return self.below.get(key)


def reads_of(disk: Watched, executor: Callable[[], Executor]) -> NodeReads:
    return NodeReads(
        cast("NodeDisk", disk),
        lambda _name, _version: None,
        now_ms=lambda: T0_MS,
        status=lambda: pytest.fail("not asked"),
        evidence=tuple,
        executed=executor,
    )


def register(cluster: Cluster, number: int) -> Digest:
    """A person is registered by the newest block."""
    tx_hash = cluster.submit(number)
    while tx_hash not in cluster.verdicts(0):
        cluster.run_ms(1)
    return tx_hash


def of_person(number: int) -> Transaction:
    """Something that the person of this number signs."""
    key = SigningKey(sha256(b"person %d" % number).digest()).public_key
    body = Body(
        format=1,
        contract="sys",
        type="party.register",
        actor=pseudonym_of(key),
        cosigners=(),
        valid_until_ms=T0_MS + 3_600_000,
        salt=bytes(16),
        payload=b"-",
    )
    return Transaction(tx_hash=NOBODY, body=body, signers=(key,))


def test_a_verdict_is_told_from_its_block_on_and_what_is_new_is_not_looked_for() -> None:
    """Submissions are new, nearly all: LevelDB would look for each on every level, in vain."""
    cluster = Cluster()
    disk = Watched(cluster.stores[0])
    reads = reads_of(disk, lambda: cluster.replicas[0].executor)
    submitted = []
    for number in range(6):
        submitted.append(register(cluster, number))
        for tx_hash in submitted:
            stored = reads.transaction(tx_hash)
            assert stored is not None
            assert stored.leaf.tx_hash == tx_hash
        disk.asked.clear()
        assert reads.transaction(NOBODY) is None
        assert TRANSACTION not in disk.asked


@pytest.mark.parametrize("room", [8 * 1024 * 1024, 0])
def test_who_was_registered_by_the_newest_block_may_submit_before_the_next(room: int) -> None:
    """Also when nothing stays at hand: the state map that says what is not there must be as new."""
    cluster = Cluster()
    disk = Watched(cluster.stores[0])
    executor = cluster.replicas[0].executor
    at_hand = executor._at_hand
    at_hand.state = CachedState(cluster.stores[0], bytes_max=room, is_absent=at_hand._is_absent)
    reads = reads_of(disk, lambda: executor)
    for number in range(4):
        with pytest.raises(RejectedError):
            reads.admit(of_person(number), T0_MS + 1)
        register(cluster, number)
        reads.admit(of_person(number), T0_MS + 1)
        transaction = of_person(number)
        assert reads.holds_key(transaction.body.actor, transaction.signers[0])
        assert not reads.holds_key(transaction.body.actor, bytes(32))
    assert STATE not in disk.asked
