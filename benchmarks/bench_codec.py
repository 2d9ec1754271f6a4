"""The codec and documents on what the hot path codes: as defined, and as compiled.

    make microbench ARGS="benchmarks/bench_codec.py"

The pairs of one message run one after the other, so their ratio is what counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from onward.ledger.block import BLOCK_FORMAT, Batch, Block, Executed, LanePoint
from onward.ledger.leaf import LedgerEvent, TransactionLeaf
from onward.ledger.transaction import Body
from onward_chaincode.records import AgreementRecord, ShareEntry
from onward_proto.canonical import decode, define_decode, define_encode, encode
from onward_proto.documents import canonical_document, parse_document

BLOCK = Block(
    format=BLOCK_FORMAT,
    epoch=0,
    view=90_210,
    height=90_000,
    parent_view=90_209,
    parent=b"p" * 32,
    time_ms=1_750_000_000_000,
    cut=tuple(LanePoint(seq=40_000 + lane, head=bytes([lane]) * 32) for lane in range(4)),
    executed=Executed(height=89_998, log_size=1_000_000, log_root=b"r" * 32),
    last=False,
    next_set_hash=b"s" * 32,
)
BODY = Body(
    format=1,
    contract="isa",
    type="share.record",
    actor="p-0123456789abcdef0123456789abcdef",
    cosigners=(),
    valid_until_ms=1_750_000_600_000,
    salt=bytes(range(16)),
    payload=b"x" * 200,
)
BATCH = Batch(
    author=2,
    epoch=0,
    seq=41,
    previous=b"h" * 32,
    envelopes=(b"e" * 512,) * 100,
    signature=b"s" * 64,
)
LEAF = TransactionLeaf(
    kind=1,
    height=90_000,
    index=17,
    time_ms=1_750_000_000_000,
    tx_hash=b"t" * 32,
    code="OK",
    outcome=1,
    write_set_hash=b"w" * 32,
    event_hash=b"e" * 32,
    signers_hash=b"s" * 32,
)
PAYLOAD = {
    "agreement_id": "0a" * 32,
    "at_ms": 1_750_000_000_000,
    "parent_share_id": None,
    "recipient": "kestrel.health",
    "sender": "alder.bank",
    "share_id": "0b" * 32,
}
EVENT = LedgerEvent(
    contract="isa",
    name="share.record",
    payload=canonical_document(PAYLOAD),
    readers=("alder.bank", "kestrel.health", "p-0123456789abcdef0123456789abcdef"),
)
AGREEMENT = AgreementRecord(
    agreement_id=b"a" * 32,
    root_id=b"a" * 32,
    parent_id=None,
    parent_share_id=None,
    depth=0,
    first_party="p-0123456789abcdef0123456789abcdef",
    second_party="alder.bank",
    rights_holder="p-0123456789abcdef0123456789abcdef",
    terms_id=b"t" * 32,
    schema_id=b"c" * 32,
    fields=(0, 1, 2, 5, 8),
    purposes=("dpv:Marketing", "dpv:ServiceProvision"),
    jurisdictions=("DE", "FR"),
    lawful_basis="dpv:Consent",
    notice=b"n" * 32,
    accepted_at_ms=1_749_000_000_000,
    not_before_ms=1_749_000_000_000,
    expires_at_ms=1_780_000_000_000,
    retention_ms=31_622_400_000,
    withdrawn_fields=(),
    withdrawn_purposes=(),
    state="ACTIVE",
    changed_at_ms=1_749_000_000_000,
    terminates_at_ms=None,
    offer_id=b"o" * 32,
    intent_id=None,
    share_count=7,
    last_share_id=b"l" * 32,
    child_count=0,
)
SHARE = ShareEntry(
    share_id=b"h" * 32,
    agreement_id=b"a" * 32,
    seq=7,
    previous_share_id=b"l" * 32,
    sender="alder.bank",
    recipient="kestrel.health",
    fields=(0, 1, 2),
    purpose="dpv:ServiceProvision",
    transform="NONE",
    commitment=b"c" * 32,
    blob=None,
    parent_share_id=None,
    recorded_at_ms=1_750_000_000_000,
    acknowledged_at_ms=None,
    withdrawn_at_ms=None,
    onward_count=0,
)
MESSAGES = {
    "block": BLOCK,
    "body": BODY,
    "batch of 100": BATCH,
    "leaf": LEAF,
    "event": EVENT,
    "agreement": AGREEMENT,
    "share": SHARE,
}


@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize("way", [encode, define_encode], ids=["compiled", "defined"])
def test_encode(benchmark: BenchmarkFixture, name: str, way: Callable[[object], bytes]) -> None:
    benchmark.group = f"encode {name}"
    benchmark(way, MESSAGES[name])


@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize("way", [decode, define_decode], ids=["compiled", "defined"])
def test_decode(
    benchmark: BenchmarkFixture, name: str, way: Callable[[type[Any], bytes], object]
) -> None:
    benchmark.group = f"decode {name}"
    message = MESSAGES[name]
    benchmark(way, type(message), encode(message))


@pytest.mark.benchmark(group="documents")
def test_write_document(benchmark: BenchmarkFixture) -> None:
    benchmark(canonical_document, PAYLOAD)


@pytest.mark.benchmark(group="documents")
def test_read_document(benchmark: BenchmarkFixture) -> None:
    benchmark(parse_document, EVENT.payload)
