"""Delivered blocks with their batches, read back from the disk for validators that are behind."""

from __future__ import annotations

from onward import limits
from onward.consensus.messages import Certificate, ChainEntry, ChainPage
from onward.errors import CorruptionError
from onward.ledger.block import Block
from onward.ledger.chain import StoredBlock, read_block, read_tip
from onward.ledger.store import Store
from onward.replica.standing import read_end
from onward.storage.disk import NodeDisk
from onward_proto.canonical import CanonicalError, decode, encode


def chain_page(disk: NodeDisk, from_height: int) -> ChainPage:
    """The delivered blocks from a height on, as many as one page may hold, and their proof.

    A page ends with a block that has its own finalization, if it holds one: who catches up keeps
    that certificate, and can prove the page's blocks to the next one. Otherwise the blocks up to
    the one that a later finalization names follow as links; where that is not here yet, there is
    nothing to tell: a page without entries.
    """
    tip = read_tip(disk.store)
    tip_height = 0 if tip is None else tip.height
    found = _entries(disk, from_height, tip_height)
    proved = max((n for n, (_, final) in enumerate(found, start=1) if final), default=0)
    links: tuple[Block, ...] = ()
    final = b""
    if found and found[-1][0].block.last:
        end = read_end(disk.store, found[-1][0].block.epoch)
        if end is None:
            raise CorruptionError(f"no proof of the end of epoch {found[-1][0].block.epoch}")
        links, final = end.fillers, encode(end.final)
    elif proved:
        found = found[:proved]
        final = found[-1][1]
    elif found:
        links, final = _proof(disk.store, from_height + len(found), tip_height)
        found = found if final else []
    return ChainPage(
        tip=tip_height,
        entries=tuple(entry for entry, _ in found),
        links=links,
        final=_certificate(final) if final else None,
    )


def _entries(disk: NodeDisk, from_height: int, tip_height: int) -> list[tuple[ChainEntry, bytes]]:
    """Consecutive entries, each with its block's own finalization, within a page's limits."""
    found: list[tuple[ChainEntry, bytes]] = []
    size = 0
    for height in range(from_height, tip_height + 1):
        stored = read_block(disk.store, height)
        if stored is None or len(found) == limits.CHAIN_PAGE_BLOCKS_MAX:
            break
        entry = _entry(disk, stored, height)
        size += len(encode(entry))
        if found and size > limits.CHAIN_PAGE_BYTES_MAX:
            break
        found.append((entry, stored.final))
        if stored.block.last:
            break  # what follows is of another epoch, whose validators prove it
    return found


def _proof(store: Store, next_height: int, tip_height: int) -> tuple[tuple[Block, ...], bytes]:
    """The links behind a page's last block and the finalization; empty where there is none."""
    links: list[Block] = []
    final = b""
    while not final:
        if next_height > tip_height or len(links) == limits.CHAIN_PAGE_LINKS_MAX:
            return (), b""
        stored = read_block(store, next_height)
        if stored is None:
            return (), b""
        links.append(stored.block)
        final = stored.final
        if stored.block.last and not final:
            end = read_end(store, stored.block.epoch)
            if end is None:
                return (), b""
            return (*links, *end.fillers), encode(end.final)
        next_height += 1
    return tuple(links), final


def _entry(disk: NodeDisk, stored: StoredBlock, height: int) -> ChainEntry:
    batches = []
    for head in stored.batch_heads:
        batch = disk.batch(head)
        if batch is None:
            raise CorruptionError(f"batch {head.hex()} of block {height} is not in the batch log")
        batches.append(batch)
    return ChainEntry(block=stored.block, batches=tuple(batches))


def _certificate(data: bytes) -> Certificate:
    try:
        return decode(Certificate, data)
    except CanonicalError as error:
        raise CorruptionError(f"database: a block's finalization: {error}") from None
