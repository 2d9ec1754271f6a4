"""Makes the faults of a schedule happen, and undoes them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from onward.errors import CorruptionError, RejectedError
from onward.simulation.disk import NAMES_BECOME_DURABLE, Loss
from onward.simulation.faults import RUINOUS, Fault, FaultKind, Healing, Options
from onward.simulation.host import Host
from onward.simulation.network import (
    Link,
    Network,
    links_between,
    links_into,
    links_out_of,
    random_links,
)
from onward.simulation.oracles import Violation
from onward.simulation.rare_faults import DAY_MS
from onward.types import quorum_of

DARK_MS = 600
"""How long a machine stays down whose power went in the midst of something."""

_LINK_FAULTS = {FaultKind.SPLIT, FaultKind.DEAF, FaultKind.MUTE, FaultKind.LINKS}


class FaultyWorld(Protocol):
    """What the injector needs of the world."""

    hosts: list[Host]
    network: Network
    options: Options
    counts: Counter[str]
    size: int
    seed: int
    now_ms: int

    @property
    def honest(self) -> list[Host]:
        """The validators that follow the protocol."""

    def later(self, delay_ms: int, action: Callable[..., None], *arguments: object) -> None:
        """Call later."""


class Injector:
    """Applies faults until the world is stable; heals what the options say is to be healed."""

    def __init__(self, world: FaultyWorld) -> None:
        """`world` has its hosts already."""
        self._world = world
        self._stable = False
        self.healed: list[Host] = list(world.honest)

    def apply(self, fault: Fault) -> None:
        """The fault begins. What befalls machines counts when one of them runs.

        Of an armed fault the world counts the power cut, if it comes to that.
        """
        if self._stable:
            return
        hosts = [host for host in self._world.hosts if host.index in fault.nodes]
        is_met = any(host.machine is not None for host in hosts)
        if fault.is_armed or fault.kind in RUINOUS:
            is_met = False  # counted when it comes to that
        if fault.kind in _LINK_FAULTS:
            is_met = True
            self._apply_to_links(fault)
        elif fault.kind is FaultKind.FLAP:
            is_met = True
            self._flap(fault, self._world.now_ms + fault.for_ms)
        else:
            self._apply_to_machines(fault, hosts)
        if is_met:
            self._world.counts[fault.kind] += 1

    def _apply_to_links(self, fault: Fault) -> None:
        size = self._world.size
        match fault.kind:
            case FaultKind.SPLIT:
                links = links_between(fault.nodes, _others(fault, size))
            case FaultKind.DEAF:
                links = links_into(fault.nodes, size)
            case FaultKind.MUTE:
                links = links_out_of(fault.nodes, size)
            case _:
                links = random_links(fault.count, size)
        self._cut(links, fault.for_ms)

    def _apply_to_machines(self, fault: Fault, hosts: list[Host]) -> None:
        for host in hosts:
            match fault.kind:
                case FaultKind.KILL:
                    self.crash(host, Loss.PROCESS, fault.for_ms)
                case FaultKind.POWER if fault.count:
                    host.disk_fuse = fault.count
                case FaultKind.POWER:
                    self.crash(host, Loss.POWER, fault.for_ms)
                case FaultKind.FUSE:
                    host.fuse = fault.count
                case FaultKind.ROTATION:
                    host.cut_before = NAMES_BECOME_DURABLE
                case FaultKind.FREEZE | FaultKind.PAUSE:
                    host.freeze(fault.for_ms)
                case _:
                    self._apply_to_clock_or_disk(fault, host)

    def _apply_to_clock_or_disk(self, fault: Fault, host: Host) -> None:
        match fault.kind:
            case FaultKind.SLOW_DISK:
                self._for_a_while(host, "sync_ms", fault)
            case FaultKind.DISK_FULL:
                host.disk.fill(is_full=True)
                self._world.later(fault.for_ms, self._free, host)
            case FaultKind.ROT | FaultKind.WIPE:
                self._ruin(host, fault)
            case FaultKind.CLOCK_DAY:
                self._restart_at(host, fault.count)
                self._world.later(fault.for_ms, self._restart_at, host, 0)
            case _ if not _is_another_day(host.clock_offset_ms):
                self._for_a_while(host, "clock_offset_ms", fault)
            case _:
                pass

    def crash(self, host: Host, loss: Loss, down_ms: int | None) -> None:
        """Stop a machine; it comes back after `down_ms`, unless that is None."""
        if host.machine is None:
            return
        host.crash(loss)
        if down_ms is not None:
            self._world.later(max(1, down_ms), self._reboot_if, host, host.boots)

    def reboot(self, host: Host) -> None:
        """Start a machine that stands still."""
        if host.machine is not None:
            return
        if host.disk.ruin:
            self._expect_refusal(host)
            return
        self._world.counts["reboot"] += 1
        host.boot()

    def stabilize(self) -> None:
        """Nothing new goes wrong from here on; all of it, or a quorum's part, is put right."""
        self._stable = True
        world = self._world
        honest = [host for host in world.honest if not host.disk.ruin]
        if world.options.healing is Healing.QUORUM:
            self.healed = self._draw_quorum(honest)
        else:
            self.healed = honest
        names = {host.name for host in self.healed}
        broken = [host for host in honest if host.name not in names]
        world.network.heal()
        world.network.calm()
        for host in world.hosts:
            host.fuse = host.disk_fuse = host.cut_before = None
            host.thaw()
            host.sync_ms = world.options.sync_ms
            host.disk.fill(is_full=False)
            if _is_another_day(host.clock_offset_ms):
                self.crash(host, Loss.PROCESS, None)
            host.clock_offset_ms = 0
        for host in (*self.healed, *(host for host in world.hosts if host.is_liar)):
            self.reboot(host)
        for place, host in enumerate(broken):
            self._break_for_good(host, place)

    def _draw_quorum(self, honest: list[Host]) -> list[Host]:
        """Some quorum; often one without the validator that everybody waits for."""
        rng = random.Random(f"healing/{self._world.seed}")
        order = rng.sample(honest, len(honest))
        for host in honest:
            host.look()
        _, leader = max(host.waits_for for host in honest)
        if rng.random() < 0.6:
            order.sort(key=lambda host: host.index == leader)
        kept = order[: quorum_of(self._world.size)]
        return sorted(kept, key=lambda host: host.index)

    def _break_for_good(self, host: Host, place: int) -> None:
        """What is not healed stays broken in one of several ways."""
        size = self._world.size
        match (self._world.seed + place) % 4:
            case 0:
                self.crash(host, Loss.PROCESS, None)
            case 1:
                self.reboot(host)
                self._world.network.cut(links_out_of((host.index,), size))
            case 2:
                self.reboot(host)
                self._world.network.cut(links_into((host.index,), size))
            case _:
                self.reboot(host)
                self._stay_flapping(host)

    def _stay_flapping(self, host: Host) -> None:
        everyone = range(self._world.size)
        number = self._world.network.cut(links_between((host.index,), everyone))
        self._world.later(700, self._world.network.heal, number)
        self._world.later(1_100, self._stay_flapping, host)

    def _cut(self, links: set[Link], for_ms: int) -> None:
        number = self._world.network.cut(links)
        self._world.later(for_ms, self._world.network.heal, number)

    def _flap(self, fault: Fault, end_ms: int) -> None:
        if self._stable or self._world.now_ms >= end_ms:
            return
        self._cut(links_between(fault.nodes, _others(fault, self._world.size)), fault.count // 2)
        self._world.later(fault.count, self._flap, fault, end_ms)

    def _restart_at(self, host: Host, off_ms: int) -> None:
        """The process dies and comes back in another time; a running one never sees a jump."""
        if not self._stable and host.clock_offset_ms != off_ms:
            self.crash(host, Loss.PROCESS, DARK_MS)
            host.clock_offset_ms = off_ms

    @staticmethod
    def _free(host: Host) -> None:
        host.disk.fill(is_full=False)

    def _ruin(self, host: Host, fault: Fault) -> None:
        """The machine stops, its home is damaged, and somebody tries to start it again."""
        if host.disk.ruin:
            return
        host.crash(Loss.POWER)
        if fault.kind is FaultKind.WIPE:
            host.disk.wipe(fault.count)
        elif not host.disk.rot(fault.count):
            self.reboot(host)
            return
        self._world.counts[fault.kind] += 1
        self._world.later(fault.for_ms, self.reboot, host)

    def _expect_refusal(self, host: Host) -> None:
        """Who may have forgotten a vote does not start, ever, with this key."""
        try:
            host.disk.open()
        except (CorruptionError, RejectedError):
            self._world.counts["boot.refused"] += 1
            return
        raise Violation("damage refused", f"{host.name} starts although {host.disk.ruin}")

    def _for_a_while(self, host: Host, attribute: str, fault: Fault) -> None:
        normal = 0 if attribute == "clock_offset_ms" else self._world.options.sync_ms
        setattr(host, attribute, fault.count)
        self._world.later(fault.for_ms, self._restore, host, attribute, fault.count, normal)

    @staticmethod
    def _restore(host: Host, attribute: str, from_value: int, to_value: int) -> None:
        if getattr(host, attribute) == from_value:
            setattr(host, attribute, to_value)

    def _reboot_if(self, host: Host, boots: int) -> None:
        if host.boots == boots and (not self._stable or host in self.healed or host.is_liar):
            self.reboot(host)


def _is_another_day(offset_ms: int) -> bool:
    return abs(offset_ms) >= DAY_MS


def _others(fault: Fault, size: int) -> set[int]:
    return set(range(size)) - set(fault.nodes)
