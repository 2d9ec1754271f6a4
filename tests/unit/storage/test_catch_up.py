"""Pages for validators that are behind: consecutive, proven and bounded."""

from __future__ import annotations

import pytest
from tests.support.disk_samples import CHAIN, GENESIS, batch, block, commit, final, head

from onward import limits
from onward.consensus.messages import ChainPage, decode_frame, encode_frame
from onward.errors import CorruptionError
from onward.ledger.store import WriteBatch
from onward.replica.effects import Effects
from onward.storage.catch_up import chain_page
from onward.storage.disk import NodeDisk
from onward.storage.memory_files import MemoryFiles
from onward.storage.memory_store import MemoryStore


def _disk(heights: int, *, final_at: range | None = None, size: int = 100) -> NodeDisk:
    disk = NodeDisk(MemoryFiles(), MemoryStore(), CHAIN)
    disk.create((), GENESIS)
    disk.recover()
    for height in range(1, heights + 1):
        value = batch(0, height, size)
        finalized = final_at is None or height in final_at
        disk.stage(Effects(persist=(value,)))
        disk.stage(Effects(commit=commit(height, value, finalized=finalized)))
        disk.write()
    return disk


def _heights(page: ChainPage) -> list[int]:
    return [entry.block.height for entry in page.entries]


def test_a_page_holds_blocks_with_their_batches_and_a_finalization_of_the_last() -> None:
    page = chain_page(_disk(5), 3)
    assert [(entry.block, entry.batches) for entry in page.entries] == [
        (block(height), (batch(0, height),)) for height in (3, 4, 5)
    ]
    assert (page.tip, page.links, page.final) == (5, (), final(5))
    assert decode_frame(encode_frame(page)) == page


def test_a_block_that_a_descendant_finalized_is_proven_by_links() -> None:
    page = chain_page(_disk(5, final_at=range(5, 6)), 1)
    assert (_heights(page), page.links, page.final) == ([1, 2, 3, 4, 5], (), final(5))
    disk = _disk(limits.CHAIN_PAGE_BLOCKS_MAX + 2, final_at=range(66, 67))
    page = chain_page(disk, 1)
    assert _heights(page) == list(range(1, limits.CHAIN_PAGE_BLOCKS_MAX + 1))
    assert page.links == (block(65), block(66))
    assert page.final == final(66)


def test_a_page_prefers_to_end_with_a_finalization_that_its_reader_can_keep() -> None:
    """A node rebuilt from links has no certificates to pass on; rebuilt from it, none has any."""
    disk = _disk(limits.CHAIN_PAGE_BLOCKS_MAX + 2, final_at=range(40, 67, 26))
    page = chain_page(disk, 1)
    assert (_heights(page)[-1], page.links, page.final) == (40, (), final(40))
    assert chain_page(disk, 41).final == final(66)


def test_a_page_ends_where_the_proof_ends() -> None:
    page = chain_page(_disk(5, final_at=range(1, 4)), 2)
    assert (_heights(page), page.links, page.final) == ([2, 3], (), final(3))


def test_without_a_proof_or_a_block_there_is_nothing_to_tell() -> None:
    for page in (chain_page(_disk(3, final_at=range(0)), 1), chain_page(_disk(3), 4)):
        assert (page.tip, page.entries, page.links, page.final) == (3, (), (), None)
    assert chain_page(_disk(0), 1).tip == 0


def test_a_page_has_at_most_its_number_of_blocks() -> None:
    disk = _disk(limits.CHAIN_PAGE_BLOCKS_MAX + 1)
    assert len(chain_page(disk, 2).entries) == limits.CHAIN_PAGE_BLOCKS_MAX
    assert _heights(chain_page(disk, 1))[-1] == limits.CHAIN_PAGE_BLOCKS_MAX


def test_a_page_has_at_most_its_bytes_but_always_one_block(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = _disk(4, size=50_000)
    monkeypatch.setattr(limits, "CHAIN_PAGE_BYTES_MAX", 102_000)
    assert _heights(chain_page(disk, 1)) == [1, 2]
    monkeypatch.setattr(limits, "CHAIN_PAGE_BYTES_MAX", 10)
    assert _heights(chain_page(disk, 4)) == [4]


def test_links_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = _disk(6, final_at=range(6, 7))
    monkeypatch.setattr(limits, "CHAIN_PAGE_BLOCKS_MAX", 2)
    monkeypatch.setattr(limits, "CHAIN_PAGE_LINKS_MAX", 4)
    assert len(chain_page(disk, 1).links) == 4
    monkeypatch.setattr(limits, "CHAIN_PAGE_LINKS_MAX", 3)
    assert chain_page(disk, 1).entries == ()


def test_a_block_whose_batch_is_lost_is_not_served() -> None:
    disk = _disk(1)
    disk.store.put(WriteBatch(entries=((b"a/" + head(batch(0, 1)), None),)))
    with pytest.raises(CorruptionError, match="of block 1 is not in the batch log"):
        chain_page(disk, 1)
