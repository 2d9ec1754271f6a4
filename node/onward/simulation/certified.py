"""Oracles of what is kept on disk: certified notes that verify, votes that stand with their proof.

Every validator signs the result of every block; a quorum's signatures make the note that leaves the
network in receipts. Nothing inside the network would miss a signature in it.
"""

from __future__ import annotations

from onward.consensus.journal import Floor, JournalRecord
from onward.consensus.messages import Certificate, Vote, VoteKind
from onward.errors import MalformedError
from onward.ledger.block import Block, block_digest
from onward.ledger.chain import StoredCheckpoint
from onward.ledger.genesis import Genesis
from onward.ledger.note import NoteKey, certifying_signers, parse_note, validator_key_name
from onward.ledger.store import CHECKPOINT
from onward.replica.effects import Effects
from onward.simulation.oracles import Violation
from onward.simulation.signing import verify
from onward.types import ValidatorSet
from onward_proto.canonical import decode


class CertifiedNotes:
    """Verifies the notes that the validators of one network store."""

    def __init__(self, genesis: Genesis, epochs: list[int]) -> None:
        """`genesis` names the first validators; `epochs` the epoch of each block from the first."""
        self._network = genesis.network
        self._epochs = epochs
        self._sets: dict[int, ValidatorSet] = {0: genesis.validators}

    def on_epoch(self, validators: ValidatorSet) -> None:
        """A later epoch has begun."""
        self._sets[validators.epoch] = validators

    def on_effects(self, host: str, effects: Effects) -> None:
        """`host` stores what is in `effects`."""
        for batch in effects.store:
            for key, value in batch.entries:
                if value is not None and key.startswith(CHECKPOINT):
                    self._judge(host, value)

    def _judge(self, host: str, value: bytes) -> None:
        stored = decode(StoredCheckpoint, value)
        validators = self._sets[self._epochs[stored.executed.height - 1]]
        keys = tuple(
            NoteKey(
                name=validator_key_name(member.name, self._network), public_key=member.public_key
            )
            for member in validators.members
        )
        try:
            certifying_signers(parse_note(stored.note), keys, validators.quorum, verify)
        except MalformedError as error:
            raise Violation(
                "certified notes", f"{host}, block {stored.executed.height}: {error}"
            ) from error


def expect_proved(
    host: str, journal: tuple[JournalRecord, ...], tip_view: int, tip_digest: bytes
) -> None:
    """The votes in a journal stand with what they rest on: block, parent, nullifications.

    Above the tip of the database, that is: what it settles needs no proof any more.
    """
    certified = {(tip_view, tip_digest)}
    nullified: set[int] = set()
    blocks: dict[bytes, Block] = {}
    for record in journal:
        match record:
            case Floor():
                certified.add((record.final.view, record.final.digest))
            case Certificate() if record.kind == VoteKind.NULLIFY:
                nullified.add(record.view)
            case Certificate():
                certified.add((record.view, record.digest))
            case Block():
                blocks[block_digest(record)] = record
            case Vote() if record.view <= tip_view or record.kind == VoteKind.NULLIFY:
                pass
            case Vote():
                block = blocks.get(record.digest)
                is_proved = (record.view, record.digest) in certified
                if record.kind == VoteKind.NOTARIZE:
                    is_proved = block is not None and (
                        (block.parent_view, block.parent) in certified
                        and nullified.issuperset(range(block.parent_view + 1, block.view))
                    )
                if not is_proved:
                    raise Violation(
                        "votes proved", f"{host}: kind {record.kind} in view {record.view}"
                    )
