"""Bytes from the wire become values of ours here, or an error.

Beyond this door nothing is unvalidated.

Generated messages live and die in this module. A request must have the plain form that every
protobuf runtime writes; whoever sends an unknown field means something that we would not do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from onward import limits
from onward.errors import MalformedError, Unavailable
from onward.ledger.block import Block, block_digest
from onward.ledger.chain import StoredBlock, StoredTransaction
from onward.ledger.leaf import LedgerEvent, TransactionLeaf
from onward.replica.answers import LinkFault, NodeStatus, PeerStatus, Submission, Voter, verdict_of
from onward.replica.effects import Verdict
from onward.rpc.ports import Result
from onward.rpc.status import failure_of
from onward.types import Digest, PublicKey
from onward_proto.canonical import CanonicalError, decode, encode
from onward_proto.v1 import gateway_pb2, peer_pb2

M = TypeVar("M", bound=Message)
T = TypeVar("T")
_HASH_BYTES = 32
_LINK_FAULTS = frozenset(LinkFault)


def parse(cls: type[M], data: bytes) -> M:
    """The request in `data`. Raises `MalformedError`."""
    message = cls()
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise MalformedError(f"{cls.__name__}: {error}") from None
    message.DiscardUnknownFields()  # type: ignore[attr-defined]
    # What was unknown or stood twice is gone now, so its bytes are missing.
    if message.ByteSize() != len(data):
        raise MalformedError(f"{cls.__name__}: unknown, repeated or padded fields")
    return message


def tx_hash_in(value: bytes) -> Digest:
    """A transaction's hash from a request. Raises `MalformedError`."""
    if len(value) != _HASH_BYTES:
        raise MalformedError(f"tx_hash of {len(value)} bytes, expected {_HASH_BYTES}")
    return Digest(value)


# -- peers -----------------------------------------------------------------------------------------


def peer_hello(hello: bytes) -> bytes:
    """The wire bytes that carry a hello."""
    return peer_pb2.PeerFrame(hello=hello).SerializeToString()


def peer_frames(*frames: bytes) -> bytes:
    """The wire bytes that carry frames."""
    return peer_pb2.PeerFrame(frames=frames).SerializeToString()


def parse_peer_frame(data: bytes) -> tuple[bytes, Sequence[bytes]]:
    """The hello or the frames in wire bytes; the other one is empty. Raises `MalformedError`."""
    message = parse(peer_pb2.PeerFrame, data)
    if bool(message.hello) == bool(message.frames):
        raise MalformedError("PeerFrame: expected either a hello or frames")
    if len(message.frames) > limits.PEER_FRAMES_MAX:
        raise MalformedError(
            f"PeerFrame: {len(message.frames)} frames, at most {limits.PEER_FRAMES_MAX}"
        )
    return message.hello, message.frames


# -- what the node answers -------------------------------------------------------------------------


def verdict_out(verdict: Verdict, *, with_event: bool = True) -> gateway_pb2.Verdict:
    """A verdict for the wire."""
    return gateway_pb2.Verdict(
        tx_hash=verdict.tx_hash,
        code=verdict.code,
        rule=verdict.rule,
        message=verdict.message,
        height=verdict.height,
        outcome=gateway_pb2.Outcome.ValueType(verdict.outcome),
        log_index=verdict.log_index,
        event=encode(verdict.event) if verdict.event and with_event else b"",
    )


def submission_out(submission: Submission, *, with_events: bool = True) -> gateway_pb2.SubmitReply:
    """The answer to a submission for the wire."""
    return gateway_pb2.SubmitReply(
        tx_hashes=submission.tx_hashes,
        verdicts=[verdict_out(item, with_event=with_events) for item in submission.verdicts],
    )


def settled_out(number: int, result: Result, *, with_events: bool) -> gateway_pb2.Settled:
    """What became of one envelope of a stream."""
    if isinstance(result, Submission):
        reply = submission_out(result, with_events=with_events)
        return gateway_pb2.Settled(id=number, reply=reply)
    return gateway_pb2.Settled(id=number, refusal=refusal_out(result))


def transaction_out(stored: StoredTransaction) -> gateway_pb2.TransactionReply:
    """A stored verdict for the wire."""
    return gateway_pb2.TransactionReply(
        verdict=verdict_out(verdict_of(stored)), leaf=encode(stored.leaf)
    )


def block_out(stored: StoredBlock) -> gateway_pb2.BlockReply:
    """A stored block for the wire."""
    return gateway_pb2.BlockReply(
        block=encode(stored.block),
        digest=block_digest(stored.block),
        state_root=stored.state_root,
        first_leaf=stored.first_leaf,
        log_size=stored.log_size,
        log_root=stored.log_root,
        void_count=stored.void_count,
    )


def status_out(status: NodeStatus) -> gateway_pb2.StatusReply:
    """A node's status for the wire."""
    return gateway_pb2.StatusReply(
        network=status.network,
        chain_id=status.chain_id,
        validator=status.validator,
        index=status.index,
        height=status.height,
        state_root=status.state_root,
        time_ms=status.time_ms,
        epoch=status.epoch,
        view=status.view,
        finalized_height=status.finalized_height,
        checkpoint_height=status.checkpoint_height,
        version=status.version,
        peers=[
            gateway_pb2.PeerStatus(
                validator=peer.validator,
                index=peer.index,
                up=peer.up,
                height=peer.height,
                heard_ago_ms=peer.heard_ago_ms,
                fault=peer.fault,
                fault_ago_ms=peer.fault_ago_ms,
                epoch=peer.epoch,
            )
            for peer in status.peers
        ],
        now_ms=status.now_ms,
        uptime_ms=status.uptime_ms,
        finalized_ago_ms=status.finalized_ago_ms,
        in_flight=status.in_flight,
        not_voted=status.not_voted,
        not_voted_ago_ms=status.not_voted_ago_ms,
        heartbeat_ms=status.heartbeat_ms,
        timeout_ms_max=status.timeout_ms_max,
        future_ms_max=status.future_ms_max,
        past_ms_max=status.past_ms_max,
        accused=status.accused,
        abstains=status.abstains,
        voters=[
            gateway_pb2.Voter(name=item.name, public_key=item.public_key) for item in status.voters
        ],
    )


def refusal_out(error: Exception) -> gateway_pb2.Refusal:
    """An error inside a stream of answers."""
    failure = failure_of(error)
    return gateway_pb2.Refusal(
        code=failure.code,
        rule=failure.rule,
        message=failure.message,
        retry_after_ms=failure.retry_after_ms,
    )


# -- what a client receives ------------------------------------------------------------------------


def answer(cls: type[M], data: bytes) -> M:
    """A node's reply. Unknown fields are let be: a newer node may say more.

    Raises `Unavailable` for bytes that are no such reply: another node may do better.
    """
    try:
        return cls.FromString(data)
    except DecodeError as error:
        raise Unavailable(f"the node's {cls.__name__} is malformed: {error}") from None


def verdict_in(message: gateway_pb2.Verdict) -> Verdict:
    """A verdict from the wire. Raises `Unavailable` where the node sent nonsense."""
    return Verdict(
        tx_hash=Digest(message.tx_hash),
        height=message.height,
        code=message.code,
        rule=message.rule,
        message=message.message,
        outcome=int(message.outcome),
        log_index=message.log_index,
        event=_decoded(LedgerEvent, message.event) if message.event else None,
    )


def submission_in(message: gateway_pb2.SubmitReply) -> Submission:
    """The answer to a submission from the wire."""
    return Submission(
        tx_hashes=tuple(Digest(item) for item in message.tx_hashes),
        verdicts=tuple(verdict_in(item) for item in message.verdicts),
    )


def leaf_in(data: bytes) -> TransactionLeaf:
    """A transaction's leaf from the wire."""
    return _decoded(TransactionLeaf, data)


def block_in(message: gateway_pb2.BlockReply) -> StoredBlock:
    """A block from the wire, without its certificate and batch heads."""
    return StoredBlock(
        block=_decoded(Block, message.block),
        final=b"",
        batch_heads=(),
        first_leaf=message.first_leaf,
        log_size=message.log_size,
        log_root=message.log_root,
        state_root=message.state_root,
        void_count=message.void_count,
        record=b"",
    )


def status_in(message: gateway_pb2.StatusReply) -> NodeStatus:
    """A node's status from the wire."""
    return NodeStatus(
        network=message.network,
        chain_id=Digest(message.chain_id),
        validator=message.validator,
        index=message.index,
        height=message.height,
        state_root=Digest(message.state_root),
        time_ms=message.time_ms,
        epoch=message.epoch,
        view=message.view,
        finalized_height=message.finalized_height,
        checkpoint_height=message.checkpoint_height,
        version=message.version,
        peers=tuple(_peer_status_in(peer) for peer in message.peers),
        now_ms=message.now_ms,
        uptime_ms=message.uptime_ms,
        finalized_ago_ms=(
            message.finalized_ago_ms if message.HasField("finalized_ago_ms") else None
        ),
        in_flight=message.in_flight,
        not_voted=message.not_voted,
        not_voted_ago_ms=message.not_voted_ago_ms,
        heartbeat_ms=message.heartbeat_ms,
        timeout_ms_max=message.timeout_ms_max,
        future_ms_max=message.future_ms_max,
        past_ms_max=message.past_ms_max,
        accused=tuple(message.accused),
        abstains=message.abstains,
        voters=tuple(
            Voter(name=item.name, public_key=PublicKey(item.public_key)) for item in message.voters
        ),
    )


def _peer_status_in(peer: gateway_pb2.PeerStatus) -> PeerStatus:
    return PeerStatus(
        validator=peer.validator,
        index=peer.index,
        up=peer.up,
        height=peer.height,
        heard_ago_ms=peer.heard_ago_ms if peer.HasField("heard_ago_ms") else None,
        # A newer node may know kinds that this program does not.
        fault=LinkFault(peer.fault) if peer.fault in _LINK_FAULTS else LinkFault.REFUSED,
        fault_ago_ms=peer.fault_ago_ms,
        epoch=peer.epoch,
    )


def _decoded(cls: type[T], data: bytes) -> T:
    try:
        return decode(cls, data)
    except CanonicalError as error:
        raise Unavailable(f"the node's answer is malformed: {error}") from None
