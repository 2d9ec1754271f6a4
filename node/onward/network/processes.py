"""Node processes of one machine: started, watched, stopped.

Each has a file `node.pid` in its home with its process id and the moment when the kernel started
it. A process id alone says little, because the system gives it to somebody else later: nothing is
ever signalled unless that moment and the command line are those of the process that was started.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from onward.errors import Unavailable
from onward.network.definition import Network, NodePlace

PID_NAME = "node.pid"
STOP_S_MAX = 10
ALONE_S_MAX = STOP_S_MAX + 5
_POLL_S = 0.02
_LOG_TAIL_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeProcess:
    """A process that was started for a home. `started`: clock ticks after the machine's boot."""

    pid: int
    started: int


@contextmanager
def alone(network: Network) -> Iterator[None]:
    """Keep other commands from starting and stopping this network's processes meanwhile.

    Two that start the same node would both write its `node.pid`, and nobody would stop the first
    process any more. Raises `Unavailable` when another command does not come to its end.
    """
    folder = os.open(network.folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        deadline = time.monotonic() + ALONE_S_MAX
        while not _locked(folder):
            if time.monotonic() >= deadline:
                raise Unavailable(
                    f"{network.folder}: another command has been starting or stopping this "
                    f"network for {ALONE_S_MAX} s"
                )
            time.sleep(_POLL_S)
        yield
    finally:
        os.close(folder)


def _locked(folder: int) -> bool:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def running(node: NodePlace) -> NodeProcess | None:
    """The process that runs on this home now, or None."""
    try:
        document = json.loads((node.home / PID_NAME).read_text(encoding="utf-8"))
        process = NodeProcess(pid=int(document["pid"]), started=int(document["started"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return process if _is_alive(process, node.home) else None


def start(network: Network, node: NodePlace, *, line: Sequence[str] | None = None) -> NodeProcess:
    """Start a node's process, detached from ours; it writes to the network's logs.

    `line`: another program in its place; the home has to stand among its arguments.
    """
    network.logs.mkdir(exist_ok=True)
    with log_file(network, node).open("ab") as log:
        log_from = log.tell()
        child = subprocess.Popen(
            command(node.home) if line is None else line,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    started = _started(child.pid)
    process = NodeProcess(pid=child.pid, started=-1 if started is None else started)
    document = {"pid": process.pid, "started": process.started, "log_from": log_from}
    fresh = node.home / f"{PID_NAME}.new"
    fresh.write_text(json.dumps(document) + "\n", encoding="utf-8")
    fresh.replace(node.home / PID_NAME)  # whoever asks meanwhile must not find half of it
    _children[child.pid] = child
    return process


def command(home: Path) -> list[str]:
    """The command line of a node's process."""
    # -P: no module is taken from the folder in which somebody happens to stand.
    program = [sys.executable, "-P", "-m", "onward.cli.main"]
    return [*program, "node", "run", "--home", str(home.resolve())]


def stop(nodes: Sequence[NodePlace], *, timeout_s: float = STOP_S_MAX) -> tuple[NodePlace, ...]:
    """Ask the nodes' processes to end, and wait; answers those that still run after that."""
    for node in nodes:
        _signal(node, signal.SIGTERM)
    return _wait(nodes, timeout_s)


def kill(nodes: Sequence[NodePlace], *, timeout_s: float = STOP_S_MAX) -> tuple[NodePlace, ...]:
    """End the nodes' processes at once, as a power cut would; answers those that still run."""
    for node in nodes:
        _signal(node, signal.SIGKILL)
    return _wait(nodes, timeout_s)


def log_file(network: Network, node: NodePlace) -> Path:
    """Where a node's process writes to."""
    return network.logs / f"{node.name}.log"


def last_words(network: Network, node: NodePlace) -> str:
    """Why a node's last process ended, from its log, for people; "" where it does not say."""
    for line in reversed(last_run(log_file(network, node), node).splitlines()):
        try:
            entry = json.loads(line)
        except ValueError:
            if line.strip():
                return line.strip()
            continue
        if not isinstance(entry, dict):
            continue
        if "reason" in entry:
            return str(entry["reason"])
        if entry.get("exception"):
            return str(entry["exception"]).strip().splitlines()[-1]
    return ""


def last_run(log: Path, node: NodePlace) -> str:
    """The end of what the last process wrote into its log; nothing of those before it."""
    try:
        document = json.loads((node.home / PID_NAME).read_text(encoding="utf-8"))
        log_from = int(document["log_from"])
    except (OSError, ValueError, KeyError, TypeError):
        log_from = 0
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(log_from, size - _LOG_TAIL_BYTES))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


_children: dict[int, subprocess.Popen[bytes]] = {}
"""Our own children: who has ended stays a zombie until its parent looks."""


def _signal(node: NodePlace, number: signal.Signals) -> None:
    process = running(node)
    if process is None:
        return
    try:
        os.kill(process.pid, number)
    except ProcessLookupError:
        return


def _wait(nodes: Sequence[NodePlace], timeout_s: float) -> tuple[NodePlace, ...]:
    deadline = time.monotonic() + timeout_s
    left = tuple(nodes)
    while True:
        left = tuple(node for node in left if running(node) is not None)
        if not left or time.monotonic() >= deadline:
            break
        time.sleep(_POLL_S)
    for node in nodes:
        if node not in left:
            (node.home / PID_NAME).unlink(missing_ok=True)
    return left


def _is_alive(process: NodeProcess, home: Path) -> bool:
    child = _children.get(process.pid)
    if child is not None and child.poll() is not None:
        del _children[process.pid]
        return False
    if _started(process.pid) != process.started:
        return False
    if child is not None:  # just after the start the kernel may not show its command line yet
        return True
    try:
        arguments = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return os.fsencode(home.resolve()) in arguments


def _started(pid: int) -> int | None:
    """When the kernel started a process; None for one that is gone or has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    # The name stands in parentheses and may hold anything; the fields behind it are numbers.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])
