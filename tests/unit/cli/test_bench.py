"""`onward bench`: its manners, without a network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.support.bench_results import bench_result, bench_run

from onward.bench.report import is_sound
from onward.cli.bench import show_result
from onward.cli.main import main
from onward.cli.output import console


@pytest.mark.parametrize(
    "arguments",
    [
        ("bench",),
        ("bench", "run"),
        ("bench", "run", "--rate", "10", "--closed", "5"),
        ("bench", "run", "--workload", "read", "--closed", "5"),
        ("bench", "run", "--workload", "nonsense", "--rate", "10"),
        ("bench", "run", "--rate", "10", "--validators", "3"),
        ("bench", "run", "--rate", "10", "--fault", "kill:v2:10"),
        ("bench", "run", "--rate", "10", "--fault", "melt:v2:10:5"),
        ("bench", "run", "--rate", "10", "--fault", "kill:v2:-1:5"),
        ("bench", "run", "--rate", "10", "--seconds", "12", "--fault", "kill:v2:10:5"),
        ("bench", "growth", "--sizes", "10,k"),
        ("bench", "growth", "--sizes", "100,10"),
        ("bench", "growth", "--sizes", "-5,10"),
        ("bench", "grow", "somewhere"),
    ],
)
def test_wrong_usage_starts_nothing(arguments: tuple[str, ...]) -> None:
    assert CliRunner().invoke(main, list(arguments)).exit_code == 2


def test_a_comparison_is_one_document(tmp_path: Path) -> None:
    before, after = tmp_path / "a.json", tmp_path / "b.json"
    before.write_text(json.dumps(bench_result(1_000)), encoding="utf-8")
    after.write_text(json.dumps(bench_result(1_300, seed=9)), encoding="utf-8")
    done = CliRunner().invoke(main, ["bench", "compare", str(before), str(after), "--json"])
    assert done.exit_code == 0
    ratios = {row["name"]: row["ratio"] for row in json.loads(done.stdout)["figures"]}
    assert 1.2 < ratios["limit ratio"] < 1.4
    shown = CliRunner().invoke(main, ["bench", "compare", str(before), str(after)])
    assert shown.exit_code == 0
    assert "limit ratio" in shown.stdout
    assert "different rates: 1000 and 1300" in shown.stdout


@pytest.mark.parametrize("text", ["", "[]", '{"format": "onward/bench/1"}', "{"])
def test_a_file_that_is_no_result_is_wrong_usage(text: str, tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(text, encoding="utf-8")
    done = CliRunner().invoke(main, ["bench", "compare", str(file), str(file), "--json"])
    assert done.exit_code == 2
    assert "a.json" in json.loads(done.stdout)["message"]


def test_people_are_told_which_rate_did_not_hold_and_why(
    capsys: pytest.CaptureFixture[str],
) -> None:
    document = bench_result(100, 500)
    document["runs"].append(bench_run(900, complaint="p99 2000 ms, at most 1000"))
    show_result(console(), document)
    shown = capsys.readouterr().out
    assert "900: p99 2000 ms, at most 1000" in shown
    assert "limit ratio 0.2 of the run at 500" in shown


@pytest.mark.parametrize(
    ("taken", "words"),
    [
        ({"host_taken": 0.25}, "took 25.0% of"),
        ({"host_taken": 0.0}, "took 0.0% of"),
        ({"host_taken": None}, "took an unknown part of"),
        ({}, "took an unknown part of"),
    ],
)
def test_people_are_told_what_the_host_took_or_that_nobody_knows(
    taken: dict[str, float | None], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    document = bench_result(100)
    document["runs"][-1] |= {"limit_ratio_cpu": 0.2, **taken}
    show_result(console(), document)
    assert words in capsys.readouterr().out


def test_a_wrong_verdict_is_no_result() -> None:
    run = bench_run(100)
    assert is_sound(run)
    run["transactions"]["unexpected"] = 1
    assert not is_sound(run)
    run["transactions"]["unexpected"] = 0
    run["check"]["ok"] = False
    assert not is_sound(run)
