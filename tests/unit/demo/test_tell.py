"""The demo as it is read: what went wrong must not look as if it had gone right."""

from __future__ import annotations

import dataclasses
import io
import shutil

import pytest
from rich.console import Console

from onward.demo import tell
from onward.demo.perform import Played
from onward.demo.script import load_script
from onward.demo.tell import Narrator

REFUSED = "acme-passes-it-on"


def told(step_name: str, played: Played, columns: int = 80) -> str:
    script = load_script()
    step = next(item for item in script.scenario.steps if item.name == step_name)
    out = io.StringIO()
    Narrator(Console(file=out, width=columns), script).step(step, played)
    return out.getvalue()


def played(**changes: object) -> Played:
    usual = Played(
        step=REFUSED,
        type="share.onward",
        code="E_ONWARD_PROHIBITED",
        rule="R15",
        message="terms of agreement … prohibit it",
        outcome=2,
        height=17,
        expected="E_ONWARD_PROHIBITED",
        complaint="",
    )
    return dataclasses.replace(usual, **changes)  # type: ignore[arg-type]


def test_refusal_names_code_rule_and_sentence() -> None:
    text = " ".join(told(REFUSED, played()).split())
    assert text.startswith("✗ ACME passes")
    assert "E_ONWARD_PROHIBITED by rule R15. The terms do not allow passing the data on." in text
    assert "block 17" in text


def test_acceptance_where_a_refusal_was_expected_is_no_tick() -> None:
    """A demo that shows a green tick for a broken rule would be worse than none."""
    text = told(REFUSED, played(code="OK", complaint="expected E_ONWARD_PROHIBITED, got OK"))
    assert "✓" not in text
    assert "‼" in text
    assert "expected E_ONWARD_PROHIBITED, got OK" in text


@pytest.mark.parametrize("found", [None, "/usr/bin/onward"])
def test_commands_to_try_are_found_by_the_shell_that_ran_make(
    found: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`make demo` sets nobody's PATH; the first thing a newcomer pastes must not fail."""
    monkeypatch.setattr(shutil, "which", lambda _: found)
    lines = tell._path_first()
    assert [line.startswith("export PATH=") for line in lines] == ([] if found else [True])


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_lines_fit_the_page(columns: int) -> None:
    text = told(REFUSED, played(), columns)
    assert max(len(line) for line in text.splitlines()) <= columns
    assert "\x1b" not in text
