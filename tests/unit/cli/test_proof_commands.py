"""`onward evidence` and `onward receipt` where validators changed: which file tells what."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.unit.audit.test_epoch_verifier import (
    DOCUMENT,
    FIRST,
    SECOND,
    THIRD,
    WHOLE,
    accusation,
)

from onward.cli import evidence, why_stuck
from onward.cli.main import main
from onward.cli.offline import reached_epochs
from onward.cli.output import UsageFault

RECEIPTS = Path(__file__).parents[2] / "vectors" / "receipts"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {
        "old.evidence": accusation(0, FIRST, 1),
        "new.evidence": accusation(1, SECOND, 3),
        "genesis.json": DOCUMENT,
        "epochs": WHOLE,
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


def said(code: int, *arguments: str | Path) -> Any:
    done = CliRunner().invoke(main, [*map(str, arguments), "--json"], env={"ONWARD_NETWORK": None})
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)


def test_evidence_of_a_later_epoch_verifies_with_the_epochs_and_not_without(folder: Path) -> None:
    """Who accuses must be able to convince somebody who trusts the genesis alone."""
    verify = ("evidence", "verify", folder / "new.evidence", "--genesis", folder / "genesis.json")
    assert said(0, *verify, "--epochs", folder / "epochs")["validator"] == "v4"
    assert said(1, *verify)["code"] == "E_CHAIN"


def test_why_stuck_knows_the_validators_of_later_epochs_by_their_proofs(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The genesis alone calls everybody a stranger who was voted in after it."""
    asked: list[tuple[Any, ...]] = []
    read = 0

    def counted(genesis: bytes, proofs: bytes) -> Any:
        nonlocal read
        read += 1
        return reached_epochs(genesis, proofs)

    def look(*arguments: Any) -> Any:
        asked.append(arguments)
        raise UsageFault("seen enough")

    monkeypatch.setattr(why_stuck, "address_look", look)
    monkeypatch.setattr(why_stuck, "reached_epochs", counted)
    command = ("why-stuck", "127.0.0.1:1", "--genesis", folder / "genesis.json")
    said(2, *command, "--epochs", folder / "epochs")
    said(2, *command)
    (_, _, later), (_, _, none) = asked
    assert read == 1
    assert [list(keys) for keys in later] == [[seat.name for seat in s] for s in (SECOND, THIRD)]
    assert [*later[1].values()] == [seat.key.public_key for seat in THIRD]
    assert none == ()


def test_why_stuck_takes_proofs_with_an_address_and_its_genesis_only(folder: Path) -> None:
    proofs = ("--epochs", folder / "epochs")
    genesis = ("--genesis", folder / "genesis.json")
    assert "--genesis" in said(2, "why-stuck", "127.0.0.1:1", *proofs)["message"]
    assert "ADDRESS" in said(2, "why-stuck", folder, *proofs)["message"]
    wrong = ("--epochs", folder / "old.evidence")
    assert "--epochs: E_" in said(2, "why-stuck", "127.0.0.1:1", *genesis, *wrong)["message"]


@pytest.mark.parametrize("command", ["evidence", "receipt"])
def test_wrong_file_behind_epochs_is_the_one_that_is_named(folder: Path, command: str) -> None:
    """A good receipt is not forged because somebody mistook two files."""
    file = folder / "old.evidence" if command == "evidence" else RECEIPTS / "valid.receipt"
    genesis = folder / "genesis.json" if command == "evidence" else RECEIPTS / "genesis.json"
    verify = (command, "verify", file, "--genesis", genesis, "--epochs")
    assert said(1, *verify, folder / "genesis.json")["message"].startswith("proofs of the epochs: ")
    assert said(2, *verify, folder / "nowhere")["code"] == "E_USAGE"
    assert said(2, *verify, folder)["code"] == "E_USAGE"


def test_list_shows_the_rest_where_a_piece_is_of_an_epoch_out_of_reach(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One cheater of a later epoch must not hide all others from whoever has no proofs yet."""
    held = tuple((folder / name).read_bytes() for name in ("old.evidence", "new.evidence"))

    async def fetch(_target: object) -> tuple[bytes, ...]:
        return held

    monkeypatch.setattr(evidence, "_fetch", fetch)
    listing = ("evidence", "list", "--genesis", folder / "genesis.json")
    kept = folder / "kept"
    found = said(0, *listing, "--save", kept)
    assert [item["validator"] for item in found["evidence"]] == ["v1"]
    (name,) = found["not_verified"]
    assert (kept / name).read_bytes() == held[1]
    whole = said(0, *listing, "--epochs", folder / "epochs")
    assert [item["validator"] for item in whole["evidence"]] == ["v1", "v4"]
    assert whole["not_verified"] == []
    assert said(2, *listing, "--epochs", folder / "genesis.json")["code"] == "E_USAGE"
