"""A campaign on its way: what is known of it, whatever ends it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Generic, TypeVar

from tests.campaigns.figures import machine
from tests.support.steady_load import SteadyLoad


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyTrial:
    """What every trial tells. `taken`: the share of the processors that the host took until the
    blocks came again, or None where nobody knows.
    """

    taken: float | None


Trial = TypeVar("Trial", bound=AnyTrial)


@dataclass(slots=True, kw_only=True)
class Course(Generic[Trial]):
    """The trials that were made so far, and the clients meanwhile."""

    wanted: int
    kept: list[Trial] = field(default_factory=list)
    disturbed: list[Trial] = field(default_factory=list)
    load: SteadyLoad | None = None
    is_compared: bool = False
    """Whether every validator was found to hold all that was acknowledged, after the last trial."""

    def has_passed(self, *, is_in_time: bool) -> bool:
        """Whether all that was wanted was done, in time, and no client saw a failure."""
        is_whole = self.is_compared and 0 < self.wanted == len(self.kept)
        return is_whole and is_in_time and not self._failures

    def of_all_trials(self) -> dict[str, Any]:
        """The figures that span the disturbed trials too.

        Clients go on from one trial to the next, and what they were told or refused in a disturbed
        one is as much the network's answer: a failure there fails the campaign.
        """
        told, longest_s = (self.load.told, self.load.longest_s) if self.load else ({}, 0.0)
        return {
            "disturbed_by_the_host": len(self.disturbed),
            "acknowledged": len(told),
            "missing": 0 if self.is_compared else None,  # or the comparison had raised
            "failures_seen_by_clients": len(self._failures),
            "failures": self._failures[:10],
            "longest_client_wait_s": round(longest_s, 2),
            "machine": machine(),
            "each": [asdict(item) for item in (*self.kept, *self.disturbed)],
        }

    @property
    def _failures(self) -> list[str]:
        return self.load.failures if self.load else []
