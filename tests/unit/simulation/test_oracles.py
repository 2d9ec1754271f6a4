"""Each oracle of the simulation sees the one thing that it is there for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.support.disk_samples import block, commit, floor, vote

from onward.consensus.messages import EMPTY_PACKET, Certificate, VoteKind
from onward.ledger.block import LanePoint, block_digest
from onward.ledger.chain import StoredBlock, Tip
from onward.ledger.store import TIP_KEY, WriteBatch, block_key
from onward.replica.effects import Commit, Verdict
from onward.simulation.memory import CONTAINER_ITEMS_MAX
from onward.simulation.oracles import SafetyOracles, Violation
from onward.types import NIL, Digest
from onward_proto.canonical import decode, encode

HASH = Digest(bytes([5]) * 32)
TOLD = Verdict(
    tx_hash=HASH, height=1, code="OK", rule="", message="", outcome=1, log_index=0, event=None
)


@pytest.fixture
def oracles() -> SafetyOracles:
    made = SafetyOracles(quorum=3)
    for host in ("n0", "n1"):
        made.on_boot(host, 0)
    return made


def violated(oracle: str) -> Any:
    return pytest.raises(Violation, match=f"^{oracle}: ")


def with_tip(honest: Commit, **changes: Any) -> Commit:
    """The same commit, whose execution came to something else."""
    entries = dict(honest.writes.entries)
    tip = entries[TIP_KEY]
    assert tip is not None
    entries[TIP_KEY] = encode(replace(decode(Tip, tip), **changes))
    return replace(honest, writes=WriteBatch(entries=tuple(sorted(entries.items()))))


def with_cut(honest: Commit, *seqs: int) -> Commit:
    entries = dict(honest.writes.entries)
    key = block_key(honest.height)
    stored = entries[key]
    assert stored is not None
    value = decode(StoredBlock, stored)
    cut = tuple(LanePoint(seq=seq, head=HASH) for seq in seqs)
    entries[key] = encode(replace(value, block=replace(value.block, cut=cut)))
    return replace(honest, writes=WriteBatch(entries=tuple(sorted(entries.items()))))


# -- the chain -------------------------------------------------------------------------------------


def test_equal_commits_are_in_order(oracles: SafetyOracles) -> None:
    """What the others are measured against: the honest case raises nothing."""
    for host in ("n0", "n1"):
        for height in (1, 2):
            oracles.on_commit(host, commit(height))
    oracles.on_boot("n1", 1)
    oracles.on_commit("n1", commit(2))


def test_two_blocks_at_one_height_are_seen(oracles: SafetyOracles) -> None:
    oracles.on_commit("n0", commit(1))
    other = block_digest(replace(block(1), time_ms=9_999))
    with violated("agreement"):
        oracles.on_commit("n1", with_tip(commit(1), digest=other))


@pytest.mark.parametrize("field", ["state_map", "frontier"])
def test_other_state_or_log_after_the_same_block_is_seen(
    oracles: SafetyOracles, field: str
) -> None:
    oracles.on_commit("n0", commit(1))
    with violated("state"):
        oracles.on_commit("n1", with_tip(commit(1), **{field: bytes([1]) * 40}))


def test_other_verdicts_or_batches_of_the_same_block_are_seen(oracles: SafetyOracles) -> None:
    oracles.on_commit("n0", replace(commit(1), verdicts=(TOLD,)))
    with violated("agreement"):
        oracles.on_commit("n1", replace(commit(1), verdicts=(replace(TOLD, code="E_DEPTH"),)))
    oracles.on_boot("n1", 0)
    with violated("agreement"):
        oracles.on_commit("n1", replace(commit(1), verdicts=(TOLD,), batch_heads=(HASH,)))


def test_left_out_height_is_seen(oracles: SafetyOracles) -> None:
    oracles.on_commit("n0", commit(1))
    with violated("in order"):
        oracles.on_commit("n0", commit(3))


def test_body_or_batch_that_is_ordered_twice_is_seen(oracles: SafetyOracles) -> None:
    oracles.on_commit("n0", replace(commit(1), verdicts=(TOLD,), batch_heads=(HASH,)))
    with violated("batch once"):
        oracles.on_commit("n0", replace(commit(2), batch_heads=(HASH,)))
    oracles.on_boot("n0", 2)
    with violated("body once"):
        oracles.on_commit("n0", replace(commit(3), verdicts=(TOLD,)))


def test_lane_that_goes_back_is_seen(oracles: SafetyOracles) -> None:
    oracles.on_commit("n0", with_cut(commit(1), 2, 2, 2, 2))
    with violated("cuts grow"):
        oracles.on_commit("n0", with_cut(commit(2), 3, 1, 3, 3))


# -- clients ---------------------------------------------------------------------------------------


def test_acknowledgement_without_a_place_in_the_chain_is_seen(oracles: SafetyOracles) -> None:
    with violated("acknowledged"):
        oracles.on_told(HASH, 1, "OK")


def test_second_and_other_answer_is_seen(oracles: SafetyOracles) -> None:
    oracles.on_commit("n0", replace(commit(1), verdicts=(TOLD,)))
    oracles.on_told(HASH, 1, "OK")
    with violated("verdicts stay"):
        oracles.on_told(HASH, 2, "OK")


# -- votes -----------------------------------------------------------------------------------------


def test_vote_that_leaves_before_it_is_durable_is_seen(oracles: SafetyOracles) -> None:
    message = replace(EMPTY_PACKET, votes=(vote(3),))
    with violated("durable before sent"):
        oracles.on_sent("n0", 0, message)
    oracles.on_durable_vote("n0", vote(3))
    oracles.on_sent("n0", 0, message)


def test_second_vote_of_one_kind_is_seen_over_a_reboot_too(oracles: SafetyOracles) -> None:
    oracles.on_durable_vote("n0", vote(3))
    oracles.on_boot("n0", 0)
    with violated("one vote"):
        oracles.on_durable_vote("n0", replace(vote(3), digest=HASH))


@pytest.mark.parametrize("kinds", [(2, 3), (3, 2)])
def test_finalizing_and_giving_up_one_view_is_seen(
    oracles: SafetyOracles, kinds: tuple[int, int]
) -> None:
    first, second = (replace(vote(3), kind=kind) for kind in kinds)
    oracles.on_durable_vote("n0", first)
    with violated("finalize or nullify"):
        oracles.on_durable_vote("n0", second)


def test_vote_that_a_journal_forgot_is_seen(oracles: SafetyOracles) -> None:
    """It need not be contradicted in this run. In the next one it would fork the chain."""
    for view in (3, 4, 5):
        oracles.on_durable_vote("n0", vote(view))
    oracles.on_journal("n0", (floor(3), vote(4), vote(5)))
    oracles.on_journal("n1", ())
    with violated("votes stay"):
        oracles.on_journal("n0", (floor(3), vote(5)))


def test_vote_that_a_validator_forgot_while_it_ran_is_seen(oracles: SafetyOracles) -> None:
    """What it tells of itself has all its votes above the highest block that it knows as final."""
    first, second, third = vote(3), vote(4), vote(5)
    oracles.on_durable("n0", (first, second), 0)
    oracles.on_durable("n0", (third,), 0)
    final = Certificate(kind=VoteKind.FINALIZE, view=3, digest=HASH, signatures=())
    status = replace(EMPTY_PACKET, status=6, certificates=(final,))
    oracles.on_sent("n0", 0, replace(status, votes=(second, third)))
    oracles.on_sent("n0", 0, replace(status, votes=(second,)))  # made before the third was given
    oracles.on_durable("n0", (), 0)
    with violated("votes stay"):
        oracles.on_sent("n0", 0, replace(status, votes=(second,)))
    with violated("votes stay"):
        oracles.on_sent("n0", 0, replace(status, certificates=(), votes=(second, third)))


def test_two_certificates_that_exclude_each_other_are_seen(oracles: SafetyOracles) -> None:
    def certified(kind: VoteKind, view: int, digest: bytes) -> Certificate:
        return Certificate(kind=kind, view=view, digest=digest, signatures=())

    oracles.on_certificate(certified(VoteKind.NOTARIZE, 3, HASH))
    with violated("one block a view"):
        oracles.on_certificate(certified(VoteKind.FINALIZE, 3, bytes([6]) * 32))
    oracles.on_certificate(certified(VoteKind.NULLIFY, 4, NIL))
    with violated("finalize or nullify"):
        oracles.on_certificate(certified(VoteKind.FINALIZE, 4, HASH))


def test_certificate_that_nobody_wrote_down_is_seen_in_the_votes(oracles: SafetyOracles) -> None:
    """Its maker may have died; whoever heard the votes can still put them together."""

    def voted(signer: int, view_kind: VoteKind, digest: bytes) -> None:
        given = replace(vote(3, view_kind), signer=signer, digest=digest)
        oracles.on_durable_vote(f"m{signer}{digest[0]}", given)
        oracles.on_sent(f"m{signer}{digest[0]}", signer, replace(EMPTY_PACKET, votes=(given,)))

    for signer in range(3):
        voted(signer, VoteKind.NOTARIZE, HASH)
    for signer in range(2):
        voted(signer, VoteKind.NOTARIZE, bytes([6]) * 32)
    with violated("one block a view"):
        voted(2, VoteKind.NOTARIZE, bytes([6]) * 32)


# -- accusations and memory ------------------------------------------------------------------------


def test_accusing_an_honest_validator_is_seen(oracles: SafetyOracles) -> None:
    oracles.on_accused("n0", 3, is_liar=True)
    with violated("nobody honest accused"):
        oracles.on_accused("n0", 3, is_liar=False)


def test_queue_that_grows_without_bound_is_seen_however_deep_it_lies(
    oracles: SafetyOracles,
) -> None:
    inner = SafetyOracles(quorum=3)
    outer = SafetyOracles(quorum=3)
    outer.chain.append(inner)  # type: ignore[arg-type]
    oracles.check_memory("n0", (outer,))
    inner.executed_bodies = {
        number.to_bytes(4, "big"): (1, "") for number in range(CONTAINER_ITEMS_MAX + 1)
    }
    with violated("bounded memory"):
        oracles.check_memory("n0", (outer,))
