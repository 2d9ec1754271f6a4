from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.lane_batches import (
    LIMIT,
    SIZE,
    ZERO,
    all_claim,
    chain,
    cut_with,
    give,
    head_of,
    lanes_of,
    point,
    signed,
)

from onward import limits
from onward.consensus.effects import LaneForked, Misbehaved, SendBatch
from onward.consensus.lanes import DurableBatch
from onward.consensus.links import InvalidCut
from onward.errors import InvariantError
from onward.ledger.block import LANE_START
from onward.types import Digest, ValidatorIndex


def test_tip_moves_only_along_checked_batches_without_gap() -> None:
    lanes, (one, two, three) = lanes_of(0), chain(1, 3)
    give(lanes, three)
    assert lanes.tips[1] == LANE_START
    assert lanes.missing() == (head_of(two),)
    give(lanes, one)
    assert lanes.tips[1] == point(one)
    give(lanes, two)
    assert lanes.tips[1] == point(three)
    assert lanes.missing() == ()


def test_bad_batch_freezes_its_lane() -> None:
    lanes, (one, two) = lanes_of(0), chain(1, 2)
    give(lanes, one, bodies=None)
    give(lanes, two)
    assert lanes.tips[1] == LANE_START
    with pytest.raises(InvalidCut, match="bad"):
        lanes.lacks(ZERO, cut_with(1, point(two)), ZERO)


def test_nobody_else_writes_in_a_lane() -> None:
    lanes, batch = lanes_of(0), chain(1, 1)[0]
    forged = replace(batch, author=2)
    effects = lanes.on_batch(ValidatorIndex(3), forged)
    assert [effect.peer for effect in effects if isinstance(effect, Misbehaved)] == [3]
    assert lanes.held(head_of(forged)) is None


def test_thousand_forks_at_one_place_cost_one_batch_and_one_evidence() -> None:
    """The danger: an equivocator fills the memory of everybody."""
    lanes = lanes_of(0)
    effects = [
        effect
        for number in range(1_000)
        for effect in give(lanes, signed(1, 1, LANE_START.head, b"%d" % number))
    ]
    assert sum(isinstance(effect, LaneForked) for effect in effects) == 1
    assert len(lanes._links) == 1


def test_fork_that_a_block_names_is_taken_and_heals_the_lane() -> None:
    lanes = lanes_of(0)
    left, right = chain(1, 3, b"left"), chain(1, 3, b"right")
    for batch in left:
        give(lanes, batch)
    assert lanes.tips[1] == point(left[-1])
    named = cut_with(1, point(right[1]))
    for _ in range(2):
        lacking = lanes.lacks(ZERO, named, ZERO)
        lanes.want(lacking)
        for head in lacking:
            give(lanes, next(batch for batch in right if head_of(batch) == head))
    assert lanes.lacks(ZERO, named, ZERO) == ()
    delivered = lanes.deliver(named)
    assert [link.batch for link in delivered] == right[:2]
    assert lanes.tips[1] == point(right[1])
    give(lanes, right[2])
    assert lanes.tips[1] == point(right[2])


def test_chain_of_predecessors_ends_at_the_delivered_cut() -> None:
    """The danger: an author feeds an endless chain from its end, each batch below a held one."""
    lanes = lanes_of(0)
    last = signed(1, 5, bytes([9]) * 32)
    give(lanes, last)
    assert not lanes.on_batch(ValidatorIndex(1), signed(1, 10_000, bytes([8]) * 32))
    assert len(lanes._links) == 1


def test_batch_that_lies_about_its_place_moves_no_tip() -> None:
    lanes, one = lanes_of(0), chain(1, 1)[0]
    give(lanes, one)
    give(lanes, signed(1, 9, head_of(one)))
    assert lanes.tips[1] == point(one)


@pytest.mark.parametrize(
    ("ahead", "is_held"),
    [
        (2 * limits.LANE_AHEAD_OF_EXECUTED_MAX, True),
        (2 * limits.LANE_AHEAD_OF_EXECUTED_MAX + 1, False),
    ],
)
def test_batches_far_ahead_are_not_kept(ahead: int, *, is_held: bool) -> None:
    lanes, batch = lanes_of(0), signed(1, ahead, bytes([1]) * 32)
    give(lanes, batch)
    assert (lanes.held(head_of(batch)) is not None) == is_held


def test_full_lane_refuses_to_seal_until_delivery() -> None:
    lanes = lanes_of(0)
    while not lanes.is_full():
        lanes.seal((b"tx",), 1)
    assert lanes.tips[0].seq == limits.LANE_AHEAD_OF_EXECUTED_MAX
    with pytest.raises(InvariantError):
        lanes.seal((b"tx",), 1)
    lanes.deliver(lanes.make_cut(ZERO, ZERO, 0))
    assert not lanes.is_full()


def test_own_lane_goes_on_where_the_log_ends() -> None:
    """The danger: a reboot that seals a second batch at a place the peers already have."""
    lanes = lanes_of(0)
    sent = [
        effect.batch
        for number in range(3)
        for effect in lanes.seal((b"tx %d" % number,), 1)
        if isinstance(effect, SendBatch)
    ]
    again = lanes_of(0)
    again.restore(tuple(DurableBatch(batch=batch, bodies=1) for batch in sent))
    assert again.tips == lanes.tips
    assert again.own_after(1) == tuple(sent[1:])
    (following,) = [e.batch for e in again.seal((b"next",), 1) if isinstance(e, SendBatch)]
    assert (following.seq, following.previous) == (4, head_of(sent[-1]))


def test_leader_includes_of_others_what_a_quorum_holds_and_of_itself_everything() -> None:
    lanes, theirs = lanes_of(0), chain(1, 3)
    for batch in theirs:
        give(lanes, batch)
    lanes.seal((b"own",), 1)
    assert lanes.make_cut(ZERO, ZERO, 0) == (lanes.tips[0], LANE_START, LANE_START, LANE_START)
    lanes.on_tips(ValidatorIndex(1), cut_with(1, point(theirs[2])))
    lanes.on_tips(ValidatorIndex(2), cut_with(1, point(theirs[1])))
    assert lanes.make_cut(ZERO, ZERO, 0)[1] == point(theirs[1])


@pytest.mark.parametrize(("length", "is_valid"), [(LIMIT, True), (LIMIT + 1, False)])
def test_lane_grows_by_so_much_a_block(length: int, *, is_valid: bool) -> None:
    lanes, batches = lanes_of(0), chain(1, length)
    for batch in batches:
        give(lanes, batch)
    all_claim(lanes, lanes.tips)
    assert lanes.make_cut(ZERO, ZERO, 0)[1].seq == LIMIT
    if is_valid:
        assert lanes.lacks(ZERO, cut_with(1, point(batches[-1])), ZERO) == ()
    else:
        with pytest.raises(InvalidCut, match="grows"):
            lanes.lacks(ZERO, cut_with(1, point(batches[-1])), ZERO)


def test_cut_stays_near_what_is_executed() -> None:
    lanes, batches = lanes_of(0), chain(1, limits.LANE_AHEAD_OF_EXECUTED_MAX + 1)
    for batch in batches:
        give(lanes, batch)
    all_claim(lanes, lanes.tips)
    parent = ZERO
    for _ in range(3):
        parent = lanes.make_cut(parent, ZERO, 0)
    assert parent[1].seq == limits.LANE_AHEAD_OF_EXECUTED_MAX
    with pytest.raises(InvalidCut, match="ahead of execution"):
        lanes.lacks(parent, cut_with(1, point(batches[-1])), ZERO)


def test_totals_of_a_block_are_kept_and_no_lane_starves() -> None:
    """The danger: one busy lane that fills every block, or a block nobody can execute."""
    lanes, bodies = lanes_of(0), limits.BLOCK_BODIES_MAX // 4
    for author in (1, 2, 3):
        for batch in chain(author, 3):
            give(lanes, batch, bodies)
    all_claim(lanes, lanes.tips)
    firsts = set()
    for turn in range(SIZE):
        cut = lanes.make_cut(ZERO, ZERO, turn)
        assert lanes.lacks(ZERO, cut, ZERO) == ()
        grown = [end.seq for end in cut]
        assert sum(grown) == 4
        assert min(grown[1:]) == 1
        firsts.add(grown.index(2))
    assert firsts == {1, 2, 3}
    too_much = tuple(replace(tip) for tip in lanes.tips)
    with pytest.raises(InvalidCut, match="bodies"):
        lanes.lacks(ZERO, too_much, ZERO)


def test_cut_that_does_not_extend_its_parent_is_refused() -> None:
    lanes, left, right = lanes_of(0), chain(1, 2, b"left"), chain(1, 2, b"right")
    for batch in left:
        give(lanes, batch)
    parent = cut_with(1, point(right[0]))
    with pytest.raises(InvalidCut, match="extend"):
        lanes.lacks(parent, cut_with(1, point(left[1])), ZERO)
    with pytest.raises(InvalidCut, match="grows"):
        lanes.lacks(parent, ZERO, ZERO)
    with pytest.raises(InvalidCut, match="changes its head"):
        lanes.lacks(parent, cut_with(1, point(left[0])), ZERO)


def test_tips_of_the_wrong_number_are_a_fault() -> None:
    lanes = lanes_of(0)
    assert lanes.on_tips(ValidatorIndex(1), (LANE_START,))
    assert not lanes.on_tips(ValidatorIndex(1), ())


def test_wishes_of_yesterday_do_not_stand_before_those_of_today() -> None:
    """The danger: a leader names what does not exist, view after view, until nothing is fetched."""
    lanes = lanes_of(0)
    for number in range(limits.FETCH_DIGESTS_MAX + 1):
        lanes.want((Digest(bytes([number]) * 32),))
    wanted = Digest(bytes([200]) * 32)
    lanes.want((wanted,))
    assert lanes.missing() == (wanted,)


def test_forks_are_not_followed_downwards_unless_a_block_names_them() -> None:
    """The danger: one batch a place comes unasked, and below each of them a whole chain."""
    lanes, left, right = lanes_of(0), chain(1, 5, b"left"), chain(1, 5, b"right")
    for batch in left[:4]:
        give(lanes, batch)
    give(lanes, right[4])
    for batch in reversed(right[:4]):
        give(lanes, batch)
    assert len(lanes._links) == 5


@pytest.mark.parametrize("is_needed", [True, False])
def test_a_named_fork_is_kept_while_a_block_may_need_it(*, is_needed: bool) -> None:
    """The danger: each refused proposal leaves another fork in everybody's memory."""
    lanes, left, right = lanes_of(0), chain(1, 2, b"left"), chain(1, 2, b"right")
    for batch in left:
        give(lanes, batch)
    for batch in reversed(right):
        lanes.want((Digest(head_of(batch)),))
        give(lanes, batch)
    wrong_size = (point(right[1]),) * (SIZE + 1)
    named = cut_with(1, point(right[1]))
    lanes.forget_rivals((wrong_size[:0], named) if is_needed else (wrong_size[:0],))
    assert [lanes.held(head_of(batch)) is not None for batch in right] == [is_needed] * 2
    assert all(lanes.held(head_of(batch)) for batch in left)
    assert lanes.tips[1] == point(left[-1])


def test_who_forked_a_lane_may_only_extend_its_tip() -> None:
    """The danger: forks that are dropped free their places, and each is checked at our expense."""
    lanes, batches = lanes_of(0), chain(1, 4)
    give(lanes, batches[0])
    give(lanes, signed(1, 1, LANE_START.head, b"fork"))
    assert not give(lanes, batches[2])
    give(lanes, batches[1])
    assert lanes.tips[1] == point(batches[1])
    assert lanes.held(head_of(batches[2])) is None
