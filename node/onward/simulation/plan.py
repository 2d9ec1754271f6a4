"""What decides a run, as data: what a seed draws, or what is left of that."""

from __future__ import annotations

from dataclasses import dataclass

from onward.simulation.byzantine import LIAR_KINDS
from onward.simulation.faults import Fault, Options
from onward.simulation.mutants import MUTANTS
from onward.simulation.run import Result, run_seed
from onward.simulation.schedule import draw_options, draw_schedule
from onward.simulation.world import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that decides a run."""

    seed: int
    options: Options
    schedule: tuple[Fault, ...]
    mutant: str = ""

    def run(self, trace: Trace | None = None) -> Result:
        """The run; `trace` is told every event."""
        return run_seed(
            self.seed,
            options=self.options,
            schedule=self.schedule,
            mutant=MUTANTS[self.mutant]() if self.mutant else None,
            trace=trace,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What all seeds of a campaign have in common, and they do not draw."""

    mutant: str = ""
    validators: int | None = None

    def plan(self, seed: int) -> Plan:
        """What a seed draws under these settings."""
        options = draw_options(seed, LIAR_KINDS, self.validators)
        schedule = draw_schedule(seed, options)
        return Plan(seed=seed, options=options, schedule=schedule, mutant=self.mutant)

    def command(self, seed: int) -> str:
        """What to type to see a seed again, event by event."""
        mutant = f" --mutant {self.mutant}" if self.mutant else ""
        validators = "" if self.validators is None else f" --validators {self.validators}"
        return f"onward simulate --seed {seed}{mutant}{validators}"


AS_DRAWN = Settings()
"""Every seed draws everything."""
