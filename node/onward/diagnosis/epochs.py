"""Validators that are not where the others are: in an earlier epoch, under an earlier set.

Votes count in their own epoch only. A node that missed the end of one fetches the chain up to there
and changes over by itself, in less time than somebody needs to look twice: who is behind and comes
no further has nobody to ask.
"""

from __future__ import annotations

from dataclasses import replace

from onward.diagnosis.findings import Code, Finding, listed
from onward.diagnosis.observations import NodeSeen, Observations

_ABSENT = frozenset({Code.KILLED, Code.STOPPED, Code.NOT_RUNNING})


def epoch_findings(seen: Observations) -> tuple[Finding, ...]:
    """Validators of the newest epoch that are still in an earlier one."""
    found = []
    for node in seen.answering:
        answer = node.answer
        if answer is None or (seen.chain_id is not None and answer.chain_id != seen.chain_id):
            continue
        rises = node.height_before is not None and answer.finalized_height > node.height_before
        others, newest = _ahead(node, seen)
        if others and not rises:
            found.append(_behind(node.name, answer.epoch, newest, others))
    return tuple(found)


def weighed(findings: tuple[Finding, ...], seen: Observations) -> tuple[Finding, ...]:
    """Who is no validator in the newest epoch has no vote to lose, and may be switched off."""
    kept = []
    for item in findings:
        if not item.who or set(item.who) & set(seen.names):
            kept.append(item)
        elif item.code not in _ABSENT:
            kept.append(replace(item, costs_vote=False))
    return tuple(kept)


def _ahead(node: NodeSeen, seen: Observations) -> tuple[tuple[str, ...], int]:
    """Who is in a later epoch than a node that should vote there, and in which; one liar is none.

    All that were looked at speak for themselves. Of one that is alone, f + 1 peers must say so.
    """
    answer = node.answer
    if answer is None:
        return (), 0
    if not seen.is_alone:
        ahead = tuple(
            other.name
            for other in seen.answering
            if other.answer is not None and other.answer.epoch == seen.epoch
        )
        is_late = answer.epoch < seen.epoch and node.name in seen.names
        return (ahead, seen.epoch) if is_late else ((), 0)
    said = {peer.validator: peer.epoch for peer in answer.peers if peer.epoch > answer.epoch}
    is_proved = len(said) > len(seen.names) - seen.quorum
    return (tuple(said), min(said.values())) if is_proved else ((), 0)


def _behind(name: str, own: int, newest: int, others: tuple[str, ...]) -> Finding:
    are = "are" if len(others) > 1 else "is"
    return Finding(
        code=Code.OTHER_EPOCH,
        who=(name,),
        sentence=f"{name} is still in epoch {own}, and the network is in epoch {newest}: its votes "
        "count for nobody",
        because=(
            f"{name} says epoch {own}; {listed(others)} {are} in epoch {newest}",
            f"{name} comes no further while this is watched",
        ),
        advice=f"see that {name} has links with validators of epoch {newest}: their names and keys "
        "must stand under [peers.keys] and [peers.addresses] of its node.toml; then restart it",
    )
