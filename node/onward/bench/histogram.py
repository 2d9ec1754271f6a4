"""Latencies in buckets that grow with the value: any quantile within one per cent, in little room.

A bucket's bounds are a hundredth apart, from a microsecond on. Histograms of several lanes or
windows can be added, and the document of a run holds them whole, so that somebody else can compute
what we did not.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any, Self

GROWTH = 1.01
UNIT_MS = 0.001
_LOG_GROWTH = math.log(GROWTH)


class Histogram:
    """Counts of values in milliseconds. A quantile is off by half a bucket at most."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self.count = 0
        self.max_ms = 0.0

    @classmethod
    def of(cls, values_ms: Iterable[float]) -> Self:
        """A histogram of these values."""
        found = cls()
        for value_ms in values_ms:
            found.add(value_ms)
        return found

    def add(self, value_ms: float) -> None:
        """Count a value."""
        bucket = 0
        if value_ms > UNIT_MS:
            bucket = int(math.log(value_ms / UNIT_MS) / _LOG_GROWTH)
        self._counts[bucket] += 1
        self.count += 1
        self.max_ms = max(self.max_ms, value_ms)

    def quantile_ms(self, part: float) -> float | None:
        """The value that a part (0.5, 0.99) of all does not exceed; None where there is none."""
        wanted = math.ceil(part * self.count)
        seen = 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= wanted:
                middle: float = UNIT_MS * GROWTH ** (bucket + 0.5)
                return round(min(middle, self.max_ms), 3)
        return None

    def as_json(self, *, buckets: bool = False) -> dict[str, Any]:
        """Quantiles, and with `buckets` the counts: lower bound in ms and how many."""
        document: dict[str, Any] = {
            "count": self.count,
            "p50": self.quantile_ms(0.5),
            "p90": self.quantile_ms(0.9),
            "p99": self.quantile_ms(0.99),
            "p999": self.quantile_ms(0.999),
            "max": round(self.max_ms, 3) if self.count else None,
        }
        if buckets:
            document["buckets"] = [
                [round(UNIT_MS * GROWTH**bucket, 4), self._counts[bucket]]
                for bucket in sorted(self._counts)
            ]
        return document
