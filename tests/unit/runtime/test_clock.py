from __future__ import annotations

from onward.runtime.clock import Clock


def test_clock_goes_on_when_the_systems_is_set_back() -> None:
    """A validator that lives a second twice would judge proposals by a time that was."""
    wall, monotonic = [1_000_000_000], [5_000_000_000]
    clock = Clock(wall_ns=lambda: wall[0], monotonic_ns=lambda: monotonic[0])
    assert clock.now_ms() == 1_000
    wall[0] -= 900_000_000
    monotonic[0] += 250_000_000
    assert clock.now_ms() == 1_250
    assert clock.drift_ms() == 100 - 1_250


def test_clock_reads_the_real_time() -> None:
    clock = Clock()
    first = clock.now_ms()
    assert first > 1_600_000_000_000
    assert clock.now_ms() >= first
    assert abs(clock.drift_ms()) < 1_000
