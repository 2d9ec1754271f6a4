"""What validators say to each other.

A *vote* is the only promise: everything else is knowledge that proves itself, so messages may be
lost, doubled and reordered. A *packet* bundles knowledge; packets to one peer merge by union.
Batches travel by themselves, because they are large and each goes over each link once, and so does
evidence, because it is rare.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

from onward import limits
from onward.crypto.hashing import SIGN_VOTE
from onward.errors import MalformedError
from onward.ledger.block import Batch, Block, LanePoint, LaneStep
from onward_proto.canonical import CanonicalError, decode, encode, nested, raw, uint

_U53 = 2**53 - 1


class VoteKind(IntEnum):
    """The three promises of Simplex."""

    NOTARIZE = 1  # this block is the one I accept in this view
    NULLIFY = 2  # I will not finalize anything in this view
    FINALIZE = 3  # I will not nullify this view, whose notarized block I hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """One signed promise. `digest` is NIL for NULLIFY and the block's digest otherwise."""

    kind: Annotated[int, uint(1, maximum=3)]
    view: Annotated[int, uint(2, maximum=_U53)]
    digest: Annotated[bytes, raw(3, size=32)]
    signer: Annotated[int, uint(4, maximum=limits.VALIDATORS_MAX - 1)]
    signature: Annotated[bytes, raw(5, size=64)]


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedSignature:
    """A validator's place in the set and its signature."""

    signer: Annotated[int, uint(1, maximum=limits.VALIDATORS_MAX - 1)]
    signature: Annotated[bytes, raw(2, size=64)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A quorum's votes of one kind on one digest in one view.

    Exactly q signatures, ascending by signer. The root of an epoch is certified by nothing: its
    certificate has kind FINALIZE, view 0 and no signatures, and never travels.
    """

    kind: Annotated[int, uint(1, maximum=3)]
    view: Annotated[int, uint(2, maximum=_U53)]
    digest: Annotated[bytes, raw(3, size=32)]
    signatures: Annotated[
        tuple[IndexedSignature, ...], nested(4, IndexedSignature, count=limits.VALIDATORS_MAX)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointSignature:
    """A validator's signature over the checkpoint note of a height."""

    height: Annotated[int, uint(1, maximum=_U53)]
    signature: Annotated[bytes, raw(2, size=64)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """Knowledge of one epoch. The votes and the checkpoint signatures are the sender's own.

    `status` is 0, or the sender's view when it asks to be told what it lacks. `height` is how far
    the sender has delivered. `tips` says, per lane, up to where the sender holds checked, durable
    batches (empty, or one per lane).
    """

    status: Annotated[int, uint(1, maximum=_U53)]
    height: Annotated[int, uint(2, maximum=_U53)]
    blocks: Annotated[tuple[Block, ...], nested(3, Block, count=limits.PACKET_BLOCKS_MAX)]
    certificates: Annotated[
        tuple[Certificate, ...], nested(4, Certificate, count=limits.PACKET_CERTIFICATES_MAX)
    ]
    votes: Annotated[tuple[Vote, ...], nested(5, Vote, count=limits.PACKET_VOTES_MAX)]
    tips: Annotated[tuple[LanePoint, ...], nested(6, LanePoint, count=limits.VALIDATORS_MAX)]
    checkpoints: Annotated[
        tuple[CheckpointSignature, ...],
        nested(7, CheckpointSignature, count=limits.PACKET_CHECKPOINTS_MAX),
    ]
    epoch: Annotated[int, uint(8, maximum=_U53)] = 0


EMPTY_PACKET = Packet(
    status=0, height=0, blocks=(), certificates=(), votes=(), tips=(), checkpoints=()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """Asks for blocks by digest and batches by head. Whoever lacks one stays silent."""

    blocks: Annotated[tuple[bytes, ...], raw(1, size=32, count=limits.FETCH_DIGESTS_MAX)]
    batches: Annotated[tuple[bytes, ...], raw(2, size=32, count=limits.FETCH_DIGESTS_MAX)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainRequest:
    """Asks for delivered blocks from a height on."""

    from_height: Annotated[int, uint(1, maximum=_U53)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainEntry:
    """A delivered block with the batches that it delivered, in delivery order."""

    block: Annotated[Block, nested(1, Block)]
    batches: Annotated[
        tuple[Batch, ...],
        nested(
            2, Batch, maximum=2**22, count=limits.VALIDATORS_MAX * limits.LANE_BATCHES_PER_BLOCK_MAX
        ),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainPage:
    """Consecutive entries, the first at the height asked for, and what proves that they are final.

    `links` are the blocks that follow the last entry, up to the one that `final` finalizes (none,
    when it finalizes the last entry): a finalized block finalizes its ancestors. `tip` is the
    height that the sender has executed. A page without entries says that it has none.
    """

    tip: Annotated[int, uint(1, maximum=_U53)]
    entries: Annotated[
        tuple[ChainEntry, ...],
        nested(2, ChainEntry, maximum=2**22, count=limits.CHAIN_PAGE_BLOCKS_MAX),
    ]
    links: Annotated[tuple[Block, ...], nested(3, Block, count=limits.CHAIN_PAGE_LINKS_MAX)]
    final: Annotated[Certificate | None, nested(4, Certificate)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What proves that `signer` cheated: two of its votes, or two steps of its lane, never both.

    The two stand in the order that `consensus.evidence` gives them, so that whoever finds the same
    two makes the same bytes of them.
    """

    epoch: Annotated[int, uint(1, maximum=_U53)]
    signer: Annotated[int, uint(2, maximum=limits.VALIDATORS_MAX - 1)]
    votes: Annotated[tuple[Vote, ...], nested(3, Vote, count=2)]
    steps: Annotated[tuple[LaneStep, ...], nested(4, LaneStep, count=2)]


PeerMessage = Packet | Batch | Fetch | ChainRequest | ChainPage | Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One message on the wire between validators: exactly one of the fields is set."""

    packet: Annotated[Packet | None, nested(1, Packet, maximum=limits.PEER_MESSAGE_BYTES_MAX)]
    batch: Annotated[Batch | None, nested(2, Batch, maximum=limits.PEER_MESSAGE_BYTES_MAX)]
    fetch: Annotated[Fetch | None, nested(3, Fetch)]
    chain_request: Annotated[ChainRequest | None, nested(4, ChainRequest)]
    chain_page: Annotated[
        ChainPage | None, nested(5, ChainPage, maximum=limits.PEER_MESSAGE_BYTES_MAX)
    ]
    evidence: Annotated[Evidence | None, nested(6, Evidence)]


def vote_signed_bytes(chain_id: bytes, epoch: int, kind: int, view: int, digest: bytes) -> bytes:
    """What a vote signs: fixed width, so that no two votes share bytes."""
    return (
        SIGN_VOTE
        + chain_id
        + epoch.to_bytes(8, "big")
        + kind.to_bytes(1, "big")
        + view.to_bytes(8, "big")
        + digest
    )


def encode_frame(message: PeerMessage) -> bytes:
    """The wire bytes of one message."""
    return encode(
        Frame(
            packet=message if isinstance(message, Packet) else None,
            batch=message if isinstance(message, Batch) else None,
            fetch=message if isinstance(message, Fetch) else None,
            chain_request=message if isinstance(message, ChainRequest) else None,
            chain_page=message if isinstance(message, ChainPage) else None,
            evidence=message if isinstance(message, Evidence) else None,
        )
    )


def decode_frame(data: bytes) -> PeerMessage:
    """The message in wire bytes. Raises `MalformedError`."""
    if len(data) > limits.PEER_MESSAGE_BYTES_MAX:
        raise MalformedError(f"frame of {len(data)} bytes, at most {limits.PEER_MESSAGE_BYTES_MAX}")
    try:
        frame = decode(Frame, data)
    except CanonicalError as error:
        raise MalformedError(f"frame: {error}") from None
    found = [
        message
        for message in (
            frame.packet,
            frame.batch,
            frame.fetch,
            frame.chain_request,
            frame.chain_page,
            frame.evidence,
        )
        if message is not None
    ]
    if len(found) != 1:
        raise MalformedError(f"frame holds {len(found)} messages, expected one")
    return found[0]
