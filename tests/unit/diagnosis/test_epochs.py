"""The diagnosis where validators changed: who has a vote now, and who missed the change."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.diagnosis.test_diagnose import (
    NAMES,
    absent,
    found,
    from_one,
    peer,
    seen,
    well,
)

from onward.diagnosis.diagnose import diagnose
from onward.diagnosis.findings import Verdict
from onward.diagnosis.observations import NodeSeen
from onward.replica.answers import PeerStatus


def in_epoch(name: str, epoch: int, **changes: object) -> NodeSeen:
    return well(name, epoch=epoch, **changes)


def test_validator_that_stays_in_an_earlier_epoch_is_named_and_has_no_vote() -> None:
    """It runs, hears everybody and is 3 blocks behind: nothing else tells that it is lost."""
    others = tuple(in_epoch(name, 1) for name in NAMES[:3])
    late = in_epoch("v4", 0, height=38, finalized_height=38)
    told = diagnose(seen(nodes=(*others, replace(late, height_before=38)), epoch=1))
    assert (told.verdict, found(told)) == (Verdict.PROGRESSES, {("other-epoch", ("v4",))})
    assert "v4 is in an earlier epoch; one more loss stops it" in told.sentence
    assert told.findings[0].because[0] == "v4 says epoch 0; v1, v2 and v3 are in epoch 1"


def test_validator_that_just_changes_over_is_not_accused_of_being_late() -> None:
    """Two nodes are asked one after the other, and a change of epochs may lie between."""
    others = tuple(in_epoch(name, 1) for name in NAMES[:3])
    late = in_epoch("v4", 0, height=38, finalized_height=38)
    told = diagnose(seen(nodes=(*others, replace(late, height_before=30)), epoch=1))
    assert found(told) == set()


def test_two_that_missed_the_change_are_a_standstill() -> None:
    nodes = (*(in_epoch(n, 3) for n in NAMES[:2]), *(in_epoch(n, 2) for n in NAMES[2:]))
    told = diagnose(seen(nodes=nodes, epoch=3))
    assert told.verdict is Verdict.STUCK
    assert "only 2 of 4 validators can vote, and 3 are needed" in told.sentence
    assert "v3 and v4 are in an earlier epoch" in told.sentence


def test_one_node_alone_believes_more_peers_than_may_lie_that_it_is_late() -> None:
    """A single liar must not send an operator to mend a node that is well."""
    for liars, expected in ((1, set()), (2, {("other-epoch", ("v1",))})):
        ahead = set(NAMES[1 : 1 + liars])
        peers = tuple(peer(n, epoch=5 if n in ahead else 0) for n in NAMES[1:])
        assert found(diagnose(from_one(well("v1", peers=peers), rise=1))) == expected


def joined(**changes: object) -> NodeSeen:
    """A machine that only this one set knows, looked at or told of."""
    return replace(well("v4", **changes), name="v5")


def test_removed_validator_that_is_switched_off_costs_nobody_anything() -> None:
    """The runbook says to switch it off; the network must not look ill for ever after."""
    names = ("v1", "v2", "v3", "v5")
    peers = (*(peer(n) for n in NAMES[:3]), PeerStatus(validator="v5", index=4, up=True, height=41))
    nodes = tuple(
        in_epoch(n, 1, peers=tuple(p for p in peers if p.validator != n)) for n in NAMES[:3]
    )
    told = diagnose(seen(nodes=(*nodes, absent("v4")), names=names, epoch=1))
    assert (told.verdict, found(told)) == (Verdict.PROGRESSES, set())


def test_newcomer_of_another_machine_counts_by_what_the_others_tell_of_it() -> None:
    """Of five, four are needed: with the newcomer and one more gone, nothing comes any more."""
    names = (*NAMES, "v5")

    def node(name: str) -> NodeSeen:
        newcomer = PeerStatus(validator="v5", index=4, up=False, height=41)
        others = tuple(peer(n, up=n != "v4") for n in NAMES if n != name)
        return in_epoch(name, 1, peers=(*others, newcomer))

    told = diagnose(seen(nodes=(*map(node, NAMES[:3]), absent("v4")), names=names, epoch=1))
    assert told.verdict is Verdict.STUCK
    assert {code for code, who in found(told) if who == ("v5",)} == {"link-down"}


def test_follower_alone_tells_of_progress_and_is_not_asked_for_its_vote() -> None:
    """Its pages show that blocks come, although no validator of the set was looked at."""
    told = diagnose(from_one(joined(epoch=1, view=0, abstains=True), names=NAMES, epoch=1, rise=1))
    assert told.verdict is Verdict.PROGRESSES
    assert found(told) == {("abstains", ("v5",))}
    quiet = from_one(
        joined(epoch=1, view=0, abstains=True, finalized_ago_ms=1_000), names=NAMES, epoch=1
    )
    assert diagnose(quiet).verdict is Verdict.UNKNOWN
