"""Up to f validators may do anything. They may waste a little of our time, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest
from tests.support.cluster import T0_MS, Cluster

from onward import limits
from onward.consensus.leader import leader_of
from onward.consensus.messages import (
    EMPTY_PACKET,
    ChainPage,
    CheckpointSignature,
    Fetch,
    Packet,
    PeerMessage,
    Vote,
    VoteKind,
    vote_signed_bytes,
)
from onward.crypto.signing import verify
from onward.errors import PeerFault
from onward.ledger.block import (
    Batch,
    Block,
    LanePoint,
    batch_head,
    batch_signed_bytes,
    block_digest,
)
from onward.ledger.chain import read_block
from onward.ledger.log import EMPTY_LOG
from onward.replica.catchup import CatchUp
from onward.replica.checkpoints import Checkpoints
from onward.replica.effects import Effects, Outbound, PeerUp, Received
from onward.replica.fetching import Fetching
from onward.types import ValidatorIndex


def peer(index: int) -> ValidatorIndex:
    return ValidatorIndex(index)


def forging(cluster: Cluster, liar: int, forge: Callable[[Block], Block]) -> set[bytes]:
    """From now on the liar sends `forge` of each of its proposals, and votes for that.

    Answers their digests, as they come to be.
    """
    digests: set[bytes] = set()

    def forged(sender: int, _: int, message: PeerMessage) -> PeerMessage:
        if sender != liar or not isinstance(message, Packet):
            return message
        blocks = list(message.blocks)
        votes = list(message.votes)
        for index, block in enumerate(blocks):
            if leader_of(cluster.genesis.validators, block.view) != liar:
                continue
            blocks[index] = forge(block)
            votes = [v for v in votes if (v.kind, v.view) != (VoteKind.NOTARIZE, block.view)]
            digests.add(block_digest(blocks[index]))
            votes.append(own_vote(cluster, liar, block.view, block_digest(blocks[index])))
        return replace(message, blocks=tuple(blocks), votes=tuple(votes))

    cluster.filter = forged
    return digests


def expect_refused(cluster: Cluster, forged: set[bytes], liar: int) -> None:
    """There were forged blocks, and no honest validator's chain holds one of them."""
    assert forged
    for index, height in enumerate(cluster.heights()):
        for at in range(1, height + 1 if index != liar else 0):
            stored = read_block(cluster.stores[index], at)
            assert stored is not None
            assert block_digest(stored.block) not in forged


def own_vote(cluster: Cluster, signer: int, view: int, digest: bytes) -> Vote:
    signed = vote_signed_bytes(cluster.genesis.chain_id, 0, VoteKind.NOTARIZE, view, digest)
    return Vote(
        kind=VoteKind.NOTARIZE,
        view=view,
        digest=digest,
        signer=signer,
        signature=cluster.keys[signer].sign(signed),
    )


@cache
def loaded(blocks: int = 24) -> Cluster:
    """A cluster that has delivered blocks with batches, without validator 3. Only looked at."""
    cluster = Cluster()
    cluster.cut_off = {3}
    number = 0
    while cluster.heights()[0] < blocks:
        cluster.submit(number, to=number % 3)
        number += 1
        cluster.run_ms(50)
    return cluster


def catching_up(cluster: Cluster) -> tuple[CatchUp, Block]:
    """Validator 3's questions, and its root."""
    genesis = cluster.genesis
    stored = read_block(cluster.stores[3], 0)
    assert stored is not None
    peers = (peer(0), peer(1), peer(2))
    return CatchUp(genesis.chain_id, genesis.validators, verify, peers=peers), stored.block


def to_one(effects: Effects, index: int) -> list[Outbound]:
    return [item for item in effects.send if item.to == index]


# -- proposals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("lanes", [3, 0, 5, 25])
def test_a_proposal_over_the_wrong_number_of_lanes_costs_its_leader_the_view(lanes: int) -> None:
    cluster = Cluster()
    point = LanePoint(seq=2**53 - 1, head=bytes([7]) * 32)
    forged = forging(cluster, 1, lambda block: replace(block, cut=(point,) * lanes))
    tx_hash = cluster.submit(1, to=0)
    cluster.run_ms(6_000)
    assert cluster.verdicts(3) == {tx_hash: "OK"}
    expect_refused(cluster, forged, liar=1)


@pytest.mark.parametrize(
    "field", ["epoch", "height", "parent_view", "time_ms", "format", "parent", "next_set_hash"]
)
def test_a_proposal_with_any_wrong_field_costs_its_leader_the_view(field: str) -> None:
    cluster = Cluster()

    def forge(block: Block) -> Block:
        wrong = bytes([9]) * 32 if field in ("parent", "next_set_hash") else 200
        return replace(block, **{field: wrong})  # type: ignore[arg-type]

    forged = forging(cluster, 1, forge)
    tx_hash = cluster.submit(1, to=0)
    cluster.run_ms(6_000)
    assert cluster.verdicts(3) == {tx_hash: "OK"}
    assert cluster.heights()[0] == cluster.heights()[3]
    expect_refused(cluster, forged, liar=1)


def test_batches_that_a_liar_made_up_are_not_asked_for_for_ever() -> None:
    """Each bad proposal can name as many as there are lanes; soon nothing else was fetched."""
    cluster = Cluster()

    def forge(block: Block) -> Block:
        junk = tuple(
            LanePoint(seq=point.seq + 1, head=bytes([lane, block.view % 256]) * 16)
            for lane, point in enumerate(block.cut)
        )
        return replace(block, cut=junk)

    forging(cluster, 1, forge)
    for number in range(20):
        cluster.submit(number, to=0)
        cluster.run_ms(1_500)
    forging(cluster, 1, lambda block: block)
    cluster.run_ms(6_000)
    assert set(cluster.verdicts(3).values()) == {"OK"}
    assert len(cluster.verdicts(3)) == 20
    for replica in cluster.replicas:
        assert replica._lanes.lanes.missing() == ()


# -- small questions with large answers ------------------------------------------------------------


def test_a_batch_asked_for_many_times_over_is_sent_once() -> None:
    """A request of two kilobytes was answered with sixteen megabytes."""
    cluster = Cluster()
    cluster.run_ms(100)
    cluster.cut_off = {0}
    cluster.submit(1, to=0)
    cluster.run_ms(20)
    replica = cluster.replicas[0]
    head = replica._lanes.lanes.tips[0].head
    question = Fetch(blocks=(), batches=(head,) * limits.FETCH_DIGESTS_MAX)
    effects = replica.step(Received(peer=peer(1), message=question), cluster.now_ms)
    assert sum(isinstance(item.message, Batch) for item in to_one(effects, 1)) == 1


def test_a_peer_that_is_in_another_view_each_time_is_not_answered_each_time() -> None:
    cluster = Cluster()
    cluster.submit(1)
    cluster.run_ms(500)
    replica = cluster.replicas[0]
    assert replica.finalized_height > 0
    answers = 0
    for number in range(1, 400):
        lie = replace(EMPTY_PACKET, status=number * 10**9)
        effects = replica.step(Received(peer=peer(1), message=lie), cluster.now_ms)
        answers += len(to_one(effects, 1))
    assert answers <= 2


def test_wrong_checkpoint_signatures_are_checked_once_each() -> None:
    """One small packet cost a verification for each of its signatures, as often as it came."""
    cluster = Cluster()
    checked: list[bytes] = []

    def counting(key: bytes, message: bytes, signature: bytes) -> bool:
        checked.append(message)
        return verify(key, message, signature)

    stored = read_block(cluster.stores[0], 0)
    assert stored is not None
    result = replace(stored.block.executed, height=1, log_root=EMPTY_LOG.root())
    checkpoints = Checkpoints(
        cluster.genesis, peer(0), cluster.keys[0], counting, stored.block.executed
    )
    checkpoints.executed(result)
    for number in range(100):
        wrong = CheckpointSignature(height=1, signature=bytes([number]) * 64)
        assert checkpoints.learn(peer(1), wrong) == ()
    assert len(checked) == 1


def test_what_a_quorum_has_signed_is_not_verified_again() -> None:
    """With n validators, n - q signatures for each block would be checked for nothing."""
    cluster = Cluster(7)
    checked: list[bytes] = []

    def counting(key: bytes, message: bytes, signature: bytes) -> bool:
        checked.append(signature)
        return verify(key, message, signature)

    stored = read_block(cluster.stores[0], 0)
    assert stored is not None
    made = [
        Checkpoints(cluster.genesis, peer(index), key, counting, stored.block.executed)
        for index, key in enumerate(cluster.keys)
    ]
    result = replace(stored.block.executed, height=1, log_root=EMPTY_LOG.root())
    for checkpoints in made[1:]:
        checkpoints.executed(result)
    early, late = made[1:4], made[4:]
    for index, checkpoints in enumerate(early, 1):
        made[0].learn(peer(index), checkpoints.own(0)[0])
    assert checked == []  # nothing to compare them with until the block is executed here
    made[0].executed(result)
    certified = [
        made[0].learn(peer(index), checkpoints.own(0)[0])
        for index, checkpoints in enumerate(late, 4)
    ]
    assert [len(writes) for writes in certified] == [1, 0, 0]
    assert len(checked) == cluster.genesis.validators.quorum - 1


def test_peers_that_come_up_again_and_again_leave_nothing_behind() -> None:
    cluster = Cluster()
    cluster.run_ms(300)
    for _ in range(200):
        effects = cluster.replicas[0].step(PeerUp(peer=peer(1)), cluster.now_ms)
        assert len(effects.send) <= 3
        assert not effects.persist


# -- whom to ask -----------------------------------------------------------------------------------


def test_every_wish_reaches_every_peer_however_the_others_fall_due() -> None:
    """With one turn for all, three wishes in step met the same peer each, time after time."""
    fetching = Fetching(peer(0), 4)
    asked: dict[bytes, set[int]] = {}
    for now_ms in range(0, 10 * limits.FETCH_RETRY_MS, limits.FETCH_RETRY_MS // 3):
        if now_ms < limits.FETCH_RETRY_MS:
            fetching.want_block(bytes([now_ms % 251]) * 32, now_ms)
        for whom, request in fetching.due(now_ms):
            for digest in request.blocks:
                asked.setdefault(digest, set()).add(whom)
    assert [sorted(peers) for peers in asked.values()] == [[1, 2, 3]] * 3


def test_the_next_page_comes_from_the_next_peer() -> None:
    """A peer that told the truth drop by drop was asked again and again."""
    cluster = loaded()
    catch_up, root = catching_up(cluster)
    asked = []
    catch_up.aim(20)
    for step in range(3):
        whom = catch_up.ask(root.height, T0_MS + step)
        assert whom is not None
        asked.append(whom)
        verified = catch_up.open(whom, cluster.page(0, root.height + 1), root)
        assert verified is not None
        root = verified.ordered[-1].block
    assert sorted(asked) == [0, 1, 2]


def test_a_page_nobody_asked_for_does_not_void_the_answer() -> None:
    """Whoever pushed one block just before each honest answer held a laggard to that pace."""
    cluster = loaded()
    catch_up, root = catching_up(cluster)
    catch_up.aim(20)
    asked = catch_up.ask(0, T0_MS)
    assert asked is not None
    pushed = one_entry(cluster)
    first = catch_up.open(peer((asked + 1) % 3), pushed, root)
    assert first is not None
    second = catch_up.open(asked, cluster.page(0, 1), first.ordered[-1].block)
    assert second is not None
    assert [item.block.height for item in second.ordered] == list(range(2, 9))


def one_entry(cluster: Cluster) -> ChainPage:
    page = cluster.page(0, 1)
    links = tuple(entry.block for entry in page.entries[1:])
    return replace(page, entries=page.entries[:1], links=links)


def test_one_peer_alone_cannot_end_the_catching_up() -> None:
    cluster = loaded()
    catch_up, root = catching_up(cluster)
    catch_up.aim(20)
    nothing = ChainPage(tip=0, entries=(), links=(), final=None)
    for _ in range(5):
        assert catch_up.open(peer(2), nothing, root) is None
    assert catch_up.target == 20
    for left in (20, 20, 0):
        asked = catch_up.ask(0, T0_MS)
        assert asked is not None
        assert catch_up.open(asked, nothing, root) is None
        assert catch_up.target == left, "until everybody has nothing"
    assert catch_up.ask(0, T0_MS) is None


def test_a_target_that_is_a_lie_is_given_up() -> None:
    cluster = loaded()
    catch_up, root = catching_up(cluster)
    lie = replace(cluster.page(0, 1), tip=2**53 - 1)
    verified = catch_up.open(peer(2), lie, root)
    assert verified is not None
    height = verified.ordered[-1].block.height
    root = verified.ordered[-1].block
    for _ in range(3):
        asked = catch_up.ask(height, T0_MS)
        assert asked is not None
        catch_up.open(asked, ChainPage(tip=height, entries=(), links=(), final=None), root)
    assert catch_up.ask(height, T0_MS) is None


def test_a_page_with_a_batch_that_its_author_did_not_sign_is_refused() -> None:
    """A head does not cover the signature: kept and passed on, it would accuse an honest node."""
    cluster = loaded()
    catch_up, root = catching_up(cluster)
    page = cluster.page(0, 1)
    entries = tuple(
        replace(
            entry, batches=tuple(replace(batch, signature=bytes(64)) for batch in entry.batches)
        )
        for entry in page.entries
    )
    with pytest.raises(PeerFault, match="is not of lane"):
        catch_up.open(peer(0), replace(page, entries=entries), root)


def test_pages_come_no_faster_than_they_are_executed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever pushes the whole chain at a laggard would fill its memory."""
    monkeypatch.setattr(limits, "EXECUTION_QUEUE_BLOCKS_MAX", 4)
    cluster = loaded.__wrapped__(40)
    replica = cluster.replicas[3]
    for first in range(1, 40, 8):
        page = cluster.page(0, first)
        effects = replica.step(Received(peer=peer(0), message=page), cluster.now_ms)
        cluster._perform(3, effects)  # and no time to execute
        assert replica.finalized_height - replica.height < 4 + 8


def test_an_oversized_batch_is_the_fault_of_who_sends_it() -> None:
    """Sixty-four of four megabytes each were held for each liar."""
    cluster = Cluster()
    cluster.run_ms(100)
    draft = Batch(
        author=1,
        epoch=0,
        seq=1,
        previous=bytes(32),
        envelopes=(b"x" * limits.ENVELOPE_BYTES_MAX,) * 2,
        signature=bytes(64),
    )
    head = batch_head(cluster.genesis.chain_id, draft)
    batch = replace(draft, signature=cluster.keys[1].sign(batch_signed_bytes(head)))
    replica = cluster.replicas[0]
    effects = replica.step(Received(peer=peer(1), message=batch), cluster.now_ms)
    assert [item.name for item in effects.events] == ["misbehaved"]
    assert head not in replica._lanes.lanes._links
