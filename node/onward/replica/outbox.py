"""The effects of one step while it goes on: however many rules fire, one packet leaves."""

from __future__ import annotations

from onward import limits
from onward.consensus.journal import JournalRecord
from onward.consensus.messages import (
    Certificate,
    CheckpointSignature,
    Packet,
    PeerMessage,
    Vote,
)
from onward.errors import DivergenceError
from onward.ledger.block import Batch, Block, Cut
from onward.ledger.store import WriteBatch
from onward.replica.effects import (
    Answer,
    Commit,
    Effects,
    Happened,
    Outbound,
    Serve,
    VerifyJob,
)
from onward.types import ValidatorIndex


class Outbox:
    """Collects what a step asks of the driver."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.persist: list[JournalRecord | Batch] = []
        self.rotate: tuple[JournalRecord, ...] | None = None
        self.commit: Commit | None = None
        self.store: list[WriteBatch] = []
        self.verify: list[VerifyJob] = []
        self.answers: list[Answer] = []
        self.serve: list[Serve] = []
        self.events: list[Happened] = []
        self._direct: list[Outbound] = []
        self._status = 0
        self._blocks: dict[bytes, Block] = {}
        self._certificates: dict[tuple[int, int], Certificate] = {}
        self._votes: dict[tuple[int, int], Vote] = {}
        self._checkpoints: dict[int, CheckpointSignature] = {}
        self.tell_tips = False
        self.halt: DivergenceError | None = None

    def broadcast(self, packet: Packet) -> None:
        """Merge a packet into the one that goes to everybody."""
        self._status = max(self._status, packet.status)
        for block in packet.blocks:
            self._blocks[block.parent + block.view.to_bytes(8, "big")] = block
        for certificate in packet.certificates:
            self._certificates[certificate.kind, certificate.view] = certificate
        for vote in packet.votes:
            self._votes[vote.kind, vote.view] = vote
        for item in packet.checkpoints:
            self._checkpoints[item.height] = item

    def broadcast_checkpoints(self, items: tuple[CheckpointSignature, ...]) -> None:
        """Signatures over checkpoints for everybody."""
        for item in items:
            self._checkpoints[item.height] = item

    def send(self, to: ValidatorIndex | None, message: PeerMessage) -> None:
        """A message that travels by itself."""
        self._direct.append(Outbound(to=to, message=message))

    def happened(self, name: str, **fields: str | int) -> None:
        """A typed event."""
        self.events.append(Happened(name=name, fields=tuple(fields.items())))

    @property
    def telling(self) -> bool:
        """Whether a packet goes to everybody at the end of this step."""
        return bool(
            self._status
            or self._blocks
            or self._certificates
            or self._votes
            or self._checkpoints
            or self.tell_tips
        )

    def effects(self, *, height: int, tips: Cut, wake_at_ms: int | None) -> Effects:
        """Everything collected. `height` and `tips` go with every packet."""
        send: list[Outbound] = []
        if self.telling:
            send.append(Outbound(to=None, message=self._packet(height, tips)))
        send.extend(self._direct)
        return Effects(
            persist=tuple(self.persist),
            rotate=self.rotate,
            commit=self.commit,
            store=tuple(self.store),
            send=tuple(send),
            verify=tuple(self.verify),
            answers=tuple(self.answers),
            serve=tuple(self.serve),
            wake_at_ms=wake_at_ms,
            events=tuple(self.events),
            halt=self.halt,
        )

    def _packet(self, height: int, tips: Cut) -> Packet:
        # What does not fit is not lost: a status asks for whatever is missing.
        newest = sorted(self._checkpoints.values(), key=lambda item: item.height)
        return Packet(
            status=self._status,
            height=height,
            blocks=tuple(self._blocks.values())[: limits.PACKET_BLOCKS_MAX],
            certificates=tuple(self._certificates.values())[: limits.PACKET_CERTIFICATES_MAX],
            votes=tuple(self._votes.values())[: limits.PACKET_VOTES_MAX],
            tips=tips,
            checkpoints=tuple(newest[-limits.PACKET_CHECKPOINTS_MAX :]),
        )
