"""What a command does with the answers of a node that may be anybody's."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, Self

import pytest
from click.testing import CliRunner, Result
from tests.support.dossiers import asking
from tests.unit.chaincode.world import Cases, cases, fixture

from onward.cli.main import main
from onward.cli.output import Exit
from onward.cli.target import Target
from onward.errors import RejectedError
from onward.network.definition import Network, create_network
from onward.system.parties import PartyKind
from onward_proto.documents import canonical_document

ID = "ab" * 32
CONTROLS = "\x1b[2J\x9b1m\u202e\r\n"
JUNK: tuple[Any, ...] = (
    None, 7, -(2**53) + 1, True, CONTROLS, [], [7], [[]], [{}, 7], {}, {"a": {"b": [{}]}},
)  # fmt: skip
RAW = (
    b"",
    b"7",
    b"[]",
    b"\xff",
    b"{",
    b'{"a":1.5}',
    b'{"a":1,"a":2}',
    b"[" * 99_999,
    b'{"a":"\\ud800"}',
)


class Node:
    """The one node that can be reached. `answers` are what it says, `lies` what it says instead."""

    def __init__(self, world: Any) -> None:
        self.ask = asking(world, "alice")
        self.lies: dict[str, bytes] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def query(
        self, _contract: str, name: str, arguments: bytes, _reader: object
    ) -> tuple[bytes, int]:
        if name in self.lies:
            return self.lies[name], 7
        return canonical_document(await self.ask(name, json.loads(arguments))), 7

    async def query_all(self, *arguments: Any) -> tuple[bytes, ...]:
        return ((await self.query(*arguments))[0],) * 4

    async def receipt(self, *_: object) -> bytes:
        await asyncio.sleep(0)
        return b"\xff\x1b[2J"

    async def get_blob(self, *_: object) -> bytes:
        await asyncio.sleep(0)
        raise RejectedError("E_NOT_\x1b[2JFOUND", CONTROLS, rule=CONTROLS)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    made = create_network(tmp_path_factory.mktemp("lying") / "n", validators=4, time_ms=1)
    made.wallet.create("alice", PartyKind.PERSON)
    return made


@pytest.fixture
def story() -> Cases:
    return cases()


@pytest.fixture
def node(story: Cases, monkeypatch: pytest.MonkeyPatch) -> Node:
    reached = Node(story.world)
    monkeypatch.setattr(Target, "client", lambda _: reached)
    return reached


def run(network: Network, *arguments: str) -> Result:
    where = ("--as", "alice", "--network", str(network.folder))
    return CliRunner().invoke(main, [*arguments, *where], env={"ONWARD_NETWORK": None})


def is_plain(result: Result) -> bool:
    """Whether nothing that was written steers a terminal."""
    return all(line.isprintable() for line in result.output.split("\n"))


@pytest.mark.parametrize("asked", ["agreement", "lineage", "history"])
def test_any_answer_is_a_page_or_a_refusal_and_never_a_bug(
    asked: str, network: Network, node: Node
) -> None:
    """A page that failed would let one node hide what the others know."""
    command = ("query", asked, ID)
    for raw in RAW:
        node.lies[asked] = raw
        assert run(network, *command).exit_code == Exit.UNAVAILABLE
    rows = [
        {"rows": junk, CONTROLS: junk, "at_ms": junk, "next": junk, "level": 10**15}
        for junk in JUNK
    ]
    for row in rows:
        for document in (
            row,
            {"path": [row], "nodes": [row], "rights_holder": CONTROLS, "top": row},
        ):
            node.lies[asked] = json.dumps(document).encode()
            for form in ((), ("--json",)):
                told = run(network, *command, *form)
                assert told.exit_code == Exit.YES, told.output
                assert is_plain(told)


def test_the_cursor_of_a_page_is_a_word_to_the_shell_that_it_is_copied_into(
    network: Network, node: Node
) -> None:
    node.lies["history"] = b'{"next":"x; rm -rf ~","steps":[]}'
    assert "--after 'x; rm -rf ~'" in run(network, "query", "history", ID).stdout


def test_terms_are_read_from_the_document_that_was_asked_for(network: Network, node: Node) -> None:
    """Who reads other terms than those she agrees to was made to agree."""
    asked, other = (fixture("terms", label) for label in ("T-P2B1", "T-UST-SITE"))
    terms_id = json.loads(run(network, "terms", "show", "T-P2B1", "--json").stdout)["terms_id"]
    for document, code in ((asked, Exit.YES), (other, Exit.UNAVAILABLE), (7, Exit.UNAVAILABLE)):
        node.lies["terms"] = canonical_document({"document": document})
        assert run(network, "terms", "show", terms_id).exit_code == code
    node.lies["terms"] = b"{}"
    assert run(network, "terms", "show", terms_id).exit_code == Exit.UNAVAILABLE


def test_field_names_are_looked_up_in_the_schema_that_was_asked_for(
    network: Network, node: Node, story: Cases
) -> None:
    """Indexes are what is signed: a schema of the node's own would name others than were meant."""
    command = ("query", "trace", story.s1, "--recipient", "beta", "--fields", "name")
    schema = fixture("schemas", "S-CONTACT")
    schema["label"] = "S-OTHER"
    node.lies["schema"] = canonical_document({"document": schema})
    share = dict(story.world.ask("alice", "agreement", agreement_id=story.g1))
    node.lies["agreement"] = canonical_document(share | {"schema_id": ID})
    told = run(network, *command)
    assert (told.exit_code, "another schema" in told.stderr) == (Exit.UNAVAILABLE, True)


@pytest.mark.parametrize("lie", [*RAW, b"{}", b'{"agreement_id":7}'])
@pytest.mark.parametrize("asked", ["share", "agreement"])
def test_a_trace_over_answers_that_are_none_is_no_bug(
    asked: str, lie: bytes, network: Network, node: Node, story: Cases
) -> None:
    node.lies[asked] = lie
    told = run(network, "query", "trace", story.s1, "--recipient", "beta", "--fields", "email")
    assert told.exit_code in (Exit.NO, Exit.UNAVAILABLE), told.output


@pytest.mark.parametrize(
    "asked", ["agreement", "lineage", "history", "handshake", "share", "terms", "schema"]
)
def test_an_export_of_answers_that_are_none_is_refused(
    asked: str, network: Network, node: Node, story: Cases
) -> None:
    for lie in (*RAW, b"{}", b'{"steps":7}'):
        node.lies[asked] = lie
        told = run(network, "export", "odrl", story.g1)
        assert told.exit_code == Exit.UNAVAILABLE, told.output
        assert is_plain(told)


def test_no_dossier_is_written_that_no_export_would_read(
    network: Network, node: Node, story: Cases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written for people to read is longer than what was counted before."""
    del node
    written = run(network, "export", "dossier", story.g1)
    size = len(written.stdout.encode())
    for most, code in ((size, Exit.YES), (size - 1, Exit.NO)):
        monkeypatch.setattr("onward.cli.export.DOSSIER_BYTES_MAX", most)
        assert run(network, "export", "dossier", story.g1).exit_code == code


def test_a_receipt_that_is_no_text_is_refused(network: Network, node: Node, story: Cases) -> None:
    del node
    for command in (("export", "dossier", story.g1, "--receipts"), ("receipt", "get", ID)):
        told = run(network, *command)
        assert (told.exit_code, is_plain(told)) == (Exit.UNAVAILABLE, True)


@pytest.mark.parametrize(
    "share",
    [
        {"commitment": ID, "blob": 7},
        {"commitment": ID, "blob": "zz"},
        {"commitment": 7, "blob": ID},
        {"commitment": ID},
        {},
    ],
)
def test_a_share_that_names_no_hash_is_no_answer(
    share: dict[str, Any], network: Network, node: Node
) -> None:
    node.lies["share"] = canonical_document(share)
    assert run(network, "blob", "get", ID).exit_code == Exit.UNAVAILABLE


@pytest.mark.parametrize("keys", [7, ["zz"], [7], "ab", [ID[:62]]])
def test_keys_that_are_none_are_no_answer(
    keys: Any, network: Network, node: Node, tmp_path: Path
) -> None:
    file = tmp_path / "plain"
    file.write_bytes(b"x")
    node.lies["party"] = canonical_document({"active": True, "public_keys": keys})
    told = run(network, "blob", "seal", str(file), "--for", "alice", "--out", str(tmp_path / "out"))
    assert told.exit_code == Exit.UNAVAILABLE


def test_what_a_node_says_in_refusing_cannot_steer_the_terminal(
    network: Network, node: Node
) -> None:
    node.lies["share"] = canonical_document({"commitment": ID, "blob": ID})
    for form in ((), ("--json",)):
        told = run(network, "blob", "get", ID, *form)
        assert (told.exit_code, is_plain(told)) == (Exit.NO, True)
