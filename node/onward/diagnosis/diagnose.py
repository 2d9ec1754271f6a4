"""From what was seen to one sentence, and the findings behind it.

The rules, in this order:

- fewer than a quorum that could vote and are linked are no progress, however lately a block came;
  but blocks that come one after the other before somebody's eyes are, whatever else was seen;
- where nobody at all answers, processes that run prove nothing: they may only be slow;
- a quorum that could, and a block of late: progress; no block for longer than f failing leaders
  take: stuck, and of an unknown cause;
- everything else is not decided yet: look again while there is time.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from onward.diagnosis.clocks import clock_findings
from onward.diagnosis.epochs import epoch_findings, weighed
from onward.diagnosis.findings import (
    Certainty,
    Code,
    Diagnosis,
    Finding,
    Verdict,
    in_short,
    listed,
    merged,
    ranked,
    span,
)
from onward.diagnosis.links import Link, chain_findings, group, link_findings, links_of
from onward.diagnosis.members import abstaining_findings, accused_findings, member_findings
from onward.diagnosis.observations import NodeSeen, Observations
from onward.replica.answers import NodeStatus

BEHIND_BLOCKS = 20
_BUSY_BLOCKS = 2  # an idle network makes one in a heartbeat
_STARTING_MS = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """What was seen, and what has been made of it so far."""

    seen: Observations
    findings: tuple[Finding, ...]
    able: tuple[str, ...]  # that nothing keeps from voting by themselves
    group: frozenset[str]  # of them, those with enough links
    voters: tuple[NodeStatus, ...]  # the answers of the group

    @property
    def last_ms(self) -> int | None:
        """Since the youngest block that one of the group has seen become final."""
        known = [item.finalized_ago_ms for item in self.voters if item.finalized_ago_ms is not None]
        return min(known, default=None)


def diagnose(seen: Observations) -> Diagnosis:
    """What is the matter with the network that was looked at."""
    links = links_of(seen)
    chains = chain_findings(seen, links)
    foreign = _who(chains)
    members = tuple(item for item in member_findings(seen) if not _who((item,)) <= foreign)
    clocks = tuple(
        item for item in clock_findings(seen) if not item.who or item.who[0] not in foreign
    )
    late = epoch_findings(seen)
    heights = tuple(
        item for item in _height_findings(seen, foreign) if not _who((item,)) <= _who(late)
    )
    burdens = (*abstaining_findings(seen), *accused_findings(seen))
    found = weighed((*members, *chains, *clocks, *late, *heights, *burdens), seen)
    lost = _who(item for item in found if item.costs_vote)
    unseen = (
        frozenset()
        if seen.is_alone
        else frozenset(node.name for node in seen.nodes if node.answer is None)
    )
    found += link_findings(seen, links, lost | unseen)
    case = _case(seen, merged(ranked(found)), lost, links)
    return _judged(case)


def _case(
    seen: Observations, found: tuple[Finding, ...], lost: frozenset[str], links: tuple[Link, ...]
) -> _Case:
    able = tuple(name for name in seen.names if name not in lost)
    linked = group(able, links, seen.quorum)
    return _Case(
        seen=seen,
        findings=found,
        able=able,
        group=linked,
        voters=tuple(
            node.answer
            for node in seen.answering
            if node.answer is not None and (node.name in linked or _is_onlooker(node, seen))
        ),
    )


def _is_onlooker(node: NodeSeen, seen: Observations) -> bool:
    """Whether all that is known comes from a node that has no vote itself."""
    return seen.is_alone and node.name not in seen.names


def _who(findings: object) -> frozenset[str]:
    names: set[str] = set()
    for finding in findings:  # type: ignore[attr-defined]
        names.update(finding.who)
    return frozenset(names)


# -- the verdict -----------------------------------------------------------------------------------


def _judged(case: _Case) -> Diagnosis:
    seen = case.seen
    is_whole_group = len(case.group) >= seen.quorum
    if seen.rise > 1 or (seen.rise and is_whole_group):
        return _progress(case)
    if seen.rise and not seen.is_last_look:
        return _undecided(case)  # a late vote can finalize one more block, and then none
    starting = _who(item for item in case.findings if item.code is Code.STARTING)
    if not is_whole_group and len(case.able) + len(starting) >= seen.quorum and starting:
        return _starting(case)
    if not seen.answering:
        # Only where all validators were looked at does silence tell of the network.
        is_proved = seen.is_whole and not is_whole_group and not _may_be_slow(case)
        return _stuck(case) if is_proved else _unasked(case)
    if not is_whole_group or not case.voters:
        return _starting(case) if _is_starting(case) else _stuck(case)
    last_ms = case.last_ms
    asked = {node.name for node in seen.answering}
    is_lately = (
        last_ms is not None and last_ms <= seen.times.heartbeat_ms + seen.times.timeout_ms_max
    )
    if is_lately and len(case.group & asked) >= seen.quorum:
        return _progress(case)
    return _undecided(case) if _may_be_calm(case) else _stuck(case)


def _may_be_slow(case: _Case) -> bool:
    """Whether those who run and say nothing would be a quorum: of a machine out of breath they do.

    Where somebody else answers, what it has heard of them decides instead.
    """
    silent = _who(item for item in case.findings if item.code is Code.NOT_ANSWERING)
    return bool(silent) and len(case.able) + len(silent) >= case.seen.quorum


def _is_starting(case: _Case) -> bool:
    """Whether links may be missing only because they are being made."""
    youngest = min(
        (node.answer.uptime_ms for node in case.seen.answering if node.answer is not None),
        default=_STARTING_MS,
    )
    is_enough = len(case.able) >= case.seen.quorum
    return is_enough and youngest < _STARTING_MS and not case.seen.is_last_look


def _may_be_calm(case: _Case) -> bool:
    """Whether the silence so far is no longer than a network that works may keep."""
    quiet = [
        item.uptime_ms if item.finalized_ago_ms is None else item.finalized_ago_ms
        for item in case.voters
    ]
    return min(quiet) <= case.seen.calm_ms


def _progress(case: _Case) -> Diagnosis:
    seen = case.seen
    waiting = sum(node.answer.in_flight for node in seen.answering if node.answer is not None)
    busy = waiting > 0 or seen.rise >= _BUSY_BLOCKS
    state = "busy" if busy else "idle"
    lost = [item for item in case.findings if item.costs_vote]
    if case.findings:
        spare = len(case.group) - seen.quorum
        margin = f"; {_margin(spare)}" if lost and seen.is_whole else ""
        short = in_short(lost or case.findings)
        told = short or _clause(case.findings[0].sentence)
        sentence = f"The network progresses, but {told}{margin}."
        return _told(case, Verdict.PROGRESSES, "degraded" if lost else state, sentence)
    last = _last_block(case)
    if busy:
        more = f", {waiting} transactions wait for their verdict" if waiting else ""
        sentence = f"The network is not stuck: it is busy; {last}{more}."
    else:
        sentence = f"The network is not stuck: it is idle; {last}, and nothing waits."
    return _told(case, Verdict.PROGRESSES, state, sentence)


def _margin(spare: int) -> str:
    if spare <= 0:
        return "one more loss stops it"
    return f"it can lose {spare} more"


def _stuck(case: _Case) -> Diagnosis:
    seen = case.seen
    lost = [item for item in case.findings if item.costs_vote]
    size = len(seen.names)
    if seen.is_alone and seen.answering and len(case.able) >= seen.quorum:
        lost_links = [item for item in lost if item.code is Code.UNHEARD]
        if lost_links:
            return _stuck_from(case, lost_links)
    if len(case.able) < seen.quorum:
        count = "none" if not case.able else f"only {len(case.able)}"
        why = f"{count} of {size} validators can vote, and {seen.quorum} are needed"
        short = in_short(lost)
        return _told(case, Verdict.STUCK, "no-quorum", f"The network is stuck: {why}; {short}.")
    if len(case.group) < seen.quorum:
        why = f"{len(case.able)} of {size} validators run, but no {seen.quorum} of them are linked"
        return _told(
            case, Verdict.STUCK, "no-quorum", f"The network is stuck: {why}; {in_short(lost)}."
        )
    last_ms = case.last_ms
    quiet = (
        "no block has become final since they started"
        if last_ms is None
        else (f"the last block became final {span(last_ms)} ago")
    )
    sentence = (
        f"The network is stuck: {quiet}, although {len(case.group)} of {size} validators run and "
        "are linked; the cause is none that is known here."
    )
    return _told(case, Verdict.STUCK, "unexplained", sentence)


def _stuck_from(case: _Case, lost: list[Finding]) -> Diagnosis:
    """One node was asked: what it cannot reach may still work without it."""
    seen = case.seen
    name = seen.answering[0].name
    missing = tuple(dict.fromkeys(who for item in lost for who in item.who))
    hears = len(seen.names) - 1 - len(missing)
    sentence = (
        f"Seen from {name} the network is stuck: {name} hears {hears} of {len(seen.names) - 1} "
        f"other validators and needs {seen.quorum - 1}; {listed(missing)} "
        f"{'are' if len(missing) > 1 else 'is'} missing."
    )
    return _told(case, Verdict.STUCK, "no-quorum", sentence)


def _unasked(case: _Case) -> Diagnosis:
    told = "; ".join(item.sentence for item in case.findings)
    why = told or "nobody could be asked"
    sentence = f"It could not be found out whether the network progresses: {why}."
    is_decided = not _may_be_slow(case)
    return _told(case, Verdict.UNKNOWN, "unasked", sentence, is_decided=is_decided)


def _starting(case: _Case) -> Diagnosis:
    told = in_short(case.findings) or "the validators have just started and are linking up"
    sentence = f"It could not be found out yet: {told}. Ask again."
    return _told(case, Verdict.UNKNOWN, "starting", sentence, is_decided=False)


def _undecided(case: _Case) -> Diagnosis:
    last_ms = case.last_ms
    quiet = (
        "no block has become final since the start"
        if last_ms is None
        else (f"the last block became final {span(last_ms)} ago")
    )
    told = in_short(case.findings)
    sentence = (
        f"It could not be found out yet: {quiet}, and up to {span(case.seen.calm_ms)} can be normal"
        f"{f'; {told}' if told else ''}. Ask again."
    )
    return _told(case, Verdict.UNKNOWN, "too-early", sentence, is_decided=False)


def _told(
    case: _Case, verdict: Verdict, state: str, sentence: str, *, is_decided: bool = True
) -> Diagnosis:
    return Diagnosis(
        verdict=verdict,
        state=state,
        sentence=sentence,
        findings=case.findings,
        is_decided=is_decided,
    )


def _last_block(case: _Case) -> str:
    top = max((item.finalized_height for item in case.voters), default=0)
    if case.last_ms is None:
        return f"block {top} has become final"
    return f"block {top} became final {span(case.last_ms)} ago"


def _clause(sentence: str) -> str:
    return sentence.partition(":")[0]


# -- heights and states ----------------------------------------------------------------------------


def _height_findings(seen: Observations, foreign: frozenset[str]) -> tuple[Finding, ...]:
    nodes = [node for node in seen.answering if node.name not in foreign]
    top = max(
        (node.answer.finalized_height for node in nodes if node.answer is not None), default=0
    )
    found = []
    for node in nodes:
        heights = [peer.height for peer in node.answer.peers] if node.answer is not None else []
        reached = max(top, *heights) if heights and seen.is_alone else top
        late = None if node.answer is None else _late(node, node.answer, reached)
        if late is not None:
            found.append(late)
    return (*found, *_state_findings(nodes))


def _late(node: NodeSeen, answer: NodeStatus, top: int) -> Finding | None:
    gap = top - answer.height
    if gap < BEHIND_BLOCKS:
        return None
    before = node.height_before
    rose = 0 if before is None else answer.finalized_height - before
    if rose > 0:
        sentence = f"{node.name} is {gap} blocks behind and catches up"
        advice = "wait"
    else:
        sentence = f"{node.name} is {gap} blocks behind and comes no nearer"
        advice = "look at its log and at its links; if it stays so, restart it"
    return Finding(
        code=Code.CATCHING_UP,
        who=(node.name,),
        sentence=sentence,
        because=(
            f"it has executed block {answer.height}, others have finalized block {top}",
            f"it came {rose} blocks further while this was watched",
        ),
        advice=advice,
        certainty=Certainty.CERTAIN if rose > 0 else Certainty.LIKELY,
    )


def _state_findings(nodes: list[NodeSeen]) -> tuple[Finding, ...]:
    """Two states after one block: the few are named; they stop once a certified block tells."""
    by_height: dict[int, list[NodeSeen]] = {}
    for node in nodes:
        if node.answer is not None:
            by_height.setdefault(node.answer.height, []).append(node)
    found = []
    for height, level in by_height.items():
        roots = Counter(node.answer.state_root for node in level if node.answer is not None)
        if len(roots) < 2:
            continue
        ((usual, _),) = roots.most_common(1)
        few = tuple(node.name for node in level if node.answer and node.answer.state_root != usual)
        found.append(
            Finding(
                code=Code.RESULTS_DIFFER,
                who=few,
                sentence=f"{listed(few)} and the others have different states after block {height}",
                because=(f"{len(roots)} state roots after block {height}",),
                advice="compare program versions; whoever is wrong will stop by itself",
                costs_vote=False,
            )
        )
    return tuple(found)
