"""One network namespace for each validator, switches between them, and cables to pull.

    with Namespaces(4) as lab:
        subprocess.run(lab.command(0, ["sleep", "60"]))
        lab.cut_off(0)
        lab.heal()

The validators' own network lies in a namespace of its own, the hub, with two switches: all are at
the first, and a split moves some to the second. Clients are at a third one on this machine. A cable
is pulled between namespace and switch, so a validator does not see its own link go down: packets
vanish, as they do when something in the middle of the way breaks.

It takes root and the program `ip`. Everything carries the name of the process that made it. What a
run that was killed has left behind, the next one removes.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from onward.errors import Unavailable

_PREFIX = "onw"
_OURS = re.compile(rf"({_PREFIX}[0-9]+)(?:-[a-z0-9]+|c[0-9]+)?", re.ASCII)
_IP_S_MAX = 20
# Addresses that are set aside for measurements between networks: nobody routes them.
_PEERS = "198.18.0"  # in the hub only, so every run may use them
_CLIENTS = "198.19"  # on this machine, so each run takes a part of its own
_SUBNETS = 256


class Namespaces:
    """The namespaces of one run. A process has one such network at a time."""

    def __init__(self, count: int) -> None:
        """Choose names and addresses; nothing is made before the `with`."""
        self.count = count
        self.name = f"{_PREFIX}{os.getpid()}"
        self._hub = f"{self.name}-hub"
        self._clients = _free_subnet()

    def __enter__(self) -> Self:
        sweep()
        try:
            self._build()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._remove()

    # -- who is where ------------------------------------------------------------------------------

    def peer_host(self, index: int) -> str:
        """Where the other validators reach this one."""
        return f"{_PEERS}.{index + 1}"

    def client_host(self, index: int) -> str:
        """Where clients on this machine reach it."""
        return f"{self._clients}.{index + 1}"

    def command(self, index: int, line: Sequence[str]) -> list[str]:
        """This program, in the namespace of a validator; it keeps its process id."""
        return ["ip", "netns", "exec", self._of(index), *line]

    # -- cables ------------------------------------------------------------------------------------

    def cut_off(self, *indexes: int) -> None:
        """Neither validators nor clients reach these any more."""
        _ip((f"link set p{index} nomaster" for index in indexes), inside=self._hub)
        _ip(f"link set {self.name}c{index} nomaster" for index in indexes)

    def split(self, *others: int) -> None:
        """These hear each other and no longer the rest; clients still reach everybody."""
        _ip((f"link set p{index} master second" for index in others), inside=self._hub)

    def heal(self) -> None:
        """Every cable is where it was at the beginning."""
        everybody = range(self.count)
        _ip((f"link set p{index} master first" for index in everybody), inside=self._hub)
        _ip(f"link set {self.name}c{index} master {self.name}" for index in everybody)

    # -- making and removing -----------------------------------------------------------------------

    def _of(self, index: int) -> str:
        return f"{self.name}-{index}"

    def _build(self) -> None:
        everybody = range(self.count)
        _ip(
            [
                f"netns add {self._hub}",
                *(f"netns add {self._of(index)}" for index in everybody),
                f"link add {self.name} type bridge",
                f"addr add {self._clients}.254/24 dev {self.name}",
                f"link set {self.name} up",
            ]
        )
        switches = ("first", "second")
        lines = [f"link add {switch} type bridge" for switch in switches]
        _ip([*lines, *(f"link set {switch} up" for switch in switches)], inside=self._hub)
        for index in everybody:
            there = f"netns {self._of(index)}"
            _ip([f"link add p{index} type veth peer name peers {there}"], inside=self._hub)
            _ip([f"link add {self.name}c{index} type veth peer name clients {there}"])
            _ip(
                [
                    f"addr add {self.peer_host(index)}/24 dev peers",
                    f"addr add {self.client_host(index)}/24 dev clients",
                    *(f"link set {device} up" for device in ("lo", "peers", "clients")),
                ],
                inside=self._of(index),
            )
        self.heal()
        _ip((f"link set p{index} up" for index in everybody), inside=self._hub)
        _ip(f"link set {self.name}c{index} up" for index in everybody)

    def _remove(self) -> None:
        _remove_all({self.name})


def why_not() -> str:
    """Why this machine cannot have such networks, for people; "" where it can."""
    if os.geteuid() != 0:
        return "network namespaces take root"
    if shutil.which("ip") is None:
        return "network namespaces take the program `ip` of the Debian package iproute2"
    try:
        with Namespaces(1):
            return ""
    except Unavailable as error:
        return f"this machine makes no network namespaces: {error}"


def sweep() -> None:
    """Remove what runs left behind whose process is gone, as far as nobody else is just at it."""
    with suppress(Unavailable):
        _remove_all({name for name in runs() if not Path(f"/proc/{_pid_of(name)}").exists()})


def runs() -> set[str]:
    """The names of the runs of which a namespace, a switch or a cable is there."""
    return {run for name in (*_namespaces(), *_devices()) if (run := _run_of(name))}


def _run_of(name: str) -> str:
    """The run to which a namespace or device belongs; "" where it is none of ours."""
    ours = _OURS.fullmatch(name)
    return ours[1] if ours else ""


def _pid_of(name: str) -> int:
    return int(name.removeprefix(_PREFIX))


def _namespaces() -> list[str]:
    # The number behind a name is the kernel's.
    return [line.split()[0] for line in _read("netns", "list").splitlines() if line.strip()]


def _devices() -> list[str]:
    """Switches and the clients' cables."""
    lines = [
        line
        for kind in ("bridge", "veth")
        for line in _read("-o", "link", "show", "type", kind).splitlines()
    ]
    return [line.split(": ")[1].partition("@")[0] for line in lines]


def _remove_all(names: set[str]) -> None:
    """Their processes, cables, switches and namespaces.

    A namespace without a name lives as long as a connection in it has something left to say.
    """
    namespaces = [name for name in _namespaces() if _run_of(name) in names]
    for name in namespaces:
        for pid in _read("netns", "pids", name).split():
            _kill(int(pid))
    for name in [name for name in _devices() if _run_of(name) in names]:
        with suppress(Unavailable):  # the other end went with its namespace, and this one with it
            _ip([f"link del {name}"])
    _ip(f"netns del {name}" for name in namespaces)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _free_subnet() -> str:
    """The first three numbers of addresses that no device of this machine has."""
    taken = _read("-o", "-4", "addr", "show") if shutil.which("ip") else ""
    for step in range(_SUBNETS):
        subnet = f"{_CLIENTS}.{(os.getpid() + step) % _SUBNETS}"
        if f" {subnet}." not in taken:
            return subnet
    raise Unavailable(f"every part of {_CLIENTS}.0.0/16 is taken on this machine")


def _read(*arguments: str) -> str:
    return _run(["ip", *arguments], "")


def _ip(lines: Iterable[str], *, inside: str = "") -> None:
    """Commands to `ip`, all in one go. Raises `Unavailable` with what it has to say."""
    text = "".join(f"{line}\n" for line in lines)
    if text:
        _run(["ip", *(("-n", inside) if inside else ()), "-batch", "-"], text)


def _run(line: list[str], text: str) -> str:
    try:
        done = subprocess.run(
            line, input=text, capture_output=True, text=True, check=False, timeout=_IP_S_MAX
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{' '.join(line)}: no end within {_IP_S_MAX} s") from None
    if done.returncode:
        raise Unavailable(f"{' '.join(line)}: {done.stderr.strip() or done.returncode}")
    return done.stdout
