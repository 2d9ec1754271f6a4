"""Where a store stands: which epoch goes on above its tip, of which validators, from which root."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from onward.consensus.epochs import EpochEnd, epoch_root, unsigned_final
from onward.consensus.messages import Certificate
from onward.errors import CorruptionError
from onward.execution.overlay import StoredState
from onward.ledger.block import Block, Executed, block_digest, set_hash
from onward.ledger.chain import (
    StoredBlock,
    read_block,
    read_checkpoint,
    read_newest_checkpoint,
    read_tip,
)
from onward.ledger.epoch_proof import build_epoch_proof
from onward.ledger.genesis import Genesis
from onward.ledger.store import EPOCH_END, Store, WriteBatch, u64
from onward.system.validators import approved_set
from onward.types import ValidatorSet
from onward_proto.canonical import CanonicalError, decode, encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What consensus goes on from. `root` and `final` are as the epoch of `validators` sees them.

    Where the tip is the last block of its epoch, the next one begins with it.
    """

    validators: ValidatorSet
    tip: StoredBlock
    root: Block
    final: Certificate

    @property
    def is_fresh(self) -> bool:
        """Whether nothing of this epoch was delivered yet, and there was one before it."""
        return self.tip.block.epoch < self.validators.epoch


def standing_of(store: Store, genesis: Genesis) -> Standing:
    """Where the store stands. Raises `CorruptionError`."""
    tip = read_tip(store)
    stored = None if tip is None else read_block(store, tip.height)
    if tip is None or stored is None:
        raise CorruptionError("the database has no chain, not even a genesis, or not its tip")
    block = stored.block
    validators = validators_of(store, genesis, block.epoch + block.last)
    if validators is None:
        raise CorruptionError(f"no validator set of epoch {block.epoch + block.last}")
    if not block.last:
        return Standing(
            validators=validators, tip=stored, root=block, final=_final_of(stored, tip.digest)
        )
    if set_hash(validators) != block.next_set_hash:
        raise CorruptionError(f"block {block.height} names another set than the state holds")
    root = epoch_root(block, validators)
    return Standing(
        validators=validators, tip=stored, root=root, final=unsigned_final(root, tip.digest)
    )


def validators_of(store: Store, genesis: Genesis, epoch: int) -> ValidatorSet | None:
    """The validators of an epoch, as far as the state knows them."""
    if epoch == genesis.validators.epoch:
        return genesis.validators
    found = approved_set(StoredState(store), epoch)
    return None if found is None else found[0]


def known_sets(store: Store, genesis: Genesis) -> Iterator[ValidatorSet]:
    """The validators of epoch 0, 1, 2 … as far as the state knows them."""
    epoch = 0
    while (found := validators_of(store, genesis, epoch)) is not None:
        yield found
        epoch += 1


def best_result(store: Store) -> Executed:
    """The newest certified result that the store holds. Raises `CorruptionError`."""
    newest = read_newest_checkpoint(store)
    if newest is not None:
        return newest.executed
    genesis = read_block(store, 0)
    if genesis is None:
        raise CorruptionError("the database has no genesis block")
    return genesis.block.executed


def read_end(store: Store, epoch: int) -> EpochEnd | None:
    """The proof that an epoch has ended, or None. Raises `CorruptionError`."""
    data = store.get(EPOCH_END + u64(epoch))
    try:
        return None if data is None else decode(EpochEnd, data)
    except CanonicalError as error:
        raise CorruptionError(f"end of epoch {epoch}: {error}") from None


def end_writes(epoch: int, end: EpochEnd) -> WriteBatch:
    """What keeps the proof of an epoch's end, for ever."""
    return WriteBatch(entries=((EPOCH_END + u64(epoch), encode(end)),))


def _final_of(stored: StoredBlock, digest: bytes) -> Certificate:
    """The finalization of the tip; unsigned where a descendant's finalized it."""
    if not stored.final:
        return unsigned_final(stored.block, digest)
    try:
        return decode(Certificate, stored.final)
    except CanonicalError as error:
        raise CorruptionError(f"finalization of block {stored.block.height}: {error}") from None


def epoch_proofs(store: Store, genesis: Genesis) -> tuple[bytes, ...]:
    """The proofs of all epochs that have ended, for auditors, from the first one on.

    They end before an epoch whose last checkpoint is not certified here yet.
    """
    found: list[bytes] = []
    while True:
        epoch = len(found)
        end, following = read_end(store, epoch), validators_of(store, genesis, epoch + 1)
        stored = None if end is None else read_block(store, end.height)
        checkpoint = None if stored is None else read_checkpoint(store, stored.block.height)
        if stored is None or checkpoint is None or following is None:
            return tuple(found)
        if checkpoint.executed.height != stored.block.height:
            return tuple(found)
        digest = block_digest(stored.block)
        found.append(build_epoch_proof(store, stored, digest, checkpoint, following))
