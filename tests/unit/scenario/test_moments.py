"""Times as people write them."""

from __future__ import annotations

import pytest

from onward.scenario.errors import ScenarioError
from onward.scenario.moments import TIME_MS_MAX, milliseconds

DAY = 86_400_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (5, 5),
        ("t0", 1_000),
        ("now", 2_000),
        ("t0 + 30d - 1ms", 1_000 + 30 * DAY - 1),
        ("now+1h", 2_000 + 3_600_000),
        ("90 min", 90 * 60_000),
        ("1d + 2s", DAY + 2_000),
        ("1_000ms", 1_000),
    ],
)
def test_times_and_durations(text: object, expected: int) -> None:
    assert milliseconds(text, t0_ms=1_000, now_ms=2_000) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "30",
        "30 days",
        "t0 30d",
        "t0 +",
        "1.5h",
        "30d + t0",
        "t1",
        True,
        1.5,
        None,
        ["t0"],
        "٣d",
        "9" * 5_000 + "d",
    ],
)
def test_anything_else_is_refused(text: object) -> None:
    """`30` without a unit is the mistake that costs a factor of a thousand."""
    with pytest.raises(ScenarioError):
        milliseconds(text, t0_ms=1_000, now_ms=2_000)


def test_bounds() -> None:
    assert milliseconds(TIME_MS_MAX, t0_ms=0, now_ms=0) == TIME_MS_MAX
    for beyond in (TIME_MS_MAX + 1, "t0 - 1ms", -1):
        with pytest.raises(ScenarioError, match="expected 0 to"):
            milliseconds(beyond, t0_ms=0, now_ms=0)
