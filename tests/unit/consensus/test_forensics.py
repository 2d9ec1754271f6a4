"""Two databases side by side, where the chains part behind a change of validators."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.support.consensus_world import CHAIN_ID, cheap_verify
from tests.unit.consensus.test_epochs import BLOCK, FOUR, LAST, NEXT, ROOT, certificate

from onward.consensus import forensics
from onward.consensus.epochs import epoch_root
from onward.consensus.messages import VoteKind
from onward.ledger.block import Block, block_digest
from onward.ledger.chain import StoredBlock, Tip

BEFORE = (ROOT, BLOCK, LAST)


def above(parent: Block, digest: bytes, *, time_ms: int, epoch: int) -> Block:
    return replace(
        parent,
        epoch=epoch,
        view=parent.view + 1,
        height=parent.height + 1,
        parent_view=parent.view,
        parent=digest,
        time_ms=time_ms,
        last=False,
    )


def stored(block: Block, epoch: int) -> StoredBlock:
    """A block as a node keeps it that saw it notarized; in these worlds by validators 0 to 2."""
    notarized = (certificate(VoteKind.NOTARIZE, block, epoch),) if block.height else ()
    return StoredBlock(
        block=block,
        final=b"",
        batch_heads=(),
        first_leaf=0,
        log_size=0,
        log_root=bytes(32),
        state_root=bytes(32),
        void_count=0,
        record=forensics.encode_record(notarized),
    )


def test_fork_in_a_later_epoch_names_that_epochs_cheaters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Views begin anew with each epoch: pairs of two epochs prove nothing, and old keys neither."""
    root = epoch_root(LAST, NEXT)
    chains: dict[str, list[StoredBlock]] = {}
    for side, time_ms in (("left", 10**13), ("right", 10**13 + 1)):
        first = above(root, block_digest(LAST), time_ms=time_ms, epoch=1)
        later = replace(
            above(first, block_digest(first), time_ms=time_ms + 9, epoch=1),
            epoch=2 if side == "left" else 1,
            view=1 if side == "left" else 2,
        )
        chains[side] = [
            *(stored(block, 0) for block in BEFORE),
            stored(first, 1),
            stored(later, later.epoch),
        ]

    def tip_of(store: Any) -> Tip:
        found = chains[store][-1].block
        return Tip(
            height=found.height, digest=b"", time_ms=found.time_ms, state_map=b"", frontier=b""
        )

    monkeypatch.setattr(forensics, "read_tip", tip_of)
    monkeypatch.setattr(forensics, "read_block", lambda store, height: chains[store][height])
    left: Any = "left"
    right: Any = "right"
    fork = forensics.find_fork(left, right, CHAIN_ID, (FOUR, NEXT), cheap_verify)
    assert fork is not None
    assert fork.height == LAST.height + 1
    assert [(item.epoch, item.signer) for item in fork.evidence] == [(1, 0), (1, 1), (1, 2)]
