"""Planted bugs: each must make some seed fail, or the oracles are not worth their name.

A file for each room, a small class for each bug. `trials` says in which worlds they are tried.
"""

from __future__ import annotations

from onward.simulation.mutants.disks import DISKS
from onward.simulation.mutants.epochs import EPOCHS
from onward.simulation.mutants.lanes import LANES
from onward.simulation.mutants.mutant import Mutant
from onward.simulation.mutants.results import RESULTS
from onward.simulation.mutants.views import VIEWS
from onward.simulation.mutants.votes import VOTES

__all__ = ["MUTANTS", "ROOMS", "Mutant"]

ROOMS: dict[str, dict[str, type[Mutant]]] = {
    "votes": VOTES,
    "views": VIEWS,
    "lanes": LANES,
    "disks": DISKS,
    "results": RESULTS,
    "epochs": EPOCHS,
}
"""By the room that the bug sits in."""

MUTANTS: dict[str, type[Mutant]] = {
    name: bug for room in ROOMS.values() for name, bug in room.items()
}
"""By the name that `onward simulate --mutant` takes."""
