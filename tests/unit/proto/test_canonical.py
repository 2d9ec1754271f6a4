"""One value, one encoding; one encoding, one value."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass, replace
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward_proto.canonical import (
    CanonicalError,
    _plan,
    changed,
    decode,
    define_decode,
    define_encode,
    encode,
    flag,
    nested,
    raw,
    text,
    uint,
)
from onward_proto.remembered import VALUES_MAX, Doubt


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    seq: Annotated[int, uint(1)]
    head: Annotated[bytes, raw(2, size=4)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    number: Annotated[int, uint(1, maximum=1000)]
    yes: Annotated[bool, flag(2)]
    name: Annotated[str, text(3, maximum=16)]
    until: Annotated[int | None, uint(4)]
    inner: Annotated[Inner, nested(5, Inner)]
    many: Annotated[tuple[Inner, ...], nested(6, Inner, count=3)]
    packed: Annotated[tuple[int, ...], uint(7, count=4)]
    note: Annotated[bytes | None, raw(15, minimum=1, maximum=8)]


inners = st.builds(Inner, seq=st.integers(0, 2**64 - 1), head=st.binary(min_size=4, max_size=4))
outers = st.builds(
    Outer,
    number=st.integers(0, 1000),
    yes=st.booleans(),
    name=st.text(max_size=4),
    until=st.none() | st.integers(1, 2**64 - 1),
    inner=inners,
    many=st.lists(inners, max_size=3).map(tuple),
    packed=st.lists(st.integers(0, 2**64 - 1), max_size=4).map(tuple),
    note=st.none() | st.binary(min_size=1, max_size=8),
)

SAMPLE = Outer(
    number=7,
    yes=True,
    name="ä",
    until=None,
    inner=Inner(seq=300, head=b"abcd"),
    many=(Inner(seq=0, head=b"efgh"),),
    packed=(0, 1, 128),
    note=b"x",
)


@given(outers)
def test_decoding_undoes_encoding(message: Outer) -> None:
    assert decode(Outer, encode(message)) == message


@given(outers, st.data())
def test_bytes_that_decode_are_the_only_encoding_of_their_value(
    message: Outer, data: st.DataObject
) -> None:
    """If two encodings of one value existed, one signature would cover two transactions."""
    encoded = bytearray(encode(message))
    place = data.draw(st.integers(0, len(encoded) - 1))
    encoded[place] = data.draw(st.integers(0, 255))
    try:
        found = decode(Outer, bytes(encoded))
    except CanonicalError:
        return
    assert encode(found) == bytes(encoded)


@given(st.binary(max_size=64))
def test_random_bytes_never_raise_anything_but_canonical_error(data: bytes) -> None:
    try:
        found = decode(Outer, data)
    except CanonicalError:
        return
    assert encode(found) == data


def test_every_truncation_is_refused() -> None:
    encoded = encode(SAMPLE)
    required_end = len(encode(SAMPLE)) - 3  # the last, optional field takes three bytes
    for length in range(len(encoded)):
        if length in (required_end, _end_of_inner(encoded), _end_of_many(encoded)):
            continue  # a prefix that ends behind a whole field is itself a message
        with pytest.raises(CanonicalError):
            decode(Outer, encoded[:length])


def _end_of_inner(encoded: bytes) -> int:
    return encoded.index(b"abcd") + 4


def _end_of_many(encoded: bytes) -> int:
    return encoded.index(b"efgh") + 4


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x08\x00", "zero"),
        (b"\x08\x81\x00", "longer than it needs"),
        (b"\x08\x07\x08\x07", "twice"),
        (b"\x10\x01\x08\x07", "after a higher one"),
        (b"\x48\x01", "unknown field 9"),
        (b"\x09\x00", "unknown field 1 with wire type 1"),
        (b"\x08\xe9\x07", "at most 1000"),
        (b"\x10\x02", "at most 1"),
        (b"\x1a\x00", "empty"),
        (b"\x1a\x02\xc3\x28", "UTF-8"),
        (b"\x1a\x11" + b"a" * 17, "expected 0 to 16"),
        (b"\x1a\xff\xff\xff\xff\x0f", "claims"),
        (b"\x08" + b"\xff" * 10, "does not end"),
        (b"\x20\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02", "64 bits"),
        (b"\x08\x07", "inner is missing"),
        (b"\x2a\x02\x08\x01", "head is missing"),
        (b"\x3a\x00", "empty"),
    ],
)
def test_each_freedom_of_protobuf_is_refused_with_its_reason(data: bytes, reason: str) -> None:
    with pytest.raises(CanonicalError, match=reason):
        decode(Outer, data)


def test_a_repeated_field_is_bounded_at_its_count() -> None:
    one = Inner(seq=1, head=b"abcd")
    full = encode(_with(many=(one,) * 3))
    assert len(decode(Outer, full).many) == 3
    item = encode(_with(many=(one,)))[len(encode(_with(many=()))) :]
    with pytest.raises(CanonicalError, match="more than 3"):
        decode(Outer, full + item)
    with pytest.raises(CanonicalError, match="at most 3"):
        encode(_with(many=(one,) * 4))


@pytest.mark.parametrize(
    "message",
    [
        {"number": 1001},
        {"number": -1},
        {"number": True},
        {"until": 0},
        {"name": "\ud800"},
        {"name": "a" * 17},
        {"note": b""},
        {"note": b"123456789"},
        {"packed": (1,) * 5},
        {"packed": [1]},
        {"inner": None},
    ],
)
def test_a_value_without_canonical_form_is_not_encoded(message: dict[str, object]) -> None:
    """What could not be read back must not be signed."""
    with pytest.raises(CanonicalError):
        encode(_with(**message))


def _with(**changes: object) -> Outer:
    values: dict[str, object] = {
        "number": 0,
        "yes": False,
        "name": "",
        "until": None,
        "inner": Inner(seq=0, head=b"abcd"),
        "many": (),
        "packed": (),
        "note": None,
    }
    return Outer(**(values | changes))  # type: ignore[arg-type]


@given(outers, st.data())
def test_the_compiled_codec_and_the_definition_agree_on_every_byte(
    message: Outer, data: st.DataObject
) -> None:
    """Two replicas on two paths must not differ: the definition decides, the fast path obeys."""
    encoded = encode(message)
    assert encoded == define_encode(message)
    changed = bytearray(encoded)
    place = data.draw(st.integers(0, len(changed) - 1))
    kind = data.draw(st.sampled_from(["set", "cut", "insert"]))
    if kind == "set":
        changed[place] = data.draw(st.integers(0, 255))
    elif kind == "cut":
        del changed[place]
    else:
        changed.insert(place, data.draw(st.integers(0, 255)))
    try:
        fast = _plan(Outer).compiled[1](bytes(changed), 0, len(changed))
    except Doubt:
        with pytest.raises(CanonicalError):
            define_decode(Outer, bytes(changed))
    else:
        assert fast == define_decode(Outer, bytes(changed))


def test_a_decoded_message_is_of_its_class_and_as_frozen_as_any() -> None:
    """It is set up as a draft of the same layout; nobody may meet it before it is frozen."""
    found = decode(Outer, encode(SAMPLE))
    assert type(found) is Outer
    assert hash(found) == hash(SAMPLE)
    with pytest.raises(FrozenInstanceError):
        found.number = 8  # type: ignore[misc]
    with pytest.raises((AttributeError, TypeError)):
        found.other = 8  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    low: Annotated[int, uint(1)]
    high: Annotated[int, uint(2)]

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError


def test_a_class_that_checks_itself_is_built_through_its_own_door() -> None:
    assert decode(Guarded, b"\x08\x01\x10\x02") == Guarded(low=1, high=2)
    with pytest.raises(ValueError, match=r"^$"):
        decode(Guarded, b"\x08\x02\x10\x01")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    first: Annotated[Inner, nested(1, Inner)]
    second: Annotated[Inner, nested(2, Inner)]


def test_an_inner_message_may_not_reach_beyond_its_length() -> None:
    """Its decoder sees the bytes that follow: they are not its own."""
    inner = Inner(seq=300, head=b"abcd")
    whole = encode(Pair(first=inner, second=inner))
    for size in range(20):
        data = whole[:1] + bytes([size]) + whole[2:]
        if data == whole:
            assert decode(Pair, data) == Pair(first=inner, second=inner)
        else:
            with pytest.raises(CanonicalError):
                decode(Pair, data)


def test_values_that_equal_each_other_across_types_are_not_taken_for_each_other() -> None:
    """Encodings are remembered by value, and to a dictionary True is 1 and 1.0 is 1."""
    assert encode(_with(number=1)) == define_encode(_with(number=1))
    for value in (True, 1.0):
        with pytest.raises(CanonicalError, match="expected an int"):
            encode(_with(number=value))
    assert encode(_with(packed=(1,))) == define_encode(_with(packed=(1,)))
    with pytest.raises(CanonicalError, match="expected an int"):
        encode(_with(packed=(True,)))


def test_more_values_than_are_remembered_change_nothing_but_time() -> None:
    for number in range(2**35, 2**35 + 2 * VALUES_MAX + 2):
        message = _with(until=number, name=f"{number:x}")
        assert decode(Outer, encode(message)) == message
    message = _with(until=2**35, name="again")
    assert encode(message) == define_encode(message)


def test_changed_message_is_what_replace_makes_of_it() -> None:
    """It stands in for `dataclasses.replace` wherever a record is rewritten."""
    inner = Inner(seq=1, head=b"head")
    found = changed(inner, seq=2)
    assert found == replace(inner, seq=2)
    assert (inner.seq, found.head) == (1, b"head")
    with pytest.raises(FrozenInstanceError):
        found.seq = 3  # type: ignore[misc]
    with pytest.raises(AttributeError):
        changed(inner, tail=4)
