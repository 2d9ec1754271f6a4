"""What commands answer is what its JSON Schema says: yes, no, and wrong usage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.support.dossiers import collected
from tests.support.jlinc_author import written
from tests.unit.chaincode.world import cases

from onward.bench import report
from onward.cli.draft_file import DraftFile
from onward.cli.formats import names, schema_of
from onward.cli.main import main
from onward.exchange.coherence import parse_dossier
from onward.ledger.transaction import Body
from onward_chaincode.drafts import draft
from onward_proto.canonical import encode

jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed: nothing checks")

ROOT = Path(__file__).parents[3]
RECEIPTS = ROOT / "tests" / "vectors" / "receipts"


def check(name: str, document: Any) -> None:
    jsonschema.Draft202012Validator(schema_of(name)).validate(document)


def said(*arguments: str) -> Any:
    result = CliRunner().invoke(main, [*arguments, "--json"], env={"ONWARD_NETWORK": None})
    return json.loads(result.stdout)


@pytest.mark.parametrize("name", names())
def test_every_schema_is_one_and_says_what_it_is_of(name: str) -> None:
    schema = schema_of(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:onward:schema:{name}"
    assert schema["title"].endswith(".")


@pytest.mark.parametrize("path", sorted(RECEIPTS.glob("*.receipt")), ids=lambda path: path.stem)
def test_every_verdict_on_a_receipt(path: Path) -> None:
    genesis = str(RECEIPTS / "genesis.json")
    check("receipt-verified", said("receipt", "verify", str(path), "--genesis", genesis))


def test_the_genesis_of_a_network(tmp_path: Path) -> None:
    check("genesis", json.loads((RECEIPTS / "genesis.json").read_text()))


def test_a_refusal_of_any_command(tmp_path: Path) -> None:
    check("refusal", said("terms", "show", "T-NONE"))
    (tmp_path / "bad.json").write_text("{")
    check("refusal", said("import", "jlinc", str(tmp_path / "bad.json")))


def test_terms_as_sentences() -> None:
    check("terms-read", said("terms", "show", "T-SISA-V1"))


def test_a_jlinc_record(tmp_path: Path) -> None:
    file = tmp_path / "record.json"
    file.write_bytes(written().text())
    check("jlinc-verified", said("import", "jlinc", str(file)))


def test_a_dossier_of_every_place_in_a_lineage() -> None:
    c = cases()
    for agreement in (c.g1, c.g1a, c.g1b):
        check("dossier", collected(c.world, "gamma" if agreement == c.g1b else "acme", agreement))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("agreement/effective", 1),
        ("shares/0/commitment", "00"),
        ("history/0/tx_id", None),
        ("receipts/x", ""),
        ("agreement/status", "RESTING"),
        ("agreement/second_party", "a b"),
        ("agreement/purposes", ["none"]),
        ("agreement/lawful_basis", "dpv:Whim"),
        ("lineage/path/0/jurisdictions", ["Germany"]),
        ("shares/0/purpose", "none"),
        ("shares/0/transform", "SHREDDED"),
    ],
)
def test_a_spoilt_dossier_is_refused_by_schema_and_parser_alike(path: str, value: Any) -> None:
    c = cases()
    document = collected(c.world, "alice", c.g1)
    holder: Any = document
    *steps, last = path.split("/")
    for step in steps:
        holder = holder[int(step) if step.isdecimal() else step]
    holder[last] = value
    with pytest.raises(jsonschema.ValidationError):
        check("dossier", document)
    with pytest.raises(Exception, match="dossier"):
        parse_dossier(json.dumps(document).encode())


def test_a_draft_file() -> None:
    body = Body(
        format=1,
        contract="isa",
        type="share.ack",
        actor="acme",
        cosigners=(),
        valid_until_ms=1,
        salt=bytes(16),
        payload=draft("share.ack", {"share": "ab" * 32}),
    )
    file = DraftFile(chain_id=bytes(32), bodies=(encode(body),), signatures=())
    check("draft", json.loads(file.render()))


@pytest.mark.parametrize("file", ["isa-quick.json", "isa-closed-300s.json"])
def test_the_committed_results_of_the_benchmark(file: str) -> None:
    check("bench-result", json.loads((ROOT / "benchmarks" / "results" / file).read_text()))


def test_the_frame_of_a_benchmark_result_is_the_one_that_is_read() -> None:
    """A key that reading demands and the schema does not would be found out by nobody."""
    schema = schema_of("bench-result")
    assert schema["required"] == sorted(report._REQUIRED)
    assert schema["properties"]["runs"]["items"]["required"] == sorted(report._RUN_REQUIRED)
