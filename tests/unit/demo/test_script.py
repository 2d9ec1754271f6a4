"""The demo's story: told once, in order, and true."""

from __future__ import annotations

from pathlib import Path

import pytest

from onward.audit.receipt_verifier import ReceiptError, verify_receipt
from onward.demo.perform import VALIDATORS, change_one_byte
from onward.demo.script import load_script
from onward.scenario.runner import run_scenario
from onward_chaincode.registry import contract_for

RECEIPTS = Path(__file__).parents[2] / "vectors/receipts"


def test_story_gets_the_verdicts_that_it_tells() -> None:
    """The same steps in memory: a wrong expectation shows without any process."""
    result = run_scenario(load_script().scenario, contract_for)
    assert [step.complaint for step in result.steps if step.complaint] == []
    assert result.ok


def test_story_shows_the_refusals_that_the_demo_is_for() -> None:
    expected = {step.expect for step in load_script().scenario.steps}
    assert {"E_ONWARD_PROHIBITED", "E_DEPTH", "E_ANCESTOR_ENDED"} <= expected


def test_one_validator_is_killed_before_it_comes_back() -> None:
    scenes = load_script().scenes
    killed = [(place, scene.kill) for place, scene in enumerate(scenes) if scene.kill]
    restarted = [(place, scene.restart) for place, scene in enumerate(scenes) if scene.restart]
    assert len(killed) == len(restarted) == 1
    assert killed[0][0] < restarted[0][0]
    assert killed[0][1] == restarted[0][1]
    assert killed[0][1] in {f"v{number}" for number in range(1, VALIDATORS + 1)}


def test_receipt_with_one_byte_changed_is_refused() -> None:
    """The demo's forgery must be one."""
    genesis = (RECEIPTS / "genesis.json").read_bytes()
    receipt = (RECEIPTS / "valid.receipt").read_bytes()
    verify_receipt(receipt, genesis)
    forged = change_one_byte(receipt)
    assert sum(a != b for a, b in zip(receipt, forged, strict=True)) == 1
    with pytest.raises(ReceiptError):
        verify_receipt(forged, genesis)
