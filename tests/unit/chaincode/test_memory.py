"""What the contract remembers must be what a replica that has just started reads."""

from __future__ import annotations

from enum import StrEnum

import pytest

from onward_chaincode import limits, records
from onward_chaincode.records import QuotaRecord, ReplyRecord, load, save


class Shelf:
    """The two calls of a context that records need."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    def get(self, key: str) -> bytes | None:
        return self.values.get(key)

    def put(self, key: str, value: bytes) -> None:
        self.values[key] = value


class Answer(StrEnum):
    REJECTED = "REJECTED"


def test_record_that_was_written_reads_like_one_that_was_decoded() -> None:
    """Were the member itself remembered, replicas could differ in what they do with it."""
    shelf = Shelf()
    reply = ReplyRecord(answer=Answer.REJECTED, target=None, reason="", replied_at_ms=7)
    save(shelf, "reply/x", reply)  # type: ignore[arg-type]
    for _ in range(2):
        found = load(shelf, "reply/x", ReplyRecord)  # type: ignore[arg-type]
        assert found == reply
        assert found is not None
        assert type(found.answer) is str


def test_same_bytes_under_another_class_are_another_record() -> None:
    shelf = Shelf()
    save(shelf, "quota/x", QuotaRecord(hour=3, count=4))  # type: ignore[arg-type]
    assert load(shelf, "quota/x", QuotaRecord) == QuotaRecord(hour=3, count=4)  # type: ignore[arg-type]
    with pytest.raises(Exception, match="quota/x"):
        load(shelf, "quota/x", ReplyRecord)  # type: ignore[arg-type]


def test_memory_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = records._Memory()
    monkeypatch.setattr(limits, "RECORDS_REMEMBERED_BYTES_MAX", 10)
    for number in range(9):
        memory.keep(QuotaRecord(hour=number, count=1), bytes([number]) * 4)
        assert len(memory) <= 2
    assert memory.find(QuotaRecord, bytes([8]) * 4) == QuotaRecord(hour=8, count=1)


def test_record_that_is_asked_for_again_outlives_those_that_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    memory = records._Memory()
    monkeypatch.setattr(limits, "RECORDS_REMEMBERED_BYTES_MAX", 24)  # three in a generation
    memory.keep(QuotaRecord(hour=0, count=1), bytes(4))
    for number in range(1, 20):
        memory.keep(QuotaRecord(hour=number, count=1), bytes([number]) * 4)
        assert memory.find(QuotaRecord, bytes(4)) == QuotaRecord(hour=0, count=1)
    assert memory.find(QuotaRecord, bytes([1]) * 4) is None
