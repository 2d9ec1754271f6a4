"""What a block costs in messages: on real machines each one costs more than a transaction does."""

from __future__ import annotations

from collections import Counter

import pytest
from tests.support.cluster import Cluster

from onward.consensus.messages import PeerMessage
from onward.ledger.block import Batch


class Counting:
    """Messages from validator 0 to validator 1, and the batches that all send to all."""

    def __init__(self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
        self.messages = 0
        self.batches: Counter[tuple[int, int, int]] = Counter()
        send = cluster.send

        def counted(sender: int, to: int, message: PeerMessage) -> None:
            self.messages += (sender, to) == (0, 1)
            if isinstance(message, Batch):
                self.batches[message.author, message.seq, to] += 1
            send(sender, to, message)

        monkeypatch.setattr(cluster, "send", counted)


def under_load(cluster: Cluster, ms: int) -> None:
    """Every validator gets a transaction each 20 ms."""
    for number in range(ms // 20):
        for lane in range(4):
            cluster.submit(4 * number + lane + 1, to=lane)
        cluster.run_ms(20)


def test_under_load_a_validator_sends_a_peer_few_messages_for_a_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Batches, acknowledgements and checkpoint signatures ride with votes."""
    cluster = Cluster()
    cluster.run_ms(1_000)
    counting, before = Counting(cluster, monkeypatch), cluster.replicas[0].height
    under_load(cluster, 2_000)
    blocks = cluster.replicas[0].height - before
    assert blocks > 10
    assert counting.messages <= 5 * blocks


def test_no_batch_travels_twice_while_all_streams_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster()
    cluster.run_ms(1_000)
    counting = Counting(cluster, monkeypatch)
    under_load(cluster, 3_000)
    cluster.run_ms(1_000)
    assert len(counting.batches) > 50
    assert set(counting.batches.values()) == {1}


def test_a_leader_gathers_the_more_the_more_there_is() -> None:
    """The fixed part of a block is shared by more transactions, and stays bounded."""
    heights = []
    for load in (1, 8):
        cluster = Cluster()
        cluster.run_ms(1_000)
        before = cluster.replicas[0].height
        for number in range(100):
            for copy in range(load):
                cluster.submit(load * number + copy + 1, to=(number + copy) % 4)
            cluster.run_ms(20)
        heights.append(cluster.replicas[0].height - before)
    few, many = heights
    assert many < few
    assert many >= 2_000 // 200
