"""The executable spec by itself: each of its rules can object."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.spec.vote_rules import Ballot, Kind, Proposal, Voter

ROOT = Proposal("root", 0, "", -1)
A = Proposal("a", 1, "root", 0)
B = Proposal("b", 2, "a", 1)
SKIP = Proposal("skip", 2, "root", 0)
NOTARIZE, NULLIFY, FINALIZE = Kind

Step = Callable[[Voter], tuple[str, ...]]


def voter(*certified: Ballot) -> Voter:
    """Validator 3 of four, which holds every block above and knows these certificates."""
    found = Voter(3, 4, 3, ROOT)
    for block in (A, B, SKIP):
        found.hold(block)
    for leader, block in ((1, A), (2, B), (2, SKIP)):
        found.hear(Ballot(NOTARIZE, block.view, block.name), leader)
    for ballot in certified:
        for signer in range(3):
            found.hear(ballot, signer)
    return found


def test_good_case_meets_no_objection() -> None:
    it = voter()
    vote, final = Ballot(NOTARIZE, 1, "a"), Ballot(FINALIZE, 1, "a")
    steps = [it.cast(vote), it.sync(vote), it.send(vote, 3)]
    it.hear(vote, 0)
    it.hear(vote, 2)
    steps += [it.vouch(vote), it.enter(2), it.cast(final), it.cast(Ballot(NOTARIZE, 2, "b"))]
    it.hear(final, 0)
    it.hear(final, 1)
    steps += [it.deliver(A), it.sync(final), it.reboot(A, 1, [])]
    assert not any(steps)


def twice(first: Ballot, second: Ballot) -> Step:
    def steps(it: Voter) -> tuple[str, ...]:
        it.cast(first)
        return it.cast(second)

    return steps


def forgotten(it: Voter) -> tuple[str, ...]:
    it.cast(Ballot(NULLIFY, 1))
    it.sync(Ballot(NULLIFY, 1))
    return it.reboot(ROOT, 0, [])


def sent_at_once(it: Voter) -> tuple[str, ...]:
    it.cast(Ballot(NULLIFY, 1))
    return it.send(Ballot(NULLIFY, 1), 3)


def below_the_floor(it: Voter) -> tuple[str, ...]:
    it.deliver(A)
    return it.cast(Ballot(FINALIZE, 1, "a"))


@pytest.mark.parametrize(
    ("rule", "known", "step"),
    [
        ("S1", [], twice(Ballot(NULLIFY, 1), Ballot(NULLIFY, 1))),
        ("S2", [Ballot(NOTARIZE, 1, "a")], twice(Ballot(NULLIFY, 1), Ballot(FINALIZE, 1, "a"))),
        ("S3", [Ballot(FINALIZE, 1, "a")], below_the_floor),
        ("J", [Ballot(NOTARIZE, 1, "a")], lambda it: it.cast(Ballot(NOTARIZE, 2, "skip"))),
        ("F", [], lambda it: it.cast(Ballot(FINALIZE, 1, "a"))),
        ("L", [Ballot(NULLIFY, 1)], twice(Ballot(NULLIFY, 2), Ballot(NOTARIZE, 1, "skip"))),
        ("H", [Ballot(NOTARIZE, 1, "?")], lambda it: it.cast(Ballot(FINALIZE, 1, "?"))),
        ("E", [], lambda it: it.enter(2)),
        ("E", [Ballot(NULLIFY, 1)], twice(Ballot(NULLIFY, 2), Ballot(NULLIFY, 1))),
        ("C", [], lambda it: it.vouch(Ballot(NULLIFY, 1))),
        ("D1", [], sent_at_once),
        ("D1", [], lambda it: it.send(Ballot(NULLIFY, 1), 2)),
        ("D2", [], forgotten),
        ("D2", [], lambda it: it.reboot(ROOT, 0, [Ballot(NULLIFY, 1)])),
        ("V", [Ballot(NOTARIZE, 1, "a")], lambda it: it.deliver(A)),
        ("V", [Ballot(FINALIZE, 2, "b")], lambda it: it.deliver(B)),
    ],
)
def test_rule_objects(rule: str, known: list[Ballot], step: Step) -> None:
    """A rule that never objects is a comment."""
    assert rule in step(voter(*known))
