"""What a lane has to send again when its stream breaks: no less, and in order."""

from __future__ import annotations

import pytest

from onward.bench.generator import LaneNotes
from onward_proto.v1 import gateway_pb2


@pytest.mark.parametrize(
    ("settled", "expected"),
    [
        ((), [(0, 6)]),
        ((0, 1, 2, 3, 4, 5), []),
        ((0, 1, 2), [(3, 6)]),
        ((1, 4), [(0, 1), (2, 4), (5, 6)]),
    ],
)
def test_everything_that_is_not_settled_is_sent_again_in_its_order(
    settled: tuple[int, ...], expected: list[tuple[int, int]]
) -> None:
    """A step that is left out makes every later step of its story fail."""
    replies = [
        gateway_pb2.StreamedReply(
            settled=[gateway_pb2.Settled(id=index + 1, reply=gateway_pb2.SubmitReply())]
        ).SerializeToString()
        for index in settled
    ]
    notes = LaneNotes(sent=6, replies=[(1.0, reply) for reply in replies])
    assert notes.unsettled() == expected
