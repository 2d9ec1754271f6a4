"""The scenario files that we ship: each is a test of the rules, told as a story."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from onward.cli.main import main
from onward.scenario.breakage import BREAKS
from onward.scenario.documents import shipped_documents
from onward.scenario.format import parse_scenario
from onward.scenario.grammar import SYSTEM_KEYS, Sort, keys_of, step_types
from onward.scenario.runner import ScenarioResult, run_scenario
from onward_chaincode import onward
from onward_chaincode.errors import TABLE, Code
from onward_chaincode.reconciliation_records import ReconciliationCode
from onward_chaincode.registry import contract_for

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "scenarios"
FILES = sorted(FOLDER.rglob("*.toml"))
DOCUMENTS = shipped_documents()
TYPES = sorted({*step_types(), *step_types("reconciliation")})


def run(path: Path) -> ScenarioResult:
    parsed = parse_scenario(path.read_bytes(), where=path.name, fixtures=DOCUMENTS)
    return run_scenario(parsed, contract_for)


def command(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["scenario", "run", *arguments])


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_every_step_gets_the_verdict_that_the_file_expects(path: Path) -> None:
    result = run(path)
    wrong = [
        f"{step.name}: {step.complaint} ({step.message})" for step in result.steps if step.complaint
    ]
    assert not wrong
    assert result.ok
    assert len(result.steps) == result.step_count


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_every_file_begins_with_its_story(path: Path) -> None:
    """A reader who does not know the format reads this first."""
    story = re.match(r"(?:#[^\n]*\n)+", path.read_text(encoding="utf-8"))
    assert story is not None
    assert len(story[0]) > 40


def test_every_transaction_type_has_an_example_that_uses_it() -> None:
    for kind in TYPES:
        path = FOLDER / "examples" / f"{re.sub('[._]', '-', kind)}.toml"
        assert path.is_file(), f"no example of {kind}"
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        accepted = [
            step
            for step in document["step"]
            if step.get("do") == kind and step.get("expect", "OK") == "OK"
        ]
        assert accepted, f"{path.name} never gets {kind} accepted"


def steps_of_all_files() -> list[dict[str, Any]]:
    return [
        step for path in FILES for step in tomllib.loads(path.read_text(encoding="utf-8"))["step"]
    ]


def test_every_code_of_the_contracts_is_shown_by_some_file() -> None:
    """A code that no story reaches is a rule that nobody has seen at work."""
    shown = {step.get("expect", "OK") for step in steps_of_all_files()}
    for code in ("E_CHAIN", "E_SIG", "E_REPLAY"):  # of the node
        assert code in shown
    assert set(Code) - shown == set()
    assert set(ReconciliationCode) - shown == set()


def test_every_rule_of_an_onward_share_is_shown_by_some_file() -> None:
    """R03, R06 and R07 belong to the node; R01 to R05 are refused before there is a case."""
    shown = {step.get("rule") for step in steps_of_all_files()}
    rules = {entry.rule for entry in TABLE if entry.rule} - {"R01", "R02", "R04", "R05"}
    assert rules - shown == set()


def test_every_adversarial_case_is_a_step_of_some_file() -> None:
    """The cases against which the rules were designed. A53 is a proposal of a validator, and no
    transaction: it has a test of its own."""
    names = [step.get("name", "") for step in steps_of_all_files()]
    numbers = "01 02 03 04 05 06 08 09 11 12 13 18 19 20 21 22 23 26 27 29 30 33 34 36 38 39 41 43"
    cases = [f"a{number}" for number in f"{numbers} 44 46 48 49 52".split()]
    for case in [*cases, *(f"p{number}" for number in range(1, 8))]:
        assert any(re.match(f"{case}(-|$)", name) for name in names), case
    refused = [step for step in steps_of_all_files() if step.get("expect", "OK") != "OK"]
    assert len(refused) >= len(cases) + 60


def test_a53_a_validator_that_accepts_a01_has_another_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proposal names the log after what it executed. Whoever lets the forbidden share pass has a
    log that nobody else has; `test_wrong_result_is_refused_at_once_by_all` plays what becomes of a
    proposal that names another log than the others'."""
    text = (FOLDER / "f1-intentcast.toml").read_text(encoding="utf-8")
    told = text[: text.index('expect = "E_ONWARD_PROHIBITED"')].encode()
    parsed = parse_scenario(told, where="A53", fixtures=DOCUMENTS)
    honest = run_scenario(parsed, contract_for)
    assert (honest.steps[-1].name, honest.steps[-1].code) == (
        "acme-passes-it-on",
        "E_ONWARD_PROHIBITED",
    )
    monkeypatch.setattr(onward, "RULES", ())
    lenient = run_scenario(parsed, contract_for)
    assert lenient.steps[-1].code == "OK"
    assert lenient.log_root != honest.log_root
    assert lenient.state_root != honest.state_root


def test_the_same_file_gives_the_same_roots_in_another_process() -> None:
    """Replicas are other processes: nothing may depend on this one's hash seed."""
    files = [FOLDER / name for name in ("f1-intentcast.toml", "onward-scope.toml")]
    done = subprocess.run(
        [sys.executable, "-m", "onward.cli.main", "scenario", "run", "--json", *map(str, files)],
        env={**os.environ, "PYTHONHASHSEED": "4242"},
        capture_output=True,
        text=True,
        check=True,
    )
    there = [
        (item["state_root"], item["log_root"]) for item in json.loads(done.stdout)["scenarios"]
    ]
    for _ in range(2):
        here = [run(path) for path in files]
        assert [(result.state_root, result.log_root) for result in here] == there


# ---------------------------------------------------------------------------------- the command


def test_command_prints_a_line_per_step_and_exits_0() -> None:
    done = command(str(FOLDER / "f1-intentcast.toml"))
    assert done.exit_code == 0
    line = next(line for line in done.output.splitlines() if "acme-passes-it-on" in line)
    assert re.search(r"✓ +t0\+1d +acme-passes-it-on +acme +share.onward +E_ONWARD_PROHIBITED", line)
    assert "every verdict as expected" in done.output


def test_wrong_expectation_ends_the_story_there_and_exits_1(tmp_path: Path) -> None:
    """Whoever asks 'what would the chain say' must not get a yes for a no."""
    text = (FOLDER / "f1-intentcast.toml").read_text(encoding="utf-8")
    path = tmp_path / "hopeful.toml"
    hopeful = text.replace('expect = "E_ONWARD_PROHIBITED"', 'expect = "OK"')
    assert hopeful != text
    path.write_text(hopeful, encoding="utf-8")
    done = command(str(path))
    assert done.exit_code == 1
    assert "E_ONWARD_PROHIBITED (R15, recorded), expected OK" in done.output
    assert "alice-sees-the-attempt" not in done.output
    document = json.loads(command("--json", str(path)).output)
    assert document["ok"] is False
    last = document["scenarios"][0]["steps"][-1]
    assert (last["name"], last["code"], last["expected"], last["ok"]) == (
        "acme-passes-it-on",
        "E_ONWARD_PROHIBITED",
        "OK",
        False,
    )


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('rule = "R15"', 'rule = "R16"', "rule: expected R16, got R15"),
        ('outcome = "recorded"', 'outcome = "refused"', "outcome: expected refused, got recorded"),
        ("email = 1, intent = 1", "email = 2, intent = 1", "answer.given.by_field.email"),
        ("answer.refusals = []", 'answer.refusals = [{ code = "E_X" }]', "expected 1 items, got 0"),
    ],
)
def test_every_kind_of_expectation_can_fail(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    text = (FOLDER / "f1-intentcast.toml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "wrong.toml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    done = command(str(path))
    assert done.exit_code == 1
    assert complaint in done.output


def test_bad_file_exits_2_and_says_where(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text('title = "x"\nt0 = 1_750_000_000_000\nmood = "good"\n', encoding="utf-8")
    done = command(str(path))
    assert done.exit_code == 2
    assert f"{path}: the file: unknown key 'mood'; known are title" in done.output
    assert command(str(tmp_path / "absent.toml")).exit_code == 2
    assert command().exit_code == 2


def test_several_files_are_one_json_document() -> None:
    files = [str(path) for path in FILES[:2]]
    done = command("--json", *files)
    document = json.loads(done.output)
    assert document["ok"] is True
    assert [item["where"] for item in document["scenarios"]] == files


# ------------------------------------------------------------------------------- the specification

SPECIFICATION = (ROOT / "docs" / "spec" / "scenario.md").read_text(encoding="utf-8")
FOLLOWS_FROM_OTHERS = {"offer_expires_at", "parent_agreement", "scope"}


def test_specification_lists_every_type_with_its_keys() -> None:
    rows = dict(re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \| (.+) \|$", SPECIFICATION, re.MULTILINE))
    assert sorted(rows) == TYPES
    for kind, cell in rows.items():
        stated = dict(re.findall(r"`([a-z_.]+)`(\*?)", cell))
        if kind in SYSTEM_KEYS:
            assert stated == dict.fromkeys(SYSTEM_KEYS[kind], "*"), kind
            continue
        keys = keys_of(kind)
        assert list(stated) == list(keys), kind
        starred = {
            name
            for name, key in keys.items()
            if key.required
            and key.sort not in {Sort.LABEL, Sort.TERMS, Sort.SCHEMA}
            and name not in FOLLOWS_FROM_OTHERS
        }
        assert {name for name, star in stated.items() if star} == starred, kind


def test_specification_lists_every_way_to_break() -> None:
    section = SPECIFICATION.partition("### Broken on purpose")[2].partition("### Questions")[0]
    listed = re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)
    assert sorted(set(listed) - {"break"}) == sorted([*BREAKS, "replay of NAME"])


def test_example_of_the_specification_goes_as_it_says() -> None:
    example = re.search(r"```toml\n(.*?)```", SPECIFICATION, re.DOTALL)
    assert example is not None
    parsed = parse_scenario(example[1].encode(), where="scenario.md", fixtures=DOCUMENTS)
    result = run_scenario(parsed, contract_for)
    assert [step.complaint for step in result.steps if step.complaint] == []


def test_specification_names_every_key_of_the_json_document() -> None:
    document = json.loads(command("--json", str(FOLDER / "examples" / "share-ack.toml")).output)
    story = document["scenarios"][0]
    for key in (*document, *story, *story["steps"][0]):
        assert f"`{key}`" in SPECIFICATION, key


def test_every_file_is_listed_for_readers() -> None:
    listed = (FOLDER / "README.md").read_text(encoding="utf-8")
    for path in sorted(FOLDER.glob("*.toml")):
        assert f"]({path.name})" in listed, path.name
