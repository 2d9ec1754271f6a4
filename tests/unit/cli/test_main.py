"""The command line's manners: help, exit codes, one JSON document."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from onward.audit.receipt_verifier import RECEIPT_BYTES_MAX
from onward.cli import tx
from onward.cli.main import SECTIONS, main
from onward.cli.output import Exit, describe, exit_code_of
from onward.errors import (
    CorruptionError,
    InvariantError,
    MalformedError,
    RejectCode,
    RejectedError,
    Unavailable,
)
from onward.network.definition import create_network, read_network
from onward_chaincode.drafts import DraftError
from onward_proto.canonical import CanonicalError

NAMES = [name for entries in SECTIONS.values() for name in entries]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), env={"ONWARD_NETWORK": None})


def leaves(command: click.Command, path: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Every command that does something, by the words that lead to it."""
    if not isinstance(command, click.Group):
        return [path]
    found = []
    for name in command.list_commands(click.Context(command)):
        inner = command.get_command(click.Context(command), name)
        assert inner is not None, f"{' '.join((*path, name))} is listed and missing"
        found += leaves(inner, (*path, name))
    return found


def test_help_names_every_command_without_running_any() -> None:
    result = run("--help")
    assert result.exit_code == Exit.YES
    for name in NAMES:
        assert f"  {name} " in result.output


def test_every_command_explains_itself() -> None:
    paths = leaves(main, ())
    assert len(paths) > 40
    for path in paths:
        result = run(*path, "--help")
        assert result.exit_code == Exit.YES, path
        text = result.output.partition("\n\n")[2]
        assert text.strip(), f"{' '.join(path)} has no description"


def test_every_command_that_answers_takes_json() -> None:
    silent = {("node", "run")}
    for path in leaves(main, ()):
        if path not in silent:
            assert "--json" in run(*path, "--help").output, " ".join(path)


def test_no_option_of_a_command_hides_another() -> None:
    """Options come from three sources; one that shadows another would silently win."""

    def check(command: click.Command, path: str) -> None:
        if isinstance(command, click.Group):
            for name in command.list_commands(click.Context(command)):
                inner = command.get_command(click.Context(command), name)
                assert inner is not None
                check(inner, f"{path} {name}")
            return
        flags = [flag for item in command.params for flag in item.opts]
        assert len(flags) == len(set(flags)), path

    check(main, "onward")


def test_version_is_one_line() -> None:
    result = run("--version")
    assert result.exit_code == Exit.YES
    assert result.output.startswith("onward, version ")
    assert result.output.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["fly"],
        ["network"],
        ["network", "init"],
        ["network", "init", "x", "--validators", "four"],
        ["network", "init", "x", "--validators", "3"],
        ["share", "record", "--nonsense"],
        ["share", "record", "--as", "alice"],
        ["query", "agreement"],
        ["query", "agreement", "ab", "--as", "alice"],
        ["receipt", "verify", "missing.receipt", "--genesis", "missing.json"],
        ["tx", "show", "missing.json"],
        ["node", "run", "--home", "missing"],
        ["demo", "--keep", "."],
        ["network", "up", "missing"],
        ["network", "status", "missing"],
        ["network", "down", "missing"],
        ["query", "view", "--as", "alice", "--network", "missing"],
        ["tx", "submit", "missing.json", "--network", "missing"],
    ],
)
def test_wrong_usage_exits_2_with_a_sentence(arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == Exit.USAGE
    assert result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "arguments", [["share", "record", "--json"], ["tx", "show", "missing.json", "--json"]]
)
def test_failure_is_one_json_document_too(arguments: list[str]) -> None:
    """A program that reads the answer must not have to guess when there is none."""
    result = run(*arguments)
    assert result.exit_code == Exit.USAGE
    document = json.loads(result.stdout)
    assert document["code"].startswith("E_")
    assert document["message"]


def test_network_that_does_not_run_is_unavailable(tmp_path: Path) -> None:
    folder = str(tmp_path / "n")
    assert run("network", "init", folder, "--validators", "4").exit_code == Exit.YES
    result = run("query", "view", "--as", "registry", "--network", folder, "--json")
    assert result.exit_code == Exit.UNAVAILABLE
    assert json.loads(result.stdout)["code"] == "E_UNAVAILABLE"
    status = run("network", "status", folder, "--json")
    assert status.exit_code == Exit.UNAVAILABLE
    assert [item["up"] for item in json.loads(status.stdout)["validators"]] == [False] * 4


def test_output_that_goes_to_a_file_has_no_control_codes_and_no_trailing_blanks(
    tmp_path: Path,
) -> None:
    folder = str(tmp_path / "n")
    for arguments in (
        ("network", "init", folder, "--validators", "4"),
        ("network", "status", folder),
        ("party", "list", "--network", folder),
    ):
        output = run(*arguments).stdout
        assert output
        assert "\x1b" not in output
        assert [line for line in output.splitlines() if line != line.rstrip()] == []


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """A network's definition; nothing runs."""
    create_network(tmp_path / "n", validators=4, time_ms=1)
    return str(tmp_path / "n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["network", "down", "FOLDER", "--only", "v9"],
        ["query", "view", "--network", "FOLDER", "--as", "admin", "--node", "localhost"],
        ["party", "register", "acme", "--network", "FOLDER", "--save", "Bad Name"],
        ["party", "register", "acme", "--network", "FOLDER", "--jurisdiction", "DEU"],
        ["party", "register", "x" * 65, "--network", "FOLDER", "--public-key", "ab" * 32],
        ["tx", "sign", "DRAFT", "--key", "missing.json"],
    ],
)
def test_wrong_usage_of_a_network_is_no_verdict(
    arguments: list[str], folder: str, tmp_path: Path
) -> None:
    """Exit 1 says that the chain, or a receipt, said no. Here nobody was asked."""
    draft = tmp_path / "draft.json"
    offline = ["--genesis", f"{folder}/genesis.json", "--key", f"{folder}/wallet/admin.json"]
    deactivate = ["party", "deactivate", "admin", "--draft", str(draft), *offline]
    assert run(*deactivate).exit_code == Exit.YES
    places = {"FOLDER": folder, "DRAFT": str(draft)}
    result = run(*[places.get(word, word) for word in arguments], "--json")
    assert result.exit_code == Exit.USAGE
    assert json.loads(result.stdout)["code"] in {"E_USAGE", "E_FORMAT"}
    assert "Traceback" not in result.stderr


def test_message_names_the_option_as_it_is_typed(folder: str) -> None:
    where = ("--as", "admin", "--network", folder)
    with socket.create_server(("127.0.0.1", read_network(Path(folder)).nodes[0].gateway.port)):
        result = run("query", "agreement", "ab" * 32, "--at", "soon", *where)
    assert "--at 'soon'" in result.stderr


def test_dry_run_of_a_registration_leaves_the_wallet_as_it_is(folder: str) -> None:
    before = run("party", "list", "--network", folder).stdout
    run("party", "register", "acme", "--dry-run", "--network", folder)
    assert run("party", "list", "--network", folder).stdout == before


def test_receipt_that_is_too_long_gets_the_verifiers_verdict(folder: str, tmp_path: Path) -> None:
    """A program that checks receipts must not take a hostile one for its own mistake."""
    file = tmp_path / "long.receipt"
    file.write_bytes(b"x" * (RECEIPT_BYTES_MAX + 1))
    result = run("receipt", "verify", str(file), "--genesis", f"{folder}/genesis.json", "--json")
    assert result.exit_code == Exit.NO
    document = json.loads(result.stdout)
    assert (document["verified"], document["code"]) == (False, "E_FORMAT")


def test_bug_has_an_exit_code_and_a_document_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's own exit code for it is 1, which would read as a verdict of no."""

    def stumble(_: Path) -> None:
        raise KeyError("nothing")

    monkeypatch.setattr(tx, "_read", stumble)
    result = run("tx", "show", "draft.json", "--json")
    assert result.exit_code == Exit.BUG
    assert json.loads(result.stdout)["code"] == "E_FAULT"
    assert "Traceback" in result.stderr


@pytest.mark.parametrize("form", [["--json"], []])
def test_closed_pipe_is_neither_yes_nor_no(form: list[str], folder: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as nobody:
        done = subprocess.run(
            [sys.executable, "-m", "onward.cli.main", "party", "list", "--network", folder, *form],
            stdout=nobody,
            stderr=subprocess.PIPE,
            timeout=30,
            check=False,
        )
    assert (done.returncode, done.stderr) == (Exit.PIPE, b"")


@pytest.mark.parametrize(
    ("error", "code", "exit_code"),
    [
        (RejectedError(RejectCode.STATE, "no"), "E_STATE", Exit.NO),
        (MalformedError("what is this"), "E_FORMAT", Exit.USAGE),
        (DraftError("what is this"), "E_FORMAT", Exit.USAGE),
        (Unavailable("later"), "E_UNAVAILABLE", Exit.UNAVAILABLE),
        (OSError(28, "disk full"), "E_UNAVAILABLE", Exit.UNAVAILABLE),
        (FileNotFoundError(2, "no such file", "home/x"), "E_UNAVAILABLE", Exit.UNAVAILABLE),
        (PermissionError(1, "another user's process"), "E_UNAVAILABLE", Exit.UNAVAILABLE),
        (CorruptionError("lies"), "E_CORRUPTION", Exit.NO),
        (CanonicalError("too long"), "E_FORMAT", Exit.USAGE),
        (InvariantError("a bug"), "E_FAULT", Exit.BUG),
        (ValueError("a bug"), "E_FAULT", Exit.BUG),
    ],
)
def test_error_says_by_its_exit_code_who_is_at_fault(
    error: Exception, code: str, exit_code: Exit
) -> None:
    assert describe(error)[0] == code
    assert exit_code_of(error) is exit_code


def test_no_line_of_a_list_of_commands_breaks_off() -> None:
    """A newcomer chooses by these lines; half a sentence ends before what it is about."""
    found = []
    for name in NAMES:
        group = main.get_command(click.Context(main), name)
        if isinstance(group, click.Group):
            with click.Context(group, info_name=name, terminal_width=80) as context:
                told = group.get_help(context).partition("Commands:")[2]
            found += [f"{name}: {line}" for line in told.splitlines() if line.endswith("...")]
    assert found == []
