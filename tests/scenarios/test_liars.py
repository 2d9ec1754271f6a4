"""One liar among four, kind by kind: what it does, and what the three honest ones make of it.

Whatever the kind, three things hold, and `life_with` asks for them. The oracles look on at every
event: no fork, no vote contradicted, nobody honest accused. No honest validator ever waits longer
than `ONE_LIAR_MS` for its next block: a faulty leader costs its view's time-out, which is a second.
Every client has its verdict in the end. And the lie was really told: a test that passes because
nobody lied proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from onward import limits
from onward.ledger.block import Block
from onward.ledger.chain import read_block
from onward.ledger.genesis import Parameters
from onward.simulation.byzantine import LIAR_KINDS
from onward.simulation.byzantine.censor import Censor
from onward.simulation.byzantine.twins import TWINS
from onward.simulation.consortium import GENESIS_TIME_MS
from onward.simulation.faults import Options
from onward.simulation.world import World

ONE_LIAR_MS = 2_000
AT_ONCE_MS = 900
"""Below a view's time-out: the view was given up by votes, and not by waiting."""

LIAR = 3
TOLD_OF: list[str] = []
"""The kinds of liars that have a scenario here."""


def scenario(kind: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Marks the scenario of a kind."""
    TOLD_OF.append(kind)
    return lambda test: test


def life_with(
    kind: str,
    lie: str,
    *,
    seed: int = 12,
    for_ms: int = 6_000,
    within_ms: int = ONE_LIAR_MS,
    delay_ms: int = 3,
) -> World:
    """A calm network of four with such a liar, at the end of which all is told and level."""
    w = World(seed=seed, options=Options(liars=(kind,), delay_ms_mean=delay_ms))
    w.start_clients()
    w.expect_pace(for_ms, within_ms=within_ms)
    w.stop_clients()
    w.expect_told()
    w.expect_finalized(height=w.height)
    assert w.counts[lie] > 0
    return w


def chain_of(w: World) -> list[Block]:
    """The blocks that the first validator has executed."""
    blocks = [read_block(w.host(0).disk.store, height) for height in range(w.host(0).height + 1)]
    return [stored.block for stored in blocks if stored is not None]


def nobody_is_accused(w: World) -> bool:
    """Whether what the liar does could also be an honest validator's bad luck."""
    accusations = ("misbehaved", "equivocation", "evidence", "lane_forked")
    return not any(w.counts[f"event.{name}"] for name in accusations)


# -- liars that leave a proof ----------------------------------------------------------------------


@scenario("equivocator")
def test_equivocating_leader_is_named_by_its_two_signatures() -> None:
    """One block to some and another to the rest: a quorum for both would be a fork."""
    w = life_with("equivocator", "lie.equivocation")
    assert w.counts["event.equivocation"] > 0
    assert w.counts["event.evidence"] >= 3


@scenario("double_voter")
def test_double_voter_is_named_by_its_two_votes() -> None:
    """FINALIZE to one and NULLIFY to another: each of them could complete a quorum."""
    w = life_with("double_voter", "lie.double_vote")
    assert w.counts["event.equivocation"] > 0
    assert w.counts["event.evidence"] >= 3


@scenario("twins")
def test_twins_are_named_by_what_each_of_them_signed() -> None:
    """Two machines with one key: each is honest, together they are not."""
    for seed in range(15, 33):  # they contradict each other only when chance deals them so
        w = life_with(TWINS, "liar.twins", seed=seed, for_ms=10_000)
        if w.counts["event.equivocation"]:
            assert w.counts["event.evidence"] >= 3
            return
    pytest.fail("no pair of twins contradicted itself")


@scenario("lane_forker")
def test_forked_lane_is_proved_and_one_branch_is_ordered() -> None:
    """Two batches at one place of its lane: who held the one could not vote for the other."""
    w = life_with("lane_forker", "lie.lane_fork")
    assert w.counts["event.lane_forked"] > 0
    assert w.counts["event.evidence"] > 0
    assert chain_of(w)[-1].cut[LIAR].seq > 0
    assert w.oracles.void_count > 0  # what it sealed was executed before, in its client's lane


@scenario("forger")
def test_forged_certificates_cost_the_connection() -> None:
    """Invented signatures, too few, one counted three times, real ones under other words."""
    w = life_with("forger", "lie.forged_certificate")
    assert w.counts["event.misbehaved"] > 0
    assert w.counts["peer.disconnected"] > 0


@scenario("garbler")
def test_ruined_bytes_cost_the_connection_where_they_decode_at_all() -> None:
    """Bytes changed on the wire, past the real decoder: it refuses them, or what they say is."""
    w = life_with("garbler", "lie.garbage_decoded")
    assert w.counts["lie.garbage_refused"] > 0
    assert w.counts["event.misbehaved"] > 0


@scenario("slanderer")
def test_false_accusation_falls_back_on_its_teller() -> None:
    """Two true votes that exclude nothing, or one that was never given: both look like proof."""
    w = life_with("slanderer", "lie.slander")
    assert w.counts["event.evidence"] == 0
    assert w.counts["event.misbehaved"] > 0
    assert all(host.machine.evidence == () for host in w.honest)  # type: ignore[union-attr]


@scenario("page_liar")
def test_lying_source_of_the_chain_wastes_a_request_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who was away asks one peer after the other for what it missed, the liar among them."""
    monkeypatch.setattr(limits, "CHAIN_PAGE_BLOCKS_MAX", 2)
    w = World(seed=12, options=Options(liars=("page_liar",)))
    w.start_clients()
    w.run_ms(1_000)
    w.crash(1)
    w.run_ms(10_000)
    w.reboot(1)
    w.expect_finalized(height=w.height, within_ms=15_000)
    w.stop_clients()
    w.expect_told()
    assert w.counts["lie.page"] > 3
    assert w.counts["event.misbehaved"] > 1
    assert w.counts["event.caught_up"] > 5


# -- liars whose lie is refused, and may have been a mistake ---------------------------------------


@scenario("misreporter")
def test_wrong_result_is_refused_at_once_by_all() -> None:
    """A leader that names another log after a block would have its own execution agreed on."""
    w = life_with("misreporter", "lie.wrong_result", within_ms=AT_ONCE_MS)
    assert w.counts["event.not_voted"] > 0
    assert w.counts["event.nullified"] > 0
    assert nobody_is_accused(w)


@scenario("unjustified")
def test_unjustified_proposal_gets_no_vote_and_its_view_passes() -> None:
    """A child of its grandparent: were it notarized, the parent could be finalized beside it."""
    # Slow links: the proposal overtakes the parent's finalization, behind which it would be late.
    w = life_with("unjustified", "lie.unjustified_proposal", delay_ms=40)
    assert w.counts["event.nullified"] > 0
    assert nobody_is_accused(w)


@scenario("time_liar")
def test_block_of_another_time_is_held_or_passed_over() -> None:
    """Who may set the time as it likes decides which offers have lapsed."""
    w = life_with("time_liar", "lie.block_time")
    assert w.counts["event.not_voted"] > 0
    times = [block.time_ms for block in chain_of(w)]
    assert times == sorted(set(times))
    assert times[-1] <= GENESIS_TIME_MS + w.now_ms + Parameters().future_ms_max
    assert nobody_is_accused(w)


@scenario("bad_sealer")
def test_invalid_client_signature_ends_the_lane_it_stands_in() -> None:
    """An envelope that its client never signed: no honest validator may vote for it."""
    w = life_with("bad_sealer", "lie.invalid_signature")
    assert w.counts["event.batch_invalid"] >= 3
    ended = chain_of(w)[-1].cut
    w.start_clients()
    w.run_ms(3_000)
    further = chain_of(w)[-1].cut
    assert further[LIAR] == ended[LIAR]
    assert all(further[lane].seq > ended[lane].seq for lane in range(3))


@scenario("boaster")
def test_false_claims_of_holding_batches_cost_a_fetch() -> None:
    """The leader believes it, and names batches that voters have to ask for."""
    w = life_with("boaster", "lie.false_tips")
    assert w.counts["event.fetch"] > 0
    assert w.counts["event.misbehaved"] > 0  # tips of lanes that there are not


# -- liars that break no rule ----------------------------------------------------------------------


@scenario("censor")
def test_lane_that_one_leader_leaves_out_is_taken_in_by_the_others() -> None:
    """Nobody can prove what a leader knew of: the next leader must make it good."""
    w = life_with("censor", "lie.lane_left_out", within_ms=AT_ONCE_MS)
    liar = w.liar(LIAR)
    assert isinstance(liar, Censor)
    chain = chain_of(w)
    led = [
        place
        for place, block in enumerate(chain)
        if place > 0 and block.view % 4 == LIAR and block.cut != chain[place - 1].cut
    ]
    grown = [
        place
        for place in led
        if chain[place].cut[liar.victim].seq > chain[place - 1].cut[liar.victim].seq
    ]
    assert len(grown) < len(led) / 2
    assert chain[-1].cut[liar.victim].seq > 10
    assert nobody_is_accused(w)


@scenario("withholder")
def test_withheld_votes_and_batches_are_had_from_others_or_not_needed() -> None:
    """It plays the quorum's third voice, and is silent where that is needed."""
    w = life_with("withholder", "lie.votes_withheld")
    assert nobody_is_accused(w)


@scenario("selective")
def test_favourites_of_a_selective_sender_tell_the_others() -> None:
    """To some it lives and to some it is dead: they must not part over that."""
    w = life_with("selective", "lie.kept_from_some")
    assert nobody_is_accused(w)


@scenario("silent")
def test_silent_validator_costs_its_own_views() -> None:
    """It hears everything and says nothing: a crash that nobody is told of."""
    w = life_with("silent", "lie.silence", for_ms=12_000)
    assert w.counts["event.nullified"] > 0
    assert nobody_is_accused(w)


@scenario("stale")
def test_proofs_of_the_past_move_nobody_back() -> None:
    """Old certificates and old questions are true; they must not look like news, nor cost much."""
    w = life_with("stale", "lie.stale_certificates", within_ms=AT_ONCE_MS)
    assert nobody_is_accused(w)


# -- all of them -----------------------------------------------------------------------------------


@scenario("chaos")
def test_chaos_is_survived() -> None:
    """Any lie at any message, and votes for whatever was ever heard of."""
    w = life_with("chaos", "lie.chaos", for_ms=16_000)
    told = [name for name in w.counts if name.startswith("lie.") and w.counts[name]]
    assert len(told) > 8
    assert w.counts["event.evidence"] > 0


def test_every_kind_of_liar_has_a_scenario() -> None:
    """A liar that only the swarm meets is one whose lie nobody has looked at."""
    assert sorted(TOLD_OF) == sorted(LIAR_KINDS)
