"""What a run is called: one that held, or why it did not; and what its figures divide by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from onward.bench.chain_check import Checked, Pace
from onward.bench.histogram import Histogram
from onward.bench.lanes import LaneFacts
from onward.bench.machine import Ticks, Usage, Verifying, _verify_for, host_taken, ticks
from onward.bench.outcome import Measured, Outcome, Window
from onward.bench.report import check_document, document, limit_per_second, run_document, why_not
from onward.bench.runner import RunPlan, RunRecord, Sample

RATE, SECONDS = 100.0, 30


def record(*, settled_per_s: float = RATE, latency_ms: float = 40.0) -> RunRecord:
    """Four validators at 100 transactions a second; on two cores that verify 12 000."""
    per_window = int(5 * settled_per_s)
    windows = [
        Window(
            envelopes=per_window,
            settled=per_window,
            accepted=per_window,
            signatures=2 * per_window,
            latency=Histogram.of([latency_ms] * 10),
        )
        for _ in range(6)
    ]
    outcome = Outcome(
        windows=windows,
        planned=3_300,
        submitted=3_300,
        verdicts=3_300,
        latency=Histogram.of([latency_ms] * 60),
    )
    return RunRecord(
        plan=RunPlan(workload="isa", rate=RATE, seconds=SECONDS),
        validators=("v1", "v2", "v3", "v4"),
        outcome=outcome,
        measured=Measured(from_s=10.0, window_s=5.0, windows=6),
        samples=tuple(
            Sample(
                at_s=10.0 + 5 * number,
                used=tuple(
                    Usage(cpu_s=float(number), rss_bytes=1_000, written_bytes=None)
                    for _ in range(5)
                ),
                ticks=Ticks(total=1_000 * number, taken=100 * number),
            )
            for number in range(7)
        ),
        verified_before=Verifying(per_s=12_000.0, cpu_us=100.0),
        verified_after=Verifying(per_s=12_000.0, cpu_us=300.0),
        pace=(Pace(at_s=10.0, height=5, view=6), Pace(at_s=40.0, height=305, view=306)),
        disk_bytes=13_200_000,
        loopback_bytes=None,
        counters={},
        signed=(
            LaneFacts(
                lane=0,
                persons=(),
                prologue=0,
                envelopes=3_300,
                transactions=3_300,
                envelope_bytes=330_000,
                body_bytes=165_000,
                signatures=6_600,
            ),
        ),
        signing_s=1.0,
        moves=0,
        generator_errors=(),
        checked=Checked(
            height=305,
            state_root="00",
            leaves_expected=3_300,
            leaves_found=3_300,
            sampled=500,
            late=0,
            complaints=(),
        ),
    )


def test_the_limit_ratio_is_signatures_by_what_each_validator_could_verify() -> None:
    """Four validators verify each signature: 12 000 a second are enough for 3 000 of clients."""
    assert limit_per_second(record()) == 3_000
    found = run_document(record())
    assert found["throughput"]["signatures_per_s"] == 200.0
    assert found["limit_ratio"] == pytest.approx(200 / 3_000, abs=1e-4)
    assert found["windows"][0]["limit_ratio"] == found["limit_ratio"]


def test_figures_are_per_transaction_and_per_second_of_the_measured_time() -> None:
    found = run_document(record())
    assert found["blocks_per_s"] == found["views_per_s"] == 10.0
    assert found["transactions_per_block"] == 10.0
    assert found["disk"]["bytes_per_tx_per_node"] == 1_000.0
    assert found["transactions"]["body_bytes_mean"] == 50.0
    # Each process used a second in five, while 500 transactions were settled.
    assert found["processes"][0]["cpu_us_per_tx"] == 2_000.0
    assert found["processes"][0]["cpu_part"] == 0.2
    assert found["cpu_us_per_tx"] == {"validators": 8_000.0, "generator": 2_000.0}
    assert found["wire"]["peer_bytes_per_tx"] is None


def test_the_ratio_in_processor_time_does_not_ask_how_much_of_a_processor_there_was() -> None:
    """Five processes used 30 s each, in which four validators verified 6 000 signatures."""
    found = run_document(record())
    assert found["verify"]["cpu_us"] == 200.0
    assert found["limit_ratio_cpu"] == pytest.approx(6_000 * 4 * 200e-6 / (5 * 6))
    gone = record()
    last = replace(gone.samples[-1], used=(None, *gone.samples[-1].used[1:]))
    replaced = replace(gone, samples=(*gone.samples[:-1], last))
    assert run_document(replaced)["limit_ratio_cpu"] is None


def test_what_the_host_took_is_told_of_the_run_and_of_each_window() -> None:
    found = run_document(record())
    assert found["host_taken"] == found["windows"][3]["host_taken"] == 0.1


def test_ticks_are_those_of_the_kernel_and_guests_do_not_count_twice(tmp_path: Path) -> None:
    """proc(5): user nice system idle iowait irq softirq steal guest guest_nice."""
    told = tmp_path / "stat"
    told.write_text("cpu  10 20 30 400 5 0 5 30 7 9\ncpu0 1 2 3 4 5 6 7 8 9 10\n")
    assert ticks(told) == Ticks(total=500, taken=30)


@pytest.mark.parametrize(
    "told",
    [
        "",
        "cpu",
        "cpu  10 20 30 400\n",
        "cpu  10 20 30 400 5 0 5\n",
        "cpu  a b c d e f g h\n",
        "cpu0 10 20 30 400 5 0 5 30\n",
        "cpu  ² 20 30 400 5 0 5 30\n",
    ],
)
def test_a_kernel_that_does_not_tell_what_the_host_took_is_not_made_to(
    tmp_path: Path, told: str
) -> None:
    """An older kernel's last field is another kind of time: it would pass for the host's."""
    file = tmp_path / "stat"
    file.write_text(told, encoding="utf-8")
    assert ticks(file) is None
    assert ticks(tmp_path / "nothing") is None


def test_of_what_is_not_known_there_is_no_figure() -> None:
    """Nothing taken is a measurement: whoever cannot measure must not say so."""
    known = Ticks(total=100, taken=50)
    assert host_taken(None, known) is host_taken(known, None) is None
    assert host_taken(known, known) is None
    assert host_taken(known, Ticks(total=90, taken=60)) is None
    unknown = replace(record(), samples=tuple(replace(i, ticks=None) for i in record().samples))
    found = run_document(unknown)
    assert found["host_taken"] is found["windows"][3]["host_taken"] is None


def test_the_host_takes_no_less_than_nothing_and_no_more_than_all() -> None:
    """Some hosts let the kernel's count go backwards, or catch up at once: proc(5)."""
    before = Ticks(total=100, taken=50)
    assert host_taken(before, Ticks(total=200, taken=20)) == 0.0
    assert host_taken(before, Ticks(total=200, taken=999)) == 1.0


def test_verifying_for_no_time_at_all_verifies_a_little() -> None:
    """A rate of nothing in no time is none."""
    found = _verify_for(0.0)
    assert found.per_s > 0
    assert found.cpu_us > 0


def test_a_rate_that_was_followed_holds() -> None:
    assert why_not(record()) == []
    assert run_document(record())["holds"] is True


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        (record(settled_per_s=97), "were due"),
        (record(latency_ms=2_100), "p99"),
        (replace(record(), generator_errors=("v1: the stream has ended",)), "ended"),
    ],
)
def test_a_rate_that_was_not_followed_does_not_hold(changed: RunRecord, word: str) -> None:
    (complaint,) = why_not(changed)
    assert word in complaint


def test_a_closed_loop_that_ran_out_of_transactions_says_so() -> None:
    """It measured idle validators towards its end, and would look slow."""
    closed = replace(record().plan, rate=None, in_flight=8, rate_guess=1_000)
    found = replace(record(), plan=closed)
    (complaint,) = why_not(found)
    assert "--sign" in complaint
    found.outcome.planned *= 2
    assert why_not(found) == []


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("unexpected", 1, "unexpected"),
        ("submitted", 3_299, "never sent"),
        ("unanswered", [bytes(32)], "without an answer"),
        ("queries_failed", 2, "queries"),
    ],
)
def test_what_went_wrong_is_said(name: str, value: object, word: str) -> None:
    changed = record()
    setattr(changed.outcome, name, value)
    (complaint,) = why_not(changed)
    assert word in complaint


def test_a_document_says_on_what_it_was_made() -> None:
    found = document(
        [run_document(record())],
        main=0,
        command=["onward", "bench", "--quick"],
        seed=1,
        validators=4,
        made_at_ms=1,
    )
    assert check_document(found) is found
    assert found["command"] == "onward bench --quick"
    assert found["machine"]["cores"] >= 1
    assert set(found["machine"]["packages"]) >= {"grpcio", "PyNaCl", "plyvel"}
