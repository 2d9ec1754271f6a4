"""What a planted bug is: something that changes a machine from outside, before it starts.

Most are a class of the node with one method gone wrong: `planted` turns one object of the
replica into an instance of it. Nothing in the node knows of them.
"""

from __future__ import annotations

from typing import Any, ClassVar

from onward.ledger.block import Batch
from onward.ledger.transaction import Opened
from onward.simulation.disk import SteppedDisk


class Mutant:
    """A bug. The methods say where one may sit; by default it sits nowhere.

    The docstring of each kind says in a sentence what is wrong; `trial` names the worlds of
    `trials` that it is tried in.
    """

    checks_batches: ClassVar[bool] = False
    disk_type: ClassVar[type[SteppedDisk]] = SteppedDisk
    trial: ClassVar[str] = "swarm"

    def on_host(self, host: Any) -> None:
        """Change a machine before it starts."""

    def on_config(self, config: Any) -> Any:
        """Change what a replica is started with."""
        return config

    def on_replica(self, replica: Any) -> None:
        """Change a replica before its first event."""

    def on_machine(self, machine: Any) -> None:
        """Change what carries replicas from epoch to epoch, before its first event."""

    def check_batch(self, host: Any, batch: Batch) -> tuple[Opened | None, str]:
        """Stands in for the stateless check of a batch, where `checks_batches`."""
        del host, batch
        return None, ""


def planted(place: str, bug: type[Any], trial: str = "swarm") -> type[Mutant]:
    """The mutant whose object at `place` (attributes from the replica on) is a `bug`.

    `bug` is a class of the node that is right in all but what it overrides.
    """

    class Planted(Mutant):
        def on_replica(self, replica: Any) -> None:
            target = replica
            for name in place.split("."):
                target = getattr(target, name)
            target.__class__ = bug

    Planted.__doc__ = bug.__doc__
    Planted.trial = trial
    return Planted


def on_disk(bug: type[SteppedDisk], trial: str = "swarm") -> type[Mutant]:
    """The mutant whose machines have a `bug` for a disk."""

    class OnDisk(Mutant):
        disk_type = bug

    OnDisk.__doc__ = bug.__doc__
    OnDisk.trial = trial
    return OnDisk
