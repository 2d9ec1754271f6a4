"""Times and durations as other formats and people write them, from milliseconds and back.

The calendar is the proleptic Gregorian one in UTC, in whole numbers and without an end: a party may
name any time up to 2^53 ms, and neither a page nor an export may fail for it.
"""

from __future__ import annotations

import re

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

_DAYS_IN_ERA = 146_097  # four hundred years
_EPOCH_OFFSET_DAYS = 719_468  # from 1 March of the year 0 to 1 January 1970
_UNITS = (
    ("day", DAY_MS),
    ("hour", HOUR_MS),
    ("minute", MINUTE_MS),
    ("second", SECOND_MS),
    ("millisecond", 1),
)
_INSTANT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{3}))?Z", re.ASCII
)


def instant(time_ms: int) -> str:
    """A time as `2025-06-15T15:06:40.000Z`: xsd:dateTime, and ISO 8601 up to the year 9999."""
    days, rest = divmod(time_ms, DAY_MS)
    year, month, day = _date(days)
    hours, rest = divmod(rest, HOUR_MS)
    minutes, rest = divmod(rest, MINUTE_MS)
    seconds, millis = divmod(rest, SECOND_MS)
    return f"{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{millis:03}Z"


def parse_instant(text: str) -> int | None:
    """The time that `2018-12-14T21:18:55.379Z` states, in milliseconds; None for what is none."""
    match = _INSTANT.fullmatch(text)
    if match is None:
        return None
    year, month, day, hours, minutes, seconds = (int(match[place]) for place in range(1, 7))
    days = _days(year, month, day)
    if _date(days) != (year, month, day) or hours > 23 or minutes > 59 or seconds > 59:
        return None
    return (
        days * DAY_MS
        + hours * HOUR_MS
        + minutes * MINUTE_MS
        + seconds * SECOND_MS
        + int(match[7] or 0)
    )


def moment_in_words(time_ms: int) -> str:
    """A time for people: `2027-01-01 00:00:00 UTC`; milliseconds are shown where there are any."""
    text = instant(time_ms).replace("T", " ")
    return f"{text.removesuffix('Z').removesuffix('.000')} UTC"


def duration(span_ms: int) -> str:
    """A duration as xsd:duration: `P30D`, `PT0.500S`."""
    days, rest = divmod(span_ms, DAY_MS)
    hours, rest = divmod(rest, HOUR_MS)
    minutes, rest = divmod(rest, MINUTE_MS)
    seconds, millis = divmod(rest, SECOND_MS)
    clock = f"{hours}H" if hours else ""
    clock += f"{minutes}M" if minutes else ""
    if millis:
        clock += f"{seconds}.{millis:03}S"
    elif seconds:
        clock += f"{seconds}S"
    date = f"{days}D" if days else ""
    if clock:
        return f"P{date}T{clock}"
    return f"P{date}" if date else "PT0S"


def duration_in_words(span_ms: int) -> str:
    """A duration for people: `30 days`, `1 hour 30 minutes`. Two durations never read the same."""
    parts = []
    for unit, size in _UNITS:
        amount, span_ms = divmod(span_ms, size)
        if amount:
            parts.append(f"{amount} {unit}" if amount == 1 else f"{amount} {unit}s")
    return " ".join(parts) or "no time"


def _date(days: int) -> tuple[int, int, int]:
    """Year, month and day of a day counted from 1970-01-01; years here begin in March."""
    era, day_of_era = divmod(days + _EPOCH_OFFSET_DAYS, _DAYS_IN_ERA)
    leap_days = day_of_era // 1_460 - day_of_era // 36_524 + day_of_era // 146_096
    year_of_era = (day_of_era - leap_days) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted + 2) // 5 + 1
    month = shifted + 3 if shifted < 10 else shifted - 9
    return era * 400 + year_of_era + (month <= 2), month, day


def _days(year: int, month: int, day: int) -> int:
    """The inverse of `_date`, for a month from 1 to 12; other months give a day that is not it."""
    year -= month <= 2
    era, year_of_era = divmod(year, 400)
    shifted = month - 3 if month > 2 else month + 9
    day_of_year = (153 * shifted + 2) // 5 + day - 1
    day_of_era = year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year
    return era * _DAYS_IN_ERA + day_of_era - _EPOCH_OFFSET_DAYS
