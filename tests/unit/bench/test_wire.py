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
    verdicts = [verdict for item in found for verdict in item.verdicts]
    assert [verdict.code for verdict in verdicts] == ["OK", "E_FIELDS", "OK", "E_FIELDS"]
    assert [verdict.outcome for verdict in verdicts] == [1, 2, 1, 2]
    assert [verdict.height for verdict in verdicts] == [1000, 1001, 1002, 1003]
    assert [verdict.log_index for verdict in verdicts] == [70_000, 70_001, 70_002, 70_003]
    assert verdicts[0].message == "number 0, ümlaut"
    refusals = [item.refusal for item in found]
    assert refusals[:4] == [None] * 4
    assert refusals[4] is not None
    assert refusals[4].code == "E_BUSY"


def test_an_envelope_of_many_bodies_has_its_verdicts_in_their_order() -> None:
    many = gateway_pb2.SubmitReply(
        tx_hashes=[bytes([number]) * 32 for number in range(3)],
        verdicts=[verdict(number) for number in range(3)],
    )
    data = gateway_pb2.StreamedReply(settled=[gateway_pb2.Settled(id=9, reply=many)])
    (found,) = wire.read_reply(data.SerializeToString())
    assert [told.log_index for told in found.verdicts] == [70_000, 70_001, 70_002]


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
