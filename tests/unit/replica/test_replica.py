"""A validator as one machine: what clients, peers and operators rely on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.cluster import Cluster, registration, submitted

from onward import limits
from onward.consensus.journal import Floor
from onward.consensus.messages import (
    ChainPage,
    ChainRequest,
    Packet,
    PeerMessage,
    VoteKind,
)
from onward.crypto.signing import SigningKey
from onward.errors import CorruptionError, DivergenceError
from onward.ledger.block import Batch
from onward.ledger.chain import read_block, read_checkpoint, read_transaction
from onward.ledger.transaction import decode_envelope, seal_envelope
from onward.replica.effects import Boot, Tick


def test_every_validator_executes_the_same_transactions_to_the_same_root() -> None:
    cluster = Cluster()
    hashes = [cluster.submit(n, to=n % 4) for n in range(40)]
    cluster.run_ms(2_000)
    roots = {commits[-1].state_root for commits in cluster.commits}
    assert len(roots) == 1
    for index in range(4):
        assert cluster.verdicts(index) == dict.fromkeys(hashes, "OK")


def test_one_validator_alone_is_a_quorum_of_itself() -> None:
    cluster = Cluster(1)
    tx_hash = cluster.submit(1)
    cluster.run_ms(1_000)
    assert cluster.verdicts(0) == {tx_hash: "OK"}
    assert cluster.replicas[0].checkpoint_height == cluster.replicas[0].height


def test_an_idle_network_orders_the_first_transaction_at_once() -> None:
    """Pacing is for load: whoever comes to a quiet network waits for nobody's timer."""
    cluster = Cluster()
    cluster.run_ms(20_000)
    started_ms = cluster.now_ms
    tx_hash = cluster.submit(1, to=2)
    while tx_hash not in cluster.verdicts(2):
        cluster.run_ms(1)
        assert cluster.now_ms - started_ms < 100


def test_an_idle_network_beats_and_does_not_spin() -> None:
    cluster = Cluster()
    cluster.run_ms(1_000)
    before = cluster.replicas[0].view
    cluster.run_ms(60_000)
    beats = 60_000 // cluster.genesis.parameters.heartbeat_ms
    assert beats - 2 <= cluster.replicas[0].view - before <= beats + 2


def test_the_same_body_through_two_doors_is_executed_once() -> None:
    cluster = Cluster()
    tx_hash = cluster.submit(1, to=0)
    cluster.submit(1, to=1)
    cluster.run_ms(2_000)
    codes = [
        v.code for commit in cluster.commits[0] for v in commit.verdicts if v.tx_hash == tx_hash
    ]
    assert sorted(codes) == ["E_REPLAY", "OK"]
    stored = read_transaction(cluster.stores[0], tx_hash)
    assert stored is not None
    assert stored.leaf.code == "OK"


def test_a_checkpoint_carries_a_quorum_of_signature_lines() -> None:
    cluster = Cluster()
    cluster.submit(1)
    cluster.run_ms(2_000)
    newest = cluster.replicas[3].checkpoint_height
    assert newest == cluster.replicas[3].height
    stored = read_checkpoint(cluster.stores[3], newest)
    assert stored is not None
    note = stored.note.decode()
    assert note.startswith(cluster.genesis.origin + "\n")
    assert note.count("\N{EM DASH} v") >= cluster.genesis.validators.quorum


def test_a_validator_far_behind_fetches_the_chain_and_votes_again() -> None:
    cluster = Cluster()
    cluster.cut_off = {3}
    hashes = []
    for n in range(80):
        hashes.append(cluster.submit(n, to=n % 3))
        cluster.run_ms(40)
    assert cluster.heights()[3] == 0
    cluster.reconnect(3)
    cluster.run_ms(8_000)
    assert cluster.heights()[3] == cluster.heights()[0]
    assert cluster.verdicts(3) == dict.fromkeys(hashes, "OK")
    assert any(item.name == "caught_up" for index, item in cluster.happened if index == 3)
    cluster.cut_off = {0}
    tx_hash = cluster.submit(1_000, to=3)
    cluster.run_ms(6_000)
    assert cluster.verdicts(1)[tx_hash] == "OK", "validator 3 is part of the quorum again"


@pytest.mark.parametrize(
    "lie",
    ["another batch", "no finalization", "forged finalization", "shifted block", "missing batch"],
)
def test_a_lying_page_wastes_a_request_and_nothing_else(lie: str) -> None:
    """Catching up must not trust the peer that it catches up from."""
    cluster = Cluster()
    cluster.cut_off = {3}
    for n in range(40):
        cluster.submit(n, to=n % 3)
        cluster.run_ms(50)

    told: list[int] = []

    def liar(sender: int, to: int, message: PeerMessage) -> PeerMessage:
        if isinstance(message, ChainPage) and message.entries and sender == 0:
            told.append(to)
            return _forge(message, lie)
        return message

    cluster.filter = liar
    cluster.reconnect(3)
    cluster.run_ms(15_000)
    assert 3 in told
    assert cluster.heights()[3] == cluster.heights()[0]
    assert cluster.commits[3][-1].state_root == cluster.commits[0][-1].state_root


def _forge(page: ChainPage, lie: str) -> ChainPage:
    index = next(i for i, entry in enumerate(page.entries) if entry.batches)
    entry = page.entries[index]
    match lie:
        case "another batch":
            batch = entry.batches[0]
            wrong = replace(batch, envelopes=(*batch.envelopes, b"x"))
            entry = replace(entry, batches=(wrong, *entry.batches[1:]))
        case "missing batch":
            entry = replace(entry, batches=entry.batches[1:])
        case "shifted block":
            entry = replace(entry, block=replace(entry.block, time_ms=entry.block.time_ms + 1))
        case "no finalization":
            return replace(page, final=None)
        case _:
            assert page.final is not None
            signatures = tuple(replace(item, signature=bytes(64)) for item in page.final.signatures)
            return replace(page, final=replace(page.final, signatures=signatures))
    return replace(page, entries=(*page.entries[:index], entry, *page.entries[index + 1 :]))


def test_a_chain_request_is_passed_to_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster()
    cluster.run_ms(500)
    served: list[tuple[int, int]] = []
    original = cluster.page

    def tap(index: int, from_height: int) -> ChainPage:
        served.append((index, from_height))
        return original(index, from_height)

    monkeypatch.setattr(cluster, "page", tap)
    cluster.send(1, 2, ChainRequest(from_height=1))
    cluster.run_ms(10)
    assert served == [(2, 1)]


def test_batches_lost_on_the_way_are_fetched_by_their_name() -> None:
    cluster = Cluster()
    dropped = []

    def lossy(sender: int, to: int, message: PeerMessage) -> PeerMessage | None:
        if isinstance(message, Batch) and sender == message.author and to == 3:
            dropped.append(message.seq)
            return None
        return message

    cluster.filter = lossy
    tx_hash = cluster.submit(1, to=0)
    cluster.run_ms(3_000)
    assert dropped
    assert cluster.verdicts(3) == {tx_hash: "OK"}


def test_a_validator_a_little_late_is_served_what_the_others_have_forgotten() -> None:
    """Blocks are forgotten when they are delivered: whoever asks for one gets it from the chain."""
    cluster = Cluster()
    cluster.cut_off = {3}
    cluster.submit(1)
    cluster.run_ms(300)
    height = cluster.heights()[0]
    assert height > 0
    cluster.reconnect(3)
    cluster.submit(2)
    cluster.run_ms(400)
    assert cluster.heights()[3] > height


def test_a_full_mempool_answers_busy_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MEMPOOL_ENVELOPES_MAX", 3)
    cluster = Cluster()
    cluster.cut_off = {0}  # what is taken in at 0 stays there
    hashes = [cluster.submit(n, to=0) for n in range(5)]
    cluster.run_ms(1)
    refused = {tx for answer in cluster.answers for tx in answer.tx_hashes}
    assert len(refused) == 2
    cluster.reconnect(0)
    cluster.run_ms(5_000)
    assert set(cluster.verdicts(1)) == set(hashes) - refused


def test_a_replica_that_executed_something_else_stops_when_a_quorum_says_so() -> None:
    """Serving a state that the others do not have is worse than not serving."""
    cluster = Cluster()
    del cluster.stores[2].rows[b"s/sys/party/admin"]
    for n in range(20):
        cluster.submit(n)
    with pytest.raises(DivergenceError):
        cluster.run_ms(10_000)


def test_the_journal_is_rotated_only_when_all_that_is_final_is_executed() -> None:
    """What stands between the database's tip and the journal's floor would be lost in a crash."""
    cluster = Cluster(segment_bytes_max=4_096)
    for n in range(30):
        cluster.submit(n)
        cluster.run_ms(100)
    assert min(cluster.rotations) > 2
    records = cluster.replicas[0]._core.journal_snapshot()
    floor = records[0]
    assert isinstance(floor, Floor)
    stored = read_block(cluster.stores[0], floor.root.height)
    assert stored is not None
    assert stored.block == floor.root


def test_a_rebooted_validator_resumes_from_its_store_and_journal() -> None:
    cluster = Cluster()
    for n in range(10):
        cluster.submit(n)
        cluster.run_ms(60)
    journal = tuple(r for r in cluster.persisted[1] if not isinstance(r, Batch))
    batches = tuple(r for r in cluster.persisted[1] if isinstance(r, Batch))
    voted = {(r.kind, r.view): r.digest for r in journal if hasattr(r, "signer")}  # type: ignore[attr-defined]
    cluster.replicas[1] = cluster._new_replica(1)
    cluster.event(1, Boot(journal=journal, batches=batches))  # type: ignore[arg-type]
    cluster.reconnect(1)
    cluster.submit(77, to=1)
    cluster.run_ms(4_000)
    assert cluster.heights()[1] == cluster.heights()[0]
    later = [r for r in cluster.persisted[1] if hasattr(r, "signer")]
    for vote in later:
        key = (vote.kind, vote.view)  # type: ignore[attr-defined]
        assert voted.setdefault(key, vote.digest) == vote.digest  # type: ignore[attr-defined]
        if vote.kind == VoteKind.FINALIZE:  # type: ignore[attr-defined]
            assert (VoteKind.NULLIFY, vote.view) not in voted  # type: ignore[attr-defined]


def test_votes_that_are_not_the_senders_own_are_reported_and_change_nothing() -> None:
    cluster = Cluster()
    cluster.run_ms(300)
    caught: list[Packet] = []

    def tap(sender: int, to: int, message: PeerMessage) -> PeerMessage:
        if isinstance(message, Packet) and message.votes and sender == 1:
            caught.append(message)
        return message

    cluster.filter = tap
    cluster.submit(1)
    cluster.run_ms(1_000)
    fresh = Cluster()
    fresh.run_ms(1)
    fresh.send(2, 0, caught[0])
    fresh.run_ms(2)
    assert any(item.name == "misbehaved" for index, item in fresh.happened if index == 0)


def test_a_step_without_news_wants_to_be_woken_in_the_future() -> None:
    """A wish in the past, repeated, would burn a core."""
    cluster = Cluster()
    cluster.run_ms(2_000)
    for replica in cluster.replicas:
        effects = replica.step(Tick(), cluster.now_ms)
        assert effects.wake_at_ms is not None
        assert effects.wake_at_ms > cluster.now_ms


def test_a_void_body_is_counted_against_the_lane_that_sealed_it() -> None:
    """Void bodies leave no trace on the chain; operators must still see whose door let them in."""
    cluster = Cluster()
    cluster.submit(1, to=0)
    cluster.run_ms(500)
    cluster.submit(1, to=3)
    cluster.run_ms(2_000)
    void = {dict(item.fields)["lane"] for _, item in cluster.happened if item.name == "void"}
    assert void == {3}


def test_a_silent_leader_costs_a_view_that_everybody_notes_as_nullified() -> None:
    cluster = Cluster()
    cluster.cut_off = {1}
    cluster.submit(1, to=0)
    cluster.run_ms(6_000)
    assert {index for index, item in cluster.happened if item.name == "nullified"} >= {0, 2, 3}


def test_a_void_copy_in_anothers_lane_does_not_drop_the_clients_own() -> None:
    """Anyone can wrap a known body in a worthless envelope; the honest one must still count."""
    cluster = Cluster()
    mempool = cluster.replicas[1]._lanes.mempool
    envelope, tx_hash = registration(cluster.genesis, 1)
    stranger = SigningKey(b"s" * 32)
    (body,) = decode_envelope(envelope).bodies
    forged = seal_envelope(cluster.genesis.chain_id, [body], [stranger])
    cluster.event(0, submitted(forged))
    mempool.track((tx_hash,))
    cluster.run_ms(1_000)
    assert cluster.verdicts(1) == {tx_hash: "E_PARTY"}
    assert tx_hash in mempool._in_flight
    assert tx_hash not in cluster.replicas[0]._lanes.mempool._in_flight


def test_a_database_that_ends_below_the_journals_floor_is_refused() -> None:
    """It has lost what was synced; going on would hang silently if all four had lost it."""
    cluster = Cluster()
    for n in range(5):
        cluster.submit(n)
        cluster.run_ms(100)
    journal = cluster.replicas[0]._core.journal_snapshot()
    cluster.stores[0] = cluster._new_store()
    replica = cluster._new_replica(0)
    with pytest.raises(CorruptionError, match="the database ends at 0"):
        replica.step(Boot(journal=journal, batches=()), cluster.now_ms)
