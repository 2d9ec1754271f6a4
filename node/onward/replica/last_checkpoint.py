"""The result of an epoch's last block: its signatures still come in when the next epoch has begun.

The validators of the epoch that finalized a block sign its result, also those that are no longer
validators after it. What they sign carries trust from one epoch to the next (docs/spec/proofs.md),
so each of them repeats its signature until it has a quorum's, and answers those who still ask. Who
has none to give asks with an empty one.
"""

from __future__ import annotations

from onward import limits
from onward.consensus.messages import CheckpointSignature, Packet
from onward.ledger.block import Executed
from onward.ledger.chain import StoredBlock
from onward.ledger.genesis import Genesis
from onward.ledger.store import Store, WriteBatch, checkpoint_key
from onward.replica.checkpoints import Checkpoints
from onward.replica.config import ReplicaConfig
from onward.types import PublicKey, ValidatorSet


class LastCheckpoint:
    """Signatures over the result of the block that ended the epoch of `validators`."""

    __slots__ = (
        "_checkpoints",
        "_due_ms",
        "_validators",
        "_wait_ms",
        "height",
        "is_certified",
        "writes",
    )

    def __init__(
        self, config: ReplicaConfig, validators: ValidatorSet, last: StoredBlock, store: Store
    ) -> None:
        """`last`: the block. Where the store has its certified checkpoint, others may lack it."""
        genesis: Genesis = config.genesis
        me = validators.index_of(config.signer.public_key)
        before = Executed(height=0, log_size=0, log_root=bytes(32))
        self._validators = validators
        self._checkpoints = Checkpoints(
            genesis, me, config.signer, config.verify, before, validators=validators
        )
        self._due_ms = 0
        self._wait_ms = limits.CHECKPOINT_RESEND_MS
        self.height = last.block.height
        result = Executed(height=self.height, log_size=last.log_size, log_root=last.log_root)
        self.writes: tuple[WriteBatch, ...] = self._checkpoints.executed(result)
        self.is_certified = store.get(checkpoint_key(self.height)) is not None or bool(self.writes)

    @property
    def epoch(self) -> int:
        """The epoch that has ended."""
        return self._validators.epoch

    def learn(self, key: PublicKey, packet: Packet) -> tuple[WriteBatch, ...]:
        """A packet of that epoch came from who holds `key`; what it certifies."""
        signer = self._validators.index_of(key)
        if signer is None:
            return ()
        for item in packet.checkpoints:
            writes = self._checkpoints.learn(signer, item) if item.height == self.height else ()
            if writes and not self.is_certified:
                self.is_certified = True
                return writes
        return ()

    def is_asked(self, packet: Packet) -> bool:
        """Whether the sender of this packet still gathers signatures of the block."""
        return any(item.height == self.height for item in packet.checkpoints)

    def packet(self) -> Packet | None:
        """Our own signature, for whoever lacks it; None where we were no validator."""
        own = self._checkpoints.own(self.height - 1)
        return self._packet(own) if own else None

    def _packet(self, checkpoints: tuple[CheckpointSignature, ...]) -> Packet:
        return Packet(
            status=0,
            height=self.height,
            blocks=(),
            certificates=(),
            votes=(),
            tips=(),
            checkpoints=checkpoints,
            epoch=self.epoch,
        )

    def due(self, now_ms: int) -> Packet | None:
        """The packet, if it is time to repeat it to everybody; each time it is later."""
        if self.is_certified or now_ms < self._due_ms:
            return None
        self._due_ms = now_ms + self._wait_ms
        self._wait_ms = min(2 * self._wait_ms, limits.CHECKPOINT_RESEND_MS_MAX)
        empty = CheckpointSignature(height=self.height, signature=bytes(64))
        return self.packet() or self._packet((empty,))

    def due_at_ms(self) -> int | None:
        """When `due` has something next."""
        return None if self.is_certified else self._due_ms
