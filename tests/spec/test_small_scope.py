"""All states of the vote rules in a small scope: four validators, one of them a liar."""

from __future__ import annotations

import pytest
from tests.spec.kernel import Kernel
from tests.spec.small_scope import Local, Scope

from onward.consensus.promises import Promises


def combinations_of(scope: Scope) -> set[frozenset[tuple[str, int, str]]]:
    """Which certificates can stand together, whatever siblings are called."""
    return {
        frozenset(
            (vote.kind, vote.view, vote.block.replace("b", "a")) for vote in scope.votes(mask)
        )
        for mask in scope.certified
    }


@pytest.mark.slow
def test_no_interleaving_of_votes_in_two_views_breaks_an_invariant() -> None:
    """Two dangers: quorums that contradict each other although everybody keeps the rules, and an
    argument about rules that are not those of the code. So in every state of a voter, the node's
    kernel is asked about every vote as well, and must answer as the spec does.
    """
    scope, kernel, found = compared(2)
    assert not found
    assert scope.states == 101_771
    assert kernel.compared == 106_758
    quorums = Scope(2, in_quorums=True)
    assert not quorums.violation()
    assert combinations_of(quorums) == combinations_of(scope)


def compared(views: int) -> tuple[Scope, Kernel, list[str]]:
    """A whole scope, and where spec and kernel differ in it."""
    found: list[str] = []

    def visit(local: Local, certified: int) -> None:
        disagreement = kernel.disagreement(local, certified)
        if disagreement:
            found.append(disagreement)

    scope = Scope(views, visit=visit)
    kernel = Kernel(scope)
    assert not scope.violation()
    return scope, kernel, found


@pytest.mark.slow
def test_no_order_of_quorums_in_three_views_breaks_an_invariant() -> None:
    scope = Scope(3, in_quorums=True)
    assert not scope.violation()
    assert scope.states == 4_973


def test_seven_validators_with_two_liars_keep_the_invariants_too() -> None:
    scope = Scope(2, in_quorums=True, honest=5, agreeing=3)
    assert not scope.violation()
    assert scope.states == 799


@pytest.mark.parametrize(
    ("rule", "broken"),
    [
        ("S1", "two blocks of one view are certified"),
        ("S2", "a view is finalized and nullified"),
        ("S3", "a view is finalized and nullified"),
        ("J", "a finalized block has an ancestor that is not notarized"),
        ("F", "a finalized block has an ancestor that is not notarized"),
    ],
)
def test_each_rule_is_needed(rule: str, broken: str) -> None:
    """A search that finds nothing whatever one takes away has looked at nothing."""
    assert Scope(2, ignored=frozenset([rule])).violation() == broken


def test_quorum_of_2f_is_too_small() -> None:
    assert Scope(2, agreeing=1).violation()


def test_kernel_that_forgets_s2_is_told_from_the_spec(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison can fail."""

    def check_history(self: Promises, kind: int, view: int) -> None:
        pass

    monkeypatch.setattr(Promises, "_check_history", check_history)
    _, _, found = compared(1)
    assert found
