"""Arguments that nobody means, on every command that takes a file, an id, a time or a number."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.support.jlinc_author import Author

from onward.cli.main import main
from onward.cli.output import Exit
from onward.network.definition import Network, create_network
from onward.system.parties import PartyKind

RECEIPTS = Path(__file__).parents[2] / "vectors" / "receipts"
ID = "ab" * 32
DIGITS = "9" * 5_000  # Python itself refuses to read such a number


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """One that does not run: whoever gets as far as to ask is told so."""
    made = create_network(tmp_path_factory.mktemp("bad") / "n", validators=4, time_ms=1)
    made.wallet.create("alice", PartyKind.PERSON)
    return made


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), env={"ONWARD_NETWORK": None})


def is_plain(result: Result) -> bool:
    """Whether nothing that was written steers a terminal."""
    return all(line.isprintable() for line in result.output.split("\n"))


COMMANDS = (
    ("import", "jlinc", "{}"),
    ("export", "odrl", "{}"),
    ("export", "dossier", "{}"),
    ("terms", "show", "{}"),
    ("format", "show", "{}"),
    ("blob", "seal", "{}", "--for", "alice", "--out", "{}"),
    ("blob", "put", ID, "{}"),
    ("blob", "get", "{}"),
    ("blob", "deletions", "{}"),
    ("query", "agreement", "{}"),
    ("query", "lineage", "{}"),
    ("query", "terms", "{}"),
    ("query", "party", "{}"),
    ("query", "tx", "{}"),
    ("query", "block", "{}"),
    ("query", "mandates", "--auditor", "{}"),
    ("query", "history", ID, "--limit", "{}"),
    ("query", "changes", ID, "--from", "{}"),
)
NAMES = {
    "controls": "\x1b[2J\u202e",
    "no-text": "name\udcff",
    "long": "a" * 5_000,
    "folder": "/",
    "digits": DIGITS,
    "duration": f"{DIGITS}d",
}
SOMETHING = {"empty": "", "nothing": "/dev/null", "large": "99999999999999999999999"}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_an_argument_that_names_nothing_is_wrong_usage_in_plain_words(
    name: str, network: Network
) -> None:
    """Not a bug, not a verdict of no, nothing to try again, and nothing that a terminal obeys."""
    for told in everywhere(name, network):
        assert (told.exit_code, is_plain(told)) == (Exit.USAGE, True), told.output


@pytest.mark.parametrize("name", SOMETHING.values(), ids=SOMETHING)
def test_an_argument_that_some_commands_can_use_is_no_bug_to_the_others(
    name: str, network: Network
) -> None:
    for told in everywhere(name, network):
        assert told.exit_code in (Exit.NO, Exit.USAGE, Exit.UNAVAILABLE), told.output


def everywhere(name: str, network: Network) -> Iterator[Result]:
    """Each command with this argument, with a network and without."""
    for command in COMMANDS:
        arguments = [word.format(name) for word in command]
        yield run(*arguments)
        if command[0] not in ("import", "format"):
            yield run(*arguments, "--as", "alice", "--network", str(network.folder))


@pytest.mark.parametrize("place", ["no/such/file", ".", "taken/file"])
def test_a_place_that_cannot_be_written_to_is_wrong_usage(
    place: str, tmp_path: Path, network: Network
) -> None:
    """To try again does not help there."""
    (tmp_path / "taken").touch()
    file = str(tmp_path / place)
    here = ("--network", str(network.folder), "--as", "alice")
    drafted = run("party", "deactivate", "alice", *here, "--draft", file)
    made = run("network", "init", str(tmp_path / "taken" / "net"))
    key = run("node", "key", str(tmp_path / "taken"))
    assert [told.exit_code for told in (drafted, made, key)] == [Exit.USAGE] * 3, drafted.output


def test_a_file_that_lacks_inside_of_a_folder_is_no_wrong_usage(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is another user's process: the command line was as it should be."""

    def forbidden(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("onward.cli.network.stop", forbidden)
    told = run("network", "down", str(network.folder))
    assert told.exit_code == Exit.UNAVAILABLE, told.output


def test_a_file_whose_name_is_no_text_is_named_all_the_same(tmp_path: Path) -> None:
    file = tmp_path / "record\udcff\x1b[2J.json"
    file.write_bytes(Author().text())
    told = run("import", "jlinc", str(file))
    assert (told.exit_code, is_plain(told), "verifies" in told.stdout) == (Exit.YES, True, True)
    receipt = tmp_path / "receipt\udcff"
    receipt.write_bytes((RECEIPTS / "valid.receipt").read_bytes())
    told = run("receipt", "verify", str(receipt), "--genesis", str(RECEIPTS / "genesis.json"))
    assert (told.exit_code, "verifies" in told.stdout) == (Exit.YES, True)
