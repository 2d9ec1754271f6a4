"""Whose clock lets it vote.

Two rules of consensus decide: a proposal may run ahead of a voter's clock by `future_ms_max` and
lag behind it by `past_ms_max`, and a block's time is later than its parent's.
"""

from __future__ import annotations

from onward.diagnosis.findings import Certainty, Code, Finding, span
from onward.diagnosis.observations import NodeSeen, Observations

_NTP = "set its clock (run NTP), then restart it: a node reads the system's clock when it starts"


def clock_findings(seen: Observations) -> tuple[Finding, ...]:
    """Validators that refuse the others' proposals, or whose own are refused."""
    clocks = {
        node.name: node.clock_ahead_ms for node in seen.answering if node.clock_ahead_ms is not None
    }
    if not clocks:
        return ()
    right = _reference_ms(seen, clocks)
    found = []
    for node in seen.answering:
        ahead_ms = clocks.get(node.name)
        if ahead_ms is None:
            continue
        finding = _behind_the_chain(node, seen) or _off(node.name, ahead_ms, right, seen)
        if finding is not None:
            found.append(finding)
    if abs(right) > seen.times.future_ms_max and len(clocks) > 1 and not found:
        found.append(_own_clock(right))
    if seen.is_alone:
        found.extend(_hearsay(seen))
    return tuple(found)


def _reference_ms(seen: Observations, clocks: dict[str, int]) -> int:
    """The clock with which most agree; between equals, the one nearest to ours."""
    return min(
        clocks.values(),
        key=lambda clock: (
            -sum(abs(other - clock) <= seen.times.future_ms_max for other in clocks.values()),
            abs(clock),
        ),
    )


def _may_vote(ahead_ms: int, seen: Observations) -> bool:
    """Whether a validator whose clock is so far ahead of a leader's votes for its proposal."""
    return -seen.times.future_ms_max <= ahead_ms <= seen.times.past_ms_max


def _off(name: str, ahead_ms: int, right_ms: int, seen: Observations) -> Finding | None:
    off_ms = ahead_ms - right_ms
    direction = "ahead" if off_ms > 0 else "behind"
    because: tuple[str, ...] = (f"its clock is {span(off_ms)} {_side(off_ms)} the others'",)
    if ahead_ms and abs(right_ms) > seen.times.future_ms_max:
        because += (f"and {span(ahead_ms)} {_side(ahead_ms)} this machine's",)
    if not _may_vote(off_ms, seen):
        return Finding(
            code=Code.CLOCK,
            who=(name,),
            sentence=f"{name}'s clock is {span(off_ms)} {direction}: it does not vote for the "
            "others' proposals, nor they for its own",
            because=because,
            advice=_NTP,
        )
    if off_ms > seen.times.future_ms_max:
        return Finding(
            code=Code.CLOCK_AHEAD,
            who=(name,),
            sentence=f"{name}'s clock is {span(off_ms)} ahead: the others refuse its proposals, "
            "and each of its views is lost",
            because=because,
            advice=_NTP,
            costs_vote=False,
        )
    return None


def _behind_the_chain(node: NodeSeen, seen: Observations) -> Finding | None:
    """A clock that the chain itself has passed: no next block can please this validator."""
    answer = node.answer
    if answer is None or not answer.now_ms:
        return None
    newest_ms = max(
        other.answer.time_ms
        for other in seen.answering
        if other.answer is not None and other.answer.chain_id == answer.chain_id
    )
    lacks_ms = newest_ms - answer.now_ms
    if lacks_ms <= seen.times.future_ms_max:
        return None
    return Finding(
        code=Code.CLOCK,
        who=(node.name,),
        sentence=f"{node.name}'s clock is {span(lacks_ms)} behind the last block's time: every "
        "next block lies in its future, and it votes for none",
        because=(f"the last block's time is {span(lacks_ms)} ahead of {node.name}'s clock",),
        advice=_NTP,
    )


def _own_clock(right_ms: int) -> Finding:
    return Finding(
        code=Code.OWN_CLOCK,
        who=(),
        sentence=f"the validators agree on a time that is {span(right_ms)} {_side(right_ms)} this "
        "machine's",
        because=("all that answered are as far off",),
        advice="set this machine's clock",
        costs_vote=False,
    )


def _hearsay(seen: Observations) -> tuple[Finding, ...]:
    """One node cannot see the others' clocks, but it says why it did not vote."""
    found = []
    for node in seen.answering:
        answer = node.answer
        if answer is None or "this clock" not in answer.not_voted:
            continue
        if answer.not_voted_ago_ms <= seen.calm_ms:
            found.append(
                Finding(
                    code=Code.CLOCK_AHEAD,
                    who=(),
                    sentence=f"{node.name} refuses proposals because of their time: its clock or "
                    "the proposers' is wrong",
                    because=(
                        f"{span(answer.not_voted_ago_ms)} ago a proposal was {answer.not_voted}",
                    ),
                    advice="compare the clocks of all validators with NTP; restart those that were "
                    "wrong",
                    certainty=Certainty.LIKELY,
                    costs_vote=False,
                )
            )
    return tuple(found)


def _side(ahead_ms: int) -> str:
    return "ahead of" if ahead_ms > 0 else "behind"
