"""Bytes put together by hand must be those that protobuf would write, and be read as it would."""

from __future__ import annotations

import pytest

from onward.bench import wire
from onward.errors import MalformedError
from onward_proto.v1 import gateway_pb2


def verdict(number: int) -> gateway_pb2.Verdict:
    return gateway_pb2.Verdict(
        tx_hash=bytes([number]) * 32,
        code="E_FIELDS" if number % 2 else "OK",
        rule="R22",
        message=f"number {number}, ümlaut",
        height=1000 + number,
        outcome=gateway_pb2.OUTCOME_RECORDED if number % 2 else gateway_pb2.OUTCOME_ACCEPTED,
        log_index=70_000 + number,
    )


def reply(count: int) -> gateway_pb2.StreamedReply:
    settled = [
        gateway_pb2.Settled(
            id=300 + number,
            reply=gateway_pb2.SubmitReply(
                tx_hashes=[bytes([number]) * 32], verdicts=[verdict(number)]
            ),
        )
        for number in range(count)
    ]
    refusal = gateway_pb2.Refusal(
        code="E_BUSY", rule="", message="no room " * 30, retry_after_ms=100
    )
    return gateway_pb2.StreamedReply(settled=[*settled, gateway_pb2.Settled(id=7, refusal=refusal)])


@pytest.mark.parametrize("sizes", [(1,), (127, 128, 300), (70_000, 5)])
def test_a_message_is_what_protobuf_would_write(sizes: tuple[int, ...]) -> None:
    envelopes = [bytes([number]) * size for number, size in enumerate(sizes, 1)]
    message = wire.message(300, b"".join(map(wire.framed, envelopes)), wire.tail(60_000))
    expected = gateway_pb2.StreamedSubmit(
        first_id=300, envelopes=envelopes, wait_ms=60_000, without_events=True
    )
    assert message == expected.SerializeToString(deterministic=True)


def test_a_reply_is_counted_without_being_read() -> None:
    for count in (0, 1, 200):
        data = reply(count).SerializeToString()
        assert wire.count_settled(data) == count + 1
        assert wire.settled_ids(data) == [*range(300, 300 + count), 7]


def test_a_reply_is_read_as_it_was_written() -> None:
    found = wire.read_reply(reply(4).SerializeToString())
    assert [item.id for item in found] == [300, 301, 302, 303, 7]
    assert [item.code for item in found] == ["OK", "E_FIELDS", "OK", "E_FIELDS", "E_BUSY"]
    assert [item.outcome for item in found] == [1, 2, 1, 2, 0]
    assert [item.height for item in found] == [1000, 1001, 1002, 1003, 0]
    assert [item.log_index for item in found] == [70_000, 70_001, 70_002, 70_003, 0]
    assert found[0].message == "number 0, ümlaut"
    assert [item.refused for item in found] == [False] * 4 + [True]


def test_a_reply_that_is_cut_off_is_no_reply() -> None:
    data = reply(2).SerializeToString()
    for end in (1, 20, len(data) - 1):
        with pytest.raises(MalformedError):
            wire.read_reply(data[:end])


def test_a_query_is_what_protobuf_would_write() -> None:
    parts = ((1, b"read" * 40), (2, b"isa"), (3, b"agreement"), (4, b"{}"))
    message = b"".join(wire.length_delimited(number, value) for number, value in parts)
    expected = gateway_pb2.QueryRequest(
        read=b"read" * 40, contract="isa", name="agreement", arguments=b"{}"
    )
    assert message == expected.SerializeToString(deterministic=True)
