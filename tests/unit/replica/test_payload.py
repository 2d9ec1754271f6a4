"""Which time of a proposal a voter takes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.disk_samples import block

from onward.consensus.effects import BlockVerdict
from onward.ledger.block import Block, Executed
from onward.ledger.genesis import Parameters
from onward.replica.payload import Judgement, PayloadRules

NOW_MS = 1_750_000_000_000
DAY_MS = 24 * 3_600_000
PARAMETERS = Parameters()


class Results:
    """An executor whose every height came to what the block says."""

    def __init__(self, executed: Executed) -> None:
        self._executed = executed

    def result_at(self, height: int) -> Executed:
        """The result."""
        del height
        return self._executed


def judged(time_ms: int, *, parent_time_ms: int = NOW_MS - 100, now_ms: int = NOW_MS) -> Judgement:
    """What a voter says to a child at `time_ms` at its first sight."""
    parent = replace(block(1), time_ms=parent_time_ms)
    child = replace(
        parent, height=parent.height + 1, view=parent.view + 1, time_ms=time_ms, last=False
    )
    return rules_for(child).judge(child, parent, first_sight=True, now_ms=now_ms)


def rules_for(child: Block) -> PayloadRules:
    """Rules under which nothing but its time can be wrong with a block."""
    results = Results(child.executed)
    return PayloadRules(PARAMETERS, child.next_set_hash, len(child.cut), results)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("off_ms", "verdict"),
    [
        (PARAMETERS.future_ms_max, BlockVerdict.VALID),
        (PARAMETERS.future_ms_max + 1, BlockVerdict.NOT_NOW),
        (-PARAMETERS.past_ms_max, BlockVerdict.VALID),
        (-PARAMETERS.past_ms_max - 1, BlockVerdict.NOT_NOW),
    ],
)
def test_time_at_the_edge_is_taken_and_one_beyond_is_not(
    off_ms: int, verdict: BlockVerdict
) -> None:
    """Both edges are agreed in the genesis."""
    before_ms = NOW_MS - 2 * PARAMETERS.past_ms_max
    assert judged(NOW_MS + off_ms, parent_time_ms=before_ms).verdict is verdict


def test_child_of_tomorrow_may_have_the_least_time_that_its_parent_leaves() -> None:
    """Clocks of a quorum were a day ahead and are right again: the chain must not wait a day."""
    tomorrow_ms = NOW_MS + DAY_MS
    assert judged(tomorrow_ms + 1, parent_time_ms=tomorrow_ms).verdict is BlockVerdict.VALID
    later = judged(tomorrow_ms + 2, parent_time_ms=tomorrow_ms)
    assert later.verdict is BlockVerdict.NOT_NOW
    assert later.again_at_ms == tomorrow_ms + 2 - PARAMETERS.future_ms_max


def test_least_time_is_no_excuse_for_the_past() -> None:
    """A leader's clock that stands still would stop the network's."""
    old_ms = NOW_MS - DAY_MS
    assert judged(old_ms + 1, parent_time_ms=old_ms).verdict is BlockVerdict.NOT_NOW
