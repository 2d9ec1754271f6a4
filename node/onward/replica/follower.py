"""Who is no validator in this epoch: it fetches the chain page by page, executes it, and waits.

A newcomer before its first epoch, and a validator after its last one. It gives no vote, keeps no
lane and takes nothing in from clients; every page proves itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from onward import limits
from onward.consensus.epochs import EpochEnd
from onward.consensus.messages import ChainPage, ChainRequest, Evidence, Packet
from onward.errors import PeerFault, Unavailable
from onward.ledger.store import Store
from onward.ledger.transaction import CheckedEnvelope
from onward.replica.accusations import read_evidence
from onward.replica.catchup import CatchUp, peers_of
from onward.replica.config import ReplicaConfig
from onward.replica.effects import Answer, Effects, Event, PeerUp, Received, Serve, Submitted
from onward.replica.executor import Executor, commit_of, compare_result
from onward.replica.outbox import Outbox
from onward.replica.standing import best_result, end_writes, standing_of
from onward.types import ValidatorIndex


class Follower:
    """What `EpochMachine` drives where it would drive a `Replica` if it had a vote."""

    def __init__(self, config: ReplicaConfig, store: Store) -> None:
        """`config.me` is not used. Raises `CorruptionError`."""
        standing = standing_of(store, config.genesis)
        self.validators = standing.validators
        self._executor = Executor(store, config.contract_for, config.begin_block)
        self._executor.enter_epoch(self.validators.epoch, self.validators.size)
        self._root, self._digest = standing.root, standing.final.digest
        self._catch_up = CatchUp(
            config.genesis.chain_id,
            self.validators,
            config.verify,
            peers=peers_of(self.validators, config.signer.public_key, config.seats),
            first=1,  # the others begin behind their own place
        )
        self._poll_ms = 0
        self._end_height = -1
        self._now_ms = 0
        self._out = Outbox()
        self.checkpoint_height = best_result(store).height
        self.evidence: tuple[Evidence, ...] = read_evidence(store)

    # -- what a driver or a gateway may ask, as of a replica ---------------------------------------

    view = 0
    leader = ValidatorIndex(0)
    abstains = True
    waiting = 0

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
        """The last height that a page has proved."""
        return self._root.height

    @property
    def is_over(self) -> bool:
        """Whether the epoch has ended, and its last block is executed."""
        return self._executor.height == self._end_height

    def aim(self, height: int) -> None:
        """A peer says it has delivered this height."""
        self._catch_up.aim(height)

    def unordered(self) -> tuple[CheckedEnvelope, ...]:
        """Nothing was taken in."""
        return ()

    # -- the step ----------------------------------------------------------------------------------

    def step_all(self, events: Sequence[Event], now_ms: int) -> Effects:
        """Take in what has come; see `replica.effects`."""
        self._now_ms = max(self._now_ms, now_ms)
        self._out = Outbox()
        for event in events:
            self._take(event)
        self._execute()
        self._ask()
        return self._out.effects(height=self._root.height, tips=(), wake_at_ms=self._wake_at_ms())

    def _take(self, event: Event) -> None:
        match event:
            case Received(peer=peer, message=ChainPage() as page):
                try:
                    self._receive_page(peer, page)
                except PeerFault as fault:
                    self._out.happened("misbehaved", peer=peer, reason=str(fault))
            case Received(message=Packet(height=height)):
                self._catch_up.aim(height)
            case Received(peer=peer, message=ChainRequest(from_height=height)):
                self._out.serve.append(Serve(to=peer, from_height=height))
            case PeerUp():
                self._catch_up.aim(self._root.height + 1)
            case Submitted(envelopes=envelopes):
                error = Unavailable("this node is no validator: try another one")
                for item in envelopes:
                    self._out.answers.append(Answer(tx_hashes=item.tx_hashes, error=error))
            case _:
                pass

    def _receive_page(self, peer: ValidatorIndex, page: ChainPage) -> None:
        if self._end_height >= 0 or self._executor.backlog >= limits.EXECUTION_QUEUE_BLOCKS_MAX:
            return
        verified = self._catch_up.open(peer, page, self._root, self._digest)
        if verified is None:
            return
        for ordered in verified.ordered:
            self._out.persist.extend(ordered.batches)
            self._executor.push(ordered)
        tail = verified.ordered[-1]
        self._root, self._digest = tail.block, tail.digest
        self._out.happened("caught_up", height=tail.block.height, blocks=len(verified.ordered))
        if verified.end is not None:
            self._note_end(verified.end)

    def _note_end(self, end: EpochEnd) -> None:
        self._end_height = self._root.height
        self._out.store.append(end_writes(self.validators.epoch, end))
        self._out.happened("epoch_ended", epoch=self.validators.epoch, height=self._end_height)

    def _execute(self) -> None:
        done = self._executor.run()
        if done is not None:
            ordered, result = done
            compare_result(self._executor, ordered.block)
            self._out.commit = commit_of(ordered, result)

    def _ask(self) -> None:
        """The next page; and now and then, whether there is one."""
        if self._end_height >= 0:
            return
        height = self._root.height
        if self._now_ms >= self._poll_ms:
            self._poll_ms = self._now_ms + limits.CATCH_UP_RETRY_MS
            self._catch_up.aim(height + 1)
        if self._executor.backlog < limits.EXECUTION_QUEUE_BLOCKS_MAX:
            peer = self._catch_up.ask(height, self._now_ms)
            if peer is not None:
                self._out.send(peer, ChainRequest(from_height=height + 1))

    def _wake_at_ms(self) -> int:
        if self._executor.backlog or self._end_height >= 0:
            return self._now_ms
        asked = self._catch_up.next_at_ms(self._root.height)
        return self._poll_ms if asked is None else min(asked, self._poll_ms)
