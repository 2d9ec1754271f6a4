"""`onward terms show`: read before agreeing, with no network at hand."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result
from tests.unit.chaincode.world import fixture

from onward.cli.main import main
from onward.cli.output import Exit


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), env={"ONWARD_NETWORK": None})


def test_shipped_terms_and_a_file_of_them_read_the_same(tmp_path: Path) -> None:
    file = tmp_path / "terms.json"
    file.write_text(json.dumps(fixture("terms", "T-P2B1")))
    shipped, from_file = run("terms", "show", "T-P2B1"), run("terms", "show", str(file))
    assert shipped.exit_code == Exit.YES
    assert shipped.output == from_file.output
    assert "Passing on ends after 2 steps." in shipped.output
    assert max(map(len, shipped.output.splitlines())) <= 120


def test_machines_get_each_clause_with_its_sentence_and_the_document() -> None:
    answer = json.loads(run("terms", "show", "T-INTENT-30D", "--json").stdout)
    by_clause = {item["clause"]: item for item in answer["sentences"]}
    assert by_clause["onward.mode"]["said"] is True
    assert by_clause["portability"]["said"] is False
    assert answer["document"] == fixture("terms", "T-INTENT-30D")


def test_terms_that_no_chain_would_publish_are_a_no_with_the_chains_code(tmp_path: Path) -> None:
    """Not a bug of ours, and not a page that shows the rest as if it were all."""
    bad = fixture("terms", "T-P2B1")
    bad["clauses"]["onward.mod"] = "SAME_TERMS"
    file = tmp_path / "terms.json"
    file.write_text(json.dumps(bad))
    said = run("terms", "show", str(file), "--json")
    assert said.exit_code == Exit.NO
    assert json.loads(said.stdout)["code"] == "E_CLAUSE_UNKNOWN"


def test_what_names_nothing_is_wrong_usage_and_an_id_needs_a_network() -> None:
    nothing = run("terms", "show", "T-NONE")
    assert (nothing.exit_code, "T-P2B1" in nothing.stderr) == (Exit.USAGE, True)
    unreachable = run("terms", "show", "ab" * 32)
    assert (unreachable.exit_code, "--network" in unreachable.stderr) == (Exit.USAGE, True)


def test_a_file_that_is_no_document_says_where(tmp_path: Path) -> None:
    file = tmp_path / "terms.json"
    file.write_text('{"format": 1, "format": 2}')
    said = run("terms", "show", str(file))
    assert (said.exit_code, "stands twice" in said.stderr) == (Exit.USAGE, True)
