"""From four validators that order and execute to a file that an auditor verifies offline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import islice
from typing import cast

import pytest
from tests.support.cluster import ADMINISTRATOR, T0_MS, Cluster, DictStore, submitted

from onward.audit.receipt_verifier import Code, ReceiptError, ReceiptSummary, verify_receipt
from onward.crypto.signing import SigningKey
from onward.ledger.block import Batch
from onward.ledger.chain import read_checkpoint, read_newest_checkpoint, read_transaction
from onward.ledger.read import Reader
from onward.ledger.receipt import encode_receipt, parse_receipt
from onward.ledger.store import checkpoint_key
from onward.ledger.transaction import Body, body_hash, decode_envelope, seal_envelope
from onward.replica.answers import NodeStatus
from onward.runtime.reads import NodeReads
from onward.storage.disk import NodeDisk
from onward.system.parties import pseudonym_of
from onward.system.registry import Register, Registration
from onward.types import Digest, PartyId, PublicKey
from onward_proto.canonical import encode

WITNESS = SigningKey(b"witness".ljust(32, b"."))
STRANGER = SigningKey(b"stranger".ljust(32, b"."))
MUTATIONS = 600


@dataclass(frozen=True)
class MemoryDisk:
    """What reads need of a disk."""

    store: DictStore
    batches: dict[bytes, Batch]

    def batch(self, head: bytes) -> Batch | None:
        return self.batches.get(head)


@dataclass(frozen=True)
class Story:
    """A network that has executed something. `shared`: two bodies of one envelope."""

    cluster: Cluster
    genesis: bytes
    accepted: tuple[Digest, ...]
    refused: Digest
    shared: tuple[Digest, Digest]


def registering(person: int, salt: int) -> bytes:
    """A body of the administrator's."""
    public_key = SigningKey(sha256(b"person %d" % person).digest()).public_key
    item = Registration(
        party=pseudonym_of(public_key),
        kind="PERSON",
        public_key=public_key,
        groups=(),
        jurisdiction="",
    )
    return encode(
        Body(
            format=1,
            contract="sys",
            type="party.register",
            actor="admin",
            cosigners=(),
            valid_until_ms=T0_MS + 3_600_000,
            salt=salt.to_bytes(16, "big"),
            payload=encode(Register(parties=(item,))),
        )
    )


def submit(cluster: Cluster, bodies: list[bytes], *signers: SigningKey) -> tuple[Digest, ...]:
    hashes = tuple(body_hash(body) for body in bodies)
    envelope = seal_envelope(cluster.genesis.chain_id, bodies, signers)
    cluster.event(0, submitted(envelope))
    return hashes


def receipt_at(cluster: Cluster, index: int, tx_hash: Digest) -> bytes | None:
    """What a validator answers to the administrator, from its own store and batch log."""
    disk = MemoryDisk(store=cluster.stores[index], batches=cluster.batches)

    def status() -> NodeStatus:
        raise NotImplementedError

    reads = NodeReads(
        cast(NodeDisk, disk),
        lambda _name, _version: None,
        now_ms=lambda: T0_MS,
        status=status,
        evidence=tuple,
        executed=lambda: cluster.replicas[index].executor,
    )
    reader = Reader(party=PartyId("admin"), public_key=PublicKey(ADMINISTRATOR.public_key))
    return reads.receipt(tx_hash, reader)


def verified(story: Story, index: int, tx_hash: Digest) -> ReceiptSummary:
    receipt = receipt_at(story.cluster, index, tx_hash)
    assert receipt is not None
    summary = verify_receipt(receipt, story.genesis)
    assert summary.tx_hash == tx_hash.hex()
    return summary


def numbers() -> Iterator[int]:
    """Arbitrary, and the same every time."""
    count = 0
    while True:
        digest = sha256(b"mutation %d" % count).digest()
        yield from (int.from_bytes(digest[i : i + 4], "big") for i in range(0, len(digest), 4))
        count += 1


def mutations(data: bytes) -> Iterator[bytes]:
    """`data` with one byte exchanged, one bit flipped, one byte lost, or one slipped in."""
    chance = numbers()
    while True:
        changed = bytearray(data)
        kind, place, value = next(chance) % 4, next(chance) % len(data), next(chance)
        if kind == 0:
            changed[place] = value % 256
        elif kind == 1:
            changed[place] ^= 1 << value % 8
        elif kind == 2:
            del changed[place]
        else:
            changed.insert(place, data[value % len(data)])
        if changed != data:
            yield bytes(changed)


@pytest.fixture(scope="module")
def story() -> Story:
    cluster = Cluster()
    accepted: list[Digest] = []
    for number in range(12):
        accepted.append(cluster.submit(number, to=number % 4))
        cluster.run_ms(100)
    (refused,) = submit(cluster, [registering(0, 100)], ADMINISTRATOR)
    first, second = submit(
        cluster, [registering(20, 101), registering(20, 102)], ADMINISTRATOR, WITNESS
    )
    cluster.run_ms(2_000)
    return Story(
        cluster=cluster,
        genesis=cluster.genesis.document,
        accepted=tuple(accepted),
        refused=refused,
        shared=(first, second),
    )


def test_every_validator_answers_with_a_receipt_that_verifies(story: Story) -> None:
    """Nobody has to ask a particular validator, or to believe the one that is asked."""
    for tx_hash in story.accepted:
        for index in range(4):
            summary = verified(story, index, tx_hash)
            assert (summary.code, summary.outcome) == ("OK", "accepted")
            assert summary.client_keys == (ADMINISTRATOR.public_key.hex(),)
            assert len(summary.validators) >= story.cluster.genesis.validators.quorum


def test_a_refused_transaction_has_a_receipt_too(story: Story) -> None:
    for index in range(4):
        summary = verified(story, index, story.refused)
        assert (summary.code, summary.outcome) == ("E_DUPLICATE", "refused")


def test_each_body_of_an_envelope_has_its_own_verdict_under_all_its_signers(story: Story) -> None:
    keys = (ADMINISTRATOR.public_key.hex(), WITNESS.public_key.hex())
    for tx_hash, code in zip(story.shared, ("OK", "E_DUPLICATE"), strict=True):
        summary = verified(story, 1, tx_hash)
        assert (summary.code, summary.client_keys) == (code, keys)


def test_no_changed_byte_is_overlooked(story: Story) -> None:
    """Sampled over a receipt with a sibling and two signers; the vectors are tried byte by byte."""
    receipt = receipt_at(story.cluster, 2, story.shared[1])
    assert receipt is not None
    for changed in islice(mutations(receipt), MUTATIONS):
        with pytest.raises(ReceiptError):
            verify_receipt(changed, story.genesis)


def test_nobody_makes_the_signature_on_a_true_receipt_his_own(story: Story) -> None:
    """Whoever holds a body can sign it; the verdict was given under other signatures."""
    data = receipt_at(story.cluster, 0, story.accepted[0])
    assert data is not None
    receipt = parse_receipt(data)
    chain_id = story.cluster.genesis.chain_id
    forged = decode_envelope(seal_envelope(chain_id, [receipt.body], [STRANGER])).signatures
    for signatures in (forged, receipt.signatures + forged):
        with pytest.raises(ReceiptError) as refused:
            verify_receipt(encode_receipt(replace(receipt, signatures=signatures)), story.genesis)
        assert refused.value.code == Code.LEAF


def test_a_height_without_a_checkpoint_is_proved_by_the_next_one_that_was_certified(
    story: Story,
) -> None:
    """A validator may miss the signatures of a height; the log of a later one holds its leaf."""
    tx_hash = story.accepted[0]
    stored = read_transaction(story.cluster.stores[3], tx_hash)
    newest = read_newest_checkpoint(story.cluster.stores[3])
    assert stored is not None
    assert newest is not None
    assert checkpoint_key(stored.leaf.height) in story.cluster.stores[3].rows
    before = verified(story, 3, tx_hash).tree_size
    rows = dict(story.cluster.stores[3].rows)
    try:
        for height in range(stored.leaf.height, newest.executed.height):
            story.cluster.stores[3].rows.pop(checkpoint_key(height), None)
            following = read_checkpoint(story.cluster.stores[3], height)
            assert following is not None
            assert following.executed.height > height
            assert before < verified(story, 3, tx_hash).tree_size == following.executed.log_size
        story.cluster.stores[3].rows.pop(checkpoint_key(newest.executed.height))
        assert receipt_at(story.cluster, 3, tx_hash) is None, "nobody has sworn to it"
    finally:
        story.cluster.stores[3].rows = rows


def test_a_validator_that_fetched_the_chain_proves_what_it_did_not_vote_on() -> None:
    """It executed in one go what the others signed one by one: most heights lack a checkpoint."""
    cluster = Cluster()
    cluster.cut_off = {3}
    hashes = []
    for number in range(80):
        hashes.append(cluster.submit(number, to=number % 3))
        cluster.run_ms(40)
    cluster.reconnect(3)
    cluster.run_ms(8_000)
    story = Story(
        cluster=cluster,
        genesis=cluster.genesis.document,
        accepted=tuple(hashes),
        refused=hashes[0],
        shared=(hashes[0], hashes[1]),
    )
    without = 0
    for tx_hash in hashes:
        summary = verified(story, 3, tx_hash)
        without += checkpoint_key(summary.height) not in cluster.stores[3].rows
    assert without > 0
