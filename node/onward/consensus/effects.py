"""What the consensus core asks of the replica that composes it.

Every event of the core answers with a tuple of these, in the order in which they must be
performed. After each event the replica also reads `Core.deadline_ms`, the time of the next
`on_time` at the latest.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from onward.consensus.epochs import EpochEnd
from onward.consensus.journal import JournalRecord
from onward.consensus.messages import Certificate, Packet, Vote
from onward.ledger.block import Batch, Block
from onward.types import Digest, Height, ValidatorIndex, View


class BlockVerdict(StrEnum):
    """The replica's answer to `Validate`."""

    VALID = "valid"  # the payload is right, and block and batches are held
    INVALID = "invalid"  # for a reason that every replica finds; remembered for ever
    NOT_NOW = "not now"  # for a reason that passes (time); never remembered


@dataclass(frozen=True, slots=True, kw_only=True)
class Persist:
    """Append to the journal, and sync it before anything of this or a later step leaves."""

    records: tuple[JournalRecord, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Broadcast:
    """Send a packet to every other validator. The replica adds height, tips and checkpoints."""

    packet: Packet


@dataclass(frozen=True, slots=True, kw_only=True)
class SendTo:
    """Send a packet to one validator."""

    peer: ValidatorIndex
    packet: Packet


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """This validator leads `view`: answer with `on_built` when there is something worth a block.

    Void as soon as the core's view is another one. Asked once per view.
    """

    view: View
    parent: Digest
    parent_block: Block


@dataclass(frozen=True, slots=True, kw_only=True)
class Validate:
    """Judge the payload of a block whose parent is valid; answer with `on_verdict`, now or later.

    `first_sight`: nobody's quorum has accepted it and this validator has not voted for it, so its
    time is compared with the clock. Otherwise the clock must not be asked.

    `is_final`: it is finalized, or an ancestor of what is. Then holding its batches is all there is
    to judge (`Lanes.lacks_final`): what it says of execution is compared once it is delivered and
    executed, and waiting for that here would wait for ever.

    Replaces an earlier question about the same block.
    """

    digest: Digest
    block: Block
    parent: Block
    first_sight: bool
    is_final: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchBlock:
    """Ask some peer for a block, another one each time; the core asks again until it has it."""

    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliver:
    """These blocks are final, in height order, each exactly once.

    `final` finalizes the last one. `records` holds, per block, its notarization and the
    nullifications between its parent and it, as far as they are known here: they are kept with the
    block, for on a fork they name the guilty (forensics.py).
    """

    blocks: tuple[Block, ...]
    final: Certificate
    records: tuple[tuple[Certificate, ...], ...]

    def digest(self, index: int) -> bytes:
        """The digest of a block: its child names it, and the certificate the last one."""
        if index + 1 < len(self.blocks):
            return self.blocks[index + 1].parent
        return self.final.digest


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochEnded:
    """The last block that was delivered ends the epoch: the core gives no further vote."""

    end: EpochEnd


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceFound:
    """Two votes of one validator that no honest one gives both."""

    first: Vote
    second: Vote


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteForgotten:
    """A quorum's certificate holds a vote of ours that the journal does not: it is not the newest.

    Whoever goes on voting from such a journal may contradict itself; answer with `Core.abstain`.
    """

    vote: Vote


@dataclass(frozen=True, slots=True, kw_only=True)
class Misbehaved:
    """This peer, authenticated as it is, sent what no honest validator sends."""

    peer: ValidatorIndex
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FarBehind:
    """The peers have finalized what repair by digest will not reach: fetch the chain by height.

    `height` is a hint of how far they are. Repeated while it holds; answer with `jump_to` some
    time.
    """

    height: Height


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkDetected:
    """Two finalizations that exclude each other: more than f validators cheat. Halt the node."""

    first: Certificate
    second: Certificate


CoreEffect = (
    Persist
    | Broadcast
    | SendTo
    | Build
    | Validate
    | FetchBlock
    | Deliver
    | EpochEnded
    | EvidenceFound
    | VoteForgotten
    | Misbehaved
    | FarBehind
    | ForkDetected
)


# -- of the lanes ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreBatch:
    """Append to the batch log, and sync it before anything of this or a later step leaves."""

    batch: Batch


@dataclass(frozen=True, slots=True, kw_only=True)
class SendBatch:
    """Send our own batch to every other validator."""

    batch: Batch


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckBatch:
    """Check every envelope of a batch; answer with `Lanes.on_checked`."""

    head: Digest
    batch: Batch


@dataclass(frozen=True, slots=True, kw_only=True)
class TipsMoved:
    """`Lanes.tips` grew: tell the peers soon, and look again at blocks that wait for batches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneForked:
    """Two batches that one author signed for one place in its lane."""

    first: Batch
    second: Batch


LaneEffect = StoreBatch | SendBatch | CheckBatch | TipsMoved | LaneForked | Misbehaved
