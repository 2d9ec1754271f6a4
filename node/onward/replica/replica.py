"""One validator as one machine: order, dissemination, execution and checkpoints behind `step`.

The replica owns no clock, disk or network. It composes the consensus core, the lanes, the executor
and the checkpoints, which do not know each other, and turns what they ask of it into `Effects`. Its
rules:

- a batch is held (acknowledged, voted on) only after its check and its `persist`;
- a proposal is voted on only when its payload is valid here and its batches are held;
- delivered blocks are executed in order, in slices, behind the votes;
- the journal is rotated only when every delivered block is executed, so that nothing between the
  database's tip and the journal's floor can be lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from onward import limits
from onward.consensus.config import CoreConfig
from onward.consensus.core import Core
from onward.consensus.effects import (
    BlockVerdict,
    Broadcast,
    Build,
    CoreEffect,
    Deliver,
    EpochEnded,
    EvidenceFound,
    FarBehind,
    FetchBlock,
    ForkDetected,
    Misbehaved,
    Persist,
    SendTo,
    Validate,
    VoteForgotten,
)
from onward.consensus.epochs import EpochEnd
from onward.consensus.evidence import evidence_of_votes
from onward.consensus.forensics import encode_record
from onward.consensus.journal import Floor, JournalRecord
from onward.consensus.messages import (
    EMPTY_PACKET,
    Certificate,
    ChainPage,
    ChainRequest,
    Evidence,
    Fetch,
    Packet,
    Vote,
    VoteKind,
)
from onward.errors import CorruptionError, DivergenceError, PeerFault
from onward.execution.block import OrderedBlock
from onward.ledger.block import Batch, Executed, set_hash
from onward.ledger.chain import StoredBlock
from onward.ledger.store import (
    ABSTAINS_KEY,
    BATCH_PLACE,
    BLOCK_HEIGHT,
    Store,
    WriteBatch,
    u64,
)
from onward.ledger.transaction import CheckedEnvelope
from onward.replica.accusations import Accusations
from onward.replica.catchup import CatchUp, peers_of
from onward.replica.checkpoints import Checkpoints
from onward.replica.config import ReplicaConfig
from onward.replica.dissemination import Dissemination
from onward.replica.effects import (
    BatchChecked,
    Boot,
    Effects,
    Event,
    PeerDown,
    PeerUp,
    Received,
    Serve,
    Submitted,
    Tick,
)
from onward.replica.executor import Executor, commit_of, compare_result
from onward.replica.outbox import Outbox
from onward.replica.proposals import Proposals
from onward.replica.standing import best_result, end_writes, standing_of
from onward.replica.succession import Succession
from onward.types import Digest, ValidatorIndex
from onward_proto.canonical import encode

__all__ = ["Replica", "ReplicaConfig"]


class Replica:
    """A validator. The first event is `Boot`; then any event, any time.

    An event that a peer is to blame for never raises: it becomes a `misbehaved` event. What raises
    ends the node: `DivergenceError`, `CorruptionError`, `InvariantError`.
    """

    def __init__(self, config: ReplicaConfig, store: Store) -> None:
        """`store` holds at least the genesis. Raises `CorruptionError`."""
        genesis = config.genesis
        self._config = config
        self._store = store
        self._now_ms = 0
        self._out = Outbox()
        self._heights: dict[int, int] = {}  # how far each peer says it has delivered
        self._executor = Executor(store, config.contract_for, config.begin_block)
        standing = standing_of(store, genesis)
        self.validators = validators = standing.validators
        self._executor.enter_epoch(validators.epoch, validators.size)
        self._checkpoints = Checkpoints(
            genesis,
            config.me,
            config.signer,
            config.verify,
            best_result(store),
            validators=validators,
        )
        self._core = Core(
            CoreConfig(
                chain_id=genesis.chain_id,
                validators=validators,
                me=config.me,
                signer=config.signer,
                verify=config.verify,
                parameters=genesis.parameters,
            ),
            standing.root,
            standing.final,
        )
        self._accusations = Accusations(genesis, config.verify, store, lambda: self._out)
        self._lanes = Dissemination(config, standing, lambda: self._out, self._accusations.accuse)
        self._proposals = Proposals(
            genesis.parameters,
            Succession(
                set_hash(validators),
                self._executor,
                lambda: self._executor.approval,
            ),
            lanes=self._lanes.lanes,
            executor=self._executor,
            checkpoints=self._checkpoints,
        )
        peers = peers_of(validators, config.signer.public_key, config.seats)
        self._catch_up = CatchUp(
            genesis.chain_id, validators, config.verify, peers=peers, first=config.me
        )
        self._checkpoints_at_ms = 0
        self._untold_at_ms: int | None = None  # when to tell signatures that nobody was told
        self._told_height = self._executor.height
        self._journal_bytes = 0
        self._rotate_at_bytes = config.journal_segment_bytes_max
        self._is_pending = False
        self._forks_forgotten_at = standing.root.height
        self._lacking: tuple[Digest, ...] = ()
        self._abstains = False
        self._end_height = -1
        if not standing.is_fresh:
            self._sign_result(standing.tip)
        if store.get(ABSTAINS_KEY) is not None:
            self._abstain()

    # -- what a driver or a gateway may ask --------------------------------------------------------

    @property
    def view(self) -> int:
        """The current view."""
        return self._core.view

    @property
    def leader(self) -> ValidatorIndex:
        """The leader of the current view."""
        return self._core.leader

    @property
    def height(self) -> int:
        """The last executed height."""
        return self._executor.height

    @property
    def executor(self) -> Executor:
        """What is executed. For looks between steps only."""
        return self._executor

    @property
    def finalized_height(self) -> int:
        """The last delivered height; execution may be a little behind."""
        return self._core.root.height

    @property
    def checkpoint_height(self) -> int:
        """The newest height whose result a quorum has signed."""
        return self._checkpoints.best.height

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """What is proved against validators: by signer as it was at the boot, then as it came."""
        return self._accusations.held

    @property
    def abstains(self) -> bool:
        """Whether it only follows, because votes under its key are not in its journal."""
        return self._abstains

    @property
    def is_over(self) -> bool:
        """Whether the epoch has ended, and its last block is executed."""
        return self._executor.tip.height == self._end_height

    def aim(self, height: int) -> None:
        """A peer is in a later epoch, and says it has delivered this height."""
        self._catch_up.aim(height)

    def unordered(self) -> tuple[CheckedEnvelope, ...]:
        """What clients brought and no block of the epoch that ends has ordered."""
        return self._lanes.unordered()

    @property
    def waiting(self) -> int:
        """How many envelopes wait at this node for a batch."""
        return len(self._lanes.mempool)

    # -- the step ----------------------------------------------------------------------------------

    def step(self, event: Event, now_ms: int) -> Effects:
        """Take one event in; answers what the driver must do before the next step."""
        return self.step_all((event,), now_ms)

    def step_all(self, events: Sequence[Event], now_ms: int) -> Effects:
        """Take in what has come since the last step, in order, and then look once what follows.

        The busier a validator is, the more it takes in at once: what a look, a sync and a packet
        cost is shared by them.
        """
        self._now_ms = max(self._now_ms, now_ms)
        self._out = Outbox()
        for event in events:
            self._take(event)
        self._lanes.seal_due(self._now_ms)
        self._tell_pending()
        self._answer_core()
        if self._out.telling:
            self._lanes.seal_due(self._now_ms, along=True)
        self._forget_forks()
        self._execute()
        self._rotate_journal()
        self._ask_peers()
        self._tell_checkpoints()
        return self._out.effects(
            height=self._core.root.height,
            tips=self._lanes.lanes.tips,
            wake_at_ms=self._wake_at_ms(),
        )

    def _take(self, event: Event) -> None:
        now_ms = self._now_ms
        match event:
            case Boot():
                self._boot(event)
            case Tick():
                self._perform(self._core.on_time(now_ms))
            case Received():
                self._receive(event)
            case Submitted():
                self._lanes.submit(event, now_ms)
            case BatchChecked():
                self._lanes.checked(event, now_ms)
            case PeerUp():
                self._lanes.peer_up(event.peer)
                self._perform(self._core.on_peer_up(event.peer, now_ms))
                self._greet(event.peer)
            case PeerDown():
                self._lanes.peer_down(event.peer)
            case _:
                assert_never(event)

    def _boot(self, event: Boot) -> None:
        for record in event.journal:
            # A segment begins only once its floor is durable in the database.
            if isinstance(record, Floor) and record.root.height > self._executor.height:
                raise CorruptionError(
                    f"the journal begins at block {record.root.height}, the database ends at "
                    f"{self._executor.height}: it has lost what was synced"
                )
        self._lanes.restore(event.batches)
        self._journal_bytes = sum(len(encode(record)) for record in event.journal)
        self._perform(self._core.start(event.journal, self._now_ms))
        self._out.tell_tips = True

    # -- messages ----------------------------------------------------------------------------------

    def _receive(self, event: Received) -> None:
        try:
            match event.message:
                case Packet():
                    self._receive_packet(event.peer, event.message)
                case Batch():
                    self._lanes.receive(event.peer, event.message, self._now_ms)
                case Fetch():
                    self._answer_fetch(event.peer, event.message)
                case ChainRequest():
                    request = Serve(to=event.peer, from_height=event.message.from_height)
                    self._out.serve.append(request)
                case ChainPage():
                    self._receive_page(event.peer, event.message)
                case Evidence():
                    self._accusations.hear(event.message)
                case _:
                    assert_never(event.message)
        except PeerFault as fault:
            self._out.happened("misbehaved", peer=event.peer, reason=str(fault))

    def _receive_packet(self, peer: ValidatorIndex, packet: Packet) -> None:
        self._heights[peer] = packet.height
        self._lanes.learn_tips(peer, packet.tips, self._now_ms)
        for item in packet.checkpoints:
            self._out.store.extend(self._checkpoints.learn(peer, item))
        self._perform(self._core.on_packet(peer, packet, self._now_ms))
        for block in packet.blocks:
            self._lanes.got_block(block)

    def _answer_fetch(self, peer: ValidatorIndex, fetch: Fetch) -> None:
        asked = dict.fromkeys(fetch.blocks)
        blocks = tuple(block for block in map(self._core.block, asked) if block is not None)
        for start in range(0, len(blocks), limits.PACKET_BLOCKS_MAX):
            packet = Packet(
                status=0,
                height=self._core.root.height,
                blocks=blocks[start : start + limits.PACKET_BLOCKS_MAX],
                certificates=(),
                votes=(),
                tips=(),
                checkpoints=(),
            )
            self._out.send(peer, packet)
        self._lanes.answer(peer, fetch)
        if self._asks_for_the_past(fetch):
            from_height = self._heights.get(peer, self._executor.height) + 1
            self._out.serve.append(Serve(to=peer, from_height=from_height))

    def _asks_for_the_past(self, fetch: Fetch) -> bool:
        """Whether something asked for was delivered and forgotten here: it is in the chain."""
        return any(
            self._store.get(prefix + digest) is not None
            for prefix, asked in ((BLOCK_HEIGHT, fetch.blocks), (BATCH_PLACE, fetch.batches))
            for digest in asked
        )

    def _greet(self, peer: ValidatorIndex) -> None:
        """A fresh connection: what was sent on an earlier one may be lost."""
        self._out.send(peer, self._dressed(EMPTY_PACKET))
        for evidence in self._accusations.of_each():
            self._out.send(peer, evidence)

    # -- the core's wishes -------------------------------------------------------------------------

    def _perform(self, effects: tuple[CoreEffect, ...]) -> None:
        out, now_ms = self._out, self._now_ms
        for effect in effects:
            match effect:
                case Persist():
                    self._journal_bytes += sum(len(encode(item)) for item in effect.records)
                    out.persist.extend(effect.records)
                    self._note_nullified(effect.records)
                case Broadcast():
                    out.broadcast(effect.packet)
                case SendTo():
                    out.send(effect.peer, self._dressed(effect.packet))
                case Build():
                    self._proposals.ask_build(effect, now_ms)
                case Validate():
                    self._proposals.ask_verdict(effect)
                case FetchBlock():
                    self._lanes.fetch_block(effect.digest, now_ms)
                case Deliver():
                    self._deliver(effect)
                case FarBehind() | EpochEnded():
                    self._move_on(effect)
                case VoteForgotten():
                    self._own_up(effect.vote)
                case EvidenceFound() | Misbehaved() | ForkDetected():
                    self._report(effect)
                case _:
                    assert_never(effect)

    def _note_nullified(self, records: tuple[JournalRecord, ...]) -> None:
        """A nullification is recorded when a ticket needs it: a view has passed without a block."""
        for record in records:
            if isinstance(record, Certificate) and record.kind == VoteKind.NULLIFY:
                self._out.happened("nullified", view=record.view)

    def _move_on(self, effect: FarBehind | EpochEnded) -> None:
        if isinstance(effect, EpochEnded):
            self._note_end(effect.end)
        else:
            self._catch_up.aim(effect.height)

    def _note_end(self, end: EpochEnd) -> None:
        """The last delivered block ends the epoch: keep the proof."""
        self._end_height = self._core.root.height
        self._out.store.append(end_writes(self.validators.epoch, end))
        self._out.happened("epoch_ended", epoch=self.validators.epoch, height=self._end_height)

    def _report(self, fault: EvidenceFound | Misbehaved | ForkDetected) -> None:
        """Somebody lies: say so, and stop where going on would take sides."""
        match fault:
            case EvidenceFound():
                self._out.happened("equivocation", signer=fault.first.signer, view=fault.first.view)
                epoch = self.validators.epoch
                self._accusations.accuse(evidence_of_votes(epoch, fault.first, fault.second))
            case Misbehaved():
                self._out.happened("misbehaved", peer=fault.peer, reason=fault.reason)
            case ForkDetected():
                self._out.halt = DivergenceError(
                    f"two finalizations exclude each other: views {fault.first.view} and "
                    f"{fault.second.view}; more than f validators cheat"
                )

    def _own_up(self, vote: Vote) -> None:
        """Our disk is not the newest: follow from now on, under this key for ever."""
        if self._config.may_abstain and not self._abstains:
            self._out.happened("forgot_vote", view=vote.view, kind=vote.kind)
            self._out.store.append(WriteBatch(entries=((ABSTAINS_KEY, u64(vote.view)),)))
            self._abstain()

    def _abstain(self) -> None:
        self._abstains = True
        self._core.abstain()
        self._lanes.close()

    def _dressed(self, packet: Packet) -> Packet:
        """A packet of the core with what else every packet says."""
        return Packet(
            status=packet.status,
            height=self._core.root.height,
            blocks=packet.blocks,
            certificates=packet.certificates,
            votes=packet.votes,
            tips=self._lanes.lanes.tips,
            checkpoints=self._checkpoints.own(self._checkpoints.best.height - 1),
        )

    def _answer_core(self) -> None:
        """Verdicts and proposals that are due; each may make the core ask again."""
        while True:
            replies, lacking = self._proposals.replies(self._core.view, self._now_ms)
            for reply in replies:
                if reply.verdict is not BlockVerdict.VALID:
                    self._out.happened("not_voted", verdict=reply.verdict, reason=reply.reason)
                self._perform(
                    self._core.on_verdict(
                        reply.digest, reply.verdict, self._now_ms, again_ms=reply.again_ms
                    )
                )
            built = self._proposals.build(self._core.view, self._now_ms)
            if built is not None:
                build, payload = built
                self._perform(self._core.on_built(build.view, build.parent, payload, self._now_ms))
            if not replies and built is None:
                self._lacking = lacking
                return

    def _tell_pending(self) -> None:
        pending = self._lanes.is_pending
        if pending != self._is_pending:
            self._is_pending = pending
            self._perform(self._core.on_pending(self._now_ms, is_pending=pending))

    # -- delivery and execution --------------------------------------------------------------------

    def _deliver(self, effect: Deliver) -> None:
        last = len(effect.blocks) - 1
        for index, block in enumerate(effect.blocks):
            links = self._lanes.deliver(block)
            own = index == last and effect.final.signatures
            self._push(
                OrderedBlock(
                    block=block,
                    digest=effect.digest(index),
                    final=encode(effect.final) if own else b"",
                    record=encode_record(effect.records[index]),
                    batches=tuple(link.batch for link in links),
                    heads=tuple(link.head for link in links),
                    opened=tuple(link.opened for link in links),
                )
            )

    def _push(self, ordered: OrderedBlock) -> None:
        self._executor.push(ordered)
        self._out.happened(
            "finalized",
            height=ordered.block.height,
            view=ordered.block.view,
            batches=len(ordered.batches),
        )
        self._proposals.forget(ordered.block.height)

    def _receive_page(self, peer: ValidatorIndex, page: ChainPage) -> None:
        if self._executor.backlog >= limits.EXECUTION_QUEUE_BLOCKS_MAX or self._end_height >= 0:
            return  # not asked for: pages come as fast as the peer likes, execution does not
        verified = self._catch_up.open(peer, page, self._core.root, self._core.final.digest)
        if verified is None:
            return
        for ordered in verified.ordered:
            self._out.persist.extend(self._lanes.jump(ordered))
            self._push(ordered)
        tail = verified.ordered[-1].block
        self._out.happened("caught_up", height=tail.height, blocks=len(verified.ordered))
        self._perform(self._core.jump_to(tail, verified.final, self._now_ms))
        if verified.end is not None and self._core.root == tail:
            self._note_end(verified.end)

    def _forget_forks(self) -> None:
        """At the end of all deliveries of a step: until then their batches are needed."""
        if self._core.root.height != self._forks_forgotten_at:
            self._forks_forgotten_at = self._core.root.height
            self._lanes.lanes.forget_rivals(self._core.open_cuts)

    def _execute(self) -> None:
        """One slice a step: the driver writes a block's result before the next one begins."""
        done = self._executor.run()
        if done is None:
            return
        ordered, result = done
        compare_result(self._executor, ordered.block)
        self._out.commit = commit_of(ordered, result)
        self._lanes.settled(ordered, result)
        for body in result.bodies:
            if body.result.outcome is None:
                lane = ordered.batches[body.batch].author
                self._out.happened("void", lane=lane, code=body.result.code)
        executed = Executed(
            height=result.tip.height, log_size=result.log_size, log_root=result.log_root
        )
        self._out.store.extend(self._checkpoints.executed(executed))
        if self._untold_at_ms is None:
            self._untold_at_ms = self._now_ms + limits.CHECKPOINT_LINGER_MS_MAX

    def _sign_result(self, stored: StoredBlock) -> None:
        """After a boot: take the tip's checkpoint up again, peers may lack our signature."""
        if stored.block.height > 0:
            result = Executed(
                height=stored.block.height, log_size=stored.log_size, log_root=stored.log_root
            )
            self._checkpoints.executed(result)

    def _tell_checkpoints(self) -> None:
        """Tell our newest signatures with what leaves anyway, or soon by themselves.

        While the newest result lacks a quorum's signatures, repeat ours now and then.
        """
        if self._untold_at_ms is not None and (
            self._out.telling or self._now_ms >= self._untold_at_ms
        ):
            self._untold_at_ms = None
            self._out.broadcast_checkpoints(self._checkpoints.own(self._told_height))
            self._told_height = self._executor.height
        best = self._checkpoints.best.height
        if best >= self._executor.height:
            self._checkpoints_at_ms = self._now_ms + limits.CHECKPOINT_RESEND_MS
        elif self._now_ms >= self._checkpoints_at_ms:
            self._checkpoints_at_ms = self._now_ms + limits.CHECKPOINT_RESEND_MS
            self._out.broadcast_checkpoints(self._checkpoints.own(best))

    def _rotate_journal(self) -> None:
        big = self._journal_bytes >= self._rotate_at_bytes and self._end_height < 0
        if big and self._executor.backlog == 0 and self._executor.height == self._core.root.height:
            self._out.rotate = self._core.journal_snapshot()
            self._journal_bytes = sum(len(encode(item)) for item in self._out.rotate)
            # What must be kept may be large by itself: then a rotation a step would gain nothing.
            self._rotate_at_bytes = max(
                self._config.journal_segment_bytes_max, 2 * self._journal_bytes
            )

    # -- asking and waking -------------------------------------------------------------------------

    def _ask_peers(self) -> None:
        self._lanes.repeat(self._now_ms, self._lacking)
        room = self._executor.backlog < limits.EXECUTION_QUEUE_BLOCKS_MAX and self._end_height < 0
        height = self._core.root.height
        peer = self._catch_up.ask(height, self._now_ms) if room else None
        if peer is not None:
            self._out.send(peer, ChainRequest(from_height=height + 1))

    def _wake_at_ms(self) -> int:
        wishes = [
            self._core.deadline_ms,
            self._proposals.build_at_ms(),
            self._catch_up.next_at_ms(self._core.root.height) if self._end_height < 0 else None,
            self._lanes.next_at_ms(),
            self._now_ms if self._executor.backlog else None,
            self._untold_at_ms,
        ]
        if self._checkpoints.best.height < self._executor.height:
            wishes.append(self._checkpoints_at_ms)
        return min(wish for wish in wishes if wish is not None)
