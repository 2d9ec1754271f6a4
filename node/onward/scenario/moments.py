"""Times and durations as a person writes them: `t0 + 30d - 1ms`, `now + 1h`, `90min`.

`t0` is the scenario's beginning, `now` the block time of the step. A whole number is milliseconds.
"""

from __future__ import annotations

import re

from onward.scenario.errors import ScenarioError

UNITS_MS = {"ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
TIME_MS_MAX = 2**53 - 1

# More digits than any time has: Python itself refuses to read numbers that are very long.
_AMOUNT = re.compile(r"([0-9][0-9_]{0,31})\s*(ms|s|min|h|d)", re.ASCII)
_SPLIT = re.compile(r"\s*([+-])\s*", re.ASCII)


def milliseconds(value: object, *, t0_ms: int, now_ms: int) -> int:
    """The time or duration that `value` states. Raises `ScenarioError` for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        total = value
    elif isinstance(value, str):
        total = _evaluate(value, t0_ms, now_ms)
    else:
        raise ScenarioError(f"expected a time such as 't0 + 30d', got {value!r}")
    if not 0 <= total <= TIME_MS_MAX:
        raise ScenarioError(f"{value!r} is {total} ms, expected 0 to {TIME_MS_MAX}")
    return total


def _evaluate(text: str, t0_ms: int, now_ms: int) -> int:
    parts = _SPLIT.split(text.strip())
    total = _term(parts[0], text, {"t0": t0_ms, "now": now_ms})
    for sign, term in zip(parts[1::2], parts[2::2], strict=True):
        amount = _term(term, text, {})
        total += amount if sign == "+" else -amount
    return total


def _term(term: str, text: str, names: dict[str, int]) -> int:
    if term in names:
        return names[term]
    match = _AMOUNT.fullmatch(term)
    if match is None:
        raise ScenarioError(
            f"{text!r}: expected 't0', 'now' or an amount with {', '.join(UNITS_MS)}, got {term!r}"
        )
    return int(match[1].replace("_", "")) * UNITS_MS[match[2]]
