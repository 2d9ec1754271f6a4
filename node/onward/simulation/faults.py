"""What goes wrong in a run, as data: a list of faults that can be printed, cut down and replayed.

`schedule` and `rare_faults` draw them from a seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FaultKind(StrEnum):
    """What can happen to links, machines and disks."""

    SPLIT = "partition.split"  # `nodes` on one side, the others on the other
    DEAF = "partition.deaf"  # `nodes` hear nobody
    MUTE = "partition.mute"  # nobody hears `nodes`
    LINKS = "partition.links"  # a random part of the links, drawn from `count`
    FLAP = "partition.flap"  # a split that comes and goes every `count` ms
    KILL = "crash.kill"  # the processes die, what they wrote stays
    POWER = "crash.power"  # power goes (at the `count`th disk operation from now): unsynced is lost
    FUSE = "crash.between_effects"  # power goes after `count` more effects or disk operations
    PAUSE = "freeze.most"  # more than f processes stand still, for long
    CLOCK_DAY = "clock.day"  # restarted with a clock `count` ms off, and again with a right one
    DISK_FULL = "disk.full"  # writes fail until `for_ms` are over; the process stops at the first
    ROT = "disk.rot"  # a byte of what was synced changes: the home is lost
    WIPE = "disk.wipe"  # the data directory is gone, or the `count`th part of it
    ROTATION = "crash.rotation"  # power goes in the midst of the journal's next rotation
    FREEZE = "freeze"  # the processes stand still, then go on
    SLOW_DISK = "slow_disk"  # a sync takes `count` ms
    CLOCK = "clock"  # the clocks of `nodes` are `count` ms off (negative: late)


RUINOUS = frozenset({FaultKind.ROT, FaultKind.WIPE})
"""After these a machine never starts again."""


class Healing(StrEnum):
    """What becomes well after the global stabilization time.

    A world that heals everywhere alike hides the livelocks that need one broken validator.
    """

    ALL = "all"
    QUORUM = "quorum"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing going wrong, from `at_ms` for `for_ms`, both in simulated time.

    An armed one waits for its moment, which may never come; then the machine is down for
    `injector.DARK_MS`, whatever `for_ms` is. What ruins a home (`ROT`, `WIPE`) is for good.
    """

    at_ms: int
    kind: FaultKind
    nodes: tuple[int, ...]
    for_ms: int
    count: int = 0

    @property
    def is_armed(self) -> bool:
        """Whether the machine stops later, at an operation of its own, and not at `at_ms`."""
        if self.kind is FaultKind.POWER:
            return self.count > 0
        return self.kind in {FaultKind.FUSE, FaultKind.ROTATION, FaultKind.DISK_FULL}

    def __str__(self) -> str:
        """One line, for people."""
        who = ",".join(str(node) for node in self.nodes)
        return f"{self.at_ms:>6} {self.kind} n={who} for={self.for_ms} count={self.count}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The organisations agree on other validators: at `at_ms`, the machines `members`."""

    at_ms: int
    members: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The knobs of one run. Probabilities are in thousandths, times in simulated milliseconds."""

    validators: int = 4
    newcomers: int = 0  # further machines, which are no validators at first
    changes: tuple[Change, ...] = ()
    duration_ms: int = 30_000  # the run ends here at the earliest
    stable_at_ms: int = 20_000  # from here on nothing new goes wrong
    healing: Healing = Healing.ALL
    blocks_min: int = 100
    bodies_min: int = 500

    delay_ms_min: int = 1
    delay_ms_mean: int = 3  # on top of the minimum, with an exponential tail
    drop_permille: int = 0
    duplicate_permille: int = 0
    in_order: bool = True  # links deliver in the order of sending, as streams do
    notices_cuts: bool = True  # a cut link is reported as a lost connection

    sync_ms: int = 2
    settle_ms: int = 20  # how long the database lags behind the journal, when there is time
    verify_ms: int = 1
    turn_ms: int = 1  # what comes within one turn of the driver is taken in by one step
    burst_every_ms: int = 150
    burst_envelopes_max: int = 5
    lull_ms: int = 0  # now and then, until all is well, clients are quiet for this long
    double_submit_permille: int = 0  # a client sends the same bytes to a second validator at once
    propose_age_ms: int = 60
    heartbeat_ms: int = 2_000
    liars: tuple[str, ...] = ()  # of validators n-1, n-2, ...
