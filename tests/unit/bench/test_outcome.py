"""From what the generator noted to figures: nothing may be left out because it is slow."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from onward.bench.cast import Setting
from onward.bench.generator import REPLIED, SENT, LoadSpec
from onward.bench.histogram import Histogram
from onward.bench.lanes import Lane, LaneJob, write_lane
from onward.bench.outcome import Measured, Outcome, read_outcome
from onward.bench.queries import ANSWERED
from onward.rpc.client import Endpoint
from onward.types import PublicKey
from onward_proto.v1 import gateway_pb2

COUNT = 20
START_S = 100.0
RATE = 10.0
PROLOGUE_S = 90.0


@pytest.fixture
def spec(tmp_path: Path) -> LoadSpec:
    """One lane of twenty transactions, one due every tenth of a second from 100 s on."""
    return lane_of(tmp_path, "opaque")


def lane_of(folder: Path, workload: str) -> LoadSpec:
    setting = Setting(seed=1, tag="t", organisation_count=40, time_ms=1_750_000_000_000)
    write_lane(
        LaneJob(
            folder=folder,
            lane=0,
            count=COUNT,
            workload=workload,
            setting=setting,
            chain_id=bytes(32),
        )
    )
    (folder / "lane-0.answers").write_bytes(ANSWERED.pack(100.1, 100.3, True))
    return LoadSpec(
        folder=folder,
        endpoints=(Endpoint(address="127.0.0.1:1", public_key=PublicKey(bytes(32))),),
        rate=RATE,
        in_flight=0,
        query_rate=0,
        chain_id=bytes(32),
        seconds=2,
        tick_ms=10,
        wait_ms=60_000,
    )


def settled(spec: LoadSpec, index: int, **changes: object) -> gateway_pb2.Settled:
    with Lane(spec.folder, 0) as lane:
        (tx_hash,) = lane.tx_hashes(index)
    known = {"code": "OK", "outcome": 1, "height": 5, "log_index": 50 + index, **changes}
    verdict = gateway_pb2.Verdict(tx_hash=tx_hash, **known)  # type: ignore[arg-type]
    return gateway_pb2.Settled(
        id=index + 1, reply=gateway_pb2.SubmitReply(tx_hashes=[tx_hash], verdicts=[verdict])
    )


def outcome(
    spec: LoadSpec,
    sends: list[tuple[int, int, float]],
    replies: list[tuple[float, list[gateway_pb2.Settled]]],
) -> Outcome:
    (spec.folder / "lane-0.sends").write_bytes(b"".join(SENT.pack(*item) for item in sends))
    parts = []
    for at_s, items in replies:
        data = gateway_pb2.StreamedReply(settled=items).SerializeToString()
        parts += [REPLIED.pack(at_s, len(data)), data]
    (spec.folder / "lane-0.replies").write_bytes(b"".join(parts))
    return read_outcome(spec, START_S, Measured(from_s=START_S, window_s=1.0, windows=2))


def first(spec: LoadSpec) -> int:
    with Lane(spec.folder, 0) as lane:
        return lane.prologue


def test_latency_counts_from_when_a_transaction_was_due_and_not_from_when_it_was_sent(
    spec: LoadSpec,
) -> None:
    """Coordinated omission: a node that stalls would else be asked less while it is slow."""
    at = first(spec)
    sends = [(at, 1, 100.0), (at + 1, 19, 101.5)]  # stalled: 19 go out late
    everything = [settled(spec, at + index) for index in range(COUNT)]
    found = outcome(spec, sends, [(100.01, everything[:1]), (101.6, everything[1:])])
    assert found.verdicts == COUNT
    assert found.latency.max_ms == pytest.approx(1_500.0)  # due at 100.1
    assert found.send_lag.max_ms == pytest.approx(1_400.0)
    assert [window.settled for window in found.windows] == [1, 19]
    assert not found.unexpected


def test_what_is_never_answered_is_in_the_latencies_too(spec: LoadSpec) -> None:
    at = first(spec)
    answered = [(100.01, [settled(spec, at)])]
    found = outcome(spec, [(at, COUNT, 100.0)], answered)
    assert len(found.unanswered) == COUNT - 1
    assert found.latency.count == COUNT
    assert found.latency.max_ms == pytest.approx(1_900.0)


def test_only_accepted_verdicts_within_the_measured_time_count_their_signatures(
    spec: LoadSpec,
) -> None:
    at = first(spec)
    found = outcome(
        spec,
        [(at, 3, 100.0)],
        [
            (100.5, [settled(spec, at)]),
            (100.6, [settled(spec, at + 1, code="E_FIELDS", outcome=2)]),
            (102.5, [settled(spec, at + 2)]),  # after its end
        ],
    )
    assert (found.settled, found.signatures, found.verdicts) == (2, 1, 3)


@pytest.mark.parametrize(
    "changes", [{"code": "E_FIELDS", "outcome": 3}, {"outcome": 0}, {"code": "E_REPLAY"}]
)
def test_a_verdict_other_than_the_one_foretold_is_noticed(
    changes: dict[str, object], spec: LoadSpec
) -> None:
    at = first(spec)
    found = outcome(spec, [(at, 1, 100.0)], [(100.1, [settled(spec, at, **changes)])])
    assert found.unexpected == 1
    assert "opaque.put" in found.examples[0]


def test_a_second_answer_and_an_answer_to_nothing_are_noticed(spec: LoadSpec) -> None:
    at = first(spec)
    twice = settled(spec, at)
    found = outcome(spec, [(at, 1, 100.0)], [(100.1, [twice, twice, settled(spec, at + 5)])])
    assert (found.verdicts, found.unexpected) == (1, 2)


def bulk(spec: LoadSpec) -> tuple[int, list[gateway_pb2.Verdict]]:
    """An envelope of many transactions after the prologue, and verdicts that accept them."""
    with Lane(spec.folder, 0) as lane:
        index = next(
            index for index in range(lane.prologue, len(lane)) if len(lane.tx_hashes(index)) > 1
        )
        return index, [
            gateway_pb2.Verdict(
                tx_hash=tx_hash, code="OK", outcome=gateway_pb2.OUTCOME_ACCEPTED,
                height=5, log_index=70 + place,
            )
            for place, tx_hash in enumerate(lane.tx_hashes(index))
        ]  # fmt: skip


def in_bulk(index: int, verdicts: list[gateway_pb2.Verdict]) -> gateway_pb2.Settled:
    return gateway_pb2.Settled(id=index + 1, reply=gateway_pb2.SubmitReply(verdicts=verdicts))


def test_of_an_envelope_of_many_each_transaction_counts_and_its_signature_once(
    tmp_path: Path,
) -> None:
    spec = lane_of(tmp_path, "bulk")
    index, verdicts = bulk(spec)
    found = outcome(spec, [(index, 1, 100.0)], [(100.5, [in_bulk(index, verdicts)])])
    assert (found.submitted, found.verdicts, found.settled) == (10, 10, 10)
    assert (found.envelopes, found.signatures, found.latency.count) == (1, 1, 1)
    assert [told.tx_hash for told in found.told] == [verdict.tx_hash for verdict in verdicts]
    assert not found.unexpected


def test_one_refused_transaction_of_many_is_noticed_and_no_signature_counted(
    tmp_path: Path,
) -> None:
    spec = lane_of(tmp_path, "bulk")
    index, verdicts = bulk(spec)
    verdicts[7].code, verdicts[7].outcome = "E_FIELDS", gateway_pb2.OUTCOME_RECORDED
    found = outcome(spec, [(index, 1, 100.0)], [(100.5, [in_bulk(index, verdicts)])])
    assert (found.accepted, found.recorded, found.unexpected) == (9, 1, 1)
    assert found.signatures == 0


def test_a_verdict_that_is_missing_in_an_envelope_of_many_is_noticed(tmp_path: Path) -> None:
    """Else nine of ten would be an envelope settled, and the tenth lost without a word."""
    spec = lane_of(tmp_path, "bulk")
    index, verdicts = bulk(spec)
    found = outcome(spec, [(index, 1, 100.0)], [(100.5, [in_bulk(index, verdicts[:9])])])
    assert (found.verdicts, found.unexpected, found.signatures) == (9, 1, 0)


def test_all_transactions_of_an_envelope_without_an_answer_are_asked_for(tmp_path: Path) -> None:
    spec = lane_of(tmp_path, "bulk")
    index, verdicts = bulk(spec)
    found = outcome(spec, [(index, 1, 100.0)], [])
    assert found.unanswered == [verdict.tx_hash for verdict in verdicts]


def test_two_verdicts_in_one_place_of_the_log_are_noticed(spec: LoadSpec) -> None:
    at = first(spec)
    both = [settled(spec, at, log_index=9), settled(spec, at + 1, log_index=9)]
    assert outcome(spec, [(at, 2, 100.0)], [(100.1, both)]).doubled_places == 1


def test_one_that_is_turned_away_is_counted_apart(spec: LoadSpec) -> None:
    at = first(spec)
    refusal = gateway_pb2.Refusal(code="E_BUSY", message="no room", retry_after_ms=100)
    turned = gateway_pb2.Settled(id=at + 1, refusal=refusal)
    found = outcome(spec, [(at, 1, 100.0)], [(100.1, [turned])])
    assert found.refused_at_the_door == {"E_BUSY": 1}
    assert (found.verdicts, found.unexpected, len(found.unanswered)) == (0, 0, 1)


def test_in_a_closed_loop_latency_counts_from_when_it_was_sent(spec: LoadSpec) -> None:
    at = first(spec)
    closed = replace(spec, rate=None, in_flight=4)
    found = outcome(closed, [(at, 2, 100.5)], [(100.6, [settled(spec, at), settled(spec, at + 1)])])
    assert found.latency.max_ms == pytest.approx(100.0)


def test_queries_are_timed_beside_the_writes(spec: LoadSpec) -> None:
    found = outcome(spec, [], [])
    assert found.queries.count == 1
    assert found.queries.max_ms == pytest.approx(200.0)


def test_quantiles_are_within_a_hundredth() -> None:
    values = [int.from_bytes(sha256(bytes([k % 256, k // 256])).digest()[:2]) / 7 + 0.5
              for k in range(5_000)]  # fmt: skip
    found = Histogram.of(values)
    ordered = sorted(values)
    for part in (0.5, 0.9, 0.99, 0.999):
        exact = ordered[int(part * len(ordered)) - 1]
        quantile = found.quantile_ms(part)
        assert quantile is not None
        assert abs(quantile / exact - 1) < 0.01
    assert found.max_ms == max(values)
    assert sum(count for _, count in found.as_json(buckets=True)["buckets"]) == 5_000


def test_a_histogram_of_nothing_has_no_quantiles() -> None:
    assert Histogram().as_json()["p99"] is None
