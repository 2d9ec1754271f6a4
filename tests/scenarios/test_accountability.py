"""Whoever cheats can be named afterwards, to anybody, without trusting a node (goal G12)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from onward.audit import evidence_verifier
from onward.audit.evidence_verifier import verify_evidence
from onward.consensus.evidence_file import encode_evidence
from onward.consensus.forensics import find_fork
from onward.simulation import signing
from onward.simulation.byzantine.twins import TWINS
from onward.simulation.faults import Options
from onward.simulation.host import Host
from onward.simulation.lane_oracles import LaneOracles
from onward.simulation.oracles import SafetyOracles, Violation
from onward.simulation.world import World


@pytest.fixture(autouse=True)
def _auditor_of_this_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """The world's signatures are cheap ones; every other check of the auditor stays as it is."""
    monkeypatch.setattr(evidence_verifier, "is_signed", signing.verify)


def named_by(world: World, host: Host) -> set[int]:
    """Whom the evidence of a machine names, once an auditor has checked each file."""
    genesis = world.consortium.genesis
    found = set()
    for evidence in getattr(host.machine, "evidence", ()):
        data = encode_evidence(evidence, genesis.chain_id, genesis.validators)
        found.add(verify_evidence(data, genesis.document).index)
    return found


@pytest.mark.parametrize("liar", ["equivocator", "double_voter", "lane_forker"])
def test_every_honest_validator_can_name_who_told_two_stories(liar: str) -> None:
    """What one of them saw is of no use if it is the one whose disk is lost."""
    w = World(seed=11, options=Options(validators=4, liars=(liar,)))
    w.start_clients()
    w.run_ms(4_000)
    assert [named_by(w, host) for host in w.honest] == [{3}, {3}, {3}]


class Bystander:
    """The oracles of a network that is known to be broken: they only take notes."""

    def __init__(self, oracles: SafetyOracles | LaneOracles) -> None:
        self._oracles = oracles
        self.notes: list[str] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._oracles, name)
        if not callable(found):
            return found

        def watched(*arguments: Any, **more: Any) -> Any:
            try:
                return found(*arguments, **more)
            except Violation as violation:
                self.notes.append(violation.oracle)
                return None

        return watched


def forked(seed: int, twins: int) -> tuple[World, Bystander]:
    """Too many twins keep two halves of the honest apart, and each half decides by itself."""
    size = 3 * twins - 2 if twins > 2 else 4
    w = World(seed=seed, options=Options(validators=size, liars=(TWINS,) * twins))
    oracles = Bystander(w.oracles)
    w.oracles = oracles  # type: ignore[assignment]
    w.lanes = Bystander(w.lanes)  # type: ignore[assignment]
    honest = [host.index for host in w.honest]
    left, right = set(honest[::2]), set(honest[1::2])

    def deal(size: int) -> None:
        del size
        for index in sorted(w.liar_indexes):
            for peer in honest:
                w.twin_routes._sides[index, peer] = int(peer in right)

    w.twin_routes.deal = deal  # type: ignore[method-assign]
    w._deal_twins()
    w.connections.refresh()
    w.partition(left, right)
    w.start_clients()
    return w, oracles


def run_past_violations(world: World, duration_ms: int) -> list[str]:
    """Let time pass; whoever stops, stops, and stays as it is. Answers why they stopped."""
    end_ms, stops = world.now_ms + duration_ms, list[str]()
    while world.now_ms < end_ms:
        try:
            world.run_ms(end_ms - world.now_ms)
        except Violation as violation:
            stops.append(str(violation))
    return stops


def heights(hosts: Iterable[Host]) -> list[int]:
    return [host.height for host in hosts]


@pytest.mark.parametrize("seed", range(2))
def test_fork_by_too_many_cheaters_leaves_files_that_name_them(seed: int) -> None:
    """No protocol stops f + 1 of four. It must be possible to show who they were."""
    w, oracles = forked(seed, twins=2)
    run_past_violations(w, 3_000)
    assert min(heights(w.honest)) > 3
    assert oracles.notes  # two chains: the safety that was promised for f liars is gone
    w.heal()
    stops = run_past_violations(w, 3_000)
    assert any("exclude each other" in reason for reason in stops), stops
    named = set[int]().union(*(named_by(w, host) for host in w.honest))
    assert named == {2, 3}


@pytest.mark.parametrize("seed", range(2))
def test_two_databases_name_the_cheaters_when_their_owners_never_met(seed: int) -> None:
    """Years later, two auditors put the chains side by side that each of them was shown."""
    w, _ = forked(seed, twins=2)
    run_past_violations(w, 4_000)
    left, right = w.honest
    assert named_by(w, left) == named_by(w, right) == set()
    genesis = w.consortium.genesis
    fork = find_fork(
        left.disk.store, right.disk.store, genesis.chain_id, (genesis.validators,), signing.verify
    )
    assert fork is not None
    assert fork.height == 1
    assert {item.signer for item in fork.evidence} == {2, 3}


def test_databases_of_one_chain_show_no_fork() -> None:
    """One that is only behind contradicts nothing."""
    w = World(seed=12, n=4)
    w.start_clients()
    w.run_ms(1_000)
    w.partition({3}, {0, 1, 2})
    w.run_ms(2_000)
    genesis = w.consortium.genesis
    behind, ahead = w.host(3), w.host(0)
    assert 0 < behind.height < ahead.height
    for one, other in ((behind, ahead), (ahead, behind)):
        stores = one.disk.store, other.disk.store
        found = find_fork(*stores, genesis.chain_id, (genesis.validators,), signing.verify)
        assert found is None
