"""Real runs, step by step, against the executable spec; and that the spec would have objected."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from tests.spec.recorder import Witness, WitnessedWorld, proposal_of
from tests.spec.vote_rules import Voter
from tests.support.consensus_world import (
    CHAIN_ID,
    START_MS,
    CheapSigner,
    cheap_verify,
    core_config,
    genesis_of,
    validator_set,
)

from onward.consensus.core import Core
from onward.consensus.effects import BlockVerdict, CoreEffect, Persist, Validate
from onward.consensus.messages import (
    EMPTY_PACKET,
    Certificate,
    IndexedSignature,
    Packet,
    Vote,
    VoteKind,
    vote_signed_bytes,
)
from onward.errors import OnwardError
from onward.ledger.block import block_digest
from onward.simulation.byzantine import LIAR_KINDS
from onward.simulation.mutants import MUTANTS, Mutant
from onward.simulation.oracles import Violation
from onward.simulation.run import run_world
from onward.simulation.schedule import draw_options, draw_schedule

STEPS_MIN = 500


def witnessed(seed: int, mutant: Mutant | None = None) -> WitnessedWorld:
    """The first seconds of a seed, faults and liars and all, with a witness at everybody honest."""
    chosen = replace(
        draw_options(seed, LIAR_KINDS),
        duration_ms=9_000,
        stable_at_ms=7_000,
        blocks_min=15,
        bodies_min=40,
        burst_every_ms=200,
        burst_envelopes_max=2,
    )
    return WitnessedWorld(seed, options=chosen, schedule=draw_schedule(seed, chosen), mutant=mutant)


@pytest.mark.parametrize("seed", range(8))
def test_every_step_of_every_honest_validator_is_one_that_the_spec_allows(seed: int) -> None:
    """The danger: a model, proved and checked, of something that the code does not do."""
    world = witnessed(seed)
    run_world(world)
    assert not world.objections
    assert world.steps > STEPS_MIN


# -- the spec objects ------------------------------------------------------------------------------


class NotarizedIsFinal(Mutant):
    """What a quorum accepts is delivered, although nobody has promised not to give it up."""

    def on_replica(self, replica: Any) -> None:
        known = replica._core._known
        learn = known.learn

        def hastily(certificate: Certificate) -> None:
            learn(certificate)
            if certificate.kind == VoteKind.NOTARIZE and certificate.view > known.top.view:
                known.top = certificate

        known.learn = hastily


PLANTED = {
    "certificate-one-vote-early": "C",
    "finalize-after-nullify": "S2",
    "notarizes-twice-after-reboot": "S1",
    "quorum-of-2f": "F",
    "send-before-persist": "D1",
    "votes-counted-not-voters": "C",
    "votes-forgotten-at-reboot": "S1",
    "votes-for-any-block-counted": "C",
}
"""Bugs of the simulation that are about these rules, and the rule that objects, among others."""


def objections_to(mutant: Mutant) -> set[str]:
    """The rules that object in the first of three seeds that meets any objection.

    Whatever the oracles of the simulation say: the spec alone must see it.
    """
    for seed in range(3):
        world = witnessed(seed, mutant)
        with suppress(Violation, OnwardError):
            run_world(world)
        if world.objections:
            return {rule for said in world.objections for rule in said.split(":")[0].split()}
    return set()


@pytest.mark.parametrize("name", sorted(PLANTED))
def test_planted_bug_meets_an_objection(name: str) -> None:
    """A spec that allows everything is kept by everybody."""
    assert PLANTED[name] in objections_to(MUTANTS[name]())


def test_delivery_of_what_is_only_notarized_meets_an_objection() -> None:
    """Nobody has promised not to give it up."""
    assert "V" in objections_to(NotarizedIsFinal())


VALIDATORS = validator_set(4)


def vote(kind: VoteKind, view: int, digest: bytes, signer: int) -> Vote:
    signed = vote_signed_bytes(CHAIN_ID, 0, kind, view, digest)
    signature = CheapSigner(VALIDATORS.public_key(signer)).sign(signed)
    return Vote(kind=kind, view=view, digest=digest, signer=signer, signature=signature)


def certificate(kind: VoteKind, view: int, digest: bytes) -> Certificate:
    votes = [vote(kind, view, digest, signer) for signer in (0, 1, 2)]
    signatures = tuple(IndexedSignature(signer=v.signer, signature=v.signature) for v in votes)
    return Certificate(kind=kind, view=view, digest=digest, signatures=signatures)


@pytest.mark.parametrize("is_broken", [False, True])
def test_vote_for_a_block_that_passes_a_view_over_meets_an_objection(is_broken: bool) -> None:
    """Liars among the leaders are what J is for: an honest one never makes such a block."""
    root, final = genesis_of(VALIDATORS)
    first = replace(
        root, view=1, height=1, parent=final.digest, parent_view=0, time_ms=root.time_ms + 1
    )
    passing = replace(first, view=2)  # on the root, although view 1 was not nullified
    core = Core(core_config(VALIDATORS, 3), root, final)
    if is_broken:
        known = core._known
        known.is_justified = lambda block: True  # type: ignore[method-assign]
        known.ticket = lambda *views: (known.notarized[0],)  # type: ignore[method-assign]
        core._promises._check_ground = lambda *ground: None  # type: ignore[method-assign]
    voter = Voter(3, 4, 3, proposal_of(root))
    witness = Witness(voter, CHAIN_ID, VALIDATORS, cheap_verify)

    def take(effects: tuple[CoreEffect, ...]) -> None:
        for effect in effects:
            if isinstance(effect, Persist):
                witness.write(effect.records)
            elif isinstance(effect, Validate):
                take(core.on_verdict(effect.digest, BlockVerdict.VALID, START_MS))

    take(core.start((), START_MS))
    for peer, view, block, certificates in (
        (1, 1, first, ()),
        (2, 2, passing, (certificate(VoteKind.NOTARIZE, 1, block_digest(first)),)),
    ):
        said = vote(VoteKind.NOTARIZE, view, block_digest(block), peer)
        packet: Packet = replace(
            EMPTY_PACKET, blocks=(block,), votes=(said,), certificates=certificates
        )
        witness.hear(packet)
        take(core.on_packet(peer, packet, START_MS))  # type: ignore[arg-type]
    assert [item.split(":")[0] for item in witness.objections] == (["J"] if is_broken else [])
    assert witness.steps
