"""Checkpoints: what a quorum swears the result of the chain was.

Each validator signs the log after every block that it executes. The signatures travel in packets; q
of them over the same note certify it. The highest certified one is what a leader may name as
executed in its proposal, and the certified note is what leaves the network in receipts.
"""

from __future__ import annotations

from onward import limits
from onward.consensus.messages import CheckpointSignature
from onward.crypto.signing import Signer, Verify
from onward.ledger.block import Executed
from onward.ledger.chain import StoredCheckpoint
from onward.ledger.genesis import Genesis
from onward.ledger.note import (
    Checkpoint,
    NoteKey,
    SignedNote,
    note_signature,
    validator_key_name,
)
from onward.ledger.store import WriteBatch, checkpoint_key
from onward.types import ValidatorIndex, ValidatorSet
from onward_proto.canonical import encode


class Checkpoints:
    """The notes of recent heights, and who has signed them."""

    __slots__ = (
        "_early",
        "_genesis",
        "_judged",
        "_notes",
        "_signatures",
        "_signer",
        "_validators",
        "_verify",
        "best",
        "me",
    )

    def __init__(
        self,
        genesis: Genesis,
        me: ValidatorIndex | None,
        signer: Signer,
        verify: Verify,
        best: Executed,
        *,
        validators: ValidatorSet | None = None,
    ) -> None:
        """`best`: the newest certified result that the store holds.

        `validators`: of the epoch whose blocks are executed; by default the genesis'. `me` is None
        for who is none of them.
        """
        self._genesis = genesis
        self._validators = validators or genesis.validators
        self.me = me
        self._signer = signer
        self._verify = verify
        self.best = best
        self._notes: dict[int, tuple[Executed, bytes]] = {}
        self._signatures: dict[int, dict[int, bytes]] = {}
        self._judged: dict[int, set[int]] = {}  # height -> peers whose signature was looked at
        # Signatures of peers that are ahead: by peer, then height, until we have executed it too.
        self._early: dict[int, dict[int, bytes]] = {}

    def executed(self, result: Executed) -> tuple[WriteBatch, ...]:
        """Sign the log after a block. Answers the store writes of what that certifies."""
        note = Checkpoint(
            origin=self._genesis.origin, size=result.log_size, root=result.log_root
        ).text()
        self._notes[result.height] = (result, note)
        own = {} if self.me is None else {int(self.me): bytes(self._signer.sign(note))}
        self._signatures[result.height] = own
        self._judged[result.height] = set(own)
        for signer, early in self._early.items():
            signature = early.pop(result.height, None)
            if signature is not None and not self._has_quorum(result.height):
                self._count(signer, result.height, signature)
        self._forget(result.height - limits.CHECKPOINT_HEIGHTS_KEPT)
        return self._certify(result.height)

    def learn(self, peer: ValidatorIndex, item: CheckpointSignature) -> tuple[WriteBatch, ...]:
        """Take a peer's signature. Answers the store writes of what it certifies."""
        if item.height <= self.best.height:
            return ()  # certified without it
        if item.height in self._notes:
            if peer in self._judged[item.height]:
                return ()  # one try each: a wrong one proves nothing, but checking it costs
            self._count(peer, item.height, item.signature)
            return self._certify(item.height)
        newest = max(self._notes, default=0)
        if newest < item.height <= newest + limits.CHECKPOINT_HEIGHTS_KEPT:
            self._early.setdefault(peer, {})[item.height] = item.signature
        return ()

    def own(self, above: int) -> tuple[CheckpointSignature, ...]:
        """This validator's signatures of recent heights above `above`, ascending."""
        if self.me is None:
            return ()
        heights = sorted(height for height in self._notes if height > above)
        return tuple(
            CheckpointSignature(height=height, signature=self._signatures[height][self.me])
            for height in heights[-limits.PACKET_CHECKPOINTS_MAX :]
        )

    def _count(self, signer: int, height: int, signature: bytes) -> None:
        self._judged[height].add(signer)
        key = self._validators.public_key(signer)
        # An invalid one may be an honest validator's over another result: that divergence shows
        # itself where it can be proved, in the `executed` field of a certified block.
        if self._verify(key, self._notes[height][1], signature):
            self._signatures[height][signer] = signature

    def _has_quorum(self, height: int) -> bool:
        return len(self._signatures[height]) >= self._validators.quorum

    def _certify(self, height: int) -> tuple[WriteBatch, ...]:
        if height <= self.best.height or not self._has_quorum(height):
            return ()
        signatures = self._signatures[height]
        result, text = self._notes[height]
        self.best = result
        lines = []
        for signer in sorted(signatures):
            member = self._validators.members[signer]
            name = validator_key_name(member.name, self._genesis.network)
            key = NoteKey(name=name, public_key=member.public_key)
            lines.append(note_signature(key, signatures[signer]))
        note = SignedNote(text=text, signatures=tuple(lines)).encode()
        stored = encode(StoredCheckpoint(executed=result, note=note))
        return (WriteBatch(entries=((checkpoint_key(height), stored),)),)

    def _forget(self, height: int) -> None:
        for old in [item for item in self._notes if item <= height]:
            del self._notes[old]
            del self._signatures[old]
            del self._judged[old]
        newest = max(self._notes, default=0)
        for early in self._early.values():
            for old in [item for item in early if item <= newest]:
                del early[old]
