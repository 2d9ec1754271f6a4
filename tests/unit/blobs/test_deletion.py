"""A deletion convinces whoever holds the genesis, and of exactly what was signed."""

from __future__ import annotations

import pytest
from tests.support.cluster import make_genesis

from onward.blobs.deletion import Deletion, encode_deletion, verify_deletion
from onward.crypto.signing import SigningKey, verify
from onward.errors import MalformedError, RejectedError

GENESIS, KEYS = make_genesis(4)
NAMES = [member.name for member in GENESIS.validators.members]
DELETION = Deletion(
    chain_id=GENESIS.chain_id, contract="isa", record=b"r" * 32, blob=b"b" * 32, height=812
)
TEXT = encode_deletion(DELETION, NAMES[1], KEYS[1])


def test_deletion_says_who_destroyed_what() -> None:
    found = verify_deletion(TEXT, GENESIS, verify)
    assert found.deletion == DELETION
    assert found.validator == NAMES[1]
    assert found.public_key == KEYS[1].public_key


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b"height 812", b"height 813", "E_SIG"),
        (b"62" * 32, b"63" * 32, "E_SIG"),
        (b"record isa", b"record opaque", "E_SIG"),
        (GENESIS.chain_id.hex().encode(), b"00" * 32, "E_CHAIN"),
        (f"signer {NAMES[1]}".encode(), f"signer {NAMES[2]}".encode(), "E_SIGNER"),
    ],
)
def test_changed_word_is_found(old: bytes, new: bytes, code: str) -> None:
    assert old in TEXT
    with pytest.raises(RejectedError) as refused:
        verify_deletion(TEXT.replace(old, new), GENESIS, verify)
    assert refused.value.code == code


def test_word_of_a_stranger_is_none() -> None:
    """Whoever could sign for a deletion could hide that the data is still there."""
    forged = encode_deletion(DELETION, NAMES[1], SigningKey(b"stranger".ljust(32)))
    with pytest.raises(RejectedError) as refused:
        verify_deletion(forged, GENESIS, verify)
    assert refused.value.code == "E_SIGNER"


@pytest.mark.parametrize(
    "data",
    [b"", TEXT[:-1], TEXT + b"\n", TEXT.replace(b"height 812", b"height 0812"), b"\xff" * 200,
     TEXT * 40],
    ids=["empty", "cut", "longer", "leading-zero", "noise", "huge"],
)  # fmt: skip
def test_other_forms_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        verify_deletion(data, GENESIS, verify)
