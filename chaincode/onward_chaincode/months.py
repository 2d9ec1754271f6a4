"""Months of the calendar, in UTC, by whole numbers: a contract has no library for dates.

A month is what people ask by ("what did I give in November?"). It follows from block time alone.
"""

from __future__ import annotations

import re

from onward_chaincode import limits

MONTH = re.compile(r"[0-9]{4}-(?:0[1-9]|1[0-2])", re.ASCII)
_DAY_MS = 24 * limits.HOUR_MS

# The years of this reckoning begin with March, so that the leap day is the last one. Four hundred
# of them have always as many days.
_DAYS_FROM_MARCH_OF_YEAR_0_TO_1970 = 719_468
_DAYS_IN_400_YEARS = 146_097
_DAYS_IN_100_YEARS = 36_524
_DAYS_IN_4_YEARS = 1_461
_DAYS_IN_MARCH_TO_JULY = 153  # as in August to December


def month_of(time_ms: int) -> str:
    """The month in which a time lies, as 2026-11."""
    days = time_ms // _DAY_MS + _DAYS_FROM_MARCH_OF_YEAR_0_TO_1970
    cycle, day = divmod(days, _DAYS_IN_400_YEARS)
    # Every fourth year has a day more, every hundredth has not, every four hundredth has.
    plain = day - day // (_DAYS_IN_4_YEARS - 1) + day // _DAYS_IN_100_YEARS
    year = (plain - day // (_DAYS_IN_400_YEARS - 1)) // 365
    day_of_year = day - (365 * year + year // 4 - year // 100)
    month = (5 * day_of_year + 2) // _DAYS_IN_MARCH_TO_JULY  # March is 0
    calendar_year = 400 * cycle + year + (month >= 10)
    return f"{calendar_year:04d}-{(month + 2) % 12 + 1:02d}"
