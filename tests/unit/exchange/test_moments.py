"""Times in other formats: the calendar that everybody has, and beyond its end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward.exchange.moments import (
    duration,
    duration_in_words,
    instant,
    moment_in_words,
    parse_instant,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
YEAR_10000_MS = 253_402_300_800_000
TIME_MS_MAX = 2**53 - 1


@given(st.integers(0, YEAR_10000_MS - 1))
def test_an_instant_is_the_one_of_the_standard_library(time_ms: int) -> None:
    there = EPOCH + timedelta(milliseconds=time_ms)
    assert instant(time_ms) == there.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert parse_instant(instant(time_ms)) == time_ms


def test_times_beyond_the_calendar_of_libraries_have_a_form() -> None:
    """Any party may name such a time; an export must not fail for it."""
    assert instant(YEAR_10000_MS) == "10000-01-01T00:00:00.000Z"
    assert instant(TIME_MS_MAX).startswith("287396-10-12T")


@pytest.mark.parametrize(
    "text",
    [
        "2018-12-14", "2018-02-29T00:00:00.000Z", "2018-13-01T00:00:00.000Z", "",
        "2018-00-10T00:00:00.000Z", "2018-12-14T24:00:00.000Z", "2018-12-14T21:18:55.379+01:00",
        "2018-12-14T21:60:55Z", "2018-12-14T21:18:60Z", "2018-12-00T21:18:55Z",
    ],
)  # fmt: skip
def test_what_is_no_instant_is_none(text: str) -> None:
    assert parse_instant(text) is None


def test_durations_read_well() -> None:
    day = 86_400_000
    assert [duration(ms) for ms in (0, 30 * day, day + 500, 5_400_000, 61_000)] == [
        "PT0S", "P30D", "P1DT0.500S", "PT1H30M", "PT1M1S",
    ]  # fmt: skip
    assert duration_in_words(day + 5_400_000) == "1 day 1 hour 30 minutes"
    assert duration_in_words(0) == "no time"
    assert moment_in_words(1_798_761_600_000) == "2027-01-01 00:00:00 UTC"
    assert moment_in_words(1_798_761_600_001) == "2027-01-01 00:00:00.001 UTC"


@given(st.integers(0, TIME_MS_MAX), st.integers(0, TIME_MS_MAX))
def test_two_durations_never_read_the_same(left: int, right: int) -> None:
    assert (duration_in_words(left) == duration_in_words(right)) == (left == right)
    assert (duration(left) == duration(right)) == (left == right)
