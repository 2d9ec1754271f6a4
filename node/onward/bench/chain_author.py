"""Makes a chain without a network: one process that holds every validator's key.

What a network would have written is written with the functions that a validator writes it with. The
batches are signed by their lanes, each block is finalized by a quorum's votes, the executor that
follows the votes of a running validator executes it, a quorum signs the checkpoint, and the disk
that serves a validator keeps it all. Nothing here is left out but the messages: a block costs its
execution and a dozen signatures.

A home that is made so differs from that of a validator that caught up with its peers in nothing: it
holds no vote, because it never cast one, and a journal that begins at the tip. It can be copied to
every validator's place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from onward.consensus.journal import Floor
from onward.consensus.messages import (
    Certificate,
    CheckpointSignature,
    IndexedSignature,
    VoteKind,
    vote_signed_bytes,
)
from onward.crypto.signing import Signer, verify
from onward.errors import CorruptionError, RejectCode, RejectedError, invariant
from onward.execution.block import ExecutedBlock, OrderedBlock
from onward.ledger.block import (
    BLOCK_FORMAT,
    Batch,
    Block,
    Executed,
    LanePoint,
    batch_head,
    batch_signed_bytes,
    block_digest,
    set_hash,
)
from onward.ledger.chain import StoredBlock, read_block, read_newest_checkpoint
from onward.ledger.genesis import Genesis
from onward.ledger.note import Checkpoint
from onward.ledger.store import Store, WriteBatch
from onward.replica.checkpoints import Checkpoints
from onward.replica.effects import Boot, Commit, Effects
from onward.replica.executor import Executor
from onward.storage.home import open_home
from onward.types import Digest, ValidatorIndex
from onward_chaincode.registry import contract_for
from onward_proto.canonical import decode, encode

_ME = ValidatorIndex(0)


class ChainAuthor:
    """Goes on with the chain in one validator's data. Use it with `with`."""

    def __init__(
        self, data: Path, genesis: Genesis, signers: Sequence[Signer], *, now_ms: Callable[[], int]
    ) -> None:
        """`data`: a home's that no node runs on; `signers`: of all validators, in their order.

        Raises `RejectedError` and `CorruptionError` as a booting node does, and `RejectedError`
        E_STATE where a node has run: its votes are promises, which nobody else may go on with.
        """
        self._genesis = genesis
        self._signers = tuple(signers)
        self._now_ms = now_ms
        self._set_hash = set_hash(genesis.validators)
        self._disk = open_home(data, genesis.chain_id)
        try:
            _refuse_votes(data, self._disk.recover())
            self._executor = Executor(self._disk.store, contract_for)
            self._tip = _block(self._disk.store, self._executor.height)
            self._checkpoints = Checkpoints(
                genesis, _ME, self._signers[_ME], verify, _best(self._disk.store)
            )
        except BaseException:
            self._disk.close()
            raise
        self._grown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None and self._grown:
                self._begin_journal()
        finally:
            self._disk.close()

    @property
    def height(self) -> int:
        """The last block."""
        return self._tip.block.height

    @property
    def transactions(self) -> int:
        """How many have a verdict: every leaf of the log that is not a block's own."""
        return self._tip.log_size - self.height

    def add(self, lanes: Sequence[tuple[bytes, ...]]) -> tuple[str, ...]:
        """One block more, with a batch of these envelopes from each lane that has any.

        Answers the codes of the verdicts, in the order of lanes and envelopes. It is on the disk
        when this returns.
        """
        batches = tuple(
            self._sealed(lane, envelopes) for lane, envelopes in enumerate(lanes) if envelopes
        )
        ordered = self._finalized(batches)
        self._executor.push(ordered)
        result = self._executed()
        certified = self._certified(result)
        commit = Commit(
            height=ordered.block.height,
            time_ms=ordered.block.time_ms,
            state_root=Digest(result.state_root),
            writes=result.writes,
            batch_heads=tuple(Digest(head) for head in ordered.heads),
            verdicts=(),  # nobody waits for them
        )
        self._disk.stage(Effects(persist=batches, commit=commit, store=certified))
        self._disk.write()
        self._tip = _block(self._disk.store, ordered.block.height)
        self._grown = True
        return tuple(body.result.code for body in result.bodies)

    # -- what validators would sign ----------------------------------------------------------------

    def _sealed(self, lane: int, envelopes: tuple[bytes, ...]) -> Batch:
        """The lane's next batch, signed by its validator."""
        before = self._tip.block.cut[lane]
        unsigned = Batch(
            author=lane,
            epoch=self._genesis.validators.epoch,
            seq=before.seq + 1,
            previous=before.head,
            envelopes=envelopes,
            signature=bytes(64),
        )
        head = batch_head(self._genesis.chain_id, unsigned)
        return Batch(
            author=lane,
            epoch=unsigned.epoch,
            seq=unsigned.seq,
            previous=unsigned.previous,
            envelopes=envelopes,
            signature=self._signers[lane].sign(batch_signed_bytes(head)),
        )

    def _finalized(self, batches: tuple[Batch, ...]) -> OrderedBlock:
        """The next block, which orders these batches, and a quorum's votes for it."""
        parent = self._tip.block
        heads = tuple(batch_head(self._genesis.chain_id, batch) for batch in batches)
        cut = list(parent.cut)
        for batch, head in zip(batches, heads, strict=True):
            cut[batch.author] = LanePoint(seq=batch.seq, head=head)
        block = Block(
            format=BLOCK_FORMAT,
            epoch=self._genesis.validators.epoch,
            view=parent.view + 1,
            height=parent.height + 1,
            parent_view=parent.view,
            parent=self._executor.tip.digest,
            time_ms=max(parent.time_ms + 1, self._now_ms()),
            cut=tuple(cut),
            executed=Executed(
                height=parent.height, log_size=self._tip.log_size, log_root=self._tip.log_root
            ),
            last=False,
            next_set_hash=self._set_hash,
        )
        digest = block_digest(block)
        return OrderedBlock(
            block=block,
            digest=digest,
            final=encode(self._voted(block, digest)),
            batches=batches,
            heads=heads,
        )

    def _voted(self, block: Block, digest: bytes) -> Certificate:
        """FINALIZE votes of a quorum: of other ones at each height, as a network would have it."""
        validators, view = self._genesis.validators, block.view
        voters = sorted((block.height + k) % validators.size for k in range(validators.quorum))
        message = vote_signed_bytes(
            self._genesis.chain_id, validators.epoch, VoteKind.FINALIZE, view, digest
        )
        return Certificate(
            kind=VoteKind.FINALIZE,
            view=view,
            digest=digest,
            signatures=tuple(
                IndexedSignature(signer=signer, signature=self._signers[signer].sign(message))
                for signer in voters
            ),
        )

    def _certified(self, result: ExecutedBlock) -> tuple[WriteBatch, ...]:
        """The checkpoint after a block, with a quorum's signatures."""
        height = result.tip.height
        note = Checkpoint(
            origin=self._genesis.origin, size=result.log_size, root=result.log_root
        ).text()
        writes = list(
            self._checkpoints.executed(
                Executed(height=height, log_size=result.log_size, log_root=result.log_root)
            )
        )
        for peer in range(1, self._genesis.validators.quorum):
            signature = self._signers[peer].sign(note)
            item = CheckpointSignature(height=height, signature=signature)
            writes += self._checkpoints.learn(ValidatorIndex(peer), item)
        invariant(writes, f"a quorum's signatures do not certify block {height}")
        return tuple(writes)

    # -- parts -------------------------------------------------------------------------------------

    def _executed(self) -> ExecutedBlock:
        done = self._executor.run()
        while done is None:
            invariant(self._executor.backlog, "the executor lost a block")
            done = self._executor.run()
        return done[1]

    def _begin_journal(self) -> None:
        """Let the journal begin at the tip, as a validator's does when it is rotated."""
        floor = Floor(root=self._tip.block, final=decode(Certificate, self._tip.final))
        self._disk.stage(Effects(rotate=(floor,)))
        self._disk.write()


def _refuse_votes(data: Path, boot: Boot) -> None:
    promised = [record for record in boot.journal if not isinstance(record, Floor)]
    if promised or boot.batches:
        raise RejectedError(
            RejectCode.STATE,
            f"{data}: a node has run here: its journal holds {len(promised)} records that bind it, "
            f"its batch log {len(boot.batches)} batches of no block yet; expected none",
        )


def _block(store: Store, height: int) -> StoredBlock:
    found = read_block(store, height)
    if found is None:
        raise CorruptionError(f"the database has no block {height}, its tip")
    return found


def _best(store: Store) -> Executed:
    """The newest result that a quorum has signed; the genesis', which nobody had to."""
    newest = read_newest_checkpoint(store)
    return _block(store, 0).block.executed if newest is None else newest.executed
