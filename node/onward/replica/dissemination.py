"""From a client's envelope to a batch that a quorum holds: mempool, lanes, repair."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, assert_never

from onward import limits
from onward.consensus.effects import (
    CheckBatch,
    LaneEffect,
    LaneForked,
    Misbehaved,
    SendBatch,
    StoreBatch,
    TipsMoved,
)
from onward.consensus.evidence import evidence_of_fork
from onward.consensus.lanes import DurableBatch, Lanes, LanesConfig
from onward.consensus.links import Link
from onward.consensus.messages import Evidence, Fetch
from onward.errors import Unavailable
from onward.execution.block import ExecutedBlock, OrderedBlock
from onward.ledger.block import Batch, Block, Cut, block_digest
from onward.ledger.transaction import CheckedEnvelope, Opened, open_envelope
from onward.mempool import Mempool
from onward.replica.claims import Claims
from onward.replica.effects import Answer, BatchChecked, Submitted, VerifyJob
from onward.replica.fetching import Fetching
from onward.replica.outbox import Outbox
from onward.replica.standing import Standing
from onward.types import Digest, ValidatorIndex

if TYPE_CHECKING:
    from onward.replica.config import ReplicaConfig


class Dissemination:
    """Everything about batches. `out` gives the outbox of the step that is going on."""

    def __init__(
        self,
        config: ReplicaConfig,
        standing: Standing,
        out: Callable[[], Outbox],
        accuse: Callable[[Evidence], None],
    ) -> None:
        """`standing`: what was delivered; `accuse` is told of the author of a forked lane."""
        validators = standing.validators
        self._me = config.me
        self._out = out
        self._accuse = accuse
        self.mempool = Mempool()
        self.lanes = Lanes(
            LanesConfig(
                chain_id=config.genesis.chain_id,
                validators=validators,
                me=config.me,
                signer=config.signer,
                verify=config.verify,
            ),
            standing.root.cut,
        )
        self._fetching = Fetching(config.me, validators.size)
        self._ack_at_ms: int | None = None
        self._is_busy = False  # batches waited to be ordered at the end of the last step
        self._claims = Claims()
        self._is_closed = False

    def restore(self, batches: tuple[Batch, ...]) -> None:
        """Boot: the durable batches that were not delivered."""
        durable = []
        for batch in batches:
            opened = tuple(open_envelope(item) for item in batch.envelopes)
            durable.append(DurableBatch(batch=batch, bodies=_count(opened)))
            if batch.author == self._me:
                self.mempool.track(item.tx_hash for items in opened for item in items)
        self.lanes.restore(tuple(durable))

    # -- our own lane ------------------------------------------------------------------------------

    def submit(self, event: Submitted, now_ms: int) -> None:
        """Take clients' envelopes in, or answer that they must come again."""
        for envelope in event.envelopes:
            if self._is_closed:
                self._turn_away(envelope)
                continue
            try:
                self.mempool.add(envelope, now_ms)
            except Unavailable as error:
                self._out().answers.append(Answer(tx_hashes=envelope.tx_hashes, error=error))

    def unordered(self) -> tuple[CheckedEnvelope, ...]:
        """The envelopes of our own lane that no block has delivered, and then those that wait.

        An epoch ends, and its lanes with it: they go into the next one's, byte for byte.
        """
        sealed = self.lanes.own_after(self.lanes.delivered[self._me].seq)
        found = [_checked(data) for batch in sealed for data in batch.envelopes]
        while self.mempool:
            found += self.mempool.take()
        return tuple(found)

    def close(self) -> None:
        """Seal no batch any more: places of our lane may be taken by batches not known here."""
        self._is_closed = True
        while self.mempool:
            for envelope in self.mempool.take():
                self._turn_away(envelope)

    def _turn_away(self, envelope: CheckedEnvelope) -> None:
        error = Unavailable("this validator only follows: try another one")
        self._out().answers.append(Answer(tx_hashes=envelope.tx_hashes, error=error))

    def seal_due(self, now_ms: int, *, along: bool = False) -> None:
        """Make batches of what has waited long enough; `along`: a packet goes to everybody anyway.

        What leaves in one step travels in one message, so a batch goes with a vote if it can.
        """
        while not self._is_closed:
            pending = self.lanes.own_pending
            if along and pending == 1:
                pending = 0
            ready_ms = self.mempool.ready_at_ms(pending=pending)
            if ready_ms is None or ready_ms > now_ms or self.lanes.is_full():
                return
            taken = self.mempool.take()
            envelopes = tuple(item.data for item in taken)
            opened = tuple(item.transactions for item in taken)
            self._perform(self.lanes.seal(envelopes, _count(opened), opened), now_ms)

    # -- batches of others -------------------------------------------------------------------------

    def receive(self, peer: ValidatorIndex, batch: Batch, now_ms: int) -> None:
        """A batch from a peer."""
        self._perform(self.lanes.on_batch(peer, batch), now_ms)

    def checked(self, event: BatchChecked, now_ms: int) -> None:
        """A batch's envelopes were checked."""
        bodies = None if event.opened is None else _count(event.opened)
        if bodies is None:
            self._out().happened("batch_invalid", head=event.head.hex(), error=event.error)
        self._perform(self.lanes.on_checked(event.head, bodies, event.opened), now_ms)

    def learn_tips(self, peer: ValidatorIndex, tips: Cut, now_ms: int) -> None:
        """A peer says how far it holds each lane."""
        self._perform(self.lanes.on_tips(peer, tips), now_ms)
        is_whole = len(tips) == len(self.lanes.tips)
        if is_whole and self._claims.hear(peer, tips[self._me].seq, now_ms):
            self._resend(peer)

    def peer_up(self, peer: ValidatorIndex) -> None:
        """A fresh connection: the peer's next packet says what it lacks of our lane."""
        self._claims.up(peer)

    def peer_down(self, peer: ValidatorIndex) -> None:
        """Nothing can be resent now."""
        self._claims.down(peer)

    def answer(self, peer: ValidatorIndex, fetch: Fetch) -> None:
        """Send the asked batches that are held here and not yet delivered."""
        for head in dict.fromkeys(fetch.batches):
            batch = self.lanes.held(head)
            if batch is not None:
                self._out().send(peer, batch)

    # -- what the order needs ----------------------------------------------------------------------

    @property
    def is_pending(self) -> bool:
        """Whether batches wait to be ordered."""
        return self.lanes.has_pending

    def fetch_block(self, digest: bytes, now_ms: int) -> None:
        """The core lacks a block."""
        self._fetching.want_block(digest, now_ms)

    def got_block(self, block: Block) -> None:
        """A block came, asked for or not."""
        self._fetching.got_block(block_digest(block))

    def deliver(self, block: Block) -> tuple[Link, ...]:
        """The batches of a finalized block, in delivery order."""
        self._fetching.forget_blocks()
        return self.lanes.deliver(block.cut)

    def jump(self, ordered: OrderedBlock) -> tuple[Batch, ...]:
        """A block came with its batches from a peer's disk; answers what must become durable."""
        self._fetching.forget_blocks()
        self.lanes.jump_to(ordered.block.cut)
        return ordered.batches

    def settled(self, ordered: OrderedBlock, result: ExecutedBlock) -> None:
        """These bodies have their verdict.

        One that is void in another's lane has not: whoever seals a body under a wrong key must not
        make us drop the right one.
        """
        self.mempool.forget(
            done.transaction.tx_hash
            for done in result.bodies
            if done.result.outcome is not None or ordered.batches[done.batch].author == self._me
        )

    # -- time --------------------------------------------------------------------------------------

    def repeat(self, now_ms: int, lacking: tuple[Digest, ...]) -> None:
        """Acknowledge, ask for what is lacking, resend what peers seem to have lost."""
        out = self._out()
        self.lanes.want(lacking)
        self._fetching.want_batches(self.lanes.missing(), now_ms)
        for peer, request in self._fetching.due(now_ms):
            out.send(peer, request)
            out.happened("fetch", peer=peer, count=len(request.batches))
        if self._ack_at_ms is not None and (out.telling or now_ms >= self._ack_at_ms):
            out.tell_tips = True
            self._ack_at_ms = None
        self._is_busy = self.lanes.has_pending
        for claimant in self._claims.due(self.lanes.tips[self._me].seq, now_ms):
            self._resend(claimant)

    def next_at_ms(self) -> int | None:
        """When something is due."""
        pending = self.lanes.own_pending
        wishes = [
            None if self.lanes.is_full() else self.mempool.ready_at_ms(pending=pending),
            self._fetching.next_at_ms(),
            self._ack_at_ms,
            self._claims.next_at_ms(self.lanes.tips[self._me].seq),
        ]
        return min((wish for wish in wishes if wish is not None), default=None)

    def _resend(self, peer: ValidatorIndex) -> None:
        batches = self.lanes.own_after(self._claims.place_of(peer))
        for batch in batches[: limits.LANE_BATCHES_PER_BLOCK_MAX]:
            self._out().send(peer, batch)

    def _perform(self, effects: tuple[LaneEffect, ...], now_ms: int) -> None:
        out = self._out()
        for effect in effects:
            match effect:
                case CheckBatch():
                    out.verify.append(VerifyJob(head=effect.head, batch=effect.batch))
                case StoreBatch():
                    out.persist.append(effect.batch)
                case SendBatch():
                    out.send(None, effect.batch)
                case TipsMoved():
                    if self._ack_at_ms is None:
                        # While blocks come, a vote that takes it along is near.
                        busy_ms, idle_ms = limits.ACK_LINGER_BUSY_MS_MAX, limits.ACK_LINGER_MS_MAX
                        self._ack_at_ms = now_ms + (busy_ms if self._is_busy else idle_ms)
                case LaneForked():
                    out.happened("lane_forked", lane=effect.first.author, seq=effect.first.seq)
                    self._accuse(evidence_of_fork(effect.first, effect.second))
                case Misbehaved():
                    out.happened("misbehaved", peer=effect.peer, reason=effect.reason)
                case _:
                    assert_never(effect)


def _checked(data: bytes) -> CheckedEnvelope:
    """An envelope that was checked before it was sealed."""
    return CheckedEnvelope(data=data, transactions=open_envelope(data))


def _count(opened: Opened) -> int:
    return sum(map(len, opened))
