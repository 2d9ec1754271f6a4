"""Validators that take no part, each looked at by itself: process, last words, home, address."""

from __future__ import annotations

from onward.diagnosis.findings import Certainty, Code, Finding, listed, span
from onward.diagnosis.observations import (
    Ending,
    EndSeen,
    HomeFault,
    HomeSeen,
    NodeSeen,
    Observations,
    ProcessState,
    Reach,
)

DISK_LOW_BYTES = 256 * 1024 * 1024
BACKLOG_TRANSACTIONS = 5_000
STARTING_MS = 15_000  # a node that reads its journal and batch log answers nobody yet

_WHOLE_DISK = ("No space left", "Disk quota exceeded", "File too large")
_KEEP = "keep a copy of the home, and start nothing from an older one"
_NEW_KEY = "it must not vote again with this key, but come back with a new one"

_END_CODES: dict[int, tuple[Code, str, str]] = {
    65: (
        Code.DATA_DAMAGED,
        "its disk contradicts itself",
        f"{_KEEP}; the runbook's part on damaged data says what can be done",
    ),
    70: (Code.BUG, "it met a bug", "report its log, then start it again"),
    74: (Code.DISK_FAILED, "its disk failed", "look after its disk, then start it again"),
    76: (
        Code.DIVERGED,
        "it computed something else than a quorum certified",
        f"do not start it again before the cause is known; {_KEEP}; compare program versions",
    ),
}
"""Exit codes of a node that need no look at its words: what, why, and what to do."""


def member_findings(seen: Observations) -> tuple[Finding, ...]:
    """At most one finding for each validator that does not answer as it should, and its disk's."""
    found = []
    for node in seen.nodes:
        absent = None if node.answer is not None else _absent(node, seen)
        if absent is not None:
            found.append(absent)
        elif node.answer is not None:
            found.extend(_burdens(node))
    return tuple(found)


def _absent(node: NodeSeen, seen: Observations) -> Finding | None:
    """Why a validator does not answer; None where its gateway alone may be at fault."""
    process = node.process
    if node.reach is Reach.STRANGER:
        return _stranger(node)
    if process is not None and process.state is ProcessState.NONE:
        return _ended(node, seen)
    if process is not None and process.state is ProcessState.STOPPED:
        return Finding(
            code=Code.FROZEN,
            who=(node.name,),
            sentence=f"{node.name} is frozen: its process {process.pid} has been stopped by a "
            "signal or a debugger",
            because=(f"the system says that process {process.pid} is stopped", *_asked(node)),
            advice=f"kill -CONT {process.pid}; it catches up by itself",
        )
    if process is not None and process.state is ProcessState.WAITS_FOR_DISK:
        return Finding(
            code=Code.DISK_HANGS,
            who=(node.name,),
            sentence=f"{node.name} waits for its disk and does not answer",
            because=(f"process {process.pid} waits inside the system's disk calls", *_asked(node)),
            advice="look after its disk; the system's log may name it",
            certainty=Certainty.LIKELY,
        )
    if not seen.is_alone and _is_heard(node.name, seen):
        return _deaf_gateway(node)
    return _unanswered(node, seen)


def _is_heard(name: str, seen: Observations) -> bool:
    """Whether another validator heard it just now, later than anything frozen could have spoken."""
    words = (other.peer(name) for other in seen.answering)
    return any(
        word.up and word.heard_ago_ms is not None and word.heard_ago_ms <= seen.silence_ms
        for word in words
        if word is not None
    )


def _deaf_gateway(node: NodeSeen) -> Finding:
    return Finding(
        code=Code.GATEWAY_SILENT,
        who=(node.name,),
        sentence=f"{node.name} speaks with the other validators and does not answer clients",
        because=("another validator heard it a moment ago", *_asked(node)),
        advice=f"check what stands between clients and {node.gateway}; if it is overloaded, wait",
        certainty=Certainty.LIKELY,
        costs_vote=False,
    )


def _unanswered(node: NodeSeen, seen: Observations) -> Finding | None:
    if node.reach is Reach.NOT_ASKED:
        return None
    process = node.process
    age_ms = None if process is None else process.age_ms
    if node.reach is Reach.NOBODY_LISTENS and age_ms is not None and age_ms < STARTING_MS:
        return Finding(
            code=Code.STARTING,
            who=(node.name,),
            sentence=f"{node.name} is starting",
            because=(f"its process began {span(age_ms)} ago and does not listen yet",),
            advice="wait a few seconds, and ask again",
        )
    runs = node.process is not None and node.process.state is ProcessState.RUNS
    if runs or node.reach not in {Reach.NOBODY_LISTENS, Reach.UNREACHABLE}:
        pid = None if node.process is None else node.process.pid
        advice = "look at its log and at the machine's load; restart it if it stays so"
        return Finding(
            code=Code.NOT_ANSWERING,
            who=(node.name,),
            sentence=f"{node.name} {'runs but ' if runs else ''}does not answer",
            because=(*((f"process {pid} is there",) if runs else ()), *_asked(node)),
            advice=advice if node.reach is not Reach.NOBODY_LISTENS else f"if it starts, {advice}",
            certainty=Certainty.LIKELY,
        )
    return Finding(
        code=Code.NOT_RUNNING,
        who=(node.name,),
        sentence=f"nobody answers at {node.name}"
        if _is_address(node)
        else f"{node.name} is not running, or cannot be reached from here",
        because=_asked(node),
        advice=_start(node, seen),
        certainty=Certainty.LIKELY,
    )


def _stranger(node: NodeSeen) -> Finding:
    where = node.name if _is_address(node) else f"{node.name}'s address"
    sentence = f"at {where} answers somebody else: {node.stranger}"
    advice = (
        f"find out which process listens at {node.gateway}; either it runs on the wrong home, or "
        "the address in the network's files is wrong"
    )
    epoch = node.unproved_after
    if epoch is not None:
        sentence = f"at {where} answers a key of no validator that genesis or proofs name"
        advice = (
            f"if it became a validator after epoch {epoch}, {'newer ' if epoch else ''}proofs show "
            "that: --epochs FILE, with the file that `onward validators proofs` writes; else "
            f"{advice}"
        )
    return Finding(
        code=Code.STRANGER,
        who=(node.name,),
        sentence=sentence,
        because=(f"{node.gateway} shows a certificate of {node.stranger}",),
        advice=advice,
        certainty=Certainty.CERTAIN if epoch is None else Certainty.POSSIBLE,
    )


# -- processes that ended --------------------------------------------------------------------------


def _ended(node: NodeSeen, seen: Observations) -> Finding:
    """Its process is gone: what its home shows now comes before what the last one said."""
    end, home = node.end, node.home
    if home is not None and home.fault not in {HomeFault.NONE, HomeFault.UNREADABLE}:
        return _homeless(node, home)
    if end is None or end.ending is Ending.NEVER_BEGAN:
        return Finding(
            code=Code.NOT_RUNNING,
            who=(node.name,),
            sentence=f"{node.name} is not running",
            because=("there is no process, nor a word of an earlier one",),
            advice=_start(node, seen),
        )
    if end.ending is Ending.FAILED:
        return _failed(node, end, seen)
    was_asked = end.ending is Ending.ASKED
    return Finding(
        code=Code.STOPPED if was_asked else Code.KILLED,
        who=(node.name,),
        sentence=f"{node.name} was stopped as asked"
        if was_asked
        else f"{node.name} was killed, or its machine went down: it ended without a last word",
        because=(
            "there is no process, and the log's last line says that it was asked to stop"
            if was_asked
            else "there is no process, and the log breaks off",
        ),
        advice=_start(node, seen) + ("" if was_asked else "; if that happens again, see who kills"),
    )


def _homeless(node: NodeSeen, home: HomeSeen) -> Finding:
    name = node.name
    reason = home.reason or f"{home.path} is not there"
    code, sentence, advice = {
        HomeFault.MISSING: (
            Code.HOME_MISSING,
            f"{name}'s home is gone",
            f"mount or put back {home.path} as it was, not an older copy of it",
        ),
        HomeFault.FOREIGN_KEY: (
            Code.FOREIGN_KEY,
            f"{name}'s key is not the one that the genesis names for it",
            f"put {name}'s own key back in place",
        ),
        HomeFault.NO_DATA: (
            Code.DATA_MISSING,
            f"{name} has lost its data, and with it its votes",
            f"mount or put back the data as it was; if it is lost, {_NEW_KEY}",
        ),
    }.get(
        home.fault,
        (
            Code.HOME_WRONG,
            f"{name} cannot start: its home is wrong",
            "put right what the reason names, then start it again",
        ),
    )
    return Finding(
        code=code,
        who=(name,),
        sentence=sentence,
        because=("there is no process", reason),
        advice=advice,
    )


def _failed(node: NodeSeen, end: EndSeen, seen: Observations) -> Finding:
    code, why, advice = _cause_of(node, end, seen)
    return Finding(
        code=code,
        who=(node.name,),
        sentence=f"{node.name} ended: {why}",
        because=(f"it ended with code {end.code} and the words: {end.reason or '(none)'}",),
        advice=advice,
    )


def _cause_of(node: NodeSeen, end: EndSeen, seen: Observations) -> tuple[Code, str, str]:
    """The code of a failed process, the reason in a clause, and what to do."""
    start = _start(node, seen)
    if "journal is missing" in end.reason:
        return (
            Code.JOURNAL_LOST,
            "its vote journal is gone",
            f"put it back; if it is lost, {_NEW_KEY}",
        )
    if end.code == 76 and "exclude each other" in end.reason:
        return (
            Code.FORKED,
            "two finalizations exclude each other, so more than f validators cheat",
            "start nothing; the evidence names them (onward evidence --help): ask all members",
        )
    if end.code == 74 and any(words in end.reason for words in _WHOLE_DISK):
        return Code.DISK_FULL, "its disk is full", f"make room, then {start}"
    if "Too many open files" in end.reason:
        return (
            Code.OUT_OF_FILES,
            "the system let it open no more files",
            f"raise its limit (ulimit -n), then {start}",
        )
    if end.code == 3 and "in use by process" in end.reason:
        holder = node.home.lock_pid if node.home is not None else None
        return (
            Code.HOME_LOCKED,
            "another process holds its home" + (f", process {holder}" if holder else ""),
            f"see what that process is; unless it is this validator, end it, then {start}",
        )
    if end.code == 3 and "the home has format" in end.reason:
        return (
            Code.OTHER_FORMAT,
            "its home was made by another version of the program",
            "run the version that made it; CHANGELOG.md says what changed",
        )
    if end.code == 3:
        return (
            Code.ADDRESS_TAKEN,
            "somebody else listens at one of its addresses",
            f"end that process or give the node another address, then {start}",
        )
    if end.code in _END_CODES:
        return _END_CODES[end.code]
    return (
        Code.HOME_WRONG,
        "its home or its configuration is wrong",
        f"put right what its last words name, then {start}",
    )


# -- what burdens a node that answers --------------------------------------------------------------


def abstaining_findings(seen: Observations) -> tuple[Finding, ...]:
    """Nodes that follow without a vote.

    The disks of some were put back to an earlier state; the others, who are in no view, are no
    validators in this epoch.
    """
    followers = tuple(
        Finding(
            code=Code.ABSTAINS,
            who=(node.name,),
            sentence=f"{node.name} is no validator in epoch {node.answer.epoch}: it only follows",
            because=("the set of this epoch does not hold its key",),
            advice="nothing, if that is meant; onward validators show tells who is in the set",
            costs_vote=False,
        )
        for node in seen.answering
        if node.answer is not None and node.answer.abstains and node.answer.view == 0
    )
    return followers + tuple(
        Finding(
            code=Code.ABSTAINS,
            who=(node.name,),
            sentence=f"{node.name} only follows: votes were given under its key that its journal "
            "does not hold",
            because=("a quorum's certificate holds such a vote, so its home is not the newest",),
            advice="if the newest home still exists, stop this one and start that; else it can "
            "vote again only under a new key",
        )
        for node in seen.answering
        if node.answer is not None and node.answer.abstains and node.answer.view > 0
    )


def accused_findings(seen: Observations) -> tuple[Finding, ...]:
    """Validators against whom a node holds evidence: they may still vote, but they lied."""
    holders: dict[str, list[str]] = {}
    for node in seen.answering:
        for name in () if node.answer is None else node.answer.accused:
            holders.setdefault(name, []).append(node.name)
    return tuple(
        Finding(
            code=Code.ACCUSED,
            who=(name,),
            sentence=f"{name} has provably lied: it signed what excludes something else it signed",
            because=(f"{listed(told)} {'hold' if len(told) > 1 else 'holds'} the evidence",),
            advice="have the evidence as a file (onward evidence --help), and ask its operator",
            costs_vote=False,
        )
        for name, told in holders.items()
    )


def _burdens(node: NodeSeen) -> tuple[Finding, ...]:
    found = []
    free = None if node.home is None else node.home.free_bytes
    if free is not None and free < DISK_LOW_BYTES:
        found.append(
            Finding(
                code=Code.DISK_LOW,
                who=(node.name,),
                sentence=f"{node.name}'s disk has {free // 2**20} MiB left; full, it ends the node",
                because=(f"{free} bytes are free where its home lies",),
                advice="make room now",
                costs_vote=False,
            )
        )
    waiting = 0 if node.answer is None else node.answer.in_flight
    if waiting >= BACKLOG_TRANSACTIONS:
        found.append(
            Finding(
                code=Code.BACKLOG,
                who=(node.name,),
                sentence=f"{waiting} transactions wait at {node.name} for their verdict; clients "
                "are told E_BUSY before long",
                because=(f"it says that {waiting} are in flight",),
                advice="send less, or to all validators alike",
                costs_vote=False,
            )
        )
    return tuple(found)


def _is_address(node: NodeSeen) -> bool:
    """Whether nothing is known of a node but where it was looked for."""
    return node.name == node.gateway


def _asked(node: NodeSeen) -> tuple[str, ...]:
    match node.reach:
        case Reach.NOBODY_LISTENS:
            return (f"nobody listens at {node.gateway}",)
        case Reach.SILENT:
            return (f"{node.gateway} takes a connection and says nothing",)
        case Reach.NO_TLS:
            return (f"{node.gateway} does not speak TLS as a node does",)
        case Reach.REFUSED:
            return (f"{node.gateway} answers, and not with its status",)
        case Reach.UNREACHABLE:
            return (f"there is no way to {node.gateway} from here",)
        case _:
            return ()


def _start(node: NodeSeen, seen: Observations) -> str:
    if seen.start_command:
        return seen.start_command
    home = f" --home {node.home.path}" if node.home is not None else ""
    return f"start it on its machine (onward node run{home or ' --home HOME'})"
