"""One step's effects in their order: what must be durable, what may be said, and the rest.

However many rules fired, a step ends in one `Persist` and as few packets as the limits allow.
Nothing is written twice into one journal segment, and no certificate is announced twice; repairs
repeat.
"""

from __future__ import annotations

from onward import limits
from onward.consensus.effects import Broadcast, CoreEffect, Persist
from onward.consensus.journal import Floor, JournalRecord
from onward.consensus.messages import EMPTY_PACKET, Certificate, Packet, Vote
from onward.ledger.block import Block, block_digest

_Key = tuple[str, int, int, bytes]  # what kind of record, view, kind of vote, digest

_ANNOUNCED_MAX = 4 * limits.VIEW_WINDOW


class Outbox:
    """Collects during a step; `flush` ends the step."""

    def __init__(self) -> None:
        self._effects: list[CoreEffect] = []
        self._records: list[JournalRecord] = []
        self._written: set[_Key] = set()  # in this segment
        self._blocks: list[Block] = []
        self._votes: list[Vote] = []
        self._certificates: dict[Certificate, None] = {}
        self._announced: dict[Certificate, None] = {}

    def add(self, effect: CoreEffect) -> None:
        """An effect to be performed after this step's packets."""
        self._effects.append(effect)

    def record(self, record: JournalRecord) -> None:
        """Write a record, unless this segment has it."""
        keys = _keys(record)
        if not self._written.issuperset(keys):
            self._written.update(keys)
            self._records.append(record)

    def restart_segment(self, records: tuple[JournalRecord, ...]) -> None:
        """The journal's segment now holds exactly these records."""
        self._written = {key for record in records for key in _keys(record)}

    def announce(self, certificates: tuple[Certificate, ...]) -> None:
        """Tell everybody what was not told before."""
        for certificate in certificates:
            if certificate.signatures and certificate not in self._announced:
                self._certificates[certificate] = None
                self._announced[certificate] = None
        while len(self._announced) > _ANNOUNCED_MAX:
            del self._announced[next(iter(self._announced))]

    def propose(self, block: Block, ticket: tuple[Certificate, ...]) -> None:
        """Tell everybody a block and all of its ticket."""
        self._blocks.append(block)
        self._certificates.update(dict.fromkeys(item for item in ticket if item.signatures))

    def promise(self, vote: Vote, proof: tuple[Certificate, ...], block: Block | None) -> None:
        """Write a vote behind what it rests on, and tell everybody."""
        for certificate in proof:
            if certificate.signatures:
                self.record(certificate)
        if block is not None:
            self.record(block)
        self.record(vote)
        self._votes.append(vote)

    def flush(self) -> tuple[CoreEffect, ...]:
        """The step's effects: durable first, then said, then everything else."""
        effects: list[CoreEffect] = []
        if self._records:
            effects.append(Persist(records=tuple(self._records)))
        effects += (Broadcast(packet=packet) for packet in self._packets())
        effects += self._effects
        self._effects, self._records = [], []
        self._blocks, self._votes, self._certificates = [], [], {}
        return tuple(effects)

    def _packets(self) -> list[Packet]:
        """Certificates before what they justify: votes and blocks go with the last of them."""
        certificates, room = tuple(self._certificates), limits.PACKET_CERTIFICATES_MAX
        parts = [certificates[at : at + room] for at in range(0, len(certificates), room)]
        packets = [_packet(certificates=part) for part in parts[:-1]]
        last = parts[-1] if parts else ()
        if last or self._votes or self._blocks:
            packets.append(
                _packet(certificates=last, votes=tuple(self._votes), blocks=tuple(self._blocks))
            )
        return packets


def _packet(
    *,
    certificates: tuple[Certificate, ...] = (),
    votes: tuple[Vote, ...] = (),
    blocks: tuple[Block, ...] = (),
) -> Packet:
    return Packet(
        status=EMPTY_PACKET.status,
        height=EMPTY_PACKET.height,
        blocks=blocks,
        certificates=certificates,
        votes=votes,
        tips=(),
        checkpoints=(),
    )


def _keys(record: JournalRecord) -> tuple[_Key, ...]:
    """What a record makes it needless to write again."""
    match record:
        case Floor():
            return (*_keys(record.final), ("block", record.final.view, 0, record.final.digest))
        case Certificate():
            return (("certificate", record.view, record.kind, record.digest),)
        case Vote():
            return (("vote", record.view, record.kind, record.digest),)
        case Block():
            return (("block", record.view, 0, block_digest(record)),)
