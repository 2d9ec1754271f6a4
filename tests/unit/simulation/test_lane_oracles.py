"""What a block may order and a validator acknowledge: the oracle of lanes sees each excess."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.support.disk_samples import CHAIN, LANES, batch, block, commit, head

from onward import limits
from onward.consensus.messages import EMPTY_PACKET, Packet
from onward.ledger.block import LANE_START, Batch, Block, Cut, Executed, LanePoint
from onward.ledger.chain import StoredBlock
from onward.ledger.store import WriteBatch, block_key
from onward.replica.effects import Commit, Effects, Outbound, Verdict
from onward.simulation.lane_oracles import LaneOracles
from onward.simulation.oracles import Violation
from onward.types import Digest, ValidatorIndex
from onward_proto.canonical import decode, encode

START: Cut = (LANE_START,) * LANES
VERDICT = Verdict(
    tx_hash=Digest(bytes(32)),
    height=1,
    code="OK",
    rule="",
    message="",
    outcome=1,
    log_index=0,
    event=None,
)
NOTHING = Effects()


@pytest.fixture
def oracles() -> LaneOracles:
    return LaneOracles(CHAIN)


def exceeded(what: str) -> Any:
    return pytest.raises(Violation, match=rf"^cut limits: .*{what}")


def lane(length: int, *, salt: int = 0, size: int = 100) -> list[Batch]:
    """The first batches of lane 0; another `salt` makes another branch."""
    made: list[Batch] = []
    for seq in range(1, length + 1):
        previous = head(made[-1]) if made else LANE_START.head
        signature = bytes([salt, seq]) * 32
        made.append(replace(batch(0, seq, size), previous=previous, signature=signature))
        if salt:
            made[-1] = replace(made[-1], envelopes=(bytes([salt]) * size,))
    return made


def cut_at(made: Batch) -> Cut:
    return (LanePoint(seq=made.seq, head=head(made)), *START[1:])


def executes(
    oracles: LaneOracles,
    height: int,
    cut: Cut,
    *batches: Batch,
    executed: int = 0,
    epoch: int = 0,
    bodies: int = 0,
) -> None:
    """n0 is the first to execute this block."""
    plain = commit(height, *batches)
    entries = dict(plain.writes.entries)
    value = entries[block_key(height)]
    assert value is not None
    stored = decode(StoredBlock, value)
    result = Executed(height=executed, log_size=0, log_root=bytes(32))
    other: Block = replace(block(height), cut=cut, executed=result, epoch=epoch)
    entries[block_key(height)] = encode(replace(stored, block=other))
    done: Commit = replace(
        plain,
        writes=WriteBatch(entries=tuple(sorted(entries.items()))),
        verdicts=(VERDICT,) * bodies,
    )
    oracles.on_effects("n0", replace(NOTHING, commit=done))


def stores(oracles: LaneOracles, batches: Sequence[Batch]) -> None:
    oracles.on_effects("n0", replace(NOTHING, persist=tuple(batches)))


def tells(
    oracles: LaneOracles,
    tips: Cut,
    *,
    height: int,
    epoch: int = 0,
    to: ValidatorIndex | None = None,
) -> None:
    """n0 tells everybody, or the one that asked, how far it holds each lane."""
    packet: Packet = replace(EMPTY_PACKET, height=height, tips=tips, epoch=epoch)
    oracles.on_effects("n0", replace(NOTHING, send=(Outbound(to=to, message=packet),)))


# -- what a block orders ---------------------------------------------------------------------------


def test_lane_grows_by_as_many_batches_as_a_block_may_order_and_by_no_more(
    oracles: LaneOracles,
) -> None:
    """All agree on a block that is too long; only its length tells."""
    most = limits.LANE_BATCHES_PER_BLOCK_MAX
    made = lane(2 * most + 1)
    executes(oracles, 1, cut_at(made[most - 1]))
    with exceeded("growth"):
        executes(oracles, 2, cut_at(made[2 * most]), executed=1)


def test_other_head_at_the_same_place_is_no_growth(oracles: LaneOracles) -> None:
    """A lane that changes its branch where it stands delivers what nobody ordered."""
    executes(oracles, 1, cut_at(lane(1)[0]))
    with exceeded("another head"):
        executes(oracles, 2, cut_at(lane(1, salt=7)[0]))


def test_lane_runs_ahead_of_the_executed_cut_as_far_as_it_may_and_no_further(
    oracles: LaneOracles,
) -> None:
    """What is ordered and not executed waits in memory."""
    step = limits.LANE_BATCHES_PER_BLOCK_MAX
    made = lane(limits.LANE_AHEAD_OF_EXECUTED_MAX + 1)
    executes(oracles, 1, cut_at(made[step - 1]))
    executes(oracles, 2, cut_at(made[2 * step - 1]))
    executes(oracles, 3, cut_at(made[2 * step - 1]))
    with exceeded("ahead"):
        executes(oracles, 4, cut_at(made[2 * step]))


def test_blocks_order_nothing_while_execution_is_too_far_behind(oracles: LaneOracles) -> None:
    """Empty ones may go on: they let it come after."""
    most = limits.EXECUTION_LAG_BLOCKS_MAX
    made = lane(most + 1)
    for height in range(1, most + 1):
        executes(oracles, height, cut_at(made[height - 1]))
    executes(oracles, most + 1, cut_at(made[most - 1]))
    with exceeded("lag"):
        executes(oracles, most + 2, cut_at(made[most]))


def test_bytes_and_bodies_of_a_block_are_counted(oracles: LaneOracles) -> None:
    size = 150 * 1024
    count = limits.BLOCK_BYTES_MAX // size
    made = lane(count + 1, size=size)
    stores(oracles, made)
    executes(oracles, 1, cut_at(made[count - 1]), *made[:count], bodies=limits.BLOCK_BODIES_MAX)
    other = LaneOracles(CHAIN)
    stores(other, made)
    with exceeded("bytes"):
        executes(other, 1, cut_at(made[count]), *made)
    with exceeded("bodies"):
        executes(LaneOracles(CHAIN), 1, START, bodies=limits.BLOCK_BODIES_MAX + 1)


def test_lanes_begin_anew_with_an_epoch(oracles: LaneOracles) -> None:
    """An oracle that measured from the old epoch's cut would fail an honest change."""
    made, other = lane(3), lane(3, salt=7)
    stores(oracles, made)
    executes(oracles, 1, cut_at(other[2]))
    executes(oracles, 2, cut_at(made[2]), executed=1, epoch=1)
    tells(oracles, cut_at(made[1]), height=1, epoch=1)


# -- what a validator acknowledges -----------------------------------------------------------------


def test_tip_must_be_on_the_branch_that_was_delivered(oracles: LaneOracles) -> None:
    """On a dead branch nothing will ever be ordered: the lane ends there, and nobody notices."""
    alive, dead = lane(3), lane(3, salt=7)
    stores(oracles, (*alive, *dead))
    tells(oracles, cut_at(dead[2]), height=0)
    executes(oracles, 1, cut_at(alive[1]), *alive[:2])
    tells(oracles, cut_at(alive[1]), height=1)
    tells(oracles, cut_at(alive[2]), height=1)
    for tip in (cut_at(dead[2]), cut_at(dead[1]), cut_at(alive[0])):
        with pytest.raises(Violation, match=r"^tips: n0 tells lane 0"):
            tells(oracles, tip, height=1)


def test_tip_must_be_of_a_batch_that_somebody_stored(oracles: LaneOracles) -> None:
    """An acknowledgement says that the batch is on a disk."""
    made = lane(2)
    stores(oracles, made[:1])
    with pytest.raises(Violation, match=r"^tips: .* stored nowhere"):
        tells(oracles, cut_at(made[1]), height=0)


def test_tip_must_stand_at_the_place_of_its_batch(oracles: LaneOracles) -> None:
    """Who says 9 and holds 2 is believed to hold seven more, which nobody can ever send."""
    made = lane(3)
    stores(oracles, made)
    executes(oracles, 1, cut_at(made[0]), made[0])
    tells(oracles, cut_at(made[1]), height=1)
    for seq in (3, 9):
        false = (LanePoint(seq=seq, head=head(made[1])), *START[1:])
        with pytest.raises(Violation, match=rf"^tips: n0 tells lane 0:{seq}, the head of batch 2"):
            tells(oracles, false, height=1)


def test_tip_that_only_one_validator_is_told_is_judged_as_well(oracles: LaneOracles) -> None:
    """Who asks how far another one is believes what it hears."""
    made = lane(2)
    stores(oracles, made[:1])
    tells(oracles, cut_at(made[0]), height=0, to=ValidatorIndex(2))
    with pytest.raises(Violation, match=r"^tips: .* stored nowhere"):
        tells(oracles, cut_at(made[1]), height=0, to=ValidatorIndex(2))


def test_height_that_nobody_has_executed_is_judged_later(oracles: LaneOracles) -> None:
    """Delivery runs ahead of execution: what was delivered is not known yet."""
    tells(oracles, cut_at(lane(2)[1]), height=1)
