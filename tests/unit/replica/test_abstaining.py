"""A home that was put back to an earlier state must not vote: it has forgotten what it promised."""

from __future__ import annotations

import copy

from tests.support.cluster import Cluster, DictStore, registration, submitted

from onward.consensus.journal import Floor, JournalRecord
from onward.consensus.messages import Certificate, Packet, PeerMessage, Vote, VoteKind
from onward.ledger.block import Batch, Block
from onward.replica.effects import Boot, PeerUp, Tick
from onward.types import ValidatorIndex

RESTORED = 2


class Backup:
    """What a copy of a home holds: the database, the journal and the batch log of one moment."""

    def __init__(self, cluster: Cluster) -> None:
        self.store = DictStore()
        self.store.rows = copy.deepcopy(cluster.stores[RESTORED].rows)
        records = tuple(cluster.persisted[RESTORED])
        self.journal: tuple[JournalRecord, ...] = tuple(
            item for item in records if isinstance(item, Floor | Certificate | Block | Vote)
        )
        self.batches = tuple(item for item in records if isinstance(item, Batch))


def restored(run_on_ms: int, *, away_ms: int = 0) -> Cluster:
    """One validator's disk is put back by `run_on_ms`, after it has been down for `away_ms`."""
    cluster = Cluster()
    for number in range(3):
        cluster.submit(number, to=RESTORED)
    cluster.run_ms(600)
    backup = Backup(cluster)
    for number in range(3, 9):
        cluster.submit(number, to=number % 2)
        cluster.run_ms(run_on_ms // 6)
    cluster.cut_off = {RESTORED}
    cluster.run_ms(away_ms)
    cluster.stores[RESTORED] = backup.store
    cluster.replicas[RESTORED] = cluster._new_replica(RESTORED)
    cluster.cut_off = set()
    known = {batch.seq for batch in backup.batches if batch.author == RESTORED}
    assert known
    cluster.event(RESTORED, Boot(journal=backup.journal, batches=()))
    cluster.reconnect(RESTORED)
    return cluster


def votes_of(cluster: Cluster) -> list[Vote]:
    """From now on, what the restored validator votes."""
    found: list[Vote] = []

    def watch(sender: int, _to: int, message: PeerMessage) -> PeerMessage:
        if sender == RESTORED and isinstance(message, Packet):
            found.extend(message.votes)
        return message

    cluster.filter = watch
    return found


def test_restored_home_follows_and_votes_no_more() -> None:
    """The danger: it contradicts a vote that it gave, and a consortium of four loses its safety."""
    cluster = restored(1_200)
    cluster.run_ms(500)
    names = [item.name for index, item in cluster.happened if index == RESTORED]
    assert names.count("forgot_vote") == 1
    assert cluster.replicas[RESTORED].abstains
    given = votes_of(cluster)
    height = cluster.heights()[0]
    for number in range(20, 26):
        cluster.submit(number, to=0)
        cluster.run_ms(300)
    assert cluster.heights()[RESTORED] > height
    assert [vote for vote in given if vote.kind != VoteKind.NULLIFY and vote.view > height] == []


def test_it_stays_so_after_another_start() -> None:
    """The peers forget those votes one day. The home must not."""
    cluster = restored(1_200)
    cluster.run_ms(500)
    again = cluster._new_replica(RESTORED)
    assert again.abstains
    envelope, _ = registration(cluster.genesis, 99)
    again.step(Boot(journal=(), batches=()), cluster.now_ms)
    (answer,) = again.step(submitted(envelope), cluster.now_ms + 1).answers
    assert "only follows" in str(answer.error)


def test_what_waited_for_a_batch_is_answered_and_asks_for_no_time() -> None:
    """A batch that is due and never sealed kept the loop turning without end."""
    cluster = Cluster()
    cluster.run_ms(100)
    replica = cluster.replicas[RESTORED]
    envelope, tx_hash = registration(cluster.genesis, 99)
    replica.step(submitted(envelope), cluster.now_ms)
    assert replica.waiting == 1
    replica._abstain()
    (answer,) = replica._out.answers
    assert answer.tx_hashes == (tx_hash,)
    wake_at_ms = replica.step(Tick(), cluster.now_ms + 100).wake_at_ms
    assert wake_at_ms is not None
    assert wake_at_ms > cluster.now_ms + 100


def test_nobody_else_abstains_and_the_order_goes_on() -> None:
    cluster = restored(1_200)
    cluster.run_ms(2_000)
    assert [replica.abstains for replica in cluster.replicas] == [False, False, True, False]
    assert len({replica.evidence for replica in cluster.replicas}) == 1


def test_crash_with_its_disk_intact_is_no_reason_to_abstain() -> None:
    """Else each power cut would cost the consortium a validator."""
    cluster = Cluster()
    for number in range(3):
        cluster.submit(number, to=0)
        cluster.run_ms(300)
    whole = Backup(cluster)
    cluster.replicas[RESTORED] = cluster._new_replica(RESTORED)
    cluster.event(RESTORED, Boot(journal=whole.journal, batches=()))
    for peer in range(4):
        if peer != RESTORED:
            cluster.event(RESTORED, PeerUp(peer=ValidatorIndex(peer)))
            cluster.event(peer, PeerUp(peer=ValidatorIndex(RESTORED)))
    cluster.run_ms(1_000)
    assert not cluster.replicas[RESTORED].abstains
