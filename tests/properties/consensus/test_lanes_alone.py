"""Lanes alone: whatever is lost, reordered or lied about, cuts are valid and complete."""

from __future__ import annotations

import random

import pytest
from tests.support.lane_batches import SIZE, ZERO, chain, give, lanes_of

from onward.consensus.effects import SendBatch
from onward.consensus.lanes import Lanes
from onward.ledger.block import Cut, LanePoint
from onward.types import ValidatorIndex


def exchange_tips(nodes: list[Lanes], chance: random.Random) -> None:
    """Everybody hears the others, and validator 3 lies to each."""
    for me, node in enumerate(nodes):
        for peer, other in enumerate(nodes):
            if me != peer:
                node.on_tips(ValidatorIndex(peer), other.tips)
        lie = tuple(LanePoint(seq=chance.randrange(20), head=bytes(32)) for _ in range(SIZE))
        node.on_tips(ValidatorIndex(3), lie)


def fetch_for(node: Lanes, leader: Lanes, parent: Cut, cut: Cut) -> None:
    """What a voter does about a cut whose batches it lacks."""
    while lacking := node.lacks(parent, cut, parent):
        node.want(lacking)
        for head in (*lacking, *node.missing()):
            found = leader.held(head)
            if found is not None:
                give(node, found)


@pytest.mark.parametrize("seed", range(40))
def test_honest_leaders_cuts_are_valid_and_complete(seed: int) -> None:
    """Lost and reordered batches, an author that forks its lane, lies about tips."""
    chance = random.Random(seed)
    nodes = [lanes_of(me) for me in range(3)]  # lane 3 belongs to a liar
    forks = [chain(3, 6, bytes([branch])) for branch in range(3)]
    parent, delivered = ZERO, set[bytes]()
    for turn in range(12):
        mail = [fork[chance.randrange(6)] for fork in forks]
        for node in nodes:
            if not node.is_full():
                effects = node.seal((b"%d" % turn,), 1)
                mail += [e.batch for e in effects if isinstance(e, SendBatch)]
        for node in nodes:
            for batch in chance.sample(mail, k=chance.randint(0, len(mail))):
                give(node, batch)
        exchange_tips(nodes, chance)
        leader = nodes[turn % 3]
        cut = leader.make_cut(parent, parent, turn)
        assert leader.lacks(parent, cut, parent) == ()
        for node in nodes:
            fetch_for(node, leader, parent, cut)
        orders = [[link.head for link in node.deliver(cut)] for node in nodes]
        assert orders[0] == orders[1] == orders[2]
        assert not delivered & set(orders[0])
        delivered |= set(orders[0])
        parent = cut
    assert parent[0].seq > 5
