"""Validators in memory, with a wire that delivers after one millisecond unless told otherwise.

The plain stand on which tests of the replica are written; faults by the hundred belong to
`onward.simulation`.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Iterator
from hashlib import sha256

from onward import limits
from onward.consensus.messages import (
    Certificate,
    ChainEntry,
    ChainPage,
    PeerMessage,
    decode_frame,
    encode_frame,
)
from onward.crypto.signing import SigningKey, verify
from onward.errors import RejectedError
from onward.execution.block import genesis_writes
from onward.ledger.block import Batch, batch_head, genesis_block
from onward.ledger.chain import read_block
from onward.ledger.genesis import (
    Genesis,
    GenesisParty,
    Parameters,
    genesis_document,
    parse_genesis,
)
from onward.ledger.log import EMPTY_LOG
from onward.ledger.store import WriteBatch
from onward.ledger.transaction import (
    Body,
    CheckedEnvelope,
    body_hash,
    check_envelope,
    open_envelope,
    seal_envelope,
)
from onward.replica.effects import (
    Answer,
    BatchChecked,
    Boot,
    Commit,
    Effects,
    Event,
    Happened,
    PeerUp,
    Received,
    Submitted,
    Tick,
)
from onward.replica.replica import Replica, ReplicaConfig
from onward.system.contracts import genesis_state
from onward.system.parties import pseudonym_of
from onward.system.registry import Register, Registration
from onward.types import Digest, Validator, ValidatorIndex
from onward_proto.canonical import decode, encode

T0_MS = 1_750_000_000_000
ADMINISTRATOR = SigningKey(b"administrator".ljust(32, b"."))


class DictStore:
    """A store that is always durable."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        return self.rows.get(key)

    def scan(
        self, start: bytes, end: bytes, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        found = [(key, value) for key, value in self.rows.items() if start <= key < end]
        return iter(sorted(found, reverse=reverse))

    def write(self, batch: WriteBatch) -> None:
        for key, value in batch.entries:
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value


def make_genesis(validators: int) -> tuple[Genesis, tuple[SigningKey, ...]]:
    """A consortium with one administrator, and its validators' keys."""
    keys = tuple(SigningKey(sha256(b"validator %d" % n).digest()) for n in range(validators))
    document = genesis_document(
        network="test",
        time_ms=T0_MS,
        parameters=Parameters(),
        validators=tuple(
            Validator(name=f"v{n}", organisation=f"org{n}", public_key=key.public_key)
            for n, key in enumerate(keys)
        ),
        parties=(
            GenesisParty(
                party_id="admin", kind="ADMINISTRATOR", public_key=ADMINISTRATOR.public_key
            ),
        ),
        contracts=(),
    )
    return parse_genesis(json.dumps(document).encode()), keys


def submitted(envelope: bytes) -> Submitted:
    """What the door hands over, whether or not it would have let the envelope in."""
    opened = CheckedEnvelope(data=envelope, transactions=open_envelope(envelope))
    return Submitted(envelopes=(opened,))


def registration(genesis: Genesis, number: int) -> tuple[bytes, Digest]:
    """An envelope that registers one person, and its body's hash."""
    person = SigningKey(sha256(b"person %d" % number).digest())
    item = Registration(
        party=pseudonym_of(person.public_key),
        kind="PERSON",
        public_key=person.public_key,
        groups=(),
        jurisdiction="",
    )
    body = encode(
        Body(
            format=1,
            contract="sys",
            type="party.register",
            actor="admin",
            cosigners=(),
            valid_until_ms=T0_MS + 3_600_000,
            salt=number.to_bytes(16, "big"),
            payload=encode(Register(parties=(item,))),
        )
    )
    return seal_envelope(genesis.chain_id, [body], [ADMINISTRATOR]), body_hash(body)


class Cluster:
    """n replicas on one clock. `cut_off` names validators that neither hear nor are heard."""

    def __init__(
        self,
        n: int = 4,
        *,
        segment_bytes_max: int = limits.JOURNAL_SEGMENT_BYTES_MAX,
        may_abstain: bool = True,
    ) -> None:
        self._may_abstain = may_abstain
        self._segment_bytes_max = segment_bytes_max
        self.genesis, self.keys = make_genesis(n)
        self.now_ms = T0_MS + 1_000
        self.stores = [self._new_store() for _ in range(n)]
        self.replicas = [self._new_replica(index) for index in range(n)]
        self.commits: list[list[Commit]] = [[] for _ in range(n)]
        self.answers: list[Answer] = []
        self.happened: list[tuple[int, Happened]] = []
        self.persisted: list[list[object]] = [[] for _ in range(n)]
        self.rotations = [0] * n
        self.batches: dict[bytes, Batch] = {}
        self.cut_off: set[int] = set()
        self.filter: Callable[[int, int, PeerMessage], PeerMessage | None] = lambda _f, _t, m: m
        self._queue: list[tuple[int, int, int, Event]] = []
        self._sequence = 0
        self._wakes: list[int | None] = [None] * n
        for index in range(n):
            self._put(0, index, Boot(journal=(), batches=()))
        for index in range(n):
            for peer in range(n):
                if peer != index:
                    self._put(1, index, PeerUp(peer=ValidatorIndex(peer)))

    def submit(self, number: int, to: int = 0) -> Digest:
        """A client registers person `number` at a validator."""
        envelope, tx_hash = registration(self.genesis, number)
        self._put(0, to, submitted(envelope))
        return tx_hash

    def event(self, index: int, event: Event) -> None:
        """Something happens at a validator now."""
        self._put(0, index, event)

    def run_ms(self, duration_ms: int) -> None:
        """Let time pass."""
        end_ms = self.now_ms + duration_ms
        while self._queue and self._queue[0][0] <= end_ms:
            self.now_ms, _, index, event = heapq.heappop(self._queue)
            if isinstance(event, Tick):
                wake_ms = self._wakes[index]
                if wake_ms is None or self.now_ms < wake_ms:
                    continue
                self._wakes[index] = None
            self._perform(index, self.replicas[index].step(event, self.now_ms))
        self.now_ms = end_ms

    def reconnect(self, index: int) -> None:
        """A validator that was cut off is back."""
        self.cut_off.discard(index)
        for peer in range(len(self.replicas)):
            if peer != index:
                self._put(0, index, PeerUp(peer=ValidatorIndex(peer)))
                self._put(0, peer, PeerUp(peer=ValidatorIndex(index)))

    def heights(self) -> list[int]:
        """The executed height of each validator."""
        return [replica.height for replica in self.replicas]

    def verdicts(self, index: int) -> dict[bytes, str]:
        """tx hash -> code, as a validator executed it."""
        return {v.tx_hash: v.code for commit in self.commits[index] for v in commit.verdicts}

    def page(self, index: int, from_height: int) -> ChainPage:
        """What a validator's disk answers to a chain request."""
        entries: list[ChainEntry] = []
        final = None
        for height in range(from_height, min(from_height + 8, self.replicas[index].height + 1)):
            stored = read_block(self.stores[index], height)
            assert stored is not None
            batches = tuple(self.batches[head] for head in stored.batch_heads)
            entries.append(ChainEntry(block=stored.block, batches=batches))
            final = stored.final
        return ChainPage(
            tip=self.replicas[index].height,
            entries=tuple(entries),
            links=(),
            final=decode(Certificate, final) if final else None,
        )

    def _new_store(self) -> DictStore:
        store = DictStore()
        genesis = self.genesis
        root = genesis_block(
            genesis.chain_id, genesis.time_ms, genesis.validators, EMPTY_LOG.root()
        )
        store.write(genesis_writes(genesis.chain_id, root, genesis_state(genesis)))
        return store

    def _new_replica(self, index: int) -> Replica:
        config = ReplicaConfig(
            genesis=self.genesis,
            me=ValidatorIndex(index),
            signer=self.keys[index],
            verify=verify,
            contract_for=lambda _name, _version: None,
            journal_segment_bytes_max=self._segment_bytes_max,
            may_abstain=self._may_abstain,
        )
        return Replica(config, self.stores[index])

    def _put(self, after_ms: int, index: int, event: Event) -> None:
        self._sequence += 1
        heapq.heappush(self._queue, (self.now_ms + after_ms, self._sequence, index, event))

    def _perform(self, index: int, effects: Effects) -> None:
        self.persisted[index].extend(effects.persist)
        self.rotations[index] += effects.rotate is not None
        for record in effects.persist:
            if isinstance(record, Batch):
                self.batches[batch_head(self.genesis.chain_id, record)] = record
        if effects.commit is not None:
            self.stores[index].write(effects.commit.writes)
            self.commits[index].append(effects.commit)
        for batch in effects.store:
            self.stores[index].write(batch)
        self.answers.extend(effects.answers)
        self.happened.extend((index, item) for item in effects.events)
        for job in effects.verify:
            self._put(1, index, self._checked(job.batch, job.head))
        for request in effects.serve:
            self.send(index, request.to, self.page(index, request.from_height))
        for outbound in effects.send:
            everybody = range(len(self.replicas))
            for peer in everybody if outbound.to is None else (outbound.to,):
                if peer != index:
                    self.send(index, peer, outbound.message)
        self._wakes[index] = effects.wake_at_ms
        if effects.wake_at_ms is not None:
            self._put(max(0, effects.wake_at_ms - self.now_ms), index, Tick())

    def send(self, sender: int, to: int, message: PeerMessage) -> None:
        """Put a message on the wire, through the real encoding."""
        passed = self.filter(sender, to, message)
        if passed is None or {sender, to} & self.cut_off:
            return
        decoded = decode_frame(encode_frame(passed))
        self._put(1, to, Received(peer=ValidatorIndex(sender), message=decoded))

    def _checked(self, batch: Batch, head: Digest) -> BatchChecked:
        try:
            opened = tuple(
                check_envelope(item, self.genesis.chain_id, verify) for item in batch.envelopes
            )
        except RejectedError as error:
            return BatchChecked(head=head, opened=None, error=str(error))
        return BatchChecked(head=head, opened=opened)
