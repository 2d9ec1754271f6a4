"""The whole of what `make test` does in a smaller scope: every state, and every twins schedule.

    .venv/bin/python -m tests.spec.exhaust            all of it, some minutes; also `make exhaust`
    .venv/bin/python -m tests.spec.exhaust twins      the twins alone, or: states
    .venv/bin/python -m tests.spec.exhaust --jobs 2   on two processes; it finds the same

Exit status 1 and the schedule, when something is broken.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from dataclasses import asdict, dataclass
from itertools import product

from tests.spec.small_scope import Scope
from tests.spec.twin_schedules import SIZE, SPLITS, Broken, explore

SCOPES = {
    "n=4, 2 views, vote by vote": Scope(2),
    "n=4, 3 views, a quorum at a time": Scope(3, in_quorums=True),
    "n=4, 4 views, a quorum at a time": Scope(4, in_quorums=True),
    "n=7, 3 views, a quorum at a time": Scope(3, in_quorums=True, honest=5, agreeing=3),
}
TWIN_VIEWS = (2, 3)


@dataclass(frozen=True, slots=True)
class States:
    """Every state of the vote rules in one scope."""

    scope: str

    def look(self) -> str:
        """What was found, in a line. Raises `Broken`."""
        scope = SCOPES[self.scope]
        broken = scope.violation()
        if broken:
            raise Broken(f"{self.scope}: {broken}")
        return f"{self.scope}: {scope.states} states, every invariant holds"


@dataclass(frozen=True, slots=True)
class Twins:
    """Every schedule of the real core with one pair of twins."""

    views: int
    twin: int

    def look(self) -> str:
        """What was found, in a line. Raises `Broken`."""
        figures = explore(self.twin, self.views, names_twins=True)
        name = f"twin {self.twin}, {self.views} views"
        if figures.schedules != len(SPLITS) ** self.views:
            raise Broken(f"{name}: schedules were left out")
        told = ", ".join(f"{name} {count}" for name, count in asdict(figures).items())
        return f"{name}: {told}"


Part = States | Twins

PARTS: dict[str, tuple[Part, ...]] = {
    "states": tuple(States(name) for name in SCOPES),
    "twins": tuple(Twins(views, twin) for views, twin in product(TWIN_VIEWS, range(SIZE))),
}


def look(part: Part) -> tuple[str, bool]:
    """A line for people, and whether all is well: an error's notes do not cross processes."""
    try:
        return part.look(), True
    except Broken as broken:
        return f"BROKEN: {broken} {' '.join(getattr(broken, '__notes__', ()))}", False


def main() -> int:
    """Prints a line per part, as it ends; 1 when something is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="?", choices=tuple(PARTS))
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    chosen = (
        PARTS[given.part] if given.part else tuple(part for all_ in PARTS.values() for part in all_)
    )
    is_well = True
    with multiprocessing.get_context("spawn").Pool(given.jobs) as pool:
        # The largest come last in the list, and one that began last would be waited for alone.
        for line, is_part_well in pool.imap_unordered(look, reversed(chosen)):
            sys.stdout.write(line + "\n")
            sys.stdout.flush()  # this takes a while
            is_well = is_well and is_part_well
    return int(not is_well)


if __name__ == "__main__":
    sys.exit(main())
