"""What this machine shows of a validator without asking it: process, last words, home, disk.

Nothing is changed, and no lock is taken: a node that starts in this very moment must not find its
home in use because somebody looked.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from onward.diagnosis.observations import (
    Ending,
    EndSeen,
    HomeFault,
    HomeSeen,
    ProcessSeen,
    ProcessState,
)
from onward.errors import OnwardError
from onward.ledger.genesis import GENESIS_BYTES_MAX, parse_genesis
from onward.network.definition import NodePlace
from onward.network.processes import last_run, running
from onward.runtime.config import CONFIG_BYTES_MAX, NodeConfig, parse_config
from onward.runtime.home import CONFIG_NAME, DATA_NAME, GENESIS_NAME, read_bounded, read_home
from onward.storage.home import DATABASE
from onward.storage.home_files import LOCK_NAME

_LOCKS = Path("/proc/locks")
_UPTIME = Path("/proc/uptime")
_STATES = {
    "T": ProcessState.STOPPED,
    "t": ProcessState.STOPPED,
    "D": ProcessState.WAITS_FOR_DISK,
    "Z": ProcessState.NONE,
    "X": ProcessState.NONE,
}
_ENDS = {"stopped": Ending.ASKED, "node_interrupted": Ending.ASKED, "node_failed": Ending.FAILED}
_BEGUN = "listening"


def look_at_process(node: NodePlace) -> ProcessSeen:
    """The process that runs on a home: started by `onward network up`, or the home's holder."""
    started = running(node)
    pid = started.pid if started is not None else lock_holder(node.home)
    if pid is None or (started is None and not _is_node(pid)):
        return ProcessSeen(state=ProcessState.NONE)
    return _seen(pid)


def look_at_end(log: Path, node: NodePlace) -> EndSeen | None:
    """How the last process ended, by the last telling line of its log; None without a log."""
    if not log.is_file():
        return None
    text = last_run(log, node)
    for line in reversed(text.splitlines()):
        entry = _entry(line)
        event = str(entry.get("event", ""))
        if event in _ENDS:
            code = entry.get("code")
            reason = entry.get("reason") or _last_line(entry.get("exception"))
            return EndSeen(
                ending=_ENDS[event], code=code if isinstance(code, int) else 0, reason=str(reason)
            )
        if event == _BEGUN:
            break
    return EndSeen(ending=Ending.WITHOUT_A_WORD if text.strip() else Ending.NEVER_BEGAN)


def look_at_home(path: Path, *, is_looked_into: bool) -> HomeSeen:
    """A home as a node would find it now.

    `is_looked_into`: check it as a whole, with the key; that is for homes on which nothing runs.
    """
    if not path.is_dir():
        return HomeSeen(
            path=str(path), fault=HomeFault.MISSING, reason=f"there is no folder {path}"
        )
    config = read_config(path)
    fault, reason = _fault(path) if is_looked_into else (HomeFault.NONE, "")
    return HomeSeen(
        path=str(path),
        fault=fault,
        reason=reason,
        chain_id=_chain_id(path),
        listens="" if config is None else str(config.peers.listen),
        peers=()
        if config is None
        else tuple((name, str(place)) for name, place in config.peers.addresses),
        is_plaintext=config is not None and config.peers.plaintext,
        free_bytes=_free_bytes(path / DATA_NAME),
        lock_pid=lock_holder(path),
    )


def read_config(path: Path) -> NodeConfig | None:
    """A home's configuration, None where it cannot be had."""
    try:
        return parse_config(read_bounded(path / CONFIG_NAME, CONFIG_BYTES_MAX))
    except OnwardError:
        return None


def lock_holder(home: Path) -> int | None:
    """The process that holds a home's lock, from the system's list of locks."""
    try:
        stat = (home / DATA_NAME / LOCK_NAME).stat()
        place = f"{os.major(stat.st_dev):02x}:{os.minor(stat.st_dev):02x}:{stat.st_ino}"
        # A line is: number, kind, ADVISORY, WRITE, process id, device:inode, from, to.
        for line in _LOCKS.read_text(encoding="ascii").splitlines():
            fields = line.split()
            if "->" not in fields and len(fields) > 5 and fields[5] == place:
                return int(fields[4]) if int(fields[4]) > 0 else None
    except (OSError, ValueError):
        return None
    return None


def _fault(path: Path) -> tuple[HomeFault, str]:
    try:
        home = read_home(path)
    except OnwardError as error:
        reason = str(error)
        if "Permission denied" in reason:
            return HomeFault.UNREADABLE, reason
        is_foreign = "the genesis names" in reason
        return HomeFault.FOREIGN_KEY if is_foreign else HomeFault.CONFIGURATION, reason
    database = home.data / DATABASE
    try:
        is_there = database.is_dir()
    except OSError as error:
        return HomeFault.UNREADABLE, f"{database}: {error.strerror}"
    return (HomeFault.NONE, "") if is_there else (HomeFault.NO_DATA, f"there is no {database}")


def _chain_id(path: Path) -> bytes | None:
    try:
        return parse_genesis(read_bounded(path / GENESIS_NAME, GENESIS_BYTES_MAX)).chain_id
    except OnwardError:
        return None


def _free_bytes(path: Path) -> int | None:
    try:
        return shutil.disk_usage(path).free
    except OSError:
        return None


def _seen(pid: int) -> ProcessSeen:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        uptime_s = float(_UPTIME.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError):
        return ProcessSeen(state=ProcessState.NONE)
    # The name stands in parentheses and may hold anything; the fields behind it are plain.
    fields = stat.rpartition(")")[2].split()
    state = _STATES.get(fields[0], ProcessState.RUNS)
    if state is ProcessState.NONE:
        return ProcessSeen(state=state)
    age_s = uptime_s - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return ProcessSeen(state=state, pid=pid, age_ms=int(max(0, age_s) * 1000))


def _is_node(pid: int) -> bool:
    """Whether a process that holds a home is a node, and not somebody's shell."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"node" in words and b"run" in words


def _entry(line: str) -> dict[str, object]:
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}


def _last_line(text: object) -> str:
    lines = str(text or "").strip().splitlines()
    return lines[-1] if lines else ""
