"""The end of an epoch in the core: what is delivered, what is not, and what is never voted on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.consensus_world import (
    CHAIN_ID,
    START_MS,
    CheapSigner,
    core_config,
    genesis_of,
    validator_set,
)

from onward.consensus.core import Core
from onward.consensus.effects import BlockVerdict, Deliver, EpochEnded, Persist, SendTo
from onward.consensus.epochs import (
    EpochEnd,
    epoch_root,
    is_closing,
    part_at_last,
    unsigned_final,
)
from onward.consensus.journal import Floor
from onward.consensus.messages import (
    EMPTY_PACKET,
    Certificate,
    IndexedSignature,
    VoteKind,
    vote_signed_bytes,
)
from onward.errors import InvariantError
from onward.ledger.block import LANE_START, Block, LanePoint, block_digest, set_hash
from onward.ledger.genesis import Parameters
from onward.replica.epochs import records_of_epoch
from onward.types import Epoch, ValidatorIndex

FOUR = validator_set(4)
NEXT = replace(validator_set(5), epoch=Epoch(1))
ROOT, ROOT_FINAL = genesis_of(FOUR)
NOW_MS = START_MS
STEP_MS = 10


def child(parent: Block, digest: bytes, *, last: bool = False, closing: bool = False) -> Block:
    return replace(
        parent,
        view=parent.view + 1,
        height=parent.height + 1,
        parent_view=parent.view,
        parent=digest,
        time_ms=parent.time_ms + STEP_MS,
        last=last,
        next_set_hash=set_hash(NEXT if last or closing else FOUR),
    )


BLOCK = child(ROOT, ROOT_FINAL.digest)
LAST = child(BLOCK, block_digest(BLOCK), last=True)
FILLER = child(LAST, block_digest(LAST), closing=True)
SECOND = child(FILLER, block_digest(FILLER), closing=True)


def certificate(kind: VoteKind, block: Block, epoch: int = 0) -> Certificate:
    digest = block_digest(block)
    message = vote_signed_bytes(CHAIN_ID, epoch, kind, block.view, digest)
    signatures = tuple(
        IndexedSignature(signer=index, signature=CheapSigner(FOUR.public_key(index)).sign(message))
        for index in range(3)
    )
    return Certificate(kind=kind, view=block.view, digest=digest, signatures=signatures)


def following_core() -> Core:
    """A core that has everything up to the second filler, and has judged it."""
    core = Core(core_config(FOUR, 3), ROOT, ROOT_FINAL)
    core.start((), NOW_MS)
    blocks = (BLOCK, LAST, FILLER, SECOND)
    packet = replace(
        EMPTY_PACKET,
        blocks=blocks,
        certificates=tuple(certificate(VoteKind.NOTARIZE, block) for block in blocks),
    )
    core.on_packet(ValidatorIndex(0), packet, NOW_MS)
    return core


def deliver(core: Core, final: Certificate) -> list[object]:
    """The effects of a finalization, once every block is found valid."""
    effects = [
        *core.on_packet(ValidatorIndex(1), replace(EMPTY_PACKET, certificates=(final,)), NOW_MS)
    ]
    for block in (BLOCK, LAST, FILLER, SECOND):
        effects += core.on_verdict(block_digest(block), BlockVerdict.VALID, NOW_MS)
    return list(effects)


@pytest.mark.parametrize("final", [LAST, FILLER, SECOND], ids=["last", "filler", "second filler"])
def test_whatever_is_finalized_behind_it_the_epoch_ends_at_its_last_block(final: Block) -> None:
    """Were a filler delivered, its height would be given twice: in this epoch and in the next."""
    proof = certificate(VoteKind.FINALIZE, final)
    effects = deliver(following_core(), proof)
    delivered = [block for item in effects if isinstance(item, Deliver) for block in item.blocks]
    fillers = {LAST: (), FILLER: (FILLER,), SECOND: (FILLER, SECOND)}[final]
    assert delivered == [BLOCK, LAST]
    assert [item.end for item in effects if isinstance(item, EpochEnded)] == [
        EpochEnd(height=LAST.height, fillers=fillers, final=proof)
    ]


def test_who_fetched_the_last_block_can_tell_a_peer_that_connects() -> None:
    """It never entered the view behind it: with nothing to begin its status with, it halted."""
    core = Core(core_config(FOUR, 3), ROOT, ROOT_FINAL)
    core.start((), NOW_MS)
    proof = certificate(VoteKind.FINALIZE, LAST)
    core.jump_to(LAST, proof, NOW_MS)
    (status,) = (
        item for item in core.on_peer_up(ValidatorIndex(0), NOW_MS) if isinstance(item, SendTo)
    )
    assert status.packet.certificates == (proof,)
    assert not [item for item in core.on_time(NOW_MS + 60_000) if isinstance(item, Persist)]


def test_no_vote_is_given_once_the_epoch_is_over() -> None:
    """A vote behind the end would be one that nobody remembers in the next epoch."""
    core = following_core()
    deliver(core, certificate(VoteKind.FINALIZE, LAST))
    later = NOW_MS + 60_000
    said = [
        *core.on_time(later),
        *core.on_pending(later),
        *core.on_packet(
            ValidatorIndex(0),
            replace(EMPTY_PACKET, certificates=(certificate(VoteKind.FINALIZE, SECOND),)),
            later,
        ),
    ]
    assert not [item for item in said if isinstance(item, Persist | Deliver | EpochEnded)]
    assert core.root == LAST


def test_votes_of_the_ended_epoch_say_nothing_in_the_next_one() -> None:
    """The same views come again: a quorum of the old set must not decide them."""
    root = epoch_root(LAST, NEXT)
    core = Core(core_config(NEXT, 4, Parameters()), root, unsigned_final(root, block_digest(LAST)))
    core.start((), NOW_MS)
    old = certificate(VoteKind.NOTARIZE, BLOCK)
    effects = core.on_packet(ValidatorIndex(0), replace(EMPTY_PACKET, certificates=(old,)), NOW_MS)
    assert [type(item).__name__ for item in effects][-1:] == ["Misbehaved"]
    assert core.view == 1


def test_root_of_an_epoch_has_every_lane_at_its_start() -> None:
    """Places of another epoch's lanes would name batches that nobody holds."""
    far = replace(LAST, cut=(LanePoint(seq=7, head=bytes([1]) * 32),) * 4)
    root = epoch_root(far, NEXT)
    assert root.cut == (LANE_START,) * 5
    assert (root.epoch, root.view, root.height, root.last) == (1, 0, LAST.height, False)
    assert not is_closing(root, set_hash(NEXT))
    with pytest.raises(InvariantError):
        epoch_root(BLOCK, NEXT)
    with pytest.raises(InvariantError):
        epoch_root(LAST, replace(NEXT, members=NEXT.members[:4]))


def test_only_the_first_last_block_of_a_branch_counts() -> None:
    """A liar's filler may say that it is the last one, too."""
    again = replace(FILLER, last=True)
    assert part_at_last((BLOCK, LAST, again)) == ((BLOCK, LAST), (again,))
    assert part_at_last((BLOCK,)) == ((BLOCK,), ())


def test_journal_is_read_from_the_floor_of_its_epoch_on() -> None:
    """Votes of the same view in two epochs are two promises."""
    root = epoch_root(LAST, NEXT)
    old = Floor(root=ROOT, final=ROOT_FINAL)
    new = Floor(root=root, final=unsigned_final(root, block_digest(LAST)))
    journal = (old, certificate(VoteKind.NOTARIZE, BLOCK), new, FILLER)
    assert records_of_epoch(journal, 0) == journal
    assert records_of_epoch(journal, 1) == (new, FILLER)
    assert records_of_epoch(journal, 2) == ()
