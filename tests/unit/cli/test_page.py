"""Answers as people read them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from onward.cli.output import WIDTH_MAX, WIDTH_MIN, console, width
from onward.cli.page import show_document
from onward.cli.target import Target
from onward.network.definition import create_network
from onward.system.parties import PartyKind

ID = "ab" * 32
OTHER = "cd" * 32


@pytest.fixture
def target(tmp_path: Path) -> Target:
    network = create_network(tmp_path / "n", validators=4, time_ms=1)
    network.wallet.create("alice", PartyKind.PERSON)
    return Target(network=network.folder, node=None, genesis_file=None, key_file=None, as_name=None)


def shown(
    document: dict[str, Any], target: Target, title: str = "answer", columns: int = 80
) -> str:
    out = io.StringIO()
    show_document(Console(file=out, width=columns), document, target, title=title)
    return out.getvalue()


def test_times_are_dates_durations_and_pseudonyms_are_names(target: Target) -> None:
    alice = target.identity("alice").party_id
    page = shown(
        {"ends_at_ms": 1_750_000_000_000, "notice_ms": 604_800_000, "first_party": alice}, target
    )
    assert "2025-06-15 15:06:40" in page
    assert "7d" in page
    assert "alice (" in page
    assert alice not in page


def test_code_stands_in_one_piece_where_the_page_is_too_narrow(target: Target) -> None:
    """It is what people look up and search for: half of one is found nowhere."""
    row: dict[str, Any] = {
        "code": "E_ONWARD_PROHIBITED",
        "rule": "R15",
        "sharer": "acme",
        "recipient": "beta",
    }
    row |= {"event": "share.refused", "at_ms": 1_750_000_000_000}
    page = shown({"refusals": [row]}, target)
    assert "E_ONWARD_PROHIBITED" in page
    assert max(map(len, page.splitlines())) <= 80


def test_time_beyond_every_calendar_is_shown_as_it_is(target: Target) -> None:
    """Any party may offer until then; the other one's page must not fail for it."""
    assert f"{2**53 - 1} ms" in shown({"ends_at_ms": 2**53 - 1}, target)
    assert "9999-12-31 23:59:59" in shown({"ends_at_ms": 253_402_300_799_999}, target)


def test_ids_stay_whole_at_the_top_and_are_short_in_lists(target: Target) -> None:
    """The next command wants the id; a table has no room for ten of them."""
    page = shown({"agreement_id": ID, "shares": [{"share_id": OTHER}]}, target)
    assert ID in page
    assert OTHER not in page
    assert OTHER[:12] in page


def test_what_matters_most_stands_first(target: Target) -> None:
    page = shown({"agreement_id": ID, "depth": 0, "effective": False, "status": "REVOKED"}, target)
    assert page.splitlines()[0].split() == ["status", "REVOKED"]


def test_empty_parts_say_so_and_further_pages_are_announced(target: Target) -> None:
    page = shown({"refused": {}, "steps": [], "next": "cursor", "proven": False}, target)
    assert page.count("none") == 2
    assert "--after cursor" in page
    assert "proven" not in page


def test_lineage_is_a_tree_from_the_rights_holder_down(target: Target) -> None:
    alice = target.identity("alice").party_id

    def holding(name: str, level: int, *, effective: bool) -> dict[str, Any]:
        status = "ACTIVE" if effective else "ENDED_BY_ANCESTOR"
        return {
            "agreement_id": ID,
            "second_party": name,
            "level": level,
            "status": status,
            "effective": effective,
            "ends_at_ms": None,
        }

    top = holding("acme", 0, effective=True)
    nodes = [
        holding("beta", 1, effective=True),
        holding("gamma", 2, effective=False),
        holding("delta", 1, effective=True),
    ]
    document = {"rights_holder": alice, "path": [top], "top": top, "nodes": nodes, "next": ""}
    lines = shown(document, target, title="lineage").splitlines()
    assert lines[0].startswith("alice")
    names = ("acme", "beta", "gamma", "delta")
    depths = [next(line.index(name) for line in lines if name in line) for name in names]
    assert depths == [4, 8, 12, 8]
    assert "ENDED_BY_ANCESTOR" in lines[3]


def test_page_of_a_lineage_may_begin_in_the_middle_of_the_tree(target: Target) -> None:
    """The parents of its first rows stand on the page before."""
    top = {"agreement_id": ID, "second_party": "acme", "status": "ACTIVE", "ends_at_ms": None}
    nodes = [
        {**top, "second_party": "delta", "level": 3},
        {**top, "second_party": "eps", "level": 2},
    ]
    document = {"rights_holder": "r", "path": [top], "top": top, "nodes": nodes, "next": ""}
    lines = shown(document, target, title="lineage").splitlines()
    depths = [next(line.index(name) for line in lines if name in line) for name in ("delta", "eps")]
    assert depths == [16, 12]


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_page_fits_the_width(target: Target, columns: int) -> None:
    rows = [{f"key_{n}": "word " * 12 for n in range(9)}]
    page = shown({"title": "word " * 60, "rows": rows}, target, columns=columns)
    assert max(len(line) for line in page.splitlines()) <= columns


@pytest.mark.parametrize(("columns", "expected"), [("20", WIDTH_MIN), ("400", WIDTH_MAX)])
def test_width_keeps_its_bounds(
    monkeypatch: pytest.MonkeyPatch, columns: str, expected: int
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert width() == expected


def test_piped_output_is_plain_and_trimmed() -> None:
    out = io.StringIO()
    paper = console(out)
    paper.print("bold", style="bold red")
    paper.print("a   ")
    assert out.getvalue() == "bold\na\n"
