"""What a leaf commits to."""

from __future__ import annotations

from hashlib import sha256

import pytest

from onward import limits
from onward.ledger.leaf import signers_hash
from onward_proto.canonical import CanonicalError

KEYS = tuple(bytes((number,)) * 32 for number in range(1, limits.ENVELOPE_KEYS_MAX + 2))


def test_the_signers_hash_is_the_one_that_the_specification_spells_out() -> None:
    one, two = KEYS[:2]
    expected = sha256(b"onward/signers/1" + b"\x0a\x20" + one + b"\x0a\x20" + two).digest()
    assert signers_hash((one, two)) == expected


def test_another_set_or_order_of_signers_has_another_hash() -> None:
    """The last two differ only in where one key ends and the next begins."""
    one, two, three = KEYS[:3]
    lists = [(one,), (two,), (one, two), (two, one), (one, two, three), (one, three)]
    shifted = (one[:31] + two[:1], one[31:] + two[1:])
    assert len({signers_hash(keys) for keys in (*lists, shifted)}) == len(lists) + 1


def test_as_many_signers_as_an_envelope_may_carry_and_no_more() -> None:
    assert len(signers_hash(KEYS[: limits.ENVELOPE_KEYS_MAX])) == 32
    with pytest.raises(CanonicalError):
        signers_hash(KEYS)
    with pytest.raises(CanonicalError):
        signers_hash((KEYS[0][:31],))
