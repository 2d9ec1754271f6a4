"""From a failing seed to the least that fails like it, and from that to a test.

Faults are taken away in ever smaller groups, then liars, then every knob goes back to where it
stands in a calm world, as long as the run ends in the same kind of failure. What is left is data:
the test that is written says it in full, and stays what it is when seeds come to draw other worlds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import TypeVar

from onward.simulation.faults import Fault, Options
from onward.simulation.plan import Plan
from onward.simulation.run import CRASH, Result

RUNS_MAX = 400
"""After so many runs the least found so far must do."""

_KEPT = frozenset({"liars", "duration_ms", "stable_at_ms", "blocks_min", "bodies_min"})
"""Knobs that are dealt with otherwise, or only say how long a run is."""

_QUOTED_MAX = 75

_Item = TypeVar("_Item")
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrunk:
    """The least plan that was found, how it fails, and how many runs it took."""

    plan: Plan
    failure: str
    runs: int


def kind_of(failure: str) -> str:
    """Which promise broke, or which error ended the run; the rest of the text differs by run."""
    name, _, rest = failure.partition(": ")
    if name == "Violation":
        return f"{name}: {rest.partition(': ')[0]}"
    return f"{CRASH}: {rest.partition('(')[0]}" if name == CRASH else name


def _silently(line: str) -> None:
    """Nobody wants to know."""
    del line


def shrink(plan: Plan, tell: Tell = _silently) -> Shrunk | None:
    """The least that fails like `plan`; None when `plan` does not fail."""
    first = plan.run()
    if not first.failure:
        return None
    tell(f"{len(plan.schedule)} faults: {first.failure}")
    search = _Search(plan, first, tell)
    search.drop_what_came_later(first.simulated_ms)
    search.drop_faults()
    search.drop_liars()
    search.calm_knobs()
    search.drop_faults()  # a knob may have stood in for one
    return Shrunk(plan=search.plan, failure=search.failure, runs=search.runs)


def without_needless(
    items: Sequence[_Item], is_enough: Callable[[tuple[_Item, ...]], bool]
) -> tuple[_Item, ...]:
    """A part of `items` that is enough and of which no single item can go."""
    kept, size = tuple(items), max(1, len(items) // 2)
    while kept:
        at, before = 0, len(kept)
        while at < len(kept):
            fewer = kept[:at] + kept[at + size :]
            if is_enough(fewer):
                kept = fewer
            else:
                at += size
        if size == 1 and len(kept) == before:
            break
        size = max(1, size // 2)
    return kept


class _Search:
    """The least plan so far."""

    def __init__(self, plan: Plan, result: Result, tell: Tell) -> None:
        self.plan = plan
        self.failure = result.failure
        self.runs = 1
        self._kind = kind_of(result.failure)
        self._tell = tell

    def drop_what_came_later(self, failed_at_ms: int) -> None:
        """What had not begun when the run failed did not make it fail."""
        began = tuple(fault for fault in self.plan.schedule if fault.at_ms <= failed_at_ms)
        if len(began) < len(self.plan.schedule):
            self._try(replace(self.plan, schedule=began))

    def drop_faults(self) -> None:
        """Delta debugging over the schedule."""
        without_needless(
            self.plan.schedule, lambda part: self._try(replace(self.plan, schedule=part))
        )

    def drop_liars(self) -> None:
        """The fewer, the better; each stands on the seat that its place in the list gives it."""
        without_needless(
            self.plan.options.liars,
            lambda part: self._try_options(replace(self.plan.options, liars=part)),
        )

    def calm_knobs(self) -> None:
        """Every knob back to where it stands by itself, one at a time."""
        calm = Options()
        for knob in fields(Options):
            value = getattr(calm, knob.name)
            if knob.name not in _KEPT and getattr(self.plan.options, knob.name) != value:
                self._try_options(replace(self.plan.options, **{knob.name: value}))

    def _try_options(self, options: Options) -> bool:
        return self._try(replace(self.plan, options=options))

    def _try(self, plan: Plan) -> bool:
        """Run a smaller plan; it is the least so far if it fails alike."""
        if self.runs >= RUNS_MAX:
            return False
        self.runs += 1
        result = plan.run()
        is_alike = bool(result.failure) and kind_of(result.failure) == self._kind
        if is_alike:
            self.plan, self.failure = plan, result.failure
            self._tell(f"run {self.runs}: {len(plan.schedule)} faults are enough")
        return is_alike


# -- the test --------------------------------------------------------------------------------------


def regression_test(shrunk: Shrunk) -> str:
    """The source of a test that fails as the shrunk plan does."""
    plan = shrunk.plan
    kinds = {"Fault", "FaultKind"} if plan.schedule else set()
    if "healing" in _changed(plan.options):
        kinds.add("Healing")
    imports = [f"from onward.simulation.faults import {', '.join(sorted({'Options', *kinds}))}"]
    if plan.mutant:
        imports.append("from onward.simulation.mutants import MUTANTS")
    imports.append("from onward.simulation.run import run_seed")
    planted = [f'        mutant=MUTANTS["{plan.mutant}"](),'] if plan.mutant else []
    schedule = "".join(f"    {_source('Fault', _values(item), 4)},\n" for item in plan.schedule)
    return "\n".join(
        (
            f'"""What is left of seed {plan.seed}. It ended in: {kind_of(shrunk.failure)}."""',
            "",
            "from __future__ import annotations",
            "",
            *imports,
            "",
            f"OPTIONS = {_source('Options', _changed(plan.options), 0)}",
            f"SCHEDULE = (\n{schedule})" if schedule else "SCHEDULE = ()",
            "",
            "",
            f"def test_seed_{plan.seed}_keeps_every_promise() -> None:",
            f'    """{_quoted(shrunk.failure)}."""',
            "    result = run_seed(",
            f"        {plan.seed},",
            "        options=OPTIONS,",
            "        schedule=SCHEDULE,",
            *planted,
            "    )",
            "    assert not result.failure, result.failure",
            "",
        )
    )


def _changed(options: Options) -> dict[str, object]:
    calm = _values(Options())
    return {name: value for name, value in _values(options).items() if value != calm[name]}


def _values(item: Fault | Options) -> dict[str, object]:
    return {field.name: getattr(item, field.name) for field in fields(item)}


def _source(name: str, values: dict[str, object], indent: int) -> str:
    """A constructor call, one argument a line."""
    if not values:
        return f"{name}()"
    margin = " " * indent
    lines = "".join(f"{margin}    {key}={_literal(value)},\n" for key, value in values.items())
    return f"{name}(\n{lines}{margin})"


def _literal(value: object) -> str:
    if isinstance(value, StrEnum):
        return f"{type(value).__name__}.{value.name}"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        inner = ", ".join(map(_literal, value))
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    return repr(value)


def _quoted(text: str) -> str:
    """Fit for one line of a docstring."""
    line = " ".join(text.split()).replace("\\", "/").replace('"', "'").rstrip(".")
    return line if len(line) <= _QUOTED_MAX else f"{line[:_QUOTED_MAX]} (and so on)"
