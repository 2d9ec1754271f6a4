"""Sending again helps a peer that lost something, and hurts one that is only slow."""

from __future__ import annotations

from itertools import pairwise

from onward import limits
from onward.replica.claims import Claims
from onward.types import ValidatorIndex

ONE, TWO = ValidatorIndex(1), ValidatorIndex(2)
WAIT = limits.LANE_RESEND_MS


def test_first_word_after_a_connection_says_what_was_lost_on_the_last_one() -> None:
    claims = Claims()
    assert claims.hear(ONE, 5, 0)
    assert not claims.hear(ONE, 6, 1)
    claims.up(ONE)
    assert claims.hear(ONE, 6, 2)


def test_each_repetition_waits_twice_as_long_up_to_a_bound() -> None:
    """Under load five copies of each batch travelled when the pause was always the same."""
    claims = Claims()
    claims.hear(ONE, 5, 0)
    times = [now for now in range(0, 100_000, 500) if claims.due(9, now)]
    pauses = [after - before for before, after in pairwise(times)]
    assert times[0] == WAIT
    assert pauses[:4] == [2 * WAIT, 4 * WAIT, 8 * WAIT, 16 * WAIT]
    assert set(pauses[4:]) == {limits.LANE_RESEND_MS_MAX}


def test_progress_begins_the_wait_anew() -> None:
    claims = Claims()
    claims.hear(ONE, 5, 0)
    assert claims.due(9, WAIT) == (ONE,)
    claims.hear(ONE, 7, WAIT + 1)
    assert claims.due(9, 2 * WAIT) == ()
    assert claims.due(9, 2 * WAIT + 1) == (ONE,)
    assert claims.place_of(ONE) == 7


def test_who_has_everything_or_is_gone_is_sent_nothing() -> None:
    claims = Claims()
    claims.hear(ONE, 9, 0)
    claims.hear(TWO, 5, 0)
    claims.down(TWO)
    assert claims.due(9, 50 * WAIT) == ()
    assert claims.next_at_ms(9) is None
    claims.hear(TWO, 5, 50 * WAIT)
    assert claims.next_at_ms(9) == 51 * WAIT
