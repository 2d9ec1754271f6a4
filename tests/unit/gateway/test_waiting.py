from __future__ import annotations

import pytest

from onward.errors import Unavailable
from onward.gateway.waiting import Waiting
from onward.types import Digest

ONE, TWO, THREE = (Digest(bytes([number]) * 32) for number in (1, 2, 3))


async def test_waiters_are_bounded() -> None:
    """One client must not be able to fill the memory with hashes."""
    waiting = Waiting(lambda: 0, count_max=2)
    waiting.add([ONE, TWO])
    with pytest.raises(Unavailable) as refused:
        waiting.add([THREE])
    assert refused.value.code == "E_BUSY"
    waiting.settle(ONE, Unavailable("x"))
    waiting.add([THREE])
    assert len(waiting) == 2


async def test_old_entries_make_room() -> None:
    now = [0]
    waiting = Waiting(lambda: now[0], count_max=1, age_ms_max=10)
    waiting.add([ONE])
    now[0] = 10
    waiting.add([TWO])
    assert ONE not in waiting


async def test_verdict_that_nobody_waits_for_is_let_be() -> None:
    Waiting(lambda: 0).settle(ONE, Unavailable("x"))
