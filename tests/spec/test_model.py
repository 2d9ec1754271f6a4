"""The Promela model of the vote rules, checked by spin."""

from __future__ import annotations

import pytest
from tests.spec.model import BROKEN, SOUND, Variant, check, missing_program

LACKING = missing_program()
pytestmark = [
    pytest.mark.skipif(bool(LACKING), reason=f"the model cannot be checked: {LACKING}"),
    pytest.mark.slow,
    pytest.mark.timeout(240),
]


@pytest.mark.parametrize("variant", SOUND, ids=str)
def test_model_has_no_fork(variant: Variant) -> None:
    """The danger: an argument for safety that only sounds right."""
    checked = check(variant)
    assert not checked.has_fork
    assert checked.states > 10_000


@pytest.mark.parametrize("variant", BROKEN, ids=str)
def test_model_forks_without_any_one_rule(variant: Variant) -> None:
    """A model that cannot fail proves nothing; and a rule that is not needed is not a rule."""
    assert check(variant).has_fork
