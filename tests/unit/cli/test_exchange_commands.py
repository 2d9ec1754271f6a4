"""`onward export`, `onward import` and `onward format`, with files and no network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.support.dossiers import collected
from tests.support.jlinc_author import Author, written
from tests.unit.chaincode.world import cases

from onward.cli.formats import names
from onward.cli.main import main
from onward.cli.output import Exit
from onward.exchange.exports import FORMATS


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), env={"ONWARD_NETWORK": None})


@pytest.fixture
def dossier(tmp_path: Path) -> Path:
    c = cases()
    file = tmp_path / "agreement.json"
    file.write_text(json.dumps(collected(c.world, "alice", c.g1)))
    return file


@pytest.mark.parametrize("name", FORMATS)
def test_a_dossier_is_exported_with_nobody_asked(name: str, dossier: Path) -> None:
    plain, for_machines = (
        run("export", name, str(dossier)),
        run("export", name, str(dossier), "--json"),
    )
    assert (plain.exit_code, for_machines.exit_code) == (Exit.YES, Exit.YES)
    assert json.loads(plain.stdout) == json.loads(for_machines.stdout)
    assert run("export", name, str(dossier)).stdout == plain.stdout


def test_a_file_that_is_no_dossier_says_so(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text("{}")
    said = run("export", "odrl", str(file))
    assert (said.exit_code, "dossier: expected" in said.stderr) == (Exit.USAGE, True)


def test_an_export_that_would_mislead_is_a_no(dossier: Path) -> None:
    document = json.loads(dossier.read_text())
    for part in (document["agreement"], document["lineage"]["path"][0]):
        part["lawful_basis"] = "dpv:Contract"
    dossier.write_text(json.dumps(document))
    said = run("export", "kantara", str(dossier), "--json")
    assert (said.exit_code, json.loads(said.stdout)["code"]) == (Exit.NO, "E_INEXPRESSIBLE")


def test_an_agreement_that_is_not_here_needs_a_network() -> None:
    assert run("export", "odrl", "ab" * 32).exit_code == Exit.USAGE
    unknown = run("export", "odrl", "my-agreement")
    assert (unknown.exit_code, "--save" in unknown.stderr) == (Exit.USAGE, True)


def test_a_jlinc_record_is_verified_and_told_without_what_was_shared(tmp_path: Path) -> None:
    """The file may hold anything about a person; a terminal's history should not."""
    file = tmp_path / "record.json"
    file.write_bytes(written().text())
    told, machine = run("import", "jlinc", str(file)), run("import", "jlinc", str(file), "--json")
    assert told.exit_code == Exit.YES
    assert "3 events in an unbroken chain, 2 of them acknowledged" in " ".join(told.stdout.split())
    assert "HS256" in told.stdout
    document = json.loads(machine.stdout)
    assert document["verified"] is True
    assert len(document["events"]) == 3
    for shown in (told.stdout, machine.stdout):
        assert "commitment only in tests" not in shown


def test_a_jlinc_record_that_was_changed_is_a_no_that_says_where(tmp_path: Path) -> None:
    author = written()
    author.events[1]["audit"]["createdAt"] = "2026-01-02T03:05:09.000Z"
    file = tmp_path / "record.json"
    file.write_bytes(author.text())
    said = run("import", "jlinc", str(file), "--json")
    answer = json.loads(said.stdout)
    assert (said.exit_code, answer["code"]) == (Exit.NO, "E_JLINC_HASH")
    assert answer["message"].startswith("events/1")


def test_the_words_of_a_record_cannot_steer_the_terminal(tmp_path: Path) -> None:
    """A link that clears the screen could write another verdict than ours."""
    author = Author()
    author.agreement["agreementURI"] = "https://example.org/\x1b[2J\x9b1m\u202e"
    author.sisa = author.accepted()
    file = tmp_path / "record.json"
    file.write_bytes(author.text())
    told = run("import", "jlinc", str(file))
    assert told.exit_code == Exit.YES
    assert r"https://example.org/\u{1b}[2J\u{9b}1m\u{202e}" in told.stdout


def test_every_document_has_a_schema_to_show() -> None:
    listed = json.loads(run("format", "list", "--json").stdout)
    assert tuple(listed) == names()
    shown = run("format", "show", "share.onward")
    assert json.loads(shown.stdout)["$id"] == "urn:onward:schema:share.onward"
    unknown = run("format", "show", "nothing")
    assert (unknown.exit_code, "format list" in unknown.stderr) == (Exit.USAGE, True)
