"""What a diagnosis says: findings with stable codes, and one sentence above them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum


class Verdict(StrEnum):
    """Whether new blocks come."""

    PROGRESSES = "progresses"
    STUCK = "stuck"
    UNKNOWN = "unknown"


class Certainty(StrEnum):
    """How sure a finding is."""

    CERTAIN = "certain"  # somebody who must know said so
    LIKELY = "likely"  # it explains all that was seen
    POSSIBLE = "possible"


class Code(StrEnum):
    """What can be found. Stable: docs/operating/why-stuck.md explains each."""

    # A validator that takes no part, worst to mend first.
    FORKED = "forked"
    DIVERGED = "diverged"
    JOURNAL_LOST = "journal-lost"
    ABSTAINS = "abstains"
    DATA_DAMAGED = "data-damaged"
    DATA_MISSING = "data-missing"
    HOME_MISSING = "home-missing"
    FOREIGN_KEY = "foreign-key"
    HOME_WRONG = "home-wrong"
    OTHER_FORMAT = "other-format"
    OTHER_CHAIN = "other-chain"
    OTHER_EPOCH = "other-epoch"
    STRANGER = "stranger"
    DISK_FULL = "disk-full"
    DISK_FAILED = "disk-failed"
    OUT_OF_FILES = "out-of-files"
    ADDRESS_TAKEN = "address-taken"
    HOME_LOCKED = "home-locked"
    BUG = "bug"
    FROZEN = "frozen"
    DISK_HANGS = "disk-hangs"
    CLOCK = "clock"
    LINK_DOWN = "link-down"
    UNHEARD = "unheard"
    KILLED = "killed"
    STOPPED = "stopped"
    NOT_RUNNING = "not-running"
    NOT_ANSWERING = "not-answering"
    STARTING = "starting"
    CATCHING_UP = "catching-up"
    # What hurts and keeps nobody from voting.
    ACCUSED = "accused"
    RESULTS_DIFFER = "results-differ"
    CLOCK_AHEAD = "clock-ahead"
    GATEWAY_SILENT = "gateway-silent"
    BACKLOG = "backlog"
    DISK_LOW = "disk-low"
    OWN_CLOCK = "own-clock"


PREDICATES: dict[Code, tuple[str, str]] = {
    Code.FORKED: ("has seen a fork", "have seen a fork"),
    Code.DIVERGED: ("has diverged", "have diverged"),
    Code.JOURNAL_LOST: ("has lost its votes", "have lost their votes"),
    Code.ABSTAINS: ("only follows", "only follow"),
    Code.DATA_DAMAGED: ("has damaged data", "have damaged data"),
    Code.DATA_MISSING: ("has no data", "have no data"),
    Code.HOME_MISSING: ("has no home", "have no home"),
    Code.FOREIGN_KEY: ("has a key that the genesis does not name",) * 2,
    Code.HOME_WRONG: ("cannot start from its home", "cannot start from their homes"),
    Code.OTHER_FORMAT: ("has a home of another format", "have homes of another format"),
    Code.OTHER_CHAIN: ("is on another chain", "are on another chain"),
    Code.OTHER_EPOCH: ("is in an earlier epoch", "are in an earlier epoch"),
    Code.STRANGER: ("has somebody else at its address", "have somebody else at their addresses"),
    Code.DISK_FULL: ("has a full disk", "have full disks"),
    Code.DISK_FAILED: ("has a disk that fails", "have disks that fail"),
    Code.OUT_OF_FILES: ("may open no more files", "may open no more files"),
    Code.ADDRESS_TAKEN: ("found its address taken", "found their addresses taken"),
    Code.HOME_LOCKED: ("found its home in use", "found their homes in use"),
    Code.BUG: ("ended with a bug", "ended with a bug"),
    Code.FROZEN: ("is frozen", "are frozen"),
    Code.DISK_HANGS: ("waits for its disk", "wait for their disks"),
    Code.CLOCK: ("has a wrong clock", "have wrong clocks"),
    Code.LINK_DOWN: ("has no link to others it needs", "have no link to others they need"),
    Code.UNHEARD: ("is not heard", "are not heard"),
    Code.KILLED: ("was killed", "were killed"),
    Code.STOPPED: ("was stopped", "were stopped"),
    Code.NOT_RUNNING: ("is not running", "are not running"),
    Code.NOT_ANSWERING: ("does not answer", "do not answer"),
    Code.STARTING: ("is starting", "are starting"),
    Code.CATCHING_UP: ("is catching up", "are catching up"),
    Code.ACCUSED: ("has provably lied", "have provably lied"),
    Code.RESULTS_DIFFER: ("has another state than the others", "have another state"),
    Code.CLOCK_AHEAD: ("has a clock that runs ahead", "have clocks that run ahead"),
    Code.GATEWAY_SILENT: ("votes but answers no clients", "vote but answer no clients"),
    Code.BACKLOG: ("has a backlog", "have a backlog"),
    Code.DISK_LOW: ("is short of disk space", "are short of disk space"),
    Code.OWN_CLOCK: ("has a wrong clock", "have wrong clocks"),
}
"""What a code says of one validator, and of several."""

_ALIKE = frozenset({Code.NOT_RUNNING, Code.STOPPED, Code.KILLED})
_ORDER = {code: place for place, code in enumerate(Code)}
_SURENESS = {certainty: place for place, certainty in enumerate(Certainty)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong.

    `sentence` is whole and for people, `because` holds what was seen, `advice` says what to do.
    `costs_vote`: those in `who` cannot help to finalize a block while it lasts.
    """

    code: Code
    who: tuple[str, ...]
    sentence: str
    because: tuple[str, ...]
    advice: str
    certainty: Certainty = Certainty.CERTAIN
    costs_vote: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """The answer. `state` names it in a word; `is_decided`: looking again would change nothing."""

    verdict: Verdict
    state: str
    sentence: str
    findings: tuple[Finding, ...]
    is_decided: bool


def ranked(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """What stops the network first, then the surer, then the worse."""
    return tuple(
        sorted(
            findings,
            key=lambda item: (
                not item.costs_vote,
                _SURENESS[item.certainty],
                _ORDER[item.code],
                item.who,
            ),
        )
    )


def merged(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Absent validators of whom nothing but the name differs become one finding."""
    groups: dict[object, list[Finding]] = {}
    for item in findings:
        alike = item.code in _ALIKE
        key = (item.code, item.because, item.advice) if alike else item
        groups.setdefault(key, []).append(item)
    together = []
    for first, *rest in groups.values():
        who = tuple(dict.fromkeys(name for item in (first, *rest) for name in item.who))
        several = f"{listed(who)} {PREDICATES[first.code][1]}"
        together.append(replace(first, who=who, sentence=several) if rest else first)
    return tuple(together)


def in_short(findings: Sequence[Finding]) -> str:
    """All findings as clauses of one sentence: "v2 and v3 are frozen, v4 was stopped"."""
    by_code: dict[Code, dict[str, None]] = {}
    for finding in findings:
        if finding.who:
            by_code.setdefault(finding.code, {}).update(dict.fromkeys(finding.who))
    clauses = [
        f"{listed(tuple(who))} {PREDICATES[code][len(who) > 1]}" for code, who in by_code.items()
    ]
    return ", and ".join([", ".join(clauses[:-1]), *clauses[-1:]] if clauses[1:] else clauses)


def listed(names: Sequence[str], *, last: str = "and") -> str:
    """Names as people write them: "v1, v2 and v3"."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} {last} {names[-1]}"


def span(ms: int) -> str:
    """A length of time for people: "0.4 s", "12 s", "3 min", "5 h", "2 days"."""
    seconds = abs(ms) // 1_000
    if seconds < 2:
        tenths = abs(ms) // 100
        return f"{tenths // 10}.{tenths % 10} s"
    for unit, name in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{(seconds + unit // 2) // unit} {name}"
    return f"{seconds} s"
