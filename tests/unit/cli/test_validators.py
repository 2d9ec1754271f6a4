"""`onward validators`: the set that a proposal names is the one that was meant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from onward.cli import validators
from onward.cli.main import main
from onward.cli.output import UsageFault
from onward.cli.validators import changed
from onward.system.validators import Member

KEY = "ab" * 32
GENESIS = Path(__file__).parents[2] / "vectors" / "receipts" / "genesis.json"


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


@pytest.mark.parametrize(
    "arguments",
    [
        ("proofs", "NOWHERE"),
        ("propose", "--home", "NOWHERE", "--remove", "v1"),
        ("ready", "--home", "NOWHERE"),
        ("approve", KEY, "--home", "NOWHERE"),
    ],
    ids=lambda item: item[0],
)
def test_home_that_is_not_there_is_a_mistake_and_no_verdict(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 1 is a no of the chain, or of a home that proves too little."""

    async def ask(_target: object) -> dict[str, Any]:
        return {"epoch": 0, "validators": [], "proposals": [{"proposal": KEY, "organisation": "o"}]}

    monkeypatch.setattr(validators, "_ask", ask)
    words = [str(tmp_path / "none") if word == "NOWHERE" else word for word in arguments]
    shared = () if words[0] == "proofs" else ("--genesis", str(GENESIS), "--node", "h:1")
    done = CliRunner().invoke(main, ["validators", *words, *shared, "--json"])
    answer = json.loads(done.stdout)
    assert (done.exit_code, answer["code"]) == (2, "E_USAGE")
    assert "cannot be read" in answer["message"]


def test_keys_and_proposals_stand_in_one_piece_to_be_copied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who joins the halves of a key by hand votes for another validator."""
    proposal = {"proposal": KEY, "organisation": "o", "approved_by": [], "validators": []}

    async def ask(_target: object) -> dict[str, Any]:
        return {"epoch": 0, "validators": [], "proposals": [proposal]}

    monkeypatch.setattr(validators, "_ask", ask)
    shared = ["--genesis", str(GENESIS), "--node", "h:1"]
    done = CliRunner(env={"COLUMNS": "60"}).invoke(main, ["validators", "show", *shared])
    words = done.stdout.split()
    keys = [item["public_key"] for item in json.loads(GENESIS.read_bytes())["validators"]]
    assert {KEY, *keys} <= set(words)
