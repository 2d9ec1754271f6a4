from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from onward import limits
from onward.blobs.place import Place
from onward.crypto.signing import SigningKey, verify
from onward.errors import RejectCode, RejectedError, Unavailable
from onward.gateway.door import Gateway
from onward.gateway.ports import DoorSettings
from onward.ledger.chain import StoredBlock, StoredTransaction
from onward.ledger.leaf import LedgerEvent, TransactionLeaf
from onward.ledger.read import (
    METHOD_BLOCK,
    METHOD_DRY_RUN,
    METHOD_RECEIPT,
    METHOD_TRANSACTION,
    Reader,
    ReadScope,
    query_method,
    seal_read,
)
from onward.ledger.store import u64
from onward.ledger.transaction import Body, Transaction, body_hash, seal_envelope
from onward.replica.answers import NodeStatus, Submission
from onward.replica.effects import Answer, Submitted, Verdict
from onward.types import Digest, PublicKey
from onward_proto.canonical import encode

NOW = 1_750_000_000_000
CHAIN = Digest(bytes([7]) * 32)
NODE = PublicKey(bytes([8]) * 32)
ACME = SigningKey(bytes([1]) * 32)
BETA = SigningKey(bytes([2]) * 32)


def body(salt: int = 1, *, valid_until_ms: int = NOW + 1_000, cosigners: Any = ()) -> bytes:
    return encode(
        Body(
            format=1,
            contract="isa",
            type="share.record",
            actor="acme",
            cosigners=cosigners,
            valid_until_ms=valid_until_ms,
            salt=bytes([salt]) * 16,
            payload=b"x",
        )
    )


def sealed(*bodies: bytes, signers: Any = (ACME,), chain: bytes = CHAIN) -> bytes:
    return seal_envelope(chain, bodies or (body(),), signers)


def verdict(tx_hash: bytes, code: str = "OK", height: int = 9) -> Verdict:
    return Verdict(
        tx_hash=Digest(tx_hash),
        height=height,
        code=code,
        rule="",
        message="",
        outcome=1,
        log_index=0,
        event=None,
    )


def stored(tx_hash: bytes, readers: tuple[str, ...] = ()) -> StoredTransaction:
    return StoredTransaction(
        leaf=TransactionLeaf(
            kind=1,
            height=9,
            index=0,
            time_ms=NOW,
            tx_hash=tx_hash,
            code="OK",
            outcome=1,
            write_set_hash=bytes(32),
            event_hash=bytes(32),
            signers_hash=bytes(32),
        ),
        log_index=4,
        batch_head=bytes(32),
        envelope_index=0,
        body_index=0,
        rule="",
        message="",
        event=LedgerEvent(contract="isa", name="shared", payload=b"{}", readers=readers),
    )


class FakeNode:
    """The gateway's ports, as dictionaries."""

    def __init__(self) -> None:
        self.inbox: list[Submitted] = []
        self.full = False
        self.transactions: dict[bytes, StoredTransaction] = {}
        self.receipts: dict[bytes, bytes] = {}
        self.parties = {"acme": ACME.public_key, "beta": BETA.public_key}
        self.monotonic = 0

    def offer(self, event: Submitted) -> bool:
        if not self.full:
            self.inbox.append(event)
        return not self.full

    def transaction(self, tx_hash: bytes) -> StoredTransaction | None:
        return self.transactions.get(tx_hash)

    def signing_parties(self, stored: StoredTransaction) -> tuple[str, ...]:
        return ("acme",)

    def block(self, height: int) -> StoredBlock | None:
        return None

    def admit(self, transaction: Transaction, now_ms: int) -> None:
        if self.parties.get(transaction.body.actor) not in transaction.signers:
            raise RejectedError(RejectCode.PARTY, "not the party's key")

    def holds_key(self, party: str, public_key: bytes) -> bool:
        return self.parties.get(party) == public_key

    def query(
        self, contract: str, name: str, arguments: bytes, reader: Reader
    ) -> tuple[bytes, int]:
        return f"{contract}/{name}/{reader.party}".encode(), 9

    def dry_run(self, body: Body, body_bytes: bytes, now_ms: int) -> Verdict:
        return verdict(body_hash(body_bytes), "E_DEPTH")

    def receipt(self, tx_hash: bytes, reader: Reader) -> bytes | None:
        return self.receipts.get(tx_hash)

    def status(self) -> NodeStatus:
        raise NotImplementedError

    def evidence(self) -> tuple[bytes, ...]:
        raise NotImplementedError


class NoBlobs:
    """A node that keeps none."""

    def places(self) -> Iterator[tuple[Place, str]]:
        return iter(())

    def keep(self, place: Place, party: str, blob: bytes) -> None:
        raise NotImplementedError

    def read(self, place: Place) -> bytes | None:
        return None

    def destroy(self, place: Place, height: int) -> bool:
        return False

    def deletion(self, place: Place) -> bytes | None:
        return None


def unexpected(error: Exception) -> None:
    raise error


@pytest.fixture
async def node() -> FakeNode:
    return FakeNode()


@pytest.fixture
async def gateway(node: FakeNode) -> Gateway:
    settings = DoorSettings(
        chain_id=CHAIN,
        node=NODE,
        verify=verify,
        now_ms=lambda: NOW,
        monotonic_ms=lambda: node.monotonic,
    )
    return Gateway(settings, node, node, NoBlobs(), unexpected)


def read(method: str, arguments: bytes, *, party: str = "acme", signer: SigningKey = ACME) -> bytes:
    scope = ReadScope(chain_id=CHAIN, node=NODE, method=method, arguments=arguments)
    return seal_read(scope, party=party, valid_until_ms=NOW + 1_000, signer=signer)


async def taken_in(node: FakeNode) -> None:
    """A submission reaches the inbox before it waits for anything."""
    await asyncio.sleep(0)
    assert node.inbox


def waiting_for(gateway: Gateway, envelope: bytes) -> asyncio.Task[Submission]:
    return asyncio.create_task(gateway.submit(envelope, 60_000))


# -- submitting --------------------------------------------------------------------------------


async def test_client_gets_the_verdict_of_its_transaction(gateway: Gateway, node: FakeNode) -> None:
    submitting = waiting_for(gateway, sealed())
    await taken_in(node)
    (tx_hash,) = node.inbox[0].envelopes[0].tx_hashes
    assert tx_hash == body_hash(body())
    gateway.finished([verdict(tx_hash, "E_DEPTH")])
    assert (await submitting).verdicts == (verdict(tx_hash, "E_DEPTH"),)
    assert gateway.in_flight == 0


async def test_same_bytes_twice_are_executed_once(gateway: Gateway, node: FakeNode) -> None:
    """A client that lost the connection sends again while the first is on its way."""
    first = waiting_for(gateway, sealed())
    await taken_in(node)
    second = waiting_for(gateway, sealed())
    await asyncio.sleep(0)
    assert len(node.inbox) == 1
    gateway.finished([verdict(body_hash(body()))])
    assert (await first) == (await second)


async def test_known_bytes_are_answered_with_their_verdict(
    gateway: Gateway, node: FakeNode
) -> None:
    tx_hash = body_hash(body())
    node.transactions[tx_hash] = stored(tx_hash)
    submission = await gateway.submit(sealed(), 1_000)
    assert submission.verdicts[0].height == 9
    assert not node.inbox


async def test_envelope_of_which_a_part_was_executed_is_a_replay(
    gateway: Gateway, node: FakeNode
) -> None:
    tx_hash = body_hash(body(1))
    node.transactions[tx_hash] = stored(tx_hash)
    with pytest.raises(RejectedError) as refused:
        await gateway.submit(sealed(body(1), body(2)), 1_000)
    assert refused.value.code == "E_REPLAY"
    assert not node.inbox


@pytest.mark.parametrize(
    ("envelope", "code"),
    [
        (b"", "E_FORMAT"),
        (b"\xff" * 40, "E_FORMAT"),
        (sealed()[:-1], "E_FORMAT"),
        (sealed() + b"\x20\x01", "E_FORMAT"),
        (bytes(limits.ENVELOPE_BYTES_MAX + 1), "E_SIZE"),
        (sealed(chain=bytes(32)), "E_CHAIN"),
        (sealed(signers=()), "E_SIG"),
        (sealed()[:-1] + bytes([sealed()[-1] ^ 1]), "E_SIG"),
        (sealed(body(cosigners=("beta",))), "E_COUNTERSIG"),
        (sealed(signers=(BETA,)), "E_PARTY"),
        (sealed(body(valid_until_ms=NOW)), "E_EXPIRED"),
        (sealed(body(valid_until_ms=NOW + limits.VALIDITY_MS_MAX + 1)), "E_VALIDITY"),
        (sealed(body(1), body(1)), "E_DUPLICATE"),
    ],
)
async def test_door_refuses_bad_envelopes_with_their_codes(
    gateway: Gateway, node: FakeNode, envelope: bytes, code: str
) -> None:
    with pytest.raises(RejectedError) as refused:
        await gateway.submit(envelope, 1_000)
    assert refused.value.code == code
    assert not node.inbox
    assert gateway.in_flight == 0


async def test_replicas_refusal_reaches_everybody_who_waits(
    gateway: Gateway, node: FakeNode
) -> None:
    submitting = waiting_for(gateway, sealed())
    await taken_in(node)
    busy = Unavailable("mempool is full", retry_after_ms=50)
    gateway.refused(Answer(tx_hashes=node.inbox[0].envelopes[0].tx_hashes, error=busy))
    with pytest.raises(Unavailable) as refused:
        await submitting
    assert refused.value.retry_after_ms == 50


async def test_full_inbox_is_told_at_once_and_leaves_nothing_behind(
    gateway: Gateway, node: FakeNode
) -> None:
    node.full = True
    with pytest.raises(Unavailable) as refused:
        await gateway.submit(sealed(), 1_000)
    assert refused.value.code == "E_BUSY"
    node.full = False
    await gateway.submit(sealed(), 0)
    assert len(node.inbox) == 1


async def test_client_that_does_not_wait_is_answered_at_once(gateway: Gateway) -> None:
    submission = await gateway.submit(sealed(), 0)
    assert submission.tx_hashes == (body_hash(body()),)
    assert submission.verdicts == ()


async def test_waiting_ends_at_its_deadline_and_the_verdict_is_not_lost(
    gateway: Gateway, node: FakeNode
) -> None:
    with pytest.raises(Unavailable, match="sent again"):
        await gateway.submit(sealed(), 1)
    again = waiting_for(gateway, sealed())
    await asyncio.sleep(0)
    gateway.finished([verdict(body_hash(body()))])
    assert (await again).verdicts[0].code == "OK"
    assert len(node.inbox) == 1


async def test_lost_submission_may_be_handed_in_again_after_a_minute(
    gateway: Gateway, node: FakeNode
) -> None:
    await gateway.submit(sealed(), 0)
    node.monotonic = limits.GATEWAY_WAIT_MS_MAX
    await gateway.submit(sealed(body(2)), 0)  # sweeps
    await gateway.submit(sealed(), 0)
    assert len(node.inbox) == 3


async def test_stopping_node_lets_nobody_wait_in_vain(gateway: Gateway, node: FakeNode) -> None:
    submitting = waiting_for(gateway, sealed())
    await taken_in(node)
    gateway.close()
    with pytest.raises(Unavailable, match="stopping"):
        await submitting
    with pytest.raises(Unavailable):
        await gateway.submit(sealed(body(2)), 0)


# -- reading -----------------------------------------------------------------------------------


async def test_query_is_asked_as_the_party_that_signed(gateway: Gateway) -> None:
    signed = read(query_method("isa", "view"), b"{}")
    assert gateway.query(signed, "isa", "view", b"{}") == (b"isa/view/acme", 9)


async def test_key_of_another_party_reads_nothing(gateway: Gateway) -> None:
    signed = read(query_method("isa", "view"), b"{}", party="beta", signer=ACME)
    with pytest.raises(RejectedError) as refused:
        gateway.query(signed, "isa", "view", b"{}")
    assert refused.value.code == "E_PARTY"


async def test_unsigned_reads_are_refused_on_every_method(gateway: Gateway) -> None:
    asked: list[Callable[[], Any]] = [
        lambda: gateway.query(b"", "isa", "view", b"{}"),
        lambda: gateway.transaction(b"", bytes(32)),
        lambda: gateway.block(b"", 1),
        lambda: gateway.dry_run(b"", body()),
    ]
    for ask in asked:
        with pytest.raises(RejectedError) as refused:
            ask()
        assert refused.value.code == "E_FORMAT"
    with pytest.raises(RejectedError):
        await gateway.receipt(b"", bytes(32), 0)


async def test_event_is_shown_to_its_readers_only(gateway: Gateway, node: FakeNode) -> None:
    tx_hash = body_hash(body())
    node.transactions[tx_hash] = stored(tx_hash, readers=("acme",))
    assert gateway.transaction(read(METHOD_TRANSACTION, tx_hash), tx_hash).event is not None
    by_beta = read(METHOD_TRANSACTION, tx_hash, party="beta", signer=BETA)
    assert gateway.transaction(by_beta, tx_hash).event is None


async def test_what_does_not_exist_is_not_found(gateway: Gateway) -> None:
    with pytest.raises(RejectedError) as refused:
        gateway.transaction(read(METHOD_TRANSACTION, bytes(32)), bytes(32))
    assert refused.value.code == "E_NOT_FOUND"
    with pytest.raises(RejectedError) as refused:
        gateway.block(read(METHOD_BLOCK, u64(5)), 5)
    assert refused.value.code == "E_NOT_FOUND"


async def test_dry_run_answers_its_own_party_only(gateway: Gateway) -> None:
    """It would tell a stranger what the chain knows of the actor."""
    assert gateway.dry_run(read(METHOD_DRY_RUN, body()), body()).code == "E_DEPTH"
    by_beta = read(METHOD_DRY_RUN, body(), party="beta", signer=BETA)
    with pytest.raises(RejectedError) as refused:
        gateway.dry_run(by_beta, body())
    assert refused.value.code == "E_READER"
    expired = body(valid_until_ms=NOW)
    assert gateway.dry_run(read(METHOD_DRY_RUN, expired), expired).code == "E_EXPIRED"


async def test_receipt_waits_for_its_checkpoint(gateway: Gateway, node: FakeNode) -> None:
    tx_hash = body_hash(body())
    node.transactions[tx_hash] = stored(tx_hash)
    asking = asyncio.create_task(gateway.receipt(read(METHOD_RECEIPT, tx_hash), tx_hash, 60_000))
    for _ in range(3):
        await asyncio.sleep(0)
        gateway.progressed()
    assert not asking.done()
    node.receipts[tx_hash] = b"receipt"
    gateway.progressed()
    assert await asking == b"receipt"
    with pytest.raises(RejectedError) as refused:
        await gateway.receipt(read(METHOD_RECEIPT, bytes(32)), bytes(32), 60_000)
    assert refused.value.code == "E_NOT_FOUND"


async def test_receipt_that_does_not_come_ends_in_unavailable(
    gateway: Gateway, node: FakeNode
) -> None:
    tx_hash = body_hash(body())
    node.transactions[tx_hash] = stored(tx_hash)
    with pytest.raises(Unavailable, match="checkpoint"):
        await gateway.receipt(read(METHOD_RECEIPT, tx_hash), tx_hash, 0)
