"""One table of codes: what the document says is what the code says."""

from __future__ import annotations

import re
from pathlib import Path

from onward.errors import RejectCode
from onward.rpc.status import status_of_code
from onward_chaincode.errors import TABLE, Code

SPEC = Path(__file__).parents[3] / "docs" / "spec" / "codes.md"
ROW = re.compile(r"^\| `(E_[A-Z_]+)` \| (R\d\d|) *\| ([A-Z_]+) \| (.+) \|$")


def section(title: str) -> list[tuple[str, ...]]:
    text = SPEC.read_text().split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]
    return [match.groups() for line in text.splitlines() if (match := ROW.match(line))]


def test_the_document_lists_exactly_the_contracts_codes() -> None:
    assert section("Codes of the contract `isa`") == [
        (entry.code.value, entry.rule, entry.status, entry.sentence) for entry in TABLE
    ]


def test_every_code_has_one_row() -> None:
    assert [entry.code for entry in TABLE] == list(Code)


def test_the_document_lists_every_code_of_the_node() -> None:
    assert {row[0] for row in section("Codes of the node")} == {code.value for code in RejectCode}


def test_the_gateway_answers_each_code_with_the_status_of_the_table() -> None:
    assert {entry.code.value: entry.status for entry in TABLE} == {
        entry.code.value: status_of_code(entry.code).name for entry in TABLE
    }
