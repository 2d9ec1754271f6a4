"""The whole of what `make test` does in a smaller scope: every state, and every twins schedule.

    .venv/bin/python -m tests.spec.exhaust          all of it, some minutes; also `make exhaust`
    .venv/bin/python -m tests.spec.exhaust twins    the twins alone, or: states

Exit status 1 and the schedule, when something is broken.
"""

from __future__ import annotations

import sys
from dataclasses import asdict

from tests.spec.small_scope import Scope
from tests.spec.twin_schedules import SIZE, SPLITS, Broken, explore

SCOPES = {
    "n=4, 2 views, vote by vote": Scope(2),
    "n=4, 3 views, a quorum at a time": Scope(3, in_quorums=True),
    "n=4, 4 views, a quorum at a time": Scope(4, in_quorums=True),
    "n=7, 3 views, a quorum at a time": Scope(3, in_quorums=True, honest=5, agreeing=3),
}
TWIN_VIEWS = (2, 3)


def say(line: str) -> None:
    """At once, for this takes a while."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def exhaust_states() -> None:
    """Every state of the vote rules."""
    for name, scope in SCOPES.items():
        broken = scope.violation()
        say(f"{name}: {scope.states} states, {broken or 'every invariant holds'}")
        if broken:
            raise Broken(broken)


def exhaust_twins() -> None:
    """Every schedule of the real core with one pair of twins."""
    for views in TWIN_VIEWS:
        for twin in range(SIZE):
            figures = explore(twin, views, names_twins=True)
            told = ", ".join(f"{name} {count}" for name, count in asdict(figures).items())
            say(f"twin {twin}, {views} views: {told}")
            if figures.schedules != len(SPLITS) ** views:
                raise Broken(f"twin {twin}, {views} views: schedules were left out")


def main(parts: list[str]) -> int:
    """Prints a line per part; 1 when something is broken."""
    try:
        if parts in ([], ["states"]):
            exhaust_states()
        if parts in ([], ["twins"]):
            exhaust_twins()
    except Broken as broken:
        say(f"BROKEN: {broken} {' '.join(getattr(broken, '__notes__', ()))}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
