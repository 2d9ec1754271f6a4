"""Oracles of what proves itself: certificates, certified notes, votes with their grounds.

What a quorum signed is verified once more where an honest validator first shows it: one that
believes a forgery may do so for long before two chains come of it. Every validator signs the result
of every block; a quorum's signatures make the note that leaves the network in receipts, and nothing
inside the network would miss a signature in it.
"""

from __future__ import annotations

from onward.consensus.journal import Floor, JournalRecord
from onward.consensus.messages import Certificate, Vote, VoteKind, vote_signed_bytes
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


class QuorumProofs:
    """Verifies the certificates that honest validators of one network pass on, and their notes."""

    def __init__(self, genesis: Genesis, epochs: list[int]) -> None:
        """`genesis` names the first validators; `epochs` the epoch of each block from the first."""
        self._network = genesis.network
        self._chain_id = genesis.chain_id
        self._verified: set[tuple[int, Certificate]] = set()
        self._epochs = epochs
        self._sets: dict[int, ValidatorSet] = {0: genesis.validators}

    def on_epoch(self, validators: ValidatorSet) -> None:
        """A later epoch has begun."""
        self._sets[validators.epoch] = validators

    def on_certificate(self, host: str, certificate: Certificate, epoch: int) -> None:
        """`host` passes `certificate` on: a quorum of different validators signed it."""
        if (epoch, certificate) in self._verified:
            return
        self._verified.add((epoch, certificate))
        validators = self._sets[epoch]
        kind, view, digest = certificate.kind, certificate.view, certificate.digest
        message = vote_signed_bytes(self._chain_id, epoch, kind, view, digest)
        voters = {
            item.signer
            for item in certificate.signatures
            if item.signer < validators.size
            and verify(validators.public_key(item.signer), message, item.signature)
        }
        if len(voters) < validators.quorum:
            raise Violation(
                "quorum proofs",
                f"{host} passes on a certificate of kind {kind} in view {view} that "
                f"{len(voters)} validators signed",
            )

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
