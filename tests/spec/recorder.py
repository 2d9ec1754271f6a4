"""Takes real runs and asks the executable spec about every step of every honest validator.

The spec hears what the machine was sent, past a check of the signatures of its own, and judges what
the machine wrote down, sent, entered and delivered. Nothing is asked of the machine's own opinion
of what it knows.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from tests.spec.vote_rules import Ballot, Kind, Proposal, Voter

from onward.consensus.journal import Floor, JournalRecord
from onward.consensus.messages import (
    Certificate,
    ChainPage,
    Packet,
    PeerMessage,
    Vote,
    VoteKind,
    vote_signed_bytes,
)
from onward.crypto.signing import Verify
from onward.ledger.block import Batch, Block, block_digest
from onward.ledger.chain import StoredBlock, read_block
from onward.ledger.store import BLOCK
from onward.replica.effects import Effects, Event, Received
from onward.simulation.faults import Fault, Options
from onward.simulation.host import Host
from onward.simulation.mutants import Mutant
from onward.simulation.oracles import Violation
from onward.simulation.signing import verify
from onward.simulation.world import World
from onward.types import ValidatorSet, quorum_of
from onward_proto.canonical import decode


def ballot_of(vote: Vote | Certificate) -> Ballot:
    """What a vote or a certificate of the wire says, in the spec's words."""
    kind = Kind(VoteKind(vote.kind).name)
    return Ballot(kind, vote.view, "" if kind is Kind.NULLIFY else vote.digest.hex())


def proposal_of(block: Block) -> Proposal:
    """A block of the wire in the spec's words."""
    return Proposal(block_digest(block).hex(), block.view, block.parent.hex(), block.parent_view)


@dataclass(slots=True)
class Witness:
    """Looks on at one honest validator and keeps what the spec says against it."""

    voter: Voter
    chain_id: bytes
    validators: ValidatorSet
    verify: Verify
    steps: int = 0
    objections: list[str] = field(default_factory=list)

    # -- what it is told ---------------------------------------------------------------------------

    def hear(self, message: object) -> None:
        """A message arrives. What is wrongly signed tells nobody anything."""
        if isinstance(message, Packet):
            for vote in message.votes:
                self._hear(ballot_of(vote), vote, vote.signer, vote.signature)
            for certificate in message.certificates:
                self._hear_certificate(certificate)
            for block in message.blocks:
                self.voter.hold(proposal_of(block))
        elif isinstance(message, ChainPage):
            for entry in message.entries:
                self.voter.hold(proposal_of(entry.block))
            for block in message.links:
                self.voter.hold(proposal_of(block))
            if message.final is not None:
                self._hear_certificate(message.final)

    def _hear_certificate(self, certificate: Certificate) -> None:
        ballot = ballot_of(certificate)
        if ballot not in self.voter.certified:
            for item in certificate.signatures:
                self._hear(ballot, certificate, item.signer, item.signature)

    def _hear(
        self, ballot: Ballot, said: Vote | Certificate, signer: int, signature: bytes
    ) -> None:
        if signer in self.voter.heard.get(ballot, ()) or signer >= self.validators.size:
            return
        message = vote_signed_bytes(
            self.chain_id, self.validators.epoch, said.kind, said.view, said.digest
        )
        if self.verify(self.validators.public_key(signer), message, signature):
            self.voter.hear(ballot, signer)

    # -- what it does ------------------------------------------------------------------------------

    def write(self, records: Iterable[JournalRecord | Batch]) -> None:
        """It writes its journal; a vote is cast when it is written."""
        for record in records:
            match record:
                case Vote():
                    self._judge(self.voter.cast(ballot_of(record)), f"casts {ballot_of(record)}")
                case Certificate():
                    self._judge(self.voter.vouch(ballot_of(record)), f"keeps {ballot_of(record)}")
                case Block():
                    self.voter.hold(proposal_of(record))
                case _:
                    pass

    def stand(self, view: int) -> None:
        """A step has ended in this view."""
        if view != self.voter.view:
            self._judge(self.voter.enter(view), f"enters {view}")

    def sync(self, votes: Iterable[Vote]) -> None:
        """These votes are durable."""
        for vote in votes:
            self._judge(self.voter.sync(ballot_of(vote)), f"syncs {ballot_of(vote)}")

    def say(self, message: PeerMessage) -> None:
        """A message leaves."""
        if isinstance(message, Packet):
            for vote in message.votes:
                broken = self.voter.send(ballot_of(vote), vote.signer)
                self._judge(broken, f"sends {ballot_of(vote)}")
            for certificate in message.certificates:
                ballot = ballot_of(certificate)
                self._judge(self.voter.vouch(ballot), f"passes on {ballot}")

    def deliver(self, block: Block) -> None:
        """A block becomes part of its chain."""
        proposal = proposal_of(block)
        self._judge(self.voter.deliver(proposal), f"delivers {proposal}")

    def reboot(self, tip: Block, journal: Iterable[JournalRecord]) -> None:
        """It comes back with what its disk still held."""
        records = tuple(journal)
        floors = [record for record in records if isinstance(record, Floor)]
        votes = [ballot_of(record) for record in records if isinstance(record, Vote)]
        floor = max((record.final.view for record in floors), default=0)
        self._judge(self.voter.reboot(proposal_of(tip), floor, votes), f"reboots above {floor}")
        for first in floors:
            self.voter.hold(proposal_of(first.root))
            self._hear_certificate(first.final)
        for record in records:
            if isinstance(record, Certificate):
                self._hear_certificate(record)
            elif isinstance(record, Block):
                self.voter.hold(proposal_of(record))

    def _judge(self, broken: tuple[str, ...], step: str) -> None:
        self.steps += 1
        if broken:
            self.objections.append(f"{' '.join(broken)}: {self.voter.me} {step}")


class WitnessedWorld(World):
    """The simulation with a witness beside each honest validator.

    Where a bug is planted, the simulation's own oracles do not end the run at what is said and
    done: it is the spec that has to object.
    """

    def __init__(
        self,
        seed: int,
        *,
        options: Options | None = None,
        schedule: Iterable[Fault] = (),
        mutant: Mutant | None = None,
    ) -> None:
        self.witnesses: dict[str, Witness] = {}
        self._passed_over = () if mutant is None else (Violation,)
        super().__init__(seed, options=options, schedule=schedule, mutant=mutant)

    @property
    def objections(self) -> list[str]:
        """All that the spec says against this run."""
        return [item for witness in self.witnesses.values() for item in witness.objections]

    @property
    def steps(self) -> int:
        """How many steps the spec was asked about."""
        return sum(witness.steps for witness in self.witnesses.values())

    def on_booted(self, host: Host, journal: tuple[JournalRecord, ...]) -> None:
        if not host.is_liar:
            stored = read_block(host.disk.store, host.height)
            assert stored is not None
            witness = self.witnesses.get(host.name)
            if witness is None:
                witness = self.witnesses[host.name] = self._witness(host, stored.block)
            else:
                witness.reboot(stored.block, journal)
        with suppress(*self._passed_over):
            super().on_booted(host, journal)

    def _witness(self, host: Host, root: Block) -> Witness:
        validators = self.consortium.genesis.validators
        size = validators.size
        voter = Voter(host.index, size, quorum_of(size), proposal_of(root))
        return Witness(voter, self.consortium.genesis.chain_id, validators, verify)

    def on_effects(self, host: Host, events: tuple[Event, ...], effects: Effects) -> None:
        witness = self.witnesses.get(host.name)
        if witness is not None and host.machine is not None:
            for event in events:
                if isinstance(event, Received):
                    witness.hear(event.message)
            witness.write(effects.persist)
            witness.stand(host.machine.view)
            if effects.commit is not None:
                blocks = [v for k, v in effects.commit.writes.entries if k.startswith(BLOCK)]
                for data in blocks:
                    assert data is not None
                    witness.deliver(decode(StoredBlock, data).block)
        with suppress(*self._passed_over):
            super().on_effects(host, events, effects)

    def on_sending(self, host: Host, to: int, message: PeerMessage) -> None:
        if host.name in self.witnesses:
            self.witnesses[host.name].say(message)
        with suppress(*self._passed_over):
            super().on_sending(host, to, message)

    def on_durable(self, host: Host, votes: Iterable[Vote], epoch: int) -> None:
        given = tuple(votes)
        if host.name in self.witnesses:
            self.witnesses[host.name].sync(given)
        with suppress(*self._passed_over):
            super().on_durable(host, given, epoch)
