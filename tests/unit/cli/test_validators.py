"""`onward validators`: the set that a proposal names is the one that was meant."""

from __future__ import annotations

import pytest

from onward.cli.output import UsageFault
from onward.cli.validators import changed
from onward.system.validators import Member

KEY = "ab" * 32


def member(name: str, key: str = "00" * 32) -> Member:
    return Member(name=name, organisation=f"org-{name}", public_key=bytes.fromhex(key))


CURRENT = (member("v1"), member("v2"), member("v3"))


def test_changes_are_made_together_and_the_others_keep_their_order() -> None:
    """The order gives each validator its place: a needless change of it would be one more."""
    following = changed(CURRENT, (f"v4=org-v4={KEY}",), ("v1",), (f"v3={KEY}",))
    assert following == (member("v2"), member("v3", KEY), member("v4", KEY))


@pytest.mark.parametrize(
    ("added", "removed", "rekeyed"),
    [
        (("v1=org=" + KEY,), (), ()),
        (("v4=" + KEY,), (), ()),
        (("v4=org=xy",), (), ()),
        ((), ("v9",), ()),
        ((), (), ("v9=" + KEY,)),
        ((), (), ("v1",)),
    ],
)
def test_what_names_no_change_is_refused_before_anything_is_signed(
    added: tuple[str, ...], removed: tuple[str, ...], rekeyed: tuple[str, ...]
) -> None:
    """A proposal of the wrong set would be approved by people who trust its text."""
    with pytest.raises(UsageFault):
        changed(CURRENT, added, removed, rekeyed)
