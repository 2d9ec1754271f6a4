"""The node's clock: UTC in milliseconds that never runs backwards.

It reads the system's time once and goes on by the monotonic clock: an operator who sets the clock
back, or a jump of the time service, must not make a validator live a second twice. How far the two
have come apart is a metric; a restart takes over the system's time.
"""

from __future__ import annotations

import time
from collections.abc import Callable

_NS_PER_MS = 1_000_000


class Clock:
    """UTC milliseconds. The sources can be replaced, for tests."""

    def __init__(
        self,
        *,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self._base_ns = wall_ns() - monotonic_ns()

    def now_ms(self) -> int:
        """UTC now."""
        return (self._base_ns + self._monotonic_ns()) // _NS_PER_MS

    def monotonic_ms(self) -> int:
        """For measuring how long something takes."""
        return self._monotonic_ns() // _NS_PER_MS

    def drift_ms(self) -> int:
        """The system's time minus ours."""
        return self._wall_ns() // _NS_PER_MS - self.now_ms()
