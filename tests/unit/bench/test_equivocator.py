"""The liar of the benchmark: what it tells its peers excludes itself, and is signed by it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

from tests.support.cluster import make_genesis

from onward.bench.equivocator import Lips, kit_for
from onward.consensus.evidence import are_conflicting
from onward.consensus.messages import (
    EMPTY_PACKET,
    Packet,
    PeerMessage,
    VoteKind,
    vote_signed_bytes,
)
from onward.crypto.signing import SigningKey, verify
from onward.ledger.block import Block, LanePoint, block_digest, genesis_block
from onward.runtime.home import NodeHome
from onward.types import ValidatorIndex

ME = 1


class Told:
    """What each peer was told."""

    def __init__(self) -> None:
        self.genesis, keys = make_genesis(4)
        home = SimpleNamespace(genesis=self.genesis, index=ME, seed=bytes(32))
        self.kit = replace(kit_for(cast("NodeHome", home)), signer=keys[ME])
        self.heard: list[tuple[int | None, PeerMessage]] = []
        self.lips = Lips(self.kit, lambda to, message: self.heard.append((to, message)))

    def proposal(self, view: int) -> Packet:
        """What an honest leader says: its block and its vote for it."""
        genesis = self.genesis
        root = genesis_block(genesis.chain_id, 1_000, genesis.validators, bytes(32))
        block = replace(
            root,
            view=view,
            height=1,
            parent=block_digest(root),
            time_ms=2_000 + view,
            cut=tuple(LanePoint(seq=0, head=bytes(32)) for _ in range(4)),
        )
        vote = self.kit.vote(VoteKind.NOTARIZE, view, block_digest(block))
        return replace(EMPTY_PACKET, blocks=(block,), votes=(vote,))

    def proved(self) -> set[int]:
        """The views in which two of its votes exclude each other."""
        votes = [vote for _, packet in self.packets() for vote in packet.votes]
        return {one.view for one in votes for other in votes if are_conflicting(one, other)}

    def packets(self) -> list[tuple[int | None, Packet]]:
        return [(to, item) for to, item in self.heard if isinstance(item, Packet)]


def test_it_is_honest_until_it_is_told_to_lie_and_again_afterwards() -> None:
    told = Told()
    packet = told.proposal(1)
    told.lips.send(None, packet)
    told.lips.lying = True
    told.lips.send(None, told.proposal(2))
    told.lips.lying = False
    told.lips.send(ValidatorIndex(3), packet)
    assert told.heard[0] == (None, packet)
    assert told.heard[-1] == (3, packet)


def test_it_signs_two_blocks_of_one_view_and_tells_them_to_different_peers() -> None:
    """A liar whose lies are refused as garbage would measure nothing."""
    told = Told()
    told.lips.lying = True
    for view in range(1, 40):
        told.lips.send(None, told.proposal(view))
    assert {to for to, _ in told.heard} == {0, 2, 3}
    by_view: dict[int, dict[bytes, set[int | None]]] = {}
    for to, packet in told.packets():
        for block in packet.blocks:
            by_view.setdefault(block.view, {}).setdefault(block_digest(block), set()).add(to)
    twice = [peers for peers in by_view.values() if len(peers) == 2]
    assert len(twice) >= 10
    assert any(not set.intersection(*peers.values()) for peers in twice)
    assert told.kit.counts["lie.equivocation"] > 0
    assert_signed(told)


def test_as_a_leader_it_can_be_proved_to_have_voted_for_two_blocks() -> None:
    told = Told()
    told.lips.lying = True
    for view in range(1, 40):
        told.lips.send(None, told.proposal(view))
    assert len(told.proved()) >= 10
    assert_signed(told)


def test_beside_another_leader_it_finalizes_and_nullifies_the_same_view() -> None:
    told = Told()
    told.lips.lying = True
    for view in range(1, 40):
        vote = told.kit.vote(VoteKind.FINALIZE, view, bytes(32))
        told.lips.send(None, replace(EMPTY_PACKET, votes=(vote,)))
    assert len(told.proved()) >= 10
    assert told.kit.counts["lie.double_vote"] > 0
    assert_signed(told)


def test_it_signs_with_the_key_of_the_home_that_it_runs_on() -> None:
    seed = bytes(range(32))
    home = SimpleNamespace(genesis=make_genesis(4)[0], index=ME, seed=seed)
    kit = kit_for(cast("NodeHome", home))
    assert kit.signer.public_key == SigningKey(seed).public_key
    assert (kit.index, kit.size) == (ME, 4)


def assert_signed(told: Told) -> None:
    """Every vote that left is one that its peers must take seriously."""
    for _, packet in told.packets():
        for vote in packet.votes:
            signed = vote_signed_bytes(
                told.kit.chain_id, told.kit.epoch, vote.kind, vote.view, vote.digest
            )
            assert vote.signer == ME
            assert verify(told.kit.signer.public_key, signed, vote.signature)


def test_other_messages_pass_as_they_are() -> None:
    told = Told()
    told.lips.lying = True
    block: Block = told.proposal(1).blocks[0]
    packet = replace(EMPTY_PACKET, blocks=(block,))  # an answer to a fetch: no vote of ours
    told.lips.send(ValidatorIndex(2), packet)
    assert told.heard == [(2, packet)]
