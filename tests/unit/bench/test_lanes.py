"""What is signed before the clock starts must get the verdicts that it says."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256
from pathlib import Path

import pytest

from onward.bench.cast import Setting, publication, registrations
from onward.bench.lanes import Lane, LaneFacts, LaneJob, write_lane
from onward.bench.stories import BREACHES, OK, WORKLOADS, organisations_for
from onward.crypto.signing import SigningKey
from onward.execution.block import ExecutedBody
from onward.ledger.genesis import (
    Genesis,
    GenesisContract,
    GenesisParty,
    Parameters,
    genesis_document,
    parse_genesis,
)
from onward.ledger.transaction import body_hash, decode_envelope, seal_envelope
from onward.scenario.chain import MemoryChain
from onward.system.parties import PartyKind
from onward.types import Validator
from onward_chaincode.registry import contract_for
from onward_proto.documents import canonical_document

T0 = 1_750_000_000_000
COUNT = 700
FOUNDERS = {
    "admin": PartyKind.ADMINISTRATOR,
    "enroller": PartyKind.ENROLLER,
    "registry": PartyKind.REGISTRY,
}


def key(name: str) -> SigningKey:
    return SigningKey(sha256(name.encode()).digest())


def genesis() -> Genesis:
    document = genesis_document(
        network="bench",
        time_ms=T0,
        parameters=Parameters(),
        validators=(Validator(name="v1", organisation="o", public_key=key("v1").public_key),),
        parties=tuple(
            GenesisParty(party_id=name, kind=kind, public_key=key(name).public_key)
            for name, kind in FOUNDERS.items()
        ),
        contracts=tuple(
            GenesisContract(name=name, version=1, from_height=1) for name in ("isa", "opaque")
        ),
    )
    return parse_genesis(canonical_document(document))


SETTING = Setting(seed=7, tag="t", organisation_count=40, time_ms=T0)


def prepared(facts: LaneFacts) -> MemoryChain:
    """A chain that knows everybody and every document of the setting."""
    chain = MemoryChain(genesis(), "isa", contract_for)
    organisations = [SETTING.organisation(number) for number in range(40)]
    persons = [SETTING.person(facts.lane, number) for number in range(len(facts.persons))]
    assert tuple(bytes(person.signer.public_key) for person in persons) == facts.persons
    bodies = []
    for actor, kind, parties in (
        ("admin", PartyKind.ORGANISATION, organisations),
        ("enroller", PartyKind.PERSON, persons),
    ):
        listed = [(party.party_id, bytes(party.signer.public_key)) for party in parties]
        bodies += [(body, actor) for body in registrations(SETTING, kind, listed, actor)]
    bodies += [
        (publication(SETTING, kind, document, "registry"), "registry")
        for kind, document in SETTING.documents()
    ]
    envelopes = [seal_envelope(chain.chain_id, [body], [key(actor)]) for body, actor in bodies]
    assert {item.result.code for item in chain.execute(envelopes, T0 + 1)} <= {OK}
    return chain


def job(folder: Path, workload: str, *, count: int = COUNT, lane: int = 2) -> LaneJob:
    return LaneJob(
        folder=folder,
        lane=lane,
        count=count,
        workload=workload,
        setting=SETTING,
        chain_id=genesis().chain_id,
    )


def unframed(frame: bytes) -> bytes:
    """The envelope in a frame of a StreamedSubmit: field 2, its size, its bytes."""
    assert frame[0] == 0x12
    size_bytes = 1 if frame[1] < 0x80 else 2
    return frame[1 + size_bytes :]


@pytest.mark.parametrize("workload", sorted(WORKLOADS))
def test_every_transaction_gets_the_verdict_that_its_lane_foretells(
    workload: str, tmp_path: Path
) -> None:
    """By these verdicts a run is called sound."""
    facts = write_lane(job(tmp_path, workload))
    chain = prepared(facts)
    with Lane(tmp_path, facts.lane) as lane:
        assert len(lane) == lane.prologue + COUNT
        envelopes = [unframed(lane.frames(index, index + 1)) for index in range(len(lane))]
        executed: list[ExecutedBody] = []
        for number, start in enumerate(range(0, len(envelopes), 100)):
            executed += chain.execute(envelopes[start : start + 100], T0 + 1_000 + number)
        results = iter(executed)
        for index, envelope in enumerate(map(decode_envelope, envelopes)):
            assert tuple(map(body_hash, envelope.bodies)) == lane.tx_hashes(index)
            assert lane.signatures(index) == len(envelope.signatures)
            for tx_hash in lane.tx_hashes(index):
                item = next(results)
                assert item.transaction.tx_hash == tx_hash
                assert item.transaction.body.type == lane.type(index)
                assert (lane.type(index), item.result.code) == (
                    lane.type(index),
                    lane.expected(index),
                )
        assert next(results, None) is None
        assert lane.transactions(0, len(lane)) == facts.transactions == len(executed)
        assert facts.envelopes == len(lane)


def test_frames_of_many_are_the_frames_of_each_end_to_end(tmp_path: Path) -> None:
    facts = write_lane(job(tmp_path, "handshake", count=20))
    with Lane(tmp_path, facts.lane) as lane:
        each = [lane.frames(index, index + 1) for index in range(len(lane))]
        assert lane.frames(0, len(lane)) == b"".join(each)
        assert lane.frames(3, 9) == b"".join(each[3:9])
        assert sum(map(len, each)) == facts.envelope_bytes


def test_the_same_seed_signs_the_same_transactions(tmp_path: Path) -> None:
    """A figure that nobody can produce again is an anecdote."""
    first, again = tmp_path / "a", tmp_path / "b"
    for folder in (first, again):
        folder.mkdir()
        write_lane(job(folder, "isa", count=200))
    for name in ("frames", "hashes", "facts", "asked"):
        file = f"lane-2.{name}"
        assert (first / file).read_bytes() == (again / file).read_bytes(), name


def test_lanes_share_no_transaction_and_no_person(tmp_path: Path) -> None:
    facts = [write_lane(job(tmp_path, "isa", count=200, lane=number)) for number in (0, 1)]
    assert not set(facts[0].persons) & set(facts[1].persons)
    with Lane(tmp_path, 0) as one, Lane(tmp_path, 1) as other:
        hashes = [
            {tx_hash for index in range(len(lane)) for tx_hash in lane.tx_hashes(index)}
            for lane in (one, other)
        ]
    assert not hashes[0] & hashes[1]


def test_the_mix_is_even_from_the_first_second_on(tmp_path: Path) -> None:
    """A run that begins with nothing but offers would measure offers."""
    facts = write_lane(job(tmp_path, "isa", count=4_000))
    with Lane(tmp_path, facts.lane) as lane:
        kinds = [lane.type(index) for index in range(lane.prologue, len(lane))]
        codes = Counter(lane.expected(index) for index in range(lane.prologue, len(lane)))
    half = len(kinds) // 2
    for kind in ("share.record", "share.ack", "agreement.reject", "agreement.accept"):
        early, late = kinds[:half].count(kind), kinds[half:].count(kind)
        assert 0.6 < early / late < 1.6, kind
    attempts = kinds.count("share.onward")
    refused = sum(count for code, count in codes.items() if code != OK)
    assert 0.05 < refused / attempts < 0.15
    assert len(codes) > len(BREACHES)
    assert 0.008 < kinds.count("agreement.revoke") / len(kinds) < 0.03


def test_in_bulk_a_signature_stands_for_ten(tmp_path: Path) -> None:
    """What many bodies in an envelope save is measured with it, apart from all others."""
    facts = write_lane(job(tmp_path, "bulk", count=240))
    with Lane(tmp_path, facts.lane) as lane:
        sizes = Counter(len(lane.tx_hashes(index)) for index in range(len(lane)))
        assert lane.transactions(3, 9) == sum(len(lane.tx_hashes(k)) for k in range(3, 9))
    assert set(sizes) == {1, WORKLOADS["bulk"].bodies_max}
    assert facts.transactions > 8 * facts.signatures
    one_body = write_lane(job(tmp_path, "isa", count=240, lane=1))
    assert one_body.transactions == one_body.envelopes


def test_nobody_comes_near_the_bound_on_refusals_in_an_hour() -> None:
    """Past it a refusal is no longer recorded, and a long run would get other verdicts (R20)."""
    isa = WORKLOADS["isa"]
    for transactions in (1_000, 100_000, 1_000_000):
        refusals = transactions * isa.refusal_share
        assert refusals / organisations_for(isa, transactions) <= 25
