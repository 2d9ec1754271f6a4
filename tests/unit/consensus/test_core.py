from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
from tests.support.consensus_world import (
    CHAIN_ID,
    START_MS,
    CheapSigner,
    World,
    core_config,
    genesis_of,
    validator_set,
)

from onward import limits
from onward.consensus.core import Core
from onward.consensus.effects import (
    Broadcast,
    Deliver,
    EvidenceFound,
    FarBehind,
    FetchBlock,
    ForkDetected,
    Misbehaved,
    Persist,
    SendTo,
    Validate,
)
from onward.consensus.evidence import are_conflicting
from onward.consensus.journal import Floor
from onward.consensus.knowledge import Knowledge
from onward.consensus.messages import (
    EMPTY_PACKET,
    Certificate,
    IndexedSignature,
    Vote,
    VoteKind,
    vote_signed_bytes,
)
from onward.errors import InvariantError
from onward.ledger.block import block_digest
from onward.types import NIL, Digest, Height, ValidatorIndex

NOTARIZE, NULLIFY, FINALIZE = VoteKind.NOTARIZE, VoteKind.NULLIFY, VoteKind.FINALIZE
VALIDATORS = validator_set(4)
ONE, OTHER = Digest(bytes([1]) * 32), Digest(bytes([2]) * 32)


def vote(kind: VoteKind, view: int, digest: bytes, signer: int) -> Vote:
    signed = vote_signed_bytes(CHAIN_ID, 0, kind, view, digest)
    signature = CheapSigner(VALIDATORS.public_key(signer)).sign(signed)
    return Vote(kind=kind, view=view, digest=digest, signer=signer, signature=signature)


def certificate(
    kind: VoteKind, view: int, digest: bytes, signers: tuple[int, ...] = (0, 1, 2)
) -> Certificate:
    votes = [vote(kind, view, digest, signer) for signer in signers]
    signatures = tuple(IndexedSignature(signer=v.signer, signature=v.signature) for v in votes)
    return Certificate(kind=kind, view=view, digest=digest, signatures=signatures)


def lone_core(me: int = 3) -> Core:
    core = Core(core_config(VALIDATORS, me), *genesis_of(VALIDATORS))
    core.start((), START_MS)
    return core


def reasons(effects: tuple[object, ...]) -> list[str]:
    return [effect.reason for effect in effects if isinstance(effect, Misbehaved)]


# -- n validators ----------------------------------------------------------------------------------


def test_good_case_orders_every_batch_at_every_validator() -> None:
    """The danger: an order that loses, doubles or swaps anything even when nothing goes wrong."""
    world = World()
    world.encodes = True
    for number in range(12):
        world.submit(number % 4, b"tx %d" % number)
        world.run_ms(30)
    world.run_ms(1_000)
    orders = [world.ordered(me) for me in range(4)]
    assert len(set(map(tuple, orders))) == 1
    assert sorted(orders[0]) == sorted(b"tx %d" % number for number in range(12))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 13, 25])
def test_every_size_of_network_finalizes(size: int) -> None:
    world = World(size)
    world.submit(0, b"tx")
    world.run_ms(700, until=lambda: min(world.heights()) >= 2)
    assert min(world.heights()) >= 2
    assert {tuple(world.ordered(me)) for me in range(size)} == {(b"tx",)}


def test_silent_leader_costs_one_timeout_and_then_no_time() -> None:
    """The danger: a crashed validator that costs a full timeout in each rotation."""
    world = World()
    world.run_ms(500)
    world.crash(2)
    for number in range(60):
        world.submit(number % 2, b"tx %d" % number)
        world.run_ms(100)
    alive = [world.heights()[me] for me in (0, 1, 3)]
    # Views take some 85 ms; three of four succeed, and only one waited for T0 (and one 2 T0).
    assert min(alive) > 25


def test_network_without_quorum_waits_and_goes_on_when_it_has_one() -> None:
    world = World()
    world.run_ms(300)
    world.isolate(0, 1)
    world.run_ms(20_000)
    before = max(world.heights())
    world.heal()
    world.submit(3, b"late")
    world.run_ms(5_000, until=lambda: min(world.heights()) > before)
    assert min(world.heights()) > before


def test_equivocating_leader_cannot_finalize_two_blocks() -> None:
    """A twin of validator 1 shows each half of the network another proposal."""
    world = World(twins=(1,))
    world.partition((0, 1, 2), (0, 3, 4))
    for number in range(10):
        world.submit(1, b"left %d" % number)
        world.submit(4, b"right %d" % number)
        world.run_ms(300)
    world.heal()
    world.submit(0, b"honest")
    world.run_ms(8_000, until=lambda: all(b"honest" in world.ordered(me) for me in (0, 2, 3)))
    assert all(b"honest" in world.ordered(me) for me in (0, 2, 3))
    assert world.evidence


def test_late_voter_still_learns_and_finalizes() -> None:
    """A validator cut off for a while repairs by status and digest, and votes again."""
    world = World()
    world.isolate(3)
    for number in range(30):
        world.submit(number % 3, b"tx %d" % number)
        world.run_ms(100)
    behind = world.heights()
    assert behind[3] == 0
    assert 2 < behind[0] < limits.NEAR_REPAIR_HEIGHTS_MAX
    world.heal()
    world.run_ms(2_000)
    assert world.ordered(3) == world.ordered(0)
    assert not [item for item in world.log if isinstance(item[2], FarBehind)]


def test_validator_far_behind_asks_for_the_chain_by_height() -> None:
    world = World()
    world.isolate(3)
    for number in range(80):
        world.submit(number % 3, b"tx %d" % number)
        world.run_ms(150)
    assert world.heights()[0] > limits.NEAR_REPAIR_HEIGHTS_MAX + 1
    world.heal()
    world.run_ms(8_000)
    assert [item for item in world.log if isinstance(item[2], FarBehind)]
    assert world.heights()[3] >= world.heights()[0] - 1


@pytest.mark.parametrize("budget", [0, 1, 2, 3, 4, 6, 9, 12])
def test_crash_between_any_two_effects_breaks_no_promise(budget: int) -> None:
    """The danger: a vote that left before it was durable, and its opposite after the reboot."""
    world = World()
    for number in range(12):
        world.submit(number % 4, b"tx %d" % number)
        machine = world.machines[number % 4]
        if machine is not None:
            machine.effects_until_crash = budget
        world.run_ms(150)
        for slot in range(4):
            if world.machines[slot] is None:
                world.boot(slot)
    for machine in world.machines:
        if machine is not None:
            machine.effects_until_crash = None
    world.run_ms(4_000)
    assert min(world.heights()) > 3
    assert len({tuple(world.ordered(me)) for me in range(4)}) == 1


def all_voted(kind: VoteKind, world: World) -> bool:
    kinds = [
        {record.kind for record in world.disks[slot].journal if isinstance(record, Vote)}
        for slot in range(3)
    ]
    return all(kind in each for each in kinds)


class _Forgetful(Core):
    def _recount(self, vote: Vote) -> None:
        pass


@pytest.mark.parametrize(("core_class", "goes_on"), [(Core, True), (_Forgetful, False)])
def test_own_votes_count_after_all_have_crashed(core_class: type[Core], *, goes_on: bool) -> None:
    """The danger: three of four alive, each knows its own vote only from its journal."""
    world = World(core_class=core_class)
    world.crash(3)
    for kind in (NOTARIZE, NULLIFY):  # everybody votes, nobody is heard, everybody crashes
        world.run_ms(9_000, until=partial(all_voted, kind, world))
        world.crash(0, 1, 2)
        world.isolate(0, 1, 2)
        for slot in range(3):
            world.boot(slot)
    world.heal()
    world.submit(0, b"tx")
    world.run_ms(9_000)
    assert (min(world.heights()[:3]) > 1) == goes_on


# -- one validator ---------------------------------------------------------------------------------


def test_first_journal_segment_begins_with_the_floor() -> None:
    core = Core(core_config(VALIDATORS, 3), *genesis_of(VALIDATORS))
    persist = core.start((), START_MS)[0]
    assert isinstance(persist, Persist)
    assert isinstance(persist.records[0], Floor)


def test_journal_holds_each_record_once_and_votes_behind_their_grounds() -> None:
    world = World()
    for number in range(20):
        world.submit(0, b"tx %d" % number)
        world.run_ms(100)
    journal = world.disks[0].journal
    assert len(set(journal)) == len(journal) > 20
    blocks = {record for record in journal if not isinstance(record, Vote | Certificate | Floor)}
    assert blocks
    notarized: set[bytes] = set()
    for record in journal:
        if isinstance(record, Certificate) and record.kind != NULLIFY:
            notarized.add(record.digest)
        if isinstance(record, Vote) and record.kind == FINALIZE:
            assert record.digest in notarized


def test_snapshot_of_the_journal_restores_every_promise() -> None:
    world = World()
    world.isolate(0)
    world.run_ms(9_000)
    before = [record for record in world.disks[0].journal if isinstance(record, Vote)]
    assert before
    world.machine(0).rotate()
    after = [record for record in world.disks[0].journal if isinstance(record, Vote)]
    assert sorted(after, key=str) == sorted(before, key=str)
    world.crash(0)
    assert set(world.boot(0).core.journal_snapshot()) >= set(after)


def test_no_vote_at_or_below_the_floor_of_the_journal() -> None:
    """S3: the database may come back older than the journal's floor; promises below are gone."""
    root, final = genesis_of(VALIDATORS)
    floor = Floor(root=replace(root, view=9, height=5), final=certificate(FINALIZE, 9, ONE))
    core = Core(core_config(VALIDATORS, 3), root, final)
    effects = core.start((floor,), START_MS)
    effects += core.on_time(START_MS + 60_000)
    votes = [v for e in effects if isinstance(e, Broadcast) for v in e.packet.votes]
    assert votes
    assert min(v.view for v in votes) == 10
    assert FetchBlock(digest=ONE) in effects or FarBehind(height=Height(root.height + 5)) in effects


def test_foreign_vote_in_a_packet_is_the_senders_fault() -> None:
    packet = replace(EMPTY_PACKET, votes=(vote(NULLIFY, 1, NIL, 2),))
    assert reasons(lone_core().on_packet(ValidatorIndex(1), packet, START_MS))
    assert not reasons(lone_core().on_packet(ValidatorIndex(2), packet, START_MS))


def test_bad_signature_is_the_senders_fault() -> None:
    forged = replace(vote(NULLIFY, 1, NIL, 1), signature=bytes(64))
    packet = replace(EMPTY_PACKET, votes=(forged,))
    assert reasons(lone_core().on_packet(ValidatorIndex(1), packet, START_MS))
    good = certificate(NULLIFY, 1, NIL)
    worse = replace(good.signatures[0], signature=bytes(64))
    bad = replace(good, signatures=(worse, *good.signatures[1:]))
    packet = replace(EMPTY_PACKET, certificates=(bad,))
    assert reasons(lone_core().on_packet(ValidatorIndex(1), packet, START_MS))


@pytest.mark.parametrize("signers", [(0, 1), (0, 1, 2, 3), (0, 1, 1), (1, 0, 2), ()])
def test_certificate_needs_exactly_a_quorum_of_ascending_signers(signers: tuple[int, ...]) -> None:
    packet = replace(EMPTY_PACKET, certificates=(certificate(NULLIFY, 1, NIL, signers),))
    core = lone_core()
    assert reasons(core.on_packet(ValidatorIndex(1), packet, START_MS))
    assert core.view == 1


def test_conflicting_votes_are_evidence() -> None:
    core = lone_core()
    first, second = vote(NOTARIZE, 1, ONE, 1), vote(NOTARIZE, 1, OTHER, 1)
    packet = replace(EMPTY_PACKET, votes=(first, second))
    effects = core.on_packet(ValidatorIndex(1), packet, START_MS)
    assert EvidenceFound(first=first, second=second) in effects
    packet = replace(EMPTY_PACKET, votes=(second,))
    assert not core.on_packet(ValidatorIndex(1), packet, START_MS)


def test_conflicting_certificates_name_their_common_signers() -> None:
    """More than f cheat: the pair of certificates must name who, and two finalizations halt."""
    core = lone_core()
    known, other = certificate(FINALIZE, 5, ONE), certificate(FINALIZE, 5, OTHER, (1, 2, 3))
    core.on_packet(ValidatorIndex(1), replace(EMPTY_PACKET, certificates=(known,)), START_MS)
    packet = replace(EMPTY_PACKET, certificates=(other,))
    effects = core.on_packet(ValidatorIndex(2), packet, START_MS)
    found = [effect for effect in effects if isinstance(effect, EvidenceFound)]
    assert [item.first.signer for item in found] == [1, 2]
    assert all(are_conflicting(item.first, item.second) for item in found)
    assert ForkDetected(first=known, second=other) in effects


def test_f_plus_one_nullifiers_are_joined_before_the_own_timer() -> None:
    core = lone_core()
    for peer, view in ((0, 1), (1, 2)):
        packet = replace(EMPTY_PACKET, votes=(vote(NULLIFY, 1, NIL, peer),))
        core.on_packet(ValidatorIndex(peer), packet, START_MS)
        assert core.view == view


def test_votes_far_ahead_are_not_kept() -> None:
    core = lone_core()
    for view, kept in ((1 + limits.VIEW_WINDOW, True), (2 + limits.VIEW_WINDOW, False)):
        first, second = vote(NOTARIZE, view, ONE, 1), vote(NOTARIZE, view, OTHER, 1)
        packet = replace(EMPTY_PACKET, votes=(first, second))
        effects = core.on_packet(ValidatorIndex(1), packet, START_MS)
        assert any(isinstance(effect, EvidenceFound) for effect in effects) == kept


def test_laggard_is_told_a_long_ticket_in_parts() -> None:
    """The danger: hundreds of failed views make a ticket that no packet may carry."""
    ahead, behind = lone_core(3), lone_core(2)
    views = 3 * limits.PACKET_CERTIFICATES_MAX
    for view in range(1, views + 1):
        packet = replace(EMPTY_PACKET, certificates=(certificate(NULLIFY, view, NIL),))
        ahead.on_packet(ValidatorIndex(0), packet, START_MS)
    question = next(
        effect.packet
        for effect in behind.on_peer_up(ValidatorIndex(3), START_MS)
        if isinstance(effect, SendTo)
    )
    for _ in range(10):
        replies = ahead.on_packet(ValidatorIndex(2), question, START_MS)
        for reply in [effect.packet for effect in replies if isinstance(effect, SendTo)]:
            assert len(reply.certificates) <= limits.PACKET_CERTIFICATES_MAX
            for effect in behind.on_packet(ValidatorIndex(3), reply, START_MS):
                if isinstance(effect, SendTo):
                    question = effect.packet
    assert behind.view == ahead.view == views + 1


def test_untimely_proposal_is_judged_again_and_without_the_clock_once_certified() -> None:
    """The danger: a clock that differs leaves a validator behind for good, or halts it."""
    world = World()
    world.skew_ms = {0: -10_000}  # everybody's proposals come from validator 0's future
    world.run_ms(1_000)
    world.submit(1, b"tx")
    world.run_ms(9_000)
    assert world.heights()[0] >= 1
    asked = [e for _, me, e in world.log if me == 0 and isinstance(e, Validate)]
    first = asked[0].digest
    sights = [e.first_sight for e in asked if e.digest == first]
    assert sights[0]
    assert not sights[-1]


def test_safety_kernel_refuses_what_the_rules_must_not_ask() -> None:
    core = lone_core()
    core._promise(NULLIFY, 1, NIL)
    with pytest.raises(InvariantError, match="S1"):
        core._promise(NULLIFY, 1, NIL)
    with pytest.raises(InvariantError, match="S2"):
        core._promise(FINALIZE, 1, ONE)
    with pytest.raises(InvariantError, match="S3"):
        core._promise(NOTARIZE, 0, ONE)
    with pytest.raises(InvariantError, match="J:"):
        core._promise(NOTARIZE, 1, ONE)
    with pytest.raises(InvariantError, match="F:"):
        core._promise(FINALIZE, 2, ONE)


def test_delivered_blocks_come_with_their_notarizations() -> None:
    """On a fork they name the guilty; whoever has thrown them away can only complain."""
    world = World()
    world.submit(0, b"tx")
    world.run_ms(1_000)
    delivered = [e for _, me, e in world.log if me == 2 and isinstance(e, Deliver)]
    assert len(delivered) > 2
    for effect in delivered:
        for block, record in zip(effect.blocks, effect.records, strict=True):
            assert (record[0].kind, record[0].view) == (NOTARIZE, block.view)
            assert record[0].digest == block_digest(block)


@pytest.mark.parametrize("kind", [0, 4])
def test_certificate_of_no_kind_is_its_senders_fault(kind: int) -> None:
    """It is looked up before it is verified: a kind that does not exist once ended the node."""
    odd = replace(certificate(NOTARIZE, 1, ONE), kind=kind)
    packet = replace(EMPTY_PACKET, certificates=(odd,))
    effects = lone_core().on_packet(ValidatorIndex(1), packet, 1)
    assert [effect.peer for effect in effects if isinstance(effect, Misbehaved)] == [1]


def test_only_a_finalization_stands_in_for_the_one_that_a_reboot_came_without() -> None:
    """The danger: a notarization passes for the proof that the delivered block is final."""
    unsigned = Certificate(kind=FINALIZE, view=5, digest=ONE, signatures=())
    for kind, is_proof in ((NOTARIZE, False), (FINALIZE, True)):
        known = Knowledge(unsigned)
        given = certificate(kind, 5, ONE)
        assert known.is_news(given) == is_proof
        known.learn(given)
        assert known.final == (given if is_proof else unsigned)


def test_no_view_is_below_all_that_is_notarized() -> None:
    """Its ticket would begin at a view that there never was."""
    known = Knowledge(Certificate(kind=FINALIZE, view=0, digest=ONE, signatures=()))
    assert [item.view for item in known.ticket(1)] == [0]
    with pytest.raises(InvariantError, match="view 0 was entered without a ticket"):
        known.ticket(0)
