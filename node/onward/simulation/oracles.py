"""What must hold, looked at after every event.

Safety, over the honest validators: delivered chains are prefixes of one chain with equal state and
log; cuts only grow, each batch and each body is ordered once; a key signs no conflicting pair,
across reboots, and forgets no vote above its floor; what leaves a machine was durable there; no
view has both a finalization and a nullification; nobody honest is accused; what a client was told
stays true. An epoch ends at its first last block, and nothing of it is delivered behind that; votes
count in their own epoch alone. Memory stays bounded.

A liar is watched by nobody: what it says counts only where it makes an honest validator go wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from onward import limits
from onward.consensus.epochs import EpochEnd
from onward.consensus.journal import Floor, JournalRecord
from onward.consensus.messages import Certificate, Packet, PeerMessage, Vote, VoteKind
from onward.ledger.block import Block, Cut, block_digest
from onward.ledger.chain import StoredBlock, Tip
from onward.ledger.store import BLOCK, EPOCH_END, TIP_KEY, WriteBatch
from onward.replica.effects import Commit
from onward.simulation.memory import oversized_containers
from onward_proto.canonical import decode


class Violation(Exception):
    """A promise of the system does not hold in this run."""

    def __init__(self, oracle: str, message: str) -> None:
        """`oracle` names the promise, in one or two words."""
        super().__init__(f"{oracle}: {message}")
        self.oracle = oracle


@dataclass(frozen=True, slots=True)
class _Canonical:
    """What the first honest validator to execute a height made of it."""

    tip: Tip
    batch_heads: tuple[bytes, ...]
    verdicts: tuple[tuple[bytes, str, int, int], ...]
    first: str


class SafetyOracles:
    """Everything that the honest validators of one run said and did, and whether it may be."""

    def __init__(self, quorum: int) -> None:
        """`quorum`: how many signatures a certificate has."""
        self._quorum = quorum
        self.chain: list[_Canonical] = []  # by height - 1
        self.epochs: list[int] = []  # of each block of the chain
        self._views: list[int] = []  # likewise
        self._quorums: dict[int, int] = {}  # of the epochs after the first
        self._places: dict[int, dict[int, int]] = {}  # of each of them: host index -> place
        self._next_epoch = 0  # of the block that comes next
        self._last_blocks: dict[int, Block] = {}  # by height
        self._ends: dict[int, tuple[str, EpochEnd]] = {}  # of epochs whose last block is to come
        self._cut: Cut | None = None
        self._ordered_batches: set[bytes] = set()
        self.executed_bodies: dict[bytes, tuple[int, str]] = {}
        self.void_count = 0
        self._height: dict[str, int] = {}
        self._durable: dict[str, set[tuple[int, Vote]]] = {}
        self._step: dict[str, tuple[tuple[int, Vote], ...]] = {}  # of the newest durable step
        self._promised: dict[str, dict[tuple[int, int, int], bytes]] = {}
        self._certified: dict[tuple[int, int, int], bytes] = {}
        self._tally: dict[tuple[int, int, int, bytes], set[int]] = {}
        self.told: dict[bytes, tuple[int, str]] = {}

    # -- votes -------------------------------------------------------------------------------------

    def on_epoch(self, epoch: int, quorum: int, places: dict[int, int]) -> None:
        """An epoch after the first: `places` says which host has which place in its set."""
        self._quorums[epoch] = quorum
        self._places[epoch] = places

    def on_durable(self, host: str, votes: Iterable[Vote], epoch: int) -> None:
        """A step of `host` is durable: its `votes` are, and what it says may leave."""
        step = self._step[host] = tuple((epoch, vote) for vote in votes)
        for of, vote in step:
            self.on_durable_vote(host, vote, of)

    def on_durable_vote(self, host: str, vote: Vote, epoch: int = 0) -> None:
        """`vote` is in the synced journal of `host`, or came back from it at a boot."""
        self._durable.setdefault(host, set()).add((epoch, vote))
        self._promise(host, vote, epoch)

    def on_journal(self, host: str, journal: Iterable[JournalRecord]) -> None:
        """What came back from the journal of `host` at a boot: nothing durable is missing.

        A forgotten vote need not be contradicted in this run; in another it would be. The votes of
        an epoch are needed until the next one has begun.
        """
        epoch = floor_view = 0
        kept: set[tuple[int, Vote]] = set()
        for record in journal:
            if isinstance(record, Floor):
                is_same = record.root.epoch == epoch
                floor_view = max(floor_view, record.final.view) if is_same else record.final.view
                epoch = record.root.epoch
            elif isinstance(record, Vote):
                kept.add((epoch, record))
        durable = self._durable.get(host, set()).difference(kept)
        needed = (
            vote for of, vote in durable if of > epoch or (of == epoch and vote.view > floor_view)
        )
        forgotten = sorted(map(_vote, needed))
        if forgotten:
            raise Violation(
                "votes stay", f"{host} forgot {', '.join(forgotten)}, floor {floor_view}"
            )
        for of, vote in sorted(kept, key=lambda item: (item[0], item[1].view, item[1].kind)):
            self.on_durable_vote(host, vote, of)

    def on_sent(self, host: str, index: int, message: PeerMessage) -> None:
        """An honest `host` lets `message` go."""
        if not isinstance(message, Packet):
            return
        durable = self._durable.get(host, set())
        place = self._places.get(message.epoch, {}).get(index, index)
        for vote in message.votes:
            if vote.signer != place:
                raise Violation("own votes", f"{host} sent a vote of {vote.signer}")
            if (message.epoch, vote) not in durable:
                raise Violation(
                    "durable before sent",
                    f"{host} sent {_vote(vote)}, which its synced journal does not hold",
                )
            self._count(vote, message.epoch)
        for certificate in message.certificates:
            self.on_certificate(certificate, message.epoch)
        if message.status and len(message.votes) < limits.PACKET_VOTES_MAX:
            self._expect_every_vote(host, message)

    def _expect_every_vote(self, host: str, status: Packet) -> None:
        """Who tells how far it is tells all its votes that still count: it has forgotten none.

        Those of the very step in which it tells may be younger than what it tells. A forgotten vote
        need not be contradicted in this run; in another it would be.
        """
        finals = (item.view for item in status.certificates if item.kind == VoteKind.FINALIZE)
        settled = max(finals, default=0)
        executed = self._height.get(host, 0) - 1
        if executed >= 0 and self.epochs[executed] == status.epoch:
            settled = max(settled, self._views[executed])
        forgotten = sorted(
            _vote(vote)
            for epoch, vote in self._durable.get(host, set()).difference(
                ((status.epoch, vote) for vote in status.votes), self._step.get(host, ())
            )
            if epoch == status.epoch and vote.view > settled
        )
        if forgotten:
            raise Violation("votes stay", f"{host} tells nothing of {', '.join(forgotten)}")

    def on_certificate(self, certificate: Certificate, epoch: int = 0) -> None:
        """An honest validator vouches for `certificate`: it verified it, or counted the votes."""
        self._certify(epoch, certificate.kind, certificate.view, certificate.digest)

    def _promise(self, host: str, vote: Vote, epoch: int) -> None:
        promised = self._promised.setdefault(host, {})
        known = promised.setdefault((epoch, vote.kind, vote.view), vote.digest)
        if known != vote.digest:
            raise Violation("one vote", f"{host} signed {_vote(vote)} and another of its kind")
        if vote.kind != VoteKind.NOTARIZE:
            other = VoteKind.NULLIFY + VoteKind.FINALIZE - vote.kind
            if (epoch, other, vote.view) in promised:
                raise Violation("finalize or nullify", f"{host} signed both in view {vote.view}")

    def _count(self, vote: Vote, epoch: int) -> None:
        signers = self._tally.setdefault((epoch, vote.kind, vote.view, vote.digest), set())
        signers.add(vote.signer)
        if len(signers) == self._quorums.get(epoch, self._quorum):
            self._certify(epoch, vote.kind, vote.view, vote.digest)

    def _certify(self, epoch: int, kind: int, view: int, digest: bytes) -> None:
        """No view has two notarized blocks, nor a finalization beside a nullification."""
        place = (epoch, VoteKind.NOTARIZE if kind == VoteKind.FINALIZE else kind, view)
        if self._certified.setdefault(place, digest) != digest:
            raise Violation("one block a view", f"two certified blocks in view {view}")
        self._certified[epoch, kind, view] = digest
        if (epoch, VoteKind.FINALIZE, view) in self._certified and (
            epoch,
            VoteKind.NULLIFY,
            view,
        ) in self._certified:
            raise Violation("finalize or nullify", f"view {view} is finalized and nullified")

    @property
    def nullified_views(self) -> int:
        """How many views were given up by a quorum."""
        return sum(1 for _, kind, _ in self._certified if kind == VoteKind.NULLIFY)

    # -- the chain ---------------------------------------------------------------------------------

    def on_boot(self, host: str, height: int) -> None:
        """`host` starts with the store at `height`."""
        self._height[host] = height

    def on_commit(self, host: str, commit: Commit) -> None:
        """`host` executed the block at `commit.height`."""
        expected = self._height.get(host, 0) + 1
        if commit.height != expected:
            raise Violation("in order", f"{host} executed {commit.height}, expected {expected}")
        self._height[host] = commit.height
        mine = _canonical(host, commit)
        if commit.height <= len(self.chain):
            self._agree(host, commit.height, mine)
        else:
            self.chain.append(mine)
            self._extend(commit)

    def _agree(self, host: str, height: int, mine: _Canonical) -> None:
        theirs = self.chain[height - 1]
        if mine.tip.digest != theirs.tip.digest:
            raise Violation("agreement", f"{host} and {theirs.first} differ in block {height}")
        if mine.batch_heads != theirs.batch_heads:
            raise Violation("agreement", f"{host} and {theirs.first}: batches of block {height}")
        if mine.verdicts != theirs.verdicts:
            raise Violation("agreement", f"{host} and {theirs.first}: verdicts of block {height}")
        if mine.tip != theirs.tip:
            raise Violation("state", f"{host} and {theirs.first}: state or log at {height}")

    def _extend(self, commit: Commit) -> None:
        """Order once, execute once, never go back."""
        stored = _stored_block(commit)
        self._follow_epochs(stored.block)
        cut = stored.block.cut
        for lane, point in enumerate(cut):
            if self._cut is not None and point.seq < self._cut[lane].seq:
                raise Violation("cuts grow", f"lane {lane} goes back at height {commit.height}")
        self._cut = cut
        for head in commit.batch_heads:
            if head in self._ordered_batches:
                raise Violation("batch once", f"batch {head.hex()[:8]} at height {commit.height}")
            self._ordered_batches.add(head)
        for verdict in commit.verdicts:
            if verdict.outcome == 0:
                self.void_count += 1
                continue
            if verdict.tx_hash in self.executed_bodies:
                raise Violation("body once", f"{verdict.tx_hash.hex()[:8]} at {commit.height}")
            self.executed_bodies[verdict.tx_hash] = (verdict.height, verdict.code)

    def _follow_epochs(self, block: Block) -> None:
        """Heights belong to one epoch each; what follows a last block is of the next one."""
        if block.epoch != self._next_epoch:
            raise Violation(
                "one epoch a height",
                f"block {block.height} of epoch {block.epoch}, expected {self._next_epoch}",
            )
        self.epochs.append(block.epoch)
        self._views.append(block.view)
        if len(self.epochs) > 1 and self.epochs[-2] != block.epoch:
            self._cut = None
        if block.last:
            self._next_epoch += 1
            self._last_blocks[block.height] = block
            end = self._ends.pop(block.height, None)
            if end is not None:
                self._judge_end(end[0], block, end[1])

    def on_end(self, host: str, end: EpochEnd) -> None:
        """`host` keeps this as the proof that an epoch has ended."""
        last = self._last_blocks.get(end.height)
        if last is None:
            self._ends[end.height] = (host, end)
        else:
            self._judge_end(host, last, end)

    def _judge_end(self, host: str, last: Block, end: EpochEnd) -> None:
        """Fillers order nothing and end nothing; a quorum of the epoch itself finalized it."""
        for filler in end.fillers:
            if filler.last or filler.cut != last.cut or filler.epoch != last.epoch:
                raise Violation("fillers", f"{host}: view {filler.view} behind {last.height}")
        digests = [block_digest(block) for block in (last, *end.fillers)]
        quorum = self._quorums.get(last.epoch, self._quorum)
        if end.final.digest != digests[-1] or len(end.final.signatures) != quorum:
            raise Violation("end proved", f"{host}: epoch {last.epoch}, height {last.height}")

    # -- clients -----------------------------------------------------------------------------------

    def on_told(self, tx_hash: bytes, height: int, code: str) -> None:
        """A client got a verdict. It holds for good, whoever is asked later."""
        if self.told.setdefault(tx_hash, (height, code)) != (height, code):
            raise Violation("verdicts stay", f"{tx_hash.hex()[:8]} was told two verdicts")
        if self.executed_bodies.get(tx_hash) != (height, code):
            raise Violation("acknowledged", f"{tx_hash.hex()[:8]} is not in the chain as told")

    # -- accusations and memory --------------------------------------------------------------------

    def on_accused(self, host: str, index: int, *, is_liar: bool) -> None:
        """`host` holds evidence against, or disconnected from, the validator `index`."""
        if not is_liar:
            raise Violation("nobody honest accused", f"{host} accuses {index}")

    def check_memory(self, host: str, roots: Iterable[object]) -> None:
        """No queue of a replica grows past its bound."""
        found = oversized_containers(roots)
        if found:
            raise Violation("bounded memory", f"{host}: {', '.join(found)}")


def ends_in(batches: Iterable[WriteBatch]) -> list[EpochEnd]:
    """The ends of epochs that a machine stores."""
    return [
        decode(EpochEnd, value)
        for batch in batches
        for key, value in batch.entries
        if value is not None and key.startswith(EPOCH_END)
    ]


def _canonical(host: str, commit: Commit) -> _Canonical:
    tip = next((value for key, value in commit.writes.entries if key == TIP_KEY), None)
    if tip is None:
        raise Violation("commit", f"{host} executed {commit.height} without moving the tip")
    return _Canonical(
        tip=decode(Tip, tip),
        batch_heads=commit.batch_heads,
        verdicts=tuple(
            (item.tx_hash, item.code, item.outcome, item.log_index if item.outcome else 0)
            for item in commit.verdicts
        ),
        first=host,
    )


def _stored_block(commit: Commit) -> StoredBlock:
    for key, value in commit.writes.entries:
        if key.startswith(BLOCK) and value is not None:
            return decode(StoredBlock, value)
    raise Violation("commit", f"height {commit.height} commits no block")


def _vote(vote: Vote) -> str:
    return f"{VoteKind(vote.kind).name}({vote.view}, {vote.digest.hex()[:8]})"
