"""The contract `opaque` measures writes; it must still keep parties apart."""

from __future__ import annotations

import pytest

from onward_chaincode.contract import Call, Event, Json, Party, Refuse
from onward_chaincode.opaque import VALUE_BYTES_MAX, Opaque, OpaquePut
from onward_chaincode.registry import available, contract_for
from onward_proto.canonical import encode


class Desk:
    """A context and a view over a dictionary."""

    time_ms = 1_750_000_000_000
    height = 3
    cosigners: tuple[str, ...] = ()

    def __init__(self, rows: dict[str, bytes], caller: str) -> None:
        self.rows = rows
        self.caller = self.reader = caller
        self.tx_id = "00" * 32
        self.events: list[Event] = []

    def get(self, key: str) -> bytes | None:
        return self.rows.get(key)

    def scan(self, start: str, end: str, limit: int) -> list[tuple[str, bytes]]:
        return [(k, self.rows[k]) for k in sorted(self.rows) if start <= k < end][:limit]

    def projected(self, start: str, end: str, limit: int) -> list[tuple[str, bytes]]:
        return []

    def party(self, party_id: str) -> Party | None:
        return None

    def put(self, key: str, value: bytes) -> None:
        self.rows[key] = value

    def delete(self, key: str) -> None:
        self.rows.pop(key, None)

    def emit(self, name: str, payload: Json, readers: tuple[str, ...]) -> None:
        self.events.append(Event(name=name, payload=b"", readers=readers))


def put(rows: dict[str, bytes], caller: str, key: str, value: bytes) -> Desk:
    desk = Desk(rows, caller)
    payload = encode(OpaquePut(key=key, value=value))
    Opaque().apply(desk, Call(type="opaque.put", payload=payload))
    return desk


def test_a_value_is_kept_replaced_and_read_by_whoever_put_it() -> None:
    rows: dict[str, bytes] = {}
    desk = put(rows, "acme", "k", b"one")
    assert [(event.name, event.readers) for event in desk.events] == [("opaque.put", ("acme",))]
    put(rows, "acme", "k", b"two")
    answer = Opaque().query(Desk(rows, "acme"), "value", {"key": "k"})
    assert answer["value"] == b"two".hex()


def test_nobody_reads_or_overwrites_what_another_put() -> None:
    rows: dict[str, bytes] = {}
    put(rows, "acme", "k", b"hers")
    put(rows, "beta", "k", b"his")
    assert Opaque().query(Desk(rows, "acme"), "value", {"key": "k"})["value"] == b"hers".hex()
    assert Opaque().query(Desk(rows, "gamma"), "value", {"key": "k"})["value"] is None


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (Call(type="opaque.get", payload=b""), "E_TYPE"),
        (Call(type="opaque.put", payload=b""), "E_FORMAT"),
        (Call(type="opaque.put", payload=b"\x0a\x01k"), "E_FORMAT"),
        (Call(type="opaque.put", payload=encode(OpaquePut(key="a\0b", value=b"x"))), "E_FORMAT"),
    ],
)
def test_what_is_no_put_is_refused_and_leaves_nothing(call: Call, code: str) -> None:
    desk = Desk({}, "acme")
    with pytest.raises(Refuse) as caught:
        Opaque().apply(desk, call)
    assert caught.value.code == code
    assert not desk.rows
    assert not desk.events


def test_a_value_at_the_bound_is_kept_and_one_above_it_has_no_form() -> None:
    assert put({}, "acme", "k", bytes(VALUE_BYTES_MAX)).rows
    with pytest.raises(ValueError, match="bytes"):
        encode(OpaquePut(key="k", value=bytes(VALUE_BYTES_MAX + 1)))


def test_networks_do_not_get_it_unless_their_genesis_says_so() -> None:
    assert ("opaque", 1) not in available()
    assert contract_for("opaque", 1) is not None
